"""What is drawn and tabled of thresholds: gaps of groups as the threshold moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.bias.thresholds import Cutoffs, Threshold
from auditor.comparing.groups import Grouping
from auditor.findings import Axis, Cell, Column, Figure, Table
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.stats import interval, value

MAX_LINES = 3
"""Groups that a figure draws."""

MOVES_HARM = "A threshold moves harm from some people to others; it does not remove its cause."


def _kinds(cutoffs: Cutoffs) -> tuple[tuple[str, np.ndarray, int], ...]:
    """Errors, the images that can suffer them, and the sign of being called so."""
    return (("wrongly called", ~cutoffs.of_class, 1), ("missed", cutoffs.of_class, -1))


def gap_lines(cutoffs: Cutoffs, groups: Sequence[str], tried: Sequence[Threshold]) -> Figure:
    """The groups that are worst off by the model's own rule, at most `MAX_LINES`."""
    grouping, adverse = cutoffs.grouping, cutoffs.adverse
    others = ~cutoffs.of_class
    drawn = sorted(groups, key=lambda g: -cutoffs.gap_seen(None, g, others))[:MAX_LINES]
    # Of two groups, one is the mirror of the other.
    drawn = drawn[:1] if len(grouping.groups) == 2 else drawn
    rows: list[dict[str, Cell]] = []
    for group in drawn:
        for kind, among, sign in _kinds(cutoffs):
            if not _has_both_sides(grouping, group, among):
                continue
            for threshold in tried[1:]:
                gap = cutoffs.gap(threshold, group, among)
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


def _has_both_sides(grouping: Grouping, group: str, among: np.ndarray) -> bool:
    inside = grouping.members(group)
    sides = (among & inside, among & ~inside)
    return all(count_units(side, grouping.unit) >= MIN_UNITS for side in sides)


def table_rows(
    cutoffs: Cutoffs, tried: Sequence[Threshold], left: Sequence[Threshold]
) -> Iterator[tuple[Cell, ...]]:
    """A row for each threshold and group; `left` are the thresholds that are not ruled out."""
    grouping = cutoffs.grouping
    for threshold in tried:
        called = cutoffs.called(threshold)
        everyone = (_mean(called[cutoffs.of_class]), _mean(called[~cutoffs.of_class]))
        for group in grouping.groups:
            cells: list[Cell] = []
            for _, among, sign in _kinds(cutoffs):
                inside = grouping.members(group) & among
                wrong = called if sign > 0 else ~called
                gap = sign * cutoffs.gap_seen(threshold, group, among) + 0.0
                cells += [int(inside.sum()), _mean(wrong[inside]), None if np.isnan(gap) else gap]
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


def _mean(called: np.ndarray) -> float | None:
    return float(called.mean()) if len(called) else None


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
