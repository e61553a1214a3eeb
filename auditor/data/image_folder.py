"""The images of a folder, and which of its files are there."""

from __future__ import annotations

import os
from pathlib import Path

from auditor.data.images import is_image_name
from auditor.errors import DataError

NOT_DATA = frozenset({"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information",
                      "lost+found"})  # fmt: skip
"""Folders that archives, drives and network drives add; hidden ones are not data either."""


def image_names(folder: Path, *, named: str) -> list[str]:
    """Images below a folder, as posix paths relative to it; a folder's files before its folders.

    Hidden files and folders are left out. Raises DataError for a link to a folder, which may
    lead anywhere and round in circles, and for a name that is no UTF-8; `named` is what errors
    call the folder.
    """
    found: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        files, folders = _listed(folder, inside, named)
        found += [inside + name for name in files if is_image_name(name)]
        waiting += [f"{inside}{name}/" for name in reversed(folders)]
    return found


def _listed(folder: Path, inside: str, named: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{named}: the folder {inside!r} cannot be listed ({error.strerror}). Make it "
            "readable, or move it away."
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name in NOT_DATA:
            continue
        if not is_utf8(entry.name):
            raise DataError(
                f"{named}: the name {inside + entry.name!a} is not UTF-8. Rename it, as with "
                "`convmv -f latin1 -t utf-8 --notest`."
            )
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        elif os.path.isdir(entry.path):
            raise DataError(
                f"{named}: {inside + entry.name!r} is a link to a folder; links are not followed, "
                "since they may lead anywhere. Put the folder itself there, or give its own path."
            )
        else:
            files.append(entry.name)
    return files, folders


def is_utf8(name: str) -> bool:
    """Whether a file's name, as Python gives it, was UTF-8 on the disk."""
    return not any("\udc80" <= letter <= "\udcff" for letter in name)


def files_in(folder: Path, *, within: Path) -> set[str]:
    """Names of the regular files in a folder; empty where it has none.

    A link counts where its file lies below `within`.
    """
    try:
        with os.scandir(folder) as entries:
            return {e.name for e in entries if e.is_file(follow_symlinks=False)
                    or (e.is_symlink() and _leads_to_file(e.path, within))}  # fmt: skip
    except OSError:
        return set()


def _leads_to_file(path: str, within: Path) -> bool:
    real = os.path.realpath(path)
    return os.path.isfile(real) and Path(real).is_relative_to(os.path.realpath(within))
