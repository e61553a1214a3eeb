"""Which classes are in a row, and which the model called: the same question for every task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from auditor.scoring.accuracy import confusion_matrix

Mask = NDArray[np.bool_]


class Presence(Protocol):
    """For each class, which rows hold it and for which the model called it.

    From these two, error rates, selection rates and amplification are the same for a classifier,
    a detector and a segmenter. A row without truth holds no class.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def one_each(self) -> bool:
        """Whether each row is of one class and called one: what is missed of one of two classes is
        then wrongly called the other.
        """
        ...

    def present(self, label: str) -> Mask:
        """Whether the class is in each row, (n,)."""
        ...

    def called(self, label: str) -> Mask:
        """Whether the model said that the class is in each row, (n,)."""
        ...

    def exact(self) -> Mask:
        """Whether the model called the classes that are in each row and no other, (n,)."""
        ...

    def confusion(self) -> NDArray[np.int64]:
        """How many rows of each class (first axis) were called each class, (classes, classes)."""
        ...

    def costs(self, matrix: np.ndarray) -> NDArray[np.float64]:
        """Cost of the answer to each row, (n,), from costs (true class, answered class).

        Where rows may have no counterpart, nothing is a last class of the costs, which need not
        have it: what it would cost is then 0.
        """
        ...

    def differs(self, other: Any) -> Mask:
        """Whether `other`, a presence of the same kind, has other answers, row for row, (n,)."""
        ...

    def take(self, positions: np.ndarray) -> Presence:
        """The rows at `positions`, in that order."""
        ...


@dataclass(frozen=True)
class OneHot:
    """Presence where each row is of one class and gets one answer, as for a classifier.

    `truth` (n,) class indices, -1 where there is none; `answers` (n,) class indices.
    """

    classes: tuple[str, ...]
    truth: np.ndarray
    answers: np.ndarray
    one_each: ClassVar[bool] = True

    def present(self, label: str) -> Mask:
        return np.asarray(self.truth == self.classes.index(label))

    def called(self, label: str) -> Mask:
        return np.asarray(self.answers == self.classes.index(label))

    def exact(self) -> Mask:
        return np.asarray(self.truth == self.answers)

    def confusion(self) -> NDArray[np.int64]:
        known = self.truth >= 0
        return confusion_matrix(self.truth[known], self.answers[known], n_classes=len(self.classes))

    def costs(self, matrix: np.ndarray) -> NDArray[np.float64]:
        found: NDArray[np.float64] = matrix[self.truth, self.answers]
        return found

    def differs(self, other: OneHot) -> Mask:
        return np.asarray(self.answers != other.answers)

    def take(self, positions: np.ndarray) -> OneHot:
        return OneHot(self.classes, self.truth[positions], self.answers[positions])


@dataclass(frozen=True)
class Placed(OneHot):
    """Presence where each row is an object or an answer, and may have no counterpart.

    `truth` and `answers` (n,) are class indices, -1 for nothing: an answer where no object is, an
    object that got none. Confusion and costs have nothing as a last class: a miss stands in the
    last column, a false alarm in the last row.
    """

    one_each: ClassVar[bool] = False

    def confusion(self) -> NDArray[np.int64]:
        n = len(self.classes)
        truth, answers = (np.where(side < 0, n, side) for side in (self.truth, self.answers))
        return confusion_matrix(truth, answers, n_classes=n + 1)

    def costs(self, matrix: np.ndarray) -> NDArray[np.float64]:
        return super().costs(_with_nothing(matrix, len(self.classes)))

    def take(self, positions: np.ndarray) -> Placed:
        return Placed(self.classes, self.truth[positions], self.answers[positions])


@dataclass(frozen=True)
class Several:
    """Presence where an image may hold several classes, as for a detector.

    `truth` and `answers` (n, classes) count objects and answers of each class. `outcomes`
    (n, (classes + 1) squared) count, for each true class, nothing being the last, how often it got
    each answer. Where it is None, a class that is in an image and is not called is missed once,
    and one that is called and not there is one false alarm.
    """

    classes: tuple[str, ...]
    truth: np.ndarray
    answers: np.ndarray
    outcomes: csr_array | None = None
    one_each: ClassVar[bool] = False

    def present(self, label: str) -> Mask:
        return np.asarray(self.truth[:, self.classes.index(label)] > 0)

    def called(self, label: str) -> Mask:
        return np.asarray(self.answers[:, self.classes.index(label)] > 0)

    def exact(self) -> Mask:
        return np.asarray(((self.truth > 0) == (self.answers > 0)).all(axis=1))

    def confusion(self) -> NDArray[np.int64]:
        raise TypeError("an image of several classes is not called one; ask for rows of objects")

    def costs(self, matrix: np.ndarray) -> NDArray[np.float64]:
        full = _with_nothing(matrix, len(self.classes))
        if self.outcomes is not None:
            spent: NDArray[np.float64] = self.outcomes @ full.ravel()
            return spent
        there, called = self.truth > 0, self.answers > 0
        return np.asarray(
            (there & called) @ np.diagonal(full)[:-1]
            + (there & ~called) @ full[:-1, -1]
            + (~there & called) @ full[-1, :-1]
        )

    def differs(self, other: Several) -> Mask:
        return np.asarray((self.answers != other.answers).any(axis=1))

    def take(self, positions: np.ndarray) -> Several:
        outcomes = None if self.outcomes is None else self.outcomes[positions]
        return Several(self.classes, self.truth[positions], self.answers[positions], outcomes)


def outcomes_of(
    row: np.ndarray, truth: np.ndarray, answers: np.ndarray, *, shape: tuple[int, int]
) -> csr_array:
    """`Several.outcomes` of `shape` (rows, classes) from the row, true and answered class of each.

    All (e,); -1 stands for nothing.
    """
    n, n_classes = shape
    true, said = (np.where(side < 0, n_classes, side) for side in (truth, answers))
    cell = true * (n_classes + 1) + said
    ones = np.ones(len(row), dtype=np.int64)
    return csr_array((ones, (row, cell)), shape=(n, (n_classes + 1) ** 2))


def _with_nothing(matrix: np.ndarray, n_classes: int) -> NDArray[np.float64]:
    """Costs with a last row and column for nothing, of 0 where the costs have none."""
    lacking = n_classes + 1 - len(matrix)
    return np.pad(np.asarray(matrix, dtype=np.float64), (0, lacking))
