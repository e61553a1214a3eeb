"""Earlier runs of the same audit, and what changed in the limits between them: values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LimitChange:
    """A limit of the policy as it was and as it is, as ``at most 0.05, blocking``.

    Empty where it did not exist before, or does no longer.
    """

    limit: str
    before: str
    after: str


@dataclass(frozen=True)
class EarlierRun:
    """A run, or a judgement, of the same audit before this one.

    `started` is UTC in ISO 8601. `verdict` and `record_digest` (SHA-256 of its ``audit.json``) are
    None where it did not end. `kind` is ``run`` or ``judged``. `limit_changes` compare its policy
    with that of the entry before it.
    """

    started: str
    kind: str
    policy: str
    policy_digest: str
    model_digest: str
    verdict: str | None = None
    record_digest: str | None = None
    limit_changes: tuple[LimitChange, ...] = ()


@dataclass(frozen=True)
class Past:
    """Earlier runs of an audit, how the limits changed since, and what is odd about the ledger."""

    earlier: tuple[EarlierRun, ...] = ()
    limit_changes: tuple[LimitChange, ...] = ()
    warnings: tuple[str, ...] = ()
