"""shortcut/texture: a model that reads stripes, one that reads the layout; cues in conflict."""

import dataclasses

import numpy as np
import pytest
from detector_worlds import SEGMENTER
from found_worlds import detector, segmenter
from PIL import Image

from auditor.checks.shortcut_texture import (
    CueConflictImages,
    FilteredAnswers,
    ShuffledAnswers,
    SilhouetteAnswers,
    Texture,
    _changes,
    share_left,
    silhouettes,
)
from auditor.contract import Available
from auditor.data.cue_conflict import IMAGENET_16, read_cue_conflicts
from auditor.data.shape_and_texture import (
    Grey,
    HighPass,
    LowPass,
    PatchesShuffled,
    Silhouettes,
)
from auditor.data.views import AS_SHOT, ViewContext
from auditor.errors import DataError
from auditor.findings import Figure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.models.predictor import Prediction
from auditor.record import CheckResults
from auditor.stats import interval, value

SIDE = 32
SHUFFLED = "by=4%20x%204%20patches%20shuffled,without=shape@test"
BLURRED = "by=a%20blur%20of%203.1%25%20of%20its%20side,without=texture@test"


def photographs(rng, n):
    """32 x 32: class b has stripes that stand and its light on the left, in nine of ten each."""
    labels = rng.integers(0, 2, n)
    upright, left = (np.where(rng.random(n) < 0.92, labels, 1 - labels) for _ in range(2))
    wave = np.where(np.arange(SIDE) % 2, 25, -25)
    frames = rng.normal(110, 4, (n, SIDE, SIDE, 3))
    stripes = np.where(upright[:, None, None] == 1, wave[None, None, :], wave[None, :, None])
    half = np.where(np.arange(SIDE) < SIDE // 2, 30, -30)
    light = np.where(left[:, None] == 1, half, -half)[:, None, :]
    return labels, np.clip(frames + (stripes + light)[..., None], 0, 255).astype(np.uint8)


def by_texture(frames):
    grey = frames.mean(axis=3)
    across = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    return (across > np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))).astype(int)


def by_shape(frames):
    grey = frames.mean(axis=3)
    return (grey[:, :, :16].mean(axis=(1, 2)) > grey[:, :, 16:].mean(axis=(1, 2))).astype(int)


def world(worlds, *, seed, model, n=300, units=None, spec=None):
    rng = np.random.default_rng(seed)
    labels, frames = photographs(rng, n)
    dataset = worlds.dataset(labels, units=units)
    spec = spec or worlds.spec(model=MODEL)
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(model(frames)))
    for change in _changes(Texture().grids):
        seen = [change.view(f, ViewContext(str(i), seed, 0)) for i, f in enumerate(frames)]
        evidence.add(dataset, worlds.probabilities(model(np.stack(seen))), view=change.view)
    return evidence


MODEL = {"path": "model.onnx", "classes": ("a", "b"), "input": {"size": (SIDE, SIDE)}}


@pytest.fixture
def verdicts(worlds):
    """What the built-in policies say of measures."""

    def judged(found, limit="known-without-shape"):
        results = CheckResults(Texture.id, tuple(found.values()), ())
        said = set()
        for policy in ("default", "strict"):
            limits = [x for x in load_policy(policy).policy.limits if x.id == limit]
            (result,) = worlds.record(results, limits=limits).limit_results
            said.add(result.verdict.name)
        return said

    return judged


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_reads_the_texture_is_shown(worlds, verdicts, seed):
    evidence = world(worlds, seed=seed, model=by_texture)
    found = worlds.measures(Texture(), evidence)
    assert interval(found[f"survives:{SHUFFLED}"].estimate).low > 0.7
    assert value(found[f"survives:{BLURRED}"].estimate) < 0.3
    assert verdicts(found) == {"FAIL"}


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_reads_the_shape_is_not(worlds, verdicts, seed):
    evidence = world(worlds, seed=seed, model=by_shape)
    found = worlds.measures(Texture(), evidence)
    assert interval(found[f"survives:{SHUFFLED}"].estimate).high < 0.5
    assert interval(found[f"survives:{BLURRED}"].estimate).low > 0.8
    assert verdicts(found) == {"PASS"}


