"""Whether a model's kind of output can support the declared decision."""

import pytest

from auditor.checks.model_task_fit import TaskFit
from auditor.contract import Available
from auditor.findings import Measure, Table
from auditor.judging.policy_file import load_policy
from auditor.stats import value

OUTPUTS = {
    "classification": "logits", "detection": "yolox", "segmentation": "semantic",
    "instance-segmentation": "mask-rcnn",
}  # fmt: skip
SUPPORTED = {
    "classify": set(OUTPUTS),
    "count": {"detection", "instance-segmentation"},
    "locate": {"detection", "segmentation", "instance-segmentation"},
    "measure-area": {"segmentation", "instance-segmentation"},
}


def evidence_of(worlds, task, decision):
    system = {} if decision is None else {"decision": decision}
    spec = worlds.spec(
        audit={"title": "t", "system": system},
        model={"path": "m.onnx", "task": task, "classes": ("a", "b"), "output": OUTPUTS[task],
               "input": {"size": (8, 8)}},
    )  # fmt: skip
    return worlds.evidence(spec=spec, model=worlds.facts(task=task))


@pytest.mark.parametrize("decision", SUPPORTED)
@pytest.mark.parametrize("task", OUTPUTS)
def test_what_an_output_cannot_tell_is_unsupported(worlds, task, decision):
    results = list(TaskFit().run(evidence_of(worlds, task, decision)))
    measure = next(r for r in results if isinstance(r, Measure))
    fits = task in SUPPORTED[decision]
    assert value(measure.estimate) == pytest.approx(float(not fits))
    assert bool(measure.facts["why"]) == (not fits)
    # What is printed beside 100% or 0% must be what the share is of.
    assert {w.short for w in TaskFit.words["unsupported"]} == {
        "answers that cannot support the decision"
    }
    (limit,) = (x for x in load_policy("default").policy.limits if x.id == "decision-supported")
    assert limit.is_met_by(value(measure.estimate)) == fits
    assert any(isinstance(r, Table) for r in results)


def test_more_than_is_needed_is_advice(worlds):
    found = {
        task: next(iter(TaskFit().run(evidence_of(worlds, task, "classify")))) for task in OUTPUTS
    }
    assert found["classification"].facts["less"] is None
    assert found["segmentation"].facts["less"] == "a model for classification"


@pytest.mark.parametrize(
    ("decision", "said"),
    [(None, "does not state `audit.system.decision`"), ("counting", "Did you mean 'count'?")],
)
def test_a_decision_that_is_none_is_said(worlds, decision, said):
    evidence = evidence_of(worlds, "detection", decision)
    (need,) = TaskFit.needs
    unmet = need.unmet(Available(evidence.spec, evidence.model, {}))
    assert said in unmet.reason
    assert "classify, count, locate, measure-area" in unmet.remedy
