"""What is set apart, and only that."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from PIL import Image

from auditor.data.scan import thumbnail, unreadable_row
from auditor.data.soundness import assess


def picture(seed) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


def scan_of(seeds) -> pd.DataFrame:
    """A scan of pictures; None is an unreadable image."""
    rows = []
    for i, seed in enumerate(seeds):
        if seed is None:
            rows.append(unreadable_row(str(i), b"junk", "damaged"))
            continue
        found = {"sha256": f"f{seed}", "pixel_sha256": f"p{seed}", "readable": True}
        rows.append(found | {"thumbnail": thumbnail(picture(seed)).tobytes()})
    return pd.DataFrame(rows)


def test_each_reason_and_the_sound_part(worlds):
    test = worlds.dataset([0, 1, 0, 1, 0, 1], units=["u", "v", "w", "x", "y", ""])
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
    assert assess(datasets, scans).keep("deployment").all()


def test_summary_is_json(worlds):
    sound = assess({"test": worlds.dataset([0, 1, 1])}, {"test": scan_of([1, None, 1])})
    assert json.loads(json.dumps(sound.summary())) == {
        "test": {
            "images": 3, "unreadable": 1, "duplicate": 1,
            "seen_image": 0, "seen_unit": 0, "sound": 1,
        }
    }  # fmt: skip
    assert sound.splits["test"].seen.empty
