"""Classification: one class an image; a row is an image."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.findings import RowKind
from auditor.scoring.accuracy import floored_log_losses
from auditor.scoring.presence import OneHot
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Amount, Rows
from auditor.scoring.tasks.scoring import Scoring
from auditor.stats.codes import compact

SCORER_VERSION = 2

KINDS: tuple[RowKind, ...] = ("image",)


def score(probabilities: np.ndarray, labels: np.ndarray, how: Scoring) -> pd.DataFrame:
    """What the rows of some images are made of, from class scores (n, classes) and labels (n,).

    Columns: ``label`` and ``answer`` (class indices, -1 without; of equal scores the first),
    ``confidence`` and ``true_probability`` (0-1, NaN without an answer or label), ``correct``
    (missing without a label), ``least`` (smallest positive probability, 1 where there is none).
    Images that were not answered have NaN scores.
    """
    table = np.asarray(probabilities)
    answered, labelled = np.isfinite(table[:, 0]), labels >= 0
    answers = np.where(answered, np.nan_to_num(table).argmax(axis=1), -1)
    given = table[np.arange(len(table)), np.maximum(labels, 0)]
    correct = pd.array(answers == labels, dtype="boolean")
    correct[~(answered & labelled)] = pd.NA
    return pd.DataFrame(
        {
            "label": labels.astype(np.int32),
            "answer": answers.astype(np.int32),
            "confidence": table.max(axis=1),
            "true_probability": np.where(labelled, given, np.nan).astype(np.float32),
            "correct": correct,
            "least": np.where(table > 0, table, 1.0).min(axis=1).astype(np.float32),
        }
    )


def rows(dataset: Dataset, scores: pd.DataFrame, *, of: RowKind = "image") -> Rows:
    """Rows of images from `score`'s columns, in the order of `dataset`."""
    labels, answers = (compact(c) for c in (dataset.labels, scores["answer"].to_numpy()))
    known = labels >= 0
    losses = floored_log_losses(
        scores["true_probability"].to_numpy(),
        least=float(scores["least"].min()) if len(scores) else 1.0,
    )
    return Rows(
        dataset=dataset,
        right=known & (answers == labels),
        known=known,
        confidence=scores["confidence"].to_numpy(),
        presence=OneHot(dataset.classes, labels, answers),
        amounts={"log-loss": Amount(losses.values, "lower", "nats", losses.span)},
    )


def set_values(scores: pd.DataFrame, classes: tuple[str, ...]) -> tuple[Quantity, ...]:
    """None: what a classifier's set is worth is a mean over its images."""
    return ()


def fixed_answer(dataset: Dataset, scores: pd.DataFrame) -> tuple[str, tuple[Quantity, ...]] | None:
    """Of a classifier the rows say it: each is of one class."""
    return None
