"""Two audits side by side: which verdicts changed, which numbers are shown to have changed.

A number changed where the hypothesis that nothing did is rejected at 5% over everything compared
(Holm). On images that both audits have, answers are compared image by image (sign flips by unit,
exact McNemar for single answers); other numbers as those of two samples. Half of the 5% is spent on
what blocking limits are about, a quarter on other limits, a quarter on the rest: what the policy
asks does not pay for what is only told.

A finding *regressed* where the old numbers meet a limit of the new policy and the new numbers do
not, or where a number that has a good side is shown to be worse. Of a difference or a ratio that
is one where it is shown on its bad side after it: a group that loses an advantage over the rest has
not become worse off. Timings differ from run to run by more than their ranges say,
and no change of one is called; only their verdicts count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from auditor.changes.inputs import InputChange, input_changes
from auditor.changes.limits import PolicyChange, policy_change
from auditor.changes.paired import PairedChange, RowsByKind, Shared, paired_change
from auditor.engine.row_files import KeptRows, read_rows
from auditor.errors import DataError
from auditor.findings import Finding, Measure, Verdict
from auditor.judging.judged_record import policy_of, read_record, record_place, rejudge
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.stats import Exact, difference_p, holm, p_value, value

ALPHA = 0.05
_WEIGHTS = {"blocking": 0.5, "advisory": 0.25, "": 0.25}

Way = Literal["paired", "two samples", "counted", "timed", "not comparable"]
Turn = Literal["better", "worse", "otherwise"]


@dataclass(frozen=True)
class NumberChange:
    """A number of both audits. `p` is adjusted over all compared, None where nothing was tested.

    `severity` is that of the strictest limit on it, empty where none is. `shown` says that a change
    is shown, `turn` which way the value went; `is_worse` that it is shown to be worse.
    """

    id: str
    check: str
    before: Measure
    after: Measure
    way: Way
    severity: str = ""
    paired: PairedChange | None = None
    raw_p: float | None = None
    p: float | None = None
    harm_p: float = 0.0

    @property
    def shown(self) -> bool:
        return self.p is not None and self.p <= ALPHA

    @property
    def differs(self) -> bool:
        return value(self.before.estimate) != value(self.after.estimate)

    @property
    def turn(self) -> Turn:
        better, went = self.after.better, self._went
        if better == "none" or went == 0:
            return "otherwise"
        return "better" if (went > 0) == (better == "higher") else "worse"

    @property
    def _went(self) -> float:
        """How far the value went: on shared images where those were compared."""
        if self.paired is not None and self.paired.estimate is not None:
            return value(self.paired.estimate)
        return value(self.after.estimate) - value(self.before.estimate)

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse, for whoever it is about."""
        return self.shown and self.turn == "worse" and self.harm_p <= ALPHA


@dataclass(frozen=True)
class VerdictChange:
    """A finding's verdict before, by the new policy of the old numbers, and after.

    None where there is no such finding. `limit_changed` says that the policy states the limit
    otherwise than before.
    """

    id: str
    limit: str
    before: Verdict | None
    judged_anew: Verdict | None
    after: Verdict | None
    limit_changed: bool = False
    waived_by: str | None = None

    @property
    def by_policy(self) -> bool:
        """Whether the policy alone turned it: the old numbers would have the new verdict, too."""
        return self.before is not self.judged_anew and self.judged_anew is self.after

    @property
    def is_regression(self) -> bool:
        return self.judged_anew is Verdict.PASS and self.after is Verdict.FAIL

    @property
    def is_lost(self) -> bool:
        """Whether a limit that was met is not shown to be met any more, nor to be broken."""
        return self.judged_anew is Verdict.PASS and self.after in (
            Verdict.INCONCLUSIVE, Verdict.NOT_RUN,
        )  # fmt: skip

    @property
    def is_mended(self) -> bool:
        known = self.judged_anew is not None or self.before is not None
        return known and self.judged_anew is not Verdict.PASS and self.after is Verdict.PASS

    @property
    def is_new(self) -> bool:
        return self.before is None and self.judged_anew is None

    @property
    def is_gone(self) -> bool:
        return self.after is None


