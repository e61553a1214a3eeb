"""A picture has the limits of what it shows, and of nothing else."""

import dataclasses

import pytest

from auditor.findings import Axis, Figure
from auditor.reports.drawing.figures import svg
from auditor.reports.figure_limits import LIMIT_NOTE, with_limits
from auditor.reports.ordering import ordered
from auditor.reports.reasons import bound_of
from auditor.stats import value


@pytest.fixture(scope="module")
def order(failing):
    return ordered(failing)


@pytest.fixture(scope="module")
def judged(order):
    """A measure that met a limit, and its check and bound."""
    for finding in order.findings:
        measure, stated = order.measure(finding), bound_of(order.limit_of(finding))
        if measure is not None and stated is not None and measure.scale == "share":
            return finding.check, measure, stated[1]
    raise AssertionError


def forest(check, *rows):
    axes = {"x": Axis("share", "share"), "y": Axis("group")}
    return Figure(f"{check}:some", "forest", "Title", "Caption.", "alt", rows=rows, **axes)


def row_of(measure, **changes):
    """A measure's row, its figures with six digits as a record has them."""
    ends = measure.interval
    found = {"label": "a", "value": value(measure.estimate), "low": ends.low, "high": ends.high,
             "n": measure.n} | changes  # fmt: skip
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in found.items()}


def test_a_row_that_met_a_limit_has_it_drawn_and_told(judged, order):
    check, measure, at = judged
    plain = forest(check, row_of(measure), row_of(measure, label="b", n=measure.n + 1))
    shown = with_limits(plain, order)
    assert [row["limit"] for row in shown.rows] == [at, None]
    assert shown.caption.endswith(LIMIT_NOTE)
    assert svg(shown) != svg(dataclasses.replace(shown, rows=plain.rows))


def test_a_row_that_is_equal_by_chance_has_none(judged, order):
    """A rate of 0 is not the ratio of 0 that met a limit: their ranges differ."""
    check, measure, _ = judged
    plain = forest(check, row_of(measure, high=measure.interval.high + 0.01))
    assert with_limits(plain, order) is plain
    assert with_limits(forest("shift/other", row_of(measure)), order).caption == "Caption."
