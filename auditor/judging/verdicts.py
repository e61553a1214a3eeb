"""From findings to the verdict of a limit and of the audit, and what to read first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.findings import Finding, LimitResult, Measure, Verdict
from auditor.judging.policy import conditions
from auditor.record import AuditRecord
from auditor.stats import value


def limit_verdict(verdicts: Sequence[Verdict | None]) -> Verdict:
    """The verdict of a limit over all that it met; of nothing, NOT_RUN."""
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    if all(v is Verdict.NOT_RUN for v in verdicts):
        return Verdict.NOT_RUN
    return Verdict.PASS if all(v is Verdict.PASS for v in verdicts) else Verdict.INCONCLUSIVE


def _is_settled(result: LimitResult, known: Mapping[str, Finding]) -> bool:
    """Whether a limit is passed, or failed only where waived and passed elsewhere."""
    if result.waived_by is None:
        return result.verdict is Verdict.PASS
    rest = [known[i].verdict for i in result.findings if known[i].waived_by is None]
    return not rest or limit_verdict(rest) is Verdict.PASS


def overall(limit_results: Iterable[LimitResult], *, findings: Iterable[Finding]) -> Verdict:
    """The audit's verdict: FAIL, INCONCLUSIVE, PASS_WITH_WAIVERS or PASS.

    Any blocking FAIL that is not waived fails; any required limit that is neither passed nor
    waived leaves it open, and so does an audit in which no limit `could_fail`.
    """
    known = {finding.id: finding for finding in findings}
    results = list(limit_results)
    blocking = [r for r in results if r.limit["severity"] == "blocking"]
    if any(r.verdict is Verdict.FAIL and r.waived_by is None for r in blocking):
        return Verdict.FAIL
    if not any(could_fail(r, known) for r in results):
        return Verdict.INCONCLUSIVE
    if any(r.limit["required"] and not _is_settled(r, known) for r in results):
        return Verdict.INCONCLUSIVE
    if any(r.waived_by and (r in blocking or r.limit["required"]) for r in results):
        return Verdict.PASS_WITH_WAIVERS
    return Verdict.PASS


def could_fail(result: LimitResult, known: Mapping[str, Finding]) -> bool:
    """Whether a limit had to be met and was put to the test; `known` are the findings by id.

    It is blocking and required, and something was measured for it other than behind a gate that
    stayed shut. A condition of every policy asks nothing of the model.
    """
    asked = result.limit["severity"] == "blocking" and result.limit["required"]
    asked = asked and result.limit["id"] not in conditions()
    found = (known[i] for i in result.findings)
    return bool(asked) and any(
        f.verdict is not Verdict.NOT_RUN and (f.gating is None or f.gating.state != "shut")
        for f in found
    )


def worst(record: AuditRecord, *, k: int = 5) -> tuple[Finding, ...]:
    """The `k` findings to read first: what failed, then what is undecided, then what did not run.

    Blocking before advisory; of one limit the two that exceed it most come before the others,
    so that one limit over many groups does not fill the list. Passes are never among them.
    """
    bounds = {str(r.limit["id"]): r.limit for r in record.limit_results}
    ranked = [f for f in record.findings if f.verdict not in (None, Verdict.PASS)]
    ranked.sort(key=lambda f: -_excess(record.measure(f), bounds.get(f.limit or "", {})))
    seen: dict[str | None, int] = {}
    keyed = []
    for place, finding in enumerate(ranked):
        seen[finding.limit] = seen.get(finding.limit, 0) + 1
        keyed.append((*_urgency(finding), seen[finding.limit] > 2, place))
    order = sorted(range(len(ranked)), key=lambda i: keyed[i])
    return tuple(ranked[i] for i in order[:k])


def _urgency(finding: Finding) -> tuple[int, int]:
    verdicts = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 2, Verdict.NOT_RUN: 3}
    rank = verdicts.get(finding.verdict or Verdict.NOT_RUN, 3)
    if finding.leaning == "worse":
        rank = 1
    return (0 if finding.severity == "blocking" else 1, rank)


def _excess(measure: Measure | None, limit: Mapping[str, Any]) -> float:
    """How far a value is beyond its limit, in the limit's own size; 0 where there is no value."""
    kind = next((k for k in ("at_least", "above", "at_most", "below") if k in limit), None)
    if measure is None or kind is None:
        return 0.0
    stated = float(limit[kind])
    beyond = value(measure.estimate) - stated
    # A claim of 91% that is missed by 9 points is missed by all that it leaves for errors.
    room = 1 - stated if kind in ("at_least", "above") and 0.5 < stated < 1 else abs(stated)
    return (-beyond if kind in ("at_least", "above") else beyond) / (room or 0.1)