@dataclass(frozen=True)
class Changes:
    """All that differs between two audits."""

    before: AuditRecord
    after: AuditRecord
    inputs: tuple[InputChange, ...]
    policy: PolicyChange
    numbers: tuple[NumberChange, ...]
    verdicts: tuple[VerdictChange, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    shared: RowsByKind = field(default_factory=dict)
    without_rows: tuple[str, ...] = ()

    @cached_property
    def shown(self) -> tuple[NumberChange, ...]:
        """Numbers that are shown to have changed, the surest first."""
        return tuple(sorted((c for c in self.numbers if c.shown), key=lambda c: (c.p, c.raw_p)))

    @property
    def worse(self) -> tuple[NumberChange, ...]:
        return tuple(change for change in self.shown if change.is_worse)

    @property
    def tested(self) -> int:
        return sum(change.p is not None for change in self.numbers)

    @cached_property
    def regressed(self) -> tuple[str, ...]:
        """Ids of findings that regressed, each once."""
        broken = [change.id for change in self.verdicts if change.is_regression]
        return tuple(dict.fromkeys([*broken, *(change.id for change in self.worse)]))

    @property
    def identical(self) -> bool:
        return record_digest(self.before) == record_digest(self.after)


def compare(before: str | Path, after: str | Path) -> Changes:
    """Compare two audits, each an output folder or an ``audit.json``.

    Raises DataError naming the one that cannot be read, or that was changed by hand.
    """
    old, new = (_read(Path(place), which) for place, which in ((before, "OLD"), (after, "NEW")))
    old_rows, new_rows = (
        read_rows(record, record_place(place).parent)
        for record, place in ((old, before), (new, after))
    )
    return compare_records(old, new, rows=(old_rows, new_rows))


def _read(place: Path, which: str) -> AuditRecord:
    try:
        record = read_record(place)
    except DataError as error:
        raise DataError(f"{which} ({place}): {error}") from error
    if record.altered:
        raise DataError(
            f"{which} ({place}): the record was changed after it had been written, so nothing in "
            "it can be compared. Run that audit again."
        )
    return record


def compare_records(
    before: AuditRecord, after: AuditRecord, *, rows: tuple[KeptRows, KeptRows] = ({}, {})
) -> Changes:
    """Compare two records; with the `rows` that each was made from, image by image."""
    both = sorted(rows[0].keys() & rows[1].keys())
    shared = {key: Shared.of(rows[0][key], rows[1][key]) for key in both}
    policy = policy_change(before, after)
    numbers = _adjusted(list(_numbers(before, after, shared)))
    return Changes(
        before=before,
        after=after,
        inputs=input_changes(before, after),
        policy=policy,
        numbers=numbers,
        verdicts=tuple(_verdicts(before, after, policy)),
        added=_only(after, before),
        dropped=_only(before, after),
        shared=shared,
        without_rows=tuple(n for n, kept in zip(("old", "new"), rows, strict=True) if not kept),
    )  # fmt: skip


def _only(here: AuditRecord, there: AuditRecord) -> tuple[str, ...]:
    """Ids of measures of one record, in its order, that the other has no measure of."""
    others = {k for k, found in there.results_by_id.items() if isinstance(found, Measure)}
    return tuple(
        k for k, found in here.results_by_id.items()
        if isinstance(found, Measure) and k not in others
    )  # fmt: skip


def _numbers(before: AuditRecord, after: AuditRecord, shared: RowsByKind) -> Iterator[NumberChange]:
    severities = _severities(after)
    others = before.results_by_id
    for identifier, new in after.results_by_id.items():
        old = others.get(identifier)
        if isinstance(old, Measure) and isinstance(new, Measure):
            change = NumberChange(
                identifier, identifier.partition(":")[0], old, new, _way(old, new),
                severities.get(identifier, ""),
            )  # fmt: skip
            yield _tested(change, shared)


def _severities(record: AuditRecord) -> dict[str, str]:
    """The severity of the strictest limit on each measure, by its id."""
    found: dict[str, str] = {}
    for finding in record.findings:
        if finding.severity and found.get(finding.result) != "blocking":
            found[finding.result] = finding.severity
    return found


def _way(old: Measure, new: Measure) -> Way:
    if (old.scale, old.unit, old.better) != (new.scale, new.unit, new.better):
        return "not comparable"
    if old.volatile or new.volatile:
        return "timed"
    counted = isinstance(old.estimate, Exact) and isinstance(new.estimate, Exact)
    return "counted" if counted else "two samples"


def _tested(change: NumberChange, shared: RowsByKind) -> NumberChange:
    if change.way != "two samples":
        return change
    old, new = change.before, change.after
    rows = shared.get((new.subject.split or "test", new.of))
    usable = rows is not None and rows.share > 0.5 and new.subject.variant is None
    paired = paired_change(old, new, rows) if rows is not None and usable else None
    if paired is None:
        p = difference_p(old.estimate, new.estimate, ratio=new.scale == "ratio")
        return replace(change, raw_p=p, harm_p=_harm_p(old, new))
    # Without a turned answer nothing could have shown a change: no part of the 5% is spent on it.
    raw = paired.p if paired.turned else None
    return replace(change, way="paired", paired=paired, raw_p=raw, harm_p=_harm_p(old, new))


def _harm_p(old: Measure, new: Measure) -> float:
    """The p-value of "it is on its good side after it", of what was there before.

    A gap of the rest's, a probability that is too cautious: what moves towards the neutral value
    from its good side has harmed nobody. 0 where the measure has no neutral value (a difference
    has 0, a ratio 1), or was on its bad side before.
    """
    neutral = new.neutral
    if neutral is None:
        neutral = {"difference": 0.0, "ratio": 1.0}.get(new.scale)
    if neutral is None or new.better == "none":
        return 0.0
    sign = 1 if new.better == "higher" else -1
    if sign * (value(old.estimate) - neutral) < 0:
        return 0.0
    return p_value(new.estimate, limit=neutral, exceeds="below" if sign > 0 else "above")


def _adjusted(changes: Sequence[NumberChange]) -> tuple[NumberChange, ...]:
    """With p-values adjusted over all that were tested."""
    tested = [i for i, change in enumerate(changes) if change.raw_p is not None]
    kinds = [changes[i].severity for i in tested]
    weights = [_WEIGHTS[kind] / kinds.count(kind) for kind in kinds]
    adjusted = holm([float(changes[i].raw_p or 0.0) for i in tested], weights=weights or None)
    found = dict(zip(tested, adjusted, strict=True))
    return tuple(replace(c, p=found[i]) if i in found else c for i, c in enumerate(changes))


def _verdicts(
    before: AuditRecord, after: AuditRecord, policy: PolicyChange
) -> Iterator[VerdictChange]:
    """Every finding with a verdict in either audit whose verdict is another, or gone."""
    was, is_now = _judged(before), _judged(after)
    anew = _judged(_judged_anew(before, after))
    for identifier in dict.fromkeys([*is_now, *anew, *was]):
        old, new = was.get(identifier), is_now.get(identifier)
        judged = anew.get(identifier)
        was_it, anew_it, is_it = (f.verdict if f else None for f in (old, judged, new))
        if was_it is anew_it is is_it:
            continue
        named = next(f for f in (new, judged, old) if f is not None)
        yield VerdictChange(
            identifier,
            str(named.limit),
            was_it,
            anew_it,
            is_it,
            limit_changed=named.limit in policy.changed_ids,
            waived_by=new.waived_by if new else None,
        )


def _judged(record: AuditRecord) -> Mapping[str, Finding]:
    """Findings with a verdict by measure and limit, whichever of several limits came first."""
    return {f"{f.result}#{f.limit}": f for f in record.findings if f.verdict is not None}


def _judged_anew(before: AuditRecord, after: AuditRecord) -> AuditRecord:
    """The old numbers by the new policy."""
    if before.policy.digest == after.policy.digest:
        return before
    day = datetime.fromisoformat(after.provenance.started).date()
    return rejudge(before, policy=policy_of(after), as_of=day)
