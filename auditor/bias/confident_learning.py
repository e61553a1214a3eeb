"""Which labels are likely wrong, and how many would look so if all were right.

Confident learning (Northcutt, Jiang & Chuang 2021, doi:10.1613/jair.1.12125), on scores of images
that the model was not trained on: a label is doubted where another class scores at least as high
as it does on average on the images that are labelled so, and the model does not answer the label.
This is the selection by the off-diagonals of the confident joint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_FITTED = 20_000
"""Images that the temperature is fitted on, at most; one number needs no more."""
_NO_CLASS = -1


@dataclass(frozen=True)
class Doubted:
    """Labels that look wrong.

    `flagged` (n,) bool; `suggested` (n,) the class that the scores are sure of, -1 where they are
    sure of none; `margin` (n,) score of the label less the highest other one, lower is worse;
    `if_right` (n,) 0 to 1, the probability that a right label of this image would be flagged.
    """

    flagged: NDArray[np.bool_]
    suggested: Codes
    margin: Floats
    if_right: Floats
    wrong_share: float
    """Share of wrong labels that the confident joint estimates, 0 to 1."""


def doubted(probabilities: NDArray[np.floating], labels: Codes) -> Doubted:
    """Find likely label errors.

    Parameters
    ----------
    probabilities : (n, classes), each row sums to 1; of images that training has not seen.
    labels : (n,) class indices; every image has one.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    suggested = _sure_of(scores, thresholds(scores, labels))
    answer = scores.argmax(axis=1)
    flagged = (suggested != _NO_CLASS) & (suggested != labels) & (answer != labels)
    return Doubted(
        flagged=flagged,
        suggested=suggested,
        margin=_margins(scores, labels),
        if_right=_flagged_if_right(scores, labels),
        wrong_share=1 - float(np.trace(joint(suggested, labels, classes=scores.shape[1]))),
    )


def thresholds(scores: Floats, labels: Codes) -> Floats:
    """Mean score of each class over the images labelled so, (classes,); infinite without one."""
    counts = np.bincount(labels, minlength=scores.shape[1])
    own = np.bincount(
        labels, weights=scores[np.arange(len(labels)), labels], minlength=len(counts)
    )  # fmt: skip
    found: Floats = np.where(counts > 0, own / np.maximum(counts, 1), np.inf)
    return found


def joint(suggested: Codes, labels: Codes, *, classes: int) -> Floats:
    """Estimated joint distribution of label and true class, (classes, classes), sums to 1.

    The confident joint, each row scaled to the label's count; a label without a confident image
    is taken to be right.
    """
    counted = np.zeros((classes, classes))
    sure = suggested != _NO_CLASS
    np.add.at(counted, (labels[sure], suggested[sure]), 1.0)
    empty = counted.sum(axis=1) == 0
    counted[empty, empty] = 1.0
    counts = np.bincount(labels, minlength=classes)
    scaled = counted / counted.sum(axis=1, keepdims=True) * counts[:, None]
    found: Floats = scaled / scaled.sum()
    return found


def calibrated(scores: Floats, labels: Codes) -> Floats:
    """Scores at the temperature that fits the labels best (Guo et al. 2017, arXiv:1706.04599).

    Where labels are wrong, the temperature takes part of that for uncertainty.
    """
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), _FITTED)).astype(np.int64)
    logs = np.log(np.clip(scores, 1e-12, 1.0))
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(25):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(logs[chosen], labels[chosen], left) < _loss(logs[chosen], labels[chosen], right):
            high = right
        else:
            low = left
    return _at_temperature(logs, (low + high) / 2)


def _loss(logs: Floats, labels: Codes, log_temperature: float) -> float:
    scaled = logs / np.exp(log_temperature)
    top = scaled.max(axis=1)
    total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((total - scaled[np.arange(len(labels)), labels]).mean())


def _at_temperature(logs: Floats, log_temperature: float) -> Floats:
    scaled = logs / np.exp(log_temperature)
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _sure_of(scores: Floats, least: Floats) -> Codes:
    """The highest class among those that reach their threshold, -1 where none does."""
    # Roundings of a mean of equal scores must not put them below it.
    reached = np.where(scores >= least - 1e-6, scores, -np.inf)
    best = reached.argmax(axis=1)
    found: Codes = np.where(np.isfinite(reached.max(axis=1)), best, _NO_CLASS)
    return found


def _margins(scores: Floats, labels: Codes) -> Floats:
    rows = np.arange(len(labels))
    others = scores.copy()
    others[rows, labels] = -np.inf
    found: Floats = scores[rows, labels] - others.max(axis=1)
    return found


def _flagged_if_right(scores: Floats, labels: Codes) -> Floats:
    """Probability of a flag where labels are drawn from the calibrated scores.

    What many simulated sets of right labels would show on average, in closed form: thresholds
    are then the mean scores over such labels.
    """
    chance = calibrated(scores, labels)
    weight = chance.sum(axis=0)
    least = np.where(weight > 0, (chance * scores).sum(axis=0) / np.maximum(weight, 1e-300), np.inf)
    suggested, answer = _sure_of(scores, least), scores.argmax(axis=1)
    rows = np.arange(len(scores))
    unflagged = chance[rows, answer]
    unflagged = unflagged + np.where(suggested != answer, chance[rows, suggested], 0.0)
    found: Floats = np.where(suggested == _NO_CLASS, 0.0, np.clip(1 - unflagged, 0.0, 1.0))
    return found
