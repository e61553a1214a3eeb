"""What share of answers is right where no label is known: estimates, and how far they are off.

Every estimate is the mean of a number of each answer, so that a sample's error is had by weighing
answers. Which change of those means goes with which change of the share that is right is learned
from sets of answers whose truth is known, shifted on purpose, in families; how far that is off,
from leaving one family out at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.stats.label_shift import Calibration, calibration, from_scores
from auditor.stats.resampling import unit_draws

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_MATCHED = 1000
"""Answers that are matched to classes at a time: the cost grows with their third power."""

_PULL = 0.02
"""Ridge penalty on slopes, in squared radians a set: a hint where few sets tell."""
_NEAR = 0.1
"""Predicted change, in radians, that errors are at least in proportion to."""


@dataclass(frozen=True)
class Estimator:
    """Numbers of an answer whose mean estimates the share that is right, learned from known ones.

    `names` are the estimates: ``confidence`` (mean calibrated confidence; AC), ``threshold`` (the
    share of answers more confident than a threshold that gives the known share; ATC, Garg et al.
    2022, arXiv:2201.04234) and, of scores for each class, ``transport`` (answers matched to classes
    as common as is estimated, by least cost; the share of costs below such a threshold; COTT, Lu
    et al. 2023, arXiv:2305.15640).
    """

    names: tuple[str, ...]
    by_class: Calibration | None
    prior: Floats | None
    by_confidence: tuple[float, float]
    confidence_above: float
    cost_below: float

    @classmethod
    def of_scores(cls, scores: Floats, labels: NDArray[np.int64]) -> Estimator:
        """From scores (n, k) of answers whose classes (n,) are known; each class has some."""
        known = calibration(scores, labels)
        at = known.of(scores)
        prior = at.mean(axis=0)
        answer = scores.argmax(axis=1)
        right = float((answer == labels).mean())
        confidence = at[np.arange(len(at)), answer]
        costs = _matched(at, np.bincount(labels, minlength=scores.shape[1]) / len(labels))
        return cls(
            names=("confidence", "threshold", "transport"),
            by_class=known,
            prior=prior,
            by_confidence=(1.0, 0.0),
            confidence_above=float(np.quantile(confidence, 1 - right)),
            cost_below=float(np.quantile(costs, right)),
        )

    @classmethod
    def of_confidence(cls, confidence: Floats, right: Flags) -> Estimator:
        """From how sure the model was of each answer (n,), and whether it was right."""
        scale, bias = _by_confidence(confidence, right)
        at = _logistic(scale * _logit(confidence) + bias)
        above = float(np.quantile(at, 1 - right.mean()))
        return cls(("confidence", "threshold"), None, None, (scale, bias), above, 0.0)

    def values(self, answers: Floats) -> Floats:
        """The numbers of each answer, (n, estimates), from scores (n, k) or confidences (n,)."""
        if self.by_class is None or self.prior is None:
            scale, bias = self.by_confidence
            at = _logistic(scale * _logit(answers) + bias)
            return np.column_stack([at, at > self.confidence_above])
        scores = self.by_class.of(answers)
        confidence = scores[np.arange(len(scores)), answers.argmax(axis=1)]
        shares = from_scores(scores, self.prior, weight=np.ones((len(scores), 1)))[0]
        costs = _matched(scores, shares)
        return np.column_stack(
            [confidence, confidence > self.confidence_above, costs <= self.cost_below]
        )


def _matched(scores: Floats, shares: Floats) -> Floats:
    """What each answer costs, (n,), matched to classes as common as `shares` at the least cost."""
    from scipy.optimize import linear_sum_assignment

    found = np.empty(len(scores))
    parts = max(1, -(-len(scores) // MOST_MATCHED))
    # Every so-manyth together: files that lie in the order of their classes are spread out.
    for part in (np.arange(first, len(scores), parts) for first in range(parts)):
        exact = shares * len(part)
        counts = np.floor(exact).astype(np.int64)
        most = np.argsort(counts - exact, kind="stable")[: len(part) - counts.sum()]
        counts[most] += 1
        cost = 1 - scores[part][:, np.repeat(np.arange(len(shares)), counts)]
        rows, columns = linear_sum_assignment(cost)
        found[part[rows]] = cost[rows, columns]
    return found


def _by_confidence(confidence: Floats, right: Flags) -> tuple[float, float]:
    """Platt's scale and bias of the logit; a pull towards 1 and 0 keeps them finite."""
    from scipy.optimize import minimize

    logit, truth = _logit(confidence), right.astype(np.float64)

    def loss(at: Floats) -> float:
        z = at[0] * logit + at[1]
        pull = 0.5 * ((at[0] - 1) ** 2 + at[1] ** 2) / len(logit)
        return float((np.logaddexp(0, z) - truth * z).mean() + pull)

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(found[0]), float(found[1])


@dataclass(frozen=True)
class Shifted:
    """Sets of answers shifted on purpose: `means` (m, estimates), the share `right` (m,), `family`.

    `family` (m,) are codes; sets of one family are left out together.
    """

    means: Floats
    right: Floats
    family: NDArray[np.int64]


