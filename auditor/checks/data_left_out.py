"""data/left-out: rows and images that nothing was measured on, and classes that are gone whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.checks.data_shares import SEEN, TWO_LABELS
from auditor.contract import Check, Evidence, Manifest, Need, Scan, Words
from auditor.contract.words import FROM_0
from auditor.data.left_out import NOT_LOST, lost_classes
from auditor.findings import Column, Measure, Result, Subject, Table
from auditor.record import SetApart
from auditor.record.reasons import set_apart_text
from auditor.spec import SPLITS
from auditor.stats import Exact

NEEDS: dict[str, tuple[Need, Need]] = {
    s: (Manifest(split=s, optional=s != "test"), Scan(split=s, optional=s != "test"))
    for s in SPLITS
}


_ALSO_COUNTED = {"seen_image": "seen", "seen_unit": "seen", "conflicting_label": "two_labels"}
"""Reasons that another check counts by: left out for them is the same fact, and called the same."""


def _left_out_words(reason: str, short: str, action: str) -> Words:
    """Words of rows that are left out most for a `reason` of `_ALSO_COUNTED`; "" for any."""
    return Words(
        title="Rows left out for one reason, {split} data" + (f"{{{reason}:if}}" if reason else ""),
        short=short,
        sentence=(
            "{lost} of {n} {split} rows are not measured.",
            "The commonest reason: {most} {commonest:apart}.",
        ),
        action=action,
    )


@dataclass(frozen=True)
class LeftOut(Check):
    """Rows and images that nothing was measured on, and classes that are gone whole.

    What it measures
    ----------------
    For each split and each reason the share of rows that are left out of what is measured: a
    label that is no class, none at all (not asked of deployment data), a file that is not there
    or cannot be read, a row listed with two labels, an image seen in training, and so on; the
    largest of these shares is the measure. And how many classes have rows, of which no image is
    left; a label that is no class, or an annotated class that the model does not have, counts for
    the class that it most likely means; others are named, unless `data.classes.map` leaves them
    out (`bird: null`). Copies of an image that is measured lose nothing, nor do rows that `where`
    leaves to another split: these are counted, and are no part of the share. This check always
    runs.

    Why it matters
    --------------
    A misspelt class is dropped with all its images, and the rest may score higher for it. A
    number that is right about the images that are left says nothing of those that are gone.

    How it can mislead
    ------------------
    A wrong label that is another class is no label that is lost: nothing here sees it. The likely
    cause of a label that is no class is a guess from how it is written.
    """

    id: ClassVar[str] = "data/left-out"
    topic: ClassVar[str] = "what was left out"
    always: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = tuple(n for pair in NEEDS.values() for n in pair)
    words: ClassVar = {
        "largest-share": (
            _left_out_words("seen", *SEEN),
            _left_out_words("two_labels", *TWO_LABELS),
            _left_out_words(
                "",
                "{split} rows left out",
                "fix or replace the {split} rows that are left out",
            ),
        ),
        "lost-classes": Words(
            title="Classes that are gone whole, {split} data",
            short="classes without {split} images",
            sentence=(
                "Of {point} classes with {split} rows no image is measured.",
                "Gone whole: {names}.",
                "Annotated, left out, and no class of the model: {unknown}.",
            ),
            span=FROM_0,
            action="bring the names of the classes and the labels of the {split} data together",
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split, needs in NEEDS.items():
            if all(map(evidence.has, needs)):
                left_out = _left_out(evidence, split)
                yield _share(evidence, split, left_out)
                if evidence.dataset(split, part="as-given").has_labels:
                    yield _lost(evidence, split)
                if left_out:
                    yield _table(split, left_out)


def _left_out(evidence: Evidence, split: str) -> tuple[SetApart, ...]:
    """Rows left out when the manifest was read, then images set apart."""
    summary = evidence.soundness().summary()[split]
    apart = (SetApart(k, n) for k, n in summary.items() if n and k not in ("images", "sound"))
    return (*evidence.manifest_report(split).counts.left_out, *apart)


def _share(evidence: Evidence, split: str, left_out: tuple[SetApart, ...]) -> Measure:
    n = evidence.manifest_report(split).n_rows
    lost = {one.reason: one.n for one in left_out if one.reason not in NOT_LOST}
    most = max(lost, key=lambda reason: lost[reason], default="")
    cause = next((one.cause for one in left_out if one.reason == most), "")
    return Measure(
        name="largest-share",
        subject=Subject(split=split),
        estimate=Exact(lost.get(most, 0) / n),
        scale="share",
        better="lower",
        n=n,
        facts={
            "lost": sum(lost.values()),
            "most": lost.get(most, 0),
            "commonest": [most, cause] if most else [],
            "by_reason": {one.reason: one.n for one in left_out},
            **({_ALSO_COUNTED[most]: True} if most in _ALSO_COUNTED else {}),
        },
    )


def _lost(evidence: Evidence, split: str) -> Measure:
    counts = evidence.manifest_report(split).counts
    dataset, sound = evidence.dataset(split, part="as-given"), evidence.soundness().splits[split]
    # A copy goes, and the image that it is a copy of stays.
    kept = sound.keep | (sound.readable & (sound.duplicate | sound.in_test) & ~sound.conflicting)
    n_classes = len(counts.of_class)
    if dataset.truth is None:
        left = np.bincount(dataset.labels[kept & (dataset.labels >= 0)], minlength=n_classes)
    else:
        left = dataset.truth.of_classes(kept, n_classes=n_classes)
    lost = lost_classes(
        counts.of_class, counts.unknown, dict(zip(counts.of_class, left.tolist(), strict=True))
    )
    return Measure(
        name="lost-classes",
        subject=Subject(split=split),
        estimate=Exact(len(lost)),
        scale="amount",
        better="lower",
        n=len(dataset),
        facts={
            "names": ", ".join(
                name if name == label else f"{name}, written {label}"
                for name, label in list(lost.items())[:5]
            ),
            "unknown": ", ".join(list(counts.unknown)[:5]) if dataset.truth is not None else "",
        },
    )


def _table(split: str, left_out: tuple[SetApart, ...]) -> Table:
    return Table(
        id=f"data-left-out-{split}",
        title=f"What was left out of the {split} data",
        columns=(Column("reason"), Column("rows", "rows"), Column("likely cause")),
        rows=tuple((set_apart_text(one.reason), one.n, one.cause) for one in left_out),
    )
