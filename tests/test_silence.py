"""What a command leaves behind: nothing outside its output, no part of a file, no lost work."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from coloured_rooms import TIMED_ONCE, make_world

import auditor
from auditor import opening
from auditor.engine import store as stores
from auditor.engine.output import output_folder
from auditor.errors import DataError, SpecError
from auditor.reports.templates import template_folder
from auditor.stopping import Done

pytestmark = pytest.mark.slow

ONLY = ("performance/overall",)
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>{}</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>"""
EVERYTHING = """
import os, sys
from auditor import cli
for line in sys.stdin.read().splitlines():
    sys.argv = ["auditor", *line.split()]
    try:
        cli.main()
    except SystemExit as ended:
        print(sys.argv[1], ended.code)
"""


BY_HAND = """
import signal
from auditor import cli
# Tests that run under `nohup` ignore signals, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
cli.main()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("worlds") / "rooms", sizes=(60, 24, 24))


@pytest.fixture(scope="module")
def audited(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "audit"
    auditor.run(world, out=out, only=ONLY)
    return out


def test_nothing_is_written_outside_the_output_folder(world, tmp_path):
    """By no library, in no process: homes, caches and temporary folders are empty at the end."""
    watched = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "CWD")}
    for folder in watched.values():
        folder.mkdir()
    fonts = tmp_path / "fonts.conf"
    # Without a cache of the system: fontconfig would make one at home.
    fonts.write_text(FONTS.format(template_folder() / "fonts"))
    target = "target: {name: desk, latency: {p99_ms: 500}}\npolicy:"
    spec = world.with_name("timed.yaml")
    once = TIMED_ONCE.replace("{deployment", "{deployment/latency: {attempts: 1}, deployment", 1)
    text = world.read_text().replace("policy:", target)
    assert TIMED_ONCE in text
    spec.write_text(text.replace(TIMED_ONCE, once))
    out, made = tmp_path / "out", tmp_path / "made.yaml"
    only = (
        "data/manifest", "performance/overall", "deployment/cold-start", "deployment/latency",
        "deployment/quantization",
    )  # fmt: skip
    commands = [
        f"init {world.with_name('model.onnx')} {world.with_name('test.csv')} --out {made}",
        f"plan {spec}",
        f"run {spec} --out {out} {' '.join(f'--only {name}' for name in only)}",
        f"judge {out} --policy strict",
        f"report {out}",
    ]
    kept = ("PATH", "PYTHONPATH", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")
    environment = {k: os.environ[k] for k in kept if k in os.environ} | {
        "HOME": str(watched["HOME"]), "TMPDIR": str(watched["TMPDIR"]),
        "FONTCONFIG_FILE": str(fonts), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING], input="\n".join(commands), env=environment,
        cwd=watched["CWD"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line.split()[0] for line in done.stdout.splitlines() if line[-2:] in (" 0", " 1", " 3")]
    assert done.returncode == 0, done.stderr
    assert [name for name in said if name in ("init", "plan", "run", "judge", "report")] == [
        "init", "plan", "run", "judge", "report",
    ], done.stdout + done.stderr  # fmt: skip
    left = [p for folder in watched.values() for p in folder.rglob("*")]
    assert not left
    assert (out / "report.pdf").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_says_what_it_kept_and_goes_on(world, tmp_path, number):
    out = tmp_path / "out"
    command = [sys.executable, "-c", BY_HAND, "run", world, "--out", out, "--only", ONLY[0]]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in running.stderr:
        if "predict test" in line:
            break
    os.killpg(running.pid, number)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert f"auditor: stopped. Kept in {out / 'store'}: decode and predict test" in err
    assert not list(out.rglob("*.part"))
    before = {p: p.stat().st_mtime_ns for p in (out / "store").rglob("*.npy")}
    auditor.run(world, out=out, only=ONLY)
    assert before.items() <= {p: p.stat().st_mtime_ns for p in before}.items()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("where", ["store", "record", "report"])
def test_a_full_disk_is_one_sentence_and_leaves_no_part(
    command, world, audited, tmp_path, monkeypatch, number, where
):
    def full(*arguments, **more):
        raise OSError(number, os.strerror(number))

    if where == "store":
        monkeypatch.setattr(stores.os, "posix_fallocate", full)
        monkeypatch.setattr("numpy.save", full)
        arguments = ("run", world, "--only", ONLY[0])
    else:
        monkeypatch.setattr(opening.os, "replace", full)
        arguments = ("judge", audited, "--policy", "strict")
    if where == "report":
        arguments = ("report", audited)
    code, _, err = command(*arguments, "--out", tmp_path / "out")
    assert code == 2, err
    assert "Traceback" not in err
    assert f"--out {tmp_path / 'out'} cannot be written to ({os.strerror(number)})" in err
    assert not list((tmp_path / "out").rglob("*.part"))


def test_what_is_no_fault_of_the_disk_is_no_such_sentence(tmp_path):
    with pytest.raises(FileNotFoundError), output_folder(tmp_path / "out"):
        raise FileNotFoundError(errno.ENOENT, "gone", "/elsewhere")
    with (
        pytest.raises(DataError, match="cannot be written") as held,
        output_folder(tmp_path / "out"),
    ):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "out" / "tables"))
    assert "TMPDIR" not in str(held.value)


def test_of_a_full_disk_that_is_not_named_the_folder_of_temporary_files_is_told(tmp_path):
    told = r"another --out. If it has room, the folder of temporary files \(TMPDIR\) has none. What"
    with pytest.raises(DataError, match=told), output_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "full")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_standard_output_is_one_sentence():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m auditor.cli checks > /dev/full"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "auditor: the output cannot be written (No space left on device). Make room for it.\n"
    )


def test_a_terminal_of_latin_1_is_no_fault(audited):
    done = subprocess.run(
        [sys.executable, "-m", "auditor.cli", "judge", audited, "--policy", "strict"],
        env=os.environ | {"PYTHONIOENCODING": "latin-1"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 3), done.stderr
    assert b"Always answering ?" in done.stdout or b"right" in done.stdout


@pytest.mark.parametrize("named", ["policy", "declarations"])
@pytest.mark.parametrize(
    ("content", "says"), [(b"", "is empty"), (b"title: caf\xe9", "is not UTF-8 text")]
)
def test_empty_files_and_latin_1_are_one_sentence(command, audited, tmp_path, named, content, says):
    path = tmp_path / f"{named}.yaml"
    path.write_bytes(content)
    code, _, err = command("judge", audited, f"--{named}", path)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_judging_into_the_folder_of_the_record_needs_force(command, audited, tmp_path):
    before = (audited / "audit.json").read_bytes()
    for record in (audited, audited / "audit.json"):
        code, _, err = command("judge", record, "--policy", "strict", "--out", audited)
        assert code == 2
        assert "--force" in err
    assert (audited / "audit.json").read_bytes() == before
    with pytest.raises(DataError, match="--force"):
        auditor.judge_again(audited, policy="strict", out=audited)
    copy = tmp_path / "audit.json"
    copy.write_bytes(before)
    judged = auditor.judge_again(copy, policy="strict", out=tmp_path, force=True)
    assert auditor.read_record(tmp_path) == judged
    assert judged.policy.parsed["id"] == "strict"


DECLARED = """declarations:
  - {key: %s, statement: %s, owner: {name: A. Person}, date: 2026-01-01}
