"""What a store holds, and what of it may go: by age, and by the records that still count.

Only files that a store writes are looked at, by their names; whatever else lies there stays.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.contract.numbers import numbered
from auditor.engine.claims import KIND as CLAIMS
from auditor.engine.store import DIGEST, NOTES, OWN_KINDS, SHARED_KINDS
from auditor.engine.used_files import KIND as USED
from auditor.engine.used_files import key_of_record, parsed
from auditor.errors import DataError, SpecError
from auditor.judging.judged_record import read_record
from auditor.opening import shown_bytes
from auditor.remote.objects import Found
from auditor.remote.places import FolderPlace, Place, place_at
from auditor.remote.urls import is_url

LEFTOVERS_AFTER_S = 86_400.0
"""Age of a claim, or of a half-written file, from which nobody is writing it any more."""

_KINDS = "|".join(sorted({*SHARED_KINDS, *NOTES, *OWN_KINDS, CLAIMS}))
_FILE = re.compile(rf"({_KINDS})/([0-9a-f]{{64}})(\.[a-z.0-9]+)?")
_PART = re.compile(rf"({_KINDS})/\..+\.part")
_AGE = re.compile(r"(\d+)([dhw])")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Stored:
    """A file of a store: its kind, its bytes with those of its digest, when it was written."""

    name: str
    size: int
    modified: float

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Pruning:
    """What would be removed, and what is kept because a named record needs it."""

    removed: tuple[Stored, ...]
    needed: tuple[Stored, ...]
    left: int


def store_at(text: str) -> Place:
    """The store that a command names: a URL, a folder, or an output folder that holds one.

    Raises DataError where there is none.
    """
    place = place_at(text, named="auditor store")
    if is_url(text) and not isinstance(place, FolderPlace):
        return place
    assert isinstance(place, FolderPlace)
    inside = place.folder / "store"
    found = FolderPlace(inside) if inside.is_dir() else place
    if not found.folder.is_dir():
        raise DataError(
            f"{text} is no folder. Give a store, or the output folder of an audit that has one."
        )
    return found


def stored(place: Place) -> list[Stored]:
    """The files of a store, each with its digest's; raises DataError where there are none."""
    held = place.files()
    found = [
        Stored(name, each.size + _size(held.get(name + DIGEST)), each.modified)
        for name, each in held.items()
        if _is_stored(name) and not name.endswith(DIGEST)
    ]
    if not found:
        raise DataError(
            f"{place.shown} holds nothing that an audit stored. Give the folder, or the URL, that "
            "`auditor run --store` was given, or an output folder."
        )
    return found


def _is_stored(name: str) -> bool:
    return bool(_FILE.fullmatch(name) or _PART.fullmatch(name))


def _size(found: Found | None) -> int:
    return 0 if found is None else found.size


def usage_lines(place: Place) -> Iterator[str]:
    """What a store holds by kind, and which runs it was used by, for a reader."""
    found = stored(place)
    total = sum(each.size for each in found)
    yield f"{place.shown}: {shown_bytes(total)} in {numbered(len(found), 'file')}"
    for kind in sorted({each.kind for each in found}):
        of_kind = [each for each in found if each.kind == kind]
        size = shown_bytes(sum(each.size for each in of_kind))
        oldest = _days(min(each.modified for each in of_kind))
        yield f"  {kind}: {size} in {numbered(len(of_kind), 'file')}, the oldest {oldest}"
    by_name = {each.name: each for each in found}
    for run in sorted(_runs(place, found), key=lambda run: str(run["started"])):
        needed = [by_name[name] for name in run["files"] if name in by_name]
        size = shown_bytes(sum(each.size for each in needed))
        # Of the other kinds a shared store has none: they stay with the run.
        shared = (name for name in run["files"] if name.partition("/")[0] in SHARED_KINDS)
        gone = sum(name not in by_name for name in shared)
        missing = f"; {gone:,} of its files are gone" if gone else ""
        yield f"  used by {run['title']!r} of {run['started'][:16]}: {size}{missing}"


def _days(modified: float) -> str:
    days = int((time.time() - modified) // 86_400)
    return "of today" if days < 1 else f"{days:,} days old"


def _runs(place: Place, found: Iterable[Stored]) -> Iterator[dict[str, Any]]:
    for each in found:
        if each.kind == USED:
            try:
                yield _note(place, each.name)
            except ValueError:
                continue


def _note(place: Place, name: str) -> dict[str, Any]:
    """A run's note as it was written; raises ValueError where it is none, or was changed."""
    content, stated = place.read(name) or b"", place.read(name + DIGEST) or b""
    if hashlib.sha256(content).hexdigest().encode() != stated.partition(b" ")[0]:
        raise ValueError("not as its digest states")
    return parsed(content)


def age_of(text: str) -> float:
    """Seconds of an age as ``30d``, ``12h`` or ``8w``; raises SpecError for anything else."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise SpecError(
            f"--older-than: found {text[:40]!r}, expected a whole number of hours, days or weeks, "
            "as 12h, 30d or 8w."
        )
    return int(found[1]) * _SECONDS[found[2]]


def pruning(place: Place, *, older_than: float | None, keep: Sequence[Path]) -> Pruning:
    """What may go: all that no record of `keep` needs, where an age is given of that age alone.

    Raises DataError where the store does not know what one of these records was made from: then
    nothing may go.
    """
    found = stored(place)
    needed = _needed(place, keep)
    now, going, kept = time.time(), [], []
    for each in found:
        age = now - each.modified
        if each.kind == CLAIMS or _PART.fullmatch(each.name):
            going += [each] if age > LEFTOVERS_AFTER_S else []
        elif each.name in needed:
            kept.append(each)
        elif each.kind not in NOTES and (older_than is None or age > older_than):
            going.append(each)
    return Pruning(tuple(going), tuple(kept), len(found) - len(going))


def _needed(place: Place, keep: Sequence[Path]) -> set[str]:
    needed: set[str] = set()
    for given in keep:
        name = f"{USED}/{key_of_record(read_record(given))}.json"
        try:
            needed |= {name, *_note(place, name)["files"]}
        except ValueError:
            raise DataError(
                f"{place.shown} does not say which of its files the record {given} was made from: "
                "it used another store, or one of an earlier version, or its note was changed. "
                "Nothing was removed; leave it out of --keep-records, or give the store that it "
                "used."
            ) from None
    return needed


def prune(place: Place, going: Pruning) -> None:
    """Remove what may go; a file's digest first, so that none is ever half there."""
    for each in going.removed:
        place.remove(each.name + DIGEST)
        place.remove(each.name)


def pruning_lines(going: Pruning, *, done: bool) -> Iterator[str]:
    """What was, or would be, removed."""
    by_kind: Mapping[str, int] = {
        kind: sum(each.kind == kind for each in going.removed)
        for kind in sorted({each.kind for each in going.removed})
    }
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in by_kind.items())
    size = shown_bytes(sum(each.size for each in going.removed))
    said = "Removed" if done else "Would remove"
    yield f"{said} {numbered(len(going.removed), 'file')}, {size}{f' ({kinds})' if kinds else ''}."
    if going.needed:
        held = shown_bytes(sum(each.size for each in going.needed))
        yield f"Kept for the named records: {numbered(len(going.needed), 'file')}, {held}."
    yield f"Left: {numbered(going.left, 'file')}."
