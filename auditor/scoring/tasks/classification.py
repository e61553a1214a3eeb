"""Classification: one class an image; a row is an image."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.scoring.accuracy import floored_log_losses
from auditor.scoring.presence import OneHot
from auditor.scoring.rows import Amount, Rows

SCORER_VERSION = 1
COLUMNS = ("answer", "confidence", "given", "least")


def score(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """What the rows of some images are made of, from class scores (n, classes) and labels (n,).

    Columns: ``answer`` (class index, the first of equals), ``confidence`` (its probability),
    ``given`` (probability of the label, NaN where there is none), ``least`` (smallest positive
    probability, 1 where there is none). Images that were not answered (NaN scores) have -1 and
    NaN.
    """
    table = np.asarray(probabilities)
    answered = np.isfinite(table[:, 0]) if len(table) else np.zeros(0, dtype=bool)
    given = table[np.arange(len(table)), np.maximum(labels, 0)]
    return pd.DataFrame(
        {
            "answer": np.where(answered, table.argmax(axis=1), -1).astype(np.int32),
            "confidence": table.max(axis=1),
            "given": np.where(labels >= 0, given, np.nan).astype(np.float32),
            "least": np.where(table > 0, table, 1.0).min(axis=1).astype(np.float32),
        }
    )


def rows(dataset: Dataset, scores: pd.DataFrame) -> Rows:
    """Rows of images from `score`'s columns, in the order of `dataset`."""
    labels = dataset.labels
    answers = scores["answer"].to_numpy()
    known = labels >= 0
    losses = floored_log_losses(
        scores["given"].to_numpy(), least=float(scores["least"].min()) if len(scores) else 1.0
    )
    return Rows(
        dataset=dataset,
        right=known & (answers == labels),
        known=known,
        confidence=scores["confidence"].to_numpy(),
        presence=OneHot(dataset.classes, labels, answers),
        amounts={"log-loss": Amount(losses.values, "lower", "nats")},
    )
