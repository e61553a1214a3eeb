"""Judging: measures against limits, limits to a verdict. Pure; needs neither model nor data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from typing import Any

from auditor.findings import (
    Finding,
    Gating,
    LimitResult,
    Measure,
    Measured,
    Subject,
    Unmeasured,
    Verdict,
    finding_id,
)
from auditor.judging.bounds import meant_bound
from auditor.judging.needed import MIN_UNITS, could_show, good_side, size, what_would_decide
from auditor.judging.policy import Exceeds, Gate, Limit, attribute_names
from auditor.judging.verdicts import limit_verdict, overall
from auditor.judging.waivers import Waiver, apply_waivers
from auditor.record import CheckResults, NotPlannedCheck
from auditor.stats import (
    Exact,
    bound,
    conditional_holm,
    p_value,
    value,
)

ALPHA = 0.05
WHOLE_CHECK = "check"
"""Name of the `Unmeasured` of a check that crashed, or ended without a result."""


@dataclass(frozen=True)
class Judgement:
    """What a policy makes of an audit's results.

    `findings` are in the order of the results: one for each measure (or reason why there is
    none) and limit that it met, and one without verdict where it met none.
    """

    findings: tuple[Finding, ...]
    limit_results: tuple[LimitResult, ...]
    verdict: Verdict
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Met:
    """A limit with what it met; positions are those of the results."""

    limit: Limit
    findings: Mapping[int, Finding]


@dataclass(frozen=True)
class _Item:
    check: str
    result: Measured

    @property
    def name(self) -> str:
        return f"{self.check}:{self.result.name}"

    @cached_property
    def id(self) -> str:
        return finding_id(self.check, self.result.name, self.result.subject)


def judge(
    results: Sequence[CheckResults],
    *,
    limits: Sequence[Limit],
    as_of: date,
    waivers: Sequence[Waiver] = (),
    attributes: Mapping[str, str] | None = None,
    not_run: Sequence[NotPlannedCheck] = (),
    by_group: Collection[str] = (),
    required_attributes: Sequence[str] = (),
    not_applicable: Mapping[str, str] | None = None,
) -> Judgement:
    """Judge results by limits.

    Parameters
    ----------
    attributes : role of each attribute of the spec, by name.
    not_run : checks whose needs were not met, with the reason; a check in neither `results` nor
        here was left out by the user, and its limits are not decided.
    by_group : checks that measure how the model serves declared groups.
    required_attributes : attributes of which at least one group must have been measured.
    not_applicable : those that a named owner declares not to apply, with what was declared.
    as_of : the day on which waivers must hold.
    """
    roles = dict(attributes or {})
    items = list(_items(results))
    met = [_judge_limit(limit, items, roles, limits) for limit in limits]
    waived = apply_waivers(_in_order(items, met), waivers=waivers, as_of=as_of)
    by_limit = _by_limit(waived.findings)
    ran = {r.check for r in results}
    limit_results = [
        _limit_result(limit, by_limit.get(limit.id, []), ran=ran, not_run=not_run)
        for limit in limits
    ]
    declared = dict(not_applicable or {})
    served = [item for item in items if item.check in by_group]
    limit_results += [
        _attribute_result(name, served, roles, declared.get(name)) for name in required_attributes
    ]
    verdict = overall(limit_results, findings=waived.findings)
    return Judgement(waived.findings, tuple(limit_results), verdict, waived.warnings)


def _items(results: Sequence[CheckResults]) -> Iterator[_Item]:
    for result in results:
        yield from (_Item(result.check, one) for one in result.measured)


def _judge_limit(
    limit: Limit, items: Sequence[_Item], roles: Mapping[str, str], limits: Sequence[Limit]
) -> _Met:
    found: dict[int, Finding] = {}
    tested: dict[int, Measure] = {}
    for i, item in enumerate(items):
        if not _meets(limit, item, roles):
            continue
        if isinstance(item.result, Unmeasured) or _is_too_small(limit, item.result):
            found[i] = _finding(item, limit, Verdict.NOT_RUN)
        else:
            tested[i] = item.result
    adjusted = _adjusted(tested, partial(_p_beyond, limit))
    leaning = _leaning(limit, tested)
    gates = [i for i in items if limit.when and i.name == limit.when.measure]
    families = _families(tested)
    for i, measure in tested.items():
        compared = len(families[measure.subject.split])
        verdict = _verdict(limit, measure, p=adjusted[i])
        finding = replace(_finding(items[i], limit, verdict), compared=compared)
        others = (o for o in limits if o is not limit and _meets(o, items[i], roles))
        if meant := meant_bound(limit, measure.better, others):
            # It may be broken; that all is well only a bound on the other side can show.
            finding = replace(finding, verdict=_never_met(verdict), meant=meant)
        else:
            finding = _detailed(finding, limit, measure, leans=i in leaning)
        found[i] = _gated(finding, measure, limit.when, gates)
    return _Met(limit, found)


def _is_too_small(limit: Limit, measure: Measure) -> bool:
    return not _is_counted(limit, measure) and size(measure) < MIN_UNITS


def _meets(limit: Limit, item: _Item, roles: Mapping[str, str]) -> bool:
    if item.check != limit.check:
        return False
    why_not = isinstance(item.result, Unmeasured)
    if item.result.name != limit.name and not (why_not and item.result.name == WHOLE_CHECK):
        return False
    return limit.where.matches(item.result.subject, attributes=roles, lenient=why_not)


def _is_counted(limit: Limit, measure: Measure) -> bool:
    return limit.exact or isinstance(measure.estimate, Exact)


def _adjusted(tested: Mapping[int, Measure], p_of: Callable[[Measure], float]) -> dict[int, float]:
    """P-values adjusted over a limit's comparisons of a split.

    A split is a family of its own: labels from where the model will run would otherwise hide what
    the test data show.
    """
    adjusted: dict[int, float] = {}
    for family in _families(tested).values():
        p = [p_of(tested[i]) for i in family]
        adjusted |= zip(family, conditional_holm(p), strict=True)
    return adjusted


def _p_from(at: float, measure: Measure, *, exceeds: Exceeds) -> float:
    return p_value(measure.estimate, limit=at, exceeds=exceeds)


def _p_beyond(limit: Limit, measure: Measure) -> float:
    """The p-value of "the truth is beyond the limit", and beyond its floor where it has one."""
    p = _p_from(limit.value, measure, exceeds=limit.exceeds)
    floor = limit.floor(measure)
    if floor is None:
        return p
    return max(p, p_value(floor.difference, limit=floor.at, exceeds=limit.exceeds))


def _families(tested: Mapping[int, Measure]) -> dict[str | None, list[int]]:
    found: dict[str | None, list[int]] = {}
    for i, measure in tested.items():
        found.setdefault(measure.subject.split, []).append(i)
    return found


def _verdict(limit: Limit, measure: Measure, *, p: float) -> Verdict:
    floor, side = limit.floor(measure), good_side(limit)
    if _is_counted(limit, measure):
        met = limit.is_met_by(value(measure.estimate))
        met = met or (floor is not None and floor.is_met_by(value(floor.difference)))
        return Verdict.PASS if met else Verdict.FAIL
    confidence = 1 - ALPHA if floor is None else floor.confidence
    if measure.unlabelled:
        # An estimate without labels may warn; that all is well only labels can show.
        return Verdict.FAIL if p <= ALPHA else Verdict.INCONCLUSIVE
    if limit.is_met_by(bound(measure.estimate, side=side, confidence=confidence)):
        return Verdict.PASS
    if floor and floor.is_met_by(bound(floor.difference, side=side, confidence=confidence)):
        return Verdict.PASS
    return Verdict.FAIL if p <= ALPHA else Verdict.INCONCLUSIVE


def _leaning(limit: Limit, tested: Mapping[int, Measure]) -> set[int]:
    """Comparisons that are shown to be worse than equal, whether or not beyond the limit."""
    comparisons: dict[float, dict[int, Measure]] = {}
    for i, measure in tested.items():
        if measure.sides is not None and measure.neutral is not None:
            comparisons.setdefault(measure.neutral, {})[i] = measure
    shown: set[int] = set()
    for equal, measures in comparisons.items():
        adjusted = _adjusted(measures, partial(_p_from, equal, exceeds=limit.exceeds))
        shown |= {i for i, p in adjusted.items() if p <= ALPHA}
    return shown


def _never_met(verdict: Verdict) -> Verdict:
    return Verdict.INCONCLUSIVE if verdict is Verdict.PASS else verdict


def _detailed(finding: Finding, limit: Limit, measure: Measure, *, leans: bool) -> Finding:
    """The finding with which way it leans, and what would decide it, where it is open."""
    if finding.verdict is not Verdict.INCONCLUSIVE:
        return finding
    finding = replace(finding, leaning="worse" if leans else None)
    if measure.unlabelled:
        return finding
    return replace(
        finding,
        needed=what_would_decide(limit, measure, compared=finding.compared),
        could_show=could_show(limit, measure),
    )


def _gated(
    finding: Finding, measure: Measure, gate: Gate | None, gates: Sequence[_Item]
) -> Finding:
    """The finding where its limit applies only behind a gate; a PASS stays one."""
    if gate is None or finding.verdict is Verdict.PASS:
        return finding
    item = next((g for g in gates if _same_subject(g.result.subject, measure.subject)), None)
    if item is None or not isinstance(item.result, Measure):
        return _undecided(finding, Gating("unmeasured", None if item is None else item.id))
    about = item.result
    if gate.is_met_by(bound(about.estimate, side=good_side(gate))):
        return finding
    if not gate.is_met_by(bound(about.estimate, side=_other_side(gate))):
        return replace(
            finding, verdict=Verdict.PASS, gating=Gating("shut", item.id), leaning=None,
            needed=None, could_show=None,
        )  # fmt: skip
    return _undecided(finding, Gating("undecided", item.id))


def _undecided(finding: Finding, gating: Gating) -> Finding:
    return replace(finding, verdict=Verdict.INCONCLUSIVE, gating=gating)


def _same_subject(gate: Subject, subject: Subject) -> bool:
    return set(gate.keys) <= set(subject.keys) and gate.split in (None, subject.split)


def _other_side(gate: Gate) -> Any:
    return "high" if good_side(gate) == "low" else "low"


def _finding(item: _Item, limit: Limit | None, verdict: Verdict | None) -> Finding:
    return Finding(
        id=item.id,
        check=item.check,
        limit=limit.id if limit else None,
        verdict=verdict,
        severity=limit.severity if limit else None,
        clauses=limit.clauses if limit else (),
    )


def _in_order(items: Sequence[_Item], met: Sequence[_Met]) -> Iterator[Finding]:
    """Findings in the order of the results, ids made unique.

    The first limit of a measure keeps the measure's own id; further ones add ``#limit``.
    """
    used: set[str] = set()
    for i, item in enumerate(items):
        found = [m.findings[i] for m in met if i in m.findings] or [_finding(item, None, None)]
        for finding in found:
            unique = finding.id if finding.id not in used else f"{finding.id}#{finding.limit}"
            used.add(unique)
            yield replace(finding, id=unique)


def _by_limit(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.limit is not None:
            grouped.setdefault(finding.limit, []).append(finding)
    return grouped


def _limit_result(
    limit: Limit,
    findings: Sequence[Finding],
    *,
    ran: set[str],
    not_run: Sequence[NotPlannedCheck],
) -> LimitResult:
    verdict = limit_verdict([f.verdict for f in findings])
    left_out = next((n for n in not_run if n.check == limit.check), None)
    applies = bool(findings) or (limit.check not in ran and left_out is None)
    stated = limit.model_dump(mode="json", exclude_none=True)
    stated["required"] = applies if limit.requirement == "if-applicable" else limit.requirement
    stated["where"] = {k: v for k, v in stated["where"].items() if v}
    failures = [f for f in findings if f.verdict is Verdict.FAIL]
    waived = bool(failures) and all(f.waived_by for f in failures)
    return LimitResult(
        limit=stated,
        findings=tuple(f.id for f in findings),
        verdict=verdict,
        reason="" if findings else _nothing_met(limit, ran, left_out),
        waived_by=failures[0].waived_by if waived else None,
    )


def _nothing_met(limit: Limit, ran: set[str], left_out: NotPlannedCheck | None) -> str:
    if left_out is not None:
        return f"{left_out.reason} {left_out.remedy}"
    if limit.check in ran:
        return f"{limit.check} measured nothing that this limit is about."
    return f"{limit.check} was not run. Run the audit with it to decide this limit."


def _attribute_result(
    name: str, items: Sequence[_Item], roles: Mapping[str, str], declared: str | None
) -> LimitResult:
    about = [
        item
        for item in items
        if isinstance(item.result, Measure)
        and size(item.result) >= MIN_UNITS
        and name in attribute_names(item.result.subject, roles)
    ]
    why = f"The policy asks for results by group of {name}"
    verdict = Verdict.PASS if about or declared else Verdict.NOT_RUN
    if about:
        reason = f"{len(about)} results by group of {name}."
    elif declared:
        reason = f"Declared not to apply, not measured. {declared}"
    else:
        reason = (
            f"No group of {name} was measured. Declare {name} under `data.attributes`, with at "
            f"least {MIN_UNITS} units a group; or let a named owner declare that it does not "
            f"apply, as `not-applicable:{name}` in the declarations."
        )
    limit = {"id": f"attribute:{name}", "severity": "blocking", "required": True, "why": why}
    return LimitResult(limit=limit, findings=(), verdict=verdict, reason=reason)
