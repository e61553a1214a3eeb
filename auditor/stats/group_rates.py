"""A rate of each of many groups against the rest, counted once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.design_effects import Effective, counted_contrast
from auditor.stats.estimates import RateDifference

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class GroupRates:
    """Outcomes 0 and 1 (n,), sorted by group; `ends` (groups + 1,) say where each group's lie.

    `unit` (n,) are whole numbers from 0, None where every image is its own unit; `found` and
    `images` (units,) are the successes and the images of each unit, of all groups together.
    """

    success: Mask
    unit: Codes | None
    ends: Codes
    found: NDArray[np.float64]
    images: Codes

    @classmethod
    def of(cls, success: Mask, *, group: Codes, groups: int, unit: Codes | None) -> GroupRates:
        """Of the codes `group` (n,), from 0 and below `groups`."""
        # Numbers of 16 bits are sorted in one pass.
        short = group.astype(np.int16) if groups < 2**15 else group
        order = np.argsort(short, kind="stable")
        ends = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
        owner = np.zeros(len(success), dtype=np.int64) if unit is None else unit
        return cls(
            success=success[order],
            unit=None if unit is None else unit[order],
            ends=ends,
            found=np.bincount(owner, weights=success).astype(np.float64),
            images=np.bincount(owner),
        )

    def difference(self, group: int) -> RateDifference:
        """`auditor.stats.rate_difference` of a group's images; errors as there."""
        among = slice(*self.ends[group : group + 2].tolist())
        owner = np.zeros(among.stop - among.start, dtype=np.int64)
        owner = owner if self.unit is None else self.unit[among]
        units = len(self.images)
        own = np.bincount(owner, weights=self.success[among], minlength=units)
        size = np.bincount(owner, minlength=units)
        found, images = np.stack([self.found - own, own]), np.stack([self.images - size, size])
        (x_rest, x), (n_rest, n) = found.sum(axis=1).tolist(), images.sum(axis=1).tolist()
        if not (n and n_rest):
            raise ValueError(f"comparison: found {n} in the group and {n_rest} in the rest, "
                             "expected at least one in each")  # fmt: skip
        worth = Effective(1.0, None) if self.unit is None else counted_contrast(found, images)
        deff = worth.deff
        return RateDifference(x / deff, n / deff, x_rest / deff, n_rest / deff, worth.df)
