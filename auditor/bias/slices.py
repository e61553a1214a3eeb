"""bias/slices: failing groups that nobody declared, found on one half, confirmed on the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from auditor.bias.confirming_half import ALPHA, ConfirmingHalf
from auditor.bias.slice_features import Described, Looked, described, seen_by_model
from auditor.bias.slice_rows import ScoredRows
from auditor.bias.slice_search import Candidate, Errors, candidates
from auditor.bias.slice_tables import MOST_TRAITS, slice_forest, slice_table, strongest
from auditor.bias.split_half import first_half
from auditor.contract import (
    Check,
    ClassScores,
    Embedding,
    Evidence,
    Need,
    Predictions,
    Scan,
    Truth,
    Words,
)
from auditor.contract.quantity_words import NAMINGS
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.findings import Measure, Result, RowKind, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.stats import Exact, holm
from auditor.stats.resampling import whole_units

LEAST_UNITS = 4 * MIN_UNITS
"""Fewer units than this hold no slice and rest with ten each in both halves."""

_EMBEDDING, _SCORES = Embedding(optional=True), ClassScores(optional=True)
_TRAIT = (
    "It goes with {{traits[{0}][trait]}}: {{traits[{0}][here]:percent}} of its images, "
    "{{traits[{0}][elsewhere]:percent}} of all others{{no_rule:if}}."
)
_SIZES = (
    "{this}; all others {other}; {gap}; found on one half of the {rows}, confirmed on the other."
)


def _words(right: str, *, title: str, short: str, hundred: str) -> Words:
    """Words for the share `right` in a found group; `hundred` completes "Of 100 images ..."."""
    return Words(
        title=f"{title} in the found group {{slice}}",
        span=EITHER_WAY,
        short=short,
        sentence=(
            f"Slice {{slice}}, {{rule}}: {right} {_SIZES}",
            "Slice {slice}, {rows} that look alike to the model{no_rule:if}: "
            f"{right} {_SIZES}",
            *(_TRAIT.format(place) for place in range(MOST_TRAITS)),
        ),
        hundred=f"Of 100 {{rows}} of the found group {{slice}} {hundred}; of 100 others, "
        "{there}.",
        sides=("Found group", "All others"),
        action="find out what the {rows} of the found group {slice} share, and train again "
        "with more of them",
    )


_COUNTED = Words(
    title="Failing groups that nobody named, found and confirmed",
    span=FROM_0,
    short="failing groups found",
    sentence=(
        "Looked for in attributes, image properties and the embedding{in_embedding:if}.",
        "Looked for in attributes and image properties; there is no embedding to look in"
        "{without_embedding:if}.",
        "Candidates for failing slices: {candidates}; confirmed on the other half: {confirmed}.",
        "Of these, {repeated} repeat another one.",
        "Looked through were {drawn} of {of_all} {rows}, drawn at random.",
    ),
)


@dataclass(frozen=True)
class Slices(Check):
    """Groups of images or objects that fail more often and that nobody declared.

    What it measures
    ----------------
    On one half of the units, groups of images are looked for that are wrong more often than
    others of the same label and answer: by attributes and properties of the images (brightness,
    sharpness, compression), and by how the model sees them, its embedding beyond what label,
    answer and scores lead one to expect, along which errors rise that the scores did not
    announce. The most suspicious are candidates. On the other half, each candidate's accuracy is
    compared with that of all other images. A candidate is confirmed when it is shown to be worse
    (5% for all candidates together, Holm, the likeliest with the largest part): overall, than
    others of the same label, than others with the same answer, and than others that the model is
    as sure of. Only confirmed slices are
    measured, on that other half; of the others there is only the count. Of a detector the objects
    that should be found are looked through, and by themselves its answers, of which false alarms
    and other wrong ones are looked for; of a segmenter its images. Without a score for each class
    there is no embedding to look in, and what is alike is of the same class.

    Why it matters
    --------------
    The groups that a manifest names are those that somebody thought of. A model fails elsewhere
    too: behind a certain lens, in a certain light, for a kind of room that has no name.

    How it can mislead
    ------------------
    No slice found is no sign that there is none: methods of this kind find about a third of
    planted ones, and half of the images are spent on looking. A slice may be a declared group
    again, or two mixed; its traits say so, and they are what goes with the slice, not its cause.
    Rules come from trees, which would split elsewhere on other images. Of slices that were just
    confirmed the gap is a little overstated. Slices of the embedding depend on what this model
    sees: what it cannot tell apart is not found.
    """

    id: ClassVar[str] = "bias/slices"
    topic: ClassVar[str] = "failing groups that nobody named"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        Scan(),
        _SCORES,
        _EMBEDDING,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Eyuboglu et al. (2022), arXiv:2203.14960 (Domino)",
        "d'Eon et al. (2022), arXiv:2107.00758 (Spotlight)",
        "Chung et al. (2020), arXiv:1807.06068 (Slice Finder)",
        "Belrose et al. (2023), arXiv:2306.03819 (taking the answer out of the embedding)",
        "Holm (1979), www.jstor.org/stable/4615733",
    )
    words: ClassVar = {
        "confirmed-slices": (
            replace(
                _COUNTED,
                title="Failing groups among {part} that nobody named, found and confirmed",
                short="failing groups among {part} found",
            ),
            _COUNTED,
        ),
        "accuracy": _words(
            "accuracy",
            title="Accuracy",
            short="found group {slice}",
            hundred="it answers {here} rightly",
        ),
        **{
            name: _words(
                NAMINGS[name].short,
                title=NAMINGS[name].title,
                short=f"found group {{slice}}: {NAMINGS[name].short}",
                hundred=NAMINGS[name].hundred,
            )
            for name in ("objects-found", "answers-right", "images-overlapping")
        },
    }

    most_candidates: Annotated[
        int, "Candidates that the other half is asked about; more find more and confirm less."
    ] = 8
    depth: Annotated[int, "Conditions that describe a candidate at most."] = 3
    most_images: Annotated[
        int, "Of more images, so many in whole units drawn at random are looked through."
    ] = 200_000

    def run(self, evidence: Evidence) -> Iterator[Result]:
        # A detector's images are its objects and answers over again.
        parts: list[RowKind] = [kind for kind in evidence.kinds if kind != "image"]
        for of in parts or evidence.kinds:
            yield from self._among(evidence, of)

    def _among(self, evidence: Evidence, of: RowKind) -> Iterator[Result]:
        """The failing groups among images, objects or answers."""
        rng = evidence.rng
        everyone, truth_known = _looked(evidence, of)
        labelled, owner = np.flatnonzero(truth_known), everyone.dataset.unit_codes
        at = whole_units(labelled, unit=owner, most=self.most_images, rng=rng)
        known = everyone.take(at)
        unit = known.dataset.unit_codes
        found = count_units(np.ones(len(known), dtype=bool), unit)
        if found < LEAST_UNITS:
            yield _too_few(found, unit, of)
            return
        half = first_half(len(known), unit=unit, stratum=known.alike[0], rng=rng)
        told = _told(evidence, known)
        seen = None
        if isinstance(known, Outcomes) and evidence.has(_EMBEDDING):
            embedding = evidence.embedding("test")
            seen = seen_by_model(embedding, known, at=at, learn=np.flatnonzero(half), rng=rng)
        suspects = candidates(
            Errors.of(known, half=half),
            told=told,
            seen=seen,
            half=half,
            unit=unit,
            depth=self.depth,
            most=self.most_candidates,
            rng=rng,
        )
        other = ConfirmingHalf.of(known, told, half, unit)
        confirmed = _confirmed(other, suspects)
        distinct = _distinct(other, confirmed)
        yield _count(
            other,
            distinct,
            {
                "candidates": len(suspects),
                "confirmed": len(confirmed),
                "repeated": len(confirmed) - len(distinct) or None,
                "in_embedding": seen is not None,
                "without_embedding": seen is None,
                "drawn": len(at) if len(at) < len(labelled) else None,
                "of_all": len(labelled),
            },
        )
        measures = [_measure(other, one, number) for number, one in enumerate(distinct, start=1)]
        yield from measures
        if measures:
            yield slice_table(measures, n=len(other.looked))
            yield slice_forest(measures)


def _told(evidence: Evidence, known: Looked) -> Described:
    # As given, for a scan of the clean subset alone would be made anew.
    everything = evidence.dataset("test", part="as-given")
    places = everything.image_ids.places_of(known.image_ids)
    return described(known, evidence.scan("test", part="as-given"), places)


def _looked(evidence: Evidence, of: RowKind) -> tuple[Looked, np.ndarray]:
    """What groups are looked for among, and where its truth is known, (n,) bool."""
    if evidence.has(_SCORES):
        outcomes = evidence.answers()
        return outcomes, outcomes.labelled
    rows = evidence.scored(of=of)
    return ScoredRows(rows), rows.known


@dataclass(frozen=True)
class _Slice:
    """A confirmed candidate: its images on the confirming half, and its adjusted p-value."""

    inside: np.ndarray
    rule: str
    p: float


def _confirmed(other: ConfirmingHalf, suspects: tuple[Candidate, ...]) -> list[_Slice]:
    """Candidates shown to be worse, the most clearly worse first; likelier ones get more."""
    sides = [(c.member[other.keep], c.rule) for c in suspects]
    asked = [(inside, rule) for inside, rule in sides if other.has_both_sides(inside)]
    likelier_first = 1 / np.arange(1, len(asked) + 1)
    adjusted = holm([other.p_worse(inside) for inside, _ in asked], weights=likelier_first)
    found = [
        _Slice(inside, rule, p)
        for (inside, rule), p in zip(asked, adjusted, strict=True)
        if p <= ALPHA
    ]
    return sorted(found, key=lambda s: s.p)


def _distinct(other: ConfirmingHalf, confirmed: list[_Slice]) -> list[_Slice]:
    """Confirmed slices that are not others over again, in order.

    One is another over again when it is shown to be worse neither outside of that other one nor
    within it: "dark", where only "old and dark" fails, or a part of that which fails no more.
    """
    kept: list[_Slice] = []
    for one in confirmed:
        if all(
            other.is_worse_among(one.inside, ~earlier.inside)
            or other.is_worse_among(one.inside, earlier.inside)
            for earlier in kept
        ):
            kept.append(one)
    return kept


def _count(other: ConfirmingHalf, distinct: list[_Slice], facts: dict[str, Any]) -> Measure:
    return Measure(
        name="confirmed-slices",
        subject=_everyone(other.looked.of),
        estimate=Exact(float(len(distinct))),
        scale="amount",
        unit="slices",
        least=0.0,
        better="lower",
        n=len(other.looked),
        of=other.looked.of,
        n_units=None if other.unit is None else len(np.unique(other.unit)),
        facts=facts,
    )


def _measure(other: ConfirmingHalf, one: _Slice, number: int) -> Measure:
    looked, unit, inside = other.looked, other.unit, one.inside
    return Measure(
        name=looked.headline,
        subject=Subject.of(split="test", slice=str(number)),
        estimate=other.gap(inside),
        scale="difference",
        neutral=0.0,
        better="higher",
        n=int(inside.sum()),
        of=looked.of,
        n_units=None if unit is None else count_units(inside, unit),
        sides=(other.side(inside), other.side(~inside)),
        examples=worst_first(
            looked.image_ids, badness=looked.confidence, among=inside & ~looked.correct
        ),
        facts={
            "rule": one.rule or None,
            "no_rule": not one.rule,
            "traits": strongest(other.traits, inside),
            "p_confirmed": one.p,
        },
    )


def _everyone(of: RowKind) -> Subject:
    return Subject.about({"part": "answers"} if of == "answer" else {}, split="test")


def _too_few(found: int, unit: np.ndarray | None, of: RowKind) -> Unmeasured:
    noun = "images" if unit is None else "units"
    return Unmeasured(
        name="confirmed-slices",
        subject=_everyone(of),
        reason=f"The test data has {found} labelled {noun}; with fewer than {LEAST_UNITS} nothing "
        "can be looked for on one half and confirmed on the other.",
        remedy=f"Label test images of at least {LEAST_UNITS} {noun}; hundreds, to find much.",
    )
