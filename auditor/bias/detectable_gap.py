"""The smallest gap to all others that a set of images could have shown, group by group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.bias.group_cells import Wanted
from auditor.comparing.against_rest import AgainstRest, against_rest
from auditor.comparing.groups import Grouping, nothing_to_compare
from auditor.findings import Unmeasured
from auditor.scoring.comparison import count_units
from auditor.scoring.quantities import headline
from auditor.stats import RateDifference, rate_difference, smallest_excess, times_needed

SMALLEST_GAP = "smallest-gap"


@dataclass(frozen=True)
class GroupGap:
    """What a group could have shown.

    `gap` is the smallest true gap in accuracy that is shown to be beyond the limit with power
    80%, at 5% over `comparisons`; infinite where none is. `units_to_show` would show the gap
    asked about, `units_to_pass` that the group is within the limit if it is answered as the
    rest is (the rest in proportion); None where no number would.
    """

    compared: AgainstRest
    group: str
    estimate: RateDifference
    n_units: int
    comparisons: int
    gap: float
    units_to_show: int | None
    units_to_pass: int | None

    @property
    def named(self) -> str:
        return self.compared.grouping.named(self.group)

    @property
    def noun(self) -> str:
        return "images" if self.compared.grouping.unit is None else "units"


_Compared = tuple[AgainstRest, str]


def group_gaps(
    found: Sequence[Grouping], *, limit: float, gap: float
) -> list[GroupGap | Unmeasured]:
    """One for every group of every attribute; one reason for an attribute of one group."""
    compared: list[_Compared | Unmeasured] = []
    for grouping in found:
        nothing = nothing_to_compare(grouping, name=SMALLEST_GAP)
        if nothing is not None:
            compared.append(nothing)
            continue
        all_others = against_rest(headline(grouping.rows), grouping)
        compared += [
            all_others.too_few(group, SMALLEST_GAP) or (all_others, group)
            for group in grouping.groups
        ]
    comparisons = sum(not isinstance(each, Unmeasured) for each in compared)
    return [
        each
        if isinstance(each, Unmeasured)
        else _group_gap(*each, comparisons=comparisons, limit=limit, gap=gap)
        for each in compared
    ]


def _group_gap(
    compared: AgainstRest, group: str, *, comparisons: int, limit: float, gap: float
) -> GroupGap:
    inside, unit = compared.grouping.members(group), compared.grouping.unit
    estimate = rate_difference(compared.values, member=inside, unit=unit)
    n_units = count_units(inside, unit)
    excess = smallest_excess(estimate, limit=-limit, exceeds="below", alpha=0.05 / comparisons)
    rest = (estimate.x_rest + 0.5) / (estimate.n_rest + 1)
    wanted = Wanted(limit, gap, rest, comparisons)
    df_each = None if estimate.df is None else np.array([estimate.df / estimate.n])
    least = float(wanted.least(np.array([estimate.n_rest]), df_each=df_each)[0])
    return GroupGap(
        compared=compared,
        group=group,
        estimate=estimate,
        n_units=n_units,
        comparisons=comparisons,
        gap=limit + excess,
        units_to_show=_whole(least * n_units / estimate.n),
        units_to_pass=_units_to_pass(estimate, n_units=n_units, limit=limit),
    )


def _units_to_pass(estimate: RateDifference, *, n_units: int, limit: float) -> int | None:
    if limit == 0:
        return None
    p = estimate.x_rest / estimate.n_rest
    alike = RateDifference(
        p * estimate.n, estimate.n, estimate.x_rest, estimate.n_rest, estimate.df
    )
    return _whole(times_needed(alike, limit=-limit, exceeds="below") * n_units)


def _whole(units: float) -> int | None:
    return math.ceil(units) if math.isfinite(units) else None
