"""The output folder of an audit: made, writable, and written by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from auditor.errors import DataError
from auditor.opening import FULL


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Make the folder `path` and hold it until the block ends.

    A folder made here is removed again when nothing was written into it. Raises DataError
    when `path` is no folder, cannot be made or written to, another process holds it, or its disk
    is full.
    """
    existed = path.exists()
    held = _hold(_made(path))
    try:
        yield path
    except OSError as error:
        inside = _is_inside(error, path)
        if not inside and error.errno not in FULL:
            raise
        other = (
            "" if inside else " If it has room, the folder of temporary files (TMPDIR) has none."
        )
        raise DataError(
            f"--out {path} cannot be written to ({error.strerror or error}). Make room and see to "
            f"its permissions, or give another --out.{other} What was finished is kept there: the "
            "same command goes on from it."
        ) from error
    finally:
        os.close(held)
        if not existed:
            with suppress(OSError):
                path.rmdir()


def _is_inside(error: OSError, path: Path) -> bool:
    """Whether an error names a file in a folder; of a full disk it names none."""
    named = error.filename2 or error.filename
    return isinstance(named, str) and Path(named).absolute().is_relative_to(path.absolute())


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(
            f"--out {path} is a file, or lies in one; expected a folder. Give another --out."
        ) from error
    except OSError as error:
        raise DataError(
            f"--out {path} cannot be made ({error.strerror}). Give a folder that you may write to."
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataError(
            f"--out {path} may not be written to. Give a folder that you may write to, or change "
            "its permissions."
        )
    return path


def _hold(path: Path) -> int:
    # A lock on the folder itself leaves no file behind, and ends with the process however it ends.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataError(
            f"--out {path} is being written by another run. Wait until it has ended, or give "
            "another --out."
        ) from error
    except OSError:
        # Some network file systems lock no folders; the runs' files are still written whole.
        pass
    return descriptor
