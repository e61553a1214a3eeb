"""What a bootstrap by group costs: counts of equal rows first, then draws of counts."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import subgroup_rules as rules
from subgroup_readings import FAIRLEARN, Aim, Reading

from auditor.stats import Draws, draws_of, multinomial_bootstrap

GROUPS = 24
DRAWS = 2000


@dataclass(frozen=True)
class Rows:
    """Rows of a table of answers: the code of the group and whether the answer is right, (n,)."""

    group: np.ndarray
    right: np.ndarray

    @classmethod
    def generated(cls, n: int, rng: np.random.Generator) -> Rows:
        group = rng.integers(0, GROUPS, n, dtype=np.int8)
        return cls(group, rng.random(n, dtype=np.float32) < 0.9)


@dataclass(frozen=True)
class Resampled:
    """The largest difference between two groups, and each group's rate."""

    largest: Draws
    by_group: tuple[Draws, ...]


def bootstrap(rows: Rows, *, rng: np.random.Generator, draws: int = DRAWS) -> Resampled:
    """Every row resampled, as fairlearn does it, at the cost of counting the rows once."""
    cells = np.bincount(rows.group * np.int8(2) + rows.right, minlength=2 * GROUPS)
    kept: list[np.ndarray] = []

    def largest(drawn: np.ndarray) -> np.ndarray:
        kept.append(rules.rates(drawn))
        return kept[-1].max(axis=1) - kept[-1].min(axis=1)

    found = multinomial_bootstrap(cells, statistic=largest, rng=rng, draws=draws)
    # The statistic is taken of the counts themselves too: a row of its own.
    point = next(k for k in reversed(kept) if len(k) == 1)[0]
    samples = np.concatenate([k for k in kept if len(k) > 1])
    by_group = (draws_of(p, samples=column) for p, column in zip(point, samples.T, strict=True))
    return Resampled(found, tuple(by_group))


def speed(*, many: int, few: int, theirs: int, rng: np.random.Generator) -> Iterator[Reading]:
    """CPU and memory for `many` rows; for `few`, the ratio to fairlearn, from `theirs` draws."""
    rows = Rows.generated(many, rng)
    seconds = _cpu(lambda: bootstrap(rows, rng=rng))
    # The peak of the whole process, rows and interpreter included.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    size, name = f"{many:,} rows", f"{DRAWS:,} draws, {GROUPS} groups"
    yield Reading(name, size, "CPU beyond reading", seconds, Aim(at_most=2), unit="s")
    yield Reading(name, size, "peak memory", peak, Aim(at_most=1), unit="GB")
    rows = Rows.generated(few, rng)
    ours = min(_cpu(lambda: bootstrap(rows, rng=rng)) for _ in range(5))
    fairlearn = _fairlearn_cpu(rows, draws=theirs)
    size = f"{few:,} rows"
    yield Reading(name, size, "CPU", ours, beside={FAIRLEARN: fairlearn}, unit="s")
    ratio = fairlearn / ours
    yield Reading(name, size, "times less CPU", ratio, Aim(at_least=5000), unit="x")


def _fairlearn_cpu(rows: Rows, *, draws: int) -> float:
    """CPU of `DRAWS` draws, from the difference that `draws` more make."""
    from fairlearn.metrics import MetricFrame
    from sklearn.metrics import accuracy_score

    def frame(n: int) -> MetricFrame:
        return MetricFrame(
            metrics=accuracy_score,
            y_true=np.ones(len(rows.right), dtype=np.int64),
            y_pred=rows.right.astype(np.int64),
            sensitive_features=rows.group,
            n_boot=n,
            ci_quantiles=[0.025, 0.975],
            random_state=1,
        )

    frame(1)
    once = _cpu(lambda: frame(1))
    return (_cpu(lambda: frame(1 + draws)) - once) / draws * DRAWS


def _cpu(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
