"""A run that is asked for again: its record is kept where nothing changed, and never else."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from coloured_rooms import make_world

import auditor
from auditor.engine import footprint as footprint_module
from auditor.engine import kept as kept_module
from auditor.engine import run as run_module
from auditor.engine.footprint import Footprint
from auditor.engine.kept import Asked, kept_run, note_run
from auditor.engine.named_files import can_be_kept, judged_until, untimed

ONLY = ("performance/overall",)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    spec = make_world(tmp_path_factory.mktemp("kept") / "world", sizes=(24, 12, 12))
    text = spec.read_text(encoding="utf-8").replace("[red, blue]", "classes.txt")
    spec.write_text(f"{text}declarations: declarations.yaml\n", encoding="utf-8")
    spec.with_name("classes.txt").write_text("red\nblue\n", encoding="utf-8")
    spec.with_name("declarations.yaml").write_text(DECLARED, encoding="utf-8")
    base = spec.with_name("policy.yaml")
    base.rename(spec.with_name("base.yaml"))
    base.write_text(EXTENDING, encoding="utf-8")
    return spec


DECLARED = """
declarations:
  - key: oversight
    statement: A person looks at each answer.
    owner: {name: A. Person, role: head of the office}
    date: 2026-01-05
"""
EXTENDING = """
schema: auditor/policy/v1
id: extended
version: "1"
owner: {name: a test}
extends: base.yaml
"""


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """Code and machine are the same throughout."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("code_digest", "machine_digest"):
            patch.setattr(footprint_module, name, functools.cache(getattr(footprint_module, name)))
        yield


@pytest.fixture(scope="module")
def audited(world):
    # Beside the images, as most have it.
    out = world.parent / "audit-out"
    return auditor.run(world, out=out, only=ONLY), out


def asked_for(world, **changes):
    return Asked.of(world, **{"only": ONLY, "policy": None, "trust_code": False} | changes)


def test_where_nothing_changed_the_record_is_kept_and_nothing_is_computed(
    world, audited, monkeypatch
):
    record, out = audited
    monkeypatch.setattr(run_module, "audit_into", lambda *a, **k: pytest.fail("it measures"))
    before = (out / "audit.json").read_bytes()
    assert auditor.run(world, out=out, only=ONLY) == record
    assert (out / "audit.json").read_bytes() == before


