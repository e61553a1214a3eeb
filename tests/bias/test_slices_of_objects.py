"""bias/slices for models without a score for each class: objects of a detector, class maps."""

import numpy as np
import pandas as pd
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, said

from auditor.bias.slices import Slices
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import p_value, value

CLASSES = ("cup", "fork")


def world(worlds, *, seed, plant=None, n=900, drop=0.35):
    """Photos of up to two objects; `plant` "dim": objects of dim photos are missed more often.

    "lamp": in photos by lamplight more is said to be there that is not; "cup": cups are made up.
    """
    rng = np.random.default_rng(seed)
    holds = rng.random((n, 2)) < 0.7
    light = rng.choice(["lamp", "window"], n)
    brightness = rng.normal(100, 20, n)
    found = np.full((n, 2), 0.85) - [0.0, 0.2]
    if plant == "dim":
        found = found - drop * (brightness < 85)[:, None]
    extra = np.full((n, 2), 0.1)
    if plant == "lamp":
        extra[light == "lamp"] += drop
    if plant == "cup":
        extra[:, 0] += drop
    data = boxed(
        worlds, CLASSES, holds, units=np.arange(n) // 2, attributes={"light": ("condition", light)}
    )
    evidence = boxed_evidence(
        worlds, worlds.spec(model={**DETECTOR, "classes": CLASSES}), CLASSES
    ).add_found(
        data,
        said((holds & (rng.random((n, 2)) < found)) | (~holds & (rng.random((n, 2)) < extra))),
    )
    scan = {"image_id": data.image_ids, "mean": brightness, "std": rng.normal(50, 5, n)}
    evidence.scans["test", "sound"] = pd.DataFrame(scan)
    return evidence


def measures(evidence, *, of="object"):
    found = [r for r in Slices().run(evidence) if isinstance(r, Measure)]
    return [m for m in found if m.of in (of, "image")]


@pytest.mark.parametrize("seed", range(4))
def test_objects_missed_in_dim_photos_are_found_and_told(worlds, seed):
    count, first, *_ = measures(world(worlds, seed=seed, plant="dim"))
    assert (count.of, first.of, first.name) == ("object", "object", "objects-found")
    assert first.n < count.n < 900
    assert count.n_units is not None
    assert p_value(first.estimate, limit=-0.05, exceeds="below") <= 0.05
    rule = first.facts["rule"]
    assert rule.startswith("brightness at most 8") or rule.startswith("brightness at most 9")
    told = worlds.sentence(Slices, first)
    assert told.startswith(f"Slice 1, {rule}: objects found ")
    assert "found on one half of the objects, confirmed on the other." in told


@pytest.mark.parametrize("seed", range(4))
def test_false_alarms_by_lamplight_are_found_among_answers_and_no_object_is_missed(worlds, seed):
    evidence = world(worlds, seed=seed, plant="lamp", drop=0.5)
    count, first, *_ = measures(evidence, of="answer")
    assert (count.of, first.of, first.name) == ("answer", "answer", "answers-right")
    assert count.subject.get("part") == "answers"
    assert first.facts["rule"].startswith("lamp (light)")
    assert value(first.estimate) < -0.05
    assert p_value(first.estimate, limit=0, exceeds="below") <= 0.05
    rows = evidence.scored(of="answer")
    assert set(first.examples) <= set(rows.image_ids[~rows.right])
    told = worlds.sentence(Slices, first)
    assert told.startswith(f"Slice 1, {first.facts['rule']}: right answers ")
    assert "found on one half of the answers, confirmed on the other." in told
    assert len(measures(evidence)) == 1
    assert worlds.unfilled(Slices, list(Slices().run(evidence))) == []


def test_a_class_that_is_made_up_everywhere_is_no_slice(worlds):
    found = [measures(world(worlds, seed=s, plant="cup"), of="answer") for s in range(12)]
    assert sum(len(one) > 1 for one in found) <= 2


def test_photos_without_a_slice_have_none_though_forks_are_missed_more(worlds):
    """A class that is hard everywhere is no slice."""
    found = [len(measures(world(worlds, seed=seed))) - 1 for seed in range(12)]
    assert sum(n > 0 for n in found) <= 2


def test_table_and_picture_speak_of_objects(worlds):
    results = list(Slices().run(world(worlds, seed=1, plant="dim")))
    (table,) = [r for r in results if isinstance(r, Table) and r.id == "bias/slices:slices"]
    (figure,) = [r for r in results if isinstance(r, Figure) and r.title.startswith("Objects")]
    assert [c.name for c in table.columns][2:5] == ["objects", "trait", "objects found"]
    assert figure.title == "Objects found of confirmed slices"
    assert "half of the objects that had no part" in figure.caption


def test_an_object_that_was_missed_is_an_example(worlds):
    evidence = world(worlds, seed=2, plant="dim")
    first = measures(evidence)[1]
    rows = evidence.scored(of="object")
    missed = set(rows.image_ids[~rows.right])
    assert first.examples
    assert set(first.examples) <= missed


def test_few_units_have_a_reason(worlds):
    objects, answers = Slices().run(world(worlds, seed=0, n=60))
    assert (objects.subject.get("part"), answers.subject.get("part")) == (None, "answers")
    for reason in (objects, answers):
        assert isinstance(reason, Unmeasured)
        assert "with fewer than 40 nothing can be looked for" in reason.reason


def test_a_detector_that_says_nothing_has_no_answers_to_look_through(worlds):
    evidence = world(worlds, seed=0)
    data = evidence.dataset("test")
    evidence.add_found(data, said(np.zeros((len(data), 2), dtype=bool)))
    (reason,) = [r for r in Slices().run(evidence) if isinstance(r, Unmeasured)]
    assert reason.subject.get("part") == "answers"
    assert reason.reason.startswith("The test data has 0 labelled")


def test_class_maps_that_are_wrong_in_dim_photos_are_found(worlds):
    """Of a segmenter the rows are images: right where their overlap is at least a half."""
    rng = np.random.default_rng(5)
    n, side = 600, 8
    brightness = rng.normal(100, 20, n)
    truth = [rng.integers(0, 2, (side, side)).astype(np.int16) for _ in range(n)]
    right = rng.random(n) < np.where(brightness < 85, 0.5, 0.9)
    answers = [t if ok else (1 - t).astype(np.int16) for t, ok in zip(truth, right, strict=True)]
    classes = ("path", "hole")
    data = worlds.dataset([-1] * n, classes=classes)
    spec = worlds.spec(model={**SEGMENTER, "classes": classes})
    evidence = worlds.evidence(model=worlds.facts(task="segmentation", classes=classes), spec=spec)
    evidence.add_maps(data, answers, truth)
    evidence.scans["test", "sound"] = pd.DataFrame({"image_id": data.image_ids, "mean": brightness})
    count, first, *_ = measures(evidence)
    assert (count.of, first.name) == ("image", "images-overlapping")
    assert value(first.estimate) < -0.2
    assert first.facts["rule"].startswith("brightness at most 8")
