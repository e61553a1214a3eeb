"""How far accuracy that is estimated without labels is off, over shifts of families left out.

Part of ``benchmarks/shift.py``. A net trained on 600 of scikit-learn's digits, 600 others with
labels, of which 200 are changed as `shift/corruptions` does, and 400 of the rest as where it runs:
under all kinds of corruption at five severities, and changed in ways of which none was drawn. What
the estimate learns from never holds a kind of the family of the change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.ndimage import affine_transform

from auditor.data.corruptions import KINDS
from auditor.data.views import Corrupted, ViewContext
from auditor.shift.simulated import (
    MIX,
    Answered,
    Simulated,
    corrupted_sets,
    family_of,
    mixed_sets,
    shifted_of,
)
from auditor.shift.unlabelled import WIDEST
from auditor.stats.estimated_accuracy import ByChange, Estimator, Known, Shifted

SAMPLE, THERE, DRAWS = 200, 400, 1000
Scorer = Callable[[np.ndarray], np.ndarray]


def other_changes(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Five changes, of a kind that is never drawn, at five strengths: name, images, places."""
    everyone = np.arange(len(images))
    for s in (0.2, 0.4, 0.6, 0.8, 1.0):
        angles = 1.2 * s * rng.uniform(-1, 1, len(images))
        turned = [_turned(image, angle) for image, angle in zip(images, angles, strict=True)]
        yield "turned", np.array(turned), everyone
        yield "moved", _rolled(images, rng, s), everyone
        yield "covered in part", _covered(images, rng, round(0.7 * s * SIDE)), everyone
        some = (rng.random(len(images)) < 0.6)[:, None, None]
        yield "some inverted", images + s * some * (1 - 2 * images), everyone
        yield MIX, images, _mixed(labels, rng, 1 / s**2)


SIDE = 32


def _turned(image: np.ndarray, angle: float) -> np.ndarray:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.full(2, (SIDE - 1) / 2)
    return affine_transform(image, turn, offset=middle - turn @ middle, order=1)


def _rolled(images: np.ndarray, rng: np.random.Generator, s: float) -> np.ndarray:
    most = round(10 * s)
    by = rng.integers(-most, most + 1, size=(len(images), 2))
    return np.array([np.roll(i, tuple(b), (0, 1)) for i, b in zip(images, by, strict=True)])


