"""shift/estimated-accuracy on planted worlds: what is told without labels, and when nothing is."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from auditor.contract import Available
from auditor.findings import Measure, Table, Unmeasured, Verdict
from auditor.judging.judge import judge
from auditor.judging.policy import Limit
from auditor.record import CheckResults
from auditor.shift.corruptions import Corruptions
from auditor.shift.estimated_accuracy import EstimatedAccuracy
from auditor.stats import value

CLASSES = ("a", "b", "c")
CHECK = EstimatedAccuracy()
STRENGTHS = {1: 0.25, 3: 0.5, 5: 0.75}
NAME = "estimated-lost:@deployment"


def answers(rng, labels, blur, *, sharp=2.2):
    """Scores of a model that sees less of a class the more an image is blurred, and knows it."""
    left = sharp * np.broadcast_to(1 - np.asarray(blur), len(labels))
    seen = rng.normal(size=(len(labels), 3))
    seen[np.arange(len(labels)), labels] += left
    raised = np.exp(left[:, None] * seen)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def world(worlds, *, seed, blur=0.0, sure=False, n=(500, 300), known=0, old=None, copies=1):
    """Deployment images are blurred by `blur` (those of old buildings by `old`); `known` labels.

    `sure`: the model is as sure of them as of test images, and wrong.
    """
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence(model=worlds.facts(classes=CLASSES))
    evidence.check_id = f"seed {seed}"
    for split, size in zip(("test", "deployment"), n, strict=True):
        labels = np.repeat(rng.integers(0, 3, size), copies)
        building = np.repeat(np.where(rng.random(size) < 0.4, "old", "new"), copies)
        units = np.repeat(np.arange(size), copies)
        strength = np.where((building == "old") & (old is not None), old or 0.0, blur)
        here = answers(rng, labels, 0.0 if split == "test" or sure else strength)
        if split == "deployment" and sure:
            here = here[:, [1, 2, 0]]
        truth = labels if split == "test" else np.where(np.arange(len(labels)) < known, labels, -1)
        data = worlds.dataset(
            truth, split=split, classes=CLASSES, units=units if copies > 1 else None,
            attributes={"building": ("condition", list(building))},
        )  # fmt: skip
        evidence.add(data, here)
        evidence.true = labels
        if split == "test":
            for view in Corruptions().views:
                part = data.take(np.arange(200))
                seen = answers(rng, labels[:200], STRENGTHS[view.severity] * rng.uniform(0.6, 1))
                evidence.add(part, seen, view=view)
            evidence.add(data, here)
    return evidence


def right(evidence):
    there = evidence.answers("deployment")
    return float((there.predicted == evidence.true).mean())


@pytest.mark.parametrize("blur", [0.0, 0.35, 0.7])
@pytest.mark.parametrize("seed", range(2))
def test_the_truth_lies_in_the_interval(worlds, seed, blur):
    evidence = world(worlds, seed=seed, blur=blur)
    measure = worlds.measures(CHECK, evidence)[NAME]
    truth = right(evidence)
    assert measure.facts["low"] < truth < measure.facts["high"]
    assert measure.facts["estimate"] == pytest.approx(truth, abs=0.12)
    here = evidence.answers("test").correct.mean()
    assert value(measure.estimate) == pytest.approx(here - measure.facts["estimate"])
    assert measure.unlabelled
    said = worlds.sentence(EstimatedAccuracy, measure)
    assert said.startswith("Estimated without labels: ")
    assert "Only labels tell: those of 120 images drawn at random" in said


def test_of_more_test_answers_some_are_learned_from(worlds):
    """In whole units; what it says stays true, and with as many as there are nothing changes."""
    evidence = world(worlds, seed=3, blur=0.4, n=(600, 300), copies=2)
    every = worlds.measures(CHECK, evidence)[NAME]
    assert worlds.measures(EstimatedAccuracy(most_known=1200), evidence)[NAME] == every
    some = worlds.measures(EstimatedAccuracy(most_known=500), evidence)[NAME]
    assert some.facts["right_test"] != every.facts["right_test"]
    assert some.facts["low"] <= right(evidence) <= some.facts["high"]


def test_no_limit_is_met_by_an_estimate_and_one_may_be_broken(worlds):
    verdicts = {}
    for blur in (0.0, 0.7):
        measure = worlds.measures(CHECK, world(worlds, seed=1, blur=blur))[NAME]
        limit = Limit(
            id="loss", measure="shift/estimated-accuracy:estimated-lost", at_most=0.2, why="tried"
        )
        found = judge(
            [CheckResults(CHECK.id, (measure,), (), ())], limits=[limit], as_of=date(2026, 11, 29)
        )
        verdicts[blur] = found.findings[0].verdict
        assert found.findings[0].needed is None
    assert value(measure.estimate) > 0.2
    assert verdicts == {0.0: Verdict.INCONCLUSIVE, 0.7: Verdict.FAIL}


def test_a_model_as_sure_as_ever_is_not_seen_through_and_labels_say_so(worlds):
    """What no estimate can see: the measured part stands beside it, and names the gap."""
    evidence = world(worlds, seed=3, sure=True, known=200)
    measure = worlds.measures(CHECK, evidence)[NAME]
    assert measure.n == 100
    assert measure.facts["measured_n"] == 200
    assert measure.facts["measured_high"] < measure.facts["low"]
    assert "Of 200 labelled images from there" in worlds.sentence(EstimatedAccuracy, measure)


def test_it_ends_in_images_to_label(worlds):
    evidence = world(worlds, seed=2, known=150)
    (table,) = [r for r in CHECK.run(evidence) if isinstance(r, Table) and "label" in r.id]
    ids = [row[0] for row in table.rows]
    assert len(set(ids)) == 120
    without = evidence.dataset("deployment").image_ids[150:]
    assert set(ids) <= set(without)
    assert ids == [r[0] for r in list(CHECK.run(evidence))[-1].rows]


def test_groups_are_told_apart(worlds):
    found = worlds.measures(CHECK, world(worlds, seed=4, blur=0.0, old=0.7))
    old, new = (found[f"estimated-lost:building={b}@deployment"] for b in ("old", "new"))
    assert value(old.estimate) > value(new.estimate) + 0.15
    assert "Estimated without labels, old (building): " in worlds.sentence(EstimatedAccuracy, old)
    assert old.n + new.n == found[NAME].n


def test_bursts_count_as_one(worlds):
    one, four = (
        worlds.measures(CHECK, world(worlds, seed=5, n=(200, 60), copies=c))[NAME] for c in (1, 4)
    )
    assert four.n_units == 60
    assert (one.n, one.n_units) == (60, None)


def test_beyond_all_that_was_learned_from_nothing_is_told(worlds):
    evidence = world(worlds, seed=6)
    unsure = np.full((300, 3), 1 / 3, dtype=np.float32)
    unsure[:, 0] += 0.001
    evidence.add(evidence.dataset("deployment"), unsure)
    first, label = CHECK.run(evidence)
    assert isinstance(first, Unmeasured)
    assert "beyond those to all test images changed on purpose" in first.reason
    assert label.id == "shift/estimated-accuracy:label-these"


def test_a_small_sample_to_learn_from_has_a_reason(worlds):
    evidence = world(worlds, seed=7)
    for view in Corruptions().views:
        few = evidence.answers(view=view).take(np.arange(40))
        evidence.add(few.dataset, few.probabilities, view=view)
    evidence.add(world(worlds, seed=7).dataset("test"))
    first, _ = CHECK.run(evidence)
    assert "the smallest sample has 40 images" in first.reason


def test_segmenters_are_not_asked(worlds):
    facts = worlds.facts(task="segmentation")
    splits = {s: worlds.dataset([0, 1], split=s) for s in ("test", "deployment")}
    said = [
        unmet.reason
        for need in CHECK.needs
        if not need.optional and (unmet := need.unmet(Available(worlds.spec(), facts, splits)))
    ]
    assert said[:1] == ["A class map says of no answer how sure the model is of it."]


def test_words_name_the_group(worlds):
    found = worlds.measures(CHECK, world(worlds, seed=4))
    assert all(isinstance(m, Measure) for m in found.values() if m.name == "estimated-lost")
    measure = dataclasses.replace(found[NAME], facts={**found[NAME].facts, "measured": 0.5,
        "measured_low": 0.4, "measured_high": 0.6, "measured_n": 90})  # fmt: skip
    assert "Of 90 labelled images from there 50%" in worlds.sentence(EstimatedAccuracy, measure)
