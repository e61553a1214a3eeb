"""Images of two splits as the model sees them, and whether they are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Evidence, ManyRows
from auditor.findings import Subject, Unmeasured
from auditor.shift.domain_classifier import area_of
from auditor.shift.sides import Sides
from auditor.stats import Normal, holm
from auditor.stats.classifier_test import ClassifierTest, classifier_test
from auditor.stats.kernel_test import KernelTest, kernel_test
from auditor.stats.two_samples import TwoSamples, pooled_components

ALPHA = 0.05

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def embedded(
    evidence: Evidence, at: tuple[Codes, Codes], *, splits: tuple[str, str] = ("test", "deployment")
) -> Floats | None:
    """Principal components of both splits' embeddings at the positions `at`, (n, d).

    Those of the first split come first. None where nothing varies, or nothing is a number.
    """
    both = np.concatenate(
        [
            np.asarray(evidence.embedding(split)[rows], dtype=np.float64)
            for split, rows in zip(splits, at, strict=True)
        ]
    )
    finite = np.isfinite(both).all(axis=0)
    return pooled_components(both[:, finite]) if finite.any() else None


@dataclass(frozen=True, eq=False)
class BothEmbeddings:
    """The embeddings of all images of two splits, (n, d), those of the first first; read by row."""

    first: ManyRows
    second: ManyRows

    @property
    def shape(self) -> tuple[int, int]:
        """Images and numbers of each."""
        return self.first.shape[0] + self.second.shape[0], self.first.shape[1]

    def __getitem__(self, rows: Codes | slice) -> NDArray[Any]:
        n = self.first.shape[0]
        at = np.arange(self.shape[0])[rows] if isinstance(rows, slice) else rows
        found = np.empty((len(at), self.shape[1]), dtype=np.float64)
        found[at < n] = self.first[at[at < n]]
        found[at >= n] = self.second[at[at >= n] - n]
        return found


def nothing_seen(name: str, subject: Subject) -> Unmeasured:
    """The reason where `embedded` is None."""
    return Unmeasured(
        name=name,
        subject=subject,
        reason="The embedding is the same for all test and deployment images, or holds no numbers.",
        remedy="Name the tensor before the last layer under `model.embedding`.",
    )


@dataclass(frozen=True)
class ToldApart:
    """Two tests of two samples, and the `area` of the classifier's with its standard error.

    `scores` are of the images here, and there: how much each looks like those there.
    """

    classifier: ClassifierTest
    kernel: KernelTest
    area: Normal
    scores: tuple[Floats, Floats]

    def shown(self, *, looks: int) -> dict[str, Any]:
        """Facts: the p-value of both tests (Holm), for so many looks, and whether it shows."""
        p = min(1.0, looks * min(holm([self.classifier.p_value, self.kernel.p_value])))
        return {"p": p, "shown": p <= ALPHA, "not_shown": p > ALPHA}


def told_apart(
    features: Floats, sides: Sides, *, rng: np.random.Generator, permutations: int
) -> ToldApart:
    """Whether images there are told from images here by `features` (n, d), those here first."""
    samples = TwoSamples.of(sides.here.unit, sides.there.unit)
    classifier = classifier_test(features, samples, rng=rng, permutations=permutations)
    kernel = kernel_test(features, samples, rng=rng, permutations=permutations)
    n = len(sides.here.unit)
    scores = classifier.scores[:n], classifier.scores[n:]
    return ToldApart(classifier, kernel, area_of(*scores, sides=sides), scores)
