"""performance/baseline: what the model is worth beyond one answer that is the same for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Check, Evidence, LabelledSplits, Need, Predictions, Words
from auditor.contract.quantity_words import NAMINGS
from auditor.contract.words import EITHER_WAY
from auditor.findings import Measure, Measured, Result, Side, Subject
from auditor.scoring.comparison import worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.rates import n_units, too_few_of
from auditor.scoring.rows import Rows
from auditor.stats import mean, paired_difference, rate, value


@dataclass(frozen=True)
class Baseline(Check):
    """Accuracy gained over one answer, the same for every image.

    What it measures
    ----------------
    Accuracy minus the accuracy of one fixed answer, the commonest label among these images. Both
    are taken on the same images, so the interval is that of a paired difference. Of a segmenter,
    mean overlap (IoU) and right pixels, minus what they are where every pixel is answered with
    the commonest class. Of a detector, the share of objects found, minus the share that the same
    boxes in every image would find: as many as the model gives an image on average (20 at most),
    each time the one that finds most of what is left, chosen on one half of the units and counted
    on the other. Of masks the boxes are compared.

    Why it matters
    --------------
    Where most images are of one class, a model that has learnt nothing looks accurate. A model
    that does not beat a fixed answer decides nothing.

    How it can mislead
    ------------------
    Beating a fixed answer is little: a rule of one line (mean brightness, the place where the
    photo was taken) may beat it too. A model for a rare but grave class may be worth having
    although it gains no accuracy; read its recall and its costs. The commonest class is taken
    from these labels themselves, which flatters the fixed answer slightly. False alarms of a
    detector count only as far as they raise the number of boxes: read them beside it.
    """

    id: ClassVar[str] = "performance/baseline"
    topic: ClassVar[str] = "whether it does better than one answer for all"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), LabelledSplits())
    words: ClassVar = {
        "gain": Words(
            title="Accuracy over always giving the commonest answer, {split} data",
            span=EITHER_WAY,
            short="better than guessing",
            sentence="Always answering “{commonest}” would give {other}; the model gives {this}, "
            "{gap}.",
            sides=("The model", "The commonest answer"),
            action="do not use it: a fixed answer does as well",
            headline="Always answering “{commonest}” would give {always:percent}.",
            headline_rank=3,
        ),
        "objects-found-gain": Words(
            title="Objects found beyond the same boxes in every image, {split} data",
            span=EITHER_WAY,
            short="finds more than fixed boxes",
            sentence="Giving every image {commonest} would find {other}; the model finds {this}, "
            "{gap}.",
            sides=("The model", "The same boxes"),
            action="do not use it: boxes that look at no image find as much",
        ),
        **{
            f"{name}-gain": Words(
                title=f"{NAMINGS[name].title} over answering one class everywhere, {{split}} data",
                span=EITHER_WAY,
                short=f"{NAMINGS[name].short} beyond guessing",
                sentence=f"{NAMINGS[name].title}: answering “{{commonest}}” everywhere would give "
                "{other}; the model gives {this}, {gap}.",
                sides=("The model", "One class everywhere"),
                action="do not use it: one class everywhere does as well",
            )
            for name in ("mean-iou", "pixel-accuracy")
        },
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            rows = evidence.scored(split).with_truth
            fixed = evidence.fixed_answer(split)
            if fixed is None:
                yield _few("gain", rows) or _gain("gain", rows, *_commonest(rows))
                continue
            own = {q.name: q for q in evidence.set_values(split) if not q.keys}
            for always in fixed[1]:
                name = f"{always.name}-gain"
                if always.is_rate:
                    yield _few(name, rows) or _gain(name, rows, always.values, fixed[0])
                    continue
                yield _few(name, rows) or _gain_of_set(
                    name, rows, own[always.name], always, commonest=fixed[0]
                )


def _few(name: str, rows: Rows) -> Measured | None:
    of = f"the labelled {rows.split} data"
    return too_few_of(name, Subject.of(split=rows.split), rows, of=of)


def _gain_of_set(
    name: str, rows: Rows, model: Quantity, always: Quantity, *, commonest: str
) -> Measure:
    """By the images' pseudo-observations: the difference of two values of one set."""
    sides = [mean(q.values, unit=rows.unit_codes, span=q.span) for q in (model, always)]
    return Measure(
        name=name,
        subject=Subject.of(split=rows.split),
        estimate=mean(model.values - always.values, unit=rows.unit_codes, span=EITHER_WAY),
        scale="difference",
        neutral=0.0,
        better="higher",
        n=len(rows),
        n_units=n_units(rows),
        sides=(Side(sides[0], len(rows)), Side(sides[1], len(rows))),
        facts={"commonest": commonest},
    )


def _commonest(rows: Rows) -> tuple[np.ndarray, str]:
    """Which rows (n,) the commonest class is in, and its name."""
    present = {name: rows.present(name) for name in rows.classes}
    commonest = max(present, key=lambda name: int(present[name].sum()))
    return present[commonest], commonest


def _gain(name: str, rows: Rows, always: np.ndarray, fixed_answer: str) -> Measure:
    """Over rows of which the fixed answer is right of those that are `always` (n,) bool."""
    unit = rows.unit_codes
    model, fixed = (rate(right, unit=unit) for right in (rows.right, always))
    return Measure(
        name=name,
        subject=Subject.of(split=rows.split),
        estimate=paired_difference(always, rows.right, unit=unit),
        scale="difference",
        neutral=0.0,
        better="higher",
        n=len(rows),
        n_units=n_units(rows),
        sides=(Side(model, len(rows)), Side(fixed, len(rows))),
        examples=worst_first(rows.image_ids, badness=rows.confidence, among=always & ~rows.right),
        facts={"commonest": fixed_answer, "always": value(fixed)},
        of=rows.of,
    )
