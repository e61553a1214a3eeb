"""A temporary folder that goes with its process, also where that is killed: the next clears it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HELD = "held"
"""A file that is locked for as long as the process of its folder lives."""


@contextmanager
def own_folder(prefix: str, *, within: Path | None = None) -> Iterator[Path]:
    """A new folder whose name begins with `prefix`, removed at the end as far as it can be.

    It lies in the folder `within`, else where temporary files lie. Folders of the same beginning
    and user whose processes have ended are removed too. A lock tells, and no number of a process:
    containers that share a folder do not see each other's processes. Raises OSError where no folder
    can be made.
    """
    place = Path(tempfile.gettempdir()) if within is None else within
    _clear(place, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    held = _hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _hold(folder: Path) -> int:
    making = folder / f"{_HELD}-soon"
    descriptor = os.open(making, os.O_RDWR | os.O_CREAT, 0o600)
    _locked(descriptor)
    # Under its name it is locked from the first: one that is not locked yet looks left behind.
    making.rename(folder / _HELD)
    return descriptor


def _clear(place: Path, prefix: str) -> None:
    for found in place.glob(f"{prefix}*"):
        with suppress(OSError):
            if sys.platform == "win32" or found.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(found / _HELD, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _locked(descriptor):
                    shutil.rmtree(found, ignore_errors=True)
            finally:
                os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now; on Windows, where nothing is cleared, always."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
