"""Whether two audits of one spec came to the same results: ids, values, intervals, verdicts.

    python benchmarks/same_results.py before/audit.json after/audit.json

Reads records of schema 1 and 2. Values and ends of intervals may differ by rounding (1e-9 of
themselves). Timings, and the verdicts that rest on them, are left out. Exits 1 where anything else
differs; `--expect FILE` names ids (one a line, ``*`` for any end) that may be new or gone.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from auditor.findings import Subject, finding_id
from auditor.record.codec import decode
from auditor.stats import Estimate, interval, value

TOLERANCE = 1e-9
SHOWN = 40


@dataclass(frozen=True)
class Outcome:
    """A finding as a policy sees it; numbers are None where nothing was measured."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    n_units: int | None
    verdict: str | None
    leaning: str | None


def outcomes(record: Mapping[str, Any]) -> dict[str, Outcome]:
    """Every finding's outcome by its id, timings left out."""
    found = {}
    measures, untimed = _measures(record), _not_timed(record)
    for finding in record["findings"]:
        measure = finding.get("measure") or measures.get(finding.get("result") or finding["id"])
        if measure is not None and measure.get("volatile"):
            continue
        if finding["check"].startswith("deployment/latency") or finding["id"] in untimed:
            continue
        found[finding["id"]] = _outcome(finding, measure)
    return found


def _measures(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Measures of schema 2 by their id; findings of schema 1 hold theirs."""
    if not record["schema"].endswith("/v2"):
        return {}
    return {
        _id(results["check"], measure): measure
        for results in record["results"]
        for measure in results.get("measures", ())
    }


def _not_timed(record: Mapping[str, Any]) -> set[str]:
    """Ids of timings that could not be taken, such as on a busy machine."""
    return {
        _id(results["check"], reason)
        for results in record["results"]
        for reason in results.get("unmeasured", ())
        if reason.get("volatile")
    }


def _id(check: str, measure: Mapping[str, Any]) -> str:
    subject = decode(Subject, measure.get("subject", {}))
    return finding_id(check, measure["name"], subject)


def _outcome(finding: Mapping[str, Any], measure: Mapping[str, Any] | None) -> Outcome:
    verdict, leaning = finding.get("verdict"), finding.get("leaning")
    if measure is None:
        return Outcome(None, None, None, None, None, verdict, leaning)
    estimate = decode(Estimate, measure["estimate"])
    ends = interval(estimate)
    return Outcome(
        value(estimate), ends.low, ends.high, measure["n"], measure.get("n_units"), verdict, leaning
    )


def differences(
    before: Mapping[str, Outcome], after: Mapping[str, Outcome], *, expected: list[str]
) -> Iterator[str]:
    """One line for each difference; ids that match a pattern of `expected` are passed over."""
    names = {
        name
        for name in {*before, *after}
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in expected)
    }
    yield from (f"gone     {name}" for name in sorted(names - {*after}))
    yield from (f"new      {name}" for name in sorted(names - {*before}))
    for name in sorted(names & {*before} & {*after}):
        yield from _changes(name, before[name], after[name])


def _changes(name: str, old: Outcome, new: Outcome) -> Iterator[str]:
    for field in fields(Outcome):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if not _same(was, now):
            yield f"{field.name:8} {name}: {was} -> {now}"


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, float) and isinstance(now, float):
        return was == now or math.isclose(was, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(was == now)


def limits(record: Mapping[str, Any]) -> dict[str, str]:
    """The verdict on each limit, timings left out."""
    return {
        r["limit"]["id"]: r["verdict"]
        for r in record["limit_results"]
        if not str(r["limit"].get("measure", "")).startswith("deployment/latency")
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--expect", type=Path, help="ids that may differ, one a line")
    given = parser.parse_args()
    old, new = (json.loads(path.read_text()) for path in (given.before, given.after))
    expected = given.expect.read_text().split() if given.expect else []
    before, after = outcomes(old), outcomes(new)
    found = list(differences(before, after, expected=expected))
    was, now = limits(old), limits(new)
    found += [
        f"limit    {name}: {was.get(name)} -> {now.get(name)}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name) and f"limit:{name}" not in expected
    ]
    print(f"{len(before)} findings before, {len(after)} after, {len(found)} differences")
    print("\n".join(found[:SHOWN]))
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
