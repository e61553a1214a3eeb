"""Two audits compared: a change is called one only when it is shown."""

import dataclasses

import numpy as np
import pytest

from auditor.changes.compare import compare, compare_records
from auditor.engine.row_files import RunRows
from auditor.errors import DataError
from auditor.findings import Measure, Subject, Verdict
from auditor.record import CheckResults
from auditor.record.files import to_json, write_record
from auditor.reports.changes_text import text_lines
from auditor.stats import Exact, Normal, RateRatio, value

OVERALL = "performance/overall:accuracy@test"


def compared(old, new, *, paired=True):
    rows = (old.rows, new.rows) if paired else ({}, {})
    return compare_records(old.record, new.record, rows=rows)


def number(changes, identifier):
    return next(c for c in changes.numbers if c.id == identifier)


def test_two_runs_of_the_same_inputs_tell_no_change(world):
    one = world()
    right = one.right(0.85, seed=0)
    for paired in (True, False):
        changes = compared(one.audit(right), one.audit(right), paired=paired)
        assert (changes.shown, changes.verdicts, changes.regressed) == ((), (), ())
        assert (changes.added, changes.dropped, changes.inputs) == ((), (), ())
        assert changes.numbers


@pytest.mark.parametrize("seed", range(3))
def test_a_worse_model_regresses_on_the_same_images(world, seed):
    one = world(seed=seed)
    before = one.right(0.93, seed=0)
    after = before & one.right(0.9, seed=1)
    changes = compared(one.audit(before), one.audit(after))
    overall = number(changes, OVERALL)
    assert overall.way == "paired"
    assert overall.paired.n == 400
    assert OVERALL in changes.regressed
    assert overall.is_worse
    assert value(overall.paired.estimate) == pytest.approx(after.mean() - before.mean())


def test_the_same_loss_is_not_shown_without_the_stores(world):
    one = world()
    before = one.right(0.9, seed=0)
    after = before & one.right(0.95, seed=1)
    assert compared(one.audit(before), one.audit(after)).regressed
    apart = compared(one.audit(before), one.audit(after), paired=False)
    assert number(apart, OVERALL).way == "two samples"
    assert not apart.worse
    assert apart.without_rows == ("old", "new")


def test_a_better_model_is_shown_and_nothing_regresses(world):
    one = world()
    before = one.right(0.8, seed=0, phone=0.6)
    after = before | one.right(0.7, seed=1)
    changes = compared(one.audit(before), one.audit(after))
    overall = number(changes, OVERALL)
    assert (overall.shown, overall.turn) == (True, "better")
    assert changes.regressed == ()


def test_a_group_that_loses_an_advantage_has_not_become_worse(world):
    one = world(n=1200)
    before = one.right(0.98, seed=0, phone=0.7)
    after = before | one.right(1.0, seed=1)
    changes = compared(one.audit(before), one.audit(after))
    gap = number(changes, "bias/subgroup-gap:accuracy:phone=new@test")
    assert (gap.shown, gap.turn) == (True, "worse")
    assert not gap.is_worse
    assert changes.regressed == ()


def test_a_group_that_falls_behind_has(world):
    one = world(n=1200)
    before = one.right(0.95, seed=0)
    _, _, phones = one.draw()
    after = before & ~((phones == "old") & one.right(0.25, seed=1))
    changes = compared(one.audit(before), one.audit(after))
    assert "bias/subgroup-gap:accuracy:phone=old@test" in changes.regressed


def test_most_measures_of_rows_are_made_again_from_them(world):
    one = world()
    changes = compared(one.audit(one.right(0.8, seed=0)), one.audit(one.right(0.8, seed=1)))
    ways = {c.id: c.way for c in changes.numbers}
    made = ("accuracy", "recall", "precision", "false-positive-ratio", "false-negative-ratio")
    for identifier, way in ways.items():
        if identifier.split(":")[1].split("@")[0] in made:
            assert way == "paired", identifier
    assert ways["performance/overall:macro-f1@test"] == "two samples"


def test_a_record_that_its_rows_do_not_give_is_compared_as_two_samples(world):
    one = world()
    before, after = (one.audit(one.right(0.8, seed=s)) for s in (0, 1))
    other = one.audit(one.right(0.8, seed=2)).rows
    changes = compare_records(before.record, after.record, rows=(before.rows, other))
    assert number(changes, OVERALL).way == "two samples"


