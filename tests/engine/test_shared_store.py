import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from coloured_rooms import make_world
from web_servers import s3_server

import auditor
from auditor.engine import claims
from auditor.engine.claims import claimed
from auditor.engine.store import Store
from auditor.errors import DataError, SpecError
from auditor.remote import objects
from auditor.remote.places import FolderPlace, ObjectPlace, place_at

KEY = "a" * 64


@pytest.fixture(params=["folder", "objects"])
def place(request, tmp_path):
    if request.param == "folder":
        return FolderPlace(tmp_path / "team")
    return ObjectPlace(f"memory://team-{tmp_path.name}")


def two(place, tmp_path):
    return Store(tmp_path / "one" / "store", place), Store(tmp_path / "two" / "store", place)


def test_what_one_run_stored_another_has(place, tmp_path):
    one, other = two(place, tmp_path)
    one.write_array(one.path("scores", KEY), np.arange(5))
    path = other.path("scores", KEY)
    assert not path.exists()
    assert other.holds(path)
    assert other.read_array(path).tolist() == [0, 1, 2, 3, 4]
    assert other.used() == [f"scores/{KEY}.npy"]
    stated = place.read(f"scores/{KEY}.npy.sha256").decode()
    assert stated == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {KEY}.npy\n"


def test_notes_of_a_run_stay_with_it(place, tmp_path):
    one, _ = two(place, tmp_path)
    for kind in ("last-run", "digests", "likeness", "rows", "variants", "predictions-whole"):
        one.write_array(one.path(kind, KEY), np.arange(5))
    assert place.files() == {}


def test_what_was_put_there_once_is_not_put_again(place, tmp_path, monkeypatch):
    one, other = two(place, tmp_path)
    one.write_array(one.path("scores", KEY), np.arange(5))
    monkeypatch.setattr(type(place), "put", lambda *a: pytest.fail("it is there"))
    other.write_array(other.path("scores", KEY), np.arange(5))


def test_what_a_folder_held_before_it_had_a_shared_store_is_put_there(place, tmp_path):
    alone = Store(tmp_path / "one" / "store")
    for kind in ("scores", "rows"):
        alone.write_array(alone.path(kind, KEY), np.arange(5))
    one, other = two(place, tmp_path)
    assert one.holds(one.path("rows", KEY))
    assert one.holds(one.path("scores", KEY))
    assert sorted(place.files()) == [f"scores/{KEY}.npy", f"scores/{KEY}.npy.sha256"]
    assert other.holds(other.path("scores", KEY))
    # What is there already stays as it is: a folder says nothing about what another run put there.
    place.write(f"scores/{KEY}.npy.sha256", b"another")
    assert Store(tmp_path / "one" / "store", place).holds(one.path("scores", KEY))
    assert place.read(f"scores/{KEY}.npy.sha256") == b"another"


@pytest.mark.parametrize("damage", ["cut", "no digest", "no object"])
def test_a_half_written_object_is_no_hit_and_is_mended(place, tmp_path, damage, caplog):
    one, other = two(place, tmp_path)
    one.write_array(one.path("scores", KEY), np.arange(5))
    name = f"scores/{KEY}.npy"
    whole = place.read(name)
    if damage == "cut":
        place.remove(name)
        place.write(name, whole[:-7])
    else:
        place.remove(f"{name}.sha256" if damage == "no digest" else name)
    path = other.path("scores", KEY)
    assert not other.holds(path)
    assert not path.exists()
    assert bool(caplog.records) == (damage != "no digest")
    other.write_array(path, np.arange(5))
    assert place.read(name) == whole
    assert Store(tmp_path / "three" / "store", place).holds(
        tmp_path / "three" / "store" / "scores" / f"{KEY}.npy"
    )


def test_one_file_brought_by_two_threads_is_whole(tmp_path):
    """Two names of one file: to rename the one to the other leaves both."""
    place = FolderPlace(tmp_path / "team")
    one, other = two(place, tmp_path)
    one.write_array(one.path("scores", KEY), np.arange(5))
    path = other.path("scores", KEY)
    assert other.holds(path)
    again = Store(other.folder, place)
    assert again._brought(path)
    assert Store(tmp_path / "one" / "store").holds(one.path("scores", KEY))
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_a_claim_is_waited_for_and_given_up(place):
    order = []

    def work(name):
        with claimed(place, KEY):
            order.append(f"{name} in")
            time.sleep(0.05)
            order.append(f"{name} out")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.split()[0] for a in order[::2]] == [b.split()[0] for b in order[1::2]]
    assert place.files() == {}


def test_a_claim_of_a_killed_process_is_taken_over_at_once(place):
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    mine, _, _ = claims._process().rpartition("/")
    theirs = f"{mine.rpartition('/')[0]}/{killed.pid}/{claims._began(killed.pid)}"
    assert not claims._was_killed(f"{theirs} x 0")
    killed.kill()
    killed.wait()
    place.create(f"claims/{KEY}", f"{theirs} x 0".encode())
    with claimed(place, KEY):
        assert place.read(f"claims/{KEY}").startswith(mine.encode())


