"""The floor of a ratio limit: below which difference of its sides a ratio does not count.

A ratio of rare errors is loose however fair the model is, and says little: 0.6% is twice 0.3%. A
limit with `and_difference_above` is broken only where the ratio *and* the difference are beyond
their bounds. So it is

- shown to be broken where both are: an intersection-union test, whose p-value is the larger of
  the two (Berger 1982, doi:10.1080/00401706.1982.10487790), with nothing to correct;
- shown to be kept where either is within. Where the truth lies at both bounds at once each of two
  looks could err, so both bounds take a confidence that makes the two together err in 5%.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, owens_t

from auditor.findings import Measure
from auditor.stats import Estimate, Normal, RateDifference, RateRatio, bound, value
from auditor.stats.scores import critical, crossing

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Floor:
    """The difference of a ratio's sides, and the one that it must be beyond to count.

    `at` is on the scale of the sides, above 0 where a larger ratio does harm, else below; `rest` is
    the value of the other side, `confidence` that of a bound that gives a PASS.
    """

    difference: Estimate
    at: float
    rest: float
    confidence: float

    def is_met_by(self, difference: float) -> bool:
        return difference <= self.at if self.at > 0 else difference >= self.at


def floor_of(
    measure: Measure, *, most: float | None, ratio: float, exceeds: Literal["above", "below"]
) -> Floor | None:
    """The floor `most` of a limit of `ratio` on a measure; None where it has none.

    `most` is in shares of errors of average cost (`Measure.weight`). A measure that is no ratio
    of two sides is judged by its bound alone.
    """
    if most is None or measure.scale != "ratio":
        return None
    found = _difference(measure)
    if found is None:
        return None
    at = most / measure.weight
    at = at if exceeds == "above" else -at
    return Floor(found, at, _rest(measure), _either_confidence(ratio))


def _difference(measure: Measure) -> Estimate | None:
    """One side minus the other; a ratio of counts holds how they vary together."""
    estimate = measure.estimate
    if isinstance(estimate, RateRatio):
        counts = (estimate.x, estimate.n, estimate.x_rest, estimate.n_rest)
        return RateDifference(*counts, estimate.df)
    if measure.sides is None:
        return None
    this, other = (side.estimate for side in measure.sides)
    up, down = (_reach(this, other), _reach(other, this))
    freedom = [df for one in (this, other) if (df := getattr(one, "df", None)) is not None]
    df = min(freedom, default=None)
    se = max(up, down) / critical(_CONFIDENCE, df=df)
    return Normal(value(this) - value(other), se, df)


def _reach(above: Estimate, below: Estimate) -> float:
    """How far ``above - below`` may exceed what was seen, by the bounds of both.

    Zou & Donner (2008), doi:10.1002/sim.3095; what both have in common is not known here, and
    would only make it less where images of a unit are alike.
    """
    return math.hypot(
        bound(above, side="high") - value(above), value(below) - bound(below, side="low")
    )


def _rest(measure: Measure) -> float:
    """The other side's value, above 0."""
    if isinstance(measure.estimate, RateRatio):
        # Drawn in by half an event, as where the power of a comparison is told.
        return (measure.estimate.x_rest + 0.5) / (measure.estimate.n_rest + 1)
    return value(measure.sides[1].estimate) if measure.sides else 0.0


def _either_confidence(ratio: float) -> float:
    """The confidence of two bounds, of a ratio and a difference, either of which gives a PASS.

    With a truth at both limits, g = R r and g - r = D, the statistics ``g - R r`` and ``g - r``
    are correlated at least ``2 sqrt(R) / (R + 1)``, whatever the sizes of the sides. The chance
    that either of two normal ones lies beyond -z is then at most ``Phi(-z) + 2 T(z, a)``, ``a =
    |sqrt(R) - 1| / (sqrt(R) + 1)`` (Owen 1956, doi:10.1214/aoms/1177728074).
    """
    root = math.sqrt(max(ratio, 0.0))
    a = abs(root - 1) / (root + 1)
    z = crossing(
        lambda z: float(ndtr(-z) + 2 * owens_t(z, a)), target=1 - _CONFIDENCE, low=1.0, high=2.0
    )
    return float(ndtr(z))