def test_images_with_other_bytes_are_not_shared(world):
    one = world()
    before, after = (one.audit(one.right(0.8, seed=s)) for s in (0, 1))
    kept = after.rows["test", "image"]
    changed = np.where(np.arange(400) < 120, "another", kept.digests.astype(object))
    rows = {("test", "image"): RunRows(kept.rows, changed)}
    changes = compare_records(before.record, after.record, rows=(before.rows, rows))
    (shared,) = changes.shared.values()
    assert len(shared.pair) == 280
    assert number(changes, OVERALL).paired.n == 280
    few = np.where(np.arange(400) < 250, "another", kept.digests.astype(object))
    rows = {("test", "image"): RunRows(kept.rows, few)}
    changes = compare_records(before.record, after.record, rows=(before.rows, rows))
    assert number(changes, OVERALL).way == "two samples"


def test_images_of_another_name_are_not_said_to_be_others(world):
    """Under pseudonyms the same bytes have other names: nobody knows that they are in both."""
    one = world()
    before, after = (one.audit(one.right(0.8, seed=s)) for s in (0, 1))
    kept = after.rows["test", "image"]
    rows = {("test", "image"): RunRows(kept.rows, np.full(400, "another", dtype=object))}
    lines = text_lines(compare_records(before.record, after.record, rows=(before.rows, rows)))
    said = "test: no image has the same name and the same bytes in both, so they are compared as"
    assert any(line.strip().startswith(said) for line in lines)
    assert not any("image is in both" in line for line in lines)


def test_a_verdict_that_the_policy_alone_turned_is_no_regression(world, conftest_policy):
    one = world()
    right = one.right(0.87, seed=0)
    tighter = conftest_policy.replace("at_least: 0.8", "at_least: 0.95")
    changes = compared(one.audit(right), one.audit(right, policy=tighter))
    (turned,) = (c for c in changes.verdicts if c.limit == "overall")
    assert turned.by_policy
    assert (turned.before, turned.after) == (Verdict.PASS, Verdict.FAIL)
    assert changes.regressed == ()
    (limit,) = changes.policy.changed
    assert (limit.id, limit.turn) == ("overall", "tighter")
    back = compared(one.audit(right, policy=tighter), one.audit(right))
    assert back.policy.changed[0].turn == "looser"


def test_a_looser_limit_does_not_hide_a_regression(world, conftest_policy):
    one = world()
    before, after = one.right(0.97, seed=0), one.right(0.6, seed=1)
    looser = conftest_policy.replace("at_least: 0.8", "at_least: 0.79")
    changes = compared(one.audit(before), one.audit(after, policy=looser))
    (turned,) = (c for c in changes.verdicts if c.limit == "overall")
    assert turned.is_regression
    assert turned.limit_changed


@pytest.fixture
def conftest_policy():
    return (
        'id: tried\nversion: "1"\nowner: {name: a tester}\nlimits:\n'
        '  - {id: overall, measure: "performance/overall:accuracy", at_least: 0.8, why: a floor}\n'
        '  - {id: gap, measure: "bias/subgroup-gap:accuracy", at_least: -0.1, why: nobody}\n'
    )


def test_limits_and_waivers_that_came_and_went_are_named(world, conftest_policy):
    one = world()
    right = one.right(0.87, seed=0)
    without = conftest_policy.rsplit("  - {id: gap", 1)[0]
    waived = without + (
        "waivers:\n  - {id: W-1, limit: overall, reason: being mended, owner: A. One,\n"
        "     approved_by: B. Two, issued: 2026-11-01, expires: 2026-12-01}\n"
    )
    changes = compared(one.audit(right), one.audit(right, policy=waived))
    assert changes.policy.dropped == ("gap",)
    assert changes.policy.waivers == (("W-1", "added"),)
    assert all(c.is_gone for c in changes.verdicts)
    assert compared(one.audit(right, policy=without), one.audit(right)).policy.added == ("gap",)


def test_what_met_a_limit_and_is_measured_no_more_is_counted(world):
    one = world()
    right = one.right(0.99, seed=0)
    old, fewer = one.audit(right), one.audit(right, checks=("performance/overall",))
    of_groups = [f for f in old.record.findings if f.check == "bias/subgroup-gap"]
    met = sum(f.verdict is Verdict.PASS for f in of_groups)
    lines = text_lines(compared(old, fewer))
    assert met
    assert "Nothing regressed of what both measure." in lines
    assert any(f", {met} met before and not in the new audit," in line for line in lines)


def test_what_only_one_audit_measures_is_listed(world):
    one = world()
    right = one.right(0.87, seed=0)
    fewer = one.audit(right, checks=("performance/overall",))
    changes = compared(fewer, one.audit(right))
    assert {i.split(":")[0] for i in changes.added} == {
        "performance/per-class", "bias/subgroup-gap", "bias/error-rates"
    }  # fmt: skip
    assert compared(one.audit(right), fewer).dropped == changes.added


