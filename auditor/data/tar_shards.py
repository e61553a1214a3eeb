"""Images in tar files, as WebDataset writes them: what lies where; nothing is unpacked.

Files of one name up to the first dot are one sample: ``000017.jpg`` with ``000017.cls`` (its label)
and ``000017.json`` (its other columns).
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from auditor.data.image_files import ImageFiles, opened_file, path_in_tar, path_of_object
from auditor.data.image_folder import is_utf8
from auditor.data.images import is_image_name
from auditor.data.manifest_table import MOST_ROWS, ManifestTable, value_text
from auditor.errors import DataError
from auditor.opening import why_not
from auditor.remote.cache import RemoteObject
from auditor.remote.objects import info
from auditor.remote.urls import is_url, shown_url

MOST_SHARDS, MOST_SHARD_BYTES = 100_000, 10**11
_MOST_TEXT, _MOST_HEADER = 1 << 20, 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK)  # fmt: skip
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class Member:
    """A regular file in a tar file: its name there, its bytes, the shard by number."""

    name: str
    start: int
    size: int
    shard: int

    @property
    def sample(self) -> str:
        folder, slash, name = self.name.rpartition("/")
        return f"{folder}{slash}{name.partition('.')[0]}"


@dataclass(frozen=True)
class TarShards:
    """The members of some tar files, by name; `shards` are their paths (`image_files`)."""

    shards: tuple[str, ...]
    members: dict[str, Member]

    def path(self, name: str) -> str:
        """The `path` that a member is read by; that of no file where there is none."""
        found = self.members.get(name)
        return (
            "" if found is None else path_in_tar(self.shards[found.shard], found.start, found.size)
        )


def is_tar(place: str) -> bool:
    """Whether a place of images is meant as tar files."""
    return place.lower().endswith((".tar", *_COMPRESSED))


def shard_places(place: str, *, named: str) -> tuple[str, ...]:
    """The files that a place names: ``shard-{000..012}.tar`` are thirteen."""
    if place.lower().endswith(_COMPRESSED):
        raise DataError(
            f"{named}: {shown_url(place)!r} is compressed, so that no image can be read from its "
            "middle. Write plain .tar files; images are compressed themselves."
        )
    found = _RANGE.search(place)
    if found is None:
        return (place,)
    first, last = found.groups()
    if not int(first) <= int(last) < int(first) + MOST_SHARDS:
        raise DataError(
            f"{named}: found {found.group()}, expected two numbers that rise by less than "
            f"{MOST_SHARDS:,}, as {{000..012}}."
        )
    numbers = (str(i).zfill(len(first)) for i in range(int(first), int(last) + 1))
    parts = (f"{place[: found.start()]}{number}{place[found.end() :]}" for number in numbers)
    return tuple(each for part in parts for each in shard_places(part, named=named))


def read_shards(place: str, *, named: str) -> TarShards:
    """Index the tar files of a place; raises DataError for one that is not whole."""
    shards: list[str] = []
    members: dict[str, Member] = {}
    for number, shard in enumerate(shard_places(place, named=named)):
        told = f"{named}: {shown_url(shard)!r}"
        file = _file(shard, told)
        shards.append(file if isinstance(file, str) else path_of_object(file))
        for member in _members(file, number, told):
            first = members.setdefault(member.name, member)
            if first is not member:
                raise DataError(
                    f"{told} holds {member.name!r}, as shard {first.shard + 1} does. Give every "
                    "image a name of its own."
                )
            if len(members) > MOST_ROWS:
                raise DataError(f"{named} holds more than {MOST_ROWS:,} files. Audit some of them.")
    return TarShards(tuple(shards), members)


def _file(shard: str, told: str) -> str | RemoteObject:
    if not is_url(shard):
        problem = why_not(Path(shard), at_most=MOST_SHARD_BYTES)
        if problem is not None:
            raise DataError(f"{told} {problem}. Correct the path, or the numbers in braces.")
        return shard
    try:
        found = info(shard)
    except OSError as error:
        raise DataError(f"{told} cannot be read: {error.strerror}. Correct the URL, or see to the "
                        "rights of the credentials in the environment.") from error  # fmt: skip
    if found is None:
        raise DataError(f"{told} is not there. Correct the URL, or the numbers in braces.")
    return RemoteObject.of(shard, found)


def _members(file: str | RemoteObject, number: int, told: str) -> Iterator[Member]:
    try:
        with opened_file(file) as opened:
            yield from _members_of(opened, number, told)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        # Of a header that nobody writes `tarfile` raises what its numbers happen to lead to.
        said = error if isinstance(error, tarfile.TarError) else "a header that makes no sense"
        raise DataError(
            f"{told} is no whole tar file ({said}). Copy it again; nothing of it was used."
        ) from error
    except OSError as error:
        raise DataError(
            f"{told} cannot be read: {error.strerror}. Give plain .tar files."
        ) from error


def _members_of(opened: BinaryIO, number: int, told: str) -> Iterator[Member]:
    with tarfile.open(fileobj=opened, mode="r:", tarinfo=_Bounded) as tar:
        before = -1
        while (found := tar.next()) is not None:
            # Its list of members would grow with the file.
            tar.members = []  # type: ignore[attr-defined]
            if found.size < 0 or tar.offset <= before:
                # With a size below nothing the next member would be one that was read: no end.
                raise tarfile.ReadError(f"a member of {found.size:,} bytes")
            before = tar.offset
            name = found.name.removeprefix("./")
            _require_inside(name, told)
            if found.isreg() and not found.issparse():
                yield Member(name, found.offset_data, found.size, number)
        opened.seek(tar.offset)
        if opened.read(_BLOCK) != bytes(_BLOCK):
            raise tarfile.ReadError(f"it ends, or is damaged, at byte {tar.offset:,}")


class _Bounded(tarfile.TarInfo):
    """Refuses long names and other headers of a size that would fill the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and not 0 <= self.size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


