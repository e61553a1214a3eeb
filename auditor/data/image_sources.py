"""Where a split's images lie: a folder on this disk, a place elsewhere, or tar files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pandas as pd

from auditor.data.image_files import path_of_object
from auditor.data.image_folder import NOT_DATA, files_in, image_names
from auditor.data.images import is_image_name
from auditor.data.manifest_table import ManifestTable
from auditor.data.tar_shards import TarShards, is_tar, read_shards, samples
from auditor.errors import DataError
from auditor.remote import objects
from auditor.remote.cache import RemoteObject
from auditor.remote.urls import is_url, joined, shown_url
from auditor.spec import ColumnsSpec


class ImageSource(Protocol):
    """What names of images are relative to."""

    @property
    def place(self) -> str:
        """The folder's absolute path, or the URL: what an absolute name begins with."""
        ...

    def files(self, names: Sequence[str]) -> Mapping[str, set[str]]:
        """Files by the folder that they lie in; of those folders at least that `names` lie in."""
        ...

    def path(self, name: str) -> str:
        """The `path` of an image (`auditor.data.image_files`)."""
        ...

    def rows(self, columns: ColumnsSpec, *, named: str) -> ManifestTable:
        """The rows of images that come without a manifest."""
        ...


def image_source(place: str, *, named: str) -> ImageSource:
    """What lies at a path or URL; raises DataError where it cannot be read."""
    if is_tar(place) and not os.path.isdir(place):
        return Tars(place, read_shards(place, named=named))
    return Elsewhere(place, named) if is_url(place) else Folder(Path(place))


@dataclass(frozen=True)
class Folder:
    """A folder on this disk."""

    folder: Path

    @property
    def place(self) -> str:
        return self.folder.absolute().as_posix()

    def files(self, names: Sequence[str]) -> Mapping[str, set[str]]:
        # One listing a folder: asking file by file costs seconds for a million images.
        parents = {name.rpartition("/")[0] for name in names}
        return {p: files_in(self.folder / p, within=self.folder) for p in parents}

    def path(self, name: str) -> str:
        return f"{self.folder.absolute()}/{name}"

    def rows(self, columns: ColumnsSpec, *, named: str) -> ManifestTable:
        return _by_folder(image_names(self.folder, named=named), columns)


@dataclass(frozen=True)
class Elsewhere:
    """A folder over the network. A web server lists nothing: it is asked for each name."""

    place: str
    named: str
    _found: dict[str, objects.Found] = field(default_factory=dict, repr=False)

    def files(self, names: Sequence[str]) -> Mapping[str, set[str]]:
        if not names:
            return {}
        if self.place.startswith("http"):
            asked = {joined(self.place, name): name for name in names if name}
            found = self._asked(asked)
            self._found.update({asked[url]: each for url, each in found.items()})
        elif not self._found:
            self._list()
        held: dict[str, set[str]] = {name.rpartition("/")[0]: set() for name in names}
        for name in self._found:
            parent, _, last = name.rpartition("/")
            held.setdefault(parent, set()).add(last)
        return held

    def _asked(self, urls: Mapping[str, str]) -> dict[str, objects.Found]:
        try:
            return {url: each for url, each in objects.infos(urls).items() if each is not None}
        except OSError as error:
            raise self._refused(error) from error

    def _list(self) -> None:
        try:
            self._found.update(objects.listing(self.place))
        except OSError as error:
            raise self._refused(error) from error
        if not self._found:
            raise DataError(
                f"{self.named}: there is nothing at {shown_url(self.place)!r}. Correct the URL of "
                "the folder that holds the images."
            )

    def _refused(self, error: OSError) -> DataError:
        return DataError(
            f"{self.named}: {shown_url(self.place)!r} cannot be read: {error.strerror}. Give "
            "credentials that may list and read it in the environment (README, Data elsewhere)."
        )

    def path(self, name: str) -> str:
        url = joined(self.place, name)
        found = self._found.get(name)
        return url if found is None else path_of_object(RemoteObject.of(url, found))

    def rows(self, columns: ColumnsSpec, *, named: str) -> ManifestTable:
        self._list()
        names = [name for name in self._found if is_image_name(name) and not _is_hidden(name)]
        return _by_folder(sorted(names, key=_files_first), columns)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part in NOT_DATA for part in name.split("/"))


def _files_first(name: str) -> list[tuple[bool, str]]:
    """The order of `image_names`: a folder's files before its folders."""
    *folders, last = name.split("/")
    return [*((True, folder) for folder in folders), (False, last)]


@dataclass(frozen=True)
class Tars:
    """Members of tar files."""

    place: str
    tars: TarShards

    def files(self, names: Sequence[str]) -> Mapping[str, set[str]]:
        held: dict[str, set[str]] = {name.rpartition("/")[0]: set() for name in names}
        for name in self.tars.members:
            parent, _, last = name.rpartition("/")
            held.setdefault(parent, set()).add(last)
        return held

    def path(self, name: str) -> str:
        return self.tars.path(name)

    def rows(self, columns: ColumnsSpec, *, named: str) -> ManifestTable:
        label = columns.label if isinstance(columns.label, str) else None
        return samples(self.tars, image=columns.image, label=label, named=named)


def _by_folder(names: Sequence[str], columns: ColumnsSpec) -> ManifestTable:
    """Images by class: the first folder on an image's path is its label."""
    labels = [name.partition("/")[0] if "/" in name else None for name in names]
    frame = pd.DataFrame({columns.image: pd.Series(names, dtype="str")})
    if isinstance(columns.label, str) and any(label is not None for label in labels):
        frame[columns.label] = pd.Series(labels, dtype="str")
    return ManifestTable(frame)