def flip(path):
    """One byte is changed; size and times are what they were."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)


INPUTS = ("audit.yaml", "policy.yaml", "base.yaml", "declarations.yaml", "model.onnx",
          "classes.txt", "test.csv", "train.csv", "deployment/0003.png")  # fmt: skip
OUTPUTS = ("audit-out/audit.json", "audit-out/tables/*.csv", "audit-out/store/last-run/*.json")


@pytest.mark.parametrize("name", INPUTS + OUTPUTS)
@pytest.mark.parametrize("harm", [flip, os.unlink], ids=["changed", "gone"])
def test_what_was_changed_or_is_gone_is_seen_whatever_its_times_say(world, audited, name, harm):
    _, out = audited
    path = sorted(world.parent.glob(name))[0]
    content = path.read_bytes()
    assert kept_run(out, asked_for(world)) is not None
    try:
        harm(path)
        assert kept_run(out, asked_for(world)) is None
    finally:
        path.write_bytes(content)
    assert kept_run(out, asked_for(world)) is not None


@pytest.mark.parametrize("name", ["test/0099.png", "config.json", "deployment/notes.txt"])
def test_a_file_that_was_not_there_is_seen(world, audited, name):
    _, out = audited
    path = world.parent / name
    try:
        path.write_text("{}", encoding="utf-8")
        assert kept_run(out, asked_for(world)) is None
    finally:
        path.unlink()
    assert kept_run(out, asked_for(world)) is not None


def test_a_file_that_became_a_pipe_does_not_hold_it_up(world, audited):
    _, out = audited
    path = world.parent / "test.csv"
    content = path.read_bytes()
    try:
        path.unlink()
        os.mkfifo(path)
        assert kept_run(out, asked_for(world)) is None
    finally:
        path.unlink()
        path.write_bytes(content)


def test_what_is_asked_for_otherwise_is_another_run(world, audited):
    _, out = audited
    for change in ({"only": ("performance/baseline",)}, {"policy": "strict"}, {"trust_code": True}):
        assert kept_run(out, asked_for(world, **change)) is None
    assert kept_run(out, asked_for(os.path.relpath(world))) is not None


@pytest.mark.parametrize("name", ["code_digest", "machine_digest"])
def test_another_version_or_machine_measures_anew(world, audited, monkeypatch, name):
    _, out = audited
    monkeypatch.setattr(footprint_module, name, lambda: "another")
    assert kept_run(out, asked_for(world)) is None


def test_code_and_machine_are_told_apart_by_what_they_are_made_of(tmp_path, monkeypatch):
    for name in ("code_digest", "machine_digest"):
        monkeypatch.setattr(footprint_module, name, getattr(footprint_module, name).__wrapped__)
    code, machine = footprint_module.code_digest(), footprint_module.machine_digest()
    assert (code, machine) == (footprint_module.code_digest(), footprint_module.machine_digest())
    (tmp_path / "some_package-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert footprint_module.machine_digest() != machine
    (tmp_path / "check.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(footprint_module, "_PACKAGE", tmp_path)
    assert footprint_module.code_digest() != code


def test_on_the_day_on_which_something_expires_it_is_judged_anew(tmp_path):
    asked = Asked("/a.yaml", (), None, False)
    print_ = Footprint.of([], folders=[], apart=tmp_path)
    today = datetime.now(UTC).date()
    for until, kept in ((None, True), (date(2999, 1, 1), True), (today, False)):
        note_run(tmp_path, asked, footprint=print_, started="", until=until, written=[])
        assert (kept_run(tmp_path, asked) is not None) is kept


def test_the_first_day_from_that_of_the_run_counts(audited):
    record, _ = audited
    dated = {"waivers": [{"issued": "2026-01-02", "expires": "2027-03-04"}], "note": "2026-13"}
    started = dataclasses.replace(record.provenance, started="2026-06-01T10:00:00+00:00")
    policy = dataclasses.replace(record.policy, parsed=dated)
    declared = dataclasses.replace(record.policy, parsed={"expires": "2027-03-03", "from": None})
    some = dataclasses.replace(record, provenance=started, policy=policy, declarations=None)
    assert judged_until(some) == date(2027, 3, 4)
    assert judged_until(dataclasses.replace(some, declarations=declared)) == date(2027, 3, 3)
    undated = dataclasses.replace(policy, parsed={})
    assert judged_until(dataclasses.replace(some, policy=undated)) is None


def test_a_run_is_kept_only_where_all_that_it_read_is_known(audited, world):
    record, out = audited
    spec = run_module.read_spec(world).spec
    print_ = kept_run(out, asked_for(world)).footprint
    assert can_be_kept(record, spec, print_)
    author = dataclasses.replace(record.provenance, trusted_code=True)
    assert not can_be_kept(dataclasses.replace(record, provenance=author), spec, print_)
    in_parts = dataclasses.replace(record.model, digest="0" * 64)
    assert not can_be_kept(dataclasses.replace(record, model=in_parts), spec, print_)


def test_a_file_of_gigabytes_is_not_hashed_and_the_run_not_kept(tmp_path):
    large = tmp_path / "classes.txt"
    large.touch()
    os.truncate(large, footprint_module.LARGEST + 1)
    found = Footprint.of([large], folders=(), apart=tmp_path)
    assert not found.whole
    assert found.digest(large) == ""


def test_the_notice_says_that_a_timing_could_not_be_taken(audited, world, tmp_path):
    record, out = audited
    assert not untimed(record)
    assert "could not" not in kept_run(out, asked_for(world)).notice
    busy = SimpleNamespace(unmeasured=(SimpleNamespace(volatile=True),))
    assert untimed(SimpleNamespace(results=(busy,)))
    note_run(
        tmp_path, asked_for(world), footprint=Footprint.of([], folders=[], apart=tmp_path),
        started="2026-11-29T14:02:03+00:00", until=None, untimed=True, written=[],
    )  # fmt: skip
    assert kept_run(tmp_path, asked_for(world)).notice == (
        "Nothing has changed since 2026-11-29 14:02 UTC, when this audit was run: its record is "
        "kept, timings included. A timing could not be taken then. --again measures anew."
    )


def test_the_command_line_says_so_renders_what_is_gone_and_measures_when_told(
    world, tmp_path, command, monkeypatch
):
    given = ("run", str(world), "--out", str(tmp_path), "--only", *ONLY, "--quiet")
    code, first, _ = command(*given)
    report = tmp_path / "report.html"
    whole, written = report.read_bytes(), (tmp_path / "audit.json").read_bytes()
    measured = []
    audit = run_module.audit_into
    monkeypatch.setattr(
        run_module, "audit_into", lambda *a, **k: measured.append(1) or audit(*a, **k)
    )
    again = command(*given)
    started = json.loads(written)["provenance"]["started"]
    notice = f"Nothing has changed since {started[:10]} {started[11:16]} UTC"
    assert again[0] == code
    assert again[1].startswith(notice)
    assert again[1].endswith(first.lstrip("\n"))
    report.write_bytes(whole + b" ")
    assert command(*given)[1].startswith(notice)
    assert report.read_bytes() == whole
    assert (tmp_path / "audit.json").read_bytes() == written
    assert measured == []
    assert "Nothing has changed" not in command(*given, "--again")[1]
    assert measured == [1]


def test_it_is_looked_at_without_the_libraries_of_a_run(world, audited):
    _, out = audited
    look = (
        "import sys\nfrom pathlib import Path\nfrom auditor.engine.kept import Asked, kept_run\n"
        f"asked = Asked.of({str(world)!r}, only={ONLY!r}, policy=None, trust_code=False)\n"
        f"assert kept_run(Path({str(out)!r}), asked) is not None\n"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'PIL', 'pyarrow') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_note_that_cannot_be_read_is_no_note(tmp_path):
    asked = Asked("/a.yaml", (), None, False)
    store, path = kept_module._place(tmp_path, asked)
    with store.writing(path) as temporary:
        temporary.write_text('{"asked": 3}', encoding="utf-8")
    assert kept_run(tmp_path, asked) is None
