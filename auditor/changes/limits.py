"""What two policies ask: limits added, dropped, changed, and to which side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from auditor.judging.policy import BOUNDS
from auditor.record import AuditRecord

Turn = Literal["looser", "tighter", "otherwise"]
_LEAST = ("at_least", "above")
_UNTOLD = frozenset({"why", "clauses", "id"})


@dataclass(frozen=True)
class LimitChange:
    """A limit that both policies have, and what they state otherwise of it: key, before, after."""

    id: str
    differs: tuple[tuple[str, Any, Any], ...]
    turn: Turn


@dataclass(frozen=True)
class PolicyChange:
    """What was added, dropped and changed, by id. `waivers` are (id, "added" or "dropped")."""

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    changed: tuple[LimitChange, ...]
    waivers: tuple[tuple[str, str], ...]

    @property
    def changed_ids(self) -> frozenset[str]:
        return frozenset(change.id for change in self.changed)


def policy_change(before: AuditRecord, after: AuditRecord) -> PolicyChange:
    """What the limits that two audits were judged by, claims and targets included, differ in."""
    old, new = _limits(before), _limits(after)
    both = [identifier for identifier in old if identifier in new]
    changed = (_limit_change(i, old[i], new[i]) for i in both)
    waived = [_waivers(record) for record in (before, after)]
    return PolicyChange(
        added=tuple(i for i in new if i not in old),
        dropped=tuple(i for i in old if i not in new),
        changed=tuple(change for change in changed if change.differs),
        waivers=(
            *((w, "added") for w in waived[1] if w not in waived[0]),
            *((w, "dropped") for w in waived[0] if w not in waived[1]),
        ),
    )


def _limits(record: AuditRecord) -> dict[str, Mapping[str, Any]]:
    return {str(result.limit["id"]): result.limit for result in record.limit_results}


def _waivers(record: AuditRecord) -> tuple[str, ...]:
    return tuple(str(w["id"]) for w in record.policy.parsed.get("waivers") or ())


def _limit_change(identifier: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> LimitChange:
    differs = tuple(_differences(old, new))
    return LimitChange(identifier, differs, _turn(differs, old, new))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*old, *new} - _UNTOLD):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _turn(
    differs: tuple[tuple[str, Any, Any], ...], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Turn:
    """To which side a bound alone was moved; otherwise, where more than a bound differs."""
    kinds = [k for k in BOUNDS if old.get(k) is not None and new.get(k) is not None]
    if len(kinds) != 1 or {key for key, _, _ in differs} != {kinds[0]}:
        return "otherwise"
    raised = float(new[kinds[0]]) > float(old[kinds[0]])
    return "tighter" if raised == (kinds[0] in _LEAST) else "looser"
