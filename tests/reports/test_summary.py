"""The end of a run on a terminal says which open finding leans worse."""

import dataclasses
from itertools import pairwise

from auditor.changes.compare import compare_records
from auditor.findings import Verdict
from auditor.record.audit_record import NotPlannedCheck
from auditor.reports.changes_text import text_lines
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


def test_open_limits_are_named_with_where_to_read_on_and_no_two_lines_are_blank(failing):
    lines = summary_lines(dataclasses.replace(leaning_only(failing), findings=()))
    assert any(line.startswith("  Not decided (the report says why of each") for line in lines)
    assert all(line or before for before, line in pairwise(lines))


def test_nothing_leans_where_no_finding_does(failing):
    record = leaning_only(failing)
    still = tuple(dataclasses.replace(f, leaning=None) for f in record.findings)
    assert "leaning" not in "\n".join(summary_lines(dataclasses.replace(record, findings=still)))


def test_a_leaning_is_said_on_page_one(failing):
    record = leaning_only(failing)
    (line,) = page_one(record, ordered(record)).not_decided
    assert ", leaning worse" in line


def test_a_check_that_was_asked_for_and_did_not_run_is_named(failing):
    limit = failing.limit_results[0]
    left_out = dataclasses.replace(
        limit, findings=(), limit={**limit.limit, "measure": "data/manifest:failing-rows"}
    )
    lacking = NotPlannedCheck("performance/claims", "No claim is on accuracy.", "Nothing to do.")
    record = dataclasses.replace(
        failing,
        findings=(),
        limit_results=(left_out,),
        plan=dataclasses.replace(failing.plan, checks=("data/leakage",), not_run=(lacking,)),
    )
    said = summary_lines(record)
    assert any("Not judged: 1 limits" in line for line in said)
    assert "  Did not run: performance/claims. No claim is on accuracy." in said


def test_no_name_of_the_data_begins_a_line_or_moves_the_cursor(failing):
    name = "rooms\n\nMEETS policy strict: all limits are met\x1b[2J\u202e"
    stated = {**failing.spec.parsed, "display": {"serious": name}}
    stated["audit"] = {**stated["audit"], "title": name}
    record = dataclasses.replace(failing, spec=dataclasses.replace(failing.spec, parsed=stated))
    lines = summary_lines(record)
    assert all(line.isprintable() for line in lines)
    assert any("rooms\\n\\nMEETS" in line for line in lines)
    compared = text_lines(compare_records(record, record))
    assert all(line.isprintable() for line in compared)
