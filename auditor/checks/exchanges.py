"""The same images with a part exchanged twice: by a donor of their class and by one of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from auditor.comparing.pairs import Pair
from auditor.contract import Evidence
from auditor.data.dataset import Dataset
from auditor.data.donors import donor_rows
from auditor.data.image_names import ImageNames
from auditor.data.views import Donor
from auditor.findings import Measure, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.rows import Rows
from auditor.stats import crossed_paired_difference, mean, rate


@dataclass(frozen=True)
class Donors:
    """Who gave to each image of a split: `rows` (n,) are the positions of the donors, -1: none."""

    dataset: Dataset
    rows: np.ndarray

    @classmethod
    def of(cls, evidence: Evidence, kind: Donor) -> Donors:
        """As the sweep dealt them to the test images."""
        dataset = evidence.dataset("test", part="as-given")
        usable = evidence.scan("test", part="as-given")["readable"].to_numpy(dtype=bool)
        rows = donor_rows(dataset, kind, usable=usable, seed=evidence.spec.audit.seed)
        return cls(dataset, rows)

    def units(self, image_ids: ImageNames) -> np.ndarray:
        """The unit of the donor of each image, (n,) of str."""
        donors = self.rows[self.dataset.image_ids.places_of(image_ids)]
        assert (donors >= 0).all(), "an image that was given to has no donor"
        units = self.dataset.units
        found: np.ndarray = self.dataset.image_ids[donors] if units is None else units[donors]
        return found


@dataclass(frozen=True)
class Exchanged:
    """Images with a part from a donor of their class, and with one of another class; (n,) each.

    `same` and `other` say whether they were answered rightly, `sure` how sure the model was of its
    answer to the second. `units` are their own, None where the manifest names none; `donors` those
    of both donors. Images that share one of the three are dependent.
    """

    image_ids: np.ndarray
    labels: np.ndarray
    same: np.ndarray
    other: np.ndarray
    sure: np.ndarray
    units: np.ndarray | None
    donors: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, same: Rows, other: Rows, *, donors: tuple[Donors, Donors]) -> Exchanged:
        """From two passes over images of one class each; those without either donor drop out."""
        pair = Pair.of(same, other)
        ids = pair.first.image_ids
        return cls(
            image_ids=np.asarray(ids),
            labels=pair.first.dataset.labels,
            same=pair.first.right,
            other=pair.second.right,
            sure=pair.second.confidence,
            units=pair.first.units,
            donors=(donors[0].units(ids), donors[1].units(ids)),
        )

    @classmethod
    def joined(cls, parts: Sequence[Exchanged]) -> Exchanged:
        """Of the images of all parts, at least one; no image is in two."""
        units = [part.units for part in parts if part.units is not None]
        return cls(
            image_ids=np.concatenate([part.image_ids for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            same=np.concatenate([part.same for part in parts]),
            other=np.concatenate([part.other for part in parts]),
            sure=np.concatenate([part.sure for part in parts]),
            units=np.concatenate(units) if units else None,
            donors=(
                np.concatenate([part.donors[0] for part in parts]),
                np.concatenate([part.donors[1] for part in parts]),
            ),
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, keep: np.ndarray) -> Exchanged:
        """The images under the mask `keep`."""
        return Exchanged(
            image_ids=self.image_ids[keep],
            labels=self.labels[keep],
            same=self.same[keep],
            other=self.other[keep],
            sure=self.sure[keep],
            units=None if self.units is None else self.units[keep],
            donors=(self.donors[0][keep], self.donors[1][keep]),
        )

    @cached_property
    def _owners(self) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """Codes of their units, and of those of their donors."""
        own = None if self.units is None else pd.factorize(self.units)[0]
        same, other = (pd.factorize(given)[0] for given in self.donors)
        return own, same, other

    @property
    def n_units(self) -> int | None:
        """Independent units; None where the manifest names none."""
        own = self._owners[0]
        return None if own is None else count_units(np.ones(len(self), dtype=bool), own)

    def too_few(self, name: str, subject: Subject) -> Unmeasured | None:
        """Why nothing is measured where images or donors are of fewer than ten units; else None."""
        own, same, other = self._owners
        everyone = np.ones(len(self), dtype=bool)
        sides = {
            "what was exchanged": count_units(everyone, own),
            "what donors of the same class came from": count_units(everyone, same),
            "what donors of another class came from": count_units(everyone, other),
        }
        noun = "images" if own is None else "units"
        return too_few(name, subject, sides=sides, noun=noun)

    def worth(self, name: str, subject: Subject, *, facts: Mapping[str, Any]) -> Measure:
        """Accuracy with the part of the same class minus that with the part of another."""
        own, same, other = self._owners
        return Measure(
            name=name,
            subject=subject,
            estimate=crossed_paired_difference(self.other, self.same, by=(own, same, other)),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=len(self),
            n_units=self.n_units,
            sides=(
                Side(rate(self.same, unit=own), len(self)),
                Side(rate(self.other, unit=own), len(self)),
            ),
            examples=worst_first(self.image_ids, badness=self.sure, among=self.same & ~self.other),
            facts=facts,
        )

    def with_any(self, name: str, subject: Subject) -> Measure:
        """Accuracy with the part of an image of any class, as often as each class is here.

        The part then says nothing of the class.
        """
        shares = np.bincount(self.labels) / len(self)
        own_class = shares[self.labels]
        right = own_class * self.same + (1 - own_class) * self.other
        return Measure(
            name=name,
            subject=subject,
            estimate=mean(right, unit=self._owners[0], span=(0.0, 1.0)),
            scale="share",
            better="higher",
            n=len(self),
            n_units=self.n_units,
        )
