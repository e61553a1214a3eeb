"""Rows with a label each, whatever the task: what an attribute may go along with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.same_truth import told_classes
from auditor.contract import ClassScores, Evidence
from auditor.data.dataset import Dataset
from auditor.data.image_names import ImageNames
from auditor.findings import RowKind
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.presence import OneHot
from auditor.scoring.rows import Rows

Names = NDArray[np.object_]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

CLASS_SCORES = ClassScores(optional=True)


@dataclass(frozen=True)
class LabelledRows:
    """Images or objects, and of each (n,) its label, whether it was answered rightly, a score of
    the right answer, and how sure the model was.

    `answers` are codes of what was answered, where `success` does not say it.

    `about` says of what the labels are: of all classes of a row, or whether the class named in
    `keys` is in an image. `units` are codes of what was sampled independently; of objects their
    images, where the manifest names none. None where each row is. `at` are the places of the rows
    in `dataset`, None where they are its rows.
    """

    about: Literal["class", "presence"]
    dataset: Dataset
    label_names: tuple[str, ...]
    labels: Codes
    success: Mask
    score: Floats
    confidence: Floats
    units: Codes | None
    of: RowKind = "image"
    answers: Codes | None = None
    keys: dict[str, str] = field(default_factory=dict)
    at: Codes | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def noun(self) -> str:
        """What is counted where too few are there."""
        return f"{self.of}s" if self.units is None else "units"

    @property
    def worth_name(self) -> str:
        """The measure of what it is worth that an attribute agrees with the label."""
        if self.about == "presence":
            return "presence-worth"
        return "accuracy-worth" if self.of == "image" else "found-worth"

    @property
    def kind(self) -> str:
        """What of `about` and `of` is told in one table."""
        return "presence" if self.about == "presence" else self.of

    def groups(self, attribute: str) -> Names:
        names = self.dataset.groups(attribute)
        return names if self.at is None else names[self.at]

    @property
    def image_ids(self) -> ImageNames:
        """Id of the image of each row, (n,)."""
        ids = self.dataset.image_ids
        return ids if self.at is None else ids.take(self.at)

    def named(self, label: int) -> str:
        return "other classes" if label < 0 else self.label_names[label]

    def take(self, keep: Mask) -> LabelledRows:
        """The rows under the mask `keep`."""
        if keep.all():
            return self
        return replace(
            self,
            at=np.flatnonzero(keep) if self.at is None else self.at[keep],
            labels=self.labels[keep],
            success=self.success[keep],
            score=self.score[keep],
            confidence=self.confidence[keep],
            units=None if self.units is None else self.units[keep],
            answers=None if self.answers is None else self.answers[keep],
        )


def labelled_rows(evidence: Evidence, *, most: int) -> Iterator[LabelledRows]:
    """What attributes are held against: labels of images, or of objects, or classes in images."""
    if evidence.has(CLASS_SCORES):
        yield of_classifier(evidence.answers())
        return
    if "object" in evidence.kinds:
        yield of_objects(evidence.scored("test", of="object"))
    yield from of_presence(evidence.scored("test", of="image"), most=most)


def of_classifier(outcomes: Outcomes) -> LabelledRows:
    """Images and their labels; the score is the probability of the label."""
    told = outcomes.by_label().with_labels()
    return LabelledRows(
        "class", told.dataset, told.classes, told.labels, told.correct, told.true_probability,
        told.confidence, told.dataset.unit_codes, answers=told.predicted,
    )  # fmt: skip


def of_objects(rows: Rows) -> LabelledRows:
    """Objects to be found and their classes; the score is 1 for those found."""
    told = rows.by_label().with_truth
    assert isinstance(told.presence, OneHot)
    codes = told.unit_codes
    units = told.image_ids.codes() if codes is None else codes
    return LabelledRows(
        "class", told.dataset, told.classes, told.presence.truth, told.right,
        told.right.astype(np.float64), told.confidence, units, of="object",
    )  # fmt: skip


def of_presence(rows: Rows, *, most: int) -> Iterator[LabelledRows]:
    """Images, and whether each class is in them: one a class, the best balanced `most`."""
    told = rows.by_label().with_truth
    for label in told_classes(told, most=most):
        there = told.present(label)
        right = told.called(label) == there
        yield LabelledRows(
            "presence", told.dataset, (f"without {label}", f"with {label}"),
            there.astype(np.int64), right, right.astype(np.float64), right.astype(np.float64),
            told.unit_codes, keys={"class": label},
        )  # fmt: skip
