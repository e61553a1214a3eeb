"""What is set apart, and only that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.data.images import decode
from auditor.data.scan import describe, thumbnail, unreadable_row
from auditor.data.soundness import RoleSoundness, assess


def picture(seed) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def scan_of(seeds) -> pd.DataFrame:
    """A scan of pictures; None is an unreadable image."""
    rows = []
    for i, seed in enumerate(seeds):
        if seed is None:
            rows.append(unreadable_row(str(i), b"junk", "damaged"))
            continue
        found = {"sha256": sha256(f"f{seed}"), "pixel_sha256": sha256(f"p{seed}"), "readable": True}
        found |= {"blockiness": 1.0, "format": "PNG", "width": 64.0, "height": 64.0}
        rows.append(found | {"thumbnail": thumbnail(picture(seed)).tobytes()})
    return pd.DataFrame(rows)


def test_each_reason_and_the_sound_part(worlds):
    test = worlds.dataset([1, 1, 0, 1, 0, 1], units=["u", "v", "w", "x", "y", ""])
    train = worlds.dataset([1, 0, 0], split="train", units=["y", "", "z"])
    sound = assess(
        {"test": test, "train": train},
        {"test": scan_of([1, 1, None, 4, 5, 6]), "train": scan_of([4, 8, 8])},
    )
    found = sound.splits["test"]
    assert found.readable.tolist() == [True, True, False, True, True, True]
    assert found.duplicate.tolist() == [False, True, False, False, False, False]
    assert found.seen_image.tolist() == [False, False, False, True, False, False]
    # The unit "y" is in training; two images without a unit share none.
    assert found.seen_unit.tolist() == [False, False, False, False, True, False]
    assert sound.keep("test").tolist() == [True, False, False, False, False, True]
    assert sound.keep("train").tolist() == [True, True, False]
    assert sound.units_compared


def test_pairs_name_images_kinds_and_labels(worlds):
    test = worlds.dataset([0, 1, -1])
    train = worlds.dataset([1, 0], split="train")
    sound = assess(
        {"test": test, "train": train}, {"test": scan_of([1, 1, 3]), "train": scan_of([3, 7])}
    )
    pair = sound.splits["test"].duplicates.iloc[0]
    assert (pair["image"], pair["twin"]) == ("test/00001.png", "test/00000.png")
    assert (pair["kind"], pair["label"], pair["twin_label"]) == ("same file", "b", "a")
    seen = sound.splits["test"].seen.iloc[0]
    assert (seen["image"], seen["twin"], seen["label"]) == ("test/00002.png", "train/00000.png", "")
    assert not sound.units_compared


def test_deployment_images_are_never_leaked(worlds):
    datasets = {
        "test": worlds.dataset([0]),
        "train": worlds.dataset([0], split="train", units=["u"]),
        "deployment": worlds.dataset([0, -1], split="deployment", units=["u", "u"]),
    }
    scans = {"test": scan_of([1]), "train": scan_of([2]), "deployment": scan_of([2, 1])}
    found = assess(datasets, scans).splits["deployment"]
    assert not found.leaked.any()
    # What was tested already shows nothing of where it will run.
    assert found.in_test.tolist() == [False, True]
    assert found.keep.tolist() == [True, False]
    assert found.shared["twin"].tolist() == ["test/00000.png"]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 0, 4, 2, 3]])
def test_equal_images_with_two_labels_both_leave_in_any_order(worlds, order):
    labels, seeds = np.array([0, 1, 0, 0, -1]), np.array([7, 7, 8, 8, 9])
    sound = assess({"test": worlds.dataset(labels[order])}, {"test": scan_of(seeds[order])})
    found = sound.splits["test"]
    assert found.conflicting.tolist() == (seeds[order] == 7).tolist()
    assert found.keep.sum() == 2
    assert sound.summary()["test"]["conflicting_label"] == 2


def files_of(folder, dataset, pictures) -> tuple[object, pd.DataFrame]:
    """The dataset with its images written, and their scan."""
    rows, paths = [], []
    for name, pixels in zip(dataset.image_ids, pictures, strict=True):
        paths.append(folder / str(name).replace("/", "-"))
        Image.fromarray(pixels).save(paths[-1])
        content = paths[-1].read_bytes()
        rows.append(describe(str(name), decode(content, max_pixels=10**6), content))
    frame = dataset.frame.assign(path=[str(path) for path in paths])
    return dataclasses.replace(dataset, table=frame), pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("near", "units", "labels", "goes"),
    [
        ("report", ["u", "v", "w"], [0, 0, 1], False),
        ("set-apart", ["u", "v", "w"], [0, 0, 1], True),
        ("set-apart", ["", "", ""], [0, -1, 1], True),
        # One unit, or other units with another label: told, never set apart.
        ("set-apart", ["u", "u", "w"], [0, 0, 1], False),
        ("set-apart", ["u", "v", "w"], [0, 1, 1], False),
        ("off", ["u", "v", "w"], [0, 0, 1], None),
    ],
)
def test_near_copies_go_only_where_that_is_asked_for(tmp_path, worlds, near, units, labels, goes):
    image = picture(3)
    pictures = [image, np.clip(image.astype(int) + 12, 0, 255).astype(np.uint8), picture(4)]
    test, scan = files_of(tmp_path, worlds.dataset(labels, units=units), pictures)
    found = assess({"test": test}, {"test": scan}, near=near).splits["test"]
    assert found.repeated.tolist() == [False, goes is not None, False]
    assert found.keep.tolist() == [True, not goes, True]
    assert found.duplicates["reported"].tolist() == ([] if goes is None else [not goes])


def test_near_copies_of_training_images_are_seen_though_they_stay(tmp_path, worlds):
    image = picture(3)
    test, scan = files_of(tmp_path, worlds.dataset([0]), [image])
    train, seen = files_of(tmp_path, worlds.dataset([0], split="train"), [image[:, ::-1]])
    found = assess({"test": test, "train": train}, {"test": scan, "train": seen})
    assert found.splits["test"].seen_image.tolist() == [True]
    assert found.splits["test"].leaked.tolist() == [True]
    assert found.keep("test").tolist() == [True]
    assert found.photographs["test"][0] == found.photographs["train"][0]


def chain(folder, worlds, order, labels=(0, 0, 0)) -> RoleSoundness:
    """Three images of which the second is a near copy of both others, and one apart."""
    image = picture(3)
    wide, narrow = image, image[5:-5, 5:-5]
    middle = np.clip(image[2:-3, 3:-2].astype(int) + 9, 0, 255).astype(np.uint8)
    pictures, known = [wide, middle, narrow, picture(8)], np.array([*labels, 0])
    test, scan = files_of(folder, worlds.dataset(known[order]), [pictures[i] for i in order])
    return assess({"test": test}, {"test": scan}, near="set-apart").splits["test"]


@pytest.mark.parametrize("labels", [(0, 0, 0), (0, 0, 1), (-1, 0, -1)])
def test_how_many_repeat_does_not_depend_on_their_order(tmp_path, worlds, labels):
    found = [chain(tmp_path, worlds, list(o), labels) for o in permutations(range(4))]
    assert {int(f.repeated.sum()) for f in found} == {2}
    assert len({int(f.keep.sum()) for f in found}) == 1


def test_summary_is_json(worlds):
    sound = assess({"test": worlds.dataset([0, 1, 1])}, {"test": scan_of([1, None, 1])})
    assert json.loads(json.dumps(sound.summary())) == {
        "test": {
            "images": 3, "unreadable": 1, "duplicate": 1, "conflicting_label": 2,
            "seen_image": 0, "seen_unit": 0, "in_test": 0, "sound": 0,
        }
    }  # fmt: skip
    assert sound.splits["test"].seen.empty
