"""What failing groups are looked for among, where a model gives no score for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.data.dataset import Attribute, Dataset
from auditor.data.image_names import ImageNames
from auditor.findings import RowKind
from auditor.scoring.rows import Rows


@dataclass(frozen=True)
class ScoredRows:
    """Objects that should be found, answers, or images: rows of a detector or segmenter.

    An answer is of the class that it says: that nothing is there is what makes it wrong.
    """

    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def of(self) -> RowKind:
        return self.rows.of

    @property
    def headline(self) -> str:
        return self.rows.headline

    @property
    def dataset(self) -> Dataset:
        return self.rows.dataset

    @property
    def classes(self) -> tuple[str, ...]:
        return self.rows.classes

    @property
    def image_ids(self) -> ImageNames:
        return self.rows.image_ids

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.rows.attributes

    @property
    def correct(self) -> np.ndarray:
        return self.rows.right

    @property
    def confidence(self) -> np.ndarray:
        """How sure of what it said of each row, (n,); 0 where nothing tells."""
        found: np.ndarray = np.nan_to_num(self.rows.confidence)
        return found

    def _holds(self, label: str) -> NDArray[np.bool_]:
        return self.rows.called(label) if self.of == "answer" else self.rows.present(label)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """A code of the classes that are in each row, (n,): of an object or an answer its class."""
        held = np.column_stack([self._holds(label) for label in self.classes])
        codes: NDArray[np.int64] = np.unique(held, axis=0, return_inverse=True)[1].reshape(-1)
        return codes

    @property
    def alike(self) -> tuple[NDArray[np.int64], ...]:
        return (self.labels,)

    def of_class(self) -> tuple[tuple[str, str, NDArray[np.bool_]], ...]:
        """What a row may be of, beside its groups: kind, words, and a mask over the rows."""
        kind = "answer" if self.of == "answer" else "label"
        return tuple((kind, f"{kind} {c}", self._holds(c)) for c in self.classes)

    def take(self, keep: np.ndarray) -> ScoredRows:
        return ScoredRows(self.rows.take(keep))