def test_what_survives_is_beyond_guessing(worlds):
    evidence = world(worlds, seed=3, model=by_shape)
    change = _changes((4,))[0]
    shot, cut = evidence.answers(), evidence.answers(view=change.view)
    guess = np.bincount(shot.labels).max() / len(shot)
    expected = (cut.correct.mean() - guess) / (shot.correct.mean() - guess)
    found = worlds.measures(Texture(), evidence)
    assert value(found[f"survives:{SHUFFLED}"].estimate) == pytest.approx(max(expected, 0))
    lost = found[f"lost:{SHUFFLED}"]
    assert value(lost.estimate) == pytest.approx(shot.correct.mean() - cut.correct.mean())
    said = worlds.sentence(Texture, found[f"survives:{BLURRED}"])
    assert "of always answering the commonest class is" in said
    assert worlds.sentence(Texture, lost).startswith("Accuracy: as shot ")


@pytest.mark.parametrize("photos", [1, 4])
def test_the_interval_of_what_survives_holds(photos):
    """90 of 100 right, 60 of 100 still right, half of each class: (.6 - .5) / (.9 - .5) is left."""
    rng, n, held = np.random.default_rng(11), 240, 0
    rooms = np.repeat(np.arange(n // photos), photos)
    guess = rooms % 2
    for _ in range(400):
        alike, own = rng.random(n // photos)[rooms], rng.random(n)
        hard = np.where(rng.random(n) < 0.7, alike, own) if photos > 1 else own
        parts = ((hard < share) - guess.astype(float) for share in (0.9, 0.6))
        ends = interval(share_left(*parts, unit=rooms if photos > 1 else None, most_lost=1))
        held += ends.low <= 0.25 <= ends.high
    assert 0.92 <= held / 400 <= 0.99


def test_nothing_lost_is_not_certain(worlds):
    """Where every answer stays, the interval comes from what could have been missed."""
    evidence = world(worlds, seed=1, model=by_shape)
    shot = evidence.answers()
    for change in _changes(Texture().grids):
        evidence.add(shot.dataset, shot.probabilities, view=change.view)
    for name, measure in worlds.measures(Texture(), evidence).items():
        ends = interval(measure.estimate)
        assert ends.high > ends.low, name


def test_without_better_than_guessing_nothing_is_left_to_measure(worlds):
    rng = np.random.default_rng(2)
    evidence = world(worlds, seed=1, model=lambda f: rng.integers(0, 2, len(f)))
    reasons = [r for r in Texture().run(evidence) if isinstance(r, Unmeasured)]
    assert {r.name for r in reasons} == {"survives"}
    assert "not shown to do better than always answering the commonest" in reasons[0].reason


def test_nine_images_are_too_few(worlds):
    results = list(Texture().run(world(worlds, seed=1, model=by_shape, n=9)))
    assert all(isinstance(r, Unmeasured) for r in results)
    assert "9 images" in results[0].reason


def test_table_and_curve_show_the_same(worlds):
    results = list(Texture().run(world(worlds, seed=1, model=by_texture)))
    (table,) = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert [row[1] for row in table.rows] == [c.by for c in _changes(Texture().grids)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    shuffled = [r["y"] for r in figure.rows if str(r["series"]).startswith("shape")]
    assert shuffled[1:] == pytest.approx([row[6] for row in table.rows[:3]])
    guess = {r["y"] for r in figure.rows if "commonest" in str(r["series"])}
    assert len(guess) == 1
    assert "4 x 4 patches shuffled" in figure.caption


@pytest.mark.parametrize(("make", "said"), [(detector, "Objects found"), (segmenter, "Mean over")])
def test_detectors_and_segmenters_are_blurred_and_not_shuffled(worlds, make, said):
    evidence = make(worlds, seed=2)
    worse = make(worlds, seed=2, missed={"day": 0.6, "night": 0.6})
    changes = list(Texture().filtered)
    if make is segmenter:
        changes.append(silhouettes(evidence.model.classes, evidence.spec))
    for change in changes:
        (scores,) = worse.passes.values()
        evidence.passes["test", change.view.name, "as-given", None, "sound"] = scores
    found = worlds.measures(Texture(), evidence)
    taken = {m.subject.get("without") for m in found.values()}
    assert taken - {"surface"} == {"texture", "shading", "colour"}
    assert ("surface" in taken) == (make is segmenter)
    left = found[f"survives:{BLURRED}"]
    assert value(left.estimate) < 0.85
    assert worlds.sentence(Texture, left).startswith(said)
    assert "commonest" not in worlds.sentence(Texture, left)


OUTLINES = "by=black%20silhouettes%20on%20white,without=surface@test"
MAPS = ("path", "hole", "leaf")


def _hole(frames):
    """Where a segmenter by outline sees a hole: whatever is dark, and wider than it is high."""
    dark = frames.mean(axis=3) < 60
    return [d & (d.any(axis=0).sum() > d.any(axis=1).sum()) for d in dark]


def _striped(frames):
    """Where one by texture sees it: rows of pixels that are striped."""
    steps = np.abs(np.diff(frames.mean(axis=3), axis=2, append=0)) > 15
    return [s & (np.roll(s, 1, axis=1)) for s in steps]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reads", [_hole, _striped])
def test_silhouettes_show_what_is_left_by_outline_alone(worlds, seed, reads):
    rng = np.random.default_rng(seed)
    n = 60
    truth, frames = np.zeros((n, 24, 24), np.int16), rng.normal(120, 2, (n, 24, 24, 3))
    for one, (y, x) in enumerate(rng.integers(2, 10, (n, 2))):
        wide = rng.integers(8, 13)
        truth[one, y : y + 4, x : x + wide] = 1
        frames[one, y : y + 4, x : x + wide] = np.where(np.arange(wide) % 2, 30, 55)[:, None]
    frames = frames.astype(np.uint8)
    dataset = dataclasses.replace(worlds.dataset([-1] * n, classes=MAPS), has_labels=True)
    spec = worlds.spec(model=SEGMENTER | {"classes": MAPS})
    evidence = worlds.evidence(model=worlds.facts(task="segmentation", classes=MAPS), spec=spec)
    change = silhouettes(MAPS, spec)

    def add(view):
        told = [ViewContext("", 0, 0, objects=np.isin(t, view.classes)) if view is change.view
                else ViewContext(str(i), 0, 0) for i, t in enumerate(truth)]  # fmt: skip
        seen = np.stack([view(f, c) for f, c in zip(frames, told, strict=True)])
        said = [np.where(found, 1, 0).astype(np.int16) for found in reads(seen)]
        evidence.add_maps(dataset, said, list(truth), view=view)

    for view in (AS_SHOT, *(c.view for c in Texture().filtered), change.view):
        add(view)
    found = worlds.measures(Texture(), evidence)
    left = interval(found[f"survives:{OUTLINES}"].estimate)
    assert (left.low > 0.9) if reads is _hole else (left.high < 0.7)
    said = worlds.sentence(Texture, found[f"lost:{OUTLINES}"])
    assert "without surface (black silhouettes on white)" in said


def test_a_silhouette_is_black_on_white_and_nothing_where_no_object_is():
    frame = np.full((4, 4, 3), 90, np.uint8)
    objects = np.eye(4, dtype=bool)
    seen = Silhouettes()(frame, ViewContext("", 0, 0, objects=objects))
    assert (seen == np.where(objects, 0, 255)[..., None]).all()
    for none in (None, np.zeros((4, 4), dtype=bool)):
        assert (Silhouettes()(frame, ViewContext("", 0, 0, objects=none)) == frame).all()


def test_needs_say_what_has_no_meaning(worlds):
    data = {"test": worlds.dataset([0, 1])}
    found = Available(worlds.spec(model=MODEL), worlds.facts(task="detection"), data)
    assert "no box or outline" in ShuffledAnswers().unmet(found).reason
    assert "names no images" in CueConflictImages().unmet(found).reason
    assert "without one a silhouette has no meaning" in SilhouetteAnswers().unmet(found).reason
    assert len(FilteredAnswers().passes(found)) == 5
    found = dataclasses.replace(found, model=worlds.facts())
    assert ShuffledAnswers().unmet(found) is None
    assert [p.view.grid for p in ShuffledAnswers().passes(found)] == [2, 4, 8]
    asked = worlds.spec(model=MODEL, checks={Texture.id: {"grids": [3], "sample": 50}})
    (only,) = ShuffledAnswers().passes(dataclasses.replace(found, spec=asked))
    assert (only.view, only.sample) == (PatchesShuffled(3), 50)
    small = worlds.spec()
    passes = ShuffledAnswers().passes(dataclasses.replace(found, spec=small))
    assert [p.view.grid for p in passes] == [2, 4]


# Views


def frame_of(rng, size=(33, 50)):
    return rng.integers(0, 256, (*size, 3)).astype(np.uint8)


def test_shuffled_patches_are_those_of_the_image():
    frame = frame_of(np.random.default_rng(1))
    view = PatchesShuffled(4)
    seen = view(frame, ViewContext("a", 7, 0))
    assert sorted(map(bytes, seen.reshape(-1, 3))) == sorted(map(bytes, frame.reshape(-1, 3)))
    first = {bytes(frame[y : y + 8, x : x + 12]) for y in range(0, 32, 8) for x in range(0, 48, 12)}
    then = {bytes(seen[y : y + 8, x : x + 12]) for y in range(0, 32, 8) for x in range(0, 48, 12)}
    assert first == then
    assert (seen[32] == frame[32]).all()
    assert (seen[:, 48:] == frame[:, 48:]).all()
    assert (seen != frame).any()
    assert (seen == view(frame, ViewContext("a", 7, 1))).all()
    assert (seen != view(frame, ViewContext("b", 7, 0))).any()
    with pytest.raises(ValueError, match="found a grid of 1"):
        PatchesShuffled(1)
    with pytest.raises(ValueError, match="found a frame of"):
        PatchesShuffled(8)(frame[:7], ViewContext("a", 7, 0))


def test_low_and_high_pass_part_a_frame():
    """Against a Gaussian of scipy's; both parts together are the frame."""
    from scipy.ndimage import gaussian_filter

    frame = frame_of(np.random.default_rng(2), (96, 128)) // 4 + 96  # a picture without extremes
    low = LowPass(1 / 32)(frame, ViewContext("a", 7, 0)).astype(float)
    expected = gaussian_filter(frame.astype(float), (3, 3, 0), mode="nearest")
    assert np.abs(low - expected)[12:-12, 12:-12].max() < 2.5
    high = HighPass(1 / 32)(frame, ViewContext("a", 7, 0)).astype(float)
    assert np.abs(high - int(frame.mean()) + low - frame).max() < 1e-9
    assert HighPass(1 / 32)(np.full((9, 9, 3), 200, np.uint8), ViewContext("a", 7, 0)).std() == 0


def test_grey_has_no_colour():
    frame = frame_of(np.random.default_rng(3))
    grey = Grey()(frame, ViewContext("a", 7, 0)).astype(float)
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0] - frame @ np.array([0.299, 0.587, 0.114])).max() <= 1


# Cues in conflict

CLASSES = ("bear", "cat", "dog")


class Answering:
    """A model that answers by the colour's shape (red) or texture (green) channel."""

    def __init__(self, channel):
        self.channel = channel

    def predict(self, frames):
        at = np.rint(frames[..., self.channel].mean(axis=(1, 2)) / 100).astype(int)
        return Prediction(np.eye(3, dtype=np.float32)[at])


def conflicts(worlds, folder, *, n=120, channel=None, lines=None, **keys):
    """Images whose red says the shape and whose green the texture, and a manifest of both."""
    rng = np.random.default_rng(1)
    shapes, textures = rng.integers(0, 3, (2, n))
    (folder / "cues").mkdir(exist_ok=True)
    rows = ["image,shape,texture"]
    for i, (s, t) in enumerate(zip(shapes, textures, strict=True)):
        pixels = np.full((8, 8, 3), (100 * s, 100 * t, 0), np.uint8)
        Image.fromarray(pixels).save(folder / "cues" / f"{i}.png")
        rows.append(f"{i}.png,{CLASSES[s]},{CLASSES[t]}")
    (folder / "cues.csv").write_text("\n".join(lines or rows))
    given = {"manifest": "cues.csv", "images": "cues", **keys}
    spec = worlds.spec(
        model={"path": "m.onnx", "classes": CLASSES, "input": {"size": (8, 8)}},
        data={"test": {"images": "images"}, "cue_conflict": given},
    ).model_copy(update={"folder": folder})
    facts = worlds.facts(classes=CLASSES)
    evidence = worlds.evidence(spec=spec, model=facts)
    evidence.predictors["as-given"] = None if channel is None else Answering(channel)
    return evidence, shapes, textures


def with_passes(worlds, evidence):
    labels = np.arange(40) % 3
    dataset = worlds.dataset(labels, classes=CLASSES)
    for view in (None, *(c.view for c in _changes((2, 4)))):
        answers = worlds.probabilities(labels, n_classes=3)
        evidence.add(dataset, answers, **({} if view is None else {"view": view}))
    return evidence


@pytest.mark.parametrize(("channel", "expected"), [(0, 1.0), (1, 0.0)])
def test_shape_bias_of_either_model(worlds, verdicts, tmp_path, channel, expected):
    evidence, shapes, textures = conflicts(worlds, tmp_path, channel=channel)
    found = worlds.measures(Texture(), with_passes(worlds, evidence))
    bias = found["shape-bias:"]
    assert value(bias.estimate) == pytest.approx(expected)
    assert bias.n == (shapes != textures).sum()
    ends = interval(bias.estimate)
    assert 0 < ends.high - ends.low < 0.2
    assert value(found["category-shape-bias:category=cat"].estimate) == pytest.approx(expected)
    assert verdicts({"": bias}, "answers-by-shape") == {"PASS" if expected else "FAIL"}
    assert "are answered with one of the two" in worlds.sentence(Texture, bias)
    figures = [r.id for r in Texture().run(evidence) if isinstance(r, Figure)]
    assert figures == ["shortcut/texture:curves", "shortcut/texture:cue-conflict"]


def test_categories_take_the_mean_of_their_classes(worlds, tmp_path):
    wild = {"cat": ("cat",), "bear": ("bear", "dog")}
    lines = ["image,shape,texture", "0.png,cat,bear", "1.png,bear,cat"]
    evidence, _, _ = conflicts(worlds, tmp_path, categories=wild, lines=lines)
    found = read_cue_conflicts(evidence.spec, CLASSES)
    # The largest probability is a bear's; the mean over bears and dogs is below that of cats.
    assert list(found.answered(np.array([[0.5, 0.4, 0.1]]))) == ["cat"]
    assert list(found.answered(np.array([[0.5, 0.2, 0.3]]))) == ["bear"]


def test_the_sixteen_categories_are_the_published_ones():
    """Numbers of classes as in Geirhos et al. (2019); no class is in two categories."""
    sizes = {name: len(list(at)) for name, at in IMAGENET_16.items()}
    assert sizes == {
        "airplane": 1, "bear": 4, "bicycle": 2, "bird": 49, "boat": 5, "bottle": 7, "car": 3,
        "cat": 6, "chair": 4, "clock": 3, "dog": 109, "elephant": 2, "keyboard": 2, "knife": 1,
        "oven": 1, "truck": 8,
    }  # fmt: skip
    every = [i for at in IMAGENET_16.values() for i in at]
    assert len(every) == len(set(every)) == 207
    assert not {192, 204, 227, 242, 251, 258, 260, 264, 9, 17, 21, 97, 134} & set(every)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"categories": "imagenet-16"}, "is of a model of the 1,000 ImageNet classes; this one"),
        ({"categories": {"cat": ("cat",), "x": ("lynx",)}}, "class 'lynx', which the model does"),
        ({"columns": {"shape": "form"}}, "has no column 'form'"),
        ({"lines": ["image,shape,texture", "0.png,cat,wolf"]}, "row 1 of 'cues.csv' has 'wolf'"),
        ({"manifest": "other.csv"}, "there is no file 'other.csv'"),
    ],
)
def test_what_cannot_be_read_is_said(worlds, tmp_path, changes, said):
    evidence, _, _ = conflicts(worlds, tmp_path, **changes)
    with pytest.raises(DataError, match=said):
        read_cue_conflicts(evidence.spec, CLASSES)
    results = list(Texture().run(with_passes(worlds, evidence)))
    (reason,) = [r for r in results if isinstance(r, Unmeasured) and r.name == "shape-bias"]
    assert said in reason.reason


def test_an_image_that_cannot_be_read_is_said(worlds, tmp_path):
    evidence, _, _ = conflicts(worlds, tmp_path, channel=0)
    (tmp_path / "cues" / "3.png").write_bytes(b"no picture")
    results = list(Texture().run(with_passes(worlds, evidence)))
    (reason,) = [r for r in results if isinstance(r, Unmeasured) and r.name == "shape-bias"]
    assert "the image '3.png' cannot be read" in reason.reason
