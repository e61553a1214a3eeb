"""Why an audit has its verdict, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.contract.numbers import percent, value_text
from auditor.findings import LimitResult, Measure, Verdict
from auditor.judging.verdicts import could_fail
from auditor.record import AuditRecord
from auditor.record.reasons import set_apart_text
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import limit_text
from auditor.reports.wording import listed, shortened
from auditor.stats import Exact, value


def why(record: AuditRecord, order: Ordered) -> str:
    """One sentence that says why the verdict is what it is."""
    failed = [r for r in order.limits if stops(r)]
    if record.verdict is Verdict.FAIL:
        return _claim_sentence(record, order) or _failure_sentence(order, failed)
    decided = [r for r in order.limits if r.verdict is Verdict.PASS]
    if record.verdict in (Verdict.PASS, Verdict.PASS_WITH_WAIVERS):
        waived = [r for r in order.limits if r.waived_by]
        kept = f"{len(decided)} of {len(order.limits)} limits are met"
        return f"{kept}; {len(waived)} failed and are waived." if waived else f"{kept}."
    if asks_nothing(record):
        return (
            f"The policy asks nothing of the model: of its {len(order.limits)} limits none is "
            "blocking, required and could have failed."
        )
    lacking = [r for r in order.limits if r.limit["required"] and r.verdict is not Verdict.PASS]
    names = listed([_limit_name(r, order) for r in lacking], most=3)
    return (
        f"No limit is shown to be broken, but {len(lacking)} of {len(order.limits)} could not be "
        f"decided: {names}."
    )


def asks_nothing(record: AuditRecord) -> bool:
    """Whether nothing stands open, and yet no limit had to be met and could have failed."""
    if any(r.limit["required"] and r.verdict is not Verdict.PASS for r in record.limit_results):
        return False
    known = {finding.id: finding for finding in record.findings}
    return not any(could_fail(r, known) for r in record.limit_results)


def stops(result: LimitResult) -> bool:
    """Whether a limit alone makes the audit fail."""
    blocking = result.limit["severity"] == "blocking"
    return blocking and result.verdict is Verdict.FAIL and result.waived_by is None


def _claim_sentence(record: AuditRecord, order: Ordered) -> str:
    for result in order.limits:
        name = str(result.limit["id"])
        stated = result.limit.get("at_least")
        if not stops(result) or not name.startswith("claim:") or stated is None:
            continue
        measured = _first_measure(order, result.findings)
        given = _first_measure(order, _findings_of(order, f"{name}:as-given"))
        if measured is None:
            continue
        claimed = f"{100 * float(stated):.3g}%" if measured.scale == "share" else f"{stated:g}"
        if given is not None and value(given.estimate) >= float(stated) > value(measured.estimate):
            return f"The claimed {claimed} rests on {_set_apart(record, order)}."
        what = _claimed_name(result, order)
        told = _measured_text(measured, float(stated))
        return f"The claimed {claimed}{what} does not hold: measured {told}."
    return ""


def _claimed_name(result: LimitResult, order: Ordered) -> str:
    """What was claimed, as `` (objects found)``; nothing where no finding says it."""
    found = next((f for f in order.of(result.findings) if order.measure(f)), None)
    name = order.short(found).removeprefix("the claimed ") if found else ""
    return f" ({shortened(name, 60)})" if name else ""


def _measured_text(measure: Measure, stated: float) -> str:
    """The value with its range; a digit more where an end is else printed as what is claimed."""
    ends, point = measure.interval, value(measure.estimate)
    near = measure.scale == "share" and percent(stated) in (percent(ends.low), percent(ends.high))
    if not near or isinstance(measure.estimate, Exact):
        return value_text(measure)
    low, high = (f"{100 * end:.1f}" for end in (ends.low, ends.high))
    return f"{100 * point:.1f}% [{low}, {high}]"


def _first_measure(order: Ordered, identifiers: Sequence[str]) -> Measure | None:
    return next((m for f in order.of(identifiers) if (m := order.measure(f))), None)


def _findings_of(order: Ordered, limit: str) -> Sequence[str]:
    return next((r.findings for r in order.limits if r.limit["id"] == limit), ())


def _set_apart(record: AuditRecord, order: Ordered) -> str:
    """What the clean subset lacks, named by the commonest reason."""
    test = record.dataset("test")
    commonest = max(test.set_apart, key=lambda part: part.n) if test and test.set_apart else None
    if commonest is None:
        return "images that should not be in the test data"
    return set_apart_text(commonest.reason, order.telling.units).removeprefix("images of ")


def _failure_sentence(order: Ordered, failed: Sequence[LimitResult]) -> str:
    worst = next(f for f in order.findings if f.limit in {r.limit["id"] for r in failed})
    measure = order.measure(worst)
    limit = limit_text(order.limit_of(worst), measure or order.words(worst))
    count = f"{len(failed)} of {len(order.limits)} limits are not met"
    exact = bool(order.limit_of(worst).get("exact"))
    figure = value_text(measure, exact=exact) if measure else "not measured"
    start = f"{count}. Worst" if len(failed) > 1 else "One limit is not met"
    return f"{start}: {order.title(worst)}: {figure}; the limit is {limit}."


def _limit_name(result: LimitResult, order: Ordered) -> str:
    found = next(iter(order.of(result.findings)), None)
    if found is not None:
        several = len(result.findings) > 1
        return order.telling.topic(found.check) if several else order.short(found)
    measure = str(result.limit.get("measure", result.limit["id"]))
    return order.telling.topic(measure.partition(":")[0])
