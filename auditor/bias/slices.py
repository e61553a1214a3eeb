"""bias/slices: failing groups that nobody declared, found on one half, confirmed on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from auditor.bias.slice_features import Described, Trait, described, seen_by_model, traits
from auditor.bias.slice_search import Candidate, Errors, beyond_alike, candidates
from auditor.bias.split_half import first_half
from auditor.comparing.by_group import measure_cells, side_cells
from auditor.contract import Check, ClassScores, Embedding, Evidence, Need, Scan, Truth, Words
from auditor.contract.numbers import side_text
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Result,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.stats import (
    Exact,
    RateDifference,
    holm,
    mean_difference,
    p_value,
    rate,
    rate_difference,
)
from auditor.stats.resampling import whole_units

ALPHA = 0.05
LEAST_UNITS = 4 * MIN_UNITS
"""Fewer units than this hold no slice and rest with ten each in both halves."""

_EMBEDDING = Embedding(optional=True)
_MOST_TRAITS, _LEAST_PHI = 3, 0.1
_TRAIT = (
    "It goes with {{traits[{0}][trait]}}: {{traits[{0}][here]:percent}} of its images, "
    "{{traits[{0}][elsewhere]:percent}} of all others{{no_rule:if}}."
)
_SIZES = (
    "accuracy {this}; all others {other}; {gap}; found on one half of the images, confirmed on the "
    "other."
)


@dataclass(frozen=True)
class Slices(Check):
    """Groups of images that fail more often and that nobody declared.

    What it measures
    ----------------
    On one half of the units, groups of images are looked for that are wrong more often than
    others of the same label and answer: by attributes and properties of the images (brightness,
    sharpness, compression), and by how the model sees them, its embedding beyond what label,
    answer and scores lead one to expect, along which errors rise that the scores did not
    announce. The most suspicious are candidates. On the other half, each candidate's accuracy is
    compared with that of all other images. A candidate is confirmed when it is shown to be worse
    (5% for all candidates together, Holm, the likeliest with the largest part): overall, than
    others of the same label, and than others with the same answer. Only confirmed slices are
    measured, on that other half; of the others there is only the count.

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
    needs: ClassVar[tuple[Need, ...]] = (ClassScores(), Truth(), Scan(), _EMBEDDING)
    sources: ClassVar[tuple[str, ...]] = (
        "Eyuboglu et al. (2022), arXiv:2203.14960 (Domino)",
        "d'Eon et al. (2022), arXiv:2107.00758 (Spotlight)",
        "Chung et al. (2020), arXiv:1807.06068 (Slice Finder)",
        "Belrose et al. (2023), arXiv:2306.03819 (taking the answer out of the embedding)",
        "Holm (1979), www.jstor.org/stable/4615733",
    )
    words: ClassVar = {
        "confirmed-slices": Words(
            title="Failing groups that nobody named, found and confirmed",
            span=FROM_0,
            short="failing groups found",
            sentence=(
                "Looked for in attributes, image properties and the embedding{in_embedding:if}.",
                "Looked for in attributes and image properties; there is no embedding to look in"
                "{without_embedding:if}.",
                "Candidates for failing slices: {candidates}; confirmed on the other half: "
                "{confirmed}.",
                "Of these, {repeated} repeat another one.",
                "Looked through were {drawn} of {of_all} images, drawn at random.",
            ),
        ),
        "accuracy": Words(
            title="Accuracy in the found group {slice}",
            span=EITHER_WAY,
            short="found group {slice}",
            sentence=(
                "Slice {slice}, {rule}: " + _SIZES,
                "Slice {slice}, images that look alike to the model{no_rule:if}: " + _SIZES,
                *(_TRAIT.format(place) for place in range(_MOST_TRAITS)),
            ),
            hundred="Of 100 images of the found group {slice} it answers {here} rightly; of 100 "
            "others, {there}.",
            sides=("Found group", "All others"),
            action="find out what the images of the found group {slice} share, and train again "
            "with more of them",
        ),
    }

    most_candidates: Annotated[
        int, "Candidates that the other half is asked about; more find more and confirm less."
    ] = 8
    depth: Annotated[int, "Conditions that describe a candidate at most."] = 3
    most_images: Annotated[
        int, "Of more images, so many in whole units drawn at random are looked through."
    ] = 200_000

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes, rng = evidence.answers(), evidence.rng
        labelled, owner = np.flatnonzero(outcomes.labelled), outcomes.dataset.unit_codes
        at = whole_units(labelled, unit=owner, most=self.most_images, rng=rng)
        known = outcomes.take(at)
        unit = known.dataset.unit_codes
        found = count_units(np.ones(len(known), dtype=bool), unit)
        if found < LEAST_UNITS:
            yield _too_few(found, unit)
            return
        half = first_half(len(known), unit=unit, stratum=known.labels, rng=rng)
        told = described(known, evidence.scan("test"))
        seen = None
        if evidence.has(_EMBEDDING):
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
        other = _Other.of(known, told, half, unit)
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
            yield _table(other, measures)
            yield _forest(measures)


