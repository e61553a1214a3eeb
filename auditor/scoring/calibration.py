"""Whether a model is as often right as it says: calibration error, Brier score, reliability.

Bins hold equally many images (equal-mass), which makes estimates less biased than bins of equal
width (Nguyen & O'Connor 2015, arXiv:1508.05154; Roelofs et al. 2022, arXiv:2012.08668).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from auditor.stats import GRID, Draws, Interval, Normal, interval, mean, rate
from auditor.stats.codes import codes_of, distinct
from auditor.stats.effective import UnitSizes, effective_units

Floats = NDArray[np.float64]

_MOST_BINS = 15
_IMAGES_PER_BIN = 20


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of similar confidence: mean confidence, accuracy, its 95% interval, and n.

    The interval is None where all images of the bin are of one unit.
    """

    confidence: float
    accuracy: float
    interval: Interval | None
    n: int


def confidence_bins(confidence: np.ndarray) -> NDArray[np.int64]:
    """Bin of each image, (n,), from 0 without gaps; equal confidences share a bin.

    Fifteen bins, fewer where they would hold under twenty images.
    """
    wanted = int(np.clip(len(confidence) // _IMAGES_PER_BIN, 1, _MOST_BINS))
    edges = np.quantile(confidence, np.arange(1, wanted) / wanted)
    placed = np.searchsorted(edges, confidence, side="left")
    bins: NDArray[np.int64] = np.unique(placed, return_inverse=True)[1]
    return bins


def reliability(
    confidence: np.ndarray, correct: np.ndarray, *, unit: np.ndarray | None = None
) -> tuple[ReliabilityBin, ...]:
    """Accuracy beside confidence by bin; confidence (n,) 0-1, correct (n,) bool."""
    bins = confidence_bins(confidence)
    return tuple(
        _reliability_bin(
            confidence[inside], correct[inside], None if unit is None else unit[inside]
        )
        for inside in (bins == b for b in range(int(bins.max()) + 1))
    )


def _reliability_bin(
    confidence: np.ndarray, correct: np.ndarray, unit: np.ndarray | None
) -> ReliabilityBin:
    single = unit is not None and distinct(unit) < 2
    ends = None if single else interval(rate(correct, unit=unit))
    return ReliabilityBin(float(confidence.mean()), float(correct.mean()), ends, len(correct))


def calibration_error(
    confidence: np.ndarray, correct: np.ndarray, *, unit: np.ndarray | None = None
) -> Draws:
    """Debiased expected calibration error of the answer's confidence, 0-1.

    The root of the mean square distance between confidence and accuracy over equal-mass bins,
    weighted by images. Chance alone makes distances, so each square is reduced by the sampling
    variance of its distance: the debiased estimator of Kumar, Liang & Ma (2019,
    arXiv:1909.10155), never below 0. It is at least the mean distance (the usual, L1, error)
    and equal to it where all bins are off by as much.

    With few images, or answers all right or all wrong, its variance would be near 0 and claim
    certainty. The error is at least the distance of confidence from accuracy over all images,
    and in one bin equal to it; each bin's share of the square is at least that of its own
    distance. So no upper quantile is below the bounds of these distances, means of numbers
    between -1 and 1 (`auditor.stats.mean`), and of a single bin, or where nothing varies, no
    lower one above them.

    Simulated with 50 to 5,000 images, also in units correlated at 0.3: 95% intervals hold 92%
    to 98%; at a true error of the limit, 0.05, wrong FAILs are 3% to 6% with 100 to 300 images
    (4% to 11% if squares were taken for normal), at most 7.5% with units, and wrong PASSes up to
    10%; a perfectly calibrated model fails in at most 3%. With 10 to 50 images that are all
    answered with the same confidence wrong PASSes are at most 6%.

    Parameters
    ----------
    confidence : (n,) probability of the answer, 0-1.
    correct : (n,) bool.
    unit : (n,) labels of what was sampled independently, two or more of them; None for images.

    Raises
    ------
    ValueError
        If there are fewer than two units.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct)
    distances = _distances(confidence, correct, unit)
    square, spread, squares = _squares(distances)
    # Where the square is far below 0 both roots may vanish, and the order with them.
    grid, quantiles = np.array(GRID), np.sqrt(np.clip(squares, 0, 1))
    least, most = _least_and_most(confidence, correct, unit)
    if len(distances.means) == 1 or not spread:
        quantiles = np.where(grid < 0.5, np.minimum(quantiles, least), quantiles)
    quantiles = np.where(grid > 0.5, np.maximum(quantiles, most), quantiles)
    value = math.sqrt(min(max(square, 0.0), 1.0))
    return Draws(value, tuple(float(q) for q in np.maximum.accumulate(quantiles)))


@dataclass(frozen=True)
class Sureness:
    """Answers: confidence (n,) 0-1, correct (n,) bool, and the unit of each, (n,) codes from 0."""

    confidence: Floats
    correct: NDArray[np.bool_]
    unit: NDArray[np.int64]


def calibration_change(given: Sureness, here: Sureness) -> Normal:
    """By how much the debiased calibration error of `here` exceeds that of `given`.

    Each is that of `calibration_error`; codes of units are the same in both. The standard error is
    that of `_RESAMPLES` resamples of units (bootstrap), the same units for both; of each resampled
    square the sampling variance is taken off twice, since resampling adds it once more. It is at
    least that of a mean of as many units that never differed. The draws are the same in every run.

    Raises
    ------
    ValueError
        If a side has fewer than two units.
    """
    sides = [_Resampled.of(side) for side in (given, here)]
    n = 1 + max(int(side.unit.max()) for side in (given, here))
    rng, differences = np.random.default_rng(0), np.zeros(_RESAMPLES)
    for i in range(_RESAMPLES):
        times = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        first, second = (side.root(times) for side in sides)
        differences[i] = second - first
    least = mean(np.zeros(n), span=(-1.0, 1.0)).se
    change = sides[1].error - sides[0].error
    return Normal(change, max(float(differences.std(ddof=1)), least), n - 1, -1.0, 1.0)


_RESAMPLES = 200


@dataclass(frozen=True)
class _Resampled:
    """A side's debiased `error`, and what its resamples are made of."""

    error: float
    chance: float
    gap: Floats
    bins: NDArray[np.int64]
    unit: NDArray[np.int64]

    @classmethod
    def of(cls, side: Sureness) -> _Resampled:
        confidence = np.asarray(side.confidence, dtype=np.float64)
        distances = _distances(confidence, side.correct, side.unit)
        chance = float((np.diag(distances.covariance) / distances.shares).sum())
        square = float(distances.means @ (distances.means / distances.shares)) - chance
        bins = confidence_bins(confidence)
        return cls(math.sqrt(max(square, 0)), chance, confidence - side.correct, bins, side.unit)

    def root(self, times: Floats) -> float:
        """The error where each unit was drawn so many `times`, (units,)."""
        drawn = times[self.unit]
        size = np.bincount(self.bins, weights=drawn)
        total = np.bincount(self.bins, weights=drawn * self.gap)
        held = size > 0
        square = float((total[held] ** 2 / size[held]).sum()) / max(float(size.sum()), 1.0)
        return math.sqrt(max(square - 2 * self.chance, 0))


def _squares(distances: _Distances) -> tuple[float, float, Floats]:
    """The debiased square, the spread that chance gives it, and its quantiles over `GRID`.

    The quantiles invert a score: for a true square T the estimate's variance is
    ``4 r T + 2 trace(S S)``, S being the distances' weighted covariance and r its part along
    them. S is summed by unit, never below that of an accuracy drawn towards the confidence by
    two images, and taken as a t statistic with as many degrees of freedom as effective
    units, less one. A sum of squares is skewed, which takes lower quantiles further down
    (Cornish & Fisher 1938, doi:10.2307/1400905; the third cumulant is
    ``24 r' T + 8 trace(S S S)``, r' the part of S S along the distances).
    """
    directed = distances.means / distances.shares
    raw = float(distances.means @ directed)
    weighted = distances.covariance / distances.shares[:, None]
    square = raw - float(np.trace(weighted))
    spread = 2 * float((weighted * weighted.T).sum())
    pulled = distances.covariance @ directed
    along = float(directed @ pulled) / raw if raw > 0 else 0.0
    grid = np.array(GRID)
    t = ndtri(grid) if distances.df is None else stdtrit(distances.df, grid)

    def inverted(t: Floats) -> Floats:
        inside = 4 * along * square + (2 * along * t) ** 2 + spread
        squares: Floats = square + 2 * along * t**2 + t * np.sqrt(np.maximum(inside, 0))
        return squares

    squares = inverted(t)
    if not spread:
        return square, spread, squares
    third = 24 * float(pulled @ (pulled / distances.shares)) / raw if raw > 0 else 0.0
    true = np.maximum(squares, 0)
    skew = third * true + 8 * float(np.trace(weighted @ weighted @ weighted))
    skew /= (4 * along * true + spread) ** 1.5
    longer = inverted(t - skew * (t**2 - 1) / 6)
    return square, spread, np.where(grid < 0.5, np.minimum(squares, longer), squares)


def _least_and_most(
    confidence: Floats, correct: np.ndarray, unit: np.ndarray | None
) -> tuple[Floats, Floats]:
    """Bounds at each probability of `GRID` of what confidence and accuracy differ by over all.

    The second one is at least the bound of what any one bin adds to the whole.
    """
    grid, gap, bins = np.array(GRID), confidence - correct, confidence_bins(confidence)
    least, most = np.zeros(len(grid)), np.zeros(len(grid))
    for inside in (np.full(len(gap), True), *(bins == b for b in range(int(bins.max()) + 1))):
        own = None if unit is None else unit[inside]
        if inside.sum() < 2 or (own is not None and len(set(own.tolist())) < 2):
            continue
        over = mean(gap[inside], unit=own, span=(-1.0, 1.0))
        t = stdtrit(over.df, grid) * over.se
        far = np.maximum(over.value + np.abs(t), np.abs(t) - over.value)
        if inside.all():
            least = np.maximum(np.maximum(over.value + t, -over.value + t), 0)
        most = np.maximum(most, math.sqrt(inside.mean()) * far)
    return least, np.minimum(most, 1)


def mean_distance(bins: tuple[ReliabilityBin, ...]) -> float:
    """The usual (L1) expected calibration error, with the bias of chance in it; 0-1."""
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / total


@dataclass(frozen=True)
class _Distances:
    """Confidence minus accuracy by bin, times the bin's share, and their covariance."""

    means: Floats
    shares: Floats
    covariance: Floats
    df: float | None


def _distances(confidence: Floats, correct: np.ndarray, unit: np.ndarray | None) -> _Distances:
    n = len(confidence)
    bins = confidence_bins(confidence)
    width = int(bins.max()) + 1
    owner = np.arange(n) if unit is None else codes_of(unit)
    units = int(owner.max()) + 1
    if units < 2:
        raise ValueError(f"calibration: found {units} unit, expected two or more for a variance")
    gap = confidence - correct
    size = np.bincount(bins, minlength=width)
    total = np.bincount(bins, weights=gap, minlength=width)
    residual = gap - (total / size)[bins]
    sums, sizes = np.bincount(owner, weights=residual), np.bincount(owner)
    independent = float(residual @ residual) * n / (n - 1)
    worth = effective_units(UnitSizes.of(sizes), spread=float(sums @ sums), independent=independent)
    covariance = _summed_products(residual, bins, owner, width) * worth / (worth - 1)
    # Each bin's own mean was taken off, not one of all.
    covariance *= (n - 1) / max(n - width, 1)
    drawn = np.bincount(bins, weights=correct + 0.0) + 2 * np.bincount(bins, confidence) / size
    cautious = drawn / (size + 2)
    least = size * cautious * (1 - cautious)
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), least))
    df = None if unit is None else worth - 1
    return _Distances(total / n, size / n, covariance / n**2, df)


