"""The two statements: what an audit found, and what a person decided on it (in-toto, v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from auditor.findings import LimitResult, Verdict
from auditor.record import AuditRecord

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SIGN_OFF = "urn:auditor:sign-off:v1"
Decision = Literal["approve", "reject", "conditional"]


def test_result(record: AuditRecord, digests: Mapping[str, str]) -> dict[str, Any]:
    """What the audit found, about the files with these digests, the model and the data.

    Only what is met has passed: what is not decided or not measured has failed where it is
    required, and is warned of elsewhere (in-toto test-result v0.1).
    """
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for result in record.limit_results:
        tests[_outcome(result)].append(str(result.limit["id"]))
    return {
        "_type": STATEMENT,
        "subject": [*_named(digests), *_named(_audited(record))],
        "predicateType": TEST_RESULT,
        "predicate": {"result": _result(record), "configuration": list(_configuration(record))}
        | tests,
    }


def _named(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_descriptor(name, digest) for name, digest in sorted(digests.items())]


def _descriptor(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def _audited(record: AuditRecord) -> dict[str, str]:
    """The model and the manifests of the data, by their digests in the record."""
    data = {f"data.{one.split}": one.digest for one in record.datasets}
    return {"model": record.model.digest} | data


def _configuration(record: AuditRecord) -> Iterator[dict[str, Any]]:
    yield _descriptor(f"policy {record.policy.name}", record.policy.digest)
    yield _descriptor(f"spec {record.spec.name}", record.spec.digest)
    if record.declarations is not None:
        stated = record.declarations
        yield _descriptor(f"declarations {stated.name}", stated.digest)
    yield _descriptor("installed packages", record.provenance.packages_digest)


def _result(record: AuditRecord) -> str:
    if record.altered:
        return "FAILED"
    known = {Verdict.PASS: "PASSED", Verdict.PASS_WITH_WAIVERS: "WARNED"}
    return known.get(record.verdict, "FAILED")


def _outcome(result: LimitResult) -> str:
    if result.verdict is Verdict.PASS:
        return "passedTests"
    asked = result.limit["severity"] == "blocking" or result.limit["required"]
    return "failedTests" if asked and result.waived_by is None else "warnedTests"


def sign_off(
    *,
    files: Mapping[str, str],
    person: str,
    role: str,
    decision: Decision,
    notes: str,
    time: str,
    author: str,
    same_person: bool,
    verdict: str,
) -> dict[str, Any]:
    """What a person decided, on the report with these digests and no other."""
    return {
        "_type": STATEMENT,
        "subject": _named(files),
        "predicateType": SIGN_OFF,
        "predicate": {
            "person": person,
            "role": role,
            "decision": decision,
            "notes": notes,
            "time": time,
            "author": author,
            "same_person": same_person,
            "verdict": verdict,
        },
    }


def sign_off_stem(time: str, key_id: str) -> str:
    """The name of a sign-off's file, without suffix: when (UTC, ISO 8601), and by which key."""
    return f"{time[:19].replace(':', '').replace('-', '')}Z-{key_id[:12]}"


def subjects(statement: Mapping[str, Any]) -> dict[str, str]:
    """Names and SHA-256 of what a statement is about; empty where it is about nothing."""
    found = statement.get("subject")
    if not isinstance(found, list):
        return {}
    return {str(one["name"]): str(one["digest"]["sha256"]) for one in found}
