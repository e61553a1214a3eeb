"""The annex's table of clauses: what the audit has for each, in the record's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.clauses.coverage import still_missing
from auditor.findings import EvidenceStatus
from auditor.record import AuditRecord
from auditor.record.clauses import ClauseRow, InstrumentText
from auditor.reports.wording import date_text

CLAUSES_NOTE = (
    "Evidence that may support documentation under the clauses named here, in our paraphrase. "
    "Measurements can at most support a clause: no row says that a duty is met, and what is "
    "missing stays for a person to state. The law may have changed since it was looked up."
)
COUNTED = (
    ("Measured here", (EvidenceStatus.MEASURED, EvidenceStatus.DERIVED)),
    ("Declared", (EvidenceStatus.DECLARED,)),
    ("Not tested", (EvidenceStatus.NOT_TESTED,)),
    ("Statement missing", (EvidenceStatus.MISSING,)),
    ("Said not to apply", (EvidenceStatus.NOT_APPLICABLE,)),
)
"""What a printed report counts of the clauses: a heading, and the statuses under it."""

_ROUTES = {
    "annex_iii": "systems of Annex III",
    "annex_i": "systems of Annex I",
    "all": "all",
    "voluntary": "published",
    "formally": "formally",
}


@dataclass(frozen=True)
class PartView:
    status: str
    text: str


@dataclass(frozen=True)
class ClauseView:
    id: str
    title: str
    paraphrase: str
    coverage: str
    parts: tuple[PartView, ...]
    note: str


@dataclass(frozen=True)
class InstrumentView:
    """An instrument's clauses; `counts` has how many of them hold something of each `COUNTED`."""

    name: str
    about: str
    note: str
    rows: tuple[ClauseView, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ClausesView:
    instruments: tuple[InstrumentView, ...]
    sources: tuple[str, ...]
    standards: tuple[tuple[str, str], ...]
    standards_on: str
    missing: tuple[tuple[str, str], ...]


def clause_name(identifier: str, record: AuditRecord) -> str:
    """A clause as a reader knows it, ``EU AI Act, Article 10(2)``; an unknown one by its id."""
    for instrument in record.clauses.instruments if record.clauses else ():
        for row in instrument.rows:
            if row.id == identifier:
                return f"{instrument.name.partition(',')[0]}, {row.title}"
    return identifier


def clauses_view(record: AuditRecord) -> ClausesView | None:
    """The table to print; None for a record of a version that shipped no clauses."""
    table = record.clauses
    if table is None:
        return None
    return ClausesView(
        instruments=tuple(_instrument(one) for one in table.instruments),
        sources=tuple(f"{key}: {text}" for key, text in sorted(table.sources.items())),
        standards=tuple((s.id, f"{s.about}; {s.stage}") for s in table.standards),
        standards_on=date_text(table.standards_checked_on),
        missing=tuple((key, table.asks[key]) for key in still_missing(table)),
    )


def _instrument(one: InstrumentText) -> InstrumentView:
    return InstrumentView(
        name=one.name,
        about=f"Text version {one.text_version}, looked up on {date_text(one.verified_on)}. "
        f"Applies from: {_dates(one.applies_from)}.",
        note=one.note,
        rows=tuple(_row(row, one) for row in one.rows),
        counts=tuple(
            sum(any(part.status in kinds for part in row.parts) for row in one.rows)
            for _, kinds in COUNTED
        ),
    )


def _dates(applies_from: Mapping[str, str]) -> str:
    return ", ".join(
        f"{date_text(day)} ({_ROUTES.get(route, route)})"
        for route, day in sorted(applies_from.items(), key=lambda item: (item[1], item[0]))
    )


def _row(row: ClauseRow, instrument: InstrumentText) -> ClauseView:
    looked_up = "" if row.verified_on == instrument.verified_on else f", {row.verified_on}"
    said = [
        f"For the {row.role}" if row.role else "",
        f"Applies from {_dates(row.applies_from)}" if row.applies_from else "",
        f"Source: {row.verified_from}{looked_up}",
        row.note,
    ]
    return ClauseView(
        id=row.id,
        title=row.title,
        paraphrase=row.paraphrase,
        coverage=row.coverage,
        parts=tuple(_parts(row)),
        note=". ".join(text.rstrip(".") for text in said if text) + ".",
    )


def _parts(row: ClauseRow) -> Iterator[PartView]:
    for part in row.parts:
        names = ", ".join(part.names)
        text = f"{names} ({part.text})" if names and part.text else names or part.text
        yield PartView(part.status.value, text)


def missing_line(view: ClausesView | None) -> str:
    """How many clauses lack a statement that a person would have to make."""
    if view is None:
        return ""
    rows = [row for one in view.instruments for row in one.rows]
    lacking = sum(any(part.status == EvidenceStatus.MISSING for part in row.parts) for row in rows)
    return f"{lacking} of {len(rows)} clauses lack a statement that a person has to make."
