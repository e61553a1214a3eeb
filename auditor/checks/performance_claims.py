"""performance/claims: what the team claims, on the data as given and on their clean subset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import AS_GIVEN, Available, Check, Evidence, Need, Pass, Unmet, Words
from auditor.findings import Measure, Result, RowKind, Subject, Unmeasured
from auditor.scoring.cost import class_index
from auditor.scoring.rates import rate_measure
from auditor.scoring.rows import Rows
from auditor.spec import SPLITS, AuditSpec, ClaimSpec

_TESTED = {
    "accuracy": ("accuracy", "accuracy"),
    "recall": ("share found", "share of “{class}” that is found"),
    "precision": ("share right when answered", "share of “{class}” answers that are right"),
}
"""The measures that are tested: what each is called, and what exactly was claimed."""

_PARTS = ("sound", AS_GIVEN)


@dataclass(frozen=True)
class ClaimedAnswers(Need):
    """The model's answers on every split that a claim on accuracy, recall or precision is about."""

    def unmet(self, available: Available) -> Unmet | None:
        claims = [claim for _, claim in _claims(available.spec)]
        if not claims and available.spec.claims:
            return Unmet(
                reason="No claim of the spec is on accuracy, recall or precision.",
                remedy="Nothing to do: each claim is a limit on what it is about, and so tested.",
                applies=False,
            )
        if not claims:
            return Unmet(
                reason="The spec states no claim.",
                remedy="State what the model's team says of it under `claims`, with its source.",
            )
        if not self.passes(available):
            splits = " and ".join(sorted({claim.split for claim in claims}))
            return Unmet(
                reason=f"The claims are about {splits} images, of which none have labels.",
                remedy="Add labelled images of that split to the audit spec.",
            )
        return None

    def passes(self, available: Available) -> tuple[Pass, ...]:
        claimed = {claim.split for _, claim in _claims(available.spec)}
        return tuple(
            Pass(split)
            for split in SPLITS
            if split in claimed
            and split in available.datasets
            and available.datasets[split].has_labels
        )


@dataclass(frozen=True)
class ClaimedSplit(Need):
    """Labelled images of one split, for claims about it."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        if self.split in {p.split for p in ClaimedAnswers().passes(available)}:
            return None
        return Unmet(
            reason=f"The spec has no labelled {self.split} images.",
            remedy=f"Add labelled images under `data.{self.split}`.",
        )


_SPLITS = {split: ClaimedSplit(split=split, optional=True) for split in SPLITS}


@dataclass(frozen=True)
class Claims(Check):
    """What the model's team claims of its accuracy, recall or precision, measured again.

    What it measures
    ----------------
    For every claim in the spec on accuracy, recall or precision: that number, on the data as
    given and on their clean subset (without unreadable and duplicated images and images or units
    that were seen in training). Claims on other measures, such as latency, are tested on the
    measure that they name.

    Why it matters
    --------------
    A number in a report is trusted because someone measured it. If it holds on the data as
    given and not on the clean subset, it rests on what the model had already seen.

    How it can mislead
    ------------------
    A claim may have been measured on other data, with other preprocessing, or for another
    version; a difference then is no error of arithmetic. A claim of "91%" that was itself
    measured on few images holds an uncertainty that the claim does not state. The clean subset
    is smaller, so its interval is wider: "not decided" is not "refuted".
    """

    id: ClassVar[str] = "performance/claims"
    topic: ClassVar[str] = "the team's claims"
    words: ClassVar = {
        name: (
            Words(
                title=f"Claim {{claim}}: {named}, on the data {{part}}",
                short=f"the claimed {named}",
                sentence=f"Claimed: {claimed} {{direction}} {{claimed:percent}}. Measured on the "
                "{split} data {part}: {count} of {n} = {value}.",
                action="correct the claim",
            ),
            Words(title=f"Claim {{claim}}: {named}", short=f"the claimed {named}"),
        )
        for name, (named, claimed) in _TESTED.items()
    }
    needs: ClassVar[tuple[Need, ...]] = (ClaimedAnswers(), *_SPLITS.values())
    sources: ClassVar[tuple[str, ...]] = (
        "Wilson (1927), doi:10.1080/01621459.1927.10502953",
        "Kapoor & Narayanan (2023), doi:10.1016/j.patter.2023.100804 (leakage behind claims)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for number, claim in _claims(evidence.spec):
            if not evidence.has(_SPLITS[claim.split]):
                yield _without_labels(number, claim)
                continue
            for part in _PARTS:
                of: RowKind = "answer" if claim.measure == "precision" else evidence.kinds[0]
                rows = evidence.scored(claim.split, part=part, of=of).with_truth
                yield _tested(number, claim, rows, part=part)


def _claims(spec: AuditSpec) -> list[tuple[int, ClaimSpec]]:
    """The claims that this check tests, with their index in the spec, from 1."""
    return [(i, c) for i, c in enumerate(spec.claims, start=1) if c.measure in _TESTED]


def _without_labels(number: int, claim: ClaimSpec) -> Unmeasured:
    return Unmeasured(
        name=claim.measure,
        subject=Subject.of(split=claim.split, claim=str(number)),
        reason=f"Claim {number} is about {claim.split} images, and none with labels are given.",
        remedy=f"Add labelled images under `data.{claim.split}`.",
    )


def _tested(number: int, claim: ClaimSpec, rows: Rows, *, part: str) -> Measure | Unmeasured:
    subject = Subject.of(split=claim.split, claim=str(number), part=part)
    if claim.measure != "accuracy" and claim.label is None and rows.of == "image":
        return Unmeasured(
            name=claim.measure,
            subject=subject,
            reason=f"Claim {number} is on {claim.measure} and names no class.",
            remedy=f"Name the class under `label` in claim {number}.",
        )
    among, of = _among(number, claim, rows)
    kept = rows.take(among)
    at_least = claim.at_least is not None
    return rate_measure(
        claim.measure,
        subject=subject,
        among=kept,
        success=kept.right,
        better="higher",
        of=f"{of} ({part} part)",
        facts={
            "claimed": claim.at_least if at_least else claim.at_most,
            "direction": "at least" if at_least else "at most",
            "source": claim.source,
            "class": claim.label,
        },
    )


def _among(number: int, claim: ClaimSpec, rows: Rows) -> tuple[np.ndarray, str]:
    """The images that the claim's share is of, as a mask and in words."""
    if claim.measure == "accuracy" or claim.label is None:
        return np.ones(len(rows), dtype=bool), f"the labelled {claim.split} data"
    class_index(claim.label, classes=rows.classes, where=f"claims, number {number}")
    if claim.measure == "recall":
        return rows.present(claim.label), f'the {claim.split} data of class "{claim.label}"'
    return rows.called(claim.label), f'the {claim.split} data answered "{claim.label}"'
