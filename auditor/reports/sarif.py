"""The verdicts as SARIF 2.1.0, which code-scanning pages read.

A rule is a check, with its documentation as help. A result is a limit on one finding, or a limit
that met none: of kind ``fail`` where it is not met (``error`` where blocking, else ``warning``),
``open`` where it is not decided or not measured, ``pass`` where it is met. Waivers are
suppressions. Results lie at the line of the policy (or spec) that states the limit, for such pages
want a place in a file; no name of an image and no path is told.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from auditor.findings import Finding, LimitResult, Verdict
from auditor.record import AuditRecord, CheckText
from auditor.record.files import record_digest
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.reasons import reason, remedy
from auditor.stats import value

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_POLICY_RULE = "policy"
_LEVELS = {"blocking": "error", "advisory": "warning"}


def sarif_json(record: AuditRecord) -> str:
    """The SARIF log of a record; equal records give equal text."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(record)]}
    return json.dumps(log, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _run(record: AuditRecord) -> dict[str, Any]:
    order = ordered(record)
    results = [_result(f, order) for f in order.findings if f.verdict is not None]
    results += [
        _bare_result(r, record)
        for r in order.limits
        if not r.findings and r.verdict is not Verdict.PASS
    ]
    rules = _rules(record, {result["ruleId"] for result in results})
    places = {rule["id"]: i for i, rule in enumerate(rules)}
    for result in results:
        result["ruleIndex"] = places[result["ruleId"]]
    return {
        "tool": {
            "driver": {
                "name": "auditor",
                "version": record.provenance.auditor_version,
                "rules": rules,
            }
        },
        "invocations": [_invocation(record)],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "title": record.title,
            "verdict": str(record.verdict),
            "altered": record.altered,
            "record.sha256": record_digest(record),
            "policy.sha256": record.policy.digest,
            "spec.sha256": record.spec.digest,
            "inputs": dict(record.provenance.inputs),
        },
    }


def _invocation(record: AuditRecord) -> dict[str, Any]:
    start = datetime.fromisoformat(record.provenance.started)
    end = start + timedelta(seconds=record.provenance.duration_s)
    notes = [{"level": "warning", "message": {"text": text}} for text in record.warnings]
    return {
        "executionSuccessful": not record.altered,
        "startTimeUtc": _utc(start),
        "endTimeUtc": _utc(end),
        "toolExecutionNotifications": notes,
    }


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _rules(record: AuditRecord, used: set[str]) -> list[dict[str, Any]]:
    texts = {text.id: text for text in record.check_texts}
    return [_rule(name, texts.get(name)) for name in sorted(used)]


def _rule(name: str, text: CheckText | None) -> dict[str, Any]:
    if text is None:
        about = "A limit of the policy that no check's measure met."
        return {"id": name, "shortDescription": {"text": about}, "help": {"text": about}}
    told = [(title, " ".join(said.split())) for title, said in text.sections]
    plain = "\n\n".join([text.summary, *(f"{title}: {said}" for title, said in told)])
    marked = "\n\n".join(
        [text.summary, *(f"**{title}**\n\n{said}" for title, said in text.sections)]
    )
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in re.split(r"[/-]", name)),
        "shortDescription": {"text": text.summary or name},
        "help": {"text": plain or name, "markdown": marked or name},
        "properties": {"tags": [name.partition("/")[0]]},
    }


def _result(finding: Finding, order: Ordered) -> dict[str, Any]:
    said = " ".join(filter(None, (reason(finding, order), remedy(finding, order))))
    limit = order.limit_of(finding)
    return {
        "ruleId": finding.check,
        **_kind(finding.verdict, str(finding.severity)),
        "message": {"text": f"{order.title(finding)}. {said}"},
        "locations": [_location(str(finding.limit), order.record)],
        "partialFingerprints": {"auditorFinding/v1": _fingerprint(finding.id, finding.limit)},
        "suppressions": list(_suppressions(finding.waived_by, order.record)),
        "properties": {
            "finding": finding.id,
            "limit": finding.limit,
            "verdict": str(finding.verdict),
            "required": limit.get("required"),
            "clauses": list(finding.clauses),
            **_numbers(finding, order),
        },
    }


def _bare_result(result: LimitResult, record: AuditRecord) -> dict[str, Any]:
    """Of a limit that met nothing: why, and that nothing was decided by it."""
    identifier = str(result.limit["id"])
    check = str(result.limit.get("measure", "")).partition(":")[0]
    return {
        "ruleId": check or _POLICY_RULE,
        **_kind(result.verdict, str(result.limit["severity"])),
        "message": {"text": f"{identifier}. {result.reason}"},
        "locations": [_location(identifier, record)],
        "partialFingerprints": {"auditorFinding/v1": _fingerprint("", identifier)},
        "suppressions": list(_suppressions(result.waived_by, record)),
        "properties": {
            "limit": identifier,
            "verdict": str(result.verdict),
            "required": result.limit["required"],
            "clauses": list(result.limit.get("clauses") or ()),
        },
    }


def _kind(verdict: Verdict | None, severity: str) -> dict[str, str]:
    if verdict is Verdict.FAIL:
        return {"kind": "fail", "level": _LEVELS.get(severity, "warning")}
    return {"kind": "pass" if verdict is Verdict.PASS else "open", "level": "none"}


def _numbers(finding: Finding, order: Ordered) -> Mapping[str, Any]:
    measure = order.measure(finding)
    if measure is None:
        return {}
    ends = measure.interval
    numbers = {"value": value(measure.estimate), "low": ends.low, "high": ends.high}
    told = {name: float(n) for name, n in numbers.items() if abs(n) < float("inf")}
    return told | {"unit": measure.unit or measure.scale, "n": measure.n}


def _fingerprint(identifier: str, limit: str | None) -> str:
    return hashlib.sha256(f"{identifier}\n{limit}".encode("utf-8", "backslashreplace")).hexdigest()


def _suppressions(waived_by: str | None, record: AuditRecord) -> Iterator[dict[str, Any]]:
    for waiver in record.policy.parsed.get("waivers") or ():
        if waiver["id"] == waived_by:
            meanwhile = waiver.get("compensating")
            told = (
                f"Waiver {waiver['id']}: {waiver['reason'].rstrip('.')}. "
                + (f"Done meanwhile: {meanwhile.rstrip('.')}. " if meanwhile else "")
                + f"Owner {waiver['owner']}, approved by {waiver['approved_by']}, until "
                f"{waiver['expires']}."
            )
            yield {"kind": "external", "status": "accepted", "justification": told}


def _location(limit: str, record: AuditRecord) -> dict[str, Any]:
    of_spec = limit.partition(":")[0] in ("claim", "target")
    document = record.spec if of_spec else record.policy
    name = document.name if "." in document.name else f"{document.name}.yaml"
    line = _line(document.text.splitlines(), limit)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(name, errors="backslashreplace")},
            "region": {"startLine": line},
        }
    }


def _line(lines: Sequence[str], limit: str) -> int:
    """The line that states a limit: that of its id, or the heading of the spec's part; else 1."""
    kind, _, name = limit.partition(":")
    sought = {
        "claim": r"\s*claims:",
        "target": r"\s*target:",
        "attribute": rf".*required_attributes:|\s*- {re.escape(name)}\b",
    }.get(kind, rf".*\bid:\s*[\"']?{re.escape(limit)}[\"']?\s*([,}}#]|$)")
    found = (i for i, line in enumerate(lines, start=1) if re.match(sought, line))
    return next(found, 1)
