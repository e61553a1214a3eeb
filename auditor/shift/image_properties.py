"""Properties of the images of a split, read a column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Evidence

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ImageProperties(Mapping[str, Floats]):
    """Of each of `names` the values of the clean subset of a split, (n,) float64, NaN for none.

    Read whenever they are asked for: of a million images all of them are a hundred megabytes.
    """

    evidence: Evidence
    split: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, evidence: Evidence, split: str) -> ImageProperties:
        """All properties."""
        from auditor.data.scan import PROPERTY_NAMES

        return cls(evidence, split, tuple(PROPERTY_NAMES))

    def among(self, names: list[str]) -> ImageProperties:
        """Those of `names` alone, in that order."""
        return replace(self, names=tuple(names))

    def __getitem__(self, name: str) -> Floats:
        if name not in self.names:
            raise KeyError(name)
        found = self.evidence.scan(self.split, columns=[name])[name]
        return found.to_numpy(dtype=np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
