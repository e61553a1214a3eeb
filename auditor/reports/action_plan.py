"""The action plan: what failed or must still be decided, a row for each remedy of a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.findings import Finding, LimitResult, Verdict
from auditor.record import AuditRecord
from auditor.reports.finding_view import Mark, finding_view, mark
from auditor.reports.limits_section import limit_title, stated
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import is_within_reach, more_of, remedy, sentence
from auditor.reports.references import Ref, references
from auditor.reports.telling import data_of
from auditor.reports.wording import VERDICT_WORDS, listed
from auditor.stats import value

GROUPS = 6
REMEDIES = 3
PLAN_COLUMNS = (
    "row", "finding", "id", "title", "verdict", "severity", "limit", "why", "remedy", "owner",
    "due", "tested again by", "reply", "record sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A row of the plan: what stands open of one limit for one verdict, and what to do about it.

    `groups` names what the findings are about, `more` counts those not named; `owner` and `due`
    are empty unless somebody declared them; the auditee's reply is left to the auditee.
    """

    number: int
    what: str
    groups: str
    mark: Mark
    severity: str
    why: str
    remedy: str
    tested_again: str
    owner: str
    due: str
    limit: str
    findings: tuple[Finding, ...]
    refs: tuple[Ref, ...]

    @property
    def is_failure(self) -> bool:
        """Whether it mends what was shown to be beyond its limit."""
        return any(f.verdict is Verdict.FAIL for f in self.findings)


def action_plan(order: Ordered) -> tuple[Task, ...]:
    """Each failure and each required limit that is not decided, in the order of the findings."""
    found = [part for result in order.limits for part in _parts(result, order)]
    return tuple(
        _task(number, result, findings, order)
        for number, (result, findings) in enumerate(found, start=1)
    )


def left_out_of_plan(order: Ordered) -> str:
    """What the plan asks nothing about: limits that are open though not required; else empty."""
    planned = {task.limit for task in action_plan(order)}
    free = [r for r in order.limits if r.verdict is not Verdict.PASS
            and str(r.limit["id"]) not in planned]  # fmt: skip
    if not free:
        return ""
    titles = [limit_title(r.limit, order.of(r.findings), order) for r in free]
    names = listed(titles, most=GROUPS, join="; ")
    return f"Open and not required, so without a row: {names}."


def _parts(
    result: LimitResult, order: Ordered
) -> Iterator[tuple[LimitResult, tuple[Finding, ...]]]:
    """What of a limit asks for an action: its failures together, then what is open of it."""
    findings = sorted(order.of(result.findings), key=lambda f: order.numbers[f.id])
    failed = tuple(f for f in findings if f.verdict is Verdict.FAIL)
    undecided = tuple(f for f in findings if f.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN))
    if failed:
        yield result, failed
    if result.limit["required"] and (undecided or (not findings and _is_open(result))):
        yield result, undecided


def _is_open(result: LimitResult) -> bool:
    return result.verdict is not Verdict.PASS


def _task(number: int, result: LimitResult, findings: tuple[Finding, ...], order: Ordered) -> Task:
    every = order.of(result.findings)
    title = limit_title(result.limit, every, order)
    verdict = _verdict(result, findings)
    bound = stated(result.limit, every, order)
    owner, due = _owner(result, findings, order.record)
    waived = any(f.waived_by for f in findings)
    return Task(
        number=number,
        what=title,
        groups=_groups(findings, title, order) if len(every) > 1 else "",
        mark=mark(verdict, f"{VERDICT_WORDS[verdict]}, waived" if waived else None),
        severity=str(result.limit["severity"]),
        why=_why(result, findings, bound, order),
        remedy=_remedy(result, findings, order),
        tested_again=f"Limit “{result.limit['id']}” is met in a new audit.",
        owner=owner,
        due=due,
        limit=str(result.limit["id"]),
        findings=findings,
        refs=references((f.id for f in findings), order),
    )


def _verdict(result: LimitResult, findings: Sequence[Finding]) -> Verdict:
    verdicts = {f.verdict for f in findings}
    for one in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN):
        if one in verdicts:
            return one
    return result.verdict


def _groups(findings: Sequence[Finding], title: str, order: Ordered) -> str:
    """Whom findings are about, without the class or the data that the title has said of all."""
    names = []
    for finding in findings:
        name, subject = finding_view(finding, order).subject, order.result(finding).subject
        label = order.telling.shown_of("class", subject.get("class") or "")
        for said in (f"“{label}”", data_of(subject.split)):
            name = name.replace(f", {said}", "") if said in title else name
        names.append(name)
    return listed(names, most=GROUPS, join="; ")


def _why(result: LimitResult, findings: Sequence[Finding], bound: str, order: Ordered) -> str:
    """What was measured of the worst against the bound, and what the limit is for."""
    for_what = str(result.limit.get("why", "")).strip().rstrip(".")
    purpose = f" Limit: {for_what}." if for_what else ""
    if not findings:
        return f"{sentence(result.reason)}{purpose}"
    worst = _farthest(result.limit, findings, order)
    view = finding_view(worst, order)
    if not view.value:
        return f"{sentence(view.reason)}{purpose}"
    of = f"{view.subject}: " if len(findings) > 1 else ""
    start = "Worst: " if len(findings) > 1 and worst.verdict is Verdict.FAIL else ""
    said = f"{start}{of}{view.value}"
    return f"{said}; the limit is {bound}.{purpose}" if bound else f"{said}.{purpose}"