@dataclass(frozen=True)
class _Other:
    """The half of the units that confirms, and the mask `keep` (n,) that it was taken by."""

    outcomes: Outcomes
    unit: np.ndarray | None
    traits: tuple[Trait, ...]
    keep: np.ndarray

    @classmethod
    def of(
        cls, outcomes: Outcomes, told: Described, half: np.ndarray, unit: np.ndarray | None
    ) -> _Other:
        keep = ~half
        rest = outcomes.take(keep)
        return cls(
            outcomes=rest,
            unit=None if unit is None else unit[keep],
            traits=traits(rest, Described(told.features, told.values[keep])),
            keep=keep,
        )

    def p_worse(self, inside: np.ndarray) -> float:
        """P-value of "not worse than all others, than those of its labels, or of its answers"."""
        wrong, everyone = ~self.outcomes.correct, np.ones(len(inside), dtype=bool)
        alike = (
            mean_difference(beyond_alike(wrong, of, half=everyone), member=inside, unit=self.unit)
            for of in (self.outcomes.labels, self.outcomes.predicted)
        )
        return max(
            p_value(self.gap(inside), limit=0, exceeds="below"),
            *(p_value(gap, limit=0, exceeds="above") for gap in alike),
        )

    def gap(self, inside: np.ndarray) -> RateDifference:
        return rate_difference(self.outcomes.correct, member=inside, unit=self.unit)

    def side(self, keep: np.ndarray) -> Side:
        """Accuracy over the images under a mask."""
        unit = None if self.unit is None else self.unit[keep]
        return Side(rate(self.outcomes.correct[keep], unit=unit), int(keep.sum()))

    def is_worse_among(self, inside: np.ndarray, among: np.ndarray) -> bool:
        """Whether a slice's images under a mask are shown to be worse than the mask's others."""
        part = replace(
            self,
            outcomes=self.outcomes.take(among),
            unit=None if self.unit is None else self.unit[among],
        )
        own = inside[among]
        return part.has_both_sides(own) and part.p_worse(own) <= ALPHA

    def has_both_sides(self, inside: np.ndarray) -> bool:
        return all(count_units(side, self.unit) >= MIN_UNITS for side in (inside, ~inside))


@dataclass(frozen=True)
class _Slice:
    """A confirmed candidate: its images on the confirming half, and its adjusted p-value."""

    inside: np.ndarray
    rule: str
    p: float


def _confirmed(other: _Other, suspects: tuple[Candidate, ...]) -> list[_Slice]:
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


def _distinct(other: _Other, confirmed: list[_Slice]) -> list[_Slice]:
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


def _count(other: _Other, distinct: list[_Slice], facts: dict[str, Any]) -> Measure:
    return Measure(
        name="confirmed-slices",
        subject=Subject(split="test"),
        estimate=Exact(float(len(distinct))),
        scale="amount",
        unit="slices",
        least=0.0,
        better="lower",
        n=len(other.outcomes),
        n_units=None if other.unit is None else len(np.unique(other.unit)),
        facts=facts,
    )


