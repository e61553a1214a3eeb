"""The usual rules, on the same samples: fairlearn's bootstrap, four-fifths, ten points.

None compares a group with the rest: all look at the best and the worst group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.stats import GRID, Draws, multinomial_bootstrap

FOUR_FIFTHS = 0.8
TEN_POINTS = 0.10
DRAWS = 1000


@dataclass(frozen=True)
class Said:
    """Which repetitions a rule fails and which it passes, (repetitions,)."""

    failed: np.ndarray
    passed: np.ndarray


def cells(found: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Images of each group without and with the outcome, (2 * groups,)."""
    x = np.asarray(found)
    return np.stack([np.asarray(sizes) - x, x], axis=1).ravel()


def rates(drawn: np.ndarray) -> np.ndarray:
    """Each group's rate, (draws, groups), from `cells` drawn; NaN for a group not drawn."""
    without, having = drawn[:, 0::2], drawn[:, 1::2]
    with np.errstate(invalid="ignore"):
        return having / (without + having)


def largest_difference(drawn: np.ndarray) -> np.ndarray:
    """`MetricFrame.difference()` of each draw, over the groups drawn."""
    found = rates(drawn)
    return np.fmax.reduce(found, axis=1) - np.fmin.reduce(found, axis=1)


def smallest_ratio(drawn: np.ndarray) -> np.ndarray:
    """`MetricFrame.ratio()` of each draw: the lowest rate over the highest; 1 without event."""
    found = rates(drawn)
    lowest, highest = np.fmin.reduce(found, axis=1), np.fmax.reduce(found, axis=1)
    return np.divide(lowest, highest, out=np.ones_like(lowest), where=highest > 0)


def fairlearn_bootstrap(
    counts: np.ndarray,
    *,
    statistic: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Draws:
    """What ``MetricFrame(n_boot=draws)`` draws, rows with replacement, by cells of equal rows."""
    return multinomial_bootstrap(counts, statistic=statistic, rng=rng, draws=draws)


def fairlearn_intervals(
    counts: np.ndarray,
    sizes: Sequence[int],
    *,
    statistic: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Its 95% interval for each row of `counts` (repetitions, groups): (repetitions, 2)."""
    found = []
    for row in counts:
        drawn = fairlearn_bootstrap(cells(row, sizes), statistic=statistic, rng=rng)
        # Bare percentiles: `interval` would stretch them to hold the value they came from.
        found.append([drawn.quantiles[GRID.index(p)] for p in (0.025, 0.975)])
    return np.array(found)


def difference_rule(ends: np.ndarray, *, limit: float) -> Said:
    """FAIL where the whole interval of the largest difference is above the limit."""
    return Said(ends[:, 0] > limit, ends[:, 1] <= limit)


def ratio_rule(ends: np.ndarray, *, limit: float) -> Said:
    """FAIL where the whole interval of lowest over highest is beyond ``1 / limit``."""
    return Said(ends[:, 1] < 1 / limit, ends[:, 0] >= 1 / limit)


def four_fifths(counts: np.ndarray, sizes: Sequence[int]) -> Said:
    """FAIL where the lowest rate is under four fifths of the highest; of no event, PASS."""
    shares = counts / np.asarray(sizes)
    failed = shares.min(axis=1) < FOUR_FIFTHS * shares.max(axis=1)
    return Said(failed, ~failed)


def ten_points(counts: np.ndarray, sizes: Sequence[int]) -> Said:
    """FAIL where the highest rate is over ten points above the lowest."""
    shares = counts / np.asarray(sizes)
    failed = shares.max(axis=1) - shares.min(axis=1) > TEN_POINTS
    return Said(failed, ~failed)
