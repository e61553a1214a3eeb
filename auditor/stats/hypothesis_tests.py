"""Tests: of one proportion, of two, of pairs, by permutation, of tables.

One-sided tests are of H0 "the limit is met" against H1 "the truth exceeds it" in the direction
given. P-values are in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, chdtrc, gammaln, xlogy

from auditor.stats.scores import (
    Direction,
    Moments,
    difference_moments,
    paired_moments,
    ratio_moments,
    tail,
)

_FEW_STRATA = 64
"""Up to so many strata are sorted one by one, which takes a third of the time."""


@dataclass(frozen=True)
class TableTest:
    """A likelihood-ratio statistic with its degrees of freedom and p-value."""

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True)
class PermutationTest:
    """The observed statistic, its p-value, and the statistics under permutation."""

    statistic: float
    p_value: float
    null: NDArray[np.float64]


def binomial_exact(x: float, n: float, *, limit: float, exceeds: Direction) -> float:
    """P-value that a proportion exceeds `limit`, never too small (Clopper & Pearson 1934).

    By the incomplete beta function, which is the binomial tail for whole counts and its
    continuation for effective ones.
    """
    if exceeds == "below":
        return binomial_exact(n - x, n, limit=1 - limit, exceeds="above")
    return _at_least(x, n, limit)


def binomial_midp(x: float, n: float, *, limit: float, exceeds: Direction) -> float:
    """Mid-p-value that a proportion exceeds `limit`: the mean of P(X >= x) and P(X > x).

    Lancaster (1961), doi:10.1080/01621459.1961.10482105. Less cautious than `binomial_exact`:
    at one fixed limit its error can reach 9% for a nominal 5%, so verdicts do not use it.
    """
    if exceeds == "below":
        return binomial_midp(n - x, n, limit=1 - limit, exceeds="above")
    more = 0.0 if x + 1 > n else _at_least(x + 1, n, limit)
    return (_at_least(x, n, limit) + more) / 2


def fisher_midp(x: int, n: int, x_rest: int, n_rest: int, *, exceeds: Direction) -> float:
    """Mid-p-value that one proportion exceeds another, given the margins.

    Fisher's exact test with half the probability of the table seen (Lancaster 1961,
    doi:10.1080/01621459.1961.10482105), whole counts.
    """
    if exceeds == "below":
        return fisher_midp(n - x, n, n_rest - x_rest, n_rest, exceeds="above")
    successes = x + x_rest
    k = np.arange(x, min(n, successes) + 1, dtype=np.float64)
    log_p = (
        _log_choose(n, k)
        + _log_choose(n_rest, successes - k)
        - _log_choose(n + n_rest, np.float64(successes))
    )
    p = np.exp(log_p)
    return float(min(p.sum() - p[0] / 2, 1.0))


def difference_score_test(
    x: float, n: float, x_rest: float, n_rest: float, *, limit: float, exceeds: Direction,
    df: float | None = None,
) -> float:  # fmt: skip
    """P-value that ``x / n - x_rest / n_rest`` exceeds `limit`, by `cautious_score`."""
    counts = (x, n, x_rest, n_rest)
    z = cautious_score(difference_moments, counts, limit=limit, exceeds=exceeds)
    return tail(z, exceeds=exceeds, df=df)


def ratio_score_test(
    x: float, n: float, x_rest: float, n_rest: float, *, limit: float, exceeds: Direction,
    df: float | None = None,
) -> float:  # fmt: skip
    """P-value that ``(x / n) / (x_rest / n_rest)`` exceeds `limit`, by `cautious_score`."""
    counts = (x, n, x_rest, n_rest)
    z = cautious_score(ratio_moments, counts, limit=limit, exceeds=exceeds)
    return tail(z, exceeds=exceeds, df=df)


def cautious_score(
    moments: Callable[..., Moments],
    counts: tuple[float, ...],
    *,
    limit: float,
    exceeds: Direction,
) -> float:
    """The less extreme of a score statistic and its skewness-corrected form.

    Enumerated over group sizes 10 to 540, either alone is wrong up to 10% of the time at a
    nominal 5% where groups differ in size and rates are near 0 or 1, on opposite sides; both
    together stay near 6% from 30 a group (7% where a rate is 0 or 1).
    """
    found = moments(*counts, limit=limit)
    plain, skewed = found.score(skewed=False), found.score(skewed=True)
    return min(plain, skewed) if exceeds == "above" else max(plain, skewed)


def paired_score_test(
    gained: float, lost: float, n: float, *, limit: float, exceeds: Direction,
    df: float | None = None,
) -> float:  # fmt: skip
    """P-value that ``(gained - lost) / n`` exceeds `limit`, by `cautious_score`."""
    z = cautious_score(paired_moments, (gained, lost, n), limit=limit, exceeds=exceeds)
    return tail(z, exceeds=exceeds, df=df)


def mcnemar_exact(gained: float, lost: float, *, exceeds: Direction | None = None) -> float:
    """P-value that gains and losses are not equally likely; 1 when there is neither.

    Exact conditional binomial test (McNemar 1947, doi:10.1007/BF02295996); two-sided without
    `exceeds`, else that gains outnumber losses ("above") or the reverse.
    """
    if gained + lost == 0:
        return 1.0
    if exceeds is not None:
        return binomial_exact(gained, gained + lost, limit=0.5, exceeds=exceeds)
    larger = max(gained, lost)
    return min(1.0, 2 * binomial_exact(larger, gained + lost, limit=0.5, exceeds="above"))


def permutation_test(
    statistic: Callable[[NDArray[Any]], float],
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 999,
    strata: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    exceeds: Direction = "above",
) -> PermutationTest:
    """Test of no association between `values` and whatever `statistic` compares them with.

    ``p = (1 + k) / (permutations + 1)`` with `k` permutations at least as extreme (Phipson &
    Smyth 2010, doi:10.2202/1544-6115.1585), so it is never 0.

    Parameters
    ----------
    statistic : takes an array like `values`, returns a finite number.
    values : (n,), what is permuted.
    strata : (n,), None for one stratum. Values move within a stratum only: the conditional
        test, of no association *given* the strata (for instance the true label).
    unit : (n,), None for images that are their own units. Values must be the same throughout a
        unit within a stratum, and move as whole units between units.

    Raises
    ------
    ValueError
        If the statistic is not finite, or values differ within a unit.
    """
    array = np.asarray(values)
    shuffled = _shuffler(array, strata=strata, unit=unit)
    observed = float(statistic(array))
    null = np.array([float(statistic(shuffled(rng))) for _ in range(permutations)])
    if not (math.isfinite(observed) and np.isfinite(null).all()):
        raise ValueError("permutation test: found a statistic that is not finite, expected finite")
    # Sums in another order differ by roundings; those are ties.
    slack = 1e-12 * max(1.0, abs(observed))
    extreme = null >= observed - slack if exceeds == "above" else null <= observed + slack
    return PermutationTest(observed, (1 + int(extreme.sum())) / (permutations + 1), null)


def g_test(counts: ArrayLike, *, expected: ArrayLike | None = None) -> TableTest:
    """Likelihood-ratio test of a table's independence, or of counts against expected shares.

    Parameters
    ----------
    counts : (rows, columns) for independence; (cells,) with `expected`.
    expected : (cells,) shares (any positive scale) that the counts are compared with.

    Raises
    ------
    ValueError
        If there is no observation, an empty margin, or an expected share that is not positive.
    """
    observed = np.asarray(counts, dtype=np.float64)
    if expected is None:
        margins = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0, keepdims=True)
        df = (observed.shape[0] - 1) * (observed.shape[1] - 1)
    else:
        margins = np.broadcast_to(np.asarray(expected, dtype=np.float64), observed.shape)
        df = observed.size - 1
    if df < 1 or not (margins > 0).all() or not (observed >= 0).all():
        raise ValueError(
            "g_test: found an empty row, column or expected share, a negative count or fewer "
            "than two cells; drop empty categories first"
        )
    fitted = margins * (observed.sum() / margins.sum())
    statistic = max(0.0, 2 * float((xlogy(observed, observed) - xlogy(observed, fitted)).sum()))
    return TableTest(statistic, df, float(chdtrc(df, statistic)))


def _at_least(x: float, n: float, p: float) -> float:
    return 1.0 if x <= 0 else float(betainc(x, n - x + 1, min(max(p, 0.0), 1.0)))


def _log_choose(n: int, k: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    result: NDArray[np.float64] = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result


def _shuffler(
    values: NDArray[Any], *, strata: ArrayLike | None, unit: ArrayLike | None
) -> Callable[[np.random.Generator], NDArray[Any]]:
    """A function that permutes values within strata, by unit."""
    cells = _codes(strata, len(values))
    units = np.arange(len(values)) if unit is None else _codes(unit, len(values))
    _, first, member = np.unique(
        units * (int(cells.max(initial=0)) + 1) + cells, return_index=True, return_inverse=True
    )
    if not np.array_equal(values[first][member], values):
        raise ValueError(
            "permutation test: found values that differ within a unit, expected one value per "
            "unit (and stratum); permute images without `unit`, or aggregate by unit first"
        )
    by_unit, stratum = values[first], cells[first]
    home = np.argsort(stratum, kind="stable")
    ends = np.cumsum(np.bincount(stratum)).tolist()
    parts = [slice(*both) for both in pairwise([0, *ends])]

    def order(draws: NDArray[np.float64]) -> NDArray[np.int64]:
        if len(parts) > _FEW_STRATA:
            sorted_: NDArray[np.int64] = np.lexsort((draws, stratum))
            return sorted_
        drawn = draws[home]
        by_part = [part.start + np.argsort(drawn[part]) for part in parts]
        found: NDArray[np.int64] = home[np.concatenate(by_part)]
        return found

    def shuffled(rng: np.random.Generator) -> NDArray[Any]:
        moved = np.empty_like(by_unit)
        moved[home] = by_unit[order(rng.random(len(by_unit)))]
        return moved if unit is None else moved[member]

    return shuffled


def _codes(labels: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if labels is None:
        return np.zeros(n, dtype=np.int64)
    codes: NDArray[np.int64] = np.unique(np.asarray(labels), return_inverse=True)[1]
    if len(codes) != n:
        raise ValueError(f"permutation test: found {len(codes)} labels for {n} values")
    return codes
