"""model/consistency: whether the same image gets the same answer twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd

from auditor.contract import Check, ClassScores, Evidence, LiveModel, Need, Words
from auditor.errors import ModelError
from auditor.findings import Measure, Result, Subject, Unmeasured
from auditor.models.load import load_model
from auditor.models.predictor import Predictor
from auditor.scoring.comparison import too_few, worst_first
from auditor.stats import Exact, rate

_BATCH = 8
_TOGETHER_PIXELS = 64 * 224 * 224
_PLACES = (1, 3)
"""By how many places the images move, beside the shuffle."""
_SCORES = ClassScores()
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
    needs: ClassVar[tuple[Need, ...]] = (LiveModel(), _SCORES)
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
        yield from _compared("batch", base, [*sizes, copies[::2], copies[1::2]], ids)
        places = np.arange(len(frames))
        orders = [evidence.rng.permutation(places), *(np.roll(places, by) for by in _PLACES)]
        moved = [_in_order(model, frames, order) for order in orders]
        yield from _compared("order", base, moved, ids)
        again = [_in_batches(model, frames, size=_BATCH) for _ in range(2)]
        yield from _compared("repeat", base, again, ids)
        measured = evidence.answers("test")
        at = pd.Index(measured.image_ids).get_indexer(ids)
        yield from _compared("end", np.asarray(measured.probabilities)[at], [base, again[-1]], ids)
        yield from _reference(evidence, base, frames, ids)


def _in_batches(model: Predictor, frames: np.ndarray, *, size: int) -> np.ndarray:
    parts = [model.predict(frames[at : at + size]) for at in range(0, len(frames), size)]
    return np.concatenate([part.probabilities for part in parts])


def _together(frames: np.ndarray) -> int:
    """Images in the largest batch: all, or as many large ones as memory surely holds."""
    n, height, width = frames.shape[:3]
    return int(min(n, max(2 * _BATCH, _TOGETHER_PIXELS // (height * width))))


def _in_order(model: Predictor, frames: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The answers in the images' own order, given in another."""
    found = _in_batches(model, frames[order], size=_BATCH)
    return found[np.argsort(order)]


def _subject() -> Subject:
    return Subject(split="test")


def _compared(
    way: str, base: np.ndarray, others: Sequence[np.ndarray], ids: np.ndarray
) -> Iterator[Measure]:
    """Answers that change in any of `others`, and the largest change of a probability."""
    answers = base.argmax(axis=1)
    changed = np.any([other.argmax(axis=1) != answers for other in others], axis=0)
    moved = np.max([np.abs(other - base).max(axis=1) for other in others], axis=0)
    n, largest = len(ids), float(moved.max())
    yield Measure(
        name=f"{way}-disagreement",
        subject=_subject(),
        estimate=rate(changed),
        scale="share",
        better="lower",
        n=n,
        examples=worst_first(ids, badness=moved, among=changed),
        facts={"largest_probability_difference": largest},
    )
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
    evidence: Evidence, base: np.ndarray, frames: np.ndarray, ids: np.ndarray
) -> Iterator[Result]:
    named = evidence.spec.model.reference
    if named is None:
        return
    try:
        reference = load_model(
            evidence.spec,
            classes=evidence.model.classes,
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
    yield from _compared("reference", base, [answered], ids)
