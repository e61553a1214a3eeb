"""The bill of materials: valid by the strict schema, every number the record's, nothing made up."""

import dataclasses
import json
import re

import pytest

from auditor.judging.judged_record import from_json
from auditor.modelcard.bom import ml_bom
from auditor.modelcard.slices import slice_numbers
from auditor.record.files import record_digest, to_json
from auditor.reports.ordering import ordered
from auditor.spec.declarations import read_declarations


@pytest.fixture(scope="module")
def bom(failing):
    return json.loads(ml_bom(failing))


@pytest.fixture(scope="module")
def strict():
    """What the strict validator of CycloneDX says of a text; None where it is valid."""
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str


def test_it_is_valid_and_a_number_in_place_of_text_is_not(failing, strict):
    text = ml_bom(failing)
    assert strict(text) is None
    assert strict(re.sub(r'"value": "(0\.\d+)"', r'"value": \1', text, count=1)) is not None


def test_hostile_names_stay_valid(failing, strict):
    title = 'x"}\n<script> \u202eevil ' + "long" * 80
    parsed = dict(failing.spec.parsed)
    parsed["audit"] = {"title": title, "system": {"developer": "{{ 7 * 7 }}", "licence": "*"}}
    spec = dataclasses.replace(failing.spec, parsed=parsed)
    text = ml_bom(dataclasses.replace(failing, spec=spec))
    text.encode("utf-8")
    assert strict(text) is None
    assert json.loads(text)["components"][0]["manufacturer"] == {"name": "{{ 7 * 7 }}"}


def test_equal_records_give_equal_bytes_and_no_date_but_theirs(failing, bom):
    assert ml_bom(from_json(to_json(failing))) == ml_bom(failing)
    assert bom["metadata"]["timestamp"] == failing.provenance.started
    other = dataclasses.replace(failing, warnings=("another",))
    assert json.loads(ml_bom(other))["serialNumber"] != bom["serialNumber"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"])


def test_every_slice_is_there_to_the_last_digit(failing, bom):
    metrics = bom["components"][0]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    found = [
        (m["slice"], m["type"], float(m["value"]),
         float(m["confidenceInterval"]["lowerBound"]), float(m["confidenceInterval"]["upperBound"]))
        for m in metrics
    ]  # fmt: skip
    numbers = slice_numbers(ordered(failing))
    assert found == [(n.config, n.kind, n.value, n.low, n.high) for n in numbers]
    assert len(found) > 20


def test_model_and_data_are_components_with_their_digests(failing, bom):
    model, *data = bom["components"]
    assert model["hashes"][0]["content"] == failing.model.digest
    assert {d["bom-ref"]: d["hashes"][0]["content"] for d in data} == {
        f"data-{d.split}": d.digest for d in failing.datasets
    }
    assert all(d["data"][0]["sensitiveData"] == ["household"] for d in data)
    refs = [r["ref"] for r in model["modelCard"]["modelParameters"]["datasets"]]
    assert refs == [d["bom-ref"] for d in data] == bom["dependencies"][0]["dependsOn"]
    properties = {p["name"]: p["value"] for p in bom["metadata"]["properties"]}
    assert properties["auditor:audit-json-sha256"] == record_digest(failing)
    assert properties["auditor:verdict"] == failing.verdict.value


def test_considerations_are_declared_measured_or_missing(failing, bom, tmp_path):
    card = bom["components"][0]["modelCard"]
    said = card["considerations"]
    assert said["users"] == ["MISSING"]
    assert said["useCases"] == ["Sorting photos of student rooms for fire-safety inspection"]
    limitations = said["technicalLimitations"]
    assert any(
        text.startswith("Not tested: ") and "deployment data" in text for text in limitations
    )
    assert any(text.startswith("Cannot be tested") for text in limitations)
    assert any(text.startswith("Limit not met: ") for text in limitations)
    worst = said["fairnessAssessments"][0]
    assert "accessible" in worst["groupAtRisk"]
    assert "Of 100 images of accessible" in worst["harms"]
    assert worst["mitigationStrategy"]
    properties = {p["name"]: p["value"] for p in card["properties"]}
    assert properties["auditor:declared:contact"] == "MISSING"
    path = tmp_path / "declarations.yaml"
    path.write_text(
        "declarations: [{key: contact, statement: Room 7., owner: {name: A}, date: 2025-01-01, "
        "expires: 2025-02-01}]"
    )
    old = json.loads(ml_bom(dataclasses.replace(failing, declarations=read_declarations(path))))
    properties = {p["name"]: p["value"] for p in old["components"][0]["modelCard"]["properties"]}
    assert properties["auditor:declared:contact"].endswith("Out of date when this audit ran.")


def test_nobody_is_named_as_maker_or_licensor_who_did_not_say_so(bom):
    model = bom["components"][0]
    assert not {"manufacturer", "licenses", "version", "supplier", "author"} & model.keys()
