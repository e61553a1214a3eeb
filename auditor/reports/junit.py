"""The verdicts as JUnit XML, which build servers read: nothing undecided counts as passed.

A case is a limit on one finding, or a limit that met none; the last case is the audit's verdict. A
case fails where the limit keeps the audit from passing: a blocking limit that is not met, or a
required one that is not met, not decided or not measured. Where the policy does not insist, such a
case is skipped, with the verdict as its text; so is a failure that a waiver covers. What is only
measured is no case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from auditor.findings import Finding, LimitResult, Verdict
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.reports.drawing.svg import xml_text
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.reasons import reason, remedy
from auditor.reports.wording import ALTERED, AUDIT_WORDS, VERDICT_WORDS, verdict_word

Outcome = Literal["passed", "failure", "skipped"]


@dataclass(frozen=True)
class Case:
    """A test case: what it is of, how it came out, and why."""

    suite: str
    name: str
    outcome: Outcome
    word: str = ""
    text: str = ""


def junit_xml(record: AuditRecord) -> str:
    """The JUnit XML of a record; equal records give equal text."""
    found = list(cases(record))
    suites = list(dict.fromkeys(case.suite for case in found))
    # The schema of Jenkins (junit-10.xsd of its xunit plugin) has "skipped" on suites alone.
    counts = {key: n for key, n in _counts(found).items() if key != "skipped"}
    root = ElementTree.Element("testsuites", {"name": _plain(record.title), **counts})
    for name in suites:
        own = [case for case in found if case.suite == name]
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": name, **_counts(own), "time": "0",
                                "timestamp": record.provenance.started[:19]}
        )  # fmt: skip
        if name == _AUDIT:
            _add_properties(suite, record)
        for case in own:
            _add_case(suite, case)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


_AUDIT = "audit"


def cases(record: AuditRecord) -> Iterator[Case]:
    """Every limit on every finding, the worst first, and the audit's own verdict."""
    order = ordered(record)
    for finding in order.findings:
        if finding.verdict is not None:
            yield _case(finding, order)
    for result in order.limits:
        if not result.findings and result.verdict is not Verdict.PASS:
            yield _bare_case(result)
    yield _audit_case(record)


def _case(finding: Finding, order: Ordered) -> Case:
    outcome = _outcome(finding, required=bool(order.limit_of(finding).get("required")))
    text = "\n".join(filter(None, (reason(finding, order), remedy(finding, order))))
    return Case(
        suite=finding.check,
        name=f"{finding.limit}: {order.title(finding)} [{finding.id}]",
        outcome=outcome,
        word=verdict_word(finding),
        text="" if outcome == "passed" else text,
    )


def _outcome(finding: Finding, *, required: bool) -> Outcome:
    if finding.verdict is Verdict.PASS:
        return "passed"
    if finding.waived_by:
        return "skipped"
    blocks = finding.verdict is Verdict.FAIL and finding.severity == "blocking"
    return "failure" if blocks or required else "skipped"


def _bare_case(result: LimitResult) -> Case:
    blocks = result.verdict is Verdict.FAIL and result.limit["severity"] == "blocking"
    return Case(
        suite=str(result.limit.get("measure", "")).partition(":")[0] or "policy",
        name=str(result.limit["id"]),
        outcome="failure" if blocks or result.limit["required"] else "skipped",
        word=VERDICT_WORDS[result.verdict],
        text=result.reason,
    )


def _audit_case(record: AuditRecord) -> Case:
    policy = record.policy.parsed
    named = f'policy "{policy["id"]} {policy["version"]}"'
    passed = record.verdict in (Verdict.PASS, Verdict.PASS_WITH_WAIVERS) and not record.altered
    word = f"{AUDIT_WORDS[record.verdict]} {named}"
    text = "\n".join([*([ALTERED] if record.altered else []), f"{word}.", *record.warnings])
    return Case(_AUDIT, f"verdict by {named}", "passed" if passed else "failure", word, text)


def _counts(found: Sequence[Case]) -> dict[str, str]:
    return {
        "tests": str(len(found)),
        "failures": str(sum(case.outcome == "failure" for case in found)),
        "errors": "0",
        "skipped": str(sum(case.outcome == "skipped" for case in found)),
    }


def _add_properties(suite: ElementTree.Element, record: AuditRecord) -> None:
    policy = record.policy
    stated = {
        "verdict": str(record.verdict),
        "record.sha256": record_digest(record),
        "policy": f"{policy.parsed['id']} {policy.parsed['version']}",
        "policy.sha256": policy.digest,
        "spec.sha256": record.spec.digest,
        "auditor": record.provenance.auditor_version,
        **{f"{name}.sha256": digest for name, digest in sorted(record.provenance.inputs.items())},
    }
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in stated.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _plain(value)})


def _add_case(suite: ElementTree.Element, case: Case) -> None:
    stated = {"classname": f"auditor.{case.suite.replace('/', '.')}", "name": _plain(case.name)}
    element = ElementTree.SubElement(suite, "testcase", stated | {"time": "0"})
    if case.outcome == "failure":
        given = {"message": _plain(case.word), "type": _plain(case.word)}
        ElementTree.SubElement(element, "failure", given).text = xml_text(case.text)
    elif case.outcome == "skipped":
        message = _plain(f"{case.word}: {case.text}" if case.text else case.word)
        ElementTree.SubElement(element, "skipped", {"message": message})


def _plain(text: str) -> str:
    """Text of an attribute: in one line, without what XML cannot hold."""
    return xml_text(re.sub(r"\s+", " ", text)).strip()
