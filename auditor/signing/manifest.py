"""The manifest of a bundle: the digest of every file in the folder of an audit."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.opening import shown_path
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.record.pictures import CONFIDENTIAL
from auditor.reports.signed_by import SignedBy

SCHEMA = "auditor/manifest/v1"
MANIFEST = "MANIFEST.json"
ENVELOPE = "audit.intoto.dsse.json"
SIGN_OFFS = "sign-off"
REPORTS = ("report.pdf", "report.html", "audit.json")
"""What statements name beside the manifest: those of them that the bundle holds."""
SIGNED_PDF = ".report.pdf"
"""Ends the name of a copy of the report that a person signed inside."""
LEFT_OUT = ("store/", f"{CONFIDENTIAL}/")
"""Folders that are no part of a bundle; the signed manifest names them."""
MOST_BYTES = 20_000_000
MIXED = (
    "It was changed after the folder had been signed, or is of another audit. Fetch the folder "
    "again from whoever signed it, or have it signed anew"
)


@dataclass(frozen=True)
class Manifest:
    """Paths below the folder with their SHA-256, who signs them, and when (UTC, ISO 8601)."""

    files: Mapping[str, str]
    signed_by: SignedBy
    signed_on: str

    def to_bytes(self) -> bytes:
        stored = {
            "schema": SCHEMA,
            "left_out": list(LEFT_OUT),
            "signed_by": {"name": self.signed_by.name, "key": self.signed_by.key_id},
            "signed_on": self.signed_on,
            "files": dict(self.files),
        }
        return (json.dumps(stored, indent=1, sort_keys=True) + "\n").encode("ascii")


class ManifestError(ValueError):
    """Why a manifest cannot be read, with what to do."""


def parse_manifest(data: bytes) -> Manifest:
    """A manifest from its bytes; raises ManifestError where they are none."""
    try:
        stored = json.loads(data)
        by = stored["signed_by"]
        found = Manifest(
            {str(k): str(v) for k, v in stored["files"].items()},
            SignedBy(str(by["name"]), str(by["key"])),
            str(stored["signed_on"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"{MANIFEST} is no manifest. {MIXED}.") from error
    if data != found.to_bytes():
        raise ManifestError(
            f"{MANIFEST} says {stored.get('schema')!r} and leaves out {stored.get('left_out')!r}; "
            f"this version reads {SCHEMA!r} and {list(LEFT_OUT)!r}. Use the version of auditor "
            "that signed it."
        )
    return found


def signer_of(folder: Path, record: AuditRecord) -> SignedBy | None:
    """Who signs a folder with this very record, by its manifest; nothing is verified."""
    try:
        data = (folder / MANIFEST).read_bytes()
        found = parse_manifest(data)
    except (OSError, ManifestError):
        return None
    return found.signed_by if found.files.get("audit.json") == record_digest(record) else None


@dataclass(frozen=True)
class Walked:
    """What lies in a folder: regular files by their path, and what may not be in a bundle."""

    files: tuple[str, ...]
    problems: tuple[str, ...]


def walk(folder: Path) -> Walked:
    """Every file of a bundle, without the manifest and what is signed beside it."""
    files, problems = [], []
    for name, mode in sorted(_entries(folder, "")):
        shown = shown_path(Path(name))
        if stat.S_ISLNK(mode):
            problems.append(
                f"{shown} is a link, which a bundle may not hold. Put the file itself in its "
                "place, or remove it."
            )
        elif not stat.S_ISREG(mode):
            problems.append(f"{shown} is no regular file, which a bundle may not hold. Remove it.")
        elif not is_plain(name):
            problems.append(f"{shown} has a name that a manifest cannot hold. Rename it.")
        elif name not in (MANIFEST, ENVELOPE) and not name.startswith(f"{SIGN_OFFS}/"):
            files.append(name)
    return Walked(tuple(files), tuple(problems))


def _entries(folder: Path, below: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                if f"{name}/" not in LEFT_OUT:
                    yield from _entries(Path(entry.path), f"{name}/")
            else:
                yield name, entry.stat(follow_symlinks=False).st_mode


def files_beside(folder: Path) -> Iterator[str]:
    """Regular files in the folders that no manifest lists: sign-offs, and what is left out.

    They are handed on with a folder all the same.
    """
    for place in (f"{SIGN_OFFS}/", *LEFT_OUT):
        below = folder / place
        if below.is_dir() and not below.is_symlink():
            for found, _, names in os.walk(below):
                for name in names:
                    path = Path(found) / name
                    if stat.S_ISREG(path.lstat().st_mode):
                        yield str(path.relative_to(folder))


def is_plain(name: str) -> bool:
    """Whether a path names a file below its folder, in one way only."""
    path = PurePosixPath(name)
    usual = (name.isprintable() and name.isascii()) or _is_text(name)
    return bool(usual) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def file_digest(path: Path) -> str:
    """SHA-256 of a file that is no link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    return {name: file_digest(folder / name) for name in names}


def differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Every file that is not as the manifest says: changed, missing, unlisted, a link."""
    found = walk(folder)
    yield from found.problems
    for name in sorted(manifest.files):
        shown = shown_path(Path(name))
        if name not in found.files:
            if (folder / name).is_symlink():
                continue
            yield f"{shown} is missing. Fetch the folder again from whoever signed it."
        elif file_digest(folder / name) != manifest.files[name]:
            yield f"{shown} is not the file that was signed. {MIXED}."
    for name in found.files:
        if name not in manifest.files:
            yield (
                f"{shown_path(Path(name))} is not in the signed manifest. Remove it, or have the "
                "folder signed anew."
            )
