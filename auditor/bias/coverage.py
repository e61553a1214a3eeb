"""bias/coverage: what this audit cannot say, because too few images could have said it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.cells import Cells, Coded, Decidable, Wanted, cells, decidable
from auditor.bias.coverage_tables import bars, cannot_say, heat
from auditor.bias.detectable import SMALLEST_GAP, GroupGap, group_gaps
from auditor.bias.groups import groupings
from auditor.contract import Attributes, Check, Evidence, Manifest, Need, Predictions, Truth
from auditor.data.dataset import Attribute, Dataset
from auditor.data.pooling import by_label as by_label_of
from auditor.data.pooling import crossed
from auditor.findings import Measure, Result, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, points, rate_details, unit_codes, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.stats import Exact, rate

TRAIN = Manifest(split="train", optional=True)
NAMED = 5
"""Cells that a sentence names at most."""


@dataclass(frozen=True)
class Coverage(Check):
    """What this audit cannot say: groups and combinations with too few images to decide.

    What it measures
    ----------------
    For every group the smallest gap that this test set could have seen: how much lower its
    accuracy would have to be than all others' to be shown, four times in five, to be beyond the
    allowed gap (`limit`), with as many comparisons as there are groups. Further how many cells
    of group and label, and of two attributes' groups, are empty, have fewer than 10 units, or
    would not show even a gap of `gap`; and which labels of which groups training never showed.
    All are listed in one table, with how many more units each needs.

    Why it matters
    --------------
    "No gap was found" means something only where a gap would have been found. The groups that
    are rare in the world are rare in the test, and their silence reads like fairness.

    How it can mislead
    ------------------
    What a test set could have seen is reckoned from how often all others are answered right, and
    from how alike the images of one unit are, both as measured here; for cells, from all images
    together, with a share of right answers of a half or more. Enough images of a cell do not make
    them the right ones: fifty photos of one building's rooms may miss what the next building
    looks like. Only declared attributes are counted. Cells of two attributes may be empty
    because there are none in the world (a cellar on the fifth floor): then nothing is lacking.
    """

    id: ClassVar[str] = "bias/coverage"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes(), TRAIN)
    sources: ClassVar[tuple[str, ...]] = (
        "Fleiss, Levin & Paik (2003), doi:10.1002/0471445428, ch. 4 (sample sizes)",
        "Asudeh, Jin & Jagadish (2019), arXiv:1810.06742 (coverage of a dataset)",
    )

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
        outcomes = evidence.outcomes().with_labels()
        gaps = group_gaps(list(groupings(outcomes)), limit=self.limit, gap=self.gap)
        yield from (_smallest_gap(each, limit=self.limit, gap=self.gap) for each in gaps)
        if not len(outcomes):
            return
        classes = self._classes(outcomes, evidence.spec.consequences.adverse)
        test = _Columns.of(outcomes, classes)
        by_label = self._by_label(_Columns.of(outcomes.by_label(), classes))
        pairs = self._by_pair(test, outcomes.dataset)
        for found in by_label:
            yield _undecidable(found, outcomes, self.gap)
        if pairs:
            yield _undecidable_pairs(pairs, outcomes, self.gap)
        if evidence.has(TRAIN):
            yield from _never_shown(by_label_of(evidence.dataset("train")), classes)
        yield cannot_say(gaps, self._by_group(test), by_label, pairs, gap=self.gap)
        figure = bars(gaps, limit=self.limit)
        yield from [figure] if figure else []
        yield from (heat(found, gap=self.gap) for found in by_label)

    def _classes(self, outcomes: Outcomes, adverse: tuple[str, ...]) -> tuple[str, ...]:
        classes = outcomes.classes
        if len(classes) <= self.most_classes:
            return classes
        return tuple(name for name in adverse if name in classes)

    def _by_group(self, test: _Columns) -> list[Decidable]:
        """Groups of an attribute as cells of one column, for those too small to be compared."""
        everyone = Coded("all images", ("all",), np.zeros_like(test.label.codes))
        counted = [cells(c, everyone, unit=test.unit) for c in test.attributes]
        wanted = Wanted(self.limit, self.gap, test.found, _comparisons(counted))
        return [decidable(c, rest_over=0, wanted=wanted, deff=test.deff) for c in counted]

    def _by_label(self, test: _Columns) -> list[Decidable]:
        """Group by label, whose rest are the other groups with the label."""
        if not test.label.names:
            return []
        counted = [cells(c, test.label, unit=test.unit) for c in test.attributes]
        wanted = Wanted(self.limit, self.gap, test.found_of_label, _comparisons(counted))
        return [decidable(c, rest_over=0, wanted=wanted, deff=test.deff) for c in counted]

    def _by_pair(self, test: _Columns, dataset: Dataset) -> list[Decidable]:
        """Two attributes' groups, whose rest are all other images that have both attributes."""
        counted = []
        for a, b in combinations(test.attributes, 2):
            pair = crossed(dataset, (a.column, b.column))
            first = _groups(pair, pair.attribute(a.column))
            counted.append(cells(first, b, unit=test.unit))
        wanted = Wanted(self.limit, self.gap, test.found, _comparisons(counted))
        return [decidable(c, rest_over=None, wanted=wanted, deff=test.deff) for c in counted]


