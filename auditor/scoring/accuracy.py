"""How often answers are right: from confusion counts, from ranks, and from probabilities.

Point estimates equal scikit-learn's; estimates with their uncertainty take units into account.
Confusion counts are (classes, classes): row the label, column the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from auditor.stats import GRID, Draws, Normal, mean
from auditor.stats.design_effects import design_effect

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

    The standard error is linearised and summed by unit (see `auditor.stats.clusters`), never
    below that of recalls drawn towards a half by one image each way, since a class without an
    error would otherwise claim certainty.

    Parameters
    ----------
    labels, predicted : (n,) class indices, n from 1.
    unit : (n,) labels of what was sampled independently, two or more of them; None for images.
    """
    confusion = confusion_matrix(labels, predicted, n_classes=n_classes)
    recall, sizes = recalls(confusion), confusion.sum(axis=1)
    present = sizes > 0
    weight = 1 / (present.sum() * sizes[labels])
    residuals = (np.equal(labels, predicted) - recall[labels]) * weight
    cautious = (np.diag(confusion)[present] + 1) / (sizes[present] + 2)
    least = float((cautious * (1 - cautious) / sizes[present]).sum()) / int(present.sum()) ** 2
    return _between_0_and_1(float(recall[present].mean()), residuals, least=least, unit=unit)


def macro_f1(labels: np.ndarray, predicted: np.ndarray, *, n_classes: int,
             unit: np.ndarray | None = None) -> Draws:  # fmt: skip
    """Mean F1 over the classes that have images or answers; arguments as `balanced_accuracy`."""
    confusion = confusion_matrix(labels, predicted, n_classes=n_classes)
    scores, sums = f1_scores(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    present = sums > 0
    own, answered = 1 / np.maximum(sums, 1)[labels], 1 / np.maximum(sums, 1)[predicted]
    right = np.equal(labels, predicted)
    residuals = 2 * right * own - scores[labels] * own - scores[predicted] * answered
    cautious = (2 * np.diag(confusion)[present] + 1) / (sums[present] + 2)
    least = float((cautious * (1 - cautious) / sums[present]).sum()) / int(present.sum()) ** 2
    value = float(scores[present].mean())
    return _between_0_and_1(value, residuals / present.sum(), least=least, unit=unit)


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

    def mean(self, *, unit: np.ndarray | None = None) -> Normal:
        """The log-loss, from two images."""
        return mean(self.values, unit=unit)


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


def _between_0_and_1(
    value: float, residuals: Floats, *, least: float, unit: np.ndarray | None
) -> Draws:
    """A statistic from its linearised residuals (n,), which sum to 0, cut at the scale's ends."""
    worth = design_effect(residuals, unit=unit)
    independent = float(residuals @ residuals) * len(residuals) / max(len(residuals) - 1, 1)
    se = math.sqrt(worth.deff * max(independent, least))
    grid = np.array(GRID)
    t = ndtri(grid) if worth.df is None else stdtrit(worth.df, grid)
    return Draws(value, tuple(float(q) for q in np.clip(value + t * se, 0, 1)))
