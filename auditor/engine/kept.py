"""The last run's record and report, kept where nothing has changed since.

After a run the store notes what was asked for, what that may depend on and what was written. Asked
for the same again, with all of it as it was to the byte, a run would say the same, timings aside:
the record is kept, and stays one of the day on which it was measured. Looked at without any
library that a run needs, for it is to cost next to nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from auditor.engine.footprint import Footprint, mark_of
from auditor.engine.store import Store, key_of


@dataclass(frozen=True)
class Asked:
    """What a run was asked for, paths absolute."""

    spec: str
    only: tuple[str, ...]
    policy: str | None
    trust_code: bool

    @classmethod
    def of(
        cls, spec: str | Path, *, only: Sequence[str], policy: str | None, trust_code: bool
    ) -> Asked:
        given = os.path.abspath(policy) if policy and os.path.isfile(policy) else policy
        return cls(os.path.abspath(spec), tuple(sorted(set(only))), given, trust_code)


@dataclass(frozen=True)
class Reported:
    """What was rendered (names below the output folder, marks), and said at the end of the run."""

    files: dict[str, str]
    lines: tuple[str, ...]
    status: int


@dataclass(frozen=True)
class LastRun:
    """The note of a run: when it began, and what is as it left it.

    `until` is the first day on which the same measures might be judged otherwise (a waiver or a
    declaration expires); None for never. `untimed` says that a timing could not be taken, as on a
    busy machine. `written` are record and tables, as in `Reported`.
    """

    asked: Asked
    started: str
    until: str | None
    untimed: bool
    footprint: Footprint
    written: dict[str, str]
    reported: Reported | None = None

    @property
    def notice(self) -> str:
        """The sentence for whoever asked for the run again."""
        moment = datetime.fromisoformat(self.started)
        untimed = " A timing could not be taken then." if self.untimed else ""
        return (
            f"Nothing has changed since {moment:%Y-%m-%d %H:%M} UTC, when this audit was run: its "
            f"record is kept, timings included.{untimed} --again measures anew."
        )


def kept_run(folder: Path, asked: Asked) -> LastRun | None:
    """The last run into `folder`, where it was asked for the same and nothing has changed since.

    Its record and tables are whole then; `reported` is None where its report is not.
    """
    found = _read(folder, asked)
    if found is None or found.asked != asked or not _before(found.until):
        return None
    if not _whole(folder, found.written) or found.footprint.change(apart=folder) is not None:
        return None
    whole = found.reported is not None and _whole(folder, found.reported.files)
    return found if whole else replace(found, reported=None)


def note_run(
    folder: Path,
    asked: Asked,
    *,
    footprint: Footprint,
    started: str,
    until: date | None,
    untimed: bool = False,
    written: Iterable[Path],
) -> None:
    """Note a run whose record is written."""
    last = until.isoformat() if until is not None else None
    _write(folder, LastRun(asked, started, last, untimed, footprint, _marks(folder, written)))


def note_report(
    folder: Path, asked: Asked, *, rendered: Iterable[Path], lines: Sequence[str], status: int
) -> None:
    """Add to the note of a run that its report is rendered."""
    found = _read(folder, asked)
    if found is not None:
        reported = Reported(_marks(folder, rendered), tuple(lines), status)
        _write(folder, replace(found, reported=reported))


def _before(until: str | None) -> bool:
    return until is None or datetime.now(UTC).date() < date.fromisoformat(until)


def _marks(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    return {str(path.relative_to(folder)): mark_of(path) for path in paths}


def _whole(folder: Path, marks: dict[str, str]) -> bool:
    return all(mark_of(folder / name, like=mark) == mark for name, mark in marks.items())


def _place(folder: Path, asked: Asked) -> tuple[Store, Path]:
    store = Store(folder / "store")
    return store, store.path("last-run", key_of(asdict(asked)), ".json")


def _write(folder: Path, last: LastRun) -> None:
    store, path = _place(folder, last.asked)
    with store.writing(path) as temporary:
        temporary.write_text(json.dumps(asdict(last)), encoding="utf-8")


def _read(folder: Path, asked: Asked) -> LastRun | None:
    store, path = _place(folder, asked)
    if not store.holds(path):
        return None
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        # That of another version.
        return None


def _parsed(stored: dict[str, Any]) -> LastRun:
    told = stored.pop("asked")
    reported = stored.pop("reported")
    if reported is not None:
        reported = Reported(**reported | {"lines": tuple(reported["lines"])})
    return LastRun(
        asked=Asked(**told | {"only": tuple(told["only"])}),
        footprint=Footprint(**stored.pop("footprint")),
        reported=reported,
        **stored,
    )
