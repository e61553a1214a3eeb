"""Whole audits through the command line: a small world of coloured rooms and a two-line model."""

import json
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
from coloured_rooms import POLICY, QUICK, make_world
from threadpoolctl import threadpool_info, threadpool_limits
from typer.testing import CliRunner

import auditor
from auditor.cli import app
from auditor.judging.volatile import volatile_free
from auditor.stats import value

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fair(tmp_path_factory):
    # Deployment is judged too, and 200 of its images would leave a limit undecided.
    return make_world(tmp_path_factory.mktemp("worlds") / "fair", sizes=(400, 200, 400))


@pytest.fixture(scope="module")
def unfair(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("worlds") / "unfair", wrong_in_old=0.5)


@pytest.fixture(scope="module")
def audited(fair, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return auditor.run(fair, out=out, only=QUICK), out


def verdicts(record) -> dict[str, str]:
    return {str(r.limit["id"]): str(r.verdict) for r in record.limit_results}


def test_a_fair_world_meets_its_policy(audited):
    record, out = audited
    assert record.verdict == "PASS", verdicts(record)
    assert auditor.read_record(out / "audit.json") == record


def test_an_unfair_world_fails_for_the_group_that_is_served_worse(unfair, tmp_path):
    record = auditor.run(unfair, out=tmp_path, only=QUICK)
    assert record.verdict == "FAIL"
    assert verdicts(record)["groups"] == "FAIL"
    failing = [f.id for f in record.findings if f.verdict == "FAIL" and f.limit == "groups"]
    assert failing == ["bias/subgroup-gap:accuracy:building=old@test"]
    assert verdicts(record)["better-than-guessing"] == "PASS"


def test_linear_algebra_has_one_thread_from_the_first_image_on(fair, tmp_path, monkeypatch):
    seen = []

    def gathering(*_, **__):
        seen.extend(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")
        raise auditor.AuditorError("seen enough")

    monkeypatch.setattr("auditor.engine.run.gather", gathering)
    with threadpool_limits(limits=2), pytest.raises(auditor.AuditorError, match="seen enough"):
        auditor.run(fair, out=tmp_path, only=QUICK)
    assert seen
    assert set(seen) == {1}


def test_the_same_audit_twice_gives_the_same_record(audited, fair, tmp_path):
    record, _ = audited
    again = auditor.run(fair, out=tmp_path, only=QUICK)
    assert volatile_free(again) == volatile_free(record)


def test_a_second_run_over_the_same_store_computes_nothing_and_says_the_same(audited, fair):
    record, out = audited
    before = times_of_answers(out)
    again = auditor.run(fair, out=out, only=QUICK, again=True)
    assert times_of_answers(out) == before
    assert volatile_free(again) == volatile_free(record)


def times_of_answers(out):
    found = (
        p
        for p in (out / "store").rglob("*")
        if p.is_file() and p.parent.name not in ("last-run", "used")
    )
    return {path: path.stat().st_mtime_ns for path in found}


def test_every_image_of_every_pass_has_its_score_in_the_store(audited, fair):
    record, out = audited
    tables = [pd.read_parquet(path) for path in (out / "store" / "scores").glob("*.parquet")]
    labels = pd.read_csv(fair.parent / "test.csv").set_index("file")["label"]
    shards = [t for t in tables if t["image_id"].isin(labels.index).all()]
    test = pd.concat(shards).drop_duplicates("image_id").set_index("image_id")
    assert len(test) == len(labels) == 400
    classes = np.array(record.model.classes)
    assert (labels[test.index].to_numpy() == classes[test["label"]]).all()
    right = test["label"] == test["answer"]
    assert (right == test["correct"]).all()
    measured = record.results_by_id["performance/overall:accuracy@test"]
    assert right.mean() == pytest.approx(value(measured.estimate))


def test_another_policy_judges_the_record_without_model_or_data(audited, tmp_path):
    _, out = audited
    harsh = tmp_path / "harsh.yaml"
    harsh.write_text(POLICY.replace("above: 0", "above: 0.99"))
    judged = auditor.judge_again(out / "audit.json", policy=str(harsh))
    assert verdicts(judged)["better-than-guessing"] == "FAIL"
    assert judged.verdict == "FAIL"


def test_an_audit_in_which_every_check_crashes_does_not_pass(fair, tmp_path, monkeypatch):
    from auditor.bias.subgroup_gap import SubgroupGap
    from auditor.checks.performance_baseline import Baseline
    from auditor.checks.performance_claims import Claims

    def crash(self, evidence):
        raise ZeroDivisionError("planted")

    for check in (SubgroupGap, Baseline, Claims):
        monkeypatch.setattr(check, "run", crash)
    record = auditor.run(
        fair, out=tmp_path, only=("bias/subgroup-gap", "performance/baseline", "performance/claims")
    )
    assert record.verdict == "INCONCLUSIVE"
    asked = {k: v for k, v in verdicts(record).items() if "left-out" not in k}
    assert set(asked.values()) == {"NOT_RUN"}
    assert all("planted" in r.traceback for r in record.results if r.check != "data/left-out")


def test_the_command_line_runs_renders_and_says_the_verdict(unfair, tmp_path):
    arguments = ["run", str(unfair), "--out", str(tmp_path), "--quiet"]
    for check in QUICK:
        arguments += ["--only", check]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "DOES NOT MEET" in result.output.upper()
    for name in ("audit.json", "report.html", "report.pdf", "MODEL_CARD.md", "findings.csv"):
        assert (tmp_path / name).stat().st_size > 500, name
    assert list((tmp_path / "tables").glob("*.csv"))
    assert list((tmp_path / "figures").glob("*.svg"))


def test_plan_says_what_will_run_and_what_not_and_why(fair):
    result = CliRunner().invoke(app, ["plan", str(fair)])
    assert result.exit_code == 0, result.output
    assert "bias/subgroup-gap" in result.output
    assert "deployment/latency: The spec does not state `target`." in result.output
    assert "images to decode" in result.output


def test_no_network_is_used(fair, tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError(f"a socket was opened to {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    record = auditor.run(fair, out=tmp_path, only=QUICK)
    assert record.verdict == "PASS"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("path: model.onnx", "path: modell.onnx"), "modell.onnx"),
        (("[red, blue]", "[red, blue, green]"), "3"),
        (("size: [16, 16]", "size: [20, 20]"), "16"),
        (("manifest: test.csv", "manifest: tset.csv"), "tset.csv"),
        (("label: label", "label: lable"), "lable"),
        (("policy: policy.yaml", "policy: strickt"), "strickt"),
    ],
)
def test_errors_of_the_user_are_one_message_without_traceback(
    fair, command, monkeypatch, change, says
):
    text = fair.read_text()
    assert change[0] in text
    wrong = fair.with_name("wrong.yaml")
    wrong.write_text(text.replace(*change))
    monkeypatch.chdir(fair.parent)
    code, _, err = command("run", wrong.name, "--out", "never")
    assert code == 2, err
    assert says in err
    assert "Traceback" not in err
    assert not (fair.parent / "never" / "audit.json").exists()


def test_too_many_broken_images_stop_the_audit(tmp_path):
    spec = make_world(tmp_path / "world", sizes=(40, 20, 20))
    for i in range(10):
        (spec.parent / f"test/{i:04d}.png").write_bytes(b"text, not an image")
    with pytest.raises(auditor.AuditorError, match="10 of 40 test images cannot be read"):
        auditor.run(spec, out=tmp_path / "out", only=QUICK)


def test_the_record_holds_no_path_of_this_machine(audited, fair):
    _, out = audited
    text = (out / "audit.json").read_text()
    assert str(fair.parent) not in text
    assert str(out) not in text
    assert json.loads(text)["schema"] == "auditor/audit/v2"


KILLED = """
import os, signal
replace = os.replace

def and_die(part, path):
    replace(part, path)
    if "store" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = and_die
from auditor.cli import main
main()
"""


def test_killed_by_the_system_and_started_again_it_ends_with_the_same_bytes(fair, tmp_path):
    """Killed as soon as the first file of the store has its name."""
    only = "performance/overall"
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, "run", str(fair), "--only", only, "--out", str(broken)]
    killed = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(broken.glob("store/*/*"))
    assert not (broken / "audit.json").exists()
    left = next(broken.glob("store/*")) / ".k.npy.1-a.part"
    left.write_bytes(b"half")
    records = [auditor.run(fair, out=out, only=(only,)) for out in (broken, whole)]
    assert volatile_free(records[0]) == volatile_free(records[1])
    assert not left.exists()
    stored = (
        p for p in (whole / "store").rglob("*.*") if p.parent.name not in ("last-run", "used")
    )
    for path in stored:
        assert (broken / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_a_stored_answer_that_was_changed_is_computed_again_and_told(fair, tmp_path):
    only = ("performance/overall",)
    record = auditor.run(fair, out=tmp_path, only=only)
    stored = max(tmp_path.glob("store/predictions/*.npy"), key=lambda path: path.stat().st_size)
    content = stored.read_bytes()
    stored.write_bytes(content[:-64] + bytes(64))
    command = [sys.executable, "-m", "auditor.cli", "run", str(fair), "--only", *only]
    told = subprocess.run([*command, "--out", str(tmp_path), "--quiet", "--again"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    said = f"store/predictions/{stored.name} was changed since it was written; it is computed again"
    assert said in told.stderr
    assert stored.read_bytes() == content
    assert volatile_free(auditor.read_record(tmp_path / "audit.json")) == volatile_free(record)


def test_a_preprocessing_with_which_scores_are_infinite_is_only_not_tried(fair, tmp_path):
    world = tmp_path / "world"
    shutil.copytree(fair.parent, world)
    # Of pixels from 0 to 1 the powers are small; of pixels from 0 to 255 they are infinite.
    model = onnx.load(world / "model.onnx")
    model.graph.node.append(onnx.helper.make_node("Exp", ["logits"], ["powers"]))
    model.graph.output[0].name = "powers"
    onnx.save(model, world / "model.onnx")
    record = auditor.run(world / "audit.yaml", out=tmp_path / "out", only=["model/preprocessing"])
    (figure,) = (figure for result in record.results for figure in result.figures)
    assert "the model then gives no scores: rgb-0..255" in figure.caption
    tried = {f.id for f in record.findings if f.check == "model/preprocessing"}
    assert any("input=channels-bgr" in each for each in tried)
    assert not any("0..255" in each for each in tried)