def _summed_products(residual: Floats, bins: np.ndarray, owner: np.ndarray, width: int) -> Floats:
    """Sum over units of the outer product of each unit's residuals by bin, (width, width)."""
    cells = np.bincount(owner * width + bins, weights=residual, minlength=0)
    padded = np.zeros((int(owner.max()) + 1) * width)
    padded[: len(cells)] = cells
    by_unit = padded.reshape(-1, width)
    products: Floats = by_unit.T @ by_unit
    return products


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> Floats:
    """Squared distance between probabilities and truth, (n,); halved for two classes.

    Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. Two classes: 0 to 1, the
    squared error of one probability; more: 0 to 2.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    given = table[np.arange(len(table)), labels]
    scores = np.maximum((table**2).sum(axis=1) - 2 * given + 1, 0)
    halved: Floats = scores / 2 if table.shape[1] == 2 else scores
    return halved


@dataclass(frozen=True)
class RiskCoverage:
    """Risk among the most confident images, as the model may abstain on the others.

    `risk` (n,): share of errors among the i + 1 most confident; of equally confident ones it is
    the expected share over all their orders. `area` is the mean of `risk` (AURC; Geifman, Uziel &
    El-Yaniv 2019, arXiv:1805.08206), and `influence` (n,), in the order of the images, sums to 0
    and gives its variance.
    """

    risk: Floats
    area: float
    influence: Floats


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> RiskCoverage:
    """The risk-coverage curve of confidence (n,) and correct (n,) bool."""
    # Equal confidences are one level, the highest first.
    level = np.unique(-np.asarray(confidence), return_inverse=True)[1]
    sizes = np.bincount(level)
    ranked = np.repeat(np.arange(len(sizes)), sizes)

    def of_level(by_rank: Floats) -> Floats:
        mean: Floats = np.bincount(ranked, weights=by_rank) / sizes
        return mean

    wrong = 1.0 - np.asarray(correct, dtype=np.float64)
    rank = np.arange(1, len(wrong) + 1)
    risk = np.cumsum((np.bincount(level, weights=wrong) / sizes)[ranked]) / rank
    later = of_level(np.cumsum((1 / rank)[::-1])[::-1])
    later_risk = of_level(np.cumsum((risk / rank)[::-1])[::-1])
    own = (of_level(risk) - risk.mean() - later_risk)[level]
    return RiskCoverage(risk, float(risk.mean()), own + wrong * later[level])
