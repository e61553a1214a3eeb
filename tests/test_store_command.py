import dataclasses
import hashlib
import json
import os
import shutil
import time

import pytest
from coloured_rooms import make_world

import auditor
from auditor.engine.used_files import key_of_record
from auditor.judging.judged_record import read_record

ONLY = ("performance/overall",)


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """Two audits of one store: of all images, and of others."""
    folder = tmp_path_factory.mktemp("team")
    for name, n in (("first", 30), ("second", 26)):
        spec = make_world(folder / name, sizes=(n, 12, 12))
        auditor.run(spec, out=folder / f"out-{name}", store=str(folder / "store"), only=ONLY)
    return folder


@pytest.fixture
def copy(team, tmp_path):
    return shutil.copytree(team, tmp_path / "team")


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def made_old(folder, days, *, kinds=("scan", "predictions", "scores", "used")):
    then = time.time() - days * 86_400
    for kind in kinds:
        for path in (folder / kind).iterdir():
            os.utime(path, (then, then))


def test_usage_says_what_is_held_and_by_whom_it_was_used(copy, command):
    code, out, _ = command("store", "--usage", copy / "store")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"{copy / 'store'}: ")
    n = len(list((copy / "store" / "predictions").glob("*.npy")))
    assert n >= 3
    assert any(line.startswith("  predictions: ") and f"in {n} files" in line for line in lines)
    assert sum(line.startswith("  used by 'Coloured rooms' of 20") for line in lines) == 2
    assert "are gone" not in out


def test_all_that_an_output_folder_holds_is_counted(copy, command):
    store = copy / "out-first" / "store"
    _, out, _ = command("store", "--usage", store)
    kinds = {line.split(":")[0].strip() for line in out.splitlines() if " in " in line}
    there = {p.name for p in store.iterdir() if p.is_dir()}
    assert "properties-whole" in there
    assert there - kinds == set()


def test_what_no_kept_record_needs_may_go_and_a_dry_run_removes_nothing(copy, command):
    store = copy / "store"
    before = names(store)
    code, out, _ = command("store", "--prune", store, "--keep-records", copy / "out-first",
                           "--dry-run")  # fmt: skip
    assert code == 0
    assert out.startswith("Would remove ")
    assert names(store) == before
    code, out, _ = command("store", "--prune", store, "--keep-records", copy / "out-first")
    assert code == 0
    assert out.startswith("Removed ")
    left = names(store)
    assert left < before
    # Asked for again, the kept audit finds all that it needs.
    shutil.rmtree(copy / "out-first" / "store")
    record = auditor.run(copy / "first" / "audit.yaml", out=copy / "again", store=str(store),
                         only=ONLY)  # fmt: skip
    assert record.verdict
    assert {n for n in names(store) - left if not n.startswith("used/")} == set()
    code, out, _ = command("store", "--usage", store)
    assert "are gone" not in out


def test_runs_of_other_checks_that_began_in_one_second_keep_notes_of_their_own(copy):
    record = read_record(copy / "out-first")
    fewer = dataclasses.replace(record.plan, checks=())
    other = dataclasses.replace(record, plan=fewer)
    assert key_of_record(other) != key_of_record(record)
    auditor.judge_again(copy / "out-first", policy="default", out=copy / "judged")
    assert key_of_record(read_record(copy / "judged")) == key_of_record(record)


def test_age_alone_and_age_with_records(copy, command):
    store = copy / "store"
    made_old(store, 40)
    command("store", "--prune", store, "--older-than", "60d")
    assert len(names(store)) == len(names(copy / "store"))
    kept = names(store)
    code, out, _ = command("store", "--prune", store, "--older-than", "30d", "--keep-records",
                           copy / "out-first", "--keep-records", copy / "out-second")  # fmt: skip
    assert code == 0
    assert names(store) == kept
    assert "Kept for the named records" in out
    command("store", "--prune", store, "--older-than", "5w")
    assert names(store) == set()


def test_an_output_folder_keeps_its_notes_and_what_is_not_of_the_store(copy, command):
    out = copy / "out-first"
    (out / "store" / "notes.txt").write_text("mine")
    (out / "store" / "scan" / "mine.txt").write_text("mine")
    made_old(out / "store", 40)
    code, said, _ = command("store", "--prune", out, "--older-than", "30d")
    assert code == 0, said
    left = names(out / "store")
    assert {name.partition("/")[0] for name in left} >= {"last-run", "digests", "notes.txt"}
    assert "scan/mine.txt" in left
    assert not any(name.startswith("predictions/") for name in left)


