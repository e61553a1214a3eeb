"""What a run may depend on outside of its output folder, and whether all of it is as it was.

Every file that was read is read and hashed again: no time stamp is believed, so an edit that keeps
size and time is seen like any other. What was looked for and not there is held too, and so are the
names in the folders of images: a file that appears may be found in place of another.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ABSENT = ""
"""In place of size and digest: there is no file that could be read."""

LARGEST = 4 * 10**9
"""Bytes of a file that is hashed: a larger one would hold up every run, and those refused."""

_AT_ONCE = 1 << 20
_PACKAGE = Path(__file__).resolve().parents[1]
_CPU = ("model name", "flags", "features", "microcode")


@dataclass(frozen=True)
class Footprint:
    """`files` maps paths to size and SHA-256 (`mark_of`), `folders` to a digest of their names.

    `code` is the digest of this package, `machine` that of everything else that results depend on:
    Python, the versions of installed packages, system, processor, cores and memory. `remote` maps
    URLs to what tells whether they are as they were (`auditor.engine.remote_marks`).
    """

    files: Mapping[str, str]
    folders: Mapping[str, str]
    code: str
    machine: str
    remote: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[Path], *, folders: Iterable[Path], apart: Path) -> Footprint:
        """As all of it is now; `apart` is the output folder, which no folder is said to hold."""
        return cls(
            files={path: mark_of(path) for path in map(os.path.abspath, files)},
            folders={path: _names(path, apart) for path in map(os.path.abspath, folders)},
            code=code_digest(),
            machine=machine_digest(),
        )

    def digest(self, path: Path) -> str:
        """The SHA-256 of one of the files; "" where there is none."""
        return self.files[os.path.abspath(path)].partition(" ")[2]

    @property
    def whole(self) -> bool:
        """Whether every file was hashed: none was larger than `LARGEST`."""
        return not any(mark.endswith(" ") for mark in self.files.values())

    def change(self, *, apart: Path) -> str | None:
        """The path, or the kind of thing, that is not as it was; None where all is."""
        if self.code != code_digest():
            return "this program"
        if self.machine != machine_digest():
            return "the machine, or a package that is installed"
        changed = (path for path, mark in self.files.items() if mark_of(path, like=mark) != mark)
        others = (path for path, names in self.folders.items() if _names(path, apart) != names)
        return next(changed, None) or next(others, None) or self._changed_elsewhere()

    def _changed_elsewhere(self) -> str | None:
        if not self.remote:
            return None
        from auditor.engine.remote_marks import changed

        return changed(self.remote)


def mark_of(path: str | Path, *, like: str | None = None) -> str:
    """Size and SHA-256 of a regular file, `ABSENT` where there is none that can be read.

    Of one that is larger than `LARGEST`, or whose size is not that of the mark `like`, the size
    alone: it is not read.
    """
    try:
        # A pipe must not hold this up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ABSENT
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return ABSENT
        size = f"{found.st_size} "
        if found.st_size > LARGEST or (like is not None and not like.startswith(size)):
            return size
        try:
            return size + _digest(file.fileno(), found.st_size)
        except OSError:
            return ABSENT


def marked(path: str | Path, digest: str) -> str:
    """The mark of a file whose SHA-256 was taken when it was read."""
    try:
        return f"{os.stat(path).st_size} {digest}"
    except OSError:
        return ABSENT


def _digest(descriptor: int, size: int) -> str:
    digest = hashlib.sha256()
    while part := os.read(descriptor, min(size + 1, _AT_ONCE)):
        digest.update(part)
    return digest.hexdigest()


def _names(folder: str, apart: Path) -> str:
    """A digest of the names of all files below a folder, but those of the folder `apart`."""
    digest = hashlib.sha256()
    for name in sorted(_below(folder, os.path.realpath(apart))):
        digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()


def _below(folder: str, apart: str) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(inside) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        yield entry.path
                    elif os.path.realpath(entry.path) != apart:
                        waiting.append(entry.path)
        except OSError:
            yield f"{inside}/"


def code_digest() -> str:
    """SHA-256 of the files of this package, its policies and templates."""
    digest = hashlib.sha256()
    for folder in (_PACKAGE, _PACKAGE.parent / "templates"):
        for name in sorted(n for n in _below(str(folder), "") if "/__pycache__/" not in n):
            digest.update(f"{os.path.relpath(name, folder)} {mark_of(name)}\n".encode())
    return digest.hexdigest()


def machine_digest() -> str:
    """SHA-256 of what results may depend on beside inputs and this package."""
    facts = [
        sys.version,
        *sorted(_installed()),
        *platform.uname()[:1],
        *platform.uname()[2:],
        *_processor(),
        str(len(os.sched_getaffinity(0))),
        str(os.sysconf("SC_PHYS_PAGES")),
    ]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()


def _installed() -> Iterator[str]:
    """Names, with versions, of the folders in which packages say what they are."""
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            if name.endswith((".dist-info", ".egg-info", ".egg-link")):
                yield f"{folder}/{name}"


def _processor() -> Iterator[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    lines = text.partition("\n\n")[0].splitlines()
    yield from (line for line in lines if line.lower().startswith(_CPU))
