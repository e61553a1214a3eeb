"""What an audit found, told in a page: one paragraph a limit that is not met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.findings import Finding, LimitResult, Verdict
from auditor.reports.action_plan import steps
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import limit_text
from auditor.reports.wording import listed, shortened

MOST = 12
"""Limits that are told; the report holds all."""


@dataclass(frozen=True)
class Told:
    """A limit that is not met: its worst finding, in a sentence, and the others' groups."""

    number: int
    title: str
    sentence: str
    bound: str
    also: str
    blocking: bool
    why: str


@dataclass(frozen=True)
class Story:
    """What was found: limits not met, blocking ones first, and how many limits came to what.

    `remedies` are what to do about the blocking ones, each once.
    """

    told: tuple[Told, ...]
    more: int
    met: int
    not_met: int
    not_decided: int
    not_measured: int
    undecided: tuple[str, ...]
    remedies: tuple[str, ...]

    @property
    def limits(self) -> int:
        return self.met + self.not_met + self.not_decided + self.not_measured


def story(order: Ordered) -> Story:
    """The findings of an audit, each limit once."""
    by = {v: [r for r in order.limits if r.verdict is v] for v in Verdict}
    failed = sorted(by[Verdict.FAIL], key=lambda r: not _blocks(r))
    undecided = (order.short(f) for r in by[Verdict.INCONCLUSIVE] for f in _open(r, order)[:1])
    return Story(
        told=tuple(told for r in failed[:MOST] for told in _told(r, order)),
        more=max(len(failed) - MOST, 0),
        met=len(by[Verdict.PASS]) + len(by[Verdict.PASS_WITH_WAIVERS]),
        not_met=len(failed),
        not_decided=len(by[Verdict.INCONCLUSIVE]),
        not_measured=len(by[Verdict.NOT_RUN]),
        undecided=tuple(dict.fromkeys(shortened(text, 70) for text in undecided)),
        remedies=steps([_failures(r, order) for r in failed[:MOST] if _blocks(r)], order),
    )


def _open(result: LimitResult, order: Ordered) -> list[Finding]:
    return [f for f in order.of(result.findings) if f.verdict is Verdict.INCONCLUSIVE]


def _told(result: LimitResult, order: Ordered) -> Iterator[Told]:
    failed = _failures(result, order)
    if not failed:
        return
    first, measure = failed[0], order.measure(failed[0])
    text = order.filled(order.words(first).hundred, first)
    others = [order.short(f) for f in failed[1:] if order.short(f) != order.short(first)]
    yield Told(
        number=order.numbers[first.id],
        title=order.title(first),
        sentence=shortened(text or (order.telling.sentence(first.check, measure) if measure else
                                    ""), 320),
        bound=limit_text(result.limit, measure or order.words(first)),
        also=listed([shortened(name, 60) for name in others], most=3, join="; "),
        blocking=_blocks(result),
        why=str(result.limit.get("why") or ""),
    )  # fmt: skip


def _failures(result: LimitResult, order: Ordered) -> list[Finding]:
    return [f for f in order.of(result.findings) if f.verdict is Verdict.FAIL]


def _blocks(result: LimitResult) -> bool:
    return bool(result.limit["severity"] == "blocking")