def test_leftovers_of_killed_runs_go_when_they_are_old(copy, command):
    store = copy / "store"
    part = store / "scan" / ".abc.npy.17-ab.part"
    claim = store / "claims" / ("b" * 64)
    claim.parent.mkdir(exist_ok=True)
    for path in (part, claim):
        path.write_bytes(b"x")
    command("store", "--prune", store, "--older-than", "30d")
    assert part.exists()
    assert claim.exists()
    for path in (part, claim):
        os.utime(path, (0, 0))
    command("store", "--prune", store, "--older-than", "900w")
    assert not part.exists()
    assert not claim.exists()
    assert list((store / "scan").iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say either --usage, what the store holds, or --prune"),
        (("--usage", "--prune"), "say either --usage"),
        (("--prune",), "--prune would remove all of the store. Say --older-than 30d, or"),
        (("--prune", "--older-than", "soon"), "found 'soon', expected a whole number of hours"),
        (("--prune", "--older-than", "-3d"), "expected a whole number of hours"),
    ],
)
def test_what_is_not_understood_removes_nothing(copy, command, arguments, says):
    before = names(copy / "store")
    code, _, err = command("store", copy / "store", *arguments)
    assert code == 2
    assert says in err
    assert names(copy / "store") == before


def test_a_record_that_the_store_does_not_know_stops_it(copy, command, tmp_path):
    spec = make_world(tmp_path / "third", sizes=(20, 10, 10))
    auditor.run(spec, out=tmp_path / "out", only=ONLY)
    before = names(copy / "store")
    code, _, err = command("store", "--prune", copy / "store", "--keep-records", tmp_path / "out")
    assert code == 2
    assert "does not say which of its files the record" in err
    assert "Nothing was removed" in err
    assert names(copy / "store") == before


def test_what_is_no_store_is_told(tmp_path, command):
    code, _, err = command("store", "--usage", tmp_path / "nowhere")
    assert (code, "is no folder" in err) == (2, True)
    (tmp_path / "photo.png").write_bytes(b"x")
    code, _, err = command("store", "--prune", tmp_path, "--older-than", "0d")
    assert (code, "holds nothing that an audit stored" in err) == (2, True)
    assert (tmp_path / "photo.png").exists()


def test_a_judged_record_keeps_what_its_audit_used(copy, command):
    auditor.judge_again(copy / "out-first", policy="default", out=copy / "judged")
    code, out, err = command("store", "--prune", copy / "store", "--keep-records",
                             copy / "judged", "--dry-run")  # fmt: skip
    assert code == 0, err
    assert "Kept for the named records" in out


@pytest.mark.parametrize("note", [b'{"title": 1, "started": 2, "files": 3}', b"[" * 99_999, b""])
def test_a_note_that_others_changed_keeps_and_loses_nothing(copy, command, note):
    store = copy / "store"
    held = json.loads(next((store / "used").glob("*.json")).read_text())
    forged = json.dumps(held | {"files": []}).encode()
    for content in (note, forged):
        for path in (store / "used").glob("*.json"):
            path.write_bytes(content)
        before = names(store)
        code, out, err = command("store", "--usage", store)
        assert (code, "used by" in out) == (0, False), err
        code, _, err = command("store", "--prune", store, "--keep-records", copy / "out-first")
        assert code == 2
        assert "or its note was changed. Nothing was removed" in " ".join(err.split())
        assert names(store) == before
    for path in (store / "used").glob("*.json"):
        path.write_bytes(note)
        digest = hashlib.sha256(note).hexdigest()
        path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
    assert command("store", "--usage", store)[0] == 0
    assert command("store", "--prune", store, "--keep-records", copy / "out-first")[0] == 2


def test_files_of_others_that_are_named_by_their_digest_are_not_of_a_store(copy, command):
    theirs = copy / "store" / "blobs" / ("c" * 64)
    theirs.parent.mkdir()
    theirs.write_bytes(b"weights")
    os.utime(theirs, (0, 0))
    code, _, err = command("store", "--prune", copy / "store", "--older-than", "1d")
    assert code == 0, err
    assert theirs.exists()
    (copy / "hub").mkdir()
    shutil.move(theirs.parent, copy / "hub" / "blobs")
    code, _, err = command("store", "--prune", copy / "hub", "--older-than", "1d")
    assert (code, "holds nothing that an audit stored" in err) == (2, True)
    assert (copy / "hub" / "blobs" / theirs.name).exists()
