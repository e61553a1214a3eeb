"""How often answers are right: from confusion counts, from ranks, and from probabilities.

Point estimates equal scikit-learn's; estimates with their uncertainty take units into account.
Confusion counts are (classes, classes): row the label, column the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from auditor.stats import GRID, Draws, Normal, mean
from auditor.stats.design_effects import Effective, design_effect

Floats = NDArray[np.float64]

_LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
_MOST_COARSE_STEP = 1 / 255


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, *, n_classes: int
) -> NDArray[np.int64]:
    """Counts of (label, answer), (n_classes, n_classes), from class indices (n,), none negative."""
    cells = np.asarray(labels, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    counts: NDArray[np.int64] = np.bincount(cells, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def recalls(confusion: np.ndarray) -> Floats:
    """Share of each class that is found, (classes,); NaN where a class has no image."""
    return _share(np.diag(confusion), confusion.sum(axis=1))


def f1_scores(confusion: np.ndarray) -> Floats:
    """Harmonic mean of recall and precision, (classes,); NaN for classes of no image nor answer."""
    return _share(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, *, n_classes: int,
                      unit: np.ndarray | None = None) -> Draws:  # fmt: skip
    """Mean recall over the classes that have images.

    Quantiles are the bounds of the classes' recalls together (`_of_shares`), so that a class
    without an error claims no more than its number of images allows.

    Parameters
    ----------
    labels, predicted : (n,) class indices, n from 1.
    unit : (n,) labels of what was sampled independently, two or more of them; None for images.
    """
    confusion = confusion_matrix(labels, predicted, n_classes=n_classes)
    recall, sizes = recalls(confusion), confusion.sum(axis=1)
    present = sizes > 0
    residuals = (np.equal(labels, predicted) - recall[labels]) / sizes[labels]
    worth = design_effect(residuals, unit=unit)
    return _of_shares(np.diag(confusion)[present], sizes[present], worth=worth, stretch=1.0)


def macro_f1(labels: np.ndarray, predicted: np.ndarray, *, n_classes: int,
             unit: np.ndarray | None = None) -> Draws:  # fmt: skip
    """Mean F1 over the classes that have images or answers; arguments as `balanced_accuracy`.

    A class's F1 is ``2 J / (1 + J)``, J being the share of right ones among the images that are
    of the class or are called so, each counted once. An error is one of two classes: the bounds
    of all classes together (`_of_shares`) are stretched by what that adds, as the linearised
    variance shows it, at most the root of two.
    """
    confusion = confusion_matrix(labels, predicted, n_classes=n_classes)
    right, sums = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    present, scores = sums > 0, f1_scores(confusion)
    own, answered = 1 / np.maximum(sums, 1)[labels], 1 / np.maximum(sums, 1)[predicted]
    hit = np.equal(labels, predicted)
    residuals = 2 * hit * own - scores[labels] * own - scores[predicted] * answered
    worth = design_effect(residuals, unit=unit)
    right, among = right[present], (sums - right)[present]
    j = right / among
    alone = float((j * (1 - j) / among * 4 / (1 + j) ** 4).sum())
    shared = float(residuals @ residuals) / alone if alone > 0 else 2.0
    stretch = math.sqrt(min(max(shared, 1.0), 2.0))
    return _of_shares(right, among, worth=worth, stretch=stretch, f1=True)


def in_top(probabilities: np.ndarray, labels: np.ndarray, *, k: int) -> NDArray[np.bool_]:
    """Whether the label is among the `k` likeliest classes, (n,).

    Of equal probabilities the class with the lower index comes first, as in the answer itself.
    """
    table = np.asarray(probabilities)
    own = table[np.arange(len(table)), labels][:, None]
    earlier = np.arange(table.shape[1])[None, :] < np.asarray(labels)[:, None]
    ahead = (table > own).sum(axis=1) + ((table == own) & earlier).sum(axis=1)
    inside: NDArray[np.bool_] = ahead < k
    return inside


@dataclass(frozen=True)
class LogLosses:
    """Negative log probability of each label, (n,) nats, and what was done to keep it finite.

    `clipped` counts labels whose probability was below `floor` and counted as `floor`.
    """

    values: Floats
    floor: float
    clipped: int

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest loss that an image can have."""
        return 0.0, -math.log(self.floor)

    def mean(self, *, unit: np.ndarray | None = None) -> Normal:
        """The log-loss, from two images."""
        return mean(self.values, unit=unit, span=self.span)


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> LogLosses:
    """Log-loss of each image, from probabilities (n, classes) and class indices (n,).

    A model with quantised outputs gives 0 to what it finds merely unlikely. The floor is half
    the smallest positive probability that it gave, at most half an 8-bit step and at least the
    resolution of float32.
    """
    table = np.asarray(probabilities)
    given = table[np.arange(len(table)), labels]
    return floored_log_losses(given, least=float(table.min(where=table > 0, initial=1.0)))


def floored_log_losses(given: np.ndarray, *, least: float) -> LogLosses:
    """Log-loss of each image from the probability of its label (n,), NaN where there is none.

    `least` is the smallest positive probability that the model gave to any class.
    """
    given = np.asarray(given, dtype=np.float64)
    floor = max(min(least, _MOST_COARSE_STEP) / 2, _LEAST_PROBABILITY)
    return LogLosses(-np.log(np.maximum(given, floor)), floor, int((given < floor).sum()))


def _share(part: np.ndarray, whole: np.ndarray) -> Floats:
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def _of_shares(
    right: np.ndarray, among: np.ndarray, *, worth: Effective, stretch: float, f1: bool = False
) -> Draws:
    """The mean of classes' shares (or of the F1 that follow from them) by the bounds of each.

    The quantile at p is the mean's one-sided bound: Clopper & Pearson's (1934,
    doi:10.1093/biomet/26.4.404) of each class on effective counts, combined by the distances to
    them (Zou & Donner 2008, doi:10.1002/sim.3095) times `stretch`. Simulated with 10 to 50 images
    of 2 to 5 classes, 80% and 95% right: the lower bound lies above the truth in at most 4% of
    samples, the upper one below it in at most 8% (12% for F1 with two images a class, which is
    biased downwards there).

    `right` of `among` (classes,), each above 0.
    """
    x, n, grid = right / worth.deff, among / worth.deff, np.array(GRID)
    t = ndtri(grid) if worth.df is None else stdtrit(worth.df, grid)
    alpha = ndtr(-np.abs(t))[:, None]
    with np.errstate(invalid="ignore"):
        low = np.where(x > 0, betaincinv(x, n - x + 1, alpha), 0.0)
        high = np.where(x < n, 1 - betaincinv(n - x, x + 1, alpha), 1.0)
    share = right / among
    if f1:
        share, low, high = (2 * j / (1 + j) for j in (share, low, high))
    reach = np.where(t[:, None] < 0, share - low, high - share)
    distance = np.minimum(stretch * np.sqrt((reach**2).sum(axis=1)), reach.sum(axis=1))
    value = float(share.mean())
    ends = np.clip(value + np.sign(t) * distance / len(share), 0, 1)
    return Draws(value, tuple(float(q) for q in ends))
