"""Tasks: one module each, from raw answers and truth to scored rows.

A task is a scorer (`score`, run on each shard and stored) and a reading of what it stored
(`rows`). Checks ask for rows and never which task it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import classification


class Task(Protocol):
    """What the engine needs of a task; a module that has these names is one."""

    SCORER_VERSION: int
    """Changes when the same answers and truth would give other scores."""

    def score(self, answers: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
        """Columns that rows are made of, from raw answers and the truth of the same images."""
        ...

    def rows(self, dataset: Dataset, scores: pd.DataFrame) -> Rows:
        """Rows from `score`'s columns, one line an image of `dataset`, in its order."""
        ...


TASKS: Mapping[str, Task] = {"classification": classification}


def task_of(name: str) -> Task:
    """The task of a name in the spec (`model.task`)."""
    return TASKS[name]
