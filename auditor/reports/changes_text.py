"""A comparison of two audits as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.changes.compare import Changes
from auditor.opening import shown_line
from auditor.reports.changes_told import RULE, NumberLine, Told, VerdictLine


def text_lines(changes: Changes) -> list[str]:
    """A comparison for a terminal."""
    told = Told(changes)
    lines = ["", *told.audits, "", told.verdict, *filter(None, [told.counts]), "", told.compared]
    lines += [f"  {line}" for line in told.sharing]
    lines += [f"Caution: {line}" for line in told.cautions]
    lines += _section("What they were made from differs", _input_lines(told))
    lines += _section("Regressed: a limit that was met is not met", _verdict_lines(told.broken))
    lines += _section("Regressed: shown to be worse", _number_lines(told.worse))
    lines += _section("No longer shown to be met", _verdict_lines(told.lost))
    lines += _section("Now met", _verdict_lines(told.mended))
    lines += _section("Only in the new audit, and not met", _verdict_lines(told.broken_anew))
    lines += _section("Other verdicts that changed", _verdict_lines(told.turned))
    lines += _section("Shown to be better", _number_lines(told.better))
    lines += _section("Shown to be different", _number_lines(told.other))
    lines += _section("Counts that differ", _number_lines(told.counted))
    lines += _section("Limits and waivers", told.limits)
    lines += _section("Findings that only one audit has", told.one_sided)
    lines += _section("Measured only in the new audit", told.added)
    lines += _section("Measured only in the old audit", told.dropped)
    return [shown_line(line) for line in (*lines, "", RULE, "")]


_MOST_LINES = 12


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = len(lines) - _MOST_LINES
    rest = [f"  and {more} more, in changes.html"] if more > 0 else []
    return ["", f"{title} ({len(lines)}):", *(f"  {x}" for x in lines[:_MOST_LINES]), *rest]


def _input_lines(told: Told) -> list[str]:
    return [
        f"{i.part}, {i.what}" + (f": {i.before or 'nothing'} → {i.after or 'nothing'}"
                                 if i.before or i.after else "")
        for i in told.inputs
    ]  # fmt: skip


def _number_lines(lines: Sequence[NumberLine]) -> list[str]:
    return [
        f"{x.title}: {x.before} → {x.after}"
        + (f", {x.change} on {x.rests_on}" if x.change else f" ({x.rests_on})")
        for x in lines
    ]


def _verdict_lines(lines: Sequence[VerdictLine]) -> list[str]:
    return [
        f"{x.title} (limit {x.limit}): {x.before} → {x.after}{f'. {x.why}' if x.why else ''}"
        for x in lines
    ]
