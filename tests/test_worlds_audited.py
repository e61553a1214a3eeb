"""The kitchen and the street through whole audits: what is planted speaks, what is sound not."""

from pathlib import Path

import pytest

import auditor
from auditor.stats import value

pytestmark = pytest.mark.slow

EXAMPLES = Path(auditor.__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    only = ("performance/boxes", "bias/subgroup-gap", "shift/accuracy", "shortcut/toggle",
            "deployment/quantization")  # fmt: skip
    out = tmp_path_factory.mktemp("kitchen")
    return auditor.run(EXAMPLES / "kitchen" / "audit.yaml", out=out, only=only)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    out, only = tmp_path_factory.mktemp("street"), ("bias/subgroup-gap", "shift/accuracy")
    return auditor.run(EXAMPLES / "street" / "audit.yaml", out=out, only=only)


def verdict(record, identifier):
    found = record.finding(identifier)
    assert found is not None, f"{identifier} was not measured"
    return str(found.verdict)


@pytest.mark.parametrize(
    "identifier",
    [
        "performance/boxes:duplicate@test",
        "bias/subgroup-gap:objects-found:kitchen=harbour@deployment",
        "bias/subgroup-gap:objects-found:lamp=heat@deployment",
        "shift/accuracy:lost@deployment",
        "shortcut/toggle:answer-shift:artefact=logo,class=garnish@test",
        "deployment/quantization:accuracy-lost@test+int8",
    ],
)
def test_what_is_planted_in_the_kitchen_fails(kitchen, identifier):
    assert verdict(kitchen, identifier) == "FAIL"


def test_garnish_on_dark_plates_is_never_passed(kitchen):
    # Dark plates with a garnish are few: the gap is there, and so many dishes do not decide it.
    found = kitchen.finding("bias/subgroup-gap:recall:class=garnish,plate=dark@test")
    assert str(found.verdict) != "PASS"
    assert value(kitchen.measure(found).estimate) < -0.15


def test_the_eight_bit_form_loses_the_small_objects(kitchen):
    lost = {size: f"deployment/quantization:accuracy-lost:size={size}@test+int8"
            for size in ("small", "medium")}  # fmt: skip
    assert verdict(kitchen, lost["small"]) == "FAIL"
    assert verdict(kitchen, lost["medium"]) != "FAIL"


@pytest.mark.parametrize(
    "group",
    ["cook=ana", "cook=bo", "cook=chi", "cook=dev", "kitchen=south", "plate=stone",
     "portion=small", "service=dinner"],
)  # fmt: skip
def test_what_is_sound_in_the_kitchen_does_not_fail(kitchen, group):
    assert verdict(kitchen, f"bias/subgroup-gap:objects-found:{group}@test") != "FAIL"


def test_other_artefacts_draw_no_other_answers(kitchen):
    for label in ("protein", "starch", "vegetable"):
        found = kitchen.finding(f"shortcut/toggle:answer-shift:artefact=logo,class={label}@test")
        assert found is None or str(found.verdict) != "FAIL"


@pytest.mark.parametrize(
    "identifier",
    [
        "bias/subgroup-gap:iou:class=pothole,surface=wet@test",
        "bias/subgroup-gap:recall:class=pothole,surface=wet@test",
        "bias/subgroup-gap:iou:class=pothole,surface=wet@deployment",
        "bias/subgroup-gap:iou:class=debris,light=night@test",
    ],
)
def test_what_is_planted_in_the_street_fails(street, identifier):
    assert verdict(street, identifier) == "FAIL"


@pytest.mark.parametrize("group", ["district=harbour", "district=hills", "camera=bike-1"])
@pytest.mark.parametrize("label", ["pothole", "debris"])
def test_what_is_sound_in_the_street_does_not_fail(street, label, group):
    keys = ",".join(sorted((f"class={label}", group)))
    assert verdict(street, f"bias/subgroup-gap:iou:{keys}@test") != "FAIL"
