"""What is compared: images of two splits, their units, and the copies among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.contract import Evidence
from auditor.findings import Subject, Unmeasured
from auditor.stats.codes import codes_of, distinct

MIN_UNITS = 30
"""Fewer independent units than this a side, and samples of one source differ by luck."""

MOST_COPIES = 0.05
"""Share of the deployment images that may be changed copies of test images."""


@dataclass(frozen=True)
class Sampled:
    """The images of one split: unit codes (n,), and one image of each unit, drawn at random.

    Images of one unit of the manifest, and copies of one photograph, are of one unit here; all
    others are their own. `named` says that the manifest names units. `apart` tells, in parentheses,
    how many of its images were set apart before, "" for none.
    """

    split: str
    unit: NDArray[np.int64]
    named: bool
    one_a_unit: NDArray[np.bool_]
    apart: str = ""

    @classmethod
    def of(cls, evidence: Evidence, split: str, *, rng: np.random.Generator) -> Sampled:
        """The clean subset of a split."""
        dataset, n = evidence.dataset(split), len(evidence.dataset(split))
        named = np.arange(n) if dataset.unit_codes is None else dataset.unit_codes
        unit = linked(named, photographs(evidence, split))
        # Backwards, so that of each unit the first of all stays, without a sort of all images.
        shuffled, first = rng.permutation(n)[::-1], np.empty(distinct(unit), dtype=np.int64)
        first[unit[shuffled]] = shuffled
        chosen = np.zeros(n, dtype=bool)
        chosen[first] = True
        return cls(split, unit, dataset.has_units, chosen, _apart(evidence, split))

    def units(self, keep: NDArray[np.bool_] | None = None) -> int:
        """Independent units, of the images under a mask (n,)."""
        return distinct(self.unit if keep is None else self.unit[keep])

    def take(self, at: NDArray[np.int64]) -> Sampled:
        """The images at the positions `at`, which hold whole units, or units without copies."""
        one = self.one_a_unit[at]
        return Sampled(self.split, codes_of(self.unit[at]), self.named, one, self.apart)

    @property
    def clustered(self) -> bool:
        return self.named or not self.one_a_unit.all()


@dataclass(frozen=True)
class Sides:
    """Two splits held against each other, images in the order of their values.

    `there` is what is compared with `here`: deployment images with test images.
    """

    here: Sampled
    there: Sampled

    @classmethod
    def of(
        cls, evidence: Evidence, *, here: str = "test", there: str = "deployment",
        rng: np.random.Generator,
    ) -> Sides:  # fmt: skip
        first = Sampled.of(evidence, here, rng=rng)
        return cls(first, Sampled.of(evidence, there, rng=rng))

    @property
    def noun(self) -> str:
        return "units" if self.here.named or self.there.named else "images"

    def take(self, here: NDArray[np.int64], there: NDArray[np.int64]) -> Sides:
        """The images at the positions of each side."""
        return Sides(self.here.take(here), self.there.take(there))

    @property
    def clustered(self) -> bool:
        """Whether some images of a side are not independent of each other."""
        return self.here.clustered or self.there.clustered

    @property
    def subject(self) -> Subject:
        """What a measure of one against the other is about."""
        return Subject(split=self.there.split)

    def too_few(
        self,
        name: str,
        subject: Subject,
        *,
        among: str = "",
        here: NDArray[np.bool_] | None = None,
        there: NDArray[np.bool_] | None = None,
    ) -> Unmeasured | None:
        """Why there is no comparison, when a side (under its mask) has too few units."""
        sides = ((self.here, here), (self.there, there))
        found = {side.split: side.units(mask) for side, mask in sides}
        short = {side: n for side, n in found.items() if n < MIN_UNITS}
        if not short:
            return None
        apart = {side.split: side.apart for side, _ in sides}
        had = " and ".join(f"{n} {side} {self.noun}{apart[side]}" for side, n in short.items())
        more = " and ".join(f"{MIN_UNITS - n} more {side} {self.noun}" for side, n in short.items())
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"Only {had}{among}: fewer than {MIN_UNITS} differ from any others by luck.",
            remedy=f"Add at least {more}.",
        )


def _apart(evidence: Evidence, split: str) -> str:
    """How many images of a split were set apart, and for what, in parentheses."""
    counts = evidence.soundness().summary()[split]
    found = [f"{counts[why]:,} {said}" for why, said in _WHY.items() if counts[why]]
    left_out = counts["images"] - counts["sound"]
    if not found or not left_out:
        return ""
    return f" ({left_out:,} of {counts['images']:,} images were set apart: {', '.join(found)})"


_WHY = {
    "in_test": "copies of test images",
    "seen_image": "copies of training images",
    "seen_unit": "of units seen in training",
    "duplicate": "repeated",
    "conflicting_label": "with two labels",
    "unreadable": "unreadable",
}
"""What images are set apart for, as `Soundness.summary` counts it, in words."""


def photographs(evidence: Evidence, split: str) -> NDArray[np.int64]:
    """A number that copies of one photograph share, also across splits; (n,), clean subset."""
    soundness = evidence.soundness()
    numbers: NDArray[np.int64] = soundness.photographs[split][soundness.keep(split)]
    return numbers


def linked(unit: NDArray[np.int64], photograph: NDArray[np.int64]) -> NDArray[np.int64]:
    """A code that images share that are of one unit or one photograph, or linked by others.

    `unit` and `photograph` (n,) are numbers. Codes rise with the least unit of those linked.
    """
    ordered = np.sort(photograph)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return codes_of(unit)
    # Of most photographs there is one image: what links units is little of a million images.
    copies = np.flatnonzero(np.isin(photograph, repeated))
    units, ours = np.unique(unit[copies], return_inverse=True)
    theirs = len(units) + np.unique(photograph[copies], return_inverse=True)[1]
    n = int(theirs.max()) + 1
    links = coo_array((np.ones(len(copies)), (ours, theirs)), shape=(n, n))
    together = connected_components(links, directed=False)[1][: len(units)]
    least = units[np.unique(together, return_index=True)[1]][together]
    place = np.searchsorted(units, unit).clip(max=len(units) - 1)
    return codes_of(np.where(units[place] == unit, least[place], unit))


def copied(
    evidence: Evidence, *, here: str = "test", there: str = "deployment"
) -> NDArray[np.bool_]:
    """Mask over the images of `there` (n,): a changed copy of one of `here` is among them."""
    return np.isin(photographs(evidence, there), photographs(evidence, here))


def same_images(evidence: Evidence, name: str) -> Unmeasured | None:
    """Why there is no comparison, when deployment images are copies of test images."""
    mask = copied(evidence)
    copies = int(mask.sum())
    if copies <= MOST_COPIES * len(mask):
        return None
    return Unmeasured(
        name=name,
        subject=Subject(split="deployment"),
        reason=f"{copies} of {len(mask)} deployment images are changed copies of test "
        "images: they cannot show how deployment differs.",
        remedy="Give images from where it will run that are not test images, or set copies "
        "apart with `data.duplicates: {near: set-apart}`.",
    )


def looks(evidence: Evidence) -> int:
    """In how many ways images of two splits are looked at for a difference.

    Properties and predictions, and embeddings where the model has one. P-values are multiplied by
    it (`adjust`), so that in 95 of 100 audits of one source none of them alarms. Each look stays
    a check of its own: that the first of Holm's steps is Bonferroni's is all that an alarm needs.
    """
    return 2 if evidence.model.embedding is None else 3