def test_a_claim_from_elsewhere_that_does_not_change_is_taken_over(place, monkeypatch):
    monkeypatch.setattr(claims, "STALE_AFTER_S", 0.3)
    monkeypatch.setattr(claims, "LOOK_EVERY_S", 0.05)
    place.create(f"claims/{KEY}", b"another-machine/pid:[1]/17/99 x 0")
    with claimed(place, KEY):
        pass
    # One that is alive says so, however long it takes.
    entered = threading.Event()

    def slow():
        with claimed(place, KEY):
            entered.set()
            time.sleep(0.9)
            ended.append("slow")

    ended = []
    thread = threading.Thread(target=slow)
    thread.start()
    entered.wait()
    with claimed(place, KEY):
        ended.append("next")
    thread.join()
    assert ended == ["slow", "next"]


COUNTED = """
import sys
from pathlib import Path
from auditor.models.contained import ContainedPredictor
import auditor
seen, predict = [], ContainedPredictor.predict
def counted(self, frames, **how):
    seen.append(len(frames))
    return predict(self, frames, **how)
ContainedPredictor.predict = counted
spec, out, store = sys.argv[1:]
auditor.run(spec, out=out, store=store, only=["performance/overall"])
Path(out, "counted").write_text(str(sum(seen)))
"""


def two_runs(spec, tmp_path, store):
    """The images that each of two runs beside each other put through the model; their results."""
    outs = [tmp_path / name for name in ("a", "b")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    runs = [
        subprocess.Popen([sys.executable, "-c", COUNTED, str(spec), str(out), store],
                         env=environment)
        for out in outs
    ]  # fmt: skip
    assert [run.wait() for run in runs] == [0, 0]
    found = [json.loads((out / "audit.json").read_text()) for out in outs]
    for each in found:
        del each["digest"]
        each["provenance"] = {"inputs": each["provenance"]["inputs"]}
    return [int((out / "counted").read_text()) for out in outs], found


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("rooms") / "world", sizes=(1100, 40, 40))


def test_two_runs_at_once_on_one_store_repeat_and_corrupt_nothing(rooms, tmp_path):
    counts, found = two_runs(rooms, tmp_path, str(tmp_path / "team"))
    assert found[0] == found[1]
    # What shows a net's form is put through it once a run, apart from the sweep of 1,140 images.
    apart = auditor.run(rooms, out=tmp_path / "again", store=str(tmp_path / "team"),
                        only=["performance/overall"])  # fmt: skip
    assert apart.verdict == found[0]["verdict"]
    alone = swept_images(tmp_path / "team")
    assert sum(counts) == alone, counts
    files = FolderPlace(tmp_path / "team").files()
    assert not [n for n in files if n.startswith("claims/") or n.endswith(".part")]
    for name in (n for n in files if not n.endswith(".sha256")):
        content = (tmp_path / "team" / name).read_bytes()
        stated = (tmp_path / "team" / f"{name}.sha256").read_text().split(" ")[0]
        assert hashlib.sha256(content).hexdigest() == stated


def swept_images(team):
    """Images of the passes that the store holds."""
    return sum(len(np.load(path)) for path in team.glob("predictions/*.npy"))


def test_two_runs_at_once_on_a_store_of_s3(tmp_path, monkeypatch):
    """Shards of a tenth of a second: each is computed by one run, and had by both."""
    keys, computed = [f"{i:064x}" for i in range(6)], []
    with s3_server(monkeypatch):
        import fsspec

        fsspec.filesystem("s3").mkdir("team")
        stores = two(ObjectPlace("s3://team/store"), tmp_path)

        def run(store, order):
            for key in order:
                path = store.path("scores", key)
                with store.claimed(path):
                    if not store.holds(path):
                        time.sleep(0.1)
                        store.write_array(path, np.full(100, int(key, 16)))
                        computed.append(key)

        orders = (keys, [*keys[3:], *keys[:3]])
        runs = [
            threading.Thread(target=run, args=each) for each in zip(stores, orders, strict=True)
        ]
        for each in runs:
            each.start()
        for each in runs:
            each.join()
        names = objects.listing("s3://team/store")
    assert sorted(computed) == keys
    for store in stores:
        held = [store.read_array(store.path("scores", key)).max() for key in keys]
        assert held == list(range(6))
    assert sorted(names) == sorted(f"scores/{k}.npy{s}" for k in keys for s in ("", ".sha256"))


def test_a_store_that_takes_no_files_is_told(tmp_path, command, monkeypatch):
    with pytest.raises(SpecError, match="is on a web server, which takes no files"):
        place_at("https://host/store", named="--store")
    with pytest.raises(SpecError) as refused:
        place_at("s3://key:secret@bucket/store", named="--store")
    assert "secret" not in str(refused.value)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(DataError, match=r"cannot be read or written: .*See to its permissions"):
        Store(tmp_path / "out" / "store", FolderPlace(file)).write_array(
            tmp_path / "out" / "store" / "scores" / f"{KEY}.npy", np.arange(5)
        )
    assert Path(tmp_path / "out" / "store" / "scores" / f"{KEY}.npy").exists()
