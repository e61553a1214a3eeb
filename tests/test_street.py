"""The street lab's files against its planted truth, in both directions, without the engine."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import auditor
from auditor.judging.policy_file import load_policy
from auditor.spec.declarations import declarations_of, read_declarations

STREET = Path(auditor.__file__).parents[1] / "examples" / "street"
SPLITS = ("train", "test", "deployment")
MOST_BYTES = 6_000_000
OWN = ("annotators", "camera", "develop", "ground", "light", "measure", "network", "stretches")


@pytest.fixture(scope="module")
def street():
    """The lab's own modules by name; other labs have modules of these names too."""
    places = [str(STREET), str(STREET / "render")]
    before = {name: sys.modules.pop(name) for name in OWN if name in sys.modules}
    sys.path[:0] = places
    modules = {name: importlib.import_module(name) for name in OWN}
    modules["measure"].DRAWS = 150  # in place of 500, for the time it takes
    yield modules
    for name in OWN:
        sys.modules.pop(name, None)
    sys.modules.update(before)
    sys.path[:] = [place for place in sys.path if place not in places]


@pytest.fixture(scope="module")
def on_test(street):
    return street["measure"].reading("test", STREET / "model.onnx")


@pytest.fixture(scope="module")
def figures(street, on_test):
    deployment = street["measure"].reading("deployment", STREET / "model.onnx")
    return street["measure"].figures(on_test, deployment)


@pytest.fixture(scope="module")
def truth():
    return yaml.safe_load((STREET / "instructor" / "truth.yaml").read_text())


def manifests() -> dict[str, pd.DataFrame]:
    return {split: pd.read_csv(STREET / f"{split}.csv") for split in SPLITS}


def beyond(figure, bound: dict[str, float]) -> bool:
    """Whether the whole interval lies where the truth says."""
    return all(
        {
            "at_least": figure.low >= limit,
            "at_most": figure.high <= limit,
            "within": -limit <= figure.low and figure.high <= limit,
        }[side]
        for side, limit in bound.items()
    )


