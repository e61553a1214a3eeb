"""Worlds in which the images of a unit resemble each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import subgroup_rules as rules
from subgroup_readings import (
    FAIL,
    FAIRLEARN,
    WRONG_FAIL,
    WRONG_PASS_AT_LIMIT,
    Aim,
    Reading,
    few,
)
from subgroup_worlds import GAP, GROUPS, Comparison, World, judged

from auditor.stats import Estimate, interval, rate

COVERS = Aim(at_least=0.92)


@dataclass(frozen=True)
class Clustered:
    """Groups of units of `images` (units,) images each, correlated at `icc` within a unit."""

    images: tuple[int, ...]
    icc: float
    base: float = 0.9
    tested: float = 0.9
    groups: int = GROUPS

    @property
    def name(self) -> str:
        gap = round(100 * (self.base - self.tested))
        worse = f"one group {gap} points worse" if gap > 0 else f"one at {self.tested:.1%}"
        return f"ICC {self.icc:g}, " + (worse if self.tested != self.base else "fair")

    @property
    def size(self) -> str:
        least, most = min(self.images), max(self.images)
        each = f"{least}" if least == most else f"{least} to {most}"
        return f"{len(self.images)} units of {each}"

    @property
    def world(self) -> World:
        """The same groups as if images were independent."""
        rates = (self.tested,) + (self.base,) * (self.groups - 1)
        return World(self.name, rates, (sum(self.images),) * self.groups)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Outcomes of one sample, (groups, images) bool; units by a beta distribution."""
        p = np.full((self.groups, 1), self.base)
        p[0] = self.tested
        shape = (self.groups, len(self.images))
        if self.icc == 1:
            return np.repeat(rng.random(shape) < p, self.images, axis=1)
        strength = (1 - self.icc) / self.icc
        of_unit = rng.beta(p * strength, (1 - p) * strength, size=shape)
        return rng.random((self.groups, sum(self.images))) < np.repeat(of_unit, self.images, axis=1)


def coverage(
    clustered: Clustered, *, repetitions: int, rng: np.random.Generator, aim: Aim | None
) -> Iterator[Reading]:
    """How often intervals hold the truth of one group and of its gap, units respected."""
    samples = [clustered.draw(rng) for _ in range(repetitions)]
    own, gaps = _units(clustered, groups=1), _units(clustered, groups=GROUPS)
    true, gap = clustered.tested, clustered.tested - clustered.base
    of_rate = [interval(rate(s[0], unit=own)) for s in samples]
    held = np.mean([i.low <= true <= i.high for i in of_rate])
    theirs = {FAIRLEARN: _fairlearn_coverage(clustered, samples[: few(repetitions)], rng)}
    yield Reading(clustered.name, clustered.size, "a group's rate", float(held), aim, theirs)
    of_gap = [interval(_compared(GAP, s, 0, gaps)) for s in samples]
    held = np.mean([i.low <= gap <= i.high for i in of_gap])
    what = "a group against the rest"
    yield Reading(clustered.name, clustered.size, what, float(held), aim)


def judgements(
    clustered: Clustered,
    comparison: Comparison = GAP,
    *,
    repetitions: int,
    rng: np.random.Generator,
    aim: Aim | None = None,
) -> Iterator[Reading]:
    """Wrong verdicts, and for ratios how often a group three times as bad is found."""
    unit, world = _units(clustered, groups=clustered.groups), clustered.world
    families = []
    while len(families) < repetitions:
        sample = clustered.draw(rng)
        # Without one event there is no ratio, and nothing is judged.
        if comparison is GAP or sample.any():
            groups = range(clustered.groups)
            families.append([_compared(comparison, sample, group, unit) for group in groups])
    ours = judged(comparison, families, world)
    breaks, at_limit = comparison.breaks(world), comparison.is_at_limit(world)
    failed = ours.failed[:, ~breaks].any(axis=1).mean()
    yield Reading(world.name, clustered.size, WRONG_FAIL, float(failed), aim)
    if at_limit.any():
        passed = float(ours.passed[:, at_limit].mean())
        yield Reading(world.name, clustered.size, WRONG_PASS_AT_LIMIT, passed, aim)
    if breaks.any():
        yield Reading(world.name, clustered.size, FAIL, float(ours.failed[:, breaks].mean()))


def _units(clustered: Clustered, *, groups: int) -> np.ndarray:
    return np.repeat(np.arange(groups * len(clustered.images)), clustered.images * groups)


def _compared(comparison: Comparison, sample: np.ndarray, group: int, unit: np.ndarray) -> Estimate:
    member = np.zeros(sample.shape, dtype=bool)
    member[group] = True
    return comparison.build(sample.ravel(), member=member.ravel(), unit=unit)


def _fairlearn_coverage(
    clustered: Clustered, samples: list[np.ndarray], rng: np.random.Generator
) -> float:
    """Of `MetricFrame.by_group_ci` of the first group: rows are resampled, not units."""
    sizes = clustered.world.sizes
    counts = np.array([s.sum(axis=1) for s in samples])
    ends = rules.fairlearn_intervals(
        counts, sizes, statistic=lambda drawn: rules.rates(drawn)[:, 0], rng=rng
    )
    return float(((ends[:, 0] <= clustered.tested) & (clustered.tested <= ends[:, 1])).mean())
