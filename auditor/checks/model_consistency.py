"""model/consistency: whether the same image gets the same answer twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, ClassScores, Evidence, LiveModel, Need, Predictions, Words
from auditor.data.class_maps import LEAST_SHARE
from auditor.errors import ModelError
from auditor.findings import Measure, Measured, Result, Subject, Unmeasured
from auditor.models.answers import Answer, ClassMap
from auditor.models.load import load_model, model_classes
from auditor.models.predictor import Prediction, Predictor
from auditor.models.sameness import class_counts, difference
from auditor.scoring.comparison import too_few, worst_first
from auditor.scoring.presence import Several
from auditor.stats import Exact, rate

_BATCH = 8
_TOGETHER_PIXELS = 64 * 224 * 224
_PLACES = (1, 3)
"""By how many places the images move, beside the shuffle."""
_SCORES = ClassScores(optional=True)
_WAYS = {
    "batch": "beside other images or alone",
    "order": "in another order",
    "repeat": "a second time",
    "end": "at the end of the audit",
    "reference": "by the reference file",
}


@dataclass(frozen=True)
class Consistency(Check):
    """Whether answers depend on batch, order, chance, earlier calls, or the file format.

    What it measures
    ----------------
    The same images are put through the model in batches of eight; one by one, by threes, all at
    once, and each beside a copy of itself (`batch`); shuffled, and moved to other places in the
    batch (`order`); twice again (`repeat`); and, where the spec names `model.reference`, through
    that file. This runs last of all checks, and the answers are compared with those that the
    audit measured at its start, or in an earlier run (`end`). For each way the share of images
    whose answer changes, and the largest change of a probability.

    Why it matters
    --------------
    A model whose answer depends on the images beside it, or on luck, cannot be tested: the
    number in the report is one of many that it could have given. An export that answers
    otherwise than its original is another model than the one that was tried.

    How it can mislead
    ------------------
    A sample of images can miss rare changes. A model that counts its calls and changes after more
    of them than an audit makes, or that tells an audit from its use by the clock, by the images
    themselves or by sizes of batches that are not tried here, is not found out; nor is one that
    draws numbers and rarely changes its answer for them (`model/architecture` names operators
    that draw). Changes of the last digits are usual between
    batch sizes and harmless, unless a decision lies on the edge. Same answers on this machine
    say nothing about another processor.
    """

    id: ClassVar[str] = "model/consistency"
    topic: ClassVar[str] = "whether it gives the same answer twice"
    needs: ClassVar[tuple[Need, ...]] = (LiveModel(), Predictions(), _SCORES)
    at_end: ClassVar[bool] = True
    words: ClassVar = {
        **{
            f"{way}-disagreement": Words(
                title=f"Images answered otherwise {said}",
                short=f"answers that change {said}",
                sentence=f"Images answered otherwise {said}: {{value}} of {{n}}; probabilities "
                "move by at most {largest_probability_difference:.2g}.",
                action="remove what makes its answers depend on chance or company",
            )
            for way, said in _WAYS.items()
        },
        "largest-probability-difference": Words(
            title="Largest change of a probability: {way}",
            scale="amount",
            short="change of a probability ({way})",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404 (bounds of a share)",
    )

    sample: Annotated[int, "How many images are put through the model in every way."] = 64

    def run(self, evidence: Evidence) -> Iterator[Result]:
        frames = evidence.frames("test", sample=self.sample)
        ids = np.asarray(evidence.frame_ids("test", sample=self.sample), dtype=object)
        few = too_few("batch-disagreement", _subject(), sides={"the sample": len(ids)})
        if few is not None:
            yield few
            return
        model = evidence.predictor()
        base = _in_batches(model, frames, size=_BATCH)
        sizes = [_in_batches(model, frames, size=size) for size in (1, 3, _together(frames))]
        copies = _in_batches(model, np.repeat(frames, 2, axis=0), size=2)
        twins = [copies.take(np.arange(first, len(copies.probabilities), 2)) for first in (0, 1)]
        point = evidence.spec.model.point.confidence
        yield from _compared("batch", base, [*sizes, *twins], ids, point)
        places = np.arange(len(frames))
        orders = [evidence.rng.permutation(places), *(np.roll(places, by) for by in _PLACES)]
        moved = [_in_order(model, frames, order) for order in orders]
        yield from _compared("order", base, moved, ids, point)
        again = [_in_batches(model, frames, size=_BATCH) for _ in range(2)]
        yield from _compared("repeat", base, again, ids, point)
        if evidence.has(_SCORES):
            measured = evidence.answers("test")
            at = measured.image_ids.places_of(ids)
            start = Prediction(np.asarray(measured.probabilities)[at])
            yield from _compared("end", start, [base, again[-1]], ids, point)
        else:
            yield _at_the_end(evidence, base, ids)
        yield from _reference(evidence, base, frames, ids)


def _in_batches(model: Predictor, frames: np.ndarray, *, size: int) -> Prediction:
    parts = [model.predict(frames[at : at + size]) for at in range(0, len(frames), size)]
    return Prediction.joined(parts)


def _together(frames: np.ndarray) -> int:
    """Images in the largest batch: all, or as many large ones as memory surely holds."""
    n, height, width = frames.shape[:3]
    return int(min(n, max(2 * _BATCH, _TOGETHER_PIXELS // (height * width))))


def _in_order(model: Predictor, frames: np.ndarray, order: np.ndarray) -> Prediction:
    """The answers in the images' own order, given in another."""
    return _in_batches(model, frames[order], size=_BATCH).take(np.argsort(order))


