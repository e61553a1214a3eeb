"""Per-image scores of every pass, kept in the store as Parquet for readers outside the audit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from auditor.engine.evidence import Gathered
from auditor.engine.store import key_of
from auditor.engine.sweep import SweptPass, assemble
from auditor.scoring.accuracy import log_losses
from auditor.scoring.outcomes import Outcomes

SCORER_VERSION = 1
"""Changes when the same predictions and labels would give other scores."""


def write_scores(gathered: Gathered) -> tuple[Path, ...]:
    """One table a pass: what was answered for each image, how surely, and its log-loss.

    Images that could not be read are left out. Columns: ``image_id``, ``label`` ("" without),
    ``answer``, ``confidence`` (0-1), ``true_probability`` (0-1, NaN without a label), ``correct``
    (missing without a label), ``log_loss`` (natural logarithm, NaN without a label).
    """
    return tuple(_write(gathered, swept) for swept in gathered.swept.values())


def _write(gathered: Gathered, swept: SweptPass) -> Path:
    dataset = gathered.available.datasets[swept.sweep_pass.split].take(swept.rows)
    truth = [list(dataset.classes), dataset.labels.tolist()]
    key = key_of("scores", SCORER_VERSION, [path.stem for path in swept.probabilities], truth)
    path = gathered.store.path("scores", key, ".parquet")
    if not gathered.store.holds(path):
        probabilities = assemble(swept, "predictions", store=gathered.store)
        answered = np.isfinite(probabilities[:, 0])
        outcomes = Outcomes(dataset, probabilities)
        gathered.store.write_table(path, _table(outcomes.take(answered)))
    return path


def _table(outcomes: Outcomes) -> pd.DataFrame:
    names = np.array([*outcomes.classes, ""], dtype=object)
    correct = pd.array(outcomes.correct, dtype="boolean")
    correct[~outcomes.labelled] = pd.NA
    losses = np.full(len(outcomes), np.nan)
    if outcomes.labelled.any():
        labelled = outcomes.with_labels()
        found = log_losses(np.asarray(labelled.probabilities), labelled.labels)
        losses[outcomes.labelled] = found.values
    return pd.DataFrame(
        {
            "image_id": outcomes.image_ids,
            "label": names[outcomes.labels],
            "answer": names[outcomes.predicted],
            "confidence": outcomes.confidence,
            "true_probability": outcomes.true_probability,
            "correct": correct,
            "log_loss": losses,
        }
    )
