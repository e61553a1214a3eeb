"""Declarations: what humans state, with owner, date and expiry; never measured, never inferred."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from auditor.record import Document
from auditor.spec import SpecPart
from auditor.spec_file import read_text
from auditor.yaml_source import load, validate


def _day(text: str) -> str:
    try:
        datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date; write it as 2026-11-30") from error
    return text


Day = Annotated[str, AfterValidator(_day)]


class DeclarationOwner(SpecPart):
    name: str
    role: str | None = None


class Declaration(SpecPart):
    """One statement: what it is about (`key`), who makes it, from when and until when."""

    key: str
    statement: str
    owner: DeclarationOwner
    date: Day
    expires: Day | None = None
    evidence_ref: str | None = None

    def is_expired(self, *, as_of: datetime.date) -> bool:
        return self.expires is not None and datetime.date.fromisoformat(self.expires) < as_of


class Declarations(SpecPart):
    """A whole declarations.yaml: a list under ``declarations``."""

    declarations: tuple[Declaration, ...]


def read_declarations(path: Path) -> Document:
    """Read a declarations file for the record; raises SpecError listing what is wrong in it."""
    text = read_text(path)
    found = validate(load(text, name=path.name), Declarations)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Document(path.name, text, digest, found.model_dump(mode="json"))


def declarations_of(document: Document | None) -> tuple[Declaration, ...]:
    """The declarations of a record; empty when it has none."""
    if document is None:
        return ()
    return Declarations.model_validate(document.parsed, strict=False).declarations
