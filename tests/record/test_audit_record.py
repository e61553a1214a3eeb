"""The record: exact, canonical, refusing what it cannot hold; judged again from itself alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import socket
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import DataError
from auditor.findings import (
    Alike,
    Axis,
    Column,
    Figure,
    Measure,
    Side,
    Subject,
    Table,
    Unmeasured,
    Verdict,
)
from auditor.judging.judged_record import from_json, make_record, read_record, rejudge
from auditor.judging.policy_file import load_policy, parse_policy
from auditor.judging.volatile import volatile_free
from auditor.record import (
    AttributeSummary,
    AuditRecord,
    CheckResults,
    CheckText,
    DatasetSummary,
    GroupCount,
    NotPlannedCheck,
    PassFacts,
    PlanSummary,
    SetApart,
    keep_table,
)
from auditor.record.codec import CodecError, decode, encode, text_of
from auditor.record.files import record_digest, record_schema, schema_text, to_json, write_record
from auditor.record.provenance import collect_provenance
from auditor.spec.spec_file import SpecFile, text_digest
from auditor.stats import (
    GRID,
    Draws,
    Estimate,
    Exact,
    Normal,
    PairedDifference,
    Rate,
    RateDifference,
    RateRatio,
)

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "audit.schema.json"
START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
EVERY_ESTIMATE = (
    Exact(0.25),
    Rate(78.5, 100.25, 30.0),
    RateDifference(40, 60, 480, 500),
    RateRatio(14, 110, 20, 560, 12.0),
    PairedDifference(3, 9, 500),
    Normal(0.1, 1 / 3),
    Draws(0.04, tuple(0.01 + p / 20 for p in GRID)),
)
POLICY = """\
id: mine
version: "1"
owner: {name: someone}
limits:
  - {id: gap, measure: bias/subgroup-gap:accuracy, at_least: -0.05, why: no group may lose}
  - {id: fast, measure: deployment/latency:p99, at_most: 50, why: people wait}
