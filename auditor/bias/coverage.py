"""bias/coverage: what this audit cannot say, because too few images could have said it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.coverage_tables import Row, bars, cannot_say, cannot_say_rows, heat
from auditor.bias.detectable_gap import SMALLEST_GAP, GroupGap, group_gaps
from auditor.bias.group_cells import Cells, Coded, Decidable, Wanted, cells, decidable
from auditor.comparing.groups import groupings, let_go
from auditor.contract import Attributes, Check, Evidence, LabelledSplits, Manifest, Need, Words
from auditor.contract.quantity_words import share_of
from auditor.contract.words import FROM_0
from auditor.data.dataset import Attribute, Dataset
from auditor.data.objects import classes_of
from auditor.data.pooling import by_label
from auditor.data.truth import BoxTruth, MapTruth
from auditor.findings import Measure, Measured, Result, RowKind, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.rows import Rows
from auditor.stats import Exact, rate
from auditor.stats.codes import compact

TRAIN = Manifest(split="train", optional=True)
NAMED = 5
"""Cells that a sentence names at most."""

_EMPTY = "{empty:of them have/of them has} none at all."
_NAMED = "Namely: {named}."
_TOO_FEW = "{few:have/has} too few {split} {rows} to show even a gap of {gap_asked:points} points."


@dataclass(frozen=True)
class Coverage(Check):
    """What this audit cannot say: groups and combinations with too few images to decide.

    What it measures
    ----------------
    For every group the smallest gap that the test data (and labelled deployment data) could have
    shown: how much lower its accuracy would have to be than all others' to be shown, four times
    in five, to be beyond the allowed gap (`limit`), with as many comparisons as there are groups.
    Further how many cells
    of group and label, and of two attributes' groups, are empty, have fewer than 10 units, or
    would not show even a gap of `gap`; and which labels of which groups training never showed.
    All are listed in one table, with how many more units each needs. Of a detector it is objects
    that are counted, and the share of them that is found stands for accuracy; of a segmenter,
    images that hold a class.

    Why it matters
    --------------
    "No gap was found" means something only where a gap would have been found. The groups that
    are rare in the world are rare in the test, and their silence reads like fairness.

    How it can mislead
    ------------------
    What a test set could have shown is computed from how often all others are answered right, and
    from how alike the images of one unit are, both as measured here; for cells, from all images
    together, with a share of right answers of a half or more. Enough images of a cell do not make
    them the right ones: fifty photos of one building's rooms may miss what the next building
    looks like. Only declared attributes are counted. Cells of two attributes may be empty
    because there are none in the world (a cellar on the fifth floor): then nothing is lacking.
    """

    id: ClassVar[str] = "bias/coverage"
    topic: ClassVar[str] = "what the data are too few to say"
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), Attributes(), TRAIN)
    sources: ClassVar[tuple[str, ...]] = (
        "Fleiss, Levin & Paik (2003), doi:10.1002/0471445428, ch. 4 (sample sizes)",
        "Asudeh, Jin & Jagadish (2019), arXiv:1810.06742 (coverage of a dataset)",
    )
    words: ClassVar = {
        SMALLEST_GAP: (
            Words(
                title="Smallest gap in {measured} of {group} that the {split} data could have "
                "shown",
                scale="difference",
                short="{group}: gaps too small to show",
                sentence=(
                    "{group}: with {independent} {counted:noun}, {measured} would have to be "
                    "{point} below all others’ to be shown to be more than {limit:points} points "
                    "below.",
                    "If it is answered as well as they are, about {units_to_pass} {counted:noun} "
                    "would show that it is within that.",
                    "About {more} {counted:noun} more would show a gap of {gap_asked:points} "
                    "points.",
                ),
                action="add images of {group} to the {split} data",
            ),
            Words(
                title="Smallest gap of {group} that the {split} data could have shown",
                short="{group}: gaps too small to show",
            ),
        ),
        "undecidable-cells": Words(
            title="Combinations of {attribute} and label with too few images to decide{in_where}",
            span=FROM_0,
            short="too few to decide, {attribute} and label",
            sentence=(
                "Of {all} combinations of {attribute} and label, " + _TOO_FEW,
                _EMPTY,
                _NAMED,
            ),
            action="add images of these combinations to the {split} data",
        ),
        "undecidable-pairs": Words(
            title="Combinations of two attributes with too few images to decide{in_where}",
            span=FROM_0,
            short="too few to decide, two attributes",
            sentence=(
                "Of {all} combinations of the groups of two attributes, " + _TOO_FEW,
                _EMPTY,
                _NAMED,
            ),
            action="add images of these combinations to the {split} data",
        ),
        "empty-cells": Words(
            title="Combinations of {attribute} and label that the {split} data never show",
            span=FROM_0,
            short="never shown in {split}, {attribute} and label",
            sentence=(
                "Of {all} combinations of {attribute} and label, {few:have/has} no {split} {row}.",
                _NAMED,
            ),
            action="add images of these combinations to the {split} data, and train again",
        ),
    }

    limit: Annotated[
        float, "Gap to all others that is allowed; a gap must be shown to exceed it."
    ] = 0.05
    gap: Annotated[float, "A cell that would not show a gap of this size is too small."] = 0.20
    most_classes: Annotated[
        int, "Labels are counted for every class up to this many classes, else for adverse ones."
    ] = 10

    def __post_init__(self) -> None:
        if not 0 <= self.limit < self.gap < 1:
            raise ValueError(
                f"bias/coverage: found limit {self.limit} and gap {self.gap}, expected "
                "0 <= limit < gap < 1"
            )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        cannot: list[Row] = []
        nouns: dict[str, None] = {}
        adverse, judged = evidence.spec.consequences.adverse, False
        for split in evidence.labelled_splits():
            rows = evidence.scored(split).with_truth
            gaps = group_gaps(groupings(rows), limit=self.limit, gap=self.gap)
            yield from (_smallest_gap(each, split, limit=self.limit, gap=self.gap) for each in gaps)
            if not len(rows):
                continue
            judged = True
            test = _Judged.of(rows)
            labels = self._by_label(_Judged.of(rows.by_label()), self._classes(rows, adverse))
            pairs = self._by_pair(test)
            yield from (_undecidable(found, rows, self.gap) for found in labels)
            if pairs:
                whole = Subject(split=split)
                yield _count(
                    "undecidable-pairs", pairs, rows.dataset, whole, of=rows.of, gap=self.gap
                )
            measured, nouns[rows.noun] = share_of(rows.headline), None
            cannot += cannot_say_rows(
                split, measured, gaps, self._by_group(test), labels, pairs, gap=self.gap
            )
            yield from bars(gaps, split=split, limit=self.limit, measured=measured)
            yield from (heat(found, split=split, gap=self.gap, noun=rows.noun) for found in labels)
            let_go(groupings(rows))
        if judged:
            if evidence.has(TRAIN):
                train = evidence.dataset("train")
                yield from _never_shown(train, self._classes(train, adverse))
            yield cannot_say(cannot, noun=next(iter(nouns)))

    def _classes(self, data: Rows | Dataset, adverse: tuple[str, ...]) -> tuple[str, ...]:
        if len(data.classes) <= self.most_classes:
            return data.classes
        return tuple(name for name in adverse if name in data.classes)

    def _by_group(self, test: _Judged) -> list[Decidable]:
        """Groups of an attribute as cells of one column, for those too small to be compared."""
        everyone = Coded(f"all {test.rows.noun}", ("all",), np.zeros(len(test.rows), dtype=np.int8))
        counted = [cells(c, everyone, unit=test.unit) for c in test.attributes]
        wanted = Wanted(self.limit, self.gap, test.right, _comparisons(counted))
        return [decidable(c, rest_over=0, wanted=wanted, deff=test.deff) for c in counted]

    def _by_label(self, test: _Judged, classes: tuple[str, ...]) -> list[Decidable]:
        """Group by label, whose rest are the other groups with the label."""
        if not classes:
            return []
        rows, unit = test.rows, test.unit
        holding = [np.flatnonzero(rows.present(label)) for label in classes]
        at = np.concatenate(holding)
        places = compact(np.arange(len(classes)))
        label = Coded("label", classes, np.repeat(places, [*map(len, holding)]))
        unit = None if unit is None else unit[at]
        counted = [cells(c.take(at), label, unit=unit) for c in test.attributes]
        found = [_share(rows.called(name)[of]) for name, of in zip(classes, holding, strict=True)]
        wanted = Wanted(self.limit, self.gap, np.maximum(0.5, found), _comparisons(counted))
        return [decidable(c, rest_over=0, wanted=wanted, deff=test.deff) for c in counted]

    def _by_pair(self, test: _Judged) -> list[Decidable]:
        """Two attributes' groups, whose rest are all other images that have both attributes."""
        counted = []
        for a, b in combinations(test.attributes, 2):
            pair = test.rows.crossed(a.column, b.column).dataset
            first = _groups(pair, pair.attribute(a.column))
            counted.append(cells(first, b, unit=test.unit))
        wanted = Wanted(self.limit, self.gap, test.right, _comparisons(counted))
        return [decidable(c, rest_over=None, wanted=wanted, deff=test.deff) for c in counted]