def _at_the_end(evidence: Evidence, base: Prediction, ids: np.ndarray) -> Measured:
    """Whether what was measured at the start is still said: which classes, and how many boxes.

    Answers are stored in the pixels of the images, so that places cannot be compared here.
    """
    rows = evidence.scored("test", of="image")
    assert isinstance(rows.presence, Several)
    said = rows.presence.answers[rows.image_ids.places_of(ids)]
    if evidence.spec.model.gives_boxes:
        point = evidence.spec.model.point.confidence
        now = class_counts(base, n_classes=len(rows.classes), confidence=point)
        changed = (said != now).any(axis=1)
    else:
        now = np.array([_shares_of(answer, len(rows.classes)) for answer in base.answers])
        # A class of few pixels comes and goes with the grid that they are counted on.
        gone, come = (said > 0) & (now < LEAST_SHARE / 2), (said == 0) & (now > 10 * LEAST_SHARE)
        changed = (gone | come).any(axis=1)
    # What is counted are answers, and no probability is known to have moved.
    return replace(_disagreement("end", changed, changed.astype(np.float64), ids), facts={})


def _shares_of(answer: Answer, n_classes: int) -> np.ndarray:
    """The share of a class map's pixels that each class has, (classes,)."""
    assert isinstance(answer, ClassMap)
    counts = np.bincount(answer.classes[answer.classes >= 0], minlength=n_classes)
    return np.asarray(counts / answer.classes.size)


def _subject() -> Subject:
    return Subject(split="test")


def _disagreement(way: str, changed: np.ndarray, moved: np.ndarray, ids: np.ndarray) -> Measure:
    return Measure(
        name=f"{way}-disagreement",
        subject=_subject(),
        estimate=rate(changed),
        scale="share",
        better="lower",
        n=len(ids),
        examples=worst_first(ids, badness=moved, among=changed),
        facts={"largest_probability_difference": float(moved.max())},
    )


def _compared(
    way: str, base: Prediction, others: Sequence[Prediction], ids: np.ndarray, point: float
) -> Iterator[Measure]:
    """Answers that change in any of `others`, and the largest change of a probability.

    Boxes count from the confidence `point` on.
    """
    found = [difference(base, other, confidence=point) for other in others]
    changed = np.any([each.changed for each in found], axis=0)
    moved = np.max([each.moved for each in found], axis=0)
    n, largest = len(ids), float(moved.max())
    yield _disagreement(way, changed, moved, ids)
    yield Measure(
        name="largest-probability-difference",
        subject=Subject.of(split="test", way=way),
        estimate=Exact(largest),
        scale="amount",
        least=0.0,
        better="lower",
        n=n,
        examples=worst_first(ids, badness=moved, among=moved > 0),
    )


def _reference(
    evidence: Evidence, base: Prediction, frames: np.ndarray, ids: np.ndarray
) -> Iterator[Result]:
    named = evidence.spec.model.reference
    if named is None:
        return
    try:
        reference = load_model(
            evidence.spec,
            classes=model_classes(evidence.spec),
            trust_code=evidence.model.trusted_code,
            path=evidence.spec.resolve(named),
        )
        answered = _in_batches(reference, frames, size=_BATCH)
    except ModelError as error:
        yield Unmeasured(
            name="reference-disagreement",
            subject=_subject(),
            reason=f"The reference file could not be asked: {error}",
            remedy="Correct `model.reference`, or leave it out.",
        )
        return
    yield from _compared("reference", base, [answered], ids, evidence.spec.model.point.confidence)