def test_the_lab_is_small():
    files = [path for path in STREET.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 2000
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert (STREET / "model.onnx").stat().st_size < 1_000_000
    assert (STREET / "model.safetensors").stat().st_size < 1_000_000


@pytest.mark.parametrize("split", SPLITS)
def test_every_frame_has_a_map_and_every_map_a_frame(split):
    files = set(manifests()[split]["file"])
    assert {path.name for path in (STREET / "images" / split).iterdir()} == files
    maps = {path.stem for path in (STREET / "masks" / split).iterdir()}
    assert maps == {Path(file).stem for file in files}
    seen: set[int] = set()
    for file in sorted(files):
        with Image.open(STREET / "images" / split / file) as photo:
            assert (photo.size, photo.mode) == ((192, 144), "RGB")
        classes = np.asarray(Image.open(STREET / "masks" / split / f"{Path(file).stem}.png"))
        assert classes.shape == (144, 192)
        seen |= set(np.unique(classes).tolist())
    assert seen == {0, 1, 2, 3, 255}


def test_the_maps_drawn_twice_are_of_test_stretches_and_one_of_each_pair_is_the_tests():
    rows = manifests()["test"].set_index("file")
    names = {path.name for path in (STREET / "masks" / "survey").iterdir()}
    assert len(names) == 144
    for name in ("ida", "tom"):
        assert {path.name for path in (STREET / "masks" / name).iterdir()} == names
    for name in names:
        annotator = rows.loc[Path(name).stem + ".jpg", "annotator"]
        own = (STREET / "masks" / annotator / name).read_bytes()
        assert own == (STREET / "masks" / "test" / name).read_bytes()
        surveyed = (STREET / "masks" / "survey" / name).read_bytes()
        assert surveyed == (STREET / "instructor" / "truth" / name).read_bytes()


def test_no_stretch_is_in_two_splits():
    stretches = [set(rows["stretch"]) for rows in manifests().values()]
    assert len(set.union(*stretches)) == sum(map(len, stretches))


def test_the_manifests_are_those_of_the_code(street):
    for split, rows in manifests().items():
        pd.testing.assert_frame_equal(rows, street["develop"].manifest(split))


def test_what_is_sound_is_not_tied_to_what_is_planted():
    """Each district, camera and annotator meets each weather, and each light, about as often."""
    rows = manifests()["test"].drop_duplicates("stretch")
    for condition in ("surface", "light"):
        for attribute in ("district", "camera", "annotator"):
            shares = pd.crosstab(rows[condition], rows[attribute], normalize="index")
            assert (shares.max() - shares.min()).max() < 0.12, (condition, attribute)


def test_training_frames_show_no_pothole_in_the_wet_and_no_debris_at_night(street):
    rows = manifests()["train"]
    maps = street["measure"].class_maps(STREET / "masks" / "train", rows["file"])
    shown = {k: (maps == k).any(axis=(1, 2)) for k in (1, 3)}
    wet, night = (rows["surface"] == "wet").to_numpy(), (rows["light"] == "night").to_numpy()
    assert not shown[1][wet].any()
    assert shown[1][~wet].sum() > 50
    assert not shown[3][night].any()
    assert shown[3][~night].sum() > 50


def test_a_frame_is_made_again_as_it_is_stored(street, tmp_path):
    frame = next(
        frame
        for stretch in street["stretches"].all_stretches()
        if (stretch.split, stretch.surface, stretch.light) == ("test", "wet", "day")
        for frame in street["stretches"].frames(stretch)
        if frame.potholes and frame.cracks and frame.debris
    )
    twice = [tmp_path / "first", tmp_path / "second"]
    lines = [street["develop"].make(frame, out, twice=True) for out in twice]
    assert lines[0] == lines[1]
    made = sorted(path.relative_to(twice[0]) for path in twice[0].rglob("*") if path.is_file())
    assert len(made) == 6
    for path in made:
        assert (twice[0] / path).read_bytes() == (twice[1] / path).read_bytes()
    photo, stored = (
        np.asarray(Image.open(root / "images" / "test" / f"{frame.name}.jpg")).astype(int)
        for root in (twice[0], STREET)
    )
    assert np.abs(photo - stored).mean() < 2
    drawn, kept = (
        np.asarray(Image.open(root / "masks" / "test" / f"{frame.name}.png"))
        for root in (twice[0], STREET)
    )
    assert (drawn != kept).mean() < 0.005


@pytest.mark.parametrize(("name", "factor"), [("ida", 1.0), ("tom", 1.5)])
def test_an_annotator_draws_the_stated_area_around_the_object(street, name, factor):
    truth = np.zeros((144, 192), dtype=np.uint8)
    truth[40:70, 50:90] = 1
    truth[100:105, 20:160] = 2
    drawn = street["annotators"].drawn(truth, name, np.random.default_rng(0))
    for label in (1, 2):
        own, true = drawn == label, truth == label
        assert own.sum() / true.sum() == pytest.approx(factor, rel=0.1)
        assert (own & true).sum() / (own | true).sum() > 0.85 * min(factor, 1 / factor)


def test_the_weights_and_the_exported_model_answer_alike(street, on_test):
    import onnxruntime
    import torch
    from safetensors.torch import load_file

    net = street["network"].hazard_net().eval()
    net.load_state_dict(load_file(STREET / "model.safetensors"))
    files = on_test.rows["file"][:8]
    pixels = np.stack([np.asarray(Image.open(STREET / "images" / "test" / f)) for f in files])
    x = (pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        ours = net(torch.from_numpy(x)).numpy()
    session = onnxruntime.InferenceSession(
        str(STREET / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(session.run(None, {"frame": x})[0], ours, atol=1e-3)


def test_what_was_measured_is_what_is_written(figures, truth):
    assert figures.keys() == truth["measured"].keys()
    for name, figure in figures.items():
        assert figure.value == pytest.approx(truth["measured"][name]["value"], abs=0.02), name


def test_every_planted_flaw_is_there(figures, truth):
    assert {flaw["id"] for flaw in truth["planted"]} == {
        "wet-potholes",
        "night-debris",
        "wide-annotator",
        "claim-on-easy-frames",
        "autumn",
    }
    for flaw in truth["planted"]:
        for name, bound in flaw["shown_by"].items():
            assert beyond(figures[name], bound), (flaw["id"], name, str(figures[name]), bound)


def test_what_is_sound_is_sound(figures, truth):
    assert truth["sound"]
    for thing in truth["sound"]:
        for name, bound in thing["shown_by"].items():
            assert beyond(figures[name], bound), (thing["id"], name, str(figures[name]), bound)


def test_a_repaired_world_shows_none_of_the_flaws(street, on_test, truth):
    """Answers that are the truth, and an annotator who draws what is there: no bound is met."""
    measure = street["measure"]
    right = np.maximum(on_test.truth, 0).astype(np.int16)
    perfect = measure.Reading(on_test.rows, on_test.truth, right)
    found = {**measure.wet(perfect), **measure.night(perfect)}
    for flaw in truth["planted"]:
        for name in flaw["shown_by"].keys() & found.keys():
            if flaw["id"] in ("wet-potholes", "night-debris") and "gap" in name:
                assert not beyond(found[name], flaw["shown_by"][name]), name


def test_the_policy_and_the_declarations_can_be_read():
    assert load_policy("policy.yaml", folder=STREET).policy.limits
    found = declarations_of(read_declarations(STREET / "declarations.yaml"))
    assert "survey" in {declaration.key for declaration in found}
