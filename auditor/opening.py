"""Whether a file may be opened at all: a regular one, of a bounded size, in its folder; writing.

A path in a spec, a manifest or a model comes from whoever sent the audit. A pipe would hang the
reader, `/dev/zero` and a sparse file fill its memory, a link lead out of the folder.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from auditor.errors import AuditorError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Errors of a disk that takes no more."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_SYSTEM = ("/proc", "/sys", "/dev")
"""Folders whose regular files are the kernel's: their sizes say nothing, reading may never end."""


def require_file(
    path: Path,
    *,
    what: str,
    at_most: int,
    within: Path | None = None,
    error: type[AuditorError],
    remedy: str,
) -> int:
    """The size in bytes of a file that may be opened; nothing of it is read.

    Parameters
    ----------
    what : what the file is to the reader of the message, as ``model.path``.
    at_most : bytes that it may have; the message names the bound.
    within : the folder that it must lie in when all links are followed; None for anywhere.
    error : raised where it is missing, no regular file, too large or elsewhere; its message ends
        with `remedy`, a sentence.
    """
    found = why_not(path, at_most=at_most, within=within)
    if found is not None:
        raise error(f"{what}: {shown_path(path)} {found}. {remedy}")
    return path.stat().st_size


def why_not(path: Path, *, at_most: int, within: Path | None = None) -> str | None:
    """Why a file may not be opened (``is a pipe, expected a regular file``); None where it may."""
    try:
        found = path.stat()
        real = Path(os.path.realpath(path))
        outside = within is not None and not real.is_relative_to(os.path.realpath(within))
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError: a NUL byte in the name. OSError: too long a name, links in a circle, rights.
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "no regular file")
        return f"is {kind}, expected a regular file"
    if any(real.is_relative_to(folder) for folder in _SYSTEM):
        return "is a file of the system, expected one on a disk"
    if found.st_size > at_most:
        return f"has {shown_bytes(found.st_size)}, expected at most {shown_bytes(at_most)}"
    if outside:
        return f"lies outside of {shown_path(within or Path())}, expected a file inside it"
    return None


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file whole or not at all: a part that could not be finished is removed again."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def shown_path(path: Path) -> str:
    """A path for a message: printable, and cut where it is endless."""
    text = str(path)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:100]}...{text[-60:]}"


def shown_line(text: str) -> str:
    """A text of somebody else as one line of a terminal: what is not printable is spelt out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown_bytes(n: int) -> str:
    """A size for a message.

    Examples
    --------
    >>> shown_bytes(107_374_182_400), shown_bytes(2_000_000), shown_bytes(812)
    ('107 GB', '2 MB', '812 bytes')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} bytes"
