import dataclasses

import numpy as np
import pytest

from auditor.checks import model_consistency
from auditor.checks.model_consistency import Consistency
from auditor.findings import Unmeasured
from auditor.models.predictor import Prediction
from auditor.stats import p_value, value

LIMIT = 0.01
N = 64


@dataclasses.dataclass
class StubModel:
    """Answers by the mean of each frame's first channel, moved by a fault of the given kind."""

    fault: str = "none"
    calls: int = 0

    def predict(self, frames, *, input=None, embedding=False, output=()):
        self.calls += 1
        level = frames[..., 0].reshape(len(frames), -1).mean(axis=1) / 255
        level = self._faulty(level, frames)
        probabilities = np.stack([1 - level, level], axis=1).astype(np.float32)
        return Prediction(probabilities, None)

    def _faulty(self, level, frames):
        n = len(level)
        if self.fault == "batch":  # leans on the images beside it
            return level + 0.5 * (level.mean() - level) * (n > 8)
        if self.fault == "luck":
            return np.random.default_rng(self.calls).random(n)
        turned = {
            "none": np.zeros(n, dtype=bool),
            "order": np.arange(n) == 0,  # the first of a batch is answered otherwise
            "place": np.arange(n) == 4,
            "copies": np.full(n, n == 2 and bool((frames[0] == frames[-1]).all())),
            "single": np.full(n, n == 1),
            "calls": np.full(n, self.calls > 10),
            "ended": np.ones(n, dtype=bool),  # from before this check on
        }
        return np.where(turned[self.fault], 1 - level, level)


def world(worlds, *, fault="none", n=N, spec=None):
    rng = np.random.default_rng(0)
    level = rng.integers(20, 236, n)
    frames = np.broadcast_to(level[:, None, None, None], (n, 8, 8, 3)).astype(np.uint8)
    evidence = worlds.evidence(
        spec=spec or worlds.spec(),
        frame_stacks={"test": frames},
        predictors={"as-given": StubModel(fault)},
    )
    # What the audit measured at its start, before the model had counted any call.
    measured = StubModel().predict(frames).probabilities
    return evidence.add(worlds.dataset(rng.integers(0, 2, n)), measured)


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def test_a_steady_model_changes_no_answer(worlds):
    found = worlds.measures(Consistency(), world(worlds))
    names = {m.name for m in found.values()}
    assert names == {"batch-disagreement", "order-disagreement", "repeat-disagreement",
                     "end-disagreement", "largest-probability-difference"}  # fmt: skip
    for measure in found.values():
        assert value(measure.estimate) == 0
        assert measure.n == N
    assert not worlds.unfilled(Consistency, found.values())


@pytest.mark.parametrize(
    ("fault", "shown", "unharmed"),
    [
        ("batch", "batch", ("repeat",)),
        ("order", "order", ("repeat",)),
        ("luck", "repeat", ()),
        ("place", "order", ("repeat",)),
        ("copies", "batch", ("repeat", "order", "end")),
        ("single", "batch", ("repeat", "order", "end")),
        ("calls", "end", ()),
        ("calls", "repeat", ()),
        ("ended", "end", ("repeat", "order", "batch")),
    ],
)
def test_a_planted_fault_is_shown_in_its_own_measure(worlds, fault, shown, unharmed):
    evidence = world(worlds, fault=fault)
    if fault == "batch":
        # Levels to one side of the decision, so that leaning on the batch's mean tips many.
        frames = np.full((N, 8, 8, 3), 125, dtype=np.uint8)
        frames[::3] = 250
        evidence.frame_stacks["test"] = frames
    found = worlds.measures(Consistency(), evidence)
    measure = found[f"{shown}-disagreement:@test"]
    assert exceeds(measure)
    assert 0 < len(measure.examples) <= 12
    assert set(measure.examples) <= set(evidence.dataset("test").image_ids)
    for name in unharmed:
        assert value(found[f"{name}-disagreement:@test"].estimate) == 0


def test_shuffled_answers_are_put_back_in_their_order(worlds):
    found = worlds.measures(Consistency(), world(worlds))
    assert value(found["largest-probability-difference:way=order@test"].estimate) == 0


def test_too_few_images_are_not_measured(worlds):
    (result,) = Consistency().run(world(worlds, n=9))
    assert isinstance(result, Unmeasured)
    assert "9" in result.reason


@pytest.fixture
def reference_spec(worlds, tmp_path):
    return worlds.spec(
        model={
            "path": "model.onnx",
            "classes": ("a", "b"),
            "input": {"size": (8, 8)},
            "reference": "reference.onnx",
        },
        folder=tmp_path,
    )


def patched(monkeypatch, model):
    from auditor.checks import model_consistency

    monkeypatch.setattr(model_consistency, "load_model", lambda *a, **k: model)


def test_a_reference_that_answers_alike_shows_nothing(worlds, reference_spec, monkeypatch):
    patched(monkeypatch, StubModel())
    found = worlds.measures(Consistency(), world(worlds, spec=reference_spec))
    assert value(found["reference-disagreement:@test"].estimate) == 0


def test_a_reference_that_answers_otherwise_is_shown(worlds, reference_spec, monkeypatch):
    patched(monkeypatch, StubModel("luck"))
    found = worlds.measures(Consistency(), world(worlds, spec=reference_spec))
    assert exceeds(found["reference-disagreement:@test"])
    assert not exceeds(found["repeat-disagreement:@test"])


def test_a_reference_that_is_not_there_is_said(worlds, reference_spec):
    results = list(Consistency().run(world(worlds, spec=reference_spec)))
    (unmeasured,) = [r for r in results if isinstance(r, Unmeasured)]
    assert unmeasured.name == "reference-disagreement"
    assert "does not exist" in unmeasured.reason
    assert "model.reference" in unmeasured.remedy


@pytest.mark.parametrize(("side", "at_once"), [(64, 64), (224, 64), (448, 16), (640, 16)])
def test_large_images_are_not_put_in_all_at_once(side, at_once):
    frames = np.broadcast_to(np.uint8(0), (64, side, side, 3))
    assert model_consistency._together(frames) == at_once
