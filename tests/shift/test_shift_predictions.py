import dataclasses

import numpy as np
import pandas as pd
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, detections
from scipy.special import softmax
from scipy.stats import entropy, ks_2samp

from auditor.findings import Table, Unmeasured
from auditor.shift.predictions import PredictionShift
from auditor.stats import p_value, value

CLASSES = ("a", "b", "c")


def world(worlds, *, seed, lean=0.0, sharp=1.0, n=200, copies=1, classes=CLASSES):
    """Softmax of noise; deployment leans to class b, and is `sharp` times as sure."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split in ("test", "deployment"):
        logits = np.repeat(rng.normal(size=(n, len(classes))), copies, axis=0)
        logits = logits + 0.05 * rng.normal(size=logits.shape)
        if split == "deployment":
            logits[:, 1] += lean
            logits *= sharp
        units = np.repeat(np.arange(n), copies) if copies > 1 else None
        labels = np.full(n * copies, -1)
        dataset = worlds.dataset(labels, split=split, classes=classes, units=units)
        evidence.add(dataset, softmax(2 * logits, axis=1).astype(np.float32))
    return evidence


@pytest.mark.parametrize("seed", range(6))
def test_answers_that_lean_to_a_class_are_shown(worlds, seed):
    found = worlds.measures(PredictionShift(), world(worlds, seed=seed, lean=1.0))
    score, share = found["auc:class=b@deployment"], found["class-share:class=b@deployment"]
    assert p_value(score.estimate, limit=0.55, exceeds="above") <= 0.05
    assert score.facts["ks_p_adjusted"] <= 0.01
    assert p_value(share.estimate, limit=0.0, exceeds="above") <= 0.05
    assert "points higher" in worlds.sentence(PredictionShift, share)


@pytest.mark.parametrize("seed", range(5))
def test_a_surer_model_is_shown_by_certainty_not_by_class(worlds, seed):
    found = worlds.measures(PredictionShift(), world(worlds, seed=seed, sharp=0.4, n=400))
    assert found["auc:score=confidence@deployment"].facts["ks_p_adjusted"] <= 0.01
    assert value(found["auc:score=confidence@deployment"].estimate) < 0.5
    assert value(found["auc:score=entropy@deployment"].estimate) > 0.5
    share = found["class-share:class=b@deployment"]
    assert p_value(share.estimate, limit=0.1, exceeds="above") > 0.05


@pytest.mark.parametrize("copies", [1, 4])
def test_one_source_is_rarely_told_apart(worlds, copies):
    tested = 0
    for seed in range(40):
        evidence = world(worlds, seed=seed, n=60, copies=copies)
        found = worlds.measures(PredictionShift(), evidence).values()
        tested += min(m.facts.get("ks_p_adjusted", 1.0) for m in found) <= 0.05
    assert tested <= 6


def test_scores_agree_with_scipy(worlds):
    evidence = world(worlds, seed=1, lean=0.3, n=60)
    found = worlds.measures(PredictionShift(), evidence)
    test, deployment = (
        np.asarray(evidence.answers(split).probabilities, dtype=float)
        for split in ("test", "deployment")
    )
    expected = ks_2samp(entropy(test, axis=1), entropy(deployment, axis=1), method="exact").pvalue
    # Dealt 999 times.
    assert found["auc:score=entropy@deployment"].facts["ks_p"] == pytest.approx(expected, abs=0.05)
    pairs = (test[:, [1]] < deployment[:, 1]).mean()
    assert value(found["auc:class=b@deployment"].estimate) == pytest.approx(pairs, abs=1e-6)


def test_two_classes_give_one_score_and_confidence(worlds):
    evidence = world(worlds, seed=1, classes=("a", "b"))
    found = worlds.measures(PredictionShift(), evidence)
    assert {name for name in found if name.startswith("auc")} == {
        "auc:class=b@deployment",
        "auc:score=confidence@deployment",
    }
    assert sum(name.startswith("class-share") for name in found) == 2


def test_many_classes_are_cut_to_twenty_scores(worlds):
    evidence = world(worlds, seed=1, classes=tuple(f"c{i}" for i in range(50)))
    found = worlds.measures(PredictionShift(), evidence)
    assert sum(name.startswith("auc") for name in found) == 20
    (table,) = [r for r in PredictionShift().run(evidence) if isinstance(r, Table)]
    assert len(table.rows) == 20
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_too_few_images_have_a_reason(worlds):
    (result,) = PredictionShift().run(world(worlds, seed=1, n=29))
    assert isinstance(result, Unmeasured)
    assert "29 test images and 29 deployment images" in result.reason


def test_a_model_that_answers_all_alike_still_has_shares(worlds):
    evidence = worlds.evidence()
    for split in ("test", "deployment"):
        dataset = worlds.dataset(np.full(50, -1), split=split)
        evidence.add(dataset, worlds.probabilities(np.zeros(50, int)))
    found = worlds.measures(PredictionShift(), evidence)
    assert set(found) == {"class-share:class=a@deployment", "class-share:class=b@deployment"}


PARTS = ("cup", "plate")


def boxes_of(rng, n, *, mean, lean, score, side, stretch):
    """Boxes of two classes, a Poisson number an image, with scores about one that is shown.

    Their width and height lie about `side`, times and over `stretch`.
    """
    counts = rng.poisson(mean, n)
    total = int(counts.sum())
    start = rng.uniform(0, 200, (total, 2))
    scores = np.clip(rng.normal(score, 0.05, total), 0.5, 1.0)
    classes = (rng.random(total) < lean).astype(int)
    sides = side * np.exp(rng.normal(0, 0.1, (total, 2))) * [stretch, 1 / stretch]
    return detections(
        np.repeat(np.arange(n), counts), np.hstack([start, start + sides]), classes, scores
    )


def detector(worlds, *, seed, n=150, larger=1, **deployed):
    """Deployment images are `larger` times as wide and as high."""
    rng = np.random.default_rng(seed)
    spec = worlds.spec(model={**DETECTOR, "classes": PARTS})
    evidence = boxed_evidence(worlds, spec, PARTS)
    usual = {"mean": 3.0, "lean": 0.3, "score": 0.75, "side": 9.0, "stretch": 1.0}
    for split, changed in (("test", {}), ("deployment", deployed)):
        data = boxed(worlds, PARTS, np.zeros((n, 2), dtype=bool), split=split)
        evidence.add_found(data, boxes_of(rng, n, **{**usual, **changed}))
        wide = 300.0 * (larger if split == "deployment" else 1)
        evidence.scans[split, "sound"] = pd.DataFrame(
            {"image_id": data.image_ids[::-1], "width": wide, "height": wide}
        )
    return evidence


def differs(measure):
    return measure.facts["ks_p_adjusted"] <= 0.01 and abs(value(measure.estimate) - 0.5) > 0.1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"mean": 6.0}, "auc:score=box%20count@deployment"),
        ({"score": 0.65}, "auc:score=mean%20box%20score@deployment"),
        ({"lean": 0.8}, "auc:class=plate@deployment"),
        ({"side": 10.0}, "auc:score=mean%20box%20area@deployment"),
        ({"larger": 2}, "auc:score=mean%20box%20area@deployment"),
        ({"stretch": 1.1}, "auc:score=mean%20box%20aspect@deployment"),
    ],
)
def test_other_numbers_scores_shapes_and_classes_of_boxes_are_shown(worlds, seed, changed, shown):
    found = worlds.measures(PredictionShift(), detector(worlds, seed=seed, **changed))
    assert differs(found[shown])
    if "mean" not in changed:
        assert not differs(found["auc:score=box%20count@deployment"])
    if "lean" in changed:
        share = found["class-share:class=plate@deployment"]
        assert p_value(share.estimate, limit=0.1, exceeds="above") <= 0.05
        assert not differs(found["auc:score=mean%20box%20score@deployment"])


def test_area_is_a_share_of_the_image_and_aspect_is_no_area(worlds):
    found = worlds.measures(PredictionShift(), detector(worlds, seed=1, larger=2, side=18.0))
    assert not differs(found["auc:score=mean%20box%20area@deployment"])
    found = worlds.measures(PredictionShift(), detector(worlds, seed=1, stretch=1.3))
    assert not differs(found["auc:score=mean%20box%20area@deployment"])
    aspect = found["auc:score=mean%20box%20aspect@deployment"]
    assert aspect.facts["median_test"] == pytest.approx(1, abs=0.03)
    assert aspect.facts["median_deployment"] == pytest.approx(1.3**2, abs=0.05)


def test_boxes_of_one_source_are_rarely_told_apart(worlds):
    told = 0
    for seed in range(20):
        found = worlds.measures(PredictionShift(), detector(worlds, seed=seed, n=80)).values()
        told += min(m.facts.get("ks_p_adjusted", 1.0) for m in found) <= 0.05
    assert told <= 3


def test_what_is_said_of_boxes_has_words_and_counts_them(worlds):
    evidence = detector(worlds, seed=1, mean=5.0)
    results = list(PredictionShift().run(evidence))
    assert worlds.unfilled(PredictionShift, results) == []
    found = worlds.measures(PredictionShift(), evidence)
    sentence = worlds.sentence(PredictionShift, found["auc:class=plate@deployment"])
    assert sentence.startswith("The number of boxes of plate")
    counts = [evidence.scored(s, of="image").presence.answers.sum(axis=1)
              for s in ("test", "deployment")]  # fmt: skip
    count = found["auc:score=box%20count@deployment"]
    assert count.facts["median_deployment"] == np.median(counts[1])
    below = (counts[0][:, None] < counts[1]).mean() + (counts[0][:, None] == counts[1]).mean() / 2
    assert value(count.estimate) == pytest.approx(below)


def test_scores_of_boxes_are_not_compared_where_hardly_an_image_has_one(worlds):
    results = list(PredictionShift().run(detector(worlds, seed=1, mean=0.05)))
    few = [r.reason for r in results if isinstance(r, Unmeasured)]
    assert len(few) == 3
    for reason, said in zip(few, ("score", "area", "aspect"), strict=True):
        assert f"deployment images with a mean box {said}" in reason
        assert "test images" not in reason


@pytest.mark.parametrize("crack", [0.1, 0.3])
def test_another_share_of_pixels_of_a_class_is_shown(worlds, crack):
    rng = np.random.default_rng(3)
    spec = worlds.spec(model={**SEGMENTER, "classes": ("path", "crack")})
    facts = worlds.facts(task="segmentation", classes=("path", "crack"))
    evidence = worlds.evidence(model=facts, spec=spec)
    for split, share in (("test", 0.1), ("deployment", crack)):
        # Images of several sizes: numbers of pixels tell them apart, shares do not.
        side = 20 if split == "test" else 40
        maps = [(rng.random((side, side)) < share * rng.random()).astype(int) for _ in range(100)]
        data = worlds.dataset([-1] * 100, classes=("path", "crack"), split=split)
        data = dataclasses.replace(data, has_labels=False)
        evidence.add_maps(data, maps, [None] * 100)
    found = worlds.measures(PredictionShift(), evidence)
    area = found["auc:class=crack@deployment"]
    assert differs(area) == (crack == 0.3)
    assert worlds.sentence(PredictionShift, area).startswith("The share of pixels of crack")
    assert not [m for m in found.values() if m.subject.get("score")]
