"""Which labels are likely wrong, and how many would look so if all were right.

Confident learning (Northcutt, Jiang & Chuang 2021, doi:10.1613/jair.1.12125), on scores of images
that the model was not trained on: a label is doubted where another class scores at least as high
as it does on average on the images that are labelled so, and the model does not answer the label.
This is the selection by the off-diagonals of the confident joint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_FITTED = 20_000
"""Images that the temperature is fitted on, at most; one number needs no more."""
_NO_CLASS = -1
_BLOCK = 16_384


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
    given = np.asarray(probabilities)
    n, classes = given.shape
    least = thresholds(given, labels)
    flagged, suggested, margin = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64), np.zeros(n)
    for block, scores in _blocks(given):
        sure, label = _sure_of(scores, least), labels[block]
        flagged[block] = (sure != _NO_CLASS) & (sure != label) & (scores.argmax(axis=1) != label)
        suggested[block], margin[block] = sure, _margins(scores, label)
    return Doubted(
        flagged=flagged,
        suggested=suggested,
        margin=margin,
        if_right=_flagged_if_right(given, labels),
        wrong_share=1 - float(np.trace(joint(suggested, labels, classes=classes))),
    )


def _blocks(scores: NDArray[np.floating]) -> Iterator[tuple[slice, Floats]]:
    """Scores of some rows at a time, and which rows: of many classes all would fill the memory."""
    for start in range(0, len(scores), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield block, scores[block].astype(np.float64)


def thresholds(scores: NDArray[np.floating], labels: Codes) -> Floats:
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
    sure = suggested != _NO_CLASS
    cells = np.bincount(labels[sure] * classes + suggested[sure], minlength=classes**2)
    counted = cells.reshape(classes, classes).astype(np.float64)
    empty = counted.sum(axis=1) == 0
    counted[empty, empty] = 1.0
    counts = np.bincount(labels, minlength=classes)
    scaled = counted / counted.sum(axis=1, keepdims=True) * counts[:, None]
    found: Floats = scaled / scaled.sum()
    return found


def temperature(scores: NDArray[np.floating], labels: Codes) -> float:
    """The temperature, its logarithm, that fits labels best (Guo et al. 2017, arXiv:1706.04599).

    `scores` (n, classes), `labels` (n,). Where labels are wrong, it takes part of that for
    uncertainty.
    """
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), _FITTED)).astype(np.int64)
    logs, labels = _logs(scores[chosen]), labels[chosen]
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(25):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(logs, labels, left) < _loss(logs, labels, right):
            high = right
        else:
            low = left
    return float((low + high) / 2)


def _loss(logs: Floats, labels: Codes, log_temperature: float) -> float:
    scaled = logs / np.exp(log_temperature)
    top = scaled.max(axis=1)
    total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((total - scaled[np.arange(len(labels)), labels]).mean())


def calibrated(scores: NDArray[np.floating], log_temperature: float) -> Floats:
    """Scores (n, classes) at a temperature; each row sums to 1."""
    scaled = _logs(scores) / np.exp(log_temperature)
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _logs(scores: NDArray[np.floating]) -> Floats:
    logs: Floats = np.log(np.clip(scores.astype(np.float64), 1e-12, 1.0))
    return logs


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


def _flagged_if_right(scores: NDArray[np.floating], labels: Codes) -> Floats:
    """Probability of a flag where labels are drawn from the calibrated scores.

    What many simulated sets of right labels would show on average, in closed form: thresholds
    are then the mean scores over such labels.
    """
    fitted = temperature(scores, labels)
    weight, own = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for _, block in _blocks(scores):
        chance = calibrated(block, fitted)
        weight, own = _added(weight, chance), _added(own, chance * block)
    least = np.where(weight > 0, own / np.maximum(weight, 1e-300), np.inf)
    found: Floats = np.zeros(len(scores))
    for rows, block in _blocks(scores):
        found[rows] = _unlikely(block, calibrated(block, fitted), least)
    return found


def _added(total: Floats, values: Floats) -> Floats:
    """Sums of columns, (k,), each with `total` (k,) before them: as if all were summed at once."""
    found: Floats = np.concatenate([total[None], values]).sum(axis=0)
    return found


def _unlikely(scores: Floats, chance: Floats, least: Floats) -> Floats:
    """Probability of a flag, of which an image's answer and the class it is sure of have none."""
    suggested, answer = _sure_of(scores, least), scores.argmax(axis=1)
    rows = np.arange(len(scores))
    unflagged = chance[rows, answer]
    unflagged = unflagged + np.where(suggested != answer, chance[rows, suggested], 0.0)
    found: Floats = np.where(suggested == _NO_CLASS, 0.0, np.clip(1 - unflagged, 0.0, 1.0))
    return found
