"""shift/geometry: a model that looks at places, and one that does not; things found where moved."""

import dataclasses

import numpy as np
import pytest
from found_worlds import detector, segmenter

from auditor.contract import Available
from auditor.data.views import Moved, ViewContext
from auditor.engine.plan import make_plan
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.shift.geometry import Geometry
from auditor.stats import interval, p_value, value

SHIFTED = "shifted%20by%204%20pixels"


def photographs(rng, n):
    """24 x 24 frames with a bright square of four pixels for class b, a dark one for a."""
    labels = rng.integers(0, 2, n)
    frames = rng.integers(90, 110, (n, 24, 24, 3)).astype(np.uint8)
    frames[:, 10:14, 10:14] = np.where(labels == 1, 200, 20)[:, None, None, None]
    return labels, frames


def by_place(frames):
    """Looks only where the square stands in the pictures it was made with."""
    return (frames[:, 10:14, 10:14].mean(axis=(1, 2, 3)) > 140).astype(int)


def anywhere(frames):
    """Looks for what stands out, wherever it is."""
    away = np.abs(frames.astype(float) - 100)
    flat = away.reshape(len(frames), -1).argmax(axis=1)
    return (frames.reshape(len(frames), -1)[np.arange(len(frames)), flat] > 100).astype(int)


def world(worlds, *, seed, model, n=200, check=Geometry()):  # noqa: B008 - a frozen value
    rng = np.random.default_rng(seed)
    labels, frames = photographs(rng, n)
    dataset = worlds.dataset(labels)
    evidence = worlds.evidence().add(dataset, worlds.probabilities(model(frames)))
    for view in check.views:
        seen = [view(f, ViewContext(str(i), seed, 0)) for i, f in enumerate(frames)]
        evidence.add(dataset, worlds.probabilities(model(np.stack(seen))), view=view)
    return evidence


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_looks_at_a_place_loses_by_a_shift(worlds, seed):
    found = worlds.measures(Geometry(), world(worlds, seed=seed, model=by_place))
    lost, kept = (found[f"{name}:moved={SHIFTED}@test"] for name in ("lost", "consistency"))
    assert p_value(lost.estimate, limit=0.05, exceeds="above") <= 0.05
    assert interval(kept.estimate).high < 0.8
    assert "are called the same after a move (shifted by 4 pixels)" in worlds.sentence(
        Geometry, kept
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_looks_everywhere_loses_nothing(worlds, seed):
    check = Geometry(moves=("shift", "turn", "smaller", "crop", "mirror"))
    evidence = world(worlds, seed=seed, model=anywhere, check=check)
    found = worlds.measures(check, evidence)
    assert len(found) == 12
    for measure in found.values():
        wanted = 1.0 if measure.name == "consistency" else 0.0
        assert value(measure.estimate) == pytest.approx(wanted, abs=0.01)
        if measure.name == "lost":
            assert p_value(measure.estimate, limit=0.05, exceeds="above") > 0.05


def test_consistency_is_the_share_of_answers_that_stay(worlds):
    evidence = world(worlds, seed=1, model=by_place)
    view = Moved("shift", 4)
    shot, moved = evidence.answers(), evidence.answers(view=view)
    found = worlds.measures(Geometry(), evidence)[f"consistency:moved={SHIFTED}@test"]
    same = shot.predicted == moved.predicted
    assert value(found.estimate) == pytest.approx(same.mean())
    assert set(found.examples) <= set(shot.image_ids[~same])
    tables = [r for r in Geometry().run(evidence) if isinstance(r, Table)]
    (table,) = tables
    line = next(row for row in table.rows if row[0] == "shifted by 4 pixels")
    assert line[3] == pytest.approx(same.mean())
    (figure,) = [r for r in Geometry().run(evidence) if isinstance(r, Figure)]
    assert [row["label"] for row in figure.rows] == [row[0] for row in table.rows]


def moved_pass(evidence, view, other):
    (scores,) = other.passes.values()
    evidence.passes["test", view.name, "as-given", None, "sound"] = scores


def test_objects_out_of_view_are_left_out_of_the_pair(worlds):
    check = Geometry(moves=("turn",))
    (view,) = check.views
    evidence = detector(worlds, seed=2)
    dataset, scores = next(iter(evidence.passes.values()))
    before = evidence.scored(of="object")
    crowd = [np.arange(len(c)) == 1 for c in scores["object_crowd"]]
    gone = scores.assign(object_crowd=crowd)
    evidence.passes["test", view.name, "as-given", None, "sound"] = (dataset, gone)
    found = worlds.measures(check, evidence)["lost:moved=turned%20by%205%20degrees@test"]
    assert found.n == len(before) * 2 // 3
    # Had the objects after the one that is gone taken its number, others would be compared.
    assert value(found.estimate) == pytest.approx(0)
    kept = worlds.measures(check, evidence)["consistency:moved=turned%20by%205%20degrees@test"]
    assert value(kept.estimate) == pytest.approx(1)


def test_detectors_and_segmenters_lose_of_their_own(worlds):
    check = Geometry(moves=("turn",))
    (view,) = check.views
    all_day = {"day": 0.6, "night": 0.6}
    for make, said in ((detector, "Objects found: "), (segmenter, "Mean overlap (IoU)")):
        evidence = make(worlds, seed=2)
        moved_pass(evidence, view, make(worlds, seed=2, missed=all_day))
        found = worlds.measures(check, evidence)
        lost = found["lost:moved=turned%20by%205%20degrees@test"]
        assert p_value(lost.estimate, limit=0.05, exceeds="above") <= 0.05
        assert worlds.sentence(Geometry, lost).startswith(said)
        kept = found["consistency:moved=turned%20by%205%20degrees@test"]
        assert interval(kept.estimate).high < 0.95


def test_nine_images_are_too_few_and_every_result_has_its_words(worlds):
    few = list(Geometry().run(world(worlds, seed=1, model=by_place, n=9)))
    assert all(isinstance(r, Unmeasured) for r in few)
    many = list(Geometry().run(world(worlds, seed=1, model=by_place, n=40)))
    assert worlds.unfilled(Geometry, few + many) == []


def test_the_plan_moves_a_sample_and_mirrors_only_where_asked(worlds):
    def planned(**checks):
        spec = worlds.spec(checks=checks)
        available = Available(spec, worlds.facts(), {"test": worlds.dataset([0, 1] * 300)})
        passes = make_plan(available, only=("shift/geometry",)).passes
        return {p.view.name: p.sample for p in passes if p.sample}

    names = ("shift 1", "shift 4", "turn 5", "smaller 0.9", "crop 0.9")
    assert planned() == dict.fromkeys(names, 200)
    own = {"shift/geometry": {"moves": ["mirror"], "sample": 50}}
    assert planned(**own) == {"mirror 1": 50}
    with pytest.raises(SpecError, match=r"checks\.shift/geometry\.moves"):
        planned(**{"shift/geometry": {"moves": ["jump"]}})
    assert dataclasses.replace(Geometry(), moves=("mirror",)).views == (Moved("mirror", 1),)
