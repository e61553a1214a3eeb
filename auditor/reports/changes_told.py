"""A comparison of two audits in words: what a terminal and the page of it say."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditor.changes.compare import Changes, NumberChange, VerdictChange, Way
from auditor.changes.inputs import InputChange
from auditor.changes.limits import LimitChange
from auditor.contract.numbers import number_texts, value_text, with_unit
from auditor.findings import Finding, Verdict
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.reasons import remedy
from auditor.reports.wording import AUDIT_WORDS, VERDICT_WORDS, date_text, listed
from auditor.stats import interval, value

RULE = (
    "A finding regressed where the old numbers meet a limit of the new policy and the new numbers "
    "do not, or where a number is shown to be worse; a difference or a ratio only where it is on "
    "its bad side after it. A change counts as shown only where, had nothing changed, chance "
    "would show any at all in at most 5 of 100 such comparisons."
)
UNPAIRED = (
    "What cannot be made again from the kept answers is compared as of two samples: of the same "
    "images that is the cautious way, and misses smaller changes."
)
TIMINGS = (
    "Timings differ from run to run by more than the range of one run says: no change of them is "
    "called from one run each."
)
_PACKAGES_TOLD = 6
_TURNS = {"looser": "loosened", "tighter": "tightened", "otherwise": "changed"}


@dataclass(frozen=True)
class NumberLine:
    """A number that changed: what it is, before, after, by how much, and what that rests on."""

    id: str
    title: str
    before: str
    after: str
    change: str
    rests_on: str
    remedy: str = ""


@dataclass(frozen=True)
class VerdictLine:
    """A verdict that changed, and why."""

    id: str
    title: str
    limit: str
    before: str
    after: str
    why: str
    remedy: str = ""


@dataclass(frozen=True)
class Told:
    """A comparison in words."""

    changes: Changes

    @cached_property
    def order(self) -> Ordered:
        return ordered(self.changes.after)

    @cached_property
    def _old_order(self) -> Ordered:
        return ordered(self.changes.before)

    @property
    def heading(self) -> str:
        old, new = self.changes.before, self.changes.after
        return f"{old.title} and {new.title}" if old.title != new.title else new.title

    @property
    def audits(self) -> tuple[str, str]:
        """Old and new in a line each."""
        pairs = (("Old", self.changes.before), ("New", self.changes.after))
        old, new = (
            f"{word}: {r.title}, {date_text(r.provenance.started)}. {AUDIT_WORDS[r.verdict]} "
            f"policy “{r.policy.parsed['id']} {r.policy.parsed['version']}”."
            for word, r in pairs
        )
        return old, new

    @property
    def verdict(self) -> str:
        """What came out, in a sentence."""
        n = len(self.changes.regressed)
        if self.changes.identical:
            return "Both are the same record, to the byte."
        if n:
            return f"{n} finding{'s' if n > 1 else ''} regressed."
        if not self.changes.shown and not self.changes.verdicts:
            return "No change is shown, and no verdict is another."
        return "Nothing regressed of what both measure." if self.gone else "Nothing regressed."

    @property
    def counts(self) -> str:
        """How much changed, and in which direction, in a sentence; empty for one record."""
        if self.changes.identical:
            return ""
        numbers = {"worse": self.worse, "better": self.better, "different": self.other}
        shown = ", ".join(f"{len(found):,} {word}" for word, found in numbers.items())
        gone = f", {self.gone:,} met before and not in the new audit" if self.gone else ""
        return (
            f"Numbers shown to be otherwise: {shown}. Findings that a limit asks about: "
            f"{len(self.broken):,} met before and not met now, {len(self.lost):,} no longer shown "
            f"to be met{gone}, {len(self.mended):,} now met."
        )

    @property
    def gone(self) -> int:
        """Findings of the old audit that meet a limit, and that the new audit does not have."""
        return sum(c.is_gone and c.judged_anew is Verdict.PASS for c in self.changes.verdicts)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What makes the two hard to compare."""
        return tuple(_cautions(self.changes))

    @property
    def compared(self) -> str:
        """How many numbers were compared, and how."""
        return _compared(self.changes)

    @property
    def sharing(self) -> tuple[str, ...]:
        """Which images both audits have, or why none is compared one by one."""
        return tuple(_sharing(self.changes))

    @property
    def worse(self) -> tuple[NumberLine, ...]:
        return tuple(self._number(c, advised=True) for c in self.changes.worse)

    @property
    def better(self) -> tuple[NumberLine, ...]:
        return tuple(self._number(c) for c in self.changes.shown if c.turn == "better")

    @property
    def other(self) -> tuple[NumberLine, ...]:
        """Shown to differ, neither for better nor for worse."""
        worse = self.changes.worse
        kept = (c for c in self.changes.shown if c not in worse and c.turn != "better")
        return tuple(self._number(c) for c in kept)

    @property
    def counted(self) -> tuple[NumberLine, ...]:
        """Counts that differ, which have no chance in them."""
        kept = (c for c in self.changes.numbers if c.way == "counted" and c.differs)
        lines = (self._number(c) for c in kept)
        return tuple(line for line in lines if line.before != line.after)

    @property
    def broken(self) -> tuple[VerdictLine, ...]:
        return self._verdicts(c for c in self.changes.verdicts if c.is_regression)

    @property
    def lost(self) -> tuple[VerdictLine, ...]:
        return self._verdicts(c for c in self.changes.verdicts if c.is_lost)

    @property
    def mended(self) -> tuple[VerdictLine, ...]:
        return self._verdicts(c for c in self.changes.verdicts if c.is_mended)

    @property
    def broken_anew(self) -> tuple[VerdictLine, ...]:
        """Findings that the old audit does not have, and whose limit is not met."""
        new = (c for c in self.changes.verdicts if c.is_new)
        return self._verdicts(c for c in new if c.after is Verdict.FAIL)

    @property
    def turned(self) -> tuple[VerdictLine, ...]:
        """Other verdicts that changed, of findings that both have."""
        told = ("is_regression", "is_lost", "is_mended", "is_new", "is_gone")
        return self._verdicts(
            c for c in self.changes.verdicts if not any(getattr(c, name) for name in told)
        )

    @property
    def one_sided(self) -> tuple[str, ...]:
        """How many findings only one audit has, by limit and verdict."""
        return tuple(_one_sided(self.changes))

    @property
    def inputs(self) -> tuple[InputChange, ...]:
        """What differs between what the audits were made from; of many packages the first."""
        packages = [i for i in self.changes.inputs if i.part == "versions"]
        kept = [i for i in self.changes.inputs if i.part != "versions"]
        more = len(packages) - _PACKAGES_TOLD
        rest = [InputChange("versions", f"{more} more packages", "", "")] if more > 0 else []
        return (*kept, *packages[:_PACKAGES_TOLD], *rest)

    @property
    def limits(self) -> tuple[str, ...]:
        """Limits and waivers that were added, dropped or changed, in a sentence each."""
        policy = self.changes.policy
        return (
            *(f"Limit {c.id} was {_TURNS[c.turn]}: {_differs(c)}." for c in policy.changed),
            *(f"Limit {name} was added." for name in policy.added),
            *(f"Limit {name} was dropped." for name in policy.dropped),
            *(f"Waiver {name} was {what}." for name, what in policy.waivers),
        )

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(_by_check(self.changes.added))

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(_by_check(self.changes.dropped))

    def _number(self, change: NumberChange, *, advised: bool = False) -> NumberLine:
        found = next((f for f in self.order.findings if f.result == change.id), None)
        asked = remedy(found, self.order) if found is not None and advised else ""
        return NumberLine(
            id=change.id,
            title=self.order.telling.title(change.check, change.after),
            before=value_text(change.before),
            after=value_text(change.after),
            change=_change_text(change),
            rests_on=self._rests_on(change),
            remedy=asked,
        )

    def _rests_on(self, change: NumberChange) -> str:
        paired = change.paired
        if paired is None:
            return "a count" if change.way == "counted" else "two samples"
        units = "" if paired.n_units is None else f", {self.order.telling.counted(paired.n_units)}"
        return f"the same {paired.n:,} {change.after.of}s{units}"

    def _verdicts(self, changes: Iterator[VerdictChange]) -> tuple[VerdictLine, ...]:
        return tuple(self._verdict(change) for change in changes)

    def _verdict(self, change: VerdictChange) -> VerdictLine:
        result = change.id.partition("#")[0]
        order, finding = self._finding(result, change.limit)
        after = _word(change.after) + (" (waived)" if change.waived_by else "")
        return VerdictLine(
            id=result,
            title=order.title(finding),
            limit=change.limit,
            before=_word(change.before),
            after=after,
            why=_why(change),
            remedy=remedy(finding, order) if order is self.order else "",
        )

    def _finding(self, result: str, limit: str) -> tuple[Ordered, Finding]:
        """The finding in the new audit, else in the old one."""
        for order in (self.order, self._old_order):
            for finding in order.findings:
                if finding.result == result and finding.limit == limit:
                    return order, finding
        other = self.order if result in self.changes.after.results_by_id else self._old_order
        return other, Finding(result, result.partition(":")[0])


