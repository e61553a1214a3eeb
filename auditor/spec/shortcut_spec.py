"""Known artefacts to probe, as the spec names them."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from auditor.spec.bounds import FilePath
from auditor.spec.spec_part import Fraction, SpecPart


class ShortcutSpec(SpecPart):
    """A known artefact to probe: a region, a picture in it, or a change of the whole picture.

    `region` (x0, y0, x1, y1) is in fractions of the model's frame; `patch` is a picture of the
    artefact (PNG, alpha used) to add in it. `transform` names a change instead of a region: one
    that is added to every image (a corruption's kind, ``grey``, ``tint``, ``mirror``), or a
    component that is exchanged (``colour``, ``sharpness``, ``border``, ``coarse pattern``).
    `carried_by` names the attribute value of images known to carry it.
    """

    name: str
    region: tuple[Fraction, Fraction, Fraction, Fraction] | None = None
    patch: FilePath | None = None
    transform: str | None = None
    carried_by: dict[str, str] | None = None

    @model_validator(mode="after")
    def _region_has_area(self) -> Self:
        if (self.region is None) == (self.transform is None):
            raise ValueError("give either a region or a transform of the whole picture")
        if self.region is None:
            if self.patch is not None:
                raise ValueError("a patch needs the region that it is put in; give one")
            return self
        x0, y0, x1, y1 = self.region
        if x0 >= x1 or y0 >= y1:
            raise ValueError(f"region {list(self.region)} is empty; give [x0, y0, x1, y1] rising")
        return self
