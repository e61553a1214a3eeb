"""What a check is handed: nothing that it did not declare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

import numpy as np
import pandas as pd

from auditor.contract.needs import Need
from auditor.contract.passes import AS_GIVEN, PassKeys
from auditor.data.dataset import Dataset
from auditor.findings import ModelFacts, RowKind
from auditor.spec import AuditSpec

if TYPE_CHECKING:
    from auditor.data.expectations import ManifestReport
    from auditor.data.soundness import Soundness
    from auditor.models.predictor import Predictor
    from auditor.scoring.average_precision import RankedAnswers
    from auditor.scoring.outcomes import Outcomes
    from auditor.scoring.quantities import Quantity
    from auditor.scoring.rows import Rows


class ManyRows(Protocol):
    """An array (n, d) of which some rows are taken at a time: it may lie in a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray: ...


class Evidence(Protocol):
    """What a check is handed. Asking for what was not declared raises `UndeclaredNeedError`.

    `part` is ``"sound"`` (default everywhere) or ``"as-given"``.
    """

    @property
    def spec(self) -> AuditSpec: ...
    @property
    def model(self) -> ModelFacts: ...
    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator from the audit's seed and the check's id."""
        ...

    @property
    def kinds(self) -> tuple[RowKind, ...]:
        """What the task has rows of, the chief ones first: images, or objects and answers too."""
        ...

    def has(self, need: Need) -> bool:
        """Whether a declared (optional) need is met."""
        ...

    def dataset(self, split: str, *, part: str = "sound") -> Dataset:
        """The manifest's rows of a split (readable images only in the clean subset)."""
        ...

    def labelled_splits(self) -> tuple[str, ...]:
        """Splits whose truth is known, test first; declared with `LabelledSplits`."""
        ...

    def scored(
        self,
        split: str = "test",
        *,
        part: str = "sound",
        of: RowKind | None = None,
        **asked: Unpack[PassKeys],
    ) -> Rows:
        """Scored rows of a declared pass; unreadable images are never among them.

        `of` what `kinds` lists; its first, the objects that a detector should find, where None or
        where the task has no such rows.
        """
        ...

    def set_values(
        self, split: str = "test", *, part: str = "sound", **asked: Unpack[PassKeys]
    ) -> tuple[Quantity, ...]:
        """What only a whole set of images has (average precision, ratios of sums).

        Over the annotated rows of ``scored(...)`` of images; () for a classifier.
        """
        ...

    def fixed_answer(self, split: str = "test") -> tuple[str, tuple[Quantity, ...]] | None:
        """An answer that is the same for every image, in words, and what it is worth.

        Quantities as of ``set_values``, or a rate over the rows of ``scored(...)`` with truth; None
        where rows say it.
        """
        ...

    def answers(
        self, split: str = "test", *, part: str = "sound", **asked: Unpack[PassKeys]
    ) -> Outcomes:
        """The raw answers of a declared pass of `ClassScores`, for checks that need them."""
        ...

    def ranked(self, split: str = "test") -> RankedAnswers:
        """All boxes of a declared `Boxes` pass, of low scores too, and the objects beside them.

        Of the annotated images, in the order of their rows.
        """
        ...

    def embedding(self, split: str = "test", *, part: str = "sound") -> ManyRows:
        """Penultimate activations (n, d) float32, in the order of ``outcomes(split)``."""
        ...

    def scan(
        self, split: str, *, part: str = "sound", columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row an image, in the order of ``dataset(split)``; as-given has unreadable ones too.

        Columns are `auditor.data.scan.SCAN_COLUMNS` without names, thumbnails and digests. Of a
        million images a column is 5 MB: ask for the `columns` that are looked at together, None
        for all.
        """
        ...

    def scan_of(self, split: str, image_ids: Sequence[str]) -> pd.DataFrame:
        """The rows of some images of a scan, in the order named, with their thumbnails."""
        ...

    def manifest_report(self, split: str) -> ManifestReport:
        """What validating the split's manifest found, every failing row included."""
        ...

    def soundness(self) -> Soundness:
        """Which images were set apart, in each split, and why."""
        ...

    def frames(self, split: str, *, sample: int) -> np.ndarray:
        """Decoded frames at model size, (m, h, w, 3) uint8, of a nested sample (clean subset)."""
        ...

    def frame_ids(self, split: str, *, sample: int) -> tuple[str, ...]:
        """Image ids of `frames`, in the same order."""
        ...

    def predictor(self, variant: str = AS_GIVEN) -> Predictor:
        """The live model; calls are counted."""
        ...

    def model_path(self, variant: str = AS_GIVEN) -> Path:
        """The file of a variant, for measuring it where it will run."""
        ...


class UndeclaredNeedError(RuntimeError):
    """A check asked for evidence that it did not declare: a fault of the check."""