def _compared(changes: Changes) -> str:
    ways = Counter(change.way for change in changes.numbers)
    idle = sum(c.way == "paired" and c.p is None for c in changes.numbers)
    said: dict[Way, str] = {
        "paired": "image by image",
        "two samples": "as those of two samples",
        "counted": "counted without error",
        "timed": "timings",
    }
    parts = [f"{ways[way]:,} {words}" for way, words in said.items() if ways[way]]
    if idle:
        parts[0] += f" ({idle:,} of them without one answer that turned)"
    return f"Of {len(changes.numbers):,} numbers that both have: {', '.join(parts) or 'none'}."


def _one_sided(changes: Changes) -> Iterator[str]:
    new = Counter((c.limit, c.after) for c in changes.verdicts if c.is_new)
    gone = Counter((c.limit, c.judged_anew) for c in changes.verdicts if c.is_gone)
    for what, counts in (("only in the new audit", new), ("only in the old audit", gone)):
        for (limit, verdict), n in counts.items():
            yield f"Limit {limit}: {n:,} {what}, {_word(verdict)}."


def _word(verdict: Verdict | None) -> str:
    return "no such finding" if verdict is None else VERDICT_WORDS[verdict]


def _why(change: VerdictChange) -> str:
    if change.by_policy:
        return "The policy alone: the old numbers have the same verdict by it."
    if change.before is not change.judged_anew:
        return f"By the new policy the old numbers are: {_word(change.judged_anew)}."
    if change.limit_changed:
        return "The numbers: the limit was changed, but the old numbers keep their verdict by it."
    return "It is new." if change.before is None else ""


