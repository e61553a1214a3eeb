"""The names of a model's classes, from the spec or from a file that it names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from auditor.errors import SpecError
from auditor.opening import require_file
from auditor.remote.urls import is_url
from auditor.remote.whole_files import Wanted
from auditor.spec import ClassCount
from auditor.spec.bounds import MOST_CLASSES
from auditor.spec.usual_splits import usual_split

MOST_LIST_BYTES = 10_000_000
"""Size that a file with the names of classes may have."""


def load_classes(
    given: tuple[str, ...] | str | ClassCount, folder: Path, *, least: int = 2
) -> tuple[str, ...]:
    """Class names in the order of the model's outputs; ``{count: n}`` names them by index.

    Raises SpecError when the file is absent, or when there are not `least` or more distinct names.
    """
    if isinstance(given, ClassCount):
        return tuple(str(index) for index in range(given.count))
    names = _class_lines(given, folder) if isinstance(given, str) else given
    if not least <= len(names) <= MOST_CLASSES:
        raise SpecError(
            f"model.classes names {len(names):,} classes; expected {least} or more, and at most "
            f"{MOST_CLASSES:,} are audited."
        )
    if all(map(usual_split, names)):
        raise SpecError(
            f"model.classes names {' and '.join(map(repr, names))}, which are splits of a dataset. "
            "Name the model's classes, in the order of its outputs; give a folder of each split as "
            "`data.test.images` and `data.train.images`."
        )
    seen = pd.Series(names, dtype="str")
    repeated = next(iter(seen[seen.duplicated()]), None)
    if repeated is not None:
        places = [str(i + 1) for i, name in enumerate(names) if name == repeated]
        raise SpecError(
            f"model.classes names {repeated!r} more than once (positions {', '.join(places)}). "
            f"Give every class a name of its own."
        )
    return names


def _class_lines(name: str, folder: Path) -> tuple[str, ...]:
    what = f"model.classes: the file {name!r} cannot be read"
    remedy = "Give a list of names, a UTF-8 file with one name a line, or `{count: 1000}`."
    try:
        text = _content(name, folder, what, remedy).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{what} ({error.__class__.__name__}). {remedy}") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _content(name: str, folder: Path, what: str, remedy: str) -> bytes:
    if is_url(name):
        return Wanted(name, "model.classes", MOST_LIST_BYTES, SpecError, remedy).content()
    require_file(folder / name, what=what, at_most=MOST_LIST_BYTES, error=SpecError, remedy=remedy)
    return (folder / name).read_bytes()
