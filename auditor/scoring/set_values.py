"""The value of a whole set of images, with what each image adds to its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class EmptySetError(ValueError):
    """A set that holds nothing to be measured by: no object, no true pixel."""


@dataclass(frozen=True)
class SetValue:
    """`value` is the mean over the `n_classes` that have one; NaN where none has.

    `by_class` (classes, ...), NaN for classes without; `influence` (images,) sums to 0: what each
    image adds to the error of `value`.
    """

    value: float
    n_classes: int
    by_class: Floats
    influence: Floats

    @property
    def pseudo_observations(self) -> Floats:
        """Numbers of the images whose mean is `value` and whose spread is its error, (images,)."""
        found: Floats = self.value + len(self.influence) * self.influence
        return found
