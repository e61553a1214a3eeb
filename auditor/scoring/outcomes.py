"""What a classifier answered for each image of one pass, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.data.dataset import Attribute, Dataset
from auditor.data.image_names import ImageNames
from auditor.data.pooling import by_label, crossed
from auditor.findings import RowKind


@dataclass(frozen=True)
class Outcomes:
    """Predictions of one pass with the rows of the dataset that they belong to.

    `dataset` and `probabilities` ((n, classes) float32, each row sums to 1 within rounding) are
    in the same order. Where an image has no label, `correct` is False and `labelled` is False:
    filter by `labelled` before any accuracy.
    """

    dataset: Dataset
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def of(self) -> RowKind:
        """What the rows are: images."""
        return "image"

    @property
    def headline(self) -> str:
        """The name of the share of correct images."""
        return "accuracy"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def image_ids(self) -> ImageNames:
        return self.dataset.image_ids

    @property
    def labels(self) -> np.ndarray:
        return self.dataset.labels

    @property
    def units(self) -> np.ndarray | None:
        return self.dataset.units

    @property
    def unit_codes(self) -> np.ndarray | None:
        return self.dataset.unit_codes

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.dataset.attributes

    def groups(self, attribute: str) -> np.ndarray:
        return self.dataset.groups(attribute)

    @cached_property
    def labelled(self) -> np.ndarray:
        return self.labels >= 0

    @cached_property
    def predicted(self) -> np.ndarray:
        """Class index answered, shape (n,); the first of equals."""
        found: np.ndarray = np.asarray(self.probabilities).argmax(axis=1)
        return found

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the answer is the label, shape (n,) bool."""
        correct: np.ndarray = self.labelled & (self.predicted == self.labels)
        return correct

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of the answer, shape (n,), 0-1."""
        found: np.ndarray = np.asarray(self.probabilities).max(axis=1)
        return found

    @cached_property
    def true_probability(self) -> np.ndarray:
        """Probability given to the label, shape (n,), 0-1; NaN where there is no label."""
        rows = np.arange(len(self))
        found = np.asarray(self.probabilities)[rows, np.maximum(self.labels, 0)].astype(float)
        return np.where(self.labelled, found, np.nan)

    @property
    def alike(self) -> tuple[np.ndarray, ...]:
        """What images that are alike share, (n,) each: the label, and the answer."""
        return (self.labels, self.predicted)

    def of_class(self) -> tuple[tuple[str, str, np.ndarray], ...]:
        """Images of each label and answer: kind, words, and a mask over the images."""
        return tuple(
            (kind, f"{kind} {name}", codes == index)
            for index, name in enumerate(self.classes)
            for kind, codes in (("label", self.labels), ("answer", self.predicted))
        )

    def take(self, keep: np.ndarray) -> Outcomes:
        """The images at the positions (or under the mask) `keep`, in that order."""
        positions = np.flatnonzero(keep) if keep.dtype == bool else keep
        return Outcomes(self.dataset.take(positions), np.asarray(self.probabilities)[positions])

    def by_label(self) -> Outcomes:
        """With groups that can be counted by class (`auditor.data.pooling.by_label`)."""
        if not self.dataset.coarser:
            return self
        return Outcomes(by_label(self.dataset), self.probabilities)

    def crossed(self, first: str, second: str) -> Outcomes:
        """With groups of two attributes that can be counted by each other's."""
        dataset = crossed(self.dataset, (first, second))
        return self if dataset is self.dataset else Outcomes(dataset, self.probabilities)

    def with_labels(self) -> Outcomes:
        """The labelled images only."""
        return self if self.labelled.all() else self.take(self.labelled)
