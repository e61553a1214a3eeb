from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER

from auditor.checks.performance_baseline import Baseline
from auditor.contract import Available
from auditor.stats import p_value, value


def is_shown_above_0(measure):
    return p_value(measure.estimate, limit=0.0, exceeds="above") <= 0.05


def gain(worlds, *, seed, right, common=0.8, n=400, units=None):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) > common).astype(int)
    answers = np.where(rng.random(n) < right, labels, 1 - labels)
    evidence = worlds.evidence().add(
        worlds.dataset(labels, classes=("fine", "serious"), units=units),
        worlds.probabilities(answers),
    )
    return worlds.measures(Baseline(), evidence)["gain:@test"], evidence


@pytest.mark.parametrize("seed", range(6))
def test_a_useful_model_gains_and_one_that_guesses_loses(worlds, seed):
    useful, _ = gain(worlds, seed=seed, right=0.93)
    useless, _ = gain(worlds, seed=seed, right=0.62)
    assert is_shown_above_0(useful)
    assert p_value(useless.estimate, limit=0.0, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_constant_answer_gains_nothing(worlds, seed):
    labels = (np.random.default_rng(seed).random(300) > 0.7).astype(int)
    evidence = worlds.evidence().add(
        worlds.dataset(labels), worlds.probabilities(np.zeros(300, dtype=int))
    )
    found = worlds.measures(Baseline(), evidence)["gain:@test"]
    assert value(found.estimate) == 0
    assert not is_shown_above_0(found)
    assert p_value(found.estimate, limit=0.0, exceeds="below") > 0.05


def test_the_sentence_names_the_commonest_class_and_both_numbers(worlds):
    found, evidence = gain(worlds, seed=1, right=0.93)
    o = evidence.answers("test")
    always = (o.labels == 0).mean()
    assert found.facts["commonest"] == "fine"
    assert value(found.sides[1].estimate) == pytest.approx(always)
    assert value(found.sides[0].estimate) == pytest.approx(o.correct.mean())
    said = worlds.sentence(Baseline, found)
    assert said.startswith(f"Always answering “fine” would give {100 * always:.0f}%")
    assert value(found.estimate) == pytest.approx(o.correct.mean() - always)


def mapped(worlds, *, seed, right, n=60, side=12):
    """Maps that are four fifths road; the model has the share `right` of the rest right."""
    rng = np.random.default_rng(seed)
    truth = [(rng.random((side, side)) > 0.8).astype(np.int16) for _ in range(n)]
    answers = [np.where(rng.random(t.shape) < right, t, 0).astype(np.int16) for t in truth]
    classes = ("road", "hole")
    data = replace(worlds.dataset([-1] * n, classes=classes), has_labels=True)
    spec = worlds.spec(model={**SEGMENTER, "classes": classes})
    evidence = worlds.evidence(model=worlds.facts(task="segmentation", classes=classes), spec=spec)
    return evidence.add_maps(data, answers, truth), np.array(truth), np.array(answers)


def overlap_of(truth, answers, c):
    return ((truth == c) & (answers == c)).sum() / ((truth == c) | (answers == c)).sum()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("right", "gains"), [(0.8, True), (0.0, False)])
def test_a_segmenter_is_held_against_one_class_everywhere(worlds, seed, right, gains):
    evidence, truth, answers = mapped(worlds, seed=seed, right=right)
    found = worlds.measures(Baseline(), evidence)
    overlap, pixels = found["mean-iou-gain:@test"], found["pixel-accuracy-gain:@test"]
    assert is_shown_above_0(overlap) is gains
    assert is_shown_above_0(pixels) is gains
    # Independent reading, from the pixels.
    iou = np.mean([overlap_of(truth, answers, c) for c in (0, 1)])
    share = (truth == 0).mean()
    assert value(overlap.estimate) == pytest.approx(iou - share / 2, abs=1e-9)
    assert value(pixels.estimate) == pytest.approx((truth == answers).mean() - share, abs=1e-9)
    assert worlds.sentence(Baseline, overlap).startswith(
        "Mean overlap (IoU) of the classes: answering “road” everywhere would give "
    )


def test_no_box_fits_every_image(worlds):
    spec = worlds.spec(model={**DETECTOR, "classes": ("a",)})
    available = Available(spec, worlds.facts(task="detection"), {"test": worlds.dataset([0])})
    unmet = next(filter(None, (need.unmet(available) for need in Baseline.needs)))
    assert unmet.reason.startswith("No box is the same for every image")
    assert not unmet.applies