@dataclass(frozen=True)
class _Columns:
    """The labelled test images: groups, labels, units, and how often they are answered right.

    Shares of right answers are at least one half, where they vary most: no gap of 20 points can
    be looked for in a class that is found once in ten times.
    """

    attributes: tuple[Coded, ...]
    label: Coded
    unit: np.ndarray | None
    found: float
    found_of_label: np.ndarray
    deff: float

    @classmethod
    def of(cls, outcomes: Outcomes, classes: tuple[str, ...]) -> _Columns:
        unit = None if outcomes.units is None else unit_codes(outcomes.units)
        label = _labels(outcomes.dataset, classes)
        right = np.bincount(
            label.codes[outcomes.correct & (label.codes >= 0)], minlength=len(classes)
        )
        images = np.bincount(label.codes[label.codes >= 0], minlength=len(classes))
        several = unit is not None and int(unit.max()) > 0
        everyone = rate(outcomes.correct, unit=unit if several else None)
        return cls(
            attributes=tuple(_groups(outcomes.dataset, a) for a in outcomes.attributes),
            label=label,
            unit=unit,
            found=max(0.5, everyone.x / everyone.n),
            found_of_label=np.maximum(0.5, right / np.maximum(images, 1)),
            deff=len(outcomes) / everyone.n,
        )


def _labels(dataset: Dataset, classes: tuple[str, ...]) -> Coded:
    place = np.full(len(dataset.classes) + 1, -1, dtype=np.int64)
    for i, name in enumerate(classes):
        place[dataset.classes.index(name)] = i
    return Coded("label", classes, place[dataset.labels])


def _groups(dataset: Dataset, attribute: Attribute) -> Coded:
    values = dataset.groups(attribute.name)
    return Coded.of(attribute.name, names=attribute.groups, values=values)


def _comparisons(counted: Sequence[Cells]) -> int:
    """Cells that are large enough for any comparison: the family that a verdict pays for."""
    return max(1, sum(int((c.units >= MIN_UNITS).sum()) for c in counted))


def _smallest_gap(each: GroupGap | Unmeasured, *, limit: float, gap: float) -> Measure | Unmeasured:
    if isinstance(each, Unmeasured):
        return each
    named = each.grouping.named(each.group)
    subject = Subject.about({each.grouping.attribute.name: each.group}, split="test")
    inside = each.grouping.members(each.group)
    noun = "images" if each.grouping.unit is None else "units"
    if math.isinf(each.gap):
        more = each.units_to_show
        return Unmeasured(
            name=SMALLEST_GAP,
            subject=subject,
            reason=f"No gap in accuracy, however large, would have been shown for {named}: it has "
            f"{each.n_units} {noun}.",
            remedy=f"About {more:,} {noun} of {named} would show a large gap."
            if more
            else "Add images of the other groups: there are too few to compare with.",
        )
    outcomes, unit = each.grouping.outcomes, each.grouping.unit
    return Measure(
        name=SMALLEST_GAP,
        subject=subject,
        estimate=Exact(each.gap),
        unit="share",
        better="lower",
        n=int(inside.sum()),
        n_units=None if unit is None else each.n_units,
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=inside & ~outcomes.correct
        ),
        details={
            "rate": _rate_details(each, inside),
            "rest": _rate_details(each, ~inside),
            "attribute_role": each.grouping.attribute.role,
            "missing": each.grouping.missing,
            "limit": limit,
            "comparisons": each.comparisons,
            "units_to_show": each.units_to_show,
            "units_to_pass": each.units_to_pass,
            "sentence": _gap_sentence(each, named, noun, limit),
            **_remedy(each, named, noun, gap),
        },
    )


