"""The model card: every number is the record's, slices stay apart, what is missing is said."""

import dataclasses
import re

import pytest
import yaml

from auditor.judging.judged_record import from_json
from auditor.modelcard.card import markdown, model_card
from auditor.modelcard.slices import slice_numbers
from auditor.record.files import record_digest, to_json
from auditor.reports.ordering import ordered
from auditor.stats import value

MITCHELL = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data",
            "Training data", "Quantitative analyses", "Ethical considerations",
            "Caveats and recommendations"]  # fmt: skip


@pytest.fixture(scope="module")
def card(failing):
    return model_card(failing)


@pytest.fixture(scope="module")
def front(card):
    return yaml.safe_load(card.split("---\n")[1])


def shares(record):
    """Every share that the record holds: (value, low, high, n), of measures and of their sides."""
    found = set()
    for _, m in record.measures():
        ends = m.interval
        found.add((value(m.estimate), ends.low, ends.high, m.n))
        if m.sides is not None:
            side = m.sides[0]
            found.add((value(side.estimate), side.interval.low, side.interval.high, side.n))
    return found


def test_equal_records_give_equal_cards(failing, card):
    assert model_card(from_json(to_json(failing))) == card


def test_every_number_of_the_front_matter_is_the_records(front, failing):
    known = shares(failing)
    metrics = [m for r in front["model-index"][0]["results"] for m in r["metrics"]]
    assert len(metrics) > 20
    for metric in metrics:
        low, high = metric["args"]["ci95"]
        assert (metric["value"], low, high, metric["args"]["n"]) in known, metric["name"]


def test_every_number_of_the_table_is_the_records(card, failing):
    rows = re.findall(r"^\| (.+) \| ([\w-]+) \| ([\d.]+) \[([\d.]+), ([\d.]+)\] \| ([\d,]+) \|$",
                      card, flags=re.MULTILINE)  # fmt: skip
    known = {(f"{v:.3f}", f"{lo:.3f}", f"{hi:.3f}", f"{n:,}") for v, lo, hi, n in shares(failing)}
    assert len(rows) == len(slice_numbers(ordered(failing))) > 20
    for row in rows:
        assert row[2:] in known, row


def test_each_slice_has_a_dataset_config_of_its_own(front):
    results = front["model-index"][0]["results"]
    configs = [r["dataset"]["config"] for r in results]
    assert len(configs) == len(set(configs))
    assert "household=accessible" in configs
    assert "class=serious, phone=2019" in configs
    for result in results:
        kinds = [m["type"] for m in result["metrics"]]
        assert len(kinds) == len(set(kinds))
        assert result["task"]["type"] == "image-classification"


def test_the_audit_block_names_verdict_policy_and_record(front, failing):
    audit = front["audit"]
    assert audit["verdict"] == failing.verdict.value
    assert audit["policy"]["sha256"] == failing.policy.digest
    assert audit["audit_json_sha256"] == record_digest(failing)
    assert audit["model_sha256"] == failing.model.digest


def test_sections_are_those_of_mitchell_in_their_order(card):
    assert re.findall(r"^## (.+)$", card, flags=re.MULTILINE) == MITCHELL


def test_what_people_stated_is_declared_and_the_rest_is_missing(card, failing):
    assert (
        "Intended use: Sorting photos of student rooms for fire-safety inspection *(declared)*"
        in card
    )
    assert "Way to object: **MISSING**" in card
    parsed = dict(failing.spec.parsed)
    parsed["audit"] = {"title": "T", "system": {}}
    parsed["consequences"] = {}
    bare = dataclasses.replace(failing, spec=dataclasses.replace(failing.spec, parsed=parsed))
    assert model_card(bare).count("**MISSING**") == 9


def test_names_from_outside_neither_break_tables_nor_become_html(card, housing):
    body = card.split("---\n", 2)[2]
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    for line in body.splitlines():
        if line.startswith("| ") and " | " in line:
            cells = len(re.findall(r"(?<!\\)\|", line))
            assert cells in (3, 5), line
    assert markdown("a|b*c_d`e<f>[g]\n# h") == r"a\|b\*c\_d\`e&lt;f&gt;\[g\] \# h"


def test_hostile_titles_stay_yaml(failing):
    title = 'x: "y"\n---\n- {a: !!python/object:os.system}'
    parsed = dict(failing.spec.parsed)
    parsed["audit"] = parsed["audit"] | {"title": title}
    spec = dataclasses.replace(failing.spec, parsed=parsed)
    text = model_card(dataclasses.replace(failing, spec=spec))
    end = text.index("\n---\n\n# Model card")
    assert yaml.safe_load(text[4:end])["model-index"][0]["name"] == title


def test_failures_and_what_cannot_be_tested_are_there(card):
    assert "| not met |" in card
    assert "Cannot be tested by this tool" in card
    assert "Does not meet policy" in card
    assert "not a legal opinion" in card


def test_the_basis_of_a_sensitive_attribute_is_declared(failing, card):
    assert "Basis" not in card
    first, *others = failing.datasets
    attributes = [dataclasses.replace(a, basis="Consent. Declared by A.") for a in first.attributes]
    first = dataclasses.replace(first, attributes=tuple(attributes))
    declared = model_card(dataclasses.replace(failing, datasets=(first, *others)))
    lines = [line for line in declared.splitlines() if "Basis *(declared)*" in line]
    assert len(lines) == len(attributes) > 0
    assert all(
        line.endswith(" groups. Basis *(declared)*: Consent. Declared by A.") for line in lines
    )
    assert all(line.startswith("- ") for line in lines)
