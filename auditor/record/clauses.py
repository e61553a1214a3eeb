"""Clauses of law and frameworks beside what an audit has for each: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from auditor.findings import EvidenceStatus

Coverage = Literal["supports", "contributes", "declared only", "none"]
"""What this tool's evidence can do for a clause at best."""


@dataclass(frozen=True)
class ClausePart:
    """Evidence of one status for a clause: the names of what it is, and what to say of it."""

    status: EvidenceStatus
    names: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True)
class ClauseRow:
    """A clause in our words, what this tool can do for it, and what there is.

    `verified_from` names one of the table's sources. `applies_from` is empty where the instrument's
    own dates hold.
    """

    id: str
    title: str
    paraphrase: str
    coverage: Coverage
    parts: tuple[ClausePart, ...]
    verified_from: str
    verified_on: str
    role: str = ""
    note: str = ""
    applies_from: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InstrumentText:
    """A law or framework as it was looked up; `applies_from` maps a route to an ISO date."""

    id: str
    name: str
    text_version: str
    applies_from: Mapping[str, str]
    verified_on: str
    note: str
    rows: tuple[ClauseRow, ...]


@dataclass(frozen=True)
class StandardStage:
    """A standard or draft, and how far it had come when that was looked up."""

    id: str
    about: str
    stage: str


@dataclass(frozen=True)
class ClauseTable:
    """All instruments with their clauses, and the standards near them.

    `sources` say from where texts were looked up, `asks` what each statement is about that a clause
    asks of a person. `digest` is the SHA-256 of the clause table that it was made from.
    """

    instruments: tuple[InstrumentText, ...]
    standards: tuple[StandardStage, ...]
    standards_checked_on: str
    sources: Mapping[str, str]
    asks: Mapping[str, str]
    digest: str
