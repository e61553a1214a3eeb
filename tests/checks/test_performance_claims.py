import numpy as np
import pytest

from auditor.checks.performance_claims import ClaimedAnswers, Claims
from auditor.contract import Available, Pass
from auditor.errors import SpecError
from auditor.findings import Unmeasured
from auditor.stats import p_value, value

ACCURACY = {"measure": "accuracy", "at_least": 0.91, "source": "report, p. 4"}


def refuted(measure):
    claimed = measure.facts["claimed"]
    return p_value(measure.estimate, limit=claimed, exceeds="below") <= 0.05


def answered(worlds, *, seed, n, right, split="test"):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    answers = np.where(rng.random(n) < right, labels, 1 - labels)
    return worlds.dataset(labels, split=split), worlds.probabilities(answers)


def evidence_of(worlds, *claims, sound=0.78, as_given=0.93, seed=0):
    evidence = worlds.evidence(spec=worlds.spec(claims=claims))
    evidence.add(*answered(worlds, seed=seed, n=750, right=sound))
    return evidence.add(*answered(worlds, seed=seed, n=1500, right=as_given), part="as-given")


@pytest.mark.parametrize("seed", range(6))
def test_a_claim_that_rests_on_seen_images_is_refuted_on_the_sound_part_only(worlds, seed):
    found = worlds.measures(Claims(), evidence_of(worlds, ACCURACY, seed=seed))
    assert set(found) == {
        "accuracy:claim=1,part=sound@test",
        "accuracy:claim=1,part=as-given@test",
    }
    assert refuted(found["accuracy:claim=1,part=sound@test"])
    assert not refuted(found["accuracy:claim=1,part=as-given@test"])


@pytest.mark.parametrize("seed", range(6))
def test_a_claim_that_holds_is_not_refuted(worlds, seed):
    found = worlds.measures(Claims(), evidence_of(worlds, ACCURACY, sound=0.92, seed=seed))
    assert not any(refuted(m) for m in found.values())


def test_details_say_what_was_claimed_and_by_whom(worlds):
    found = worlds.measures(Claims(), evidence_of(worlds, ACCURACY))
    measure = found["accuracy:claim=1,part=sound@test"]
    assert measure.facts["claimed"] == 0.91
    assert measure.facts["source"] == "report, p. 4"
    assert worlds.sentence(Claims, measure).startswith(
        "Claimed: accuracy at least 91%. Measured on the test data without images that were set "
        "apart: "
    )


def test_recall_and_precision_are_of_the_class_named(worlds):
    claims = (
        {"measure": "deployment/latency:p99", "at_most": 50.0, "source": "log"},
        {"measure": "recall", "label": "b", "at_least": 0.9, "source": "report"},
        {"measure": "precision", "label": "b", "at_least": 0.9, "source": "report"},
    )
    evidence = evidence_of(worlds, *claims)
    found = worlds.measures(Claims(), evidence)
    o = evidence.answers("test")
    recall = found["recall:claim=2,part=sound@test"]
    precision = found["precision:claim=3,part=sound@test"]
    assert value(recall.estimate) == pytest.approx(o.correct[o.labels == 1].mean())
    assert value(precision.estimate) == pytest.approx(o.correct[o.predicted == 1].mean())
    assert len(found) == 4


def test_recall_without_a_class_and_splits_without_labels_are_reasons(worlds):
    claims = (
        {"measure": "recall", "at_least": 0.9, "source": "report"},
        {**ACCURACY, "split": "deployment"},
    )
    found = list(Claims().run(evidence_of(worlds, *claims)))
    assert all(isinstance(r, Unmeasured) for r in found)
    assert [str(r.subject) for r in found] == [
        "claim=1,part=sound@test",
        "claim=1,part=as-given@test",
        "claim=2@deployment",
    ]


def test_an_unknown_class_is_the_users_to_mend(worlds):
    claim = {"measure": "recall", "label": "c", "at_least": 0.9, "source": "report"}
    with pytest.raises(SpecError, match="claims, number 1: found class 'c'"):
        list(Claims().run(evidence_of(worlds, claim)))


def test_the_need_asks_for_the_splits_that_are_claimed(worlds):
    need, labelled = ClaimedAnswers(), worlds.dataset([0, 1])
    unlabelled = worlds.dataset([-1, -1], split="deployment")
    both = {"test": labelled, "deployment": unlabelled}

    def available(*claims):
        return Available(worlds.spec(claims=claims), worlds.facts(), both)

    deployed = {**ACCURACY, "split": "deployment"}
    assert need.passes(available(ACCURACY, deployed)) == (Pass("test"),)
    assert need.unmet(available(ACCURACY)) is None
    assert "no claim" in need.unmet(available()).reason
    other = {"measure": "performance/baseline:gain", "at_least": 0.1, "source": "report"}
    assert "each claim is a limit" in need.unmet(available(other)).remedy
    assert not need.unmet(available(other)).applies
    assert "none have labels" in need.unmet(available(deployed)).reason