def one_measure(worlds, estimate, **changes):
    given = {"scale": "amount", "better": "lower", "n": 100, "unit": "ms"} | changes
    subject = given.pop("subject", Subject(split="test"))
    measure = Measure("m", subject, estimate, **given)
    return worlds.record(CheckResults("a/b", (measure,)))


@pytest.mark.parametrize(
    ("old", "new", "changed", "way"),
    [
        (Normal(5, 0.1), Normal(9, 0.1), {"volatile": True}, "timed"),
        (Exact(5), Exact(9), {}, "counted"),
        (Normal(5, 0.1), Normal(9, 0.1), {}, "two samples"),
    ],
)
def test_timings_and_counts_are_never_shown_to_have_changed(worlds, old, new, changed, way):
    records = [one_measure(worlds, estimate, **changed) for estimate in (old, new)]
    (only,) = compare_records(*records).numbers
    assert only.way == way
    assert only.shown == (way == "two samples")


def test_another_scale_or_unit_is_not_compared(worlds):
    records = one_measure(worlds, Normal(5, 1)), one_measure(worlds, Normal(9, 1), unit="s")
    (only,) = compare_records(*records).numbers
    assert (only.way, only.p) == ("not comparable", None)


def test_a_ratio_to_nothing_is_no_change(worlds):
    ratios = RateRatio(5, 50, 3, 50), RateRatio(5, 50, 0, 50)
    records = [one_measure(worlds, r, scale="ratio", unit="", neutral=1.0) for r in ratios]
    (only,) = compare_records(*records).numbers
    assert not only.shown


def null_calls(world, *, seeds, paired):
    """In how many comparisons of audits of one model any change is called."""
    calls = 0
    for seed in seeds:
        old = world(n=240, seed=2 * seed, name="photo")
        new = old if paired else world(n=240, seed=2 * seed + 1, name="other")
        audits = old.audit(old.right(0.8, seed=1)), new.audit(new.right(0.8, seed=2))
        calls += bool(compared(*audits, paired=paired).shown)
    return calls


@pytest.mark.parametrize("paired", [True, False])
def test_no_change_is_called_where_there_is_none(world, paired):
    # At 5% more than 3 of 8 come in one of 2,000 cases; benchmarks/changes.py has the rates.
    assert null_calls(world, seeds=range(8), paired=paired) <= 3


def written(record, folder):
    folder.mkdir()
    write_record(record, folder / "audit.json")
    return folder


def test_folders_and_files_are_read_and_faults_are_named(world, tmp_path):
    one = world()
    record = one.audit(one.right(0.8, seed=0)).record
    old, new = (written(record, tmp_path / name) for name in ("old", "new"))
    assert compare(old, new / "audit.json").identical
    with pytest.raises(DataError, match=r"^NEW \(.*gone\): .* does not exist"):
        compare(old, tmp_path / "gone")
    (new / "audit.json").write_text("{")
    with pytest.raises(DataError, match=r"^NEW \(.*new\): audit\.json is not JSON"):
        compare(old, new)
    (old / "audit.json").write_text('{"schema": "auditor/audit/v1"}')
    with pytest.raises(DataError, match=r"^OLD \(.*\): .*schema 'auditor/audit/v1'; this version"):
        compare(old, new)


def test_a_record_changed_by_hand_is_not_compared(world, tmp_path):
    one = world()
    record = one.audit(one.right(0.8, seed=0)).record
    old, new = (written(record, tmp_path / name) for name in ("old", "new"))
    text = to_json(record)
    (new / "audit.json").write_text(text.replace('"title":"A model"', '"title":"B model"'))
    assert (new / "audit.json").read_text() != text
    with pytest.raises(DataError, match=r"NEW .*changed after it had been written.*Run that audit"):
        compare(old, new)


def test_inputs_that_differ_are_named(world):
    one = world()
    right = one.right(0.8, seed=0)
    old, new = one.audit(right), one.audit(right, title="Another")
    other = dataclasses.replace(
        new.record,
        model=dataclasses.replace(new.record.model, digest="2" * 64, classes=("a", "c")),
        provenance=dataclasses.replace(new.record.provenance, auditor_version="9.9"),
    )
    told = {
        (i.part, i.what): (i.before, i.after) for i in compare_records(old.record, other).inputs
    }
    assert told["audit", "title"] == ("A model", "Another")
    assert told["model", "file (SHA-256)"] == ("1" * 12, "2" * 12)
    assert told["model", "classes"] == ("a, b", "a, c")
    assert told["versions", "auditor"][1] == "9.9"
    assert not any(part == "spec" for part, _ in told)
