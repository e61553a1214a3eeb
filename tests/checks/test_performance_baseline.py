from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxes, detections

from auditor.checks.performance_baseline import Baseline
from auditor.data.truth import BoxTruth
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


@pytest.mark.parametrize("seed", range(4))
def test_a_segmenter_that_guesses_is_shown_to_be_worse_than_one_class(worlds, seed):
    rng = np.random.default_rng(seed)
    evidence, truth, _ = mapped(worlds, seed=seed, right=0.0)
    guesses = [rng.integers(0, 2, t.shape).astype(np.int16) for t in truth]
    evidence.add_maps(evidence.dataset("test"), guesses, list(truth))
    found = worlds.measures(Baseline(), evidence)["mean-iou-gain:@test"]
    assert p_value(found.estimate, limit=0.0, exceeds="below") <= 0.05


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


SIDE = 100


def placed(worlds, *, seed, finds, n=120, place="anywhere", alarms=1, units=None):
    """A detector that finds the share `finds` of one or two objects an image, beside alarms."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(n), rng.integers(1, 3, n))
    sides = rng.uniform(15, 40, (len(image), 2))
    low = (
        rng.uniform(0, SIDE - sides) if place == "anywhere" else np.tile([30, 40], (len(image), 1))
    )
    corners, classes = np.concatenate([low, low + sides], axis=1), rng.integers(0, 2, len(image))
    truth = BoxTruth(boxes(image, corners, classes), np.ones(n, dtype=bool))
    extra = {"width": SIDE, "height": SIDE, "orientation": 1}
    data = worlds.dataset([-1] * n, classes=("a", "b"), units=units, extra=extra)
    data = replace(data, has_labels=True, truth=truth)
    kept = rng.random(len(image)) < finds
    made_up = np.repeat(np.arange(n), alarms)
    wide = rng.uniform(15, 40, (len(made_up), 2))
    start = rng.uniform(0, SIDE - wide)
    answers = detections(
        np.concatenate([image[kept], made_up]),
        np.concatenate([corners[kept], np.concatenate([start, start + wide], axis=1)]),
        np.concatenate([classes[kept], rng.integers(0, 2, len(made_up))]),
        np.full(kept.sum() + len(made_up), 0.9),
    )
    spec = worlds.spec(model={**DETECTOR, "classes": ("a", "b")})
    evidence = worlds.evidence(model=worlds.facts(task="detection", classes=("a", "b")), spec=spec)
    return evidence.add_found(data, answers)


def found_gain(worlds, **world):
    return worlds.measures(Baseline(), placed(worlds, **world))["objects-found-gain:@test"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("alarms", [1, 5])
def test_a_detector_that_looks_gains_and_one_that_guesses_does_not(worlds, seed, alarms):
    assert is_shown_above_0(found_gain(worlds, seed=seed, finds=0.5, alarms=alarms))
    assert not is_shown_above_0(found_gain(worlds, seed=seed, finds=0.0, alarms=alarms))


@pytest.mark.parametrize("seed", range(6))
def test_a_detector_that_finds_nothing_is_shown_to_find_less_than_one_box(worlds, seed):
    found = found_gain(worlds, seed=seed, finds=0.0, n=500, alarms=0)
    assert p_value(found.estimate, limit=0.0, exceeds="below") <= 0.05


def test_where_all_things_lie_in_one_place_a_box_there_finds_most_of_a_class(worlds):
    found = found_gain(worlds, seed=1, finds=0.9, place="one")
    assert 0.6 < value(found.sides[1].estimate) < 0.9
    said = worlds.sentence(Baseline, found)
    assert said.startswith("Giving every image the same 3 boxes would find ")
    assert "; the model finds " in said


def test_boxes_are_chosen_on_units_that_they_are_not_counted_on(worlds):
    # Twenty boxes, and as many objects in a half: chosen by the same ones they would find all.
    world = placed(worlds, seed=2, finds=0.5, n=24, alarms=20)
    found = worlds.measures(Baseline(), world)["objects-found-gain:@test"]
    assert value(found.sides[1].estimate) < 0.5
    assert (found.of, found.n) == ("object", len(world.dataset("test").truth.boxes))
