"""What the sweeps of an audit left behind, from which every check is handed its evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.comparing.groups import let_go_of
from auditor.contract import Available, Pass
from auditor.data.dataset import Dataset
from auditor.data.expectations import ManifestReport
from auditor.data.held_rows import let_go
from auditor.data.image_names import ImageNames
from auditor.data.soundness import Soundness
from auditor.engine.scans import numbers_of
from auditor.engine.store import Store
from auditor.engine.sweep import SweptPass, SweptSplit
from auditor.findings import RowKind
from auditor.freed_memory import return_freed_memory
from auditor.models.predictor import Predictor
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.presence import Presence
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows


@dataclass(frozen=True)
class MissingVariant:
    """A variant that could not be made, and why."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Gathered:
    """All that the sweeps left behind, for every check."""

    available: Available
    store: Store
    splits: Mapping[str, SweptSplit]
    swept: Mapping[Pass, SweptPass]
    scans: Mapping[str, pd.DataFrame]
    soundness: Soundness
    manifest_reports: Mapping[str, ManifestReport]
    predictors: Mapping[str, Predictor]
    model_paths: Mapping[str, Path]
    missing_variants: Mapping[str, MissingVariant] = field(default_factory=dict)
    handed_out: dict[tuple[Pass, str], Outcomes] = field(default_factory=dict, compare=False)
    """Answers handed out to a check: what they derive (answers, confidences) is derived once."""
    scored: dict[tuple[Pass, str, RowKind], Rows] = field(default_factory=dict, compare=False)
    """Rows handed out so far; those with images that are set apart for one check."""
    said: dict[tuple[Pass, str], tuple[ImageNames, Presence]] = field(
        default_factory=dict, compare=False
    )
    """What stays of such rows: what is in each image and what was answered."""
    set_values: dict[tuple[Pass, str], tuple[Quantity, ...]] = field(
        default_factory=dict, compare=False
    )
    """Values of whole sets handed out so far."""
    last_scores: dict[tuple[Pass, str], tuple[Dataset, pd.DataFrame]] = field(
        default_factory=dict, compare=False
    )
    """What rows of the last pass are made of, which a check asks for once for each kind of row."""

    parts: dict[tuple[str, bytes], Dataset] = field(default_factory=dict, compare=False)
    """Images handed out so far: what they derive (names, units, groups) is derived once."""

    orders: dict[str, np.ndarray] = field(default_factory=dict, compare=False)
    """In which order samples take the images of a split, of those asked for so far."""

    def readable(self, split: str) -> np.ndarray:
        """Mask over a split's rows: images that could be decoded."""
        return self.scans[split]["readable"].to_numpy(dtype=bool)

    def images(self, split: str, rows: np.ndarray) -> Dataset:
        """Some images of a split, one dataset for whoever asks for the same ones."""
        whole = self.available.datasets[split]
        rows = rows.astype(np.int32, copy=False)
        if len(rows) == len(whole) and (rows == np.arange(len(rows))).all():
            return whole
        key = split, hashlib.sha256(rows.tobytes()).digest()
        if key not in self.parts:
            self.parts[key] = whole.take(rows)
        return self.parts[key]

    def let_go(self) -> None:
        """Keep nothing that only one check asks for more than once."""
        self.handed_out.clear()
        self.last_scores.clear()
        for wanted, part, of in [key for key in self.scored if key[1] != "sound"]:
            rows = self.scored.pop((wanted, part, of))
            if of == "image":
                self.said[wanted, part] = rows.image_ids, rows.presence
        for rows in self.scored.values():
            let_go_of(rows)
        for scan in self.scans.values():
            let_go(*numbers_of(scan))
        for dataset in self.available.datasets.values():
            dataset.image_ids.let_go()

    def let_go_of_rows(self) -> None:
        """Keep nothing that only checks ask for: once they are done, nobody asks any more."""
        self.let_go()
        for held in (self.scored, self.said, self.set_values, self.parts, self.orders):
            held.clear()
        return_freed_memory(images=sum(map(len, self.available.datasets.values())))
