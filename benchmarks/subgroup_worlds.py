"""Worlds whose truth is known, and what an audit says of samples from them.

Estimates come from the builders that the checks use and verdicts from `judge`, under limits of
the built-in policy. Both depend on counts only, so each table of counts is worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from unittest.mock import patch

import numpy as np

from auditor.findings import (
    Better,
    Finding,
    Measure,
    Needed,
    Scale,
    Side,
    Subject,
    Unmeasured,
    Verdict,
)
from auditor.judging.judge import judge
from auditor.judging.policy import Limit
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import (
    Estimate,
    Rate,
    RateDifference,
    RateRatio,
    bound,
    p_value,
    rate_difference,
    rate_ratio,
)

GROUPS = 10
_DAY = date(2000, 1, 1)
_CACHED = 400_000


@dataclass(frozen=True)
class World:
    """Groups of independent images.

    `rates` and `sizes` give each group's true rate and number of images; `tested` is the group
    that the world is about.
    """

    name: str
    rates: tuple[float, ...]
    sizes: tuple[int, ...]
    tested: int = 0

    @property
    def rest(self) -> np.ndarray:
        """The true rate of all images outside each group."""
        rates, sizes = np.array(self.rates), np.array(self.sizes)
        wrong = (rates * sizes).sum() - rates * sizes
        return wrong / (sizes.sum() - sizes)

    def draw(self, rng: np.random.Generator, repetitions: int) -> np.ndarray:
        """Counts of the outcome, (repetitions, groups)."""
        return rng.binomial(self.sizes, self.rates, size=(repetitions, len(self.sizes)))


@dataclass(frozen=True)
class Comparison:
    """How groups are compared with the rest: the limit, the builder of the estimate, the truth.

    Without `floored` the limit is taken without its `and_difference_above`.
    """

    limit: str
    build: Callable[..., Estimate]
    scale: Scale
    neutral: float
    better: Better
    floored: bool = False

    @property
    def policy_limit(self) -> Limit:
        limit = _limits()[self.limit]
        return limit if self.floored else limit.model_copy(update={"and_difference_above": None})

    def truth(self, world: World) -> np.ndarray:
        own, rest = np.array(world.rates), world.rest
        return own - rest if self.build is rate_difference else own / rest

    def breaks(self, world: World) -> np.ndarray:
        """Which groups are truly beyond the limit; one that lies on it is not."""
        beyond = ~np.array([self.policy_limit.is_met_by(v) for v in self._rounded(world)])
        return beyond & (self._points(world) > self._floor)

    def is_at_limit(self, world: World) -> np.ndarray:
        """Which groups lie on the limit: on one of its bounds, and not within the other."""
        ratio, points = self._rounded(world), self._points(world)
        met = np.array([self.policy_limit.is_met_by(v) for v in ratio])
        on_ratio = (ratio == self.policy_limit.value) & (points >= self._floor)
        return on_ratio | (~met & (points == self._floor))

    @property
    def _floor(self) -> float:
        return self.policy_limit.and_difference_above or -1.0

    def _points(self, world: World) -> np.ndarray:
        return np.round(np.array(world.rates) - world.rest, 9)

    def _rounded(self, world: World) -> np.ndarray:
        return np.round(self.truth(world), 9)


GAP = Comparison("subgroup-accuracy", rate_difference, "difference", 0.0, "higher")
RATIO = Comparison("false-adverse-ratio", rate_ratio, "ratio", 1.0, "lower")
FLOORED = Comparison("false-adverse-ratio", rate_ratio, "ratio", 1.0, "lower", floored=True)


@dataclass(frozen=True)
class Verdicts:
    """What was said: of each group (repetitions, groups), and of the limit (repetitions,)."""

    failed: np.ndarray
    passed: np.ndarray
    worse: np.ndarray
    limit_passed: np.ndarray


def alike(name: str, n: int, rate: float, *, tested: float | None = None) -> World:
    """Ten groups of `n` images with one rate, the first with the rate `tested`."""
    first = rate if tested is None else tested
    return World(name, (first,) + (rate,) * (GROUPS - 1), (n,) * GROUPS)


def estimates(comparison: Comparison, found: Sequence[int], sizes: Sequence[int]) -> list[Estimate]:
    """Each group against the rest, from counts; none at all where a ratio has no event."""
    total, n = int(sum(found)), int(sum(sizes))
    if total == 0 and comparison.build is rate_ratio:
        return []
    return [
        _estimate(comparison.build, int(x), int(size), total - int(x), n - int(size))
        for x, size in zip(found, sizes, strict=True)
    ]


def judged(
    comparison: Comparison, families: Sequence[Sequence[Estimate]], world: World
) -> Verdicts:
    """What `judge` makes of each family of estimates under the policy's limit.

    What would decide an open one is left out: it takes most of the time and decides nothing.
    """
    rows, limits = [], []
    with _counts_worked_out_once():
        for family in families:
            found = judge(
                [results(comparison, family, world.sizes)],
                limits=[comparison.policy_limit],
                as_of=_DAY,
            )
            rows.append([_said(finding) for finding in found.findings])
            limits.append(found.verdict is Verdict.PASS)
    said = np.array(rows)
    return Verdicts(said[:, :, 0], said[:, :, 1], said[:, :, 2], np.array(limits))


def verdicts(comparison: Comparison, counts: np.ndarray, world: World) -> Verdicts:
    """As `judged`, of counts (repetitions, groups)."""
    return judged(comparison, [estimates(comparison, row, world.sizes) for row in counts], world)


def results(
    comparison: Comparison, family: Sequence[Estimate], sizes: Sequence[int]
) -> CheckResults:
    """The measures of a family as the check yields them, without what only readers need."""
    limit = comparison.policy_limit
    subjects = [Subject.of(split="test", group=str(i)) for i in range(len(sizes))]
    if not family:
        none = [Unmeasured(limit.name, subject, "no event", "") for subject in subjects]
        return CheckResults(limit.check, unmeasured=tuple(none))
    measures = [
        Measure(
            limit.name, s, e, comparison.scale, comparison.better, n=n,
            neutral=comparison.neutral, sides=_sides(e),
        )
        for s, e, n in zip(subjects, family, sizes, strict=True)
    ]  # fmt: skip
    return CheckResults(limit.check, measures=tuple(measures))


def _sides(estimate: Estimate) -> tuple[Side, Side] | None:
    """Both sides of a comparison of rates; None of a family that knows of the gap alone."""
    if not isinstance(estimate, RateDifference | RateRatio):
        return None
    return (
        Side(Rate(estimate.x, estimate.n), int(estimate.n)),
        Side(Rate(estimate.x_rest, estimate.n_rest), int(estimate.n_rest)),
    )


def _said(finding: Finding) -> tuple[bool, bool, bool]:
    failed = finding.verdict is Verdict.FAIL
    return failed, finding.verdict is Verdict.PASS, failed or finding.leaning == "worse"


@cache
def _limits() -> dict[str, Limit]:
    return {limit.id: limit for limit in load_policy("default").policy.limits}


@lru_cache(_CACHED)
def _estimate(
    build: Callable[..., Estimate], x: int, n: int, x_rest: int, n_rest: int
) -> RateDifference | RateRatio:
    outcome = np.repeat([1, 0, 1, 0], [x, n - x, x_rest, n_rest - x_rest])
    return build(outcome, member=np.arange(n + n_rest) < n)


_bound, _p_value = lru_cache(_CACHED)(bound), lru_cache(_CACHED)(p_value)


@contextmanager
def _counts_worked_out_once() -> Iterator[None]:
    with (
        patch.multiple("auditor.judging.judge", bound=_bound, p_value=_p_value),
        patch("auditor.judging.judge.what_would_decide", return_value=Needed(None, "images")),
        patch("auditor.judging.judge.could_show", return_value=None),
    ):
        yield