def _remedy(each: GroupGap, named: str, noun: str, gap: float) -> dict[str, str]:
    more = (each.units_to_show or 0) - each.n_units
    if more <= 0:
        return {}
    return {
        "remedy": f"Add about {more:,} {noun} of {named} to the test data: a gap of "
        f"{points(gap)} points would then show."
    }


def _rate_details(each: GroupGap, keep: np.ndarray) -> dict[str, Any]:
    grouping = each.grouping
    unit = None if grouping.unit is None else grouping.unit[keep]
    return rate_details(rate(grouping.outcomes.correct[keep], unit=unit), n=int(keep.sum()))


def _gap_sentence(each: GroupGap, named: str, noun: str, limit: float) -> str:
    said = (
        f"{named} has {each.n_units:,} {noun}: its accuracy would have to be {points(each.gap)} "
        f"points below all others' to be shown to be more than {points(limit)} points below."
    )
    if each.units_to_pass is None or each.units_to_pass <= each.n_units:
        return said
    return (
        f"{said} If it is answered as well as they are, about {each.units_to_pass:,} {noun} would "
        "show that it is within that."
    )


def _undecidable(found: Decidable, outcomes: Outcomes, gap: float) -> Measure:
    attribute = found.cells.rows.column
    return _count(
        "undecidable-cells",
        [found],
        dataset=outcomes.dataset,
        subject=Subject.of(attribute=attribute, split="test"),
        of=f"combinations of {attribute} and label",
        said=f"too few test images to show even a gap of {points(gap)} points",
    )


def _undecidable_pairs(pairs: Sequence[Decidable], outcomes: Outcomes, gap: float) -> Measure:
    return _count(
        "undecidable-pairs",
        pairs,
        dataset=outcomes.dataset,
        subject=Subject(split="test"),
        of="combinations of the groups of two attributes",
        said=f"too few test images to show even a gap of {points(gap)} points",
    )


def _never_shown(train: Dataset, classes: tuple[str, ...]) -> Iterator[Measure]:
    """Labels of groups that training has no image of."""
    labelled = train.take(train.labels >= 0)
    if not len(labelled) or not classes:
        return
    label = _labels(labelled, classes)
    for attribute in labelled.attributes:
        counted = cells(_groups(labelled, attribute), label, unit=None)
        there = counted.images > 0
        yield _count(
            "empty-cells",
            [Decidable(counted, enough=there, more=(~there).astype(float))],
            dataset=labelled,
            subject=Subject.of(attribute=attribute.name, split="train"),
            of=f"combinations of {attribute.name} and label",
            said="no training image",
        )


def _count(
    name: str,
    found: Sequence[Decidable],
    *,
    dataset: Dataset,
    subject: Subject,
    of: str,
    said: str,
) -> Measure:
    """How many cells are not enough; `said` ends the sentence "5 of 9 cells have"."""
    few = sum(int((~f.enough).sum()) for f in found)
    total = sum(f.enough.size for f in found)
    empty = sum(int(f.empty.sum()) for f in found)
    units = dataset.units
    return Measure(
        name=name,
        subject=subject,
        estimate=Exact(few),
        unit="combinations",
        better="lower",
        n=len(dataset),
        n_units=None if units is None else len(np.unique(unit_codes(units))),
        details={
            "all": total,
            "empty": empty,
            "sentence": f"{few or 'None'} of {total:,} {of} {'has' if few < 2 else 'have'} {said}"
            f"{_named(found, empty=empty, few=few)}.",
        },
    )


def _named(found: Sequence[Decidable], *, empty: int, few: int) -> str:
    """The cells that lack images, the smallest first; how many of them have none at all."""
    if not few:
        return ""
    places = [(f.cells.units[i, j], f, i, j) for f in found for i, j in np.argwhere(~f.enough)]
    smallest = sorted(places, key=lambda place: place[0])[:NAMED]
    names = [f"{f.cells.rows.names[i]} and {f.cells.columns.names[j]}" for _, f, i, j in smallest]
    more = f" and {few - NAMED:,} more" if few > NAMED else ""
    none = f" ({empty:,} of them none at all)" if 0 < empty < few else ""
    return f"{none}: {', '.join(names)}{more}"
