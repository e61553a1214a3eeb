"""What users get wrong, and what disks do: one message and an exit code, never a false pass."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from coloured_rooms import QUICK, TIMED_ONCE, make_world
from PIL import Image

import auditor
from auditor import cli
from auditor.contract import check_classes
from auditor.engine.output import output_folder
from auditor.findings import Verdict
from auditor.judging.volatile import volatile_free

pytestmark = pytest.mark.slow

FEW = ("performance/overall", "performance/baseline", "bias/subgroup-gap")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("worlds") / "small", sizes=(60, 24, 24))


@pytest.fixture(scope="module")
def audited(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "audit"
    auditor.run(world, out=out, only=FEW)
    return out


def spec_with(world, text) -> Path:
    path = world.with_name("changed.yaml")
    path.write_text(text)
    return path


def refused(result, *says):
    code, _, err = result
    assert code == 2, err
    assert "Traceback" not in err
    for words in says:
        assert words in err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed: 3", "seed: -3", "audit.seed"),
        ("at_least: 0.85", "at_least: 85", "write 91% as 0.91"),
        (TIMED_ONCE, "checks: {bias/subgroup-gpa: {}}", "Did you mean 'bias/subgroup-"),
        (TIMED_ONCE, "checks: {bias/subgroup-gap: {most: 3}}", "unknown parameter"),
        (TIMED_ONCE, "checks: {bias/subgroup-gap: {most_classes: lots}}", "'lots'"),
        ("policy: policy.yaml", "target: {name: a, latency: {p99_ms: -1}}", "more than 0"),
        ("policy: policy.yaml", "declarations: absent.yaml", "absent.yaml does not exist"),
        ("measure: accuracy", "measure: 'deployment/latncy:p99'", "deployment/latency"),
        ("building: {", "class: {column: building, ", "another name"),
        ("model.onnx", "\tmodel.onnx\n\tx", "not YAML"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_before_any_work(command, world, old, new, says):
    text = world.read_text()
    assert old in text
    refused(command("plan", spec_with(world, text.replace(old, new))), says)


def test_a_policy_on_a_check_that_does_not_exist_is_refused(command, world, audited, tmp_path):
    text = world.with_name("policy.yaml").read_text()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("performance/baseline:", "performance/basline:"))
    out = tmp_path / "out"
    meant = "'performance/baseline:gain'"
    refused(command("run", world, "--policy", wrong, "--out", out), meant)
    assert not out.exists()
    refused(command("judge", audited / "audit.json", "--policy", wrong), meant)


def test_a_check_mistyped_on_the_command_line_is_named(command, world, tmp_path):
    result = command("run", world, "--only", "bias/subgroup-gpa", "--out", tmp_path / "out")
    refused(result, "Did you mean 'bias/subgroup-gap'?")


@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_output_that_is_no_folder_is_refused_by_every_command(
    command, world, audited, tmp_path, below
):
    file = tmp_path / "file"
    file.write_text("mine")
    record = audited / "audit.json"
    for arguments in (("run", world), ("judge", record, "--policy", "strict"), ("report", record)):
        refused(command(*arguments, "--out", file / below), "expected a folder")
    assert file.read_text() == "mine"


def test_init_refuses_an_output_that_it_cannot_write(command, world):
    model, data = world.with_name("model.onnx"), world.with_name("test.csv")
    refused(
        command("init", model, data, "--out", world.parent / "no" / "a.yaml"), "none that exist"
    )
    refused(command("init", model, data, "--force", "--out", world.parent), "is a folder")


def test_two_runs_into_one_folder_do_not_mix(command, world, tmp_path):
    with output_folder(tmp_path / "out") as held:
        refused(command("run", world, "--out", held), "another run", "another --out")
    assert not held.exists()


def change(record, **new):
    return json.dumps(record | new)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda r: change(r, verdict="PASS"), "edited by hand"),
        (lambda r: change(r, spec=r["spec"] | {"parsed": {}}), "edited by hand"),
        (lambda r: change(r, limit_results=[]) .replace('"INCONCLUSIVE"', '"PASS"'), "by hand"),
        (lambda r: change(r, schema="auditor/audit/v9"), "auditor/audit/v9"),
        (lambda r: change(r, more=1), "unknown field 'more'"),
        (lambda r: json.dumps(r)[:-50], "not JSON"),
        (lambda r: "", "not JSON"),
    ],
)  # fmt: skip
def test_a_record_that_was_edited_is_not_printed_as_one(command, audited, tmp_path, edit, says):
    path = tmp_path / "audit.json"
    path.write_text(edit(json.loads((audited / "audit.json").read_text())))
    refused(command("report", path, "--out", tmp_path / "out"), says)
    refused(command("judge", path, "--policy", "strict"), says)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_damaged_store_is_computed_anew(world, audited, tmp_path, keep):
    out = tmp_path / "out"
    shutil.copytree(audited, out)
    whole = {p: p.read_bytes() for p in (out / "store").rglob("*") if p.is_file()
             and p.parent.name not in ("last-run", "used")}  # fmt: skip
    assert {"scan", "predictions", "scores"} <= {path.parent.name for path in whole}
    for path, content in whole.items():
        path.write_bytes(content[:keep])
    again = auditor.run(world, out=out, only=FEW, again=True)
    assert volatile_free(again) == volatile_free(auditor.read_record(audited / "audit.json"))
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_number_changed_by_hand_is_told_on_page_one(command, audited, tmp_path):
    """The record still makes sense, so it is rendered; nobody can take it for what was measured."""
    stored = json.loads((audited / "audit.json").read_text())
    measure = next(m for r in stored["results"] for m in r["measures"] if m["name"] == "accuracy")
    measure["estimate"]["x"] = measure["estimate"]["n"]
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(stored))
    said = "was changed after it had been written"
    code, out, _ = command("judge", path, "--policy", "strict", "--out", tmp_path / "judged")
    assert code not in (0, 2)
    assert said in out
    command("report", path, "--out", tmp_path)
    for folder in (tmp_path, tmp_path / "judged"):
        page = (folder / "report.html").read_text()
        assert said in page[: page.index("Who is hurt")]
        assert said in (folder / "MODEL_CARD.md").read_text()
    assert auditor.read_record(tmp_path / "judged" / "audit.json").altered


def test_what_was_changed_by_hand_never_passes(audited):
    record = dataclasses.replace(auditor.read_record(audited / "audit.json"), verdict=Verdict.PASS)
    for altered, code in ((False, 0), (True, 3)):
        with pytest.raises(typer.Exit) as ended:
            cli._render_and_finish(dataclasses.replace(record, altered=altered), None)
        assert ended.value.exit_code == code


def changed_world(tmp_path, edit) -> Path:
    spec = make_world(tmp_path / "world", sizes=(60, 24, 24))
    path = spec.with_name("test.csv")
    edit(pd.read_csv(path), spec).to_csv(path, index=False)
    return spec


CONDITIONS = ("left-out", "classes-left-out")
"""Limits that hold in every policy, on rows and not on answers."""


def leaked(table, spec):
    table.to_csv(spec.with_name("train.csv"), index=False)
    return table


def test_of_leaked_test_images_nothing_is_measured_and_it_says_so(tmp_path):
    spec = changed_world(tmp_path, leaked)
    record = auditor.run(spec, out=tmp_path / "out", only=QUICK)
    # That no class is left whole fails whatever the policy; nothing else was measured.
    assert record.verdict == "FAIL"
    limits = {r.limit["id"]: r for r in record.limit_results if r.limit["id"] not in CONDITIONS}
    assert {r.verdict for r in limits.values()} == {"NOT_RUN"}
    finding = record.finding(limits["better-than-guessing"].findings[0])
    assert "Of 60 test images none is left" in record.result(finding).reason


def brighter_twice(table, spec):
    """A third of the test images once more, a little brighter, as images of other rooms."""
    more = table.head(20).copy()
    for i, name in enumerate(more["file"]):
        pixels = np.asarray(Image.open(spec.parent / name)).astype(int)
        more.iloc[i, 0] = f"test/again-{i}.png"
        brighter = np.clip(pixels + 3, 0, 255).astype(np.uint8)
        Image.fromarray(brighter).save(spec.parent / more.iloc[i, 0])
    more["room"] = [f"other-{i}" for i in range(20)]
    return pd.concat([table, more])


def test_where_many_near_copies_would_go_the_audit_stops_and_asks(command, tmp_path):
    spec = changed_world(tmp_path, brighter_twice)
    asked = "data:\n  duplicates: {near: set-apart}\n"
    stated = spec.with_name("set-apart.yaml")
    stated.write_text(spec.read_text().replace("data:\n", asked, 1))
    found = command("run", stated, "--out", tmp_path / "out", "--only", "data/duplicates")
    refused(found, "20 of 80 test images would be set apart", "near: report", "duplicate_share")
    assert not (tmp_path / "out" / "audit.json").exists()
    record = auditor.run(spec, out=tmp_path / "told", only=["data/duplicates"])
    share = next(m for m in record.results[0].measured if m.subject.split == "test")
    assert (share.facts["count"], share.facts["kept"]) == (20, 20)


def deployed_as_tested(table, spec):
    table.to_csv(spec.with_name("deployment.csv"), index=False)
    return table


def test_test_images_as_deployment_are_not_said_to_match(command, tmp_path):
    spec = changed_world(tmp_path, deployed_as_tested)
    record = auditor.run(spec, out=tmp_path / "out", only=(*QUICK, "shift/properties"))
    shared = next(m for r in record.results for m in r.measured if m.name == "shared-share")
    assert shared.facts["count"] == 60
    command("report", tmp_path / "out" / "audit.json")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Yes, it matches" not in page
    first = page[page.index("Does the test data match") : page.index("Does the training data")]
    assert "No such check was run" not in first
    assert "Of 60 deployment images none is left to measure with (60 in test)" in page


@pytest.mark.parametrize("n", [1, 12])
def test_a_handful_of_images_decides_nothing(tmp_path, n):
    spec = changed_world(tmp_path, lambda table, spec: table.head(n))
    record = auditor.run(spec, out=tmp_path / "out", only=QUICK)
    assert record.verdict == "INCONCLUSIVE"
    asked = [r for r in record.limit_results if r.limit["id"] not in CONDITIONS]
    assert not any(r.verdict == "PASS" for r in asked)
    assert not any(r.traceback for r in record.results)


def test_without_attributes_no_limit_on_groups_passes(world, tmp_path):
    bare = world.read_text().replace("  attributes:\n    building: {role: condition}\n", "")
    record = auditor.run(spec_with(world, bare), out=tmp_path, only=QUICK)
    assert record.verdict == "INCONCLUSIVE"
    groups = next(r for r in record.limit_results if r.limit["id"] == "groups")
    assert groups.verdict == "NOT_RUN"
    assert "Add columns that group the images" in groups.reason


def test_names_are_text_wherever_they_are_printed(command, tmp_path):
    odd = ("é ü", "a#b?c", "100%", "x,y", "'q'", '"', "=1+1", "a=b:c@d", "<script>alert(1)<")

    def rename(table, spec):
        table["file"] = [
            Path(shutil.move(spec.with_name("test").parent / f, spec.with_name("test") / f"{i} "
                 f"{odd[i % len(odd)]}.png")).relative_to(spec.parent)
            for i, f in enumerate(table["file"])
        ]  # fmt: skip
        return table.replace({"building": {"old": "<script>alert(1)</script>"}})

    spec, out = changed_world(tmp_path, rename), tmp_path / "out"
    only = [part for check in FEW for part in ("--only", check)]
    code, _, err = command("run", spec, "--out", out, "--quiet", *only)
    assert code == 3, err
    assert "<script>alert" not in (out / "report.html").read_text()
    record = auditor.read_record(out / "audit.json")
    assert record.dataset("test").n == 60
    ids = [f.id for f in record.findings if "script" in f.id]
    assert "bias/subgroup-gap:accuracy:building=%3Cscript%3Ealert%281%29%3C%2Fscript%3E@test" in ids


def test_every_check_explains_itself_and_every_command_has_an_example(command):
    for name in check_classes():
        code, out, _ = command("explain", name)
        assert code == 0
        assert "How it can mislead" in out, name
    for name in ("init", "plan", "run", "judge", "report", "explain", "checks"):
        code, out, _ = command(name, "--help")
        assert code == 0
        assert f"Example:  auditor {name}" in " ".join(out.split(" ")), name


def test_all_checks_crashing_leave_a_record_that_does_not_pass(world, tmp_path, monkeypatch):
    def crash(self, evidence):
        raise MemoryError("planted")

    for check in check_classes().values():
        monkeypatch.setattr(check, "run", crash)
    record = auditor.run(world, out=tmp_path)
    assert record.verdict == "INCONCLUSIVE"
    assert auditor.read_record(tmp_path / "audit.json") == record
    assert record.results
    assert all("planted" in r.traceback for r in record.results)
    assert {r.verdict for r in record.limit_results} == {"NOT_RUN"}


def test_two_whole_audits_in_fresh_folders_give_the_same_record(world, tmp_path):
    first, second = (auditor.run(world, out=tmp_path / name) for name in ("first", "second"))
    assert len(first.results) > 15
    assert not any(r.traceback for r in first.results)
    assert volatile_free(first) == volatile_free(second)


WAIVER = """
waivers:
  - {{id: w-1, finding: "bias/subgroup-gap:accuracy:building=old@test", reason: known,
      owner: {owner}, approved_by: {approver}, issued: 2026-01-01, expires: {expires}}}
"""


@pytest.mark.parametrize(
    ("owner", "approver", "expires", "says"),
    [
        ("Ann", "Ann", "2999-01-01", "Ann"),
        ("Ann", "Bo", "soon", "soon"),
        ("Ann", "Bo", "2025-01-01", "expires"),
    ],
)
def test_a_waiver_that_cannot_hold_is_refused(
    command, world, audited, tmp_path, owner, approver, expires, says
):
    policy = tmp_path / "policy.yaml"
    waiver = WAIVER.format(owner=owner, approver=approver, expires=expires)
    policy.write_text(world.with_name("policy.yaml").read_text() + waiver)
    refused(command("judge", audited / "audit.json", "--policy", policy), says)
