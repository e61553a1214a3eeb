"""What is read off the worlds: coverage, wrong verdicts, power; ours and the usual rules'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import subgroup_rules as rules
from subgroup_rules import Said
from subgroup_worlds import GAP, Comparison, Verdicts, World, estimates, verdicts

from auditor.stats import Rate, interval, largest_gap, rate

FAIRLEARN = "fairlearn"
FOUR_FIFTHS = "four-fifths"
TEN_POINTS = "10 points"
RULES = (FAIRLEARN, FOUR_FIFTHS, TEN_POINTS)


@dataclass(frozen=True)
class Aim:
    """The bound that a reading must keep, `at_least` or `at_most` (one of them)."""

    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        return self.at_least if self.at_least is not None else self.at_most

    def is_met_by(self, value: float) -> bool:
        return value >= self.value if self.at_least is not None else value <= self.value


@dataclass(frozen=True)
class Reading:
    """One line of the table. `size` is the images a group; `beside` holds the usual rules."""

    world: str
    size: str
    what: str
    value: float
    aim: Aim | None = None
    beside: dict[str, float] = field(default_factory=dict)
    unit: str = "share"

    @property
    def missed(self) -> bool:
        return self.aim is not None and not self.aim.is_met_by(self.value)

    def is_close(self, repetitions: int) -> bool:
        """Whether its aim lies within two standard errors of so many repetitions."""
        if self.aim is None:
            return False
        error = np.sqrt(self.value * (1 - self.value) / repetitions)
        return bool(abs(self.value - self.aim.value) <= 2 * error)


COVERS = Aim(at_least=0.94)
WRONG = Aim(at_most=0.06)


def few(repetitions: int) -> int:
    """Repetitions of fairlearn's bootstrap, which is slow and far from any aim."""
    return max(repetitions // 20, 2)


def size_of(world: World) -> str:
    n, most = world.sizes[world.tested], max(world.sizes)
    return f"{n:,}" if len(set(world.sizes)) == 1 else f"{n:,} (others up to {most:,})"


def coverage(world: World, *, repetitions: int, rng: np.random.Generator) -> Iterator[Reading]:
    """How often intervals of gaps hold the true gap.

    Those of a group against the rest are cheap, so five times as many are looked at.
    """
    counts, truth = world.draw(rng, 5 * repetitions), GAP.truth(world)
    held = np.array([_held(row, world, truth) for row in counts])
    own = np.round(truth, 9) != 0
    one_bad = own.any()
    shown = {"each group against the rest": slice(None)}
    if one_bad:
        tested = world.tested
        shown = {
            "the bad group against the rest": tested,
            "the other groups against the rest": np.arange(len(truth)) != tested,
        }
    for what, groups in shown.items():
        yield Reading(world.name, size_of(world), what, float(held[:, groups].mean()), COVERS)
    yield _coverage_of_largest(world, counts[:repetitions], rng)


def _held(row: np.ndarray, world: World, truth: np.ndarray) -> list[bool]:
    ends = (_interval(estimate) for estimate in estimates(GAP, row, world.sizes))
    return [end.low <= true <= end.high for end, true in zip(ends, truth, strict=True)]


_interval = cache(interval)


def _coverage_of_largest(world: World, counts: np.ndarray, rng: np.random.Generator) -> Reading:
    true = max(world.rates) - min(world.rates)
    ends = [interval(largest_gap(_rates(row, world))) for row in counts]
    held = np.mean([end.low <= true <= end.high for end in ends])
    bootstrap = rules.fairlearn_intervals(
        counts[: few(len(counts))], world.sizes, statistic=rules.largest_difference, rng=rng
    )
    theirs = (bootstrap[:, 0] <= true) & (true <= bootstrap[:, 1])
    return Reading(
        world.name,
        size_of(world),
        "largest gap between two groups",
        float(held),
        COVERS,
        {FAIRLEARN: float(theirs.mean())},
    )


def _rates(row: np.ndarray, world: World) -> list[Rate]:
    return [_rate(int(x), n) for x, n in zip(row, world.sizes, strict=True)]


@cache
def _rate(x: int, n: int) -> Rate:
    return rate(np.arange(n) < x)


def judgements(
    world: World,
    comparison: Comparison,
    *,
    repetitions: int,
    rng: np.random.Generator,
    aims: dict[str, Aim],
) -> Iterator[Reading]:
    """How often verdicts are wrong, and how often they are right; `aims` by reading."""
    counts = world.draw(rng, repetitions)
    ours = verdicts(comparison, counts, world)
    beside = _beside(world, comparison, counts, rng)
    for what, value, says in _said(world, comparison, ours):
        shown = {name: float(getattr(rule, says).mean()) for name, rule in beside.items() if says}
        yield Reading(world.name, size_of(world), what, float(value), aims.get(what), shown)


WRONG_FAIL = "any wrong FAIL"
WRONG_PASS_AT_LIMIT = "wrong PASS of a group at the limit"
WRONG_PASS = "wrong PASS"
FAIL = "FAIL of the worse group"
WORSE = "FAIL or `leaning: worse` of the worse group"
PASS = "PASS of all groups"
WRONG_WORSE = "any wrong `leaning: worse`"


def _said(world: World, comparison: Comparison, ours: Verdicts) -> Iterator[tuple[str, float, str]]:
    """Each reading: its name, ours, and what the rules must say for theirs ("" for nothing)."""
    breaks, at_limit = comparison.breaks(world), comparison.is_at_limit(world)
    wrong = ours.failed[:, ~breaks].any(axis=1).mean()
    # The rules look at the two groups furthest apart: with several bad ones they ask another
    # question.
    alone = (np.round(np.array(world.rates), 9) != round(world.rates[world.tested], 9)).sum()
    comparable = alone in (0, len(world.rates) - 1)
    yield WRONG_FAIL, wrong, "failed" if comparable and not breaks.any() else ""
    if at_limit.any():
        says = "passed" if comparable else ""
        yield WRONG_PASS_AT_LIMIT, ours.passed[:, at_limit].mean(), says
    if breaks.any():
        yield WRONG_PASS, ours.limit_passed.mean(), "passed"
        yield FAIL, ours.failed[:, world.tested].mean(), "failed"
        yield WORSE, ours.worse[:, world.tested].mean(), ""
    elif not at_limit.any():
        yield PASS, ours.limit_passed.mean(), "passed"
        if len(set(world.rates)) == 1:
            yield WRONG_WORSE, ours.worse.any(axis=1).mean(), ""


def _beside(
    world: World, comparison: Comparison, counts: np.ndarray, rng: np.random.Generator
) -> dict[str, Said]:
    limit, sizes = comparison.policy_limit.value, world.sizes
    is_gap = comparison == GAP
    statistic = rules.largest_difference if is_gap else rules.smallest_ratio
    with_event = counts[counts.any(axis=1)][: few(len(counts))]
    ends = rules.fairlearn_intervals(with_event, sizes, statistic=statistic, rng=rng)
    bootstrap = (
        rules.difference_rule(ends, limit=-limit) if is_gap else rules.ratio_rule(ends, limit=limit)
    )
    return {
        FAIRLEARN: bootstrap,
        FOUR_FIFTHS: rules.four_fifths(counts, sizes),
        TEN_POINTS: rules.ten_points(counts, sizes),
    }