@dataclass(frozen=True)
class Known:
    """Unshifted answers with known truth: `values` (n, estimates), `right` and `unit` (n,)."""

    values: Floats
    right: Flags
    unit: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ByChange:
    """The change of the share that is right, by the change of the estimates.

    A line through no change, on the scale of ``arcsin sqrt(share)``, by ridge regression of the
    sets of `shifted`, each family counting alike (differences of confidence: Guillory et al. 2021,
    arXiv:2107.03315). Errors are those of sets of a family that the line had not seen, in
    proportion to the change that was predicted (Barber et al. 2021, arXiv:1905.02928, by family).
    """

    known: Known
    shifted: Shifted

    @cached_property
    def _origin(self) -> tuple[Floats, float]:
        return _angle(self.known.values.mean(axis=0)), float(_angle(self.known.right.mean()))

    @cached_property
    def _moved(self) -> tuple[Floats, Floats]:
        x, y = self._origin
        return _angle(self.shifted.means) - x, _angle(self.shifted.right) - y

    def _slopes(self, keep: Flags) -> Floats:
        moved, change = self._moved
        family = self.shifted.family[keep]
        weight = 1 / np.bincount(family)[family]
        weight /= weight.sum()
        x = moved[keep]
        gram = (x * weight[:, None]).T @ x + _PULL * np.eye(x.shape[1])
        # Pulled towards the mean of the estimates: each of them is one of the same share.
        prior = np.full(x.shape[1], 1 / x.shape[1])
        towards = (x * weight[:, None]).T @ change[keep] + _PULL * prior
        return np.asarray(np.linalg.solve(gram, towards), dtype=np.float64)

    @cached_property
    def slopes(self) -> Floats:
        """Of all sets, (estimates,)."""
        return self._slopes(np.ones(len(self.shifted.right), dtype=bool))

    @cached_property
    def left_out(self) -> tuple[Floats, Floats]:
        """Slopes without each set's family, (m, estimates), and relative errors of it, (m,)."""
        slopes = np.empty_like(self.shifted.means)
        for family in np.unique(self.shifted.family):
            own = self.shifted.family == family
            slopes[own] = self._slopes(~own)
        moved, change = self._moved
        predicted = (moved * slopes).sum(axis=1)
        return slopes, (change - predicted) / (_NEAR + np.abs(predicted))

    @cached_property
    def told(self) -> Floats:
        """What is estimated of each set without its family, (m,)."""
        moved, _ = self._moved
        return _share(self._origin[1] + (moved * self.left_out[0]).sum(axis=1))

    def estimate(self, means: Floats, *, known: Known | None = None) -> float:
        """The share that is right among answers of these mean values (estimates,), 0-1.

        `known`: as a change from these answers, such as those of a group.
        """
        start = self.known if known is None else known
        moved = _angle(means) - _angle(start.values.mean(axis=0))
        return float(_share(_angle(start.right.mean()) + moved @ self.slopes))

    def draws(
        self,
        values: Floats,
        unit: NDArray[np.int64],
        *,
        known: Known | None = None,
        rng: np.random.Generator,
        draws: int,
    ) -> tuple[Floats, Floats]:
        """What the share there may be, and what the known share may be, (draws,) each.

        `values` (n, estimates) and `unit` (n,) are those of answers whose truth is not known;
        `known` as of `estimate`.
        """
        start = self.known if known is None else known
        here = _drawn(np.column_stack([start.values, start.right]), start.unit, rng, draws)
        there = _drawn(values, unit, rng, draws)
        before, right = here[:, :-1], here[:, -1]
        slopes, errors = self.left_out
        weight = 1 / np.bincount(self.shifted.family)[self.shifted.family]
        which = rng.choice(len(errors), size=draws, p=weight / weight.sum())
        moved = ((_angle(there) - _angle(before)) * slopes[which]).sum(axis=1)
        sign = np.where(rng.random(draws) < 0.5, -1.0, 1.0)
        off = sign * errors[which] * (_NEAR + np.abs(moved))
        return _share(_angle(right) + moved + off), right


def _drawn(values: Floats, unit: NDArray[np.int64], rng: np.random.Generator, draws: int) -> Floats:
    """Means of columns (n, k) over whole units drawn with replacement, (draws, k)."""
    codes = np.unique(unit, return_inverse=True)[1]
    sizes = np.bincount(codes).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in values.T])
    parts = unit_draws(len(sizes), draws=draws, rng=rng)
    found: Floats = np.concatenate([(times @ sums) / (times @ sizes)[:, None] for times in parts])
    return found


def _angle(share: Floats | float) -> Floats:
    return np.asarray(np.arcsin(np.sqrt(np.clip(share, 0.0, 1.0))), dtype=np.float64)


def _share(angle: Floats) -> Floats:
    return np.asarray(np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2, dtype=np.float64)


def _logit(confidence: Floats) -> Floats:
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _logistic(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-z)), dtype=np.float64)