def _covered(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    found = images.copy()
    for image in found:
        y, x = rng.integers(0, SIDE - size + 1, size=2)
        image[y : y + size, x : x + size] = 0.5
    return found


def _mixed(labels: np.ndarray, rng: np.random.Generator, even: float) -> np.ndarray:
    weight = (rng.dirichlet(np.full(10, even)) / np.bincount(labels))[labels]
    return rng.choice(len(labels), size=len(labels), p=weight / weight.sum())


@dataclass(frozen=True)
class Trial:
    """One shift: estimated, its interval at 90%, true, without a change, and by sampling alone."""

    kind: str
    estimate: float
    low: float
    high: float
    truth: float
    before: float
    by_sampling: bool

    @property
    def off(self) -> float:
        return abs(self.estimate - self.truth)

    @property
    def held(self) -> bool:
        return self.low <= self.truth <= self.high


@dataclass(frozen=True, eq=False)
class World:
    """One net, its labelled answers, and the sets that an estimate learns from."""

    score: Scorer
    known: Answered
    sets: tuple[Simulated, ...]
    rng: np.random.Generator

    @classmethod
    def of(
        cls, score: Scorer, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> World:  # fmt: skip
        known = answered(score(images), labels)
        sample = np.arange(SAMPLE)
        sets = list(mixed_sets(known, size=SAMPLE, rng=rng))
        for view in (Corrupted(kind, severity) for kind in KINDS for severity in (1, 3, 5)):
            seen = answered(score(corrupted(images[sample], view)), labels[sample])
            sets += corrupted_sets(view, seen, known, rng=rng)
        return cls(score, known, tuple(sets), rng)

    @cached_property
    def estimator(self) -> Estimator:
        return self.known.estimator()

    @cached_property
    def shifted(self) -> Shifted:
        return shifted_of(self.sets, self.estimator)

    @cached_property
    def start(self) -> Known:
        values = self.estimator.values(self.known.seen)
        return Known(values, self.known.right, np.arange(len(self.known)))

    def trial(self, kind: str, left_out: str, images: np.ndarray, labels: np.ndarray) -> Trial:
        there = answered(self.score(images), labels)
        keep = np.array([one.family != left_out for one in self.sets])
        all_sets, known = self.shifted, self.start
        codes = np.unique(all_sets.family[keep], return_inverse=True)[1]
        line = ByChange(known, Shifted(all_sets.means[keep], all_sets.right[keep], codes))
        values, unit = self.estimator.values(there.seen), np.arange(len(there))
        drawn, _ = line.draws(values, unit, rng=self.rng, draws=DRAWS)
        low, high = np.quantile(drawn, [0.05, 0.95])
        truth = float(there.right.mean())
        by_threshold = float(values[:, 1].mean())
        error = 1.645 * math.sqrt(max(by_threshold * (1 - by_threshold), 1e-4) / len(there))
        return Trial(
            kind, line.estimate(values.mean(axis=0)), float(low), float(high), truth,
            float(known.right.mean()), abs(by_threshold - truth) <= error,
        )  # fmt: skip


def answered(scores: np.ndarray, labels: np.ndarray) -> Answered:
    ids = np.arange(len(labels)).astype(str).astype(object)
    everyone = np.ones(len(labels), dtype=bool)
    return Answered(scores, scores.argmax(axis=1) == labels, everyone, ids, labels)


def corrupted(images: np.ndarray, view: Corrupted) -> np.ndarray:
    frames = np.clip(np.round(images * 255), 0, 255).astype(np.uint8)
    seen = [
        view(np.repeat(frame[..., None], 3, axis=2), ViewContext(str(i), 0, -1, None))
        for i, frame in enumerate(frames)
    ]
    return np.array([frame[..., 0] for frame in seen]) / 255


def trials_of(
    world: World, images: np.ndarray, labels: np.ndarray
) -> tuple[list[Trial], list[Trial]]:
    """Under the corruptions, and changed in other ways."""
    rng = world.rng
    own, others = [], []
    for kind in KINDS:
        for severity in (1, 2, 3, 4, 5):
            at = rng.choice(len(images), THERE, replace=False)
            seen = corrupted(images[at], Corrupted(kind, severity))
            own.append(world.trial(kind, family_of(kind), seen, labels[at]))
    for kind, seen, places in other_changes(images, labels, rng):
        at = rng.choice(places, THERE, replace=False)
        others.append(world.trial(kind, kind, seen[at], labels[at]))
    return own, others


def table(found: Sequence[tuple[str, Sequence[Trial]]]) -> Iterator[str]:
    """Lines of a table: how far off, how often within, how wide, for each row of trials."""
    head = ("where it runs", "shifts", "mean accuracy", "off on average", "off if nothing changed",
            "90% interval holds", "mean width", "sampling error alone holds")  # fmt: skip
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for name, trials in found:
        told = [one for one in trials if one.high - one.low <= WIDEST]
        if told:
            cells = (
                f"{len(told)} of {len(trials)}",
                f"{np.mean([t.truth for t in told]):.2f}",
                f"{100 * np.mean([t.off for t in told]):.1f} points",
                f"{100 * np.mean([abs(t.before - t.truth) for t in told]):.1f} points",
                f"{np.mean([t.held for t in told]):.2f}",
                f"{np.mean([t.high - t.low for t in told]):.2f}",
                f"{np.mean([t.by_sampling for t in told]):.2f}",
            )
            yield f"| {name} | " + " | ".join(cells) + " |"


class Split(Protocol):
    """Digits in three parts: the net's, the reference, and the rest."""

    net: Any
    reference: np.ndarray
    rest: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def report(splits: Iterable[Split]) -> None:
    """Print the table over the shifts of some splits of the digits."""
    own, others = [], []
    for seed, split in enumerate(splits):
        images, labels = split.images, split.labels
        world = World.of(
            split.net.scores, images[split.reference], labels[split.reference],
            np.random.default_rng(seed),
        )  # fmt: skip
        found = trials_of(world, images[split.rest], labels[split.rest])
        own += found[0]
        others += found[1]
    kinds = dict.fromkeys(trial.kind for trial in others)
    rows = [("corruptions, their family left out", own)]
    rows += [(f"other changes: {kind}", [t for t in others if t.kind == kind]) for kind in kinds]
    print("\n".join(table(rows)))
