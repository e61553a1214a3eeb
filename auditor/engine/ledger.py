"""The ledger of a folder's runs: each policy is noted with its limits before measuring begins.

A file of JSON lines beside ``audit.json``. Each line holds the SHA-256 of the line before, so that
a line that was changed or taken out is noticed; that the whole file was removed is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.judging.judged_record import policy_of
from auditor.judging.policy import Policy, limits_of
from auditor.judging.policy_file import PolicyFile
from auditor.judging.weakened import asked
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.record.history import EarlierRun, LimitChange, Past
from auditor.spec import AuditSpec

NAME = "runs.jsonl"
MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class Attempt:
    """What is about to be run or judged: what tells one audit from another, and its limits.

    `data_digest` is that of the test data. `limits` maps ids to what they ask, as text.
    """

    kind: str
    started: str
    audit: str
    model_digest: str
    data_digest: str
    policy: str
    policy_digest: str
    limits: Mapping[str, str]

    def is_of(self, other: Attempt) -> bool:
        """Whether it is the same audit: by its title, its model or its test data."""
        return (
            self.audit == other.audit
            or self.model_digest == other.model_digest
            or self.data_digest == other.data_digest
        )


def attempt_of(
    *,
    kind: str,
    started: str,
    spec: AuditSpec,
    policy: PolicyFile,
    model_digest: str,
    data_digest: str,
) -> Attempt:
    stated = policy.policy
    return Attempt(
        kind=kind,
        started=started,
        audit=spec.audit.title,
        model_digest=model_digest,
        data_digest=data_digest,
        policy=f"{stated.id} {stated.version}",
        policy_digest=policy.digest,
        limits=limits_asked(spec, stated),
    )


def begin(folder: Path, attempt: Attempt) -> Past:
    """Note an attempt in the folder's ledger before it measures anything; what was before it."""
    lines, warnings = _read(folder)
    past = _past(lines, attempt)
    _append(folder, {"event": "began", **vars(attempt)})
    return replace(past, warnings=(*past.warnings, *warnings))


def begin_judging(
    folder: Path, record: AuditRecord, *, spec: AuditSpec, policy: PolicyFile
) -> Past:
    """As `begin`, for judging a record again: it and what was before it come first."""
    test = record.dataset("test")
    attempt = attempt_of(
        kind="judged",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=spec,
        policy=policy,
        model_digest=record.model.digest,
        data_digest=test.digest if test else "",
    )
    own = policy_of(record)
    judged = EarlierRun(
        started=record.provenance.started,
        kind="run" if record.provenance.previous is None else "judged",
        policy=f"{own.policy.id} {own.policy.version}",
        policy_digest=own.digest,
        model_digest=record.model.digest,
        verdict=record.verdict.value,
        record_digest=record_digest(record),
        limit_changes=record.limit_changes,
    )
    here = begin(folder, attempt)
    known = {one.record_digest for one in (*record.earlier, judged)}
    others = [one for one in here.earlier if one.record_digest not in known]
    earlier = sorted((*record.earlier, judged, *others), key=lambda one: one.started)
    changes = limit_changes(limits_asked(spec, own.policy), attempt.limits)
    return Past(tuple(earlier), changes, here.warnings)


def limits_asked(spec: AuditSpec, policy: Policy) -> dict[str, str]:
    """All limits of an audit by id, each with all that it asks in one line."""
    return {limit.id: asked(limit) for limit in limits_of(spec, policy)}


def end(folder: Path, record: AuditRecord) -> None:
    """Note how the last attempt ended."""
    _append(folder, {"event": "ended", "verdict": record.verdict.value,
                     "record_digest": record_digest(record)})  # fmt: skip


def _past(lines: Sequence[Mapping[str, Any]], attempt: Attempt) -> Past:
    tried: list[tuple[Attempt, Mapping[str, Any]]] = []
    for line in lines:
        if line["event"] == "began":
            fields = {k: v for k, v in line.items() if k not in ("event", "previous")}
            tried.append((Attempt(**fields), {}))
        elif tried:
            tried[-1] = (tried[-1][0], line)
    same = [(one, ended) for one, ended in tried if one.is_of(attempt)]
    earlier, before = [], None
    for one, ended in same:
        earlier.append(_earlier(one, ended, before))
        before = one
    changes = () if before is None else limit_changes(before.limits, attempt.limits)
    return Past(tuple(earlier), changes)


def _earlier(one: Attempt, ended: Mapping[str, Any], before: Attempt | None) -> EarlierRun:
    return EarlierRun(
        started=one.started,
        kind=one.kind,
        policy=one.policy,
        policy_digest=one.policy_digest,
        model_digest=one.model_digest,
        verdict=ended.get("verdict"),
        record_digest=ended.get("record_digest"),
        limit_changes=() if before is None else limit_changes(before.limits, one.limits),
    )


def limit_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[LimitChange, ...]:
    """What differs between the limits of two policies, by id.

    Examples
    --------
    >>> limit_changes({"a": "at most 1", "b": "at most 2"}, {"a": "at most 3", "b": "at most 2"})
    (LimitChange(limit='a', before='at most 1', after='at most 3'),)
    """
    return tuple(
        LimitChange(name, before.get(name, ""), after.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _read(folder: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The lines of a ledger; a warning where they are not those that were written."""
    path = folder / NAME
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MOST_BYTES:
        return [], ()
    lines: list[dict[str, Any]] = []
    previous = ""
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            intact = line["previous"] == previous and line["event"] in ("began", "ended")
            if line["event"] == "began":
                Attempt(**{k: v for k, v in line.items() if k not in ("event", "previous")})
        except (ValueError, KeyError, TypeError, RecursionError):
            intact = False
        if not intact:
            return lines, (
                f"{NAME} was changed at line {number} after it had been written: runs after that "
                "line are not listed. Start in an empty folder, and say why.",
            )
        lines.append(line)
        previous = hashlib.sha256(text).hexdigest()
    return lines, ()


def _append(folder: Path, line: Mapping[str, Any]) -> None:
    path = folder / NAME
    written = path.read_bytes() if path.is_file() else b""
    last: Iterable[bytes] = written.splitlines()[-1:]
    previous = "".join(hashlib.sha256(one).hexdigest() for one in last)
    text = json.dumps({"previous": previous, **line}, sort_keys=True, ensure_ascii=True)
    with path.open("ab") as stream:
        cut = b"\n" if written and not written.endswith(b"\n") else b""
        stream.write(cut + text.encode("ascii") + b"\n")
