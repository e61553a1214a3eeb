"""What stays of a gap among images alike in another attribute, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.contract.numbers import gap_text
from auditor.findings import Alike, Measure
from auditor.stats import value

Shown = Callable[[str], str]
"""What readers are shown of a name."""

PLAIN = ("lower", "higher")


_TURNS = {
    "explained": "Explained by",
    "reversed": "Turned round by",
    "hidden": "A gap is hidden by",
}


def alike_clause(measure: Measure, shown: Shown, *, gap: tuple[str, str] = PLAIN) -> str:
    """What stays of a gap among images alike; empty where no gap is shown, or hidden."""
    turned = [a for a in measure.adjusted if a.reading in _TURNS]
    if turned:
        most = max(turned, key=lambda a: abs((a.value or 0.0) - value(measure.estimate)))
        name = shown(most.condition)
        said = alike_gap(most, measure, gap)
        number = f": {said} among images of the same {name}" if said else ""
        return f"{_TURNS[most.reading]} {name}{number}."
    return _stays(measure, shown, gap)


def _stays(measure: Measure, shown: Shown, gap: tuple[str, str]) -> str:
    remains = [a for a in measure.adjusted if a.reading == "remains"]
    unsure = [a for a in measure.adjusted if a.reading in ("open", "not comparable")]
    if not remains and (not unsure or not _is_shown(measure)):
        return ""
    parts = []
    if remains:
        said = alike_gap(remains[0], measure, gap) if len(remains) == 1 else ""
        number = f" ({said})" if said else ""
        parts.append(f"It stays so among images of the same {_either(remains, shown)}{number}")
    if unsure:
        said = f"whether {_either(unsure, shown)} explains it cannot be told"
        parts.append(said if parts else f"W{said[1:]}")
    return f"{'; '.join(parts)}."


def _is_shown(measure: Measure) -> bool:
    ends, neutral = measure.interval, measure.neutral or 0.0
    return not ends.low <= neutral <= ends.high


def alike_gap(alike: Alike, measure: Measure, gap: tuple[str, str]) -> str:
    """The gap among images alike; empty where there is none on the measure's scale."""
    if alike.value is None or alike.low is None or alike.high is None:
        return ""
    return gap_text(alike.value, alike.low, alike.high, measure, words=gap)


def _either(alike: Sequence[Alike], shown: Shown) -> str:
    names = [shown(a.condition) for a in alike]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
