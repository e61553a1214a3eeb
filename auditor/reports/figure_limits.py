"""Limits drawn in the pictures of checks: a check measures, and only the report knows the bound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.findings import Cell, Figure, Measure
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import bound_of
from auditor.stats import value

LIMIT_NOTE = "An upright stroke or a dashed line: the limit."
_ROUNDED = 5e-6
"""Figures of a picture are written with six digits."""

Judged = Sequence[tuple[Measure, float]]


def with_limits(figure: Figure, order: Ordered) -> Figure:
    """A forest of its check's measures with the limit of each row that is one of them.

    A row is a measure where value, both ends and size are the same.
    """
    if figure.kind != "forest" or any("limit" in row for row in figure.rows):
        return figure
    judged = list(_judged(figure.id.partition(":")[0], order))
    limits = [_limit(row, judged) for row in figure.rows]
    if all(limit is None for limit in limits):
        return figure
    rows = tuple({**row, "limit": at} for row, at in zip(figure.rows, limits, strict=True))
    return replace(figure, rows=rows, caption=f"{figure.caption} {LIMIT_NOTE}")


def _judged(check: str, order: Ordered) -> Iterator[tuple[Measure, float]]:
    """The measures of a check that met a limit, with its bound."""
    for finding in order.findings:
        measure, stated = order.measure(finding), bound_of(order.limit_of(finding))
        if finding.check == check and measure is not None and stated is not None:
            yield measure, stated[1]


def _limit(row: Mapping[str, Cell], judged: Judged) -> float | None:
    return next((at for measure, at in judged if _is_of(row, measure)), None)


def _is_of(row: Mapping[str, Cell], measure: Measure) -> bool:
    ends = measure.interval
    stated = {"value": value(measure.estimate), "low": ends.low, "high": ends.high}
    return row.get("n") == measure.n and all(_same(row.get(k), v) for k, v in stated.items())


def _same(cell: Cell, number: float) -> bool:
    if not isinstance(cell, int | float):
        return False
    return math.isclose(cell, number, rel_tol=_ROUNDED, abs_tol=1e-9)
