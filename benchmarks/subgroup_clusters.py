"""Worlds in which the images of a unit resemble each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import subgroup_rules as rules
from subgroup_readings import (
    FAIRLEARN,
    WRONG_FAIL,
    WRONG_PASS_AT_LIMIT,
    Aim,
    Reading,
    few,
)
from subgroup_worlds import GAP, GROUPS, World, alike, judged

from auditor.stats import Estimate, interval, rate, rate_difference

COVERS = Aim(at_least=0.92)


@dataclass(frozen=True)
class Clustered:
    """Ten groups of units of `images` (units,) images each, correlated at `icc` within a unit."""

    images: tuple[int, ...]
    icc: float
    base: float = 0.9
    tested: float = 0.9

    @property
    def name(self) -> str:
        gap = round(100 * (self.base - self.tested))
        return f"ICC {self.icc:g}, " + (f"one group {gap} points worse" if gap else "fair")

    @property
    def size(self) -> str:
        least, most = min(self.images), max(self.images)
        each = f"{least}" if least == most else f"{least} to {most}"
        return f"{len(self.images)} units of {each}"

    @property
    def world(self) -> World:
        """The same groups as if images were independent."""
        return alike(self.name, sum(self.images), self.base, tested=self.tested)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Outcomes of one sample, (groups, images) bool; units by a beta distribution."""
        p = np.full((GROUPS, 1), self.base)
        p[0] = self.tested
        strength = (1 - self.icc) / self.icc
        of_unit = rng.beta(p * strength, (1 - p) * strength, size=(GROUPS, len(self.images)))
        return rng.random((GROUPS, sum(self.images))) < np.repeat(of_unit, self.images, axis=1)


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
    of_gap = [interval(_gap(s, 0, gaps)) for s in samples]
    held = np.mean([i.low <= gap <= i.high for i in of_gap])
    what = "a group against the rest"
    yield Reading(clustered.name, clustered.size, what, float(held), aim)


def judgements(
    clustered: Clustered, *, repetitions: int, rng: np.random.Generator
) -> Iterator[Reading]:
    """Wrong verdicts where one group lies at the limit."""
    unit, world = _units(clustered, groups=GROUPS), clustered.world
    families = []
    for _ in range(repetitions):
        sample = clustered.draw(rng)
        families.append([_gap(sample, group, unit) for group in range(GROUPS)])
    ours = judged(GAP, families, world)
    failed = ours.failed[:, ~GAP.breaks(world)].any(axis=1).mean()
    passed = ours.passed[:, GAP.is_at_limit(world)].mean()
    yield Reading(world.name, clustered.size, WRONG_FAIL, float(failed))
    yield Reading(world.name, clustered.size, WRONG_PASS_AT_LIMIT, float(passed))


def _units(clustered: Clustered, *, groups: int) -> np.ndarray:
    return np.repeat(np.arange(groups * len(clustered.images)), clustered.images * groups)


def _gap(sample: np.ndarray, group: int, unit: np.ndarray) -> Estimate:
    member = np.zeros(sample.shape, dtype=bool)
    member[group] = True
    return rate_difference(sample.ravel(), member=member.ravel(), unit=unit)


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