"""


def measures() -> tuple[Measure, ...]:
    return tuple(
        Measure(
            "accuracy",
            Subject.about({"building": f"b <{i}> é,="}, split="test"),
            estimate,
            "share",
            "higher",
            200,
            n_units=50,
            examples=("raum/ä 1.png", "b.png"),
            sides=(Side(Rate(78, 100), 100), Side(Exact(0.5))),
            adjusted=(Alike("floor", "remains", 0.1, 0.05, 0.15, 40, 60), Alike("light", "open")),
            facts={"rate": {"value": 0.9, "low": 0.8, "high": None, "n": 5}, "list": [1, "x"]},
        )
        for i, estimate in enumerate(EVERY_ESTIMATE)
    )


def latency(milliseconds: float) -> CheckResults:
    timed = Draws(milliseconds, tuple(milliseconds + p for p in GRID))
    measure = Measure(
        "p99", Subject(), timed, "amount", "lower", 700, unit="ms", least=0.0, volatile=True
    )
    return CheckResults("deployment/latency", measures=(measure,))


def results() -> tuple[CheckResults, ...]:
    figure = Figure(
        "bias/subgroup-gap:building",
        "forest",
        "Accuracy by building",
        "Each group against the rest.",
        "Old is worse.",
        Axis("points", "%"),
        Axis("group"),
        ({"label": "old", "value": 0.1, "low": None, "n": 5, "shown": True},),
    )
    table = Table(
        "t", "Groups", (Column("group"), Column("n", "images")), (("old", 3), (None, 1.5))
    )
    unmeasured = Unmeasured("accuracy", Subject.of(building="new"), "Only 3 units.", "Add 7.")
    return (
        CheckResults(
            "bias/subgroup-gap",
            measures=measures(),
            unmeasured=(unmeasured,),
            figures=(figure,),
            tables=(keep_table(table, digest="2" * 64),),
        ),
        CheckResults(
            "model/consistency",
            unmeasured=(Unmeasured("check", Subject(), "The check crashed.", "Report it."),),
            traceback="Traceback ...",
        ),
        latency(40.0),
    )


def datasets() -> tuple[DatasetSummary, ...]:
    building = AttributeSummary("building", "condition", (GroupCount("old", 10, 9),), missing=2)
    return (
        DatasetSummary(
            split="test",
            n=12,
            n_sound=11,
            n_units=4,
            has_labels=True,
            labels=(GroupCount("a", 6, 6), GroupCount("b", 6, 5)),
            attributes=(building,),
            set_apart=(SetApart("unreadable", 1),),
            digest="3" * 64,
        ),
    )


@pytest.fixture
def make(worlds):
    spec = worlds.spec(
        data={"test": {"images": "i"}, "attributes": {"building": {"role": "condition"}}}
    )
    text = "audit: ..."
    provenance = collect_provenance(
        seed=7, started=START, finished=START + timedelta(seconds=12), inputs={"model": "1" * 64}
    )

    def build(policy=None, **changes) -> AuditRecord:
        parts = {
            "spec": SpecFile(spec, "audit.yaml", text, text_digest(text)),
            "policy": policy or parse_policy(POLICY, name="policy.yaml"),
            "provenance": provenance,
            "model": worlds.facts(),
            "datasets": datasets(),
            "plan": PlanSummary(
                ("bias/subgroup-gap",), (NotPlannedCheck("shift/accuracy", "No.", "Add."),), ("p",)
            ),
            "passes": (PassFacts("test / as-shot", 12, 0.5),),
            "results": results(),
            "check_texts": (
                CheckText("bias/subgroup-gap", "Who.", (("Why", "x"),), {"most": 10}, ("S",)),
            ),
            "warnings": ("Author's code was run.",),
        }
        return make_record(**(parts | changes))

    return build


# --- JSON and back -------------------------------------------------------------------------


def test_a_record_is_its_json_exactly(make):
    record = make()
    text = to_json(record)
    assert from_json(text) == record
    assert to_json(from_json(text)) == text
    assert {f.verdict for f in record.findings} >= {Verdict.PASS, Verdict.FAIL, Verdict.NOT_RUN}


def test_json_is_canonical(make):
    text = to_json(make())
    stored = json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert stored == sorted(stored)
    assert text_of(encode(json.loads(text))) == text
    assert "NaN" not in text
    assert "é,=" in text
    assert encode(Rate(9, 10)) == encode(Rate(9.0, np.float32(10))) != encode(Rate(9, 10, 4))


def test_a_record_changed_by_hand_is_known_as_that_for_ever(make):
    text = to_json(make())
    stored = json.loads(text)
    assert not from_json(text).altered
    assert not from_json(json.dumps(stored, indent=8)).altered, "only laid out otherwise"
    stored["datasets"][0]["n_units"] = 40
    changed = from_json(json.dumps(stored))
    assert changed.altered
    assert from_json(to_json(changed)) == changed
    policy = load_policy("default")
    assert rejudge(from_json(to_json(rejudge(changed, policy=policy))), policy=policy).altered
    del stored["digest"]
    assert from_json(json.dumps(stored)).altered


def test_the_digest_is_what_a_reader_without_auditor_computes(make):
    stored = json.loads(to_json(make()))
    stated = stored.pop("digest")
    text = json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest() == stated


def test_a_change_of_one_thing_changes_few_lines(make):
    """A record kept under version control: what is small has a line of its own."""
    before, after = (
        to_json(make(datasets=(dataclasses.replace(datasets()[0], n_units=n),))).splitlines()
        for n in (4, 5)
    )
    assert len(before) == len(after) > 100
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 2, "and the digest"


def test_what_equals_its_default_is_not_written_and_is_read_as_it():
    bare = Measure("m", Subject(), Exact(1), "amount", "none", 3)
    exact = {"kind": "exact", "value": 1.0}
    assert json.loads(text_of(encode(bare))) == {
        "name": "m", "subject": {}, "estimate": exact, "scale": "amount", "better": "none", "n": 3
    }  # fmt: skip
    assert decode(Measure, json.loads(text_of(encode(bare)))) == bare
    stated = dataclasses.replace(bare, n_units=0, volatile=True, examples=("",), facts={"": None})
    assert decode(Measure, json.loads(text_of(encode(stated)))) == stated


finite = st.floats(allow_nan=False, allow_infinity=False)
details = st.dictionaries(
    st.text(max_size=4),
    st.none() | st.booleans() | finite | st.text() | st.lists(finite),
    max_size=3,
)


@given(
    keys=st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    estimate=st.sampled_from(EVERY_ESTIMATE) | st.builds(Normal, finite, st.floats(0, 1e300)),
    examples=st.lists(st.text(), max_size=3),
    details=details,
)
@settings(max_examples=60)
def test_any_measure_is_its_json_exactly(keys, estimate, examples, details):
    subject = Subject.about(keys, split="test", variant="int8")
    measure = Measure(
        "m", subject, estimate, "amount", "none", 1, examples=tuple(examples), facts=details
    )
    text = text_of(encode(measure))
    assert decode(Measure, json.loads(text)) == measure
    data = text.encode("utf-8", errors="backslashreplace")
    assert decode(Measure, json.loads(data.decode())) == measure


@pytest.mark.parametrize("number", [math.nan, math.inf, np.float32("nan")])
def test_what_json_cannot_hold_is_refused_with_its_place(number):
    measure = dataclasses.replace(measures()[0], facts={"rate": {"low": [0.5, number]}})
    with pytest.raises(CodecError, match=r"facts\.rate\.low\[1\]: found (nan|inf)"):
        text_of(encode(measure))
    with pytest.raises(CodecError, match="found a set, which JSON cannot hold"):
        text_of(encode(dataclasses.replace(measure, facts={"x": {1}})))
    with pytest.raises(CodecError, match="the key 3"):
        text_of(encode(dataclasses.replace(measure, facts={"x": {3: 1}})))


def test_numpy_scalars_become_numbers():
    found = encode({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)})
    assert found == {"a": 0.5, "b": 3, "c": True}
    assert [type(v) for v in found.values()] == [float, int, bool]
    draws = Draws(np.float64(0.1), tuple(np.linspace(0, 1, len(GRID))))
    assert decode(Estimate, json.loads(text_of(encode(draws)))) == draws
    assert encode(Rate(np.int64(3), np.float32(5))) == {"kind": "rate", "x": 3.0, "n": 5.0}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda r: r.update(schema="auditor/audit/v1"), "has the schema 'auditor/audit/v1'"),
        (lambda r: r.pop("schema"), "has the schema None"),
        (lambda r: r.update(extra=1), "found the unknown field 'extra'"),
        (lambda r: r.pop("model"), "the field 'model' is missing"),
        (lambda r: r.update(verdict="GOOD"), "found 'GOOD', expected one of PASS, FAIL"),
        (
            lambda r: r["datasets"][0].update(n="x"),
            "datasets[0].n: found 'x', expected a whole number",
        ),
        (
            lambda r: r["datasets"][0].update(n=True),
            "audit: datasets[0].n: found True, expected a whole number",
        ),
        (
            lambda r: r["results"][0]["measures"][0]["estimate"].update(kind="guess"),
            "results[0].measures[0].estimate: found kind 'guess', expected one of exact, rate,",
        ),
        (
            lambda r: r["results"][0]["measures"][0].update(better="best"),
            "results[0].measures[0].better: found 'best', expected one of higher, lower, none",
        ),
        (
            lambda r: r["results"][0]["measures"][1]["estimate"].update(n=-1),
            "results[0].measures[1].estimate: Rate: found x=78.5 of n=-1, expected n > 0",
        ),
        (
            lambda r: r["results"][0]["measures"][0]["estimate"].update(value="1"),
            "measures[0].estimate.value: found '1', expected a number",
        ),
        (
            lambda r: r["results"][0]["figures"][0]["rows"][0].update(n=[5]),
            "figures[0].rows[0].n: found [5], expected text or a whole number or a number or",
        ),
        (lambda r: r.update(datasets={}), "datasets: found {}, expected a list"),
        (lambda r: r.update(model=None), "model: found None, expected an object"),
        (
            lambda r: r["check_texts"][0].update(sections=[["x"]]),
            "check_texts[0].sections[0]: found 1 entries, expected 2",
        ),
    ],
)
def test_other_json_is_refused_and_says_why(make, edit, said):
    stored = json.loads(to_json(make()))
    edit(stored)
    with pytest.raises(DataError) as caught:
        from_json(json.dumps(stored))
    assert said in str(caught.value)
    assert str(caught.value).startswith("audit.json ")


def test_files_are_written_whole_and_read(make, tmp_path):
    record = make()
    path = write_record(record, tmp_path / "out" / "audit.json")
    assert read_record(path) == record
    assert [p.name for p in path.parent.iterdir()] == ["audit.json"]
    before = path.read_bytes()
    broken = dataclasses.replace(record, warnings=(math.nan,))
    with pytest.raises(CodecError):
        write_record(broken, path)
    assert path.read_bytes() == before
    with pytest.raises(DataError, match=r"none\.json does not exist"):
        read_record(tmp_path / "none.json")
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(DataError, match="is not JSON"):
        read_record(path)


def test_a_write_that_is_cut_off_leaves_the_old_record(make, tmp_path, monkeypatch):
    path = write_record(make(), tmp_path / "audit.json")
    before = path.read_bytes()

    def cut_off(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", cut_off)
    with pytest.raises(OSError, match="disk full"):
        write_record(make(warnings=()), path)
    assert path.read_bytes() == before


def test_names_that_are_no_unicode_survive(make, tmp_path):
    odd = dataclasses.replace(measures()[0], examples=("raum-\udcff.png",))
    record = make(results=(CheckResults("bias/subgroup-gap", measures=(odd,)),))
    assert read_record(write_record(record, tmp_path / "audit.json")) == record
    assert len(record_digest(record)) == 64


def test_long_tables_keep_their_first_rows_and_their_total():
    table = Table("t", "T", (Column("n"),), tuple((i,) for i in range(1500)))
    kept = keep_table(table, digest="d")
    assert (len(kept.rows), kept.total, kept.digest) == (20, 1500, "d")


# --- schema --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_file", "said"),
    [
        (os.mkfifo, "is a pipe"),
        (Path.mkdir, "audit.json/audit.json does not exist"),
        (lambda p: p.symlink_to("/dev/zero"), "is a device"),
        (lambda p: os.truncate(p, 10**11) if p.touch() is None else None, "107 GB|100 GB"),
        (lambda p: p.write_text("[" * 200_000), "is not JSON"),
        (lambda p: p.write_text("9" * 10_000), "is not JSON"),
        (lambda p: p.write_bytes(b"\xff\xfe{}"), "cannot be read"),
    ],
)
def test_what_is_no_record_is_refused_before_it_is_read(tmp_path, make_file, said):
    path = tmp_path / "audit.json"
    make_file(path)
    with pytest.raises(DataError, match=said):
        read_record(path)


def test_the_published_schema_is_current():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "write it again: python -c 'from auditor.record.files import schema_text; "
        'print(schema_text(), end="")\' > docs/audit.schema.json'
    )


def test_records_fit_the_schema_and_others_do_not(make):
    validator = jsonschema.Draft202012Validator(record_schema())
    validator.check_schema(record_schema())
    stored = json.loads(to_json(make()))
    assert not list(validator.iter_errors(stored))
    for break_it in (
        lambda r: r.pop("verdict"),
        lambda r: r.update(extra=1),
        lambda r: r["results"][0]["measures"][0]["estimate"].update(kind="guess"),
        lambda r: r["model"].update(n_parameters="many"),
        lambda r: r["results"][0]["measures"][0].pop("n"),
        lambda r: r["results"][0]["measures"][0]["estimate"].pop("kind"),
        lambda r: r.update(schema="v2"),
    ):
        broken = json.loads(json.dumps(stored))
        break_it(broken)
        assert list(validator.iter_errors(broken))


# --- judging again -------------------------------------------------------------------------


def test_a_record_judged_again_by_its_own_policy_is_the_same(make):
    record = make()
    again = rejudge(record, policy=parse_policy(POLICY, name="policy.yaml"))
    assert again.provenance.previous == record_digest(record)
    assert dataclasses.replace(again, provenance=record.provenance) == record


def test_another_policy_changes_verdicts_and_no_measure(make):
    record = make()
    loose = parse_policy(POLICY.replace("-0.05", "-0.9"), name="loose.yaml")
    again = rejudge(from_json(to_json(record)), policy=loose)
    assert again.results == record.results
    assert again.policy.digest != record.policy.digest
    assert (record.verdict, again.verdict) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert again.warnings == record.run_warnings == ("Author's code was run.",)
    strict = rejudge(again, policy=load_policy("strict"))
    assert strict.limit_results[0].limit["id"] == "unreadable-images"


def test_waivers_hold_on_the_day_of_the_audit_or_the_day_given(make):
    waiver = """\