def _measure(other: _Other, one: _Slice, number: int) -> Measure:
    outcomes, unit, inside = other.outcomes, other.unit, one.inside
    return Measure(
        name="accuracy",
        subject=Subject.of(split="test", slice=str(number)),
        estimate=other.gap(inside),
        scale="difference",
        neutral=0.0,
        better="higher",
        n=int(inside.sum()),
        n_units=None if unit is None else count_units(inside, unit),
        sides=(other.side(inside), other.side(~inside)),
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=inside & ~outcomes.correct
        ),
        facts={
            "rule": one.rule or None,
            "no_rule": not one.rule,
            "traits": _strongest(other.traits, inside),
            "p_confirmed": one.p,
        },
    )


def _strongest(traits: tuple[Trait, ...], inside: np.ndarray) -> list[dict[str, Any]]:
    """Traits that go with the slice most (phi coefficient), one of a kind, strongest first."""
    found: list[dict[str, Any]] = []
    for trait in traits:
        here, elsewhere = float(trait.member[inside].mean()), float(trait.member[~inside].mean())
        share, size = float(trait.member.mean()), float(inside.mean())
        if not 0 < share < 1:
            continue
        phi = (here - elsewhere) * (size * (1 - size) / (share * (1 - share))) ** 0.5
        found.append({"of": trait.name, "trait": trait.words, "here": here,
                      "elsewhere": elsewhere, "phi": phi})  # fmt: skip
    found.sort(key=lambda t: -t["phi"])
    best: dict[str, dict[str, Any]] = {}
    for trait_found in found:
        best.setdefault(trait_found["of"], trait_found)
    return [t for t in best.values() if t["phi"] >= _LEAST_PHI][:_MOST_TRAITS]


def _too_few(found: int, unit: np.ndarray | None) -> Unmeasured:
    noun = "images" if unit is None else "units"
    return Unmeasured(
        name="confirmed-slices",
        subject=Subject(split="test"),
        reason=f"The test data has {found} labelled {noun}; with fewer than {LEAST_UNITS} nothing "
        "can be looked for on one half and confirmed on the other.",
        remedy=f"Label test images of at least {LEAST_UNITS} {noun}; hundreds, to find much.",
    )


def _table(other: _Other, measures: list[Measure]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for number, measure in enumerate(measures, start=1):
        own = side_cells(measure.sides[0]) if measure.sides else ()
        traits = measure.facts["traits"] or [dict.fromkeys(("trait", "here", "elsewhere"))]
        rows += [
            (number, measure.facts["rule"], measure.n, t["trait"], *own,
             *measure_cells(measure), t["here"], t["elsewhere"])
            for t in traits
        ]  # fmt: skip
    names = ("slice", "rule", "images", "trait", "accuracy", "low", "high", "difference",
             "difference low", "difference high", "share in the slice",
             "share elsewhere")  # fmt: skip
    return Table(
        id="bias/slices:slices",
        title=f"Confirmed slices on {len(other.outcomes):,} images, and what goes with them",
        columns=tuple(Column(n, "share" if n in names[4:] else "") for n in names),
        rows=tuple(rows),
    )


def _forest(measures: list[Measure]) -> Figure:
    rows: list[Mapping[str, Cell]] = []
    alt = []
    for measure in measures:
        here, _ = measure.sides or (None, None)
        if here is None:
            continue
        label, (point, low, high) = f"slice {measure.subject.get('slice')}", side_cells(here)
        rows.append({"label": label, "value": point, "low": low, "high": high, "n": here.n})
        rule = measure.facts["rule"] or "images that look alike to the model"
        alt.append(f"{label.capitalize()}, {rule}: {side_text(here)}")
    return Figure(
        id="bias/slices:accuracy",
        kind="forest",
        title="Accuracy of confirmed slices",
        caption="Accuracy of each slice with its 95% interval, on the half of the images that had "
        "no part in finding it.",
        alt="; ".join(alt),
        x=Axis("accuracy", "share"),
        y=Axis("slice"),
        rows=tuple(rows),
    )
