"""Images whose shape is of one class and whose texture is of another, as the spec names them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from auditor.spec.bounds import FilePath
from auditor.spec.spec_part import SpecPart


class CueConflictColumns(SpecPart):
    """Which columns of the manifest hold what; `unit` is what was drawn from independently."""

    image: str = "image"
    shape: str = "shape"
    texture: str = "texture"
    unit: str | None = None


class CueConflictSpec(SpecPart):
    """A manifest of images with the class of their shape and of their texture, a row each.

    `categories` are what shapes and textures are called, each with the classes of the model that
    belong to it: its score is their mean. ``imagenet-16`` are the sixteen of Geirhos et al. (2019)
    for a model of the 1,000 ImageNet classes in their usual order. Left out, each class of the
    model is a category.
    """

    manifest: FilePath
    images: FilePath | None = None
    columns: CueConflictColumns = CueConflictColumns()
    categories: Literal["imagenet-16"] | dict[str, tuple[str, ...]] | None = Field(default=None)

    @model_validator(mode="after")
    def _categories_have_classes(self) -> Self:
        if isinstance(self.categories, dict):
            empty = [name for name, classes in self.categories.items() if not classes]
            if empty or len(self.categories) < 2:
                found = f"{empty[0]!r} has none" if empty else "there is one category"
                raise ValueError(
                    f"categories: {found}; name at least two categories, each with the classes of "
                    "the model that belong to it"
                )
        return self
