"""Worlds of a detector and of a segmenter: who misses what, and who sees what is not there."""

import dataclasses

import numpy as np
from detector_worlds import boxes, detections

from auditor.data.dataset import Attribute
from auditor.data.truth import BoxTruth

SIDE, PLACES = 40, 6


def detector(worlds, *, seed, missed=None, alarms=None, n=240, spec=None, units=None, fates=None,
             classes=("a", "b"), extra=None, split="test", evidence=None):  # fmt: skip
    """Images of three objects, day or night, objects open or occluded.

    `missed` maps a group ("night", "occluded", or of both kinds) to the share of its objects
    that are not found, `alarms` to the share of images with a box of class b where nothing is;
    0.05 where nothing is said.
    """
    rng = np.random.default_rng(seed)
    light = np.where(rng.random(n) < 0.4, "night", "day")
    if units is not None:
        light = light[np.asarray(units)]
    image = np.repeat(np.arange(n), 3)
    place = np.concatenate([rng.choice(PLACES - 1, 3, replace=False) for _ in range(n)])
    labels = np.where(
        rng.random(len(image)) < 0.8, 0, rng.integers(1, max(len(classes), 2), len(image))
    )
    occluded = np.where(rng.random(len(image)) < 0.4, "occluded", "open")
    share = np.full(len(image), 0.05)
    for group, value in (missed or {}).items():
        share[(light[image] == group) | (occluded == group)] = value
    found = rng.random(len(image)) >= share
    false = np.full(n, 0.05)
    for group, value in (alarms or {}).items():
        false[light == group] = value
    false = np.flatnonzero(rng.random(n) < false)
    corners = _corners(place)
    truth = boxes(image, corners, labels)
    truth = dataclasses.replace(truth, attributes={"occlusion": occluded.astype(object)})
    said = np.concatenate([image[found], false])
    order = np.argsort(said, kind="stable")
    answers = detections(
        said[order],
        np.concatenate([corners[found], _corners(np.full(len(false), PLACES - 1))])[order],
        np.concatenate([labels[found], np.full(len(false), len(classes) - 1)])[order],
        rng.uniform(0.6, 0.99, len(said))[order],
    )
    dataset = worlds.dataset(
        np.full(n, -1), classes=classes, units=units, split=split,
        attributes={"light": ("condition", list(light)), **(extra or {})},
    )  # fmt: skip
    dataset = dataclasses.replace(
        dataset,
        truth=BoxTruth(truth, np.ones(n, dtype=bool)),
        has_labels=True,
        object_attributes=(Attribute("occlusion", "condition", ("occluded", "open")),),
    )
    if evidence is None:
        facts = worlds.facts(task="detection", classes=classes)
        evidence = worlds.evidence(model=facts, spec=spec or worlds.spec())
    return evidence.add_found(dataset, answers)


def _corners(place):
    start = np.stack([place * 2.0 * SIDE, np.zeros(len(place))], axis=1)
    return np.concatenate([start, start + SIDE], axis=1)


def segmenter(worlds, *, seed, missed=None, alarms=None, n=240, spec=None, extra=None):
    """Class maps of path, hole and leaf, day or night: each image holds a hole or a leaf or both.

    `missed` maps day or night to the share of holes not found, `alarms` to the share of images
    without a hole that a hole is seen in; 0.05 where nothing is said.
    """
    rng = np.random.default_rng(seed)
    light = np.where(rng.random(n) < 0.4, "night", "day")
    lost, seen = (
        np.array([(shares or {}).get(group, 0.05) for group in light])
        for shares in (missed, alarms)
    )
    hole, leaf = rng.random((2, n)) < 0.5
    truth, answers = [], []
    for i in range(n):
        drawn, said = np.zeros((2, 24, 24), dtype=np.int16)
        drawn[2:8, 2:8], drawn[12:20, 12:20] = hole[i], 2 * leaf[i]
        said[2:8, 2:8] = rng.random() >= lost[i] if hole[i] else rng.random() < seen[i]
        said[12:20, 12:20] = 2 * leaf[i]
        truth.append(drawn)
        answers.append(said)
    classes = ("path", "hole", "leaf")
    dataset = worlds.dataset(
        np.full(n, -1), classes=classes,
        attributes={"light": ("condition", list(light)), **(extra or {})},
    )  # fmt: skip
    dataset = dataclasses.replace(dataset, has_labels=True)
    facts = worlds.facts(task="segmentation", classes=classes)
    evidence = worlds.evidence(model=facts, spec=spec or worlds.spec())
    return evidence.add_maps(dataset, answers, truth)