def _farthest(limit: Mapping[str, Any], findings: Sequence[Finding], order: Ordered) -> Finding:
    """Of failures the one whose number is farthest beyond the limit; else the first as read."""
    failed = [(value(m.estimate), f) for f in findings
              if f.verdict is Verdict.FAIL and (m := order.measure(f))]  # fmt: skip
    if not failed:
        return findings[0]
    pick = min if {"at_least", "above"} & set(limit) else max
    return pick(failed, key=lambda one: one[0])[1]


def _remedy(result: LimitResult, findings: Sequence[Finding], order: Ordered) -> str:
    """The remedies of findings, each once; one that differs by its group alone names them all."""
    if not findings:
        check = str(result.limit.get("measure", "")).partition(":")[0]
        lacking = (n.remedy for n in order.record.plan.not_run if n.check == check and n.remedy)
        return sentence(next(lacking, "Have it measured: the audit measured nothing for it."))
    failed = [f for f in findings if f.verdict is Verdict.FAIL]
    if failed:
        return together(failed, order)
    # What can be decided with the least comes first.
    reach = sorted(findings, key=lambda f: (not is_within_reach(f), _more(f)))
    return _asked_at_once(reach, order) or _first(_each_once(reach, order))


def _each_once(findings: Sequence[Finding], order: Ordered) -> list[str]:
    return list(dict.fromkeys(sentence(remedy(f, order)) for f in findings))


def _asked_at_once(reach: Sequence[Finding], order: Ordered) -> str:
    """What would decide several groups, in one sentence; empty where they ask for unlike things."""
    asked = [(f, more_of(f, order)) for f in reach]
    kinds = [more.kind for _, more in asked if more is not None]
    if not kinds:
        return ""
    same = [(f, more) for f, more in asked if more is not None and more.kind == kinds[0]]
    told = dict.fromkeys(more.of_group for _, more in same[:REMEDIES] if more is not None)
    if len(told) < 2:
        return ""
    left = len(_each_once(reach, order)) - len(_each_once([f for f, _ in same[:REMEDIES]], order))
    more = f" And {left} more: action-plan.csv." if left > 0 else ""
    return f"{kinds[0]}: {'; '.join(told)}.{more}"


def _more(finding: Finding) -> int:
    return finding.needed.more or 0 if finding.needed else 0


def together(failed: Sequence[Finding], order: Ordered) -> str:
    """One sentence for failures whose actions are the same but for the group."""
    groups = list(dict.fromkeys(g for f in failed if (g := order.group(f))))
    if len(groups) > 1:
        named = listed(groups, most=GROUPS)
        joined = {order.filled_for(order.words(f).action, f, group=named) for f in failed}
        if len(joined) == 1 and (text := joined.pop()):
            return sentence(text)
    return _first(_each_once(failed, order))


def steps(failures: Sequence[Sequence[Finding]], order: Ordered) -> tuple[str, ...]:
    """What to do about the failures of several limits: what differs by groups alone is one step."""
    alike: dict[str, list[Finding]] = {}
    for failed in failures:
        alike.setdefault(_asked(failed, order), []).extend(failed)
    return tuple(dict.fromkeys(_step(together(failed, order)) for failed in alike.values()))


def _asked(failed: Sequence[Finding], order: Ordered) -> str:
    """What failures ask for, whichever their groups are."""
    forms = {order.filled_for(order.words(f).action, f, group="…") for f in failed}
    (form, *others), grouped = forms, all(order.group(f) for f in failed)
    return form if grouped and form and not others else together(failed, order)


def _step(remedy: str) -> str:
    """A remedy as a step in a list, without a stop."""
    return f"{remedy[:1].lower()}{remedy[1:]}".rstrip(".")


def _first(remedies: list[str]) -> str:
    more = len(remedies) - REMEDIES
    said = " ".join(remedies[:REMEDIES])
    return f"{said} And {more} more: action-plan.csv." if more > 0 else said


def _owner(
    result: LimitResult, findings: Sequence[Finding], record: AuditRecord
) -> tuple[str, str]:
    """Who acts and by when, as far as somebody declared it: a waiver's owner, the system's."""
    used = {result.waived_by, *(f.waived_by for f in findings)} - {None}
    for waiver in record.policy.parsed.get("waivers") or ():
        if waiver["id"] in used:
            return str(waiver["owner"]), str(waiver["expires"])
    system = record.spec.parsed["audit"].get("system") or {}
    return str(system.get("owner") or ""), ""


def plan_rows(order: Ordered, digest: str) -> Iterator[tuple[str | int | None, ...]]:
    """The plan for a spreadsheet: a row for each finding, those of a task with its number.

    Each finding has the remedy that every other export has for it.
    """
    for task in action_plan(order):
        shared = (task.owner or None, task.due or None, task.tested_again, None, digest)
        for f in task.findings:
            yield (
                task.number, order.numbers[f.id], f.id, order.title(f), f.verdict, task.severity,
                task.limit, finding_view(f, order).reason, remedy(f, order), *shared,
            )  # fmt: skip
        if not task.findings:
            verdict = Verdict.NOT_RUN
            yield (
                task.number, None, None, task.what, verdict, task.severity, task.limit, task.why,
                task.remedy, *shared,
            )  # fmt: skip