def _require_inside(name: str, told: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\0" in name or not is_utf8(name):
        raise DataError(
            f"{told} holds the name {name[:80]!a}, which leads out of it or is not UTF-8. Write "
            "the tar file anew with plain names; nothing of it was unpacked."
        )


def samples(found: TarShards, *, image: str, label: str | None, named: str) -> ManifestTable:
    """One row for each image: its label from ``.cls``, else from its folder; ``.json`` beside."""
    beside: dict[str, dict[str, Member]] = {}
    for member in found.members.values():
        if member.name.endswith((".cls", ".json")):
            beside.setdefault(member.sample, {})[member.name.rpartition(".")[2]] = member
    rows, texts = [], _Texts(found.shards, named)
    for member in found.members.values():
        hidden = any(part.startswith(".") for part in member.name.split("/"))
        if is_image_name(member.name) and not hidden:
            rows.append(_row(member, beside.get(member.sample, {}), texts, image, label))
    names = dict.fromkeys(name for row in rows for name in row)
    frame = {name: pd.Series([row.get(name) for row in rows], dtype="str") for name in names}
    return ManifestTable(pd.DataFrame(frame))


def _row(
    member: Member, beside: dict[str, Member], texts: _Texts, image: str, label: str | None
) -> dict[str, str | None]:
    row: dict[str, str | None] = {}
    if "json" in beside:
        row |= texts.columns(beside["json"])
    row[image] = member.name
    if label is not None and "cls" in beside:
        row[label] = texts.text(beside["cls"]).strip() or None
    elif label is not None and label not in row and "/" in member.name:
        row[label] = member.name.partition("/")[0]
    return row


class _Texts:
    """Reads small members, holding the tar file that was read last."""

    def __init__(self, shards: Sequence[str], named: str) -> None:
        self._shards, self._named, self._files = shards, named, ImageFiles()

    def text(self, member: Member) -> str:
        if member.size > _MOST_TEXT:
            raise self._wrong(member, f"has {member.size:,} bytes, expected a short text")
        content = self._files.read(
            path_in_tar(self._shards[member.shard], member.start, member.size)
        )
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self._wrong(member, "is not UTF-8") from None

    def columns(self, member: Member) -> dict[str, str | None]:
        try:
            found = json.loads(self.text(member))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._wrong(member, 'is not a JSON object, as {"room": "a4"}')
        return {str(name).strip(): value_text(value) for name, value in found.items()}

    def _wrong(self, member: Member, what: str) -> DataError:
        return DataError(f"{self._named}: the file {member.name!r} of shard {member.shard + 1} "
                         f"{what}. Write the shard anew.")  # fmt: skip
