"""What is handed on, and to whom nothing is: names of images and people, pictures."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from auditor.spec.bounds import FilePath
from auditor.spec.spec_part import Fraction, SpecPart

PICTURES = "pictures"
ANNOTATORS = "annotators"
"""What a declaration with the key ``basis-...`` may be about beside attributes of people."""

Region = tuple[Fraction, Fraction, Fraction, Fraction]


class PrivacySpec(SpecPart):
    """Whether the record and its renderings name images and units as the manifest does.

    Annotators are never named without a declaration `basis-annotators`.

    `plan` and messages on the terminal name them as the manifest does: who runs the audit must find
    the rows there.
    """

    images: Literal["names", "pseudonyms"] = "names"
    key: FilePath | None = None
    """A file of secret bytes, 16 or more: with another key, or none, nobody can tell which image a
    pseudonym stands for. It belongs in no folder that is handed on."""

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if self.images == "pseudonyms" and self.key is None:
            raise ValueError(
                "images are to have pseudonyms, which need a secret key; make one with  openssl "
                "rand -hex 32 > pseudonyms.key  and write key: pseudonyms.key"
            )
        return self


class PicturesSpec(SpecPart):
    """Thumbnails of the images that findings rest on; needs a declaration `basis-pictures`."""

    public: bool = False
    """Whether the report itself shows them too, and not a confidential page alone."""
    most: int = Field(default=4, ge=1, le=12)
    """Pictures of one finding."""
    side: int = Field(default=192, ge=32, le=256)
    """Pixels of a picture's longer side."""
    blur: Annotated[tuple[Region, ...], Field(max_length=20)] = ()
    """Regions that are made unrecognisable in every picture: x0, y0, x1, y1, as fractions."""
    blur_column: str | None = None
    """A column of the manifests with such regions of each image (faces, plates), written as
    `x0 y0 x1 y1; x0 y0 x1 y1`."""

    @model_validator(mode="after")
    def _regions_have_area(self) -> Self:
        for x0, y0, x1, y1 in self.blur:
            if x0 >= x1 or y0 >= y1:
                raise ValueError(
                    f"blur: the region {[x0, y0, x1, y1]} is empty; give [x0, y0, x1, y1] rising"
                )
        return self


class ReportSpec(SpecPart):
    """What the report shows beside numbers; no picture unless `pictures` asks for it."""

    pictures: PicturesSpec | None = None
