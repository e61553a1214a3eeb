"""Worlds in which a cue of the images goes with the label, and a model that follows it or not."""

import dataclasses

import numpy as np
import pandas as pd
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, said

from auditor.data.scan import PROPERTY_NAMES, THUMBNAIL


def scan_of(dataset, rng, *, cue=None, how=None):
    """A scan of noise; where `cue` is named, numbers that follow `how` (n,) bool in it."""
    n = len(dataset)
    frame = pd.DataFrame(
        rng.normal(100.0, 10.0, (n, len(PROPERTY_NAMES))), columns=list(PROPERTY_NAMES)
    )
    small = rng.integers(0, 256, (n, THUMBNAIL, THUMBNAIL, 3), dtype=np.uint8)
    kind = np.full(n, "JPEG", dtype=object)
    if cue == "brightness":
        frame["mean"] += 15.0 * how
    if cue == "corners":
        small[how, :2, :2] = 255
    if cue == "file type":
        kind[how] = "PNG"
    return frame.assign(
        image_id=dataset.image_ids,
        format=kind,
        mode="RGB",
        thumbnail=[one.tobytes() for one in small],
    )


def drawn(rng, *, n, together, reliance, accuracy, photos=1):
    """Truth, cue and answers (n,) bool: the cue agrees with the truth with `together`.

    With `reliance` an answer is the cue's, else it is right with `accuracy`. Truth and cue are
    those of units of `photos` images.
    """
    units = n // photos
    truth = rng.random(units) < 0.5
    cue = np.where(rng.random(units) < together, truth, ~truth)
    truth, cue = np.repeat(truth, photos), np.repeat(cue, photos)
    right = rng.random(len(truth)) < accuracy
    by_cue = rng.random(len(truth)) < reliance
    return truth, cue, np.where(by_cue, cue, right == truth)


def world(worlds, task, *, seed, cue="brightness", together=0.85, reliance=0.0, accuracy=0.88,
          n=500, photos=1, attributes=None):  # fmt: skip
    """Evidence of a classifier, a detector or a segmenter; the class in question is b."""
    rng = np.random.default_rng(seed)
    truth, how, answers = drawn(
        rng, n=n, together=together, reliance=reliance, accuracy=accuracy, photos=photos
    )
    columns = {
        "units": np.repeat(np.arange(n // photos), photos) if photos > 1 else None,
        "attributes": attributes(how, rng) if attributes else None,
    }
    if task == "classification":
        data = worlds.dataset(truth.astype(int), **columns)
        evidence = worlds.evidence()
        evidence.add(data, worlds.probabilities(answers.astype(int)))
    else:
        holds = np.stack([np.ones(n, dtype=bool), truth], axis=1)
        says = np.stack([np.ones(n, dtype=bool), answers], axis=1)
        model = DETECTOR if task == "detection" else SEGMENTER
        spec = worlds.spec(model=model | {"classes": ("a", "b")})
        if task == "detection":
            data = boxed(worlds, ("a", "b"), holds, **columns)
            evidence = boxed_evidence(worlds, spec, ("a", "b")).add_found(data, said(says))
        else:
            data = worlds.dataset([-1] * n, classes=("a", "b"), **columns)
            data = dataclasses.replace(data, has_labels=True)
            facts = worlds.facts(task="segmentation", classes=("a", "b"))
            evidence = worlds.evidence(model=facts, spec=spec)
            evidence.add_maps(data, _maps(says), _maps(holds))
    evidence.scans["test", "sound"] = scan_of(data, rng, cue=cue, how=how)
    evidence.embeddings["test"] = embedding(rng, truth, how)
    return evidence


def _maps(holds):
    """Class maps with a patch of class b where an image holds one."""
    maps = np.zeros((len(holds), 8, 8), dtype=np.int16)
    maps[:, 2:6, 2:6] = holds[:, 1, None, None]
    return list(maps)


def embedding(rng, truth, how, *, sees=1.0, width=12):
    """Activations in which truth and cue each have a direction."""
    found = rng.normal(size=(len(truth), width))
    found[:, 0] += 2.0 * truth
    found[:, 1] += sees * how
    return found.astype(np.float32)