"""


def test_declarations_change_without_model_or_data(audited, tmp_path):
    new = tmp_path / "declarations.yaml"
    new.write_text(DECLARED % ("not-applicable:age", "nobody is shown"))
    record = auditor.read_record(audited)
    judged = auditor.judge_again(audited, declarations=new)
    assert judged.policy == record.policy
    assert judged.declarations.text == new.read_text()
    assert [f.verdict for f in judged.findings] == [f.verdict for f in record.findings]
    asks = tmp_path / "asks.yaml"
    asks.write_text(record.policy.text.replace("limits:", "required_attributes: [age]\nlimits:"))
    without = auditor.judge_again(audited, policy=str(asks))
    declared = auditor.judge_again(audited, policy=str(asks), declarations=new)
    said = [r.verdict for j in (without, declared) for r in j.limit_results
            if r.limit["id"] == "attribute:age"]  # fmt: skip
    assert said == ["NOT_RUN", "PASS"]


def test_a_sensitive_attribute_keeps_a_basis(audited, tmp_path):
    stored = json.loads((audited / "audit.json").read_text())
    stored["spec"]["parsed"]["data"]["attributes"]["building"]["role"] = "sensitive"
    (tmp_path / "audit.json").write_text(json.dumps(stored))
    new = tmp_path / "declarations.yaml"
    new.write_text(DECLARED % ("other", "nothing"))
    with pytest.raises(SpecError, match="basis-building"):
        auditor.judge_again(tmp_path, declarations=new)
    new.write_text(DECLARED % ("basis-building", "consent of all"))
    judged = auditor.judge_again(tmp_path, declarations=new)
    assert "consent of all" in judged.dataset("test").attributes[0].basis


def test_a_run_of_one_check_or_family_says_its_number_and_the_rest_in_a_line(
    command, world, audited, tmp_path
):
    record = auditor.read_record(audited)
    assert set(record.plan.checks) == {"data/left-out", ONLY[0]}
    _, out, _ = command("judge", audited)
    lines = [line.strip() for line in out.splitlines()]
    assert any("right" in line and "images" in line for line in lines)
    assert "Not judged: 4 limits of checks that `--only` left out." in lines
    assert "better-than-guessing" not in out
    code, planned, _ = command("plan", world, "--only", "bias")
    assert code == 0
    run = planned.partition("Will run")[2].partition("Will not run")[0].split()
    assert {name.partition("/")[0] for name in run if "/" in name} == {"bias", "data"}
    code, _, err = command("plan", world, "--only", "bais")
    assert code == 2
    assert "Did you mean 'bias'?" in err


def test_the_version_and_a_record_are_short(command, audited):
    assert command("--version")[:2] == (0, f"auditor {auditor.__version__}\n")
    shown = repr(auditor.read_record(audited))
    assert shown.startswith("<AuditRecord 'Coloured rooms': ")
    assert len(shown) < 200


def test_what_is_kept_is_what_was_finished(tmp_path):
    done = Done()
    assert done.kept(tmp_path) == "Nothing was computed yet."
    done("decode and predict test", 256, 600)
    done("checks", 1, 9)
    said = f"Kept in {tmp_path / 'store'}: decode and predict test 256 of 600 images."
    assert done.kept(tmp_path).startswith(said)
