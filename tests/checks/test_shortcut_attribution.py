"""shortcut/attribution: maps of models that look at a corner, at the object, nowhere."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from detector_worlds import DETECTOR, SEGMENTER, boxes, detections
from torch import nn

from auditor.checks.attribution_maps import rank_correlation
from auditor.checks.attribution_targets import SurestBox, objects_in
from auditor.checks.occlusion import (
    border_of,
    filled,
    hidden,
    integrated_gradients,
    is_flat,
    share_on,
    windows,
)
from auditor.checks.shortcut_attribution import Attribution
from auditor.data.truth import BoxTruth
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.models.answers import ClassMap, Detections
from auditor.models.contained import randomised_form
from auditor.models.load import load_model
from auditor.models.predictor import Prediction
from auditor.stats import interval, value

SIDE = 16
MARKER = {"name": "app marker", "region": (0.0, 0.75, 0.25, 1.0)}
TINT = {"name": "tint", "transform": "tint"}
"""It has no place in the picture, so that no share lies on it."""
MODEL = {"path": "m.pt", "classes": ("a", "b"), "input": {"size": (SIDE, SIDE)}}


class ByRegion:
    """Log odds of class b rise with the brightness of a region."""

    def __init__(self, rows, columns, *, slope=0.1):
        self.where, self.slope = (slice(None), rows, columns), slope

    def predict(self, frames, **_):
        bright = frames[self.where].reshape(len(frames), -1).mean(axis=1) - 100
        p = 1 / (1 + np.exp(-self.slope * bright))
        return Prediction(np.stack([1 - p, p], axis=1).astype(np.float32))


CORNER, MIDDLE = ByRegion(slice(12, 16), slice(0, 4)), ByRegion(slice(6, 10), slice(6, 10))


def frames_of(seed, n=24):
    """Noise around grey whose regions vary from image to image."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(110, 10, (n, SIDE, SIDE, 3))
    cells = rng.normal(0, 40, (n, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(frames + cells[..., None], 0, 255).astype(np.uint8)


def world(worlds, *, model, seed=0, n=24, task="classification", spec=None, dataset=None):
    spec = spec or worlds.spec(model=MODEL, shortcuts=(MARKER, TINT))
    evidence = worlds.evidence(spec=spec, model=worlds.facts(task=task, format="torchscript"))
    evidence.add(dataset or worlds.dataset([0] * n))
    evidence.frame_stacks["test"] = frames_of(seed, n)
    evidence.predictors["as-given"], evidence.paths["as-given"] = model, None
    return evidence


@pytest.fixture(autouse=True)
def no_file(monkeypatch):
    """Worlds have no model file; nothing can be exchanged in it."""
    monkeypatch.setattr("auditor.checks.shortcut_attribution.randomised_form", lambda *a, **k: b"")


def on(found, **keys):
    """The share on a part with the mean fill."""
    wanted = {"fill": "mean", "method": "occlusion", **keys}
    (one,) = [m for m in found.values() if m.name == "share-on" and dict(m.subject.keys) == wanted]
    return one


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_looks_at_the_corner_is_shown(worlds, seed):
    found = worlds.measures(Attribution(), world(worlds, model=CORNER, seed=seed))
    assert value(on(found, artefact="app marker").estimate) == pytest.approx(1)
    assert interval(on(found, part="border").estimate).low > 0.5
    said = worlds.sentence(Attribution, on(found, artefact="app marker"))
    assert "lies on the region of app marker, which is 6% of the picture (occlusion" in said


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_looks_at_the_middle_is_not(worlds, seed):
    found = worlds.measures(Attribution(), world(worlds, model=MIDDLE, seed=seed))
    assert value(on(found, artefact="app marker").estimate) == pytest.approx(0)
    assert value(on(found, part="border").estimate) == pytest.approx(0)
    assert {m.subject.get("artefact") for m in found.values()} == {None, "app marker"}
    assert {m.subject.get("fill") for m in found.values()} == {"mean", "blurred"}


def test_a_share_has_an_interval_also_where_every_map_agrees(worlds):
    found = worlds.measures(Attribution(), world(worlds, model=MIDDLE))
    for measure in found.values():
        ends = interval(measure.estimate)
        assert 0 <= ends.low <= ends.high <= 1
        assert ends.high > ends.low


def test_flat_maps_are_no_result(worlds):
    flat = ByRegion(slice(0, 4), slice(0, 4), slope=0.0)
    results = list(Attribution().run(world(worlds, model=flat)))
    assert all(isinstance(r, Unmeasured) for r in results)
    assert "maps are flat: hiding any part of 24 images changes no score" in results[0].reason


def test_nine_images_are_too_few(worlds):
    results = list(Attribution().run(world(worlds, model=CORNER, n=9)))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert not any(isinstance(r, Measure) for r in results)
    assert "9 images" in reasons[0].reason


def test_what_is_shown_of_maps(worlds):
    results = list(Attribution().run(world(worlds, model=CORNER)))
    (figure,) = [r for r in results if isinstance(r, Figure)]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert sum(row["value"] for row in figure.rows) == pytest.approx(1)
    top = max(figure.rows, key=lambda row: row["value"])
    assert int(top["row"]) >= 7
    assert int(top["column"]) <= 2
    assert all(len(row) == len(table.columns) for row in table.rows)
    (reason,) = [r for r in results if isinstance(r, Unmeasured)]
    assert "torchscript file cannot be exchanged" in reason.reason


# Detectors and segmenters


class Detecting:
    """Finds a box in the middle, as sure as a region elsewhere is bright; nothing if it is dark."""

    def predict(self, frames, **_):
        found = []
        for frame in frames:
            sure = float(np.clip(frame[12:16, 0:4].mean() / 255, 0, 1))
            found.append(Detections(np.array([[4.0, 4, 12, 12]]), np.array([sure]), np.array([1])))
        return Prediction.answered(found)


def boxed_dataset(worlds, n=24):
    truth = boxes(np.arange(n), [[4, 4, 12, 12]] * n, [1] * n)
    size = {"width": [SIDE] * n, "height": [SIDE] * n, "orientation": [1] * n}
    dataset = worlds.dataset([-1] * n, extra=size)
    known = np.ones(n, dtype=bool)
    return dataclasses.replace(dataset, truth=BoxTruth(truth, known), has_labels=True)


def test_a_detectors_box_may_hang_on_what_lies_outside_it(worlds):
    model = DETECTOR | {"classes": ("a", "b"), "input": {"size": (SIDE, SIDE)},
                        "operating_point": {"confidence": 0.2}}  # fmt: skip
    spec = worlds.spec(model=model, shortcuts=(MARKER,))
    data = boxed_dataset(worlds)
    evidence = world(worlds, model=Detecting(), task="detection", spec=spec, dataset=data)
    found = worlds.measures(Attribution(), evidence)
    assert value(on(found, part="object").estimate) == pytest.approx(0)
    assert value(on(found, artefact="app marker").estimate) == pytest.approx(1)
    reasons = [r.reason for r in Attribution().run(evidence) if isinstance(r, Unmeasured)]
    assert reasons == ["Of a network with exchanged weights no box or region can be followed."]


def test_the_score_is_that_of_the_same_box():
    shot = detections([0, 0], [[0, 0, 8, 8], [8, 8, 16, 16]], [1, 0], [0.9, 0.8])
    shot = Detections(shot.corners, shot.scores, shot.classes)
    target = SurestBox.of(shot, confidence=0.3)
    moved = Detections(np.array([[1.0, 1, 9, 9]]), np.array([0.7]), np.array([1]))
    other = Detections(np.array([[0.0, 0, 8, 8]]), np.array([0.7]), np.array([0]))
    none = Detections(np.empty((0, 4)), np.empty(0), np.empty(0, dtype=np.int64))
    found = target.scores(Prediction.answered([moved, other, none]))
    assert found.tolist() == [0.7, 0.0, 0.0]
    assert SurestBox.of(shot, confidence=0.95) is None
    assert SurestBox.of(none, confidence=0.1) is None


class Segmenting:
    """Sees a class in the middle while a corner is bright."""

    def predict(self, frames, **_):
        maps = np.zeros((len(frames), SIDE, SIDE), dtype=np.int16)
        bright = frames[:, 12:16, 0:4].mean(axis=(1, 2, 3)) > 60
        maps[bright, 4:12, 4:12] = 1
        return Prediction.answered([ClassMap(one) for one in maps])


def test_a_segmenters_region_hangs_on_what_it_looks_at(worlds):
    model = SEGMENTER | {"classes": ("a", "b"), "input": {"size": (SIDE, SIDE)}}
    spec = worlds.spec(model=model, shortcuts=(MARKER,))
    evidence = world(worlds, model=Segmenting(), task="segmentation", spec=spec)
    evidence.frame_stacks["test"][:, 12:16, 0:4] = 250
    evidence.frame_stacks["test"][:, :12] = 0
    found = worlds.measures(Attribution(grid=4, fills=("mean",)), evidence)
    assert value(on(found, artefact="app marker").estimate) == pytest.approx(1)


def test_annotated_objects_lie_where_the_frame_shows_them(worlds):
    data = boxed_dataset(worlds, n=2)
    input = worlds.spec(model=MODEL).model.input.model_copy(update={"size": (8, 32)})
    mask = objects_in(data, input)[0]
    assert mask.shape == (8, 32)
    assert mask[2:6, 8:24].all()
    assert mask.sum() == 4 * 16
    assert objects_in(worlds.dataset([0, 1]), input) == [None, None]


# The maps themselves


@pytest.mark.parametrize("size", [(16, 16), (17, 31)])
def test_windows_cover_each_pixel_once(size):
    count = np.zeros(size, dtype=int)
    for where in windows(size, 8):
        count[where] += 1
    assert (count == 1).all()
    assert 0.4 < border_of(size, 8).mean() < 0.5
    frame = frames_of(1, 1)[0][: size[0], : size[1]]
    seen = hidden(frame, np.zeros_like(frame), 4)
    assert seen.shape[0] == 16
    whole = seen.astype(int).sum(axis=0)
    assert (whole == 15 * frame.astype(int)).all()


def test_fills_are_of_pixels():
    frame = frames_of(2, 1)[0]
    assert np.abs(filled(frame, "mean")[0, 0] - frame.mean(axis=(0, 1))).max() <= 0.5
    assert (filled(frame, "grey") == 127).all()
    blurred = filled(frame, "blurred")
    assert blurred.std() < 0.8 * frame.std()
    assert blurred.shape == frame.shape


def test_a_share_counts_cells_by_their_overlap():
    found = np.array([[1.0, 0.0], [0.0, 3.0]])
    part = np.zeros((4, 4), dtype=bool)
    part[:, 2:] = True
    assert share_on(found, part) == pytest.approx(0.75)
    part[2:, 3] = False
    assert share_on(found, part) == pytest.approx(0.375)
    assert is_flat(np.zeros((2, 2)))


def test_rank_correlation_is_spearmans():
    """Against scipy's, with ties."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 5, (2, 6, 6)).astype(float)
    expected = spearmanr(first.reshape(-1), second.reshape(-1)).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, np.ones((6, 6))) == 0


# Real networks


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * 16, 2)

    def forward(self, x):
        x = nn.functional.avg_pool2d(torch.tanh(self.conv(x)), 4)
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("net")
    torch.manual_seed(1)
    net = Net().eval()
    torch.save(net.state_dict(), folder / "net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.zeros(1, 3, SIDE, SIDE),), folder / "net.onnx", dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return folder, net


class Gradient:
    """Gradients of a torch network by normalised input, as a predictor gives them."""

    def __init__(self, net, input):
        self.net, self.input = net, input

    def tensor(self, frames):
        x = torch.as_tensor(np.asarray(frames, dtype=np.float32)).permute(0, 3, 1, 2)
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (self.input.mean, self.input.std))
        return (x / self.input.scale - mean) / std

    def gradients(self, frames, classes):
        x = self.tensor(frames).requires_grad_(True)
        out = self.net(x)[torch.arange(len(x)), torch.as_tensor(classes)].sum()
        return torch.autograd.grad(out, x)[0].numpy()


def test_integrated_gradients_sum_to_the_change_of_the_logit(worlds, weights):
    """Completeness (Sundararajan et al. 2017), against the network itself."""
    _, net = weights
    given = {"size": (SIDE, SIDE), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4), "scale": 255.0}
    input = worlds.spec(model=MODEL | {"input": given}).model.input
    model = Gradient(net, input)
    frame = frames_of(5, 1)[0]
    fill = filled(frame, "mean")
    found = integrated_gradients(model, frame, fill, label=1, input=input, steps=64)
    with torch.no_grad():
        logits = net(model.tensor(np.stack([frame, fill])))[:, 1]
    assert found.sum() == pytest.approx(float(logits[0] - logits[1]), rel=0.02)


@pytest.mark.parametrize("kind", ["net.pt", "net.onnx"])
def test_exchanged_weights_are_the_same_numbers_elsewhere(worlds, weights, kind):
    folder, net = weights
    spec = worlds.spec(model=MODEL | {"path": kind}).model_copy(update={"folder": folder})
    made = randomised_form(folder / kind, model=spec.model, seed=3)
    assert made == randomised_form(folder / kind, model=spec.model, seed=3)
    assert made != randomised_form(folder / kind, model=spec.model, seed=4)
    assert made != (folder / kind).read_bytes()
    (folder / f"random-{kind}").write_bytes(made)
    if kind.endswith("pt"):
        found = torch.load(folder / f"random-{kind}", weights_only=True)
        for name, own in net.state_dict().items():
            assert torch.equal(found[name].flatten().sort()[0], own.flatten().sort()[0])
            assert torch.equal(found[name], own) == (own.ndim < 2)
    else:
        spec = worlds.spec(model=MODEL | {"path": f"random-{kind}"})
        spec = spec.model_copy(update={"folder": folder})
        model = load_model(spec, classes=("a", "b"))
        answers = model.predict(frames_of(1, 4)).probabilities
        with torch.no_grad():
            own = net(torch.as_tensor(frames_of(1, 4)).permute(0, 3, 1, 2) / 255.0).softmax(1)
        assert np.abs(answers - own.numpy()).max() > 1e-3
