"""Labelled test images as the model describes them: a few directions of its embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.same_truth import own_units, truth_strata
from auditor.contract import Evidence
from auditor.findings import Subject, Unmeasured
from auditor.scoring.rows import Rows
from auditor.stats.resampling import whole_units
from auditor.stats.two_samples import pooled_components

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """Images with truth: `features` (n, d) are principal components of the embedding, of unit
    variance on average.

    `unit` (n,) are codes of their units without gaps (images, where none is named), `strata`
    codes of what is true of them. `of_all` is of how many they were drawn.
    """

    rows: Rows
    features: Floats
    unit: Codes
    strata: Codes
    of_all: int

    @property
    def units(self) -> Codes | None:
        """`unit`, None where the manifest names none."""
        return self.unit if self.rows.dataset.has_units else None

    @property
    def drawn(self) -> dict[str, Any]:
        """Facts: how many were drawn, where not all were looked at."""
        n = len(self.rows)
        return {} if n >= self.of_all else {"drawn": n, "of_all": self.of_all}

    def take(self, keep: NDArray[np.bool_]) -> Seen:
        """The images under the mask `keep`; `of_all` less those left out as unknown."""
        if keep.all():
            return self
        whole = len(self.rows) >= self.of_all
        rows = self.rows.take(keep)
        return replace(
            self,
            rows=rows,
            features=self.features[keep],
            unit=np.unique(self.unit[keep], return_inverse=True)[1],
            strata=self.strata[keep],
            of_all=len(rows) if whole else self.of_all,
        )


def seen(
    evidence: Evidence, *, most: int, rng: np.random.Generator, by_label: bool = False
) -> Seen | None:
    """At most `most` labelled test images, in whole units drawn at random.

    `by_label` with groups that can be counted by class. None where the embedding does not vary.
    """
    rows = evidence.scored("test", of="image")
    rows = rows.by_label() if by_label else rows
    known = np.flatnonzero(rows.known)
    at = whole_units(known, unit=rows.unit_codes, most=most, rng=rng)
    embedding = np.asarray(evidence.embedding("test")[at], dtype=np.float64)
    finite = np.isfinite(embedding).all(axis=0)
    components = pooled_components(embedding[:, finite]) if finite.any() and len(at) > 1 else None
    if components is None:
        return None
    drawn = rows.take(at)
    scale = float(np.sqrt((components**2).mean()))
    return Seen(
        rows=drawn,
        features=components / scale,
        unit=own_units(drawn),
        strata=truth_strata(drawn),
        of_all=len(known),
    )


def nothing_seen(name: str) -> Unmeasured:
    """Why the measure `name` cannot be taken where nothing is `seen`."""
    return Unmeasured(
        name=name,
        subject=Subject.of(split="test"),
        reason="The embedding is the same for all labelled test images, or holds no numbers.",
        remedy="Name the tensor before the last layer under `model.embedding`.",
    )
