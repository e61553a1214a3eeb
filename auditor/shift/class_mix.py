"""How common each class is in deployment images, told by a model's scores and answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.interval_row import interval_row
from auditor.findings import Axis, Cell, Column, Figure, Measure, Subject, Table, Unmeasured
from auditor.scoring.outcomes import Outcomes
from auditor.shift.sides import Sides
from auditor.stats import Draws, draws_of, interval, value
from auditor.stats.label_shift import (
    calibration,
    distinguished,
    from_answers,
    from_scores,
    score_influence,
)

_DRAWS = 1000
_LEAST_TOLD = 0.1
"""Answers that tell two mixes of classes apart less than this say nothing of the mix."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassMix:
    """Labelled test images and deployment images, and what they say of the mix of classes."""

    test: Outcomes
    there: Outcomes
    sides: Sides
    rng: np.random.Generator

    @property
    def classes(self) -> tuple[str, ...]:
        return self.test.classes

    @cached_property
    def scores_here(self) -> Floats:
        return np.asarray(self.test.probabilities, dtype=np.float64)

    @cached_property
    def scores_there(self) -> Floats:
        return np.asarray(self.there.probabilities, dtype=np.float64)

    @cached_property
    def weights(self) -> tuple[Floats, Floats]:
        """How often each image is drawn, (draws, n) of both sides: whole units are."""
        here, there = (
            self.rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS)[:, side.unit].astype(np.float64)
            for side in (self.sides.here, self.sides.there)
            for n in [side.units()]
        )
        return here, there

    @cached_property
    def _pairs(self) -> Floats:
        """One-hot answer and label of each test image, (n, k * k)."""
        k = len(self.classes)
        found: Floats = np.eye(k * k)[self.test.predicted * k + self.test.labels]
        return found

    @property
    def confusion(self) -> Floats:
        """Test images by answer and label, (k, k)."""
        k = len(self.classes)
        found: Floats = self._pairs.sum(axis=0).reshape(k, k)
        return found

    def confused(self) -> Unmeasured | None:
        """Why answers do not tell how common classes are."""
        if distinguished(self.confusion) >= _LEAST_TOLD:
            return None
        return Unmeasured(
            name="estimated-share",
            subject=self.sides.subject,
            reason="On test images the answers hardly depend on the class, or not on each of the "
            "classes: how often they are given says little of how common these are.",
            remedy="Label a random sample of the deployment images and count.",
        )

    @cached_property
    def by_answers(self) -> tuple[Draws, ...]:
        """Each class's share from answers alone."""
        k = len(self.classes)
        here, there = self.weights
        answered = np.eye(k)[self.there.predicted]
        confusion = (here @ self._pairs).reshape(-1, k, k)
        # A class may be missing from a draw; its rates are then those of all test images.
        missing = confusion.sum(axis=1, keepdims=True) == 0
        confusion = np.where(missing, self.confusion, confusion)
        point = from_answers(self.confusion[None], answered.sum(axis=0)[None])[0]
        return _draws(point, from_answers(confusion, there @ answered))

    @cached_property
    def by_scores(self) -> tuple[Draws, ...]:
        """Each class's share as it makes the scores likeliest."""
        known = calibration(self.scores_here, self.test.labels)
        scores = known.of(self.scores_there)
        prior = known.of(self.scores_here).mean(axis=0)
        here, there = self.weights
        point = from_scores(scores, prior, weight=np.ones((len(scores), 1)))[0]
        moved = score_influence(
            known, known=self.scores_here, scores=self.scores_there, shares=point
        )
        drawn = from_scores(scores, prior, weight=there.T)
        shifted = drawn + (here - 1) @ moved / len(self.test)
        return _draws(point, np.clip(shifted, 0.0, 1.0))

    def share(self, place: int, *, doubtful: bool = False) -> Measure:
        """What a class's share is estimated to be; `doubtful` where images of it differ, too."""
        other = self.by_answers[place]
        ends = interval(other)
        facts: dict[str, Any] = {
            "test_share": float((self.test.labels == place).mean()),
            "by_answers": value(other),
            "by_answers_low": ends.low,
            "by_answers_high": ends.high,
            "answered": float((self.there.predicted == place).mean()),
            "doubtful": doubtful,
        }
        if self.there.labelled.any():
            labels = self.there.labels[self.there.labelled]
            facts["labelled_share"] = float((labels == place).mean())
        return Measure(
            name="estimated-share",
            subject=Subject.about({"class": self.classes[place]}, split="deployment"),
            estimate=self.by_scores[place],
            scale="share",
            better="none",
            n=len(self.there),
            n_units=self.sides.there.units(),
            facts=facts,
        )

    def as_common(self, rng: np.random.Generator) -> Codes:
        """Positions of test images drawn so that classes are as common as there, (m,)."""
        shares = np.array([value(share) for share in self.by_scores])
        counts = np.bincount(self.test.labels, minlength=len(shares))
        most = float(np.min(np.where(shares > 0, counts / np.maximum(shares, 1e-9), np.inf)))
        taken = [
            rng.permutation(np.flatnonzero(self.test.labels == place))[: round(most * share)]
            for place, share in enumerate(shares)
        ]
        return np.sort(np.concatenate(taken))

    def table(self) -> Table:
        rows: list[tuple[Cell, ...]] = []
        for place, name in enumerate(self.classes):
            measure = self.share(place)
            ends = measure.interval
            told = (value(measure.estimate), ends.low, ends.high)
            rows.append((name, *told, *(measure.facts.get(key) for key in _FACTS)))
        named = ("class", "by scores", "low", "high", *_FACTS.values())
        return Table(
            id="shift/labels:shares",
            title="How common each class is where it will run, estimated without labels",
            columns=tuple(Column(name) for name in named),
            rows=tuple(rows),
        )

    def forest(self) -> Figure:
        entries: list[dict[str, Cell]] = []
        sides = {"from scores": self.by_scores, "from answers": self.by_answers}
        for series, shares in sides.items():
            for name, share in zip(self.classes, shares, strict=True):
                entries.append(interval_row(name, share, n=len(self.there), series=series))
        test = {name: (self.test.labels == i).mean() for i, name in enumerate(self.classes)}
        told = ", ".join(f"{name} {100 * share:.0f}%" for name, share in test.items())
        return Figure(
            id="shift/labels:shares-there",
            kind="forest",
            title="Share of each class where it will run, estimated without labels",
            caption=f"By two estimates, with 95% intervals. In the labelled test data: {told}.",
            alt=f"Estimated shares of {len(self.classes)} classes with their intervals.",
            x=Axis("share", "share"),
            y=Axis("class"),
            rows=tuple(entries),
        )


_FACTS = {"by_answers": "by answers", "by_answers_low": "by answers, low",
          "by_answers_high": "by answers, high", "answered": "answered so",
          "test_share": "test", "labelled_share": "labelled deployment"}  # fmt: skip


def _draws(point: Floats, drawn: Floats) -> tuple[Draws, ...]:
    return tuple(draws_of(float(p), samples=d) for p, d in zip(point, drawn.T, strict=True))
