"""What an audit has for each clause: measured, derived, declared, not tested, missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from auditor.clauses.table import (
    Clause,
    Clauses,
    Wanted,
    shipped_clauses,
    shipped_digest,
    shipped_standards,
)
from auditor.findings import EvidenceStatus
from auditor.record.clauses import (
    ClausePart,
    ClauseRow,
    ClauseTable,
    InstrumentText,
    StandardStage,
)
from auditor.spec import Document
from auditor.spec.declarations import Declaration, declarations_of, not_applicable
from auditor.spec.statement_keys import known_key, plain_key
from auditor.spec.statements import stated_in_spec

PLANNED = "to be measured by this audit"


@dataclass(frozen=True)
class AtHand:
    """What there is when clauses are looked at.

    Parameters
    ----------
    measured : measures that were taken, as ``check:measure``.
    spec, policy : the spec and the policy as they were understood.
    declarations : the declarations, None where the spec names none.
    as_of : the day on which declarations must hold.
    planned : checks that will run, before any has.
    """

    measured: frozenset[str]
    spec: Mapping[str, Any]
    policy: Mapping[str, Any]
    declarations: Document | None
    as_of: date
    planned: frozenset[str] = field(default=frozenset())


def clause_table(found: AtHand) -> ClauseTable:
    """The shipped clauses, each with what there is for it."""
    table, standards = shipped_clauses(), shipped_standards()
    rows = clause_rows(table, found)
    return ClauseTable(
        instruments=tuple(
            InstrumentText(
                **{
                    key: getattr(one, key) for key in ("id", "name", "text_version", "applies_from")
                },
                verified_on=one.verified_on,
                note=one.note,
                rows=tuple(row for row in rows if row.id.startswith(f"{one.id}/")),
            )
            for one in table.instruments
        ),
        standards=tuple(StandardStage(s.id, s.about, s.stage) for s in standards.standards),
        standards_checked_on=standards.checked_on,
        sources=table.sources,
        asks={one.key: one.asks for one in table.declarations},
        digest=shipped_digest(),
    )


def clause_rows(table: Clauses, found: AtHand) -> tuple[ClauseRow, ...]:
    """Every clause of a table with what there is for it; none is ever without a part."""
    wanted = {one.key: one for one in table.declarations}
    outside = not_applicable(found.declarations, as_of=found.as_of)
    looked_up = {one.id: one.verified_on for one in table.instruments}
    return tuple(
        ClauseRow(
            id=clause.id,
            title=clause.title,
            paraphrase=clause.paraphrase,
            coverage=clause.coverage,
            parts=_outside(outside[clause.id])
            if clause.id in outside
            else (*_measured(clause, found), *_stated(clause, wanted, found)),
            verified_from=clause.verified_from,
            verified_on=clause.verified_on or looked_up[clause.instrument],
            role=clause.role,
            note=clause.note,
            applies_from=clause.applies_from,
        )
        for clause in table.clauses
    )


def _outside(said: str) -> tuple[ClausePart, ...]:
    return (ClausePart(EvidenceStatus.NOT_APPLICABLE, (), said),)


def _measured(clause: Clause, found: AtHand) -> Iterator[ClausePart]:
    kinds = (
        (EvidenceStatus.MEASURED, clause.measured_by),
        (EvidenceStatus.DERIVED, clause.derived_by),
    )
    lacking: list[str] = []
    planned: set[str] = set()
    for status, patterns in kinds:
        names: set[str] = set()
        for pattern in map(_whole, patterns):
            these = {name.partition(":")[0] for name in _matching(found.measured, pattern)}
            coming = _matching(found.planned, pattern.partition(":")[0])
            names |= these
            planned |= coming
            lacking += [] if these or coming else [pattern.partition(":")[0]]
        if names:
            yield ClausePart(status, tuple(sorted(names)))
    if planned:
        yield ClausePart(EvidenceStatus.NOT_TESTED, tuple(sorted(planned)), PLANNED)
    if lacking:
        yield ClausePart(EvidenceStatus.NOT_TESTED, tuple(dict.fromkeys(lacking)))


def _whole(pattern: str) -> str:
    return pattern if ":" in pattern else f"{pattern}:*"


def _matching(names: Iterable[str], pattern: str) -> set[str]:
    return {name for name in names if fnmatchcase(name, pattern)}


def _stated(clause: Clause, wanted: Mapping[str, Wanted], found: AtHand) -> Iterator[ClausePart]:
    said = {key: _statement(wanted[key], found) for key in clause.declared_by}
    declared = [key for key, (holds, _) in said.items() if holds]
    missing = [key for key in said if key not in declared]
    for status, keys in (
        (EvidenceStatus.DECLARED, declared),
        (EvidenceStatus.MISSING, missing),
    ):
        if keys:
            texts = dict.fromkeys(said[key][1] for key in keys if said[key][1])
            yield ClausePart(status, tuple(keys), "; ".join(texts))


def _statement(wanted: Wanted, found: AtHand) -> tuple[bool, str]:
    """Whether a statement is there and holds, and what is to be said of that."""
    stated = [d for d in declarations_of(found.declarations) if _same(d.key, wanted.key)]
    holding = [d for d in stated if not d.is_expired(as_of=found.as_of)]
    if holding:
        return True, _by(max(holding, key=lambda d: d.date))
    if wanted.policy and found.policy.get("approved"):
        approved = found.policy["approved"]
        return True, f"the policy, approved by {approved['by']} on {approved['on']}"
    place = stated_in_spec(wanted.key, found.spec)
    if place:
        return True, f"in the audit spec under {place}, without owner and date"
    if stated:
        last = max(stated, key=lambda d: d.expires or "")
        return False, f"{wanted.key} was declared until {last.expires} and is out of date"
    return False, ""


def _same(first: str, key: str) -> bool:
    """Whether what was declared under a key, or another name of it, is what is wanted."""
    known = known_key(first)
    return (plain_key(first) if known is None else known.key) == key


def _by(found: Declaration) -> str:
    return f"{found.owner.role or found.owner.name}, {found.date}"


def still_missing(table: ClauseTable) -> dict[str, tuple[str, ...]]:
    """Keys of statements that are missing, each with the ids of the clauses that ask for it."""
    return _of_status(table, EvidenceStatus.MISSING)


def not_tested(table: ClauseTable) -> dict[str, tuple[str, ...]]:
    """Checks that clauses name and that neither ran nor will, each with the clauses' ids."""
    return _of_status(table, EvidenceStatus.NOT_TESTED)


def _of_status(table: ClauseTable, status: EvidenceStatus) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for instrument in table.instruments:
        for row in instrument.rows:
            for part in row.parts:
                for name in part.names if part.status is status and part.text != PLANNED else ():
                    found.setdefault(name, []).append(row.id)
    return {name: tuple(ids) for name, ids in found.items()}
