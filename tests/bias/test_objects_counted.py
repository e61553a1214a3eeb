"""bias/representation and bias/coverage where images hold objects, or maps of classes."""

import dataclasses

import numpy as np
import pytest
from detector_worlds import SEGMENTER
from found_worlds import detector, segmenter
from PIL import Image

from auditor.bias.coverage import Coverage
from auditor.bias.representation import Representation
from auditor.data.annotations import ImageHeader
from auditor.data.class_maps import PixelClasses
from auditor.data.truth import MapTruth
from auditor.findings import Figure, Table
from auditor.stats import p_value, value

CLASSES = ("path", "hole", "leaf")


def splits(worlds, *, seed, rare=None, units=None):
    """Training, test and deployment objects; training has `rare` a fifth as often as there."""
    evidence = None
    for split in ("deployment", "test", "train"):
        evidence = detector(
            worlds, seed=seed + 100 * len(split), split=split, evidence=evidence, units=units
        )
    if rare is not None:
        kept = evidence.dataset("train")
        boxes = kept.truth.boxes
        label, group = rare
        inside = boxes.classes == label if group is None else boxes.attributes["occlusion"] == group
        rng = np.random.default_rng(seed)
        boxes = boxes.take(~inside | (rng.random(len(boxes)) < 0.2))
        evidence.datasets["train", "sound"] = dataclasses.replace(
            kept, truth=dataclasses.replace(kept.truth, boxes=boxes)
        )
    return evidence


def short(measure):
    """Shown to have less than three quarters of its share."""
    return p_value(measure.estimate, limit=0.75, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(3))
def test_a_class_and_a_kind_of_object_that_training_lacks_are_shown(worlds, seed):
    of_class = worlds.measures(Representation(), splits(worlds, seed=seed, rare=(1, None)))
    assert short(of_class["share-ratio:class=b@train"])
    assert not short(of_class["share-ratio:occlusion=occluded@train"])
    hidden = worlds.measures(Representation(), splits(worlds, seed=seed, rare=(0, "occluded")))
    assert short(hidden["share-ratio:occlusion=occluded@train"])
    assert not short(hidden["share-ratio:class=b@train"])
    clean = worlds.measures(Representation(), splits(worlds, seed=seed))
    assert not any(short(m) for m in clean.values() if m.name == "share-ratio")


def test_objects_are_counted_and_not_their_images(worlds):
    evidence = splits(worlds, seed=1)
    results = list(Representation().run(evidence))
    found = worlds.measures(Representation(), evidence)
    objects = evidence.dataset("train").truth.boxes
    of_b = found["share-ratio:class=b@train"]
    assert (of_b.of, of_b.n) == ("object", len(objects))
    assert value(of_b.sides[0].estimate) == pytest.approx((objects.classes == 1).mean())
    light = found["share-against-test:light=night@train"]
    assert (light.of, light.n) == ("image", 480)
    assert worlds.unfilled(Representation, results) == []
    sentence = worlds.sentence(Representation, found["share-against-test:class=b@train"])
    assert sentence.startswith("“b”: ")
    assert "training objects" in sentence
    (table,) = (r for r in results if isinstance(r, Table) and r.id.endswith(":objects"))
    assert {row[0] for row in table.rows} == {"occlusion", "class"}
    assert "objects" in [column.name for column in table.columns]
    (picture,) = (r for r in results if isinstance(r, Figure) and r.id.endswith(":class"))
    assert "Share of objects" in picture.caption


def test_objects_of_a_unit_are_no_independent_ones(worlds):
    units = np.repeat(np.arange(24), 10)
    apart, together = (
        worlds.measures(Representation(), splits(worlds, seed=3, units=u))[
            "share-against-test:class=b@train"
        ]
        for u in (None, units)
    )
    assert (apart.n_units, together.n_units) == (480, 48)


def mapped(worlds, folder, maps, light, *, split="train"):
    """A segmenter's training images, whose class maps lie in files."""
    for i, drawn in enumerate(maps):
        Image.fromarray(drawn).save(folder / f"{i}.png")
    n = len(maps)
    dataset = worlds.dataset(
        [-1] * n, classes=CLASSES, split=split, attributes={"light": ("condition", light)}
    )
    meaning = PixelClasses.of(dict(enumerate(CLASSES)), classes=CLASSES, class_map={})
    files = (*(str(folder / f"{i}.png") for i in range(n - 1)), "")
    headers = (ImageHeader((20, 10)),) * n
    truth = MapTruth(files, headers, meaning, "displayed")
    return dataclasses.replace(dataset, truth=truth, has_labels=True)


def test_classes_that_maps_never_show_in_a_group_are_found(worlds, tmp_path):
    maps = np.zeros((9, 10, 20), dtype=np.uint8)
    maps[:, :3, :3] = 2
    maps[:4, 5:8, 5:8] = 1  # Holes by day alone,
    maps[8] = 1  # and in a map that is not there.
    light = ["day"] * 4 + ["night"] * 5
    evidence = segmenter(worlds, seed=0)
    evidence.spec = worlds.spec(model=SEGMENTER | {"classes": CLASSES})
    evidence.add(mapped(worlds, tmp_path, maps, light))
    found = worlds.measures(Coverage(), evidence)["empty-cells:attribute=light@train"]
    assert (value(found.estimate), found.n, found.of) == (1, 8, "image")
    assert worlds.sentence(Coverage, found) == (
        "Of 6 combinations of light and label, 1 has no training image. Namely: night with hole."
    )
    shown = maps.copy()
    shown[4, 5:8, 5:8] = 1
    evidence.add(mapped(worlds, tmp_path, shown, light))
    found = worlds.measures(Coverage(), evidence)["empty-cells:attribute=light@train"]
    assert value(found.estimate) == 0
