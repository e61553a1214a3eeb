"""What is drawn and tabled of thresholds: gaps of groups as the threshold moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.bias.thresholds import Cutoffs, Threshold
from auditor.findings import Axis, Cell, Column, Figure, Table
from auditor.stats import interval, value

MAX_LINES = 3
"""Groups that a figure draws."""

MOVES_HARM = "A threshold moves harm from some people to others; it does not remove its cause."


def _kinds(cutoffs: Cutoffs) -> tuple[tuple[str, Cutoffs, int], ...]:
    """Errors, the images that can suffer them, and the sign of being called so."""
    return (("wrongly called", cutoffs.others, 1), ("missed", cutoffs.of_the_class, -1))


def gap_lines(cutoffs: Cutoffs, groups: Sequence[str], tried: Sequence[Threshold]) -> Figure:
    """The groups that are worst off by the model's own rule, at most `MAX_LINES`."""
    grouping, adverse = cutoffs.grouping, cutoffs.adverse
    gaps = cutoffs.others.gaps_seen(None)
    drawn = sorted(groups, key=lambda g: -gaps[g])[:MAX_LINES]
    # Of two groups, one is the mirror of the other.
    drawn = drawn[:1] if len(grouping.groups) == 2 else drawn
    rows: list[dict[str, Cell]] = []
    for group in drawn:
        for kind, among, sign in _kinds(cutoffs):
            if not among.has_both_sides(group):
                continue
            for threshold in tried[1:]:
                gap = among.gap(threshold, group)
                ends = interval(gap)
                low, high = (ends.low, ends.high) if sign > 0 else (-ends.high, -ends.low)
                rows.append({"x": threshold, "y": sign * value(gap), "low": low, "high": high,
                             "series": f"{group}, {kind}"})  # fmt: skip
    attribute, split = grouping.attribute.name, grouping.rows.split
    return Figure(
        id=f"bias/threshold:{attribute}:{adverse}{'' if split == 'test' else f'@{split}'}",
        kind="line",
        title=f"Gaps of {attribute} as the threshold for {adverse} moves, {split} data",
        caption=f"How much more often images of a group are wrongly called {adverse}, and missed "
        f"when they are {adverse}, than all others, with 95% intervals. {MOVES_HARM}",
        alt=f"Differences in wrong calls and in missed {adverse} of {', '.join(drawn)} against "
        f"the rest, at {len(tried) - 1} thresholds from {tried[1]:g} to {tried[-1]:g}.",
        x=Axis(f"threshold on {adverse}", "probability"),
        y=Axis("difference from the rest", "share"),
        rows=tuple(rows),
    )


def table_rows(
    cutoffs: Cutoffs, tried: Sequence[Threshold], left: Sequence[Threshold]
) -> Iterator[tuple[Cell, ...]]:
    """A row for each threshold and group; `left` are the thresholds that are not ruled out."""
    grouping = cutoffs.grouping
    for threshold in tried:
        kinds = [(among, sign) for _, among, sign in _kinds(cutoffs)]
        counted = [(among.counts, among.counts_called(threshold)) for among, _ in kinds]
        everyone = [int(called.sum()) / int(n.sum()) for n, called in reversed(counted)]
        gaps = [among.gaps_seen(threshold) for among, _ in kinds]
        for place, group in enumerate(grouping.groups):
            cells: list[Cell] = []
            for (n, called), of_group, (_, sign) in zip(counted, gaps, kinds, strict=True):
                wrong = called[place] if sign > 0 else n[place] - called[place]
                gap = sign * of_group[group] + 0.0
                cells += [int(n[place]), int(wrong) / int(n[place]) if n[place] else None]
                cells.append(None if np.isnan(gap) else gap)
            yield (
                grouping.attribute.name,
                cutoffs.adverse,
                "likeliest class" if threshold is None else f"{threshold:g}",
                group,
                *cells,
                *everyone,
                "no" if threshold in left else "yes",
                grouping.rows.split,
            )


def threshold_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The rows of all attributes and classes."""
    names = ("attribute", "class", "answered from", "group", "images of other classes",
             "wrongly called so", "more than the rest", "images of the class", "missed",
             "missed more than the rest", "found, everyone", "wrongly called so, everyone",
             "ruled out", "data")  # fmt: skip
    counts = (*names[:5], "images of the class", "ruled out", "data")
    return Table(
        id="bias/threshold:thresholds",
        title=f"Errors of each group as the threshold moves. {MOVES_HARM}",
        columns=tuple(Column(name, "" if name in counts else "share") for name in names),
        rows=tuple(rows),
    )
