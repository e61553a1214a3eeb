"""Pictures that an audit kept of its findings: what they show, where they lie, on what ground."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditor.errors import DataError
from auditor.opening import shown_path

PUBLIC, CONFIDENTIAL = "pictures", "confidential"
"""Folders of pictures beside the record: one that is handed on, one that no bundle holds."""

PAGE = "pictures.html"
"""The page that shows them."""


def picture_folder(folder: Path, name: str) -> Path:
    """Where pictures lie in an output folder; raises DataError where a link leads elsewhere."""
    found = folder / name
    if found.is_symlink():
        raise DataError(
            f"{shown_path(found)} is a link; pictures of an audit are written into its own folder "
            "alone. Remove the link, or give another --out."
        )
    return found


@dataclass(frozen=True)
class Picture:
    """A thumbnail: of which image of which split, its file in the folder, and its SHA-256.

    `label` and `answer` are what is true of it and what the model said, empty where that is no
    single class; `form` is the form of the model that said it, empty where not known. An image that
    could not be read has no `file`.
    """

    image: str
    split: str
    file: str
    sha256: str
    width: int
    height: int
    label: str = ""
    answer: str = ""
    form: str = ""


@dataclass(frozen=True)
class PicturesOf:
    """Pictures of a finding by their places in `PictureSet.pictures`.

    Worst first where they are `ranked`, else examples.
    """

    finding: str
    pictures: tuple[int, ...]
    ranked: bool


@dataclass(frozen=True)
class PictureSet:
    """All pictures of an audit. `basis` says on what ground they are shown, and who declares it.

    `blurred` says that declared regions were made unrecognisable, `more` counts the findings that
    have examples and no pictures.
    """

    basis: str
    public: bool
    blurred: bool
    pictures: tuple[Picture, ...]
    of: tuple[PicturesOf, ...]
    more: int = 0

    @property
    def folder(self) -> str:
        return PUBLIC if self.public else CONFIDENTIAL
