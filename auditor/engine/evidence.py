"""Evidence: what each check is handed, and nothing that it did not declare."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from auditor.contract import (
    AS_GIVEN,
    Boxes,
    Check,
    ClassScores,
    LabelledSplits,
    ManyRows,
    Need,
    NotMeasurableError,
    Pass,
    UndeclaredNeedError,
)
from auditor.contract.passes import PassKeys
from auditor.data.dataset import Dataset
from auditor.data.expectations import ManifestReport
from auditor.data.held_rows import let_go
from auditor.data.soundness import Soundness
from auditor.engine.gathered import Gathered
from auditor.engine.sampling import nested_order, sample_rows
from auditor.engine.scans import numbers_of
from auditor.engine.stored_rows import StoredRows, assemble
from auditor.engine.sweep import SweptPass
from auditor.findings import ModelFacts, RowKind
from auditor.models.predictor import Predictor
from auditor.scoring.average_precision import RankedAnswers
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import Task, task_of
from auditor.scoring.tasks.detection import ranked_answers
from auditor.spec import AuditSpec


@dataclass(frozen=True)
class _Declared:
    """What a check has declared that it asks for; whatever else it asks for raises."""

    check: Check
    gathered: Gathered

    @property
    def spec(self) -> AuditSpec:
        return self.gathered.available.spec

    def has(self, need: Need) -> bool:
        if need not in self.check.needs:
            raise UndeclaredNeedError(
                f"{self.check.id} asks about {need}, which it does not declare"
            )
        return need.unmet(self.gathered.available) is None

    def labelled_splits(self) -> tuple[str, ...]:
        need = next((n for n in self.check.needs if isinstance(n, LabelledSplits)), None)
        if need is None:
            raise UndeclaredNeedError(f"{self.check.id} asks for labelled splits undeclared")
        return need.splits(self.gathered.available)

    def _require_variant(self, variant: str) -> None:
        missing = self.gathered.missing_variants.get(variant)
        if missing is not None:
            raise NotMeasurableError(missing.reason, remedy=missing.remedy)
        if variant not in self.gathered.predictors:
            raise NotMeasurableError(
                f"No form {variant} of the model was made.",
                remedy="Run the audit again with the checks that need it.",
            )

    def _require_split(self, split: str) -> None:
        if split not in self.gathered.available.datasets:
            raise UndeclaredNeedError(f"{self.check.id} asks for {split}, which is not there")
        declared = {getattr(need, "split", None) for need in self.check.needs} | {
            p.split for p in self._declared_passes()
        }
        if split not in declared:
            raise UndeclaredNeedError(
                f"{self.check.id} asks for {split}, which it does not declare"
            )

    def _require_pass(self, wanted: Pass) -> None:
        if wanted not in self._declared_passes():
            raise UndeclaredNeedError(f"{self.check.id} asks for the pass {wanted} undeclared")

    def _declared_passes(self) -> set[Pass]:
        available = self.gathered.available
        return {
            p
            for need in self.check.needs
            if need.unmet(available) is None
            for p in need.passes(available)
        }


@dataclass(frozen=True)
class CheckEvidence(_Declared):
    """The `Evidence` of one check (see `auditor.contract.check.Evidence`)."""

    @property
    def model(self) -> ModelFacts:
        return self.gathered.available.model

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.spec.audit.seed, zlib.crc32(self.check.id.encode())])

    def dataset(self, split: str, *, part: str = "sound") -> Dataset:
        self._require_split(split)
        dataset = self.gathered.available.datasets[split]
        if part != "sound":
            return dataset
        return self.gathered.images(split, np.flatnonzero(self._keep(split)))

    def scored(
        self,
        split: str = "test",
        *,
        part: str = "sound",
        of: RowKind | None = None,
        **asked: Unpack[PassKeys],
    ) -> Rows:
        of = self.kinds[0] if of is None or of not in self.kinds else of
        wanted = Pass(split, **asked)
        self._require_pass(wanted)
        known = self.gathered.scored
        if (wanted, part, of) not in known:
            dataset, scores = self._scores(wanted, part)
            known[wanted, part, of] = self._task.rows(dataset, scores, of=of)
        return known[wanted, part, of]

    def set_values(
        self, split: str = "test", *, part: str = "sound", **asked: Unpack[PassKeys]
    ) -> tuple[Quantity, ...]:
        wanted = Pass(split, **asked)
        self._require_pass(wanted)
        known = self.gathered.set_values
        if (wanted, part) not in known:
            scores, classes = self._annotated(wanted, part)
            known[wanted, part] = self._task.set_values(scores, classes)
        return known[wanted, part]

    def fixed_answer(self, split: str = "test") -> tuple[str, tuple[Quantity, ...]] | None:
        wanted = Pass(split)
        self._require_pass(wanted)
        return self._task.fixed_answer(*self._scores(wanted, "sound"))

    def _annotated(self, wanted: Pass, part: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """What the rows of annotated images are made of, and the classes."""
        dataset, scores = self._scores(wanted, part)
        known = self._task.rows(dataset, scores, of="image").known
        return scores[known].reset_index(drop=True), dataset.classes

    def ranked(self, split: str = "test") -> RankedAnswers:
        wanted = Pass(split)
        if not any(isinstance(need, Boxes) for need in self.check.needs):
            raise UndeclaredNeedError(f"{self.check.id} asks for boxes undeclared")
        self._require_pass(wanted)
        dataset, scores = self._scores(wanted, "sound")
        known = scores["known"].to_numpy(dtype=bool)
        scores = scores[known].reset_index(drop=True)
        return ranked_answers(scores, n_classes=len(dataset.classes))

    @property
    def kinds(self) -> tuple[RowKind, ...]:
        return self._task.KINDS

    @property
    def _task(self) -> Task:
        return task_of(self.spec.model.task)

    def _scores(self, wanted: Pass, part: str) -> tuple[Dataset, pd.DataFrame]:
        """The images of a pass that are handed out, and what their rows are made of."""
        held = self.gathered.last_scores
        if (wanted, part) not in held:
            held.clear()
            held[wanted, part] = self._read_scores(wanted, part)
        return held[wanted, part]

    def _read_scores(self, wanted: Pass, part: str) -> tuple[Dataset, pd.DataFrame]:
        swept = self._swept(wanted)
        keep = self._taken(wanted, swept, part)
        if not keep.any():
            raise _nothing_left(self.gathered.soundness, wanted.split)
        dataset = self.gathered.images(wanted.split, swept.positions(keep))
        return dataset, swept.scored(keep)

    def answers(
        self, split: str = "test", *, part: str = "sound", **asked: Unpack[PassKeys]
    ) -> Outcomes:
        wanted = Pass(split, **asked)
        if not any(isinstance(need, ClassScores) for need in self.check.needs):
            raise UndeclaredNeedError(f"{self.check.id} asks for class scores undeclared")
        self._require_pass(wanted)
        known = self.gathered.handed_out
        if (wanted, part) not in known:
            known[wanted, part] = self._outcomes_of(wanted, part)
        return known[wanted, part]

    def _outcomes_of(self, wanted: Pass, part: str) -> Outcomes:
        swept = self._swept(wanted)
        probabilities = assemble(swept, "predictions", store=self.gathered.store)
        keep = self._taken(wanted, swept, part)
        if not keep.any():
            raise _nothing_left(self.gathered.soundness, wanted.split)
        dataset = self.gathered.images(wanted.split, swept.positions(keep))
        return Outcomes(dataset, probabilities if keep.all() else probabilities[keep])

    def embedding(self, split: str = "test", *, part: str = "sound") -> ManyRows:
        wanted = Pass(split, embedding=True)
        self._require_pass(wanted)
        swept = self._swept(wanted)
        embedding = assemble(swept, "embeddings", store=self.gathered.store)
        keep = self._taken(wanted, swept, part)
        return StoredRows(embedding, np.flatnonzero(keep))

    def scan(
        self, split: str, *, part: str = "sound", columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        self._require_split(split)
        scan = self.gathered.scans[split]
        if part != "sound":
            return scan if columns is None else scan[list(columns)]
        return _kept_rows(scan, self._keep(split), columns)

    def scan_of(self, split: str, image_ids: Sequence[str]) -> pd.DataFrame:
        self._require_split(split)
        scan = self.gathered.scans[split]
        places = self.gathered.available.datasets[split].image_ids.places_of(image_ids)
        rows, inverse = np.unique(places, return_inverse=True)
        parts = self.gathered.splits[split].thumbnails(rows)
        held = pd.Series([cell for part in parts for cell in part], dtype=object)
        found = _kept_rows(scan, places, None)
        return found.assign(thumbnail=held.iloc[inverse].to_numpy())

    def manifest_report(self, split: str) -> ManifestReport:
        self._require_split(split)
        return self.gathered.manifest_reports[split]

    def soundness(self) -> Soundness:
        return self.gathered.soundness

    def frames(self, split: str, *, sample: int) -> np.ndarray:
        rows = self._frame_rows(split, sample)
        swept = self.gathered.splits[split]
        if not len(rows):
            raise _nothing_left(self.gathered.soundness, split)
        return np.stack([swept.frame(int(row)) for row in rows])

    def frame_ids(self, split: str, *, sample: int) -> tuple[str, ...]:
        ids = self.gathered.available.datasets[split].image_ids
        return tuple(str(ids[row]) for row in self._frame_rows(split, sample))

    def predictor(self, variant: str = AS_GIVEN) -> Predictor:
        self._require_variant(variant)
        return self.gathered.predictors[variant]

    def model_path(self, variant: str = AS_GIVEN) -> Path:
        self._require_variant(variant)
        return self.gathered.model_paths[variant]

    def _frame_rows(self, split: str, sample: int) -> np.ndarray:
        available = self.gathered.available
        if not any(split in need.frame_splits(available) for need in self.check.needs):
            raise UndeclaredNeedError(f"{self.check.id} asks for frames of {split} undeclared")
        order = self._order(split)
        return np.sort(order[self._keep(split)[order]][:sample])

    def _order(self, split: str) -> np.ndarray:
        known = self.gathered.orders
        if split not in known:
            dataset = self.gathered.available.datasets[split]
            known[split] = nested_order(dataset, seed=self.spec.audit.seed)
        return known[split]

    def _keep(self, split: str) -> np.ndarray:
        return self.gathered.soundness.keep(split)

    def _taken(self, wanted: Pass, swept: SweptPass, part: str) -> np.ndarray:
        """Mask over the rows of a swept pass: sampled, readable, and of the part asked for."""
        sound = self._keep(wanted.split)
        mask = sound if part == "sound" else self.gathered.readable(wanted.split)
        if wanted.sample is not None:
            in_sample = np.zeros(len(mask), dtype=bool)
            in_sample[sample_rows(self._order(wanted.split), wanted.sample, sound=sound)] = True
            mask = mask & in_sample
        taken = swept.marks(mask)
        if wanted.view.donor is not None:
            taken = taken & swept.answered(self.spec.model.task)
        return taken

    def _swept(self, wanted: Pass) -> SweptPass:
        self._require_variant(wanted.variant)
        return self.gathered.swept[replace(wanted, sample=None, embedding=False)]


def _kept_rows(scan: pd.DataFrame, keep: np.ndarray, columns: Sequence[str] | None) -> pd.DataFrame:
    """Rows of a scan, at positions or under a mask, column by column: all at once take 100 MB."""
    found = {}
    for name in scan if columns is None else columns:
        found[name] = scan[name].iloc[keep].reset_index(drop=True)
        let_go(*numbers_of(scan[[name]]))
    return pd.DataFrame(found, copy=False)


def _nothing_left(soundness: Soundness, split: str) -> NotMeasurableError:
    counts = soundness.summary()[split]
    apart = ", ".join(
        f"{n} {reason.replace('_', ' ')}"
        for reason, n in counts.items()
        if n and reason not in ("images", "sound")
    )
    return NotMeasurableError(
        f"Of {counts['images']} {split} images none is left to measure with ({apart}).",
        remedy=f"Give {split} images that are readable and that training has not seen; "
        "`data/images` and `data/leakage` list what was set apart.",
    )