def _change_text(change: NumberChange) -> str:
    """The difference on shared rows with its 95% range; empty where there is none to tell."""
    paired = change.paired
    if paired is None or paired.estimate is None:
        return ""
    ends = interval(paired.estimate)
    scale = "difference" if change.after.scale in ("share", "difference") else change.after.scale
    numbers = [value(paired.estimate), ends.low, ends.high]
    text, low, high = number_texts(numbers, scale)
    sign = "+" if numbers[0] > 0 else ""
    return f"{sign}{with_unit(text, scale, change.after.unit)} [{low}, {high}]"


def _differs(change: LimitChange) -> str:
    return "; ".join(f"{key} {_stated(old)} → {_stated(new)}" for key, old, new in change.differs)


def _stated(said: Any) -> str:
    if said is None or said == {} or said == ():
        return "nothing"
    if isinstance(said, dict):
        return ", ".join(f"{k}: {_stated(v)}" for k, v in said.items() if v not in (None, {}, ()))
    return f"{said:g}" if isinstance(said, float) else str(said)


def _by_check(identifiers: Sequence[str]) -> Iterator[str]:
    """Ids by check, as ``bias/slices: 12 (…, … and 10 more)``."""
    for check, own in itertools.groupby(identifiers, key=lambda i: i.partition(":")[0]):
        names = [i.partition(":")[2] for i in own]
        yield f"{check}: {len(names)} ({listed(names, most=3)})"


def _cautions(changes: Changes) -> Iterator[str]:
    old, new = changes.before, changes.after
    for which, record in (("old", old), ("new", new)):
        yield from (f"Of the {which} audit: {text}" for text in record.warnings)
    if old.model.task != new.model.task:
        yield (
            f"The audits are of two tasks, {old.model.task} and {new.model.task}: only what both "
            "measure under the same name is compared."
        )
    elif old.title != new.title:
        yield (
            f"The audits have two titles, “{old.title}” and “{new.title}”: what both measure is "
            "compared all the same."
        )
    if old.model.classes != new.model.classes:
        yield "The models have other classes: numbers over all classes are of two questions."
    if old.provenance.cpu != new.provenance.cpu:
        yield "They ran on two processors: answers may differ in the last digits for that alone."
    if old.provenance.started > new.provenance.started:
        yield "The old audit is the later one of the two. Was the order meant?"
    n = sum(change.way == "not comparable" for change in changes.numbers)
    if n:
        yield f"{n} numbers have the same name and another scale or unit, and are not compared."


def _sharing(changes: Changes) -> Iterator[str]:
    for (split, kind), shared in sorted(changes.shared.items()):
        if not len(shared.pair):
            # Under pseudonyms, or another key for them, the same image has another name.
            what = f"no {kind} has the same name and the same bytes in both"
            yield f"{split}: {what}, so they are compared as two samples."
            continue
        of = max(len(shared.before.rows), len(shared.after.rows))
        text = f"{split}: {len(shared.pair):,} of {of:,} {kind}s are in both, to the byte"
        if shared.share <= 0.5:
            text += "; that is half or less, so they are compared as two samples"
        if shared.relabelled:
            text += f"; {shared.relabelled:,} of them have another label"
        yield f"{text}."
    if changes.without_rows:
        which = " and the ".join(changes.without_rows)
        plural = "s" if len(changes.without_rows) > 1 else ""
        yield (
            f"The answers of the {which} audit{plural} are not in a store beside its record, so "
            "nothing is compared image by image: smaller changes stay unseen. Give the folders "
            "that `auditor run` wrote, with their store."
        )
