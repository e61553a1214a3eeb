"""shift/power: which changes this audit would have noticed, with as many images as it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.contract import Check, ClassScores, Embedding, Evidence, Need, Scan, Words
from auditor.contract.numbers import percent
from auditor.findings import Cell, Column, Measure, Question, Result, Subject, Table
from auditor.scoring.outcomes import Outcomes
from auditor.shift.corruptions import CorruptedAnswers, Corruptions
from auditor.shift.image_properties import ImageProperties
from auditor.shift.sides import Sides, looks
from auditor.stats import Rate
from auditor.stats.noticed import noticed
from auditor.stats.resampling import whole_units
from auditor.stats.two_samples import pooled_components

SHARES = (0.1, 0.5, 1.0)
"""Of the images where it will run, so many are changed."""
ALPHA = 0.05
_OFTEN = 0.8
_TOLD = 5
_MOST_POOLED = 300

Floats = NDArray[np.float64]

_COMPONENTS = 8
_MOST_CLASSES = 3
_LEAST_GIVERS = 10

_SCORES = ClassScores(optional=True)
_EMBEDDING = Embedding(optional=True)
_CORRUPTED = CorruptedAnswers(optional=True)


@dataclass(frozen=True)
class Power(Check):
    """Which changes put into test images on purpose this audit would have noticed.

    What it measures
    ----------------
    Two samples are drawn anew from the test images, with replacement, as many units as the test
    and the deployment data have. A change is put into every tenth image of the second, into half
    of them, or into all, and both are compared much as `shift/properties`, `shift/predictions` and
    `shift/embeddings` compare the real ones. Changes of properties: darker, grainier, less sharp,
    of less contrast, another colour of light, smaller files. Changes of scores: the answers to test
    images under the mildest corruption of each kind that `shift/corruptions` draws. And images of
    one class in place of others, by the scores and by the eight largest components of the
    embedding. `noticed-in-tenth` is how often a change of every tenth image is noticed, on average
    of all changes; the table has each.

    Why it matters
    --------------
    That no difference was found says nothing where none could have been. With forty images from
    where the model will run, a camera that is darker in every tenth photo goes unseen.

    How it can mislead
    ------------------
    A change is put into one property, and in truth moves several: then it is noticed more often
    than is told here. Tests here look at one number at a time and allow for all by Bonferroni's
    rule; those of the checks lose a little less, and those of the embedding see it whole. Only
    these changes were tried. Rooms, people and seasons change in other ways, and images of a class
    that look otherwise may leave every property as it was.
    """

    id: ClassVar[str] = "shift/power"
    topic: ClassVar[str] = "what would have been noticed"
    question: ClassVar[Question | None] = Question.MATCHES
    shown: ClassVar = "told"
    needs: ClassVar[tuple[Need, ...]] = (
        Scan(split="test"),
        Scan(split="deployment"),
        _SCORES,
        _CORRUPTED,
        _EMBEDDING,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953 (changes put in on purpose)",
        "Smirnov (1948), doi:10.1214/aoms/1177730256",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "noticed-in-tenth": Words(
            title="How often a change of every tenth image would have been noticed",
            short="changes that would be noticed",
            sentence=(
                "With {n_test:units} of the test data and {n_there:units} from where it will run, "
                "a change put into every tenth image is noticed in {value} of trials, on average "
                "of {changes} kinds of change (without any, in about 5%).",
                "In every tenth image these would mostly have been missed: {missed}.",
                "Even in half of the images these would mostly have been missed: {missed_in_half}.",
                "In every tenth image these would have been noticed: {seen}.",
            ),
            action="collect more images from where it will run",
            answer="small changes would have gone unseen",
        ),
    }

    trials: Annotated[int, "Pairs of samples drawn for each change."] = 60

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        few = sides.too_few("noticed-in-tenth", sides.subject)
        if few is not None:
            yield few
            return
        sizes = (sides.here.units(), sides.there.units())
        level = ALPHA / looks(evidence)
        found = {
            (look, change): noticed(
                pool, changed, sizes=sizes, shares=SHARES, level=level, draws=self.trials, rng=rng
            )
            for look, change, pool, changed in _changes(evidence, sides, rng)
        }
        yield self._measure(found, sides, sizes)
        yield self._table(found)

    def _measure(
        self,
        found: Mapping[tuple[str, str], NDArray[np.int64]],
        sides: Sides,
        sizes: tuple[int, int],
    ) -> Measure:
        enough = _OFTEN * self.trials
        tenth = {change: int(times[0]) for (_, change), times in found.items()}
        half = {change: int(times[1]) for (_, change), times in found.items()}
        return Measure(
            name="noticed-in-tenth",
            subject=Subject(split="deployment"),
            estimate=Rate(sum(tenth.values()), len(tenth) * self.trials),
            scale="share",
            better="higher",
            n=len(sides.there.unit),
            n_units=sizes[1],
            facts={
                "n_test": sizes[0],
                "n_there": sizes[1],
                "changes": len(tenth),
                "missed": _some([c for c, times in tenth.items() if times < enough]),
                "missed_in_half": _some([c for c, times in half.items() if times < enough]),
                "seen": _some([c for c, times in tenth.items() if times >= enough]),
            },
        )

    def _table(self, found: Mapping[tuple[str, str], NDArray[np.int64]]) -> Table:
        lines: list[tuple[Cell, ...]] = [
            (look, change, *(times / self.trials).tolist())
            for (look, change), times in found.items()
        ]
        shares = (Column(f"in {percent(share)}% of images", "share") for share in SHARES)
        return Table(
            id=f"{self.id}:changes",
            title="How often each change would have been noticed",
            columns=(Column("looked at"), Column("change"), *shares),
            rows=tuple(lines),
        )


def _some(changes: list[str]) -> list[str]:
    """The first of some changes, and how many others there are: the table has all."""
    if len(changes) <= _TOLD + 1:
        return changes
    return [*changes[:_TOLD], f"{len(changes) - _TOLD} others"]


_PROPERTIES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "darker by 13 of 255 levels": {"mean": (1, -13), "p1": (1, -13), "p99": (1, -13)},
    "contrast lower by a tenth": {"std": (0.9, 0)},
    "grain of 2 of 255 levels more": {"noise": (1, 2)},
    "half as sharp": {"sharpness": (0.5, 0)},
    "a little redder light": {"red_ratio": (1, 0.02)},
    "files smaller by a quarter": {"bytes": (0.75, 0)},
}
"""Each change: of a property the factor and what is added."""


def _changes(
    evidence: Evidence, sides: Sides, rng: np.random.Generator
) -> Iterator[tuple[str, str, Floats, Floats]]:
    """What is looked at, the change, the numbers of the images and those of the changed ones."""
    one = np.flatnonzero(sides.here.one_a_unit)
    kept = whole_units(one, unit=None, most=_MOST_POOLED, rng=rng)
    scan = pd.DataFrame({n: v[kept] for n, v in ImageProperties.of(evidence, "test").items()})
    for change, moved in _PROPERTIES.items():
        pool, changed = _properties(scan, moved)
        if not np.array_equal(pool, changed, equal_nan=True):
            yield "properties", change, pool, changed
    if evidence.has(_SCORES) and evidence.has(_CORRUPTED):
        yield from _corrupted(evidence)
    labels = evidence.dataset("test").labels[kept]
    if evidence.has(_SCORES):
        yield from _mixed(
            "scores", _scores(evidence.answers("test").take(kept)), labels, evidence, rng
        )
    if evidence.has(_EMBEDDING):
        seen = pooled_components(evidence.embedding("test")[kept], most=_COMPONENTS)
        if seen is not None:
            yield from _mixed("embedding", seen, labels, evidence, rng)


def _mixed(
    look: str, numbers: Floats, labels: NDArray[np.int64], evidence: Evidence,
    rng: np.random.Generator,
) -> Iterator[tuple[str, str, Floats, Floats]]:  # fmt: skip
    """Images of one class in place of others, for the classes with the most images."""
    counts = np.bincount(labels[labels >= 0])
    for place in np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist():
        if _LEAST_GIVERS <= counts[place] < len(labels):
            given = rng.choice(np.flatnonzero(labels == place), size=len(labels))
            name = evidence.dataset("test").classes[place]
            yield look, f"more of class “{name}” ({look})", numbers, numbers[given]


def _properties(
    scan: pd.DataFrame, moved: Mapping[str, tuple[float, float]]
) -> tuple[Floats, Floats]:
    varying = [n for n in scan if scan[n].nunique() > 1]
    pool = scan[varying].to_numpy(dtype=np.float64)
    changed = pool.copy()
    for name, (factor, more) in moved.items():
        if name in varying:
            at = varying.index(name)
            changed[:, at] = np.maximum(changed[:, at] * factor + more, 0.0)
    return pool, changed


def _corrupted(evidence: Evidence) -> Iterator[tuple[str, str, Floats, Floats]]:
    """The mildest corruption of each kind, by the scores of the sample that was corrupted."""
    asked = Corruptions.asked(evidence.spec)
    shot = evidence.answers("test")
    for kind in asked.kinds:
        view = min((v for v in asked.views if v.kind == kind), key=lambda v: v.severity)
        seen = evidence.answers("test", view=view, sample=asked.sample)
        at = shot.image_ids.places_of(seen.image_ids)
        named = f"{kind.replace('-', ' ')} of severity {view.severity}"
        yield "scores", named, _scores(shot.take(at)), _scores(seen)


def _scores(found: Outcomes) -> Floats:
    """Scores of the classes answered most, confidence, entropy and margin, (n, d)."""
    p = np.asarray(found.probabilities, dtype=np.float64)
    top = np.sort(p, axis=1)[:, ::-1]
    entropy = -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1)
    return np.column_stack([p[:, :17], top[:, 0], entropy, top[:, 0] - top[:, 1]])
