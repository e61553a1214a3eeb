"""The end of a run on a terminal: verdict, the worst findings, what was not decided."""

from __future__ import annotations

from auditor.findings import Finding, LimitResult, Verdict
from auditor.opening import shown_line
from auditor.record import AuditRecord
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.page_one import headline, left_out
from auditor.reports.reasons import reason
from auditor.reports.why import why
from auditor.reports.wording import ALTERED

VERDICT_SENTENCES = {
    Verdict.PASS: "MEETS policy",
    Verdict.PASS_WITH_WAIVERS: "MEETS, with waivers, policy",
    Verdict.FAIL: "DOES NOT MEET policy",
    Verdict.INCONCLUSIVE: "NOT DECIDED against policy",
    Verdict.NOT_RUN: "NOT DECIDED against policy",
}


def summary_lines(record: AuditRecord) -> list[str]:
    """Lines for a reader who just ran the audit."""
    policy = record.policy.parsed
    sentence = VERDICT_SENTENCES[record.verdict]
    lines = ["", f'{record.title}: {sentence} "{policy["id"]} {policy["version"]}".', ""]
    order = ordered(record)
    lines += [f"  {line}" for line in (*headline(order), *left_out(order))] + [""]
    for finding in _worst(order):
        leaning = f", leaning {finding.leaning}" if finding.leaning else ""
        lines += [f"  {finding.verdict}{leaning}  {finding.id}", f"      {reason(finding, order)}"]
    skipped = [r for r in record.limit_results if _was_left_out(r, record)]
    open_limits = [
        f"{r.limit['id']}{' (leaning worse)' if _leans(r, record) else ''}"
        for r in record.limit_results
        if r.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN) and r.limit["required"]
        and r not in skipped
    ]  # fmt: skip
    if lines[-1]:
        lines += [""]
    if skipped:
        lines += [f"  Not judged: {len(skipped)} limits of checks that `--only` left out."]
        lines += [f"  Did not run: {n.check}. {n.reason}" for n in record.plan.not_run]
    if open_limits:
        lines += [f"  Not decided (the report says why of each limit): {', '.join(open_limits)}"]
    elif record.verdict is Verdict.INCONCLUSIVE and not skipped:
        lines += [f"  {why(record, order)}"]
    altered = [ALTERED] if record.altered else []
    lines += [f"  Warning: {warning}" for warning in (*altered, *record.warnings)]
    lines += [f"  Model: {note}" for note in record.model.notes]
    # Names are the data's: none may begin a line of its own, or move the cursor.
    return [shown_line(line) for line in (*lines, "")]


def _worst(order: Ordered) -> tuple[Finding, ...]:
    """The five findings that the report has first, of what failed or is open."""
    return tuple(f for f in order.findings if f.verdict not in (None, Verdict.PASS))[:5]


def _was_left_out(result: LimitResult, record: AuditRecord) -> bool:
    """Whether nothing was measured for a limit because its check was not asked for."""
    check = str(result.limit.get("measure", "")).partition(":")[0]
    planned = (*record.plan.checks, *(n.check for n in record.plan.not_run))
    return bool(check) and not result.findings and check not in planned


def _leans(result: LimitResult, record: AuditRecord) -> bool:
    """Whether something under a limit is shown to be worse, though not by how much."""
    return any(f.leaning == "worse" and f.id in result.findings for f in record.findings)
