"""Tasks: one module each, from raw answers and truth to scored rows.

A task is a scorer (`score`, run on each shard and stored) and a reading of what it stored
(`rows`). Checks ask for rows and never which task it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from auditor.data.dataset import Dataset
from auditor.findings import RowKind
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import classification, detection, segmentation
from auditor.scoring.tasks.scoring import Scoring


class Task(Protocol):
    """What the engine needs of a task; a module that has these names is one."""

    SCORER_VERSION: int
    """Changes when the same answers and truth would give other scores."""

    KINDS: tuple[RowKind, ...]
    """The rows that the task has, the chief ones first: those that its headline is about."""

    def score(self, answers: Any, truth: Any, how: Scoring) -> pd.DataFrame:
        """Columns that rows are made of, from raw answers and the truth of the same images.

        Answers are class scores, boxes or class maps, truth labels or a `Truth` (None: none).
        """
        ...

    def rows(self, dataset: Dataset, scores: pd.DataFrame, *, of: RowKind) -> Rows:
        """Rows of one of `KINDS` from `score`'s columns, one line an image of `dataset`, in its
        order.
        """
        ...

    def set_values(self, scores: pd.DataFrame, classes: tuple[str, ...]) -> tuple[Quantity, ...]:
        """What only a whole set of images has (average precision, ratios of sums), all annotated.

        Over the rows of images, the chief one first; none where there is no object.
        """
        ...

    def fixed_answer(
        self, dataset: Dataset, scores: pd.DataFrame
    ) -> tuple[str, tuple[Quantity, ...]] | None:
        """An answer that is the same for every image, in words, and what it is worth.

        Quantities as of `set_values`, by the same names, over the annotated images; or a rate by
        the name of the headline, over the chief rows whose truth is known. None where rows say it
        themselves.
        """
        ...


TASKS: Mapping[str, Task] = {
    "classification": classification,
    "detection": detection,
    "segmentation": segmentation,
    "instance-segmentation": detection,
}


def task_of(name: str) -> Task:
    """The task of a name in the spec (`model.task`)."""
    return TASKS[name]