@dataclass(frozen=True)
class _Judged:
    """Labelled rows, the groups of each under every attribute, and how often they are right.

    `right` is at least one half, where shares vary most: no gap of 20 points can be looked for in
    a class that is found once in ten times. `deff` is the design effect of units.
    """

    rows: Rows
    unit: np.ndarray | None
    attributes: tuple[Coded, ...]
    right: float
    deff: float

    @classmethod
    def of(cls, rows: Rows) -> _Judged:
        unit = rows.unit_codes
        several = unit is not None and int(unit.max()) > 0
        everyone = rate(rows.right, unit=unit if several else None)
        return cls(
            rows=rows,
            unit=unit,
            attributes=tuple(_groups(rows.dataset, a) for a in rows.attributes),
            right=max(0.5, everyone.x / everyone.n),
            deff=len(rows) / everyone.n,
        )


def _share(found: np.ndarray) -> float:
    return float(found.mean()) if len(found) else 0.0


def _groups(dataset: Dataset, attribute: Attribute) -> Coded:
    places = dataset.coded_groups(attribute.name).places_in(attribute.groups)
    return Coded(attribute.name, attribute.groups, places)


def _comparisons(counted: Sequence[Cells]) -> int:
    """Cells that are large enough for any comparison: the family that a verdict pays for."""
    return max(1, sum(int((c.units >= MIN_UNITS).sum()) for c in counted))


