"""The end of a run on a terminal says which open finding leans worse."""

import dataclasses

from auditor.findings import Verdict
from auditor.reports.ordering import ordered
from auditor.reports.page_one import page_one
from auditor.reports.summary import summary_lines


def leaning_only(record):
    """The record with its open group finding alone, which is shown to be worse."""
    found = next(
        f for f in record.findings if f.check.startswith("bias/") and record.measure(f) and f.limit
    )
    open_one = dataclasses.replace(
        found, verdict=Verdict.INCONCLUSIVE, leaning="worse", waived_by=None
    )
    limits = tuple(
        dataclasses.replace(r, verdict=Verdict.INCONCLUSIVE, findings=(found.id,), waived_by=None)
        for r in record.limit_results
        if r.limit["id"] == found.limit
    )
    return dataclasses.replace(
        record, verdict=Verdict.INCONCLUSIVE, findings=(open_one,), limit_results=limits
    )


def test_a_leaning_is_said_on_the_terminal(failing):
    text = "\n".join(summary_lines(leaning_only(failing)))
    assert "INCONCLUSIVE, leaning worse" in text
    assert "(leaning worse)" in text


def test_nothing_leans_where_no_finding_does(failing):
    record = leaning_only(failing)
    still = tuple(dataclasses.replace(f, leaning=None) for f in record.findings)
    assert "leaning" not in "\n".join(summary_lines(dataclasses.replace(record, findings=still)))


def test_a_leaning_is_said_on_page_one(failing):
    record = leaning_only(failing)
    (line,) = page_one(record, ordered(record)).not_decided
    assert ", leaning worse" in line
