"""What each answer is declared to cost, as a table to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.record import AuditRecord
from auditor.spec import NOTHING


@dataclass(frozen=True)
class Costs:
    """What each answer to each true class is declared to cost, printed; `unit` is what it is in."""

    unit: str
    answers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def costs(record: AuditRecord) -> Costs | None:
    """The matrix of costs that the spec declares; None where it declares none."""
    stated = (record.spec.parsed.get("consequences") or {}).get("costs") or {}
    matrix: Mapping[str, Mapping[str, float]] = stated.get("matrix") or {}
    if not matrix:
        return None
    used = {*matrix, *(answer for costs in matrix.values() for answer in costs)}
    known = [c for c in record.spec.parsed["model"].get("classes") or () if c in used]
    names = [*known, *sorted(used - set(known))]
    shown = (record.spec.parsed.get("display") or {}).get

    def cell(true: str, answer: str) -> str:
        cost = (matrix.get(true) or {}).get(answer)
        return ("right" if true == answer else "–") if cost is None else f"{cost:,g}"

    return Costs(
        unit=str(stated.get("unit") or "no unit stated"),
        answers=tuple(_class_name(shown(name, name)) for name in names),
        rows=tuple(
            (_class_name(shown(true, true)), tuple(cell(true, answer) for answer in names))
            for true in names
        ),
    )


def _class_name(name: str) -> str:
    return "nothing" if name == NOTHING else name
