"""`audit.json`: a record as canonical JSON and back. Equal records give equal bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.errors import DataError
from auditor.opening import write_whole
from auditor.record.audit_record import SCHEMA, AuditRecord, content_digest
from auditor.record.codec import CodecError, decode, schema_of, text_of


def record_digest(record: AuditRecord) -> str:
    """SHA-256 of the record's bytes in `audit.json`."""
    return hashlib.sha256(_bytes(to_json(record))).hexdigest()


def to_json(record: AuditRecord) -> str:
    """The record as canonical JSON; raises CodecError where a value is NaN or no JSON value."""
    return record.canonical


def parse_record(text: str, *, name: str = "audit.json") -> AuditRecord:
    """The record that `to_json` wrote, exactly; one that does not fit its digest is `altered`.

    Raises
    ------
    DataError
        When the text is not JSON, of another schema, or not a record.
    """
    try:
        stored = json.loads(text)
    # ValueError: also a number of thousands of digits. RecursionError: brackets without end.
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name} is not JSON ({error}). Give the audit.json that `auditor run` wrote."
        ) from error
    found = stored.pop("schema", None) if isinstance(stored, dict) else None
    if found != SCHEMA:
        raise DataError(
            f"{name} has the schema {found!r}; this version reads {SCHEMA!r}. Use the version of "
            "auditor that wrote it, or run the audit again."
        )
    intact = stored.pop("digest", None) == content_digest({"schema": SCHEMA} | stored)
    try:
        record: AuditRecord = decode(AuditRecord, stored)
    except CodecError as error:
        raise DataError(
            f"{name} is not a record of an audit: {error}. Was it edited by hand? Run the audit "
            "again."
        ) from error
    return record if intact else replace(record, altered=True)


def write_record(record: AuditRecord, path: Path) -> Path:
    """Write `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, _bytes(to_json(record)))


def record_schema() -> dict[str, Any]:
    """The published JSON Schema of `audit.json`."""
    schema = schema_of(AuditRecord, title="Record of an audit", identifier=SCHEMA)
    root = schema["$defs"]["AuditRecord"]
    root["properties"]["schema"] = {"const": SCHEMA}
    root["properties"]["digest"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    root["required"] += ["schema", "digest"]
    return schema


def schema_text() -> str:
    """`record_schema` as the text of ``docs/audit.schema.json``."""
    return text_of(record_schema(), depth=12)


def _bytes(text: str) -> bytes:
    # A lone surrogate (a file name that is not UTF-8) becomes the JSON escape of itself.
    return text.encode("utf-8", errors="backslashreplace")
