"""What timed runs show: quantiles, ratios and rates with their confidence distributions."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from auditor.stats import GRID, Draws

LEAST_RUNS = 200
"""Timed runs below which nothing is said of how long one takes."""


@cache
def runs_needed(quantile: float) -> int:
    """Fewest runs from which an upper quantile can be told.

    So many that two or more of them lie beyond it with probability 0.99, the rule by which
    MLPerf's LoadGen stops early (Reddi et al. 2020, arXiv:1911.02549; its source,
    early_stopping.cc): 64 for the 90th percentile, 662 for the 99th.

    Examples
    --------
    >>> runs_needed(0.9), runs_needed(0.99)
    (64, 662)
    """
    tail = 1 - max(quantile, 1 - quantile)
    n = 2
    while (1 - tail) ** n + n * tail * (1 - tail) ** (n - 1) > 0.01:
        n += 1
    return n


def quantile_draws(values: np.ndarray, *, quantile: float) -> Draws:
    """A quantile of (n,) values with its confidence distribution from order statistics.

    Holds for any distribution of independent values: each bound is the order statistic whose
    binomial probability is at least what is asked (Thompson 1936, doi:10.1214/aoms/1177732502).
    Where `values` are too few to bound the quantile that surely, the least or the greatest
    stands. n from 1.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    # below[k]: probability that at most k of the values lie under the quantile, so that the
    # (k+1)-th smallest bounds it from above.
    below = bdtr(np.arange(n, dtype=np.float64), n, quantile)
    value = float(np.quantile(ordered, quantile))
    ends = []
    for probability in GRID:
        if probability > 0.5:
            at = min(int(np.searchsorted(below, probability)), n - 1)
            ends.append(max(value, float(ordered[at])))
        elif probability < 0.5:
            at = max(int(np.searchsorted(below, probability, side="right")) - 1, 0)
            ends.append(min(value, float(ordered[at])))
        else:
            ends.append(value)
    return Draws(value, tuple(ends))


def ratio_draws(slow: np.ndarray, fast: np.ndarray, *, block: int) -> Draws:
    """How many times `slow` takes what `fast` takes: the median over paired blocks.

    Both (runs,) in ms, timed in alternating blocks of `block` runs; each pair of blocks gives one
    ratio of medians. A whole pair at least.
    """
    pairs = min(len(slow), len(fast)) // block
    medians = [np.median(x[: pairs * block].reshape(pairs, block), axis=1) for x in (slow, fast)]
    return quantile_draws(medians[0] / medians[1], quantile=0.5)


def early_stopping_estimate(values: np.ndarray, *, quantile: float) -> float:
    """MLPerf's early-stopping estimate of an upper quantile: an upper bound of it, at 99%.

    The value that is exceeded by as many of the (n,) `values` as a sample may have beyond its
    true quantile with probability 0.01 (LoadGen's early_stopping.cc, for a single stream); n from
    `runs_needed`.
    """
    from scipy.special import bdtr

    n = len(values)
    over = np.arange(n + 1, dtype=np.float64)
    # The most that may lie beyond: P(Binomial(n, tail) <= over) is at most 0.01.
    most = int(np.searchsorted(bdtr(over, n, 1 - quantile), 0.01, side="right")) - 1
    return float(np.sort(values)[n - max(most, 1)])


def inverse_draws(draws: Draws, *, times: float) -> Draws:
    """`times` over a positive quantity, as frames a second are 1,000 over milliseconds."""
    quantiles = tuple(times / q for q in reversed(draws.quantiles))
    return Draws(times / draws.value, quantiles)


def drift_draws(medians: np.ndarray) -> Draws:
    """How many times the last fifth of windows takes what the first took; (n,) ms, n from 15.

    A ratio of geometric means by Welch's t over windows (1947, doi:10.1093/biomet/34.1-2.28);
    successive windows resemble each other, so that its interval is somewhat narrow.
    """
    from scipy.stats import t

    logs = np.log(medians)
    k = len(logs) // 5
    first, last = logs[:k], logs[-k:]
    variances = [float(part.var(ddof=1)) / k for part in (first, last)]
    total = math.fsum(variances)
    difference = float(last.mean() - first.mean())
    if total <= 0:
        return Draws(math.exp(difference), (math.exp(difference),) * len(GRID))
    df = total**2 / math.fsum(v**2 / (k - 1) for v in variances)
    ends = difference + math.sqrt(total) * t.ppf(GRID, df)
    return Draws(math.exp(difference), tuple(float(math.exp(end)) for end in ends))
