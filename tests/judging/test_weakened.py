"""What a policy asks less of than one that it extends, and that nobody is told it is another."""

import dataclasses

import pytest

from auditor.errors import SpecError
from auditor.judging.judged_record import policy_of, rejudge
from auditor.judging.policy_file import load_policy, parse_policy
from auditor.reports.ordering import ordered
from auditor.reports.page_one import page_one, weakened_text

HEAD = 'id: ours\nversion: "1"\nowner: {name: A. Owner}\n'


def less(text: str):
    found = parse_policy(f"{HEAD}extends: default\n{text}", name="ours.yaml").weakened
    return {change.limit: (change.before, change.after) for change in found}


@pytest.mark.parametrize(
    "change",
    [
        "{id: calibration, at_most: 0.06}",
        "{id: calibration, severity: advisory}",
        "{id: calibration, required: false}",
        "{id: calibration, where: {split: train}}",
        "{id: calibration, tasks: [segmentation]}",
        "{id: calibration, exact: true}",
        "{id: calibration, when: {measure: 'shift/accuracy:lost', above: 0.5}}",
        "{id: deployment-embeddings, when: {measure: 'shift/accuracy:lost', above: 0.06}}",
        "{id: deployment-embeddings, when: {measure: 'shift/accuracy:lost', below: 0.05}}",
        "{id: calibration, at_least: 0.001}",
        "{id: calibration, measure: 'performance/overfitting:accuracy-gap'}",
        "{id: false-adverse-ratio, and_difference_above: 0.3}",
    ],
)
def test_a_limit_that_asks_less_or_otherwise_is_named(change):
    (name,) = less(f"limits: [{change}]")
    assert name in change


@pytest.mark.parametrize(
    "change",
    [
        "{id: calibration, at_most: 0.05, why: ours}",
        "{id: calibration, at_most: 0.01, clauses: []}",
        "{id: calibration, below: 0.05}",
        "{id: better-than-guessing, at_least: 0.02}",
        "{id: false-adverse-ratio, and_difference_above: 0.01}",
        "{id: deployment-embeddings, when: {measure: 'shift/accuracy:lost', above: 0.04}}",
        "{id: slice-accuracy, severity: blocking}",
        "{id: new, measure: 'performance/overall:accuracy', at_least: 0.9, why: ours}",
    ],
)
def test_a_limit_that_asks_as_much_or_more_is_not(change):
    assert less(f"limits: [{change}]") == {}


def test_what_is_left_out_anywhere_in_a_chain_is_named_and_strict_leaves_out_nothing(tmp_path):
    assert load_policy("strict").weakened == ()
    middle = f"{HEAD}extends: strict\nwithout: [calibration]\nrequired_attributes: [household]\n"
    (tmp_path / "middle.yaml").write_text(middle)
    top = HEAD + (
        "extends: middle.yaml\nwithout: [preprocessing]\nrequired_attributes: []\n"
        "limits: [{id: overfitting, at_most: 0.1}]\n"
    )
    (tmp_path / "top.yaml").write_text(top)
    found = {c.limit: c for c in load_policy("top.yaml", folder=tmp_path).weakened}
    assert set(found) == {"calibration", "preprocessing", "overfitting", "attribute:household"}
    assert found["calibration"].after == found["preprocessing"].after == ""
    assert found["overfitting"].before.startswith("at most 0.05")
    assert found["overfitting"].after.startswith("at most 0.1")


@pytest.mark.parametrize("name", ["default", "Default ", "strict", "defaսlt"])
def test_a_file_may_not_call_itself_a_built_in_policy(name):
    with pytest.raises(SpecError, match="the id of a built-in policy"):
        parse_policy(HEAD.replace("ours", f'"{name}"') + "extends: default", name="default.yaml")


@pytest.mark.parametrize("key", ["id", "version"])
@pytest.mark.parametrize("said", ["default” version 1. “x", "a<b", "x" * 61, "", "a\u202eb"])
def test_what_names_a_policy_can_say_nothing_else(key, said):
    old = {"id": "id: ours", "version": 'version: "1"'}[key]
    text = HEAD.replace(old, f'{key}: "{said}"')
    with pytest.raises(SpecError, match="in letters, digits, spaces"):
        parse_policy(f"{text}extends: default", name="ours.yaml")


def test_page_one_says_what_a_policy_left_out_also_when_it_is_judged_again(worlds):
    text = HEAD + (
        "extends: default\nwithout: [calibration, preprocessing]\n"
        "limits: [{id: overfitting, at_most: 0.3}]\n"
    )
    policy = parse_policy(text, name="ours.yaml")
    record = rejudge(worlds.record(), policy=policy)
    said = page_one(record, ordered(record)).weakened
    assert said == (
        "The policy asks less than “default”, which it extends: of its limits 2 left out "
        "(calibration, preprocessing), 1 looser or asked otherwise (overfitting)."
    )
    again = rejudge(record, policy=policy_of(record))
    assert again.weakened == record.weakened
    assert weakened_text(dataclasses.replace(record, weakened=())) == ""
