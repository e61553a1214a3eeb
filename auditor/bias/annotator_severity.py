"""How severely each annotator grades each group, beside an expert and the other annotators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.bias.net_severity import SeverityScale, comparable, net_difference
from auditor.bias.ratings import Ratings, observed
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup
from auditor.comparing.groups import Grouping, groupings, nothing_to_compare
from auditor.findings import Measured, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, worst_first
from auditor.scoring.quantities import Quantity
from auditor.stats import RateDifference, interval
from auditor.stats.codes import compact
from auditor.stats.group_rates import GroupRates

SEVERITY, RELATIVE = "severity", "relative-severity"
_NOTICEABLE = 0.99
"""Level at which images are said not to have been assigned at random."""

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Graded:
    """One annotator's labels beside a reference's, an entry for each image (and other annotator).

    `row` (m,) is the image, `step` (m,) by how much the annotator was more severe (below 0: more
    lenient), `like` (m,) a code of the images that are compared with each other. `labelled` (n,)
    marks what the annotator labelled; the annotator "" stands for the labels as a whole.
    """

    ratings: Ratings
    annotator: str
    name: str
    row: Codes
    step: NDArray[np.float64]
    like: Codes
    labelled: Mask

    @cached_property
    def more_severe(self) -> Mask:
        """Entries where the annotator was more severe, (m,)."""
        return np.asarray(self.step > 0)

    @property
    def reference(self) -> str:
        return "the expert" if self.name == SEVERITY else "the other annotators"

    @property
    def noun(self) -> str:
        return "images" if self.ratings.unit is None else "units"

    @property
    def n_units(self) -> int:
        return count_units(np.ones(len(self.row), dtype=bool), self.ratings.owner(self.row))

    def take(self, keep: Mask) -> Graded:
        """The entries under the mask `keep` (m,)."""
        return replace(self, row=self.row[keep], step=self.step[keep], like=self.like[keep])


def severities(ratings: Ratings, scale: SeverityScale) -> Iterator[Measured | ByGroup]:
    """Every annotator's severity towards every group; those with too few units share one reason."""
    found = groupings(ratings.rows, unlabelled=True)
    for _, graded in groupby(_all_graded(ratings, scale), key=lambda graded: graded.name):
        small: list[Graded] = []
        for one in graded:
            if one.n_units < MIN_UNITS:
                small.append(one)
                continue
            for grouping in found:
                yield _by_group(one, grouping)
        if small:
            yield _small(small)


def _all_graded(ratings: Ratings, scale: SeverityScale) -> Iterator[Graded]:
    if ratings.dataset.has_gold:
        labels = ratings.dataset.labels
        if ratings.dataset.has_labels:
            yield _beside_gold(ratings, "", labels, scale)
        for name in ratings.names:
            given = ratings.of(name)
            if not np.array_equal(given, labels):
                yield _beside_gold(ratings, name, given, scale)
    if ratings.doubly.any():
        for name in ratings.names:
            yield _beside_others(ratings, name, scale)


def _beside_gold(ratings: Ratings, annotator: str, given: Codes, scale: SeverityScale) -> Graded:
    gold = ratings.dataset.gold
    row = compact(np.flatnonzero((given >= 0) & (gold >= 0)))
    step = scale.severity[given[row]] - scale.severity[gold[row]]
    return Graded(ratings, annotator, SEVERITY, row, step, gold[row], given >= 0)


def _beside_others(ratings: Ratings, annotator: str, scale: SeverityScale) -> Graded:
    given, others = ratings.of(annotator), ratings.but(annotator)
    row, column = map(compact, np.nonzero((others >= 0) & (given >= 0)[:, None]))
    step = scale.severity[given[row]] - scale.severity[others[row, column]]
    # Neither is the truth: taking one's label as a stratum would blame the other for its errors.
    like = np.zeros(len(row), dtype=np.int64)
    return Graded(ratings, annotator, RELATIVE, row, step, like, given >= 0)


def _small(small: list[Graded]) -> Unmeasured:
    names = [graded.annotator or "the labels" for graded in small]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    first, split = small[0], small[0].ratings.dataset.split
    also = "the expert" if first.name == SEVERITY else "another annotator"
    keys = {"annotator": "others"} if first.annotator else {}
    return Unmeasured(
        name=first.name,
        subject=Subject.about(keys, split=split),
        reason=f"Fewer than {MIN_UNITS} {first.noun} were labelled both by {also} and by each of: "
        f"{shown}.",
        remedy=f"Have {also} label at least {MIN_UNITS} {first.noun} of each, of every group.",
    )


def _by_group(graded: Graded, grouping: Grouping) -> ByGroup | Unmeasured:
    entries, known = observed(grouping, graded.row)
    keys = {"annotator": graded.annotator} if graded.annotator else {}
    both = f"labelled both by {graded.annotator or 'someone'} and by {graded.reference} "
    nothing = nothing_to_compare(entries, name=graded.name, truth=both, keys=keys)
    if nothing is not None:
        return nothing
    title = f"{graded.annotator or 'all labels'}, more severe than {graded.reference}"
    quantity = Quantity(graded.name, graded.more_severe, "lower", keys=keys, title=title)
    compared = AgainstRest(quantity, entries, whole=True)
    labelled = GroupRates.of(
        grouping.taken(graded.labelled), group=grouping.of, groups=len(grouping.groups),
        unit=grouping.unit,
    )  # fmt: skip
    graded = graded.take(known)
    found = {g: (_compared(graded, compared, grouping, g, labelled),) for g in grouping.groups}
    return ByGroup(compared, found)


def _compared(
    graded: Graded, compared: AgainstRest, grouping: Grouping, group: str, labelled: GroupRates
) -> Measured:
    """An annotator's net severity towards a group less that towards the rest."""
    entries = compared.grouping
    member, unit = entries.members(group), entries.unit
    like = comparable(member, graded.like)
    few = too_few(
        graded.name,
        compared.subject(group),
        sides={
            f"{side} also labelled by {graded.reference}": count_units(mask & like, unit)
            for side, mask in ((grouping.named(group), member), ("the rest", ~member))
        },
        noun=graded.noun,
    )
    if few is not None:
        return few
    up, down = graded.step > 0, graded.step < 0
    found = net_difference(
        up.astype(float), down.astype(float), member=member, stratum=graded.like, unit=unit
    )
    facts = {
        "more_lenient": float(down[member].mean()),
        "more_lenient_rest": float(down[~member].mean()),
        "compared": int(found.taken.sum()),
        **_assigned(labelled.difference(grouping.groups.index(group))),
    }
    measure = compared.measure(group, graded.name, found.estimate, "difference", facts=facts)
    return replace(measure, examples=_examples(graded, member & up))


def _examples(graded: Graded, among: Mask) -> tuple[str, ...]:
    """Images of entries under the mask, those graded most steps too severely first."""
    chosen, of_chosen = np.unique(graded.row[among]), np.isin(graded.row, graded.row[among])
    steps = np.bincount(
        np.searchsorted(chosen, graded.row[of_chosen]), weights=graded.step[of_chosen]
    )
    return worst_first(graded.ratings.dataset.image_ids.take(chosen), badness=steps)


def _assigned(gap: RateDifference) -> dict[str, Any]:
    """Shares of the group's images and of the others that the annotator labelled.

    They differ by more than chance where images were not assigned at random.
    """
    ends = interval(gap, level=_NOTICEABLE)
    return {
        "labelled": gap.x / gap.n,
        "labelled_rest": gap.x_rest / gap.n_rest,
        "not_at_random": not ends.low <= 0 <= ends.high,
    }
