"""The ledger: every earlier run and policy is seen, also one that did not end."""

import dataclasses
import json

import pytest

from auditor.engine.ledger import NAME, Attempt, begin, begin_judging, end
from auditor.judging.judged_record import policy_of, rejudge, spec_of
from auditor.judging.policy_file import load_policy
from auditor.record.history import EarlierRun, LimitChange, Past
from auditor.reports.history_section import NOT_BEFOREHAND, approval_text, history_view

FIRST = Attempt("run", "2026-11-20T10:00:00+00:00", "An audit", "m" * 64, "d" * 64, "mine 1",
                "p" * 64, {"gap": "at most 0.05, severity blocking"})  # fmt: skip
LOOSER = dataclasses.replace(
    FIRST,
    started="2026-11-21T10:00:00+00:00",
    policy="mine 2",
    policy_digest="q" * 64,
    limits={"gap": "at most 0.5, severity blocking"},
)
CHANGE = LimitChange("gap", "at most 0.05, severity blocking", "at most 0.5, severity blocking")


@pytest.fixture(scope="module")
def record(worlds):
    return worlds.record()


def test_a_changed_limit_and_a_run_that_did_not_end_are_seen(tmp_path, record):
    assert begin(tmp_path, FIRST) == Past()
    again = begin(tmp_path, LOOSER)
    assert [(one.policy, one.verdict) for one in again.earlier] == [("mine 1", None)]
    assert again.limit_changes == (CHANGE,)
    end(tmp_path, record)
    third = begin(tmp_path, dataclasses.replace(LOOSER, started="2026-11-22T10:00:00+00:00"))
    assert [one.verdict for one in third.earlier] == [None, record.verdict.value]
    assert third.earlier[1].limit_changes == (CHANGE,)
    assert third.limit_changes == ()
    assert not third.warnings


def test_the_tenth_try_is_counted(tmp_path, record):
    for day in range(9):
        past = begin(tmp_path, dataclasses.replace(FIRST, started=f"2026-11-0{day + 1}T10:00:00"))
        end(tmp_path, record)
    past = begin(tmp_path, FIRST)
    assert len(past.earlier) == 9


def test_another_audit_in_the_same_folder_is_no_earlier_run_and_a_new_title_hides_nothing(tmp_path):
    begin(tmp_path, FIRST)
    other = dataclasses.replace(FIRST, audit="Other", model_digest="x", data_digest="y")
    assert begin(tmp_path, other).earlier == ()
    renamed = dataclasses.replace(FIRST, audit="Renamed", model_digest="z")
    assert len(begin(tmp_path, renamed).earlier) == 1


@pytest.mark.parametrize("how", ["edited", "removed", "rubbish", "cut"])
def test_a_ledger_that_was_changed_is_said(tmp_path, record, how):
    for attempt in (FIRST, LOOSER, LOOSER):
        begin(tmp_path, attempt)
    path = tmp_path / NAME
    lines = path.read_text().splitlines(keepends=True)
    changed = {
        "edited": [lines[0].replace("0.05", "0.5"), *lines[1:]],
        "removed": lines[1:],
        "rubbish": [lines[0], "{\n", *lines[1:]],
        "cut": [*lines[:-1], lines[-1][:40]],
    }[how]
    path.write_text("".join(changed))
    past = begin(tmp_path, FIRST)
    (warning,) = past.warnings
    assert warning.startswith("runs.jsonl was changed at line ")
    assert "Start in an empty folder" in warning


def test_what_is_noted_holds_no_path_and_no_person(tmp_path):
    begin(tmp_path, FIRST)
    said = json.loads((tmp_path / NAME).read_text())
    assert set(said) == {"event", "previous", *(f.name for f in dataclasses.fields(Attempt))}


def test_judging_again_names_the_run_that_it_was_judged_from(tmp_path, record):
    strict = load_policy("strict")
    past = begin_judging(tmp_path, record, spec=spec_of(record), policy=strict)
    (run,) = past.earlier
    assert run.kind == "run"
    assert run.policy_digest == policy_of(record).digest
    assert any(change.limit == "calibration" for change in past.limit_changes)
    judged = rejudge(record, policy=strict, past=past)
    assert "applied when the results were known" in " ".join(history_view(judged).lines)


def with_approval(record, approved):
    parsed = {**record.policy.parsed, "approved": approved}
    return dataclasses.replace(record, policy=dataclasses.replace(record.policy, parsed=parsed))


@pytest.mark.parametrize(
    ("approved", "said"),
    [
        (None, "does not say who approved its limits, or when"),
        ({"by": "Board", "on": "2026-10-01"}, "not after the day of this run"),
        ({"by": "Board", "on": "2026-12-24"}, NOT_BEFOREHAND),
        ({"by": "Board", "on": "soon"}, "which is no date"),
    ],
)
def test_limits_approved_after_the_run_are_said(record, approved, said):
    assert said in approval_text(with_approval(record, approved))


def test_the_section_tells_changes_in_words(record):
    run = EarlierRun("2026-11-20T10:00:00+00:00", "run", "mine 1", "p" * 64, "m" * 64)
    added = LimitChange("new", "", "at least 1")
    told = dataclasses.replace(record, earlier=(run,), limit_changes=(added, CHANGE))
    view = history_view(told)
    said = " ".join(view.lines)
    assert "This is run 2 of this audit" in said
    assert "1 did not end" in said
    assert "gap was at most 0.05, severity blocking, and is at most 0.5" in said
    assert said.index("new was added (at least 1)") > said.index("gap was at most")
    assert view.runs[0].verdict == "did not end"
    assert "no earlier run" in history_view(record).lines[0]
