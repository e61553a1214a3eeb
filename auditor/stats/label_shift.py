"""How common each class is in data without labels, from a classifier whose errors are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDS, _SETTLED = 200, 1e-5
_LEAST_PROBABILITY = 1e-12
_PULL, _STEP = 1e-3, 1e-4


def from_answers(confusion: Floats, answered: Floats) -> Floats:
    """Shares of the classes from how often each is answered, (draws, k).

    Black-box shift estimation (Lipton, Wang & Smola 2018, arXiv:1802.03916): of `confusion`
    (draws, k, k) the rate at which images of class j (last axis) are answered i is taken over to
    the `answered` (draws, k) counts. Least squares; shares below 0 are 0, the others rescaled.
    Every class has images in every draw.
    """
    rates = confusion / confusion.sum(axis=1, keepdims=True)
    seen = answered / answered.sum(axis=1, keepdims=True)
    solved = np.einsum("bij,bj->bi", np.linalg.pinv(rates), seen)
    return _shares(solved)


def distinguished(confusion: Floats) -> float:
    """How well classes are told apart by answers, 0 (not at all) to 1, from counts (k, k)."""
    rates = confusion / confusion.sum(axis=0, keepdims=True)
    return float(np.linalg.svd(rates, compute_uv=False)[-1])


def from_scores(scores: Floats, prior: Floats, *, weight: Floats) -> Floats:
    """Shares of the classes that make the scores likeliest, (draws, k).

    Expectation maximisation (Saerens, Latinne & Decaestecker 2002,
    doi:10.1162/089976602753284446) with calibrated `scores` (n, k), whose mean where they were
    calibrated is `prior` (k,); images count as often as `weight` (n, draws) says.
    """
    found = np.full((weight.shape[1], len(prior)), 1 / len(prior))
    total = weight.sum(axis=0)
    for _ in range(_ROUNDS):
        ratio = found / prior
        likelihood = np.maximum(scores @ ratio.T, _LEAST_PROBABILITY)
        last, found = found, _shares(ratio * ((weight / likelihood).T @ scores) / total[:, None])
        if np.abs(found - last).max() < _SETTLED:
            break
    return found


@dataclass(frozen=True)
class Calibration:
    """Bias-corrected temperature scaling: logarithms of scores times `scale` plus `bias` (k,).

    Alexandari, Kundaje & Shrikumar (2020), arXiv:1901.06852. `influence` (n, k + 1) is by how much
    each image that it was learned from moved `scale` and `bias`, times n.
    """

    scale: float
    bias: Floats
    influence: Floats

    def of(self, scores: Floats, *, moved: Floats | None = None) -> Floats:
        """Calibrated scores (n, k), `moved` (k + 1,) being added to scale and bias."""
        shift = np.zeros(len(self.bias) + 1) if moved is None else moved
        return _softmax((self.scale + shift[0]) * _logs(scores) + self.bias + shift[1:])


def calibration(scores: Floats, labels: NDArray[np.int64]) -> Calibration:
    """The calibration that makes `labels` (n,) likeliest given `scores` (n, k)."""
    from scipy.optimize import minimize

    logs, k = _logs(scores), scores.shape[1]
    truth = np.eye(k)[labels]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        p = _softmax(parameters[0] * logs + parameters[1:])
        picked = np.maximum((p * truth).sum(axis=1), 1e-300)
        pull = np.concatenate([[0.0], _PULL * parameters[1:]])
        # A little weight on no bias: biases are known but for a constant.
        value = float(-np.log(picked).mean() + 0.5 * pull @ parameters)
        return value, _slopes(logs, p - truth).mean(axis=0) + pull

    start = np.concatenate([[1.0], np.zeros(k)])
    bounds = [(0.01, 10.0), *[(None, None)] * k]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    p = _softmax(found[0] * logs + found[1:])
    curvature = _curvature(logs, p) + np.diag([1e-9, *[_PULL] * k])
    influence: Floats = -np.asarray(np.linalg.solve(curvature, _slopes(logs, p - truth).T)).T
    return Calibration(float(found[0]), np.asarray(found[1:], dtype=np.float64), influence)


def score_influence(
    calibration: Calibration, *, known: Floats, scores: Floats, shares: Floats
) -> Floats:
    """By how much each image with a label moved `shares` (k,) of `from_scores`, times m; (m, k).

    Through the calibration and through the prior. `known` (m, k) are the scores that the
    calibration was learned from, `scores` (n, k) those whose classes are unknown. By differences.
    """
    weight = np.ones((len(scores), 1))
    at = calibration.of(known)
    prior = at.mean(axis=0)

    def moved(direction: Floats, place: Floats) -> Floats:
        there = calibration.of(known, moved=direction).mean(axis=0) + place
        scored = calibration.of(scores, moved=direction)
        change: Floats = from_scores(scored, there, weight=weight)[0] - shares
        return change / _STEP

    still, steps = np.zeros(len(prior)), _STEP * np.eye(len(prior) + 1)
    by_calibration = np.array([moved(step, still) for step in steps])
    by_prior = np.array([moved(np.zeros(len(prior) + 1), step) for step in steps[1:, 1:]])
    found: Floats = calibration.influence @ by_calibration + (at - prior) @ by_prior
    return found


def _slopes(logs: Floats, off: Floats) -> Floats:
    """Of the loss of each image by scale and biases, (n, k + 1)."""
    return np.column_stack([(off * logs).sum(axis=1), off])


def _curvature(logs: Floats, p: Floats) -> Floats:
    """The mean second derivative of the loss by scale and biases, (k + 1, k + 1)."""
    mean = (p * logs).sum(axis=1, keepdims=True)
    by_scale = (p * (logs - mean)).mean(axis=0)
    by_bias = np.diag(p.mean(axis=0)) - p.T @ p / len(p)
    own = (p * (logs - mean) ** 2).sum(axis=1).mean()
    found: Floats = np.block([[np.array([[own]]), by_scale[None]], [by_scale[:, None], by_bias]])
    return found


def _logs(scores: Floats) -> Floats:
    found: Floats = np.log(np.maximum(scores, _LEAST_PROBABILITY))
    return found


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _shares(values: Floats) -> Floats:
    kept = np.maximum(values, 0.0)
    found: Floats = kept / kept.sum(axis=-1, keepdims=True)
    return found
