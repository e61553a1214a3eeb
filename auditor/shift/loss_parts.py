"""What an accuracy that is lost goes with: the mix of classes, other images, or neither."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Embedding, Evidence, Need, Scan
from auditor.findings import Measure, Measured, Result, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.presence import OneHot, Placed
from auditor.scoring.rows import Rows
from auditor.shift.embedded import BothEmbeddings
from auditor.shift.image_properties import ImageProperties
from auditor.shift.sides import Sides
from auditor.stats import draws_of
from auditor.stats.classifier_test import FOLDS, classifier_test
from auditor.stats.codes import distinct
from auditor.stats.components import components
from auditor.stats.loss_parts import Cells, LossParts, loss_parts
from auditor.stats.row_blocks import ManyNumbers
from auditor.stats.two_samples import TwoSamples, pooled_components

SEEN: tuple[Need, ...] = tuple(
    need
    for split in ("test", "deployment")
    for need in (Embedding(split=split, optional=True), Scan(split=split, optional=True))
)
"""Needs of a check that tells parts."""

STRATA = 8
LEAST_OVERLAP = 0.25
"""Of less of both samples in strata that they share, nothing is said of images alike."""

_NAMES = ("lost-with-mix", "lost-with-images", "lost-alike")

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def parts_of_loss(evidence: Evidence) -> Iterator[Result]:
    """The three parts, each with its interval, or the reason why one is not told.

    None of class maps, whose rows have many classes each.
    """
    rows = [evidence.scored(split).with_truth for split in ("test", "deployment")]
    if not all(isinstance(one.presence, OneHot | Placed) for one in rows):
        return
    labels = [_labels(one) for one in rows]
    subject = Subject(split="deployment")
    lacking = _lacking(rows, labels, subject)
    if lacking is not None:
        yield lacking
        return
    rng = evidence.rng
    strata = _strata(evidence, rows, rng)
    here, there = (
        Cells(label, stratum, _units(one), one.right)
        for one, label, stratum in zip(rows, labels, strata, strict=True)
    )
    found = loss_parts(here, there, rng=rng)
    # With one class there is no mix, and nothing of it to be unsure of.
    if np.ptp(found.mix) > 0:
        yield _measure(_NAMES[0], found.mix, found, rows[1])
    if found.overlap < LEAST_OVERLAP:
        yield _apart(found.overlap, subject)
        return
    yield _measure(_NAMES[1], found.images, found, rows[1])
    yield _measure(_NAMES[2], found.alike, found, rows[1])


def _units(rows: Rows) -> Codes:
    return np.arange(len(rows)) if rows.unit_codes is None else rows.unit_codes


def _labels(rows: Rows) -> Codes:
    """The class of each row, (n,); rows have one each."""
    found = np.zeros(len(rows), dtype=np.int64)
    for place, name in enumerate(rows.classes):
        found[rows.present(name)] = place
    return found


def _lacking(rows: list[Rows], labels: list[Codes], subject: Subject) -> Unmeasured | None:
    """Why the mix of classes cannot be allowed for: a class there of which too little is known."""
    few = []
    for place in np.unique(labels[1]).tolist():
        n = distinct(_units(rows[0])[labels[0] == place])
        if n < MIN_UNITS:
            few.append(f"{rows[0].classes[place]} ({n})")
    if not few:
        return None
    return Unmeasured(
        name=_NAMES[0],
        subject=subject,
        reason="What the loss goes with is not told: of classes that occur where it will run too "
        f"few test units are labelled: {', '.join(few[:5])}.",
        remedy=f"Add test images, at least {MIN_UNITS} units of each of these classes.",
    )


def _apart(overlap: float, subject: Subject) -> Unmeasured:
    return Unmeasured(
        name=_NAMES[1],
        subject=subject,
        reason="Whether the rest of the loss comes with images that look otherwise, or is met on "
        "images alike, is not told: hardly any deployment image looks like a test image (overlap "
        f"{100 * overlap:.0f}%, {100 * LEAST_OVERLAP:.0f}% are needed).",
        remedy="Add labelled test images such as those where it will run.",
    )


def _strata(evidence: Evidence, rows: list[Rows], rng: np.random.Generator) -> list[Codes]:
    """Of each row how much its image looks like one from there, in groups of equal size."""
    sides = Sides.of(evidence, rng=rng)
    features = _features(evidence)
    samples = TwoSamples.of(sides.here.unit, sides.there.unit)
    score = np.zeros(len(samples))
    if features is not None and min(sides.here.units(), sides.there.units()) >= FOLDS:
        score = classifier_test(features, samples, rng=rng, permutations=0).scores
    cuts = np.quantile(score, np.linspace(0, 1, STRATA + 1)[1:-1])
    code = np.searchsorted(cuts, score, side="right")
    n = len(sides.here.unit)
    found = []
    for one, part in zip(rows, (code[:n], code[n:]), strict=True):
        ids = evidence.dataset(one.split).image_ids
        found.append(part[ids.places_of(one.image_ids)])
    return found


def _features(evidence: Evidence) -> ManyNumbers | None:
    """The embedding of all images of both splits, or their properties, (n, d)."""
    splits = ("test", "deployment")
    if all(evidence.has(need) for need in SEEN if isinstance(need, Embedding)):
        return components(BothEmbeddings(*(evidence.embedding(split) for split in splits)))
    scans = [ImageProperties.of(evidence, split) for split in splits]
    both = np.stack([np.concatenate([one[name] for one in scans]) for name in scans[0]]).T
    middle = np.nanmedian(np.where(np.isfinite(both).any(axis=0), both, 0.0), axis=0)
    return pooled_components(np.where(np.isfinite(both), both, middle))


def _measure(name: str, values: Floats, found: LossParts, there: Rows) -> Measured:
    return Measure(
        name=name,
        subject=Subject(split="deployment"),
        estimate=draws_of(float(values[0]), samples=values[1:]),
        scale="difference",
        neutral=0.0,
        better="none",
        n=len(there),
        n_units=None if there.unit_codes is None else distinct(there.unit_codes),
        facts={"total": float(found.total[0]), "overlap": found.overlap},
        of=there.of,
    )
