"""Which files of a store a record was made from: noted at the end of a run, kept in the store.

So that a store can be made smaller without losing what a record that still counts would need to be
measured again in no time, or compared image by image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor.engine.gathered import Gathered
from auditor.engine.store import key_of
from auditor.record import AuditRecord

KIND = "used"


def note_used(record: AuditRecord, gathered: Gathered) -> None:
    """Note the files that a run read or wrote in its store."""
    store = gathered.store
    names = {*store.used(), *map(store.name_of, _swept(gathered))}
    path = store.path(KIND, key_of_record(record), ".json")
    said = {
        "title": record.title,
        "started": record.provenance.started,
        "files": sorted(names - {store.name_of(path)}),
    }
    with store.writing(path) as temporary:
        temporary.write_text(json.dumps(said), encoding="utf-8")


def key_of_record(record: AuditRecord) -> str:
    """The key of a run, the same for its record and for whatever is judged of it again."""
    come_from, checks = record.provenance, list(record.plan.checks)
    # Of two runs that begin in one second the note of the later would stand for both.
    return key_of(KIND, come_from.started, dict(come_from.inputs), record.spec.digest, checks)


def _swept(gathered: Gathered) -> Iterator[Path]:
    """What the sweep left, also where other processes computed it."""
    for split in gathered.splits.values():
        yield from (*split.scans.there, *split.frames.there)
    for swept in gathered.swept.values():
        yield from (*swept.answers.there, *swept.embeddings.there, *swept.scores.there)


def parsed(content: bytes) -> dict[str, Any]:
    """A note as it was written; raises ValueError where it is none."""
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError("not a note of a run") from error
    told = found if isinstance(found, dict) else {}
    files = told.get("files")
    if not (
        isinstance(files, list)
        and all(isinstance(each, str) for each in (told.get("title"), told.get("started"), *files))
    ):
        raise ValueError("not a note of a run")
    datetime.fromisoformat(told["started"])
    return told
