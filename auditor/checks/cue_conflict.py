"""Shape bias on cue-conflict images: which of two cues a classifier answers by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from auditor.comparing.interval_row import interval_row
from auditor.contract import Evidence, Words
from auditor.data.cue_conflict import CueConflicts, read_cue_conflicts
from auditor.errors import DataError
from auditor.findings import Axis, Figure, Measure, Measured, Result, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few
from auditor.stats import rate, value
from auditor.stats.codes import codes_of

SHAPE_WORDS = Words(
    title="Answers by shape where shape and texture are of two classes",
    short="answers by shape (cue conflict)",
    sentence="Of {shown} images whose shape is of one class and whose texture of another, {n} are "
    "answered with one of the two, and {value} of these by the shape. People: 96%; ResNet-50 "
    "trained on ImageNet: 22%; AlexNet: 43% (Geirhos et al. 2019).",
    action="train on images in which texture does not tell the class, and test again",
)
CATEGORY_WORDS = Words(
    title="Answers by shape for things of the shape {category}",
    short="answers by shape: {category}",
    sentence="Of {n} images of the shape {category} that are answered by shape or by texture, "
    "{value} are answered by the shape.",
    action="train on images in which texture does not tell the class, and test again",
)


def measured_conflicts(evidence: Evidence) -> Iterator[Result]:
    """The shape bias, in all and by the category of the shape; a reason where there is none."""
    subject = Subject()
    try:
        conflicts = read_cue_conflicts(evidence.spec, evidence.model.classes)
        answers = _answers(evidence, conflicts)
    except DataError as error:
        said = str(error)
        yield Unmeasured(
            "shape-bias", subject, said, "Correct `data.cue_conflict` or the files that it names."
        )
        return
    by_shape, by_texture = answers == conflicts.shapes, answers == conflicts.textures
    decided = by_shape | by_texture
    unit = None if conflicts.units is None else codes_of(conflicts.units)
    facts = {"shown": len(conflicts), "by_shape": int(by_shape.sum()),
             "by_texture": int(by_texture.sum())}  # fmt: skip
    yield _bias("shape-bias", subject, by_shape, decided, unit=unit, facts=facts)
    found: dict[str, Measured] = {}
    for category in dict.fromkeys(conflicts.shapes.tolist()):
        inside = decided & (conflicts.shapes == category)
        about = Subject.of(category=category)
        found[category] = _bias("category-shape-bias", about, by_shape, inside, unit=unit)
    yield from found.values()
    measured = {name: m for name, m in found.items() if isinstance(m, Measure)}
    if measured:
        yield _forest(measured)


def _answers(evidence: Evidence, conflicts: CueConflicts) -> np.ndarray:
    model = evidence.predictor()
    parts = [
        conflicts.answered(model.predict(frames).probabilities)
        for frames in conflicts.frames(evidence.spec)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)


def _bias(
    name: str,
    subject: Subject,
    by_shape: np.ndarray,
    among: np.ndarray,
    *,
    unit: np.ndarray | None,
    facts: dict[str, Any] | None = None,
) -> Measured:
    own = None if unit is None else unit[among]
    sides = {"the cue-conflict images answered by shape or texture": count_units(among, unit)}
    few = too_few(name, subject, sides=sides, noun="images" if unit is None else "units")
    if few is not None:
        return few
    return Measure(
        name=name,
        subject=subject,
        estimate=rate(by_shape[among], unit=own),
        scale="share",
        better="higher",
        n=int(among.sum()),
        n_units=None if own is None else count_units(among, unit),
        facts=facts or {},
    )


def _forest(measured: dict[str, Measure]) -> Figure:
    return Figure(
        id="shortcut/texture:cue-conflict",
        kind="forest",
        title="Answers by shape, where shape and texture are of two classes",
        caption="Share answered by the shape among images answered by shape or texture, by what "
        "the shape is of; 95% intervals.",
        alt="; ".join(f"{name} {value(m.estimate):.0%}" for name, m in measured.items()),
        x=Axis("answered by shape", "share"),
        y=Axis("shape of"),
        rows=tuple(interval_row(name, m.estimate, n=m.n) for name, m in measured.items()),
    )
