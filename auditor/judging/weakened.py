"""Where a policy asks less than one that it extends: limits left out, looser or asked otherwise.

A policy has whatever id its authors give it: only beside what it extends does a reader see what a
verdict by it leaves open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from auditor.judging.policy import BOUNDS, Bound, Gate, Limit, Policy
from auditor.record.history import LimitChange

_UNASKED = frozenset({"id", "why", "clauses"})
_TIGHTER = frozenset({*BOUNDS, "severity", "required", "and_difference_above", "when"})
"""What may differ and yet ask as much or more; any other difference asks otherwise."""
_DEMAND = (False, "if-applicable", True)


def weakened(policy: Policy, above: Iterable[Policy]) -> tuple[LimitChange, ...]:
    """What `policy` asks less of than one of those `above` it, which it extends, nearest first.

    A limit is named once, beside the nearest that asks more; a required attribute that is not any
    more has the id ``attribute:NAME``.
    """
    found: dict[str, LimitChange] = {}
    for base in above:
        for change in _less_than(policy, base):
            found.setdefault(change.limit, change)
    return tuple(found[name] for name in sorted(found))


def _less_than(policy: Policy, base: Policy) -> Iterator[LimitChange]:
    own = {limit.id: limit for limit in policy.limits}
    for limit in base.limits:
        stated = own.get(limit.id)
        if stated is None or not _asks_as_much(stated, limit):
            yield LimitChange(limit.id, asked(limit), asked(stated) if stated else "")
    for name in base.required_attributes:
        if name not in policy.required_attributes:
            yield LimitChange(f"attribute:{name}", "required", "")


def _asks_as_much(limit: Limit, base: Limit) -> bool:
    one, other = (_said(each) for each in (limit, base))
    differs = {key for key in {*one, *other} if one.get(key) != other.get(key)}
    floors = [each.and_difference_above or 0.0 for each in (limit, base)]
    return (
        differs <= _TIGHTER
        and _is_within(limit, base)
        and (limit.severity == "blocking" or base.severity == "advisory")
        and _DEMAND.index(limit.requirement) >= _DEMAND.index(base.requirement)
        and floors[0] <= floors[1]
        and (limit.when is None or (base.when is not None and _is_as_open(limit.when, base.when)))
    )


def _is_within(limit: Bound, base: Bound) -> bool:
    """Whether whatever is within one bound is within the other."""
    same = (limit.kind, limit.value) == (base.kind, base.value)
    return limit.exceeds == base.exceeds and (same or base.is_met_by(limit.value))


def _is_as_open(gate: Gate, base: Gate) -> bool:
    return gate.measure == base.measure and _is_within(base, gate)


def _said(limit: Limit) -> Mapping[str, Any]:
    said = limit.model_dump(mode="json", exclude_defaults=True)
    return {key: value for key, value in said.items() if key not in _UNASKED}


def asked(limit: Limit) -> str:
    """All that a limit asks, in one line: two limits that differ in anything differ here."""
    rest = {k: v for k, v in _said(limit).items() if k not in ("measure", limit.kind)}
    words = [f"{limit.kind.replace('_', ' ')} {limit.value:g}"]
    words += [f"{k.replace('_', ' ')} {_plain(v)}" for k, v in sorted(rest.items())]
    return f"{', '.join(words)} (on {limit.measure})"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