waivers:
  - {id: W, limit: gap, reason: known, owner: one, approved_by: two, issued: 2026-11-01,
     expires: 2026-11-30}
"""
    policy = parse_policy(POLICY + waiver, name="p.yaml")
    assert not make(policy=policy).warnings[1:]
    late = make(policy=policy, as_of=date(2027, 1, 1))
    assert "expired" in late.warnings[1]
    assert (
        "expired" in rejudge(make(policy=policy), policy=policy, as_of=date(2027, 1, 1)).warnings[1]
    )


# --- what two runs agree in ----------------------------------------------------------------


def test_records_of_two_runs_agree_without_their_timings(make):
    first = make()
    later = dataclasses.replace(
        first.provenance, started="2027-01-01T00:00:00+00:00", duration_s=99.0
    )
    too_busy = CheckResults(
        "deployment/latency",
        unmeasured=(Unmeasured("p99", Subject(), "Contended.", "Wait.", volatile=True),),
    )
    for timed in (latency(70.0), too_busy):
        second = make(
            provenance=later,
            passes=(PassFacts("test / as-shot", 12, 9.9),),
            results=(*results()[:2], timed),
        )
        assert second != first
        assert to_json(volatile_free(second)) == to_json(volatile_free(first))
    other = make(results=results()[1:])
    assert volatile_free(other) != volatile_free(first)


def test_whatever_a_check_marks_as_volatile_is_left_out(make):
    def with_speed(speed):
        timed = Measure(
            "pace", Subject(), Normal(speed, 0.1), "amount", "lower", 99, unit="ms", volatile=True
        )
        return make(results=(*results(), CheckResults("deployment/other", measures=(timed,))))

    bare = [to_json(volatile_free(with_speed(speed))) for speed in (1.0, 2.0)]
    assert bare[0] == bare[1]
    assert "pace" not in bare[0]


def test_the_verdict_without_timings_is_that_of_the_rest(make):
    loose = parse_policy(POLICY.replace("-0.05", "-0.99"), name="p")
    only_fast = (CheckResults("bias/subgroup-gap", measures=measures()[1:2]), latency(90.0))
    record = make(policy=loose, results=only_fast)
    assert record.verdict is Verdict.FAIL
    bare = volatile_free(record)
    assert bare.verdict is Verdict.PASS
    assert [r.limit["id"] for r in bare.limit_results] == ["gap"]


# --- provenance ----------------------------------------------------------------------------


def test_provenance_names_versions_and_hardware_but_no_host_or_path():
    provenance = collect_provenance(seed=7, started=START, finished=START)
    assert provenance.packages["numpy"] == np.__version__
    assert provenance.cores >= 1
    assert provenance.started == "2026-11-22T09:30:00+00:00"
    text = text_of(encode(provenance))
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text
    assert "site-packages" not in text