def _smallest_gap(each: GroupGap | Unmeasured, split: str, *, limit: float, gap: float) -> Measured:
    if isinstance(each, Unmeasured):
        return each
    if math.isinf(each.gap):
        return _no_gap(each)
    more, to_pass = (each.units_to_show or 0) - each.n_units, each.units_to_pass or 0
    found = each.compared.measure(
        each.group,
        SMALLEST_GAP,
        Exact(each.gap),
        "difference",
        facts={
            "measured": share_of(each.compared.quantity.name),
            "independent": each.n_units,
            "counted": each.noun,
            "limit": limit,
            "comparisons": each.comparisons,
            "units_to_show": each.units_to_show,
            "units_to_pass": to_pass if to_pass > each.n_units else None,
            "more": more if more > 0 else None,
            "gap_asked": gap,
        },
    )
    return replace(found, better="lower", neutral=None)


def _no_gap(each: GroupGap) -> Unmeasured:
    more = each.units_to_show
    return Unmeasured(
        name=SMALLEST_GAP,
        subject=each.compared.subject(each.group),
        reason=f"No gap in {share_of(each.compared.quantity.name)}, however large, would have been "
        f"shown for {each.named}: there are {each.n_units} {each.noun}.",
        remedy=f"About {more:,} {each.noun} of {each.named} would show a large gap."
        if more
        else "Add images of the other groups: there are too few to compare with.",
    )


def _undecidable(found: Decidable, rows: Rows, gap: float) -> Measure:
    subject = Subject.of(attribute=found.cells.rows.column, split=rows.split)
    return _count("undecidable-cells", [found], rows.dataset, subject, of=rows.of, gap=gap)


def _never_shown(train: Dataset, classes: tuple[str, ...]) -> Iterator[Measure]:
    """Labels of groups that training has no image of, or no object."""
    of: RowKind = "object" if isinstance(train.truth, BoxTruth) else "image"
    held = by_label(classes_of(train))
    held = held.take(held.labels >= 0)
    if not len(held) or not classes:
        return
    counted_of = train.take(train.truth.known) if isinstance(train.truth, MapTruth) else held
    place_of = np.array([classes.index(c) if c in classes else -1 for c in train.classes])
    label = Coded("label", classes, compact(place_of)[held.labels])
    for attribute in held.attributes:
        counted = cells(_groups(held, attribute), label, unit=None)
        there = counted.images > 0
        never = Decidable(counted, enough=there, more=(~there).astype(float))
        subject = Subject.of(attribute=attribute.name, split="train")
        yield _count("empty-cells", [never], counted_of, subject, of=of)


def _count(
    name: str,
    found: Sequence[Decidable],
    dataset: Dataset,
    subject: Subject,
    *,
    of: RowKind,
    gap: float | None = None,
) -> Measure:
    """How many cells do not hold enough images."""
    few = sum(int((~f.enough).sum()) for f in found)
    units = dataset.unit_codes
    everyone = np.ones(len(dataset), dtype=bool)
    return Measure(
        name=name,
        subject=subject,
        estimate=Exact(few),
        scale="amount",
        unit="combinations",
        least=0.0,
        better="lower",
        n=len(dataset),
        n_units=None if units is None else count_units(everyone, units),
        facts={
            "all": sum(f.enough.size for f in found),
            "few": few,
            "empty": sum(int(f.empty.sum()) for f in found) or None,
            "named": _named(found, few),
            "gap_asked": gap,
        },
        of=of,
    )


def _named(found: Sequence[Decidable], few: int) -> list[list[str]]:
    """The cells that lack images by the names of both sides, the smallest first."""
    places = [(f.cells.units[i, j], f, i, j) for f in found for i, j in np.argwhere(~f.enough)]
    smallest = sorted(places, key=lambda place: place[0])[:NAMED]
    names = [[f.cells.rows.names[i], f.cells.columns.names[j]] for _, f, i, j in smallest]
    return [*names, *([[f"{few - NAMED:,} more"]] if few > NAMED else [])]
