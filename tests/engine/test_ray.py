"""Sweeps under Ray: the thread pool's bytes, and what happens to workers and clusters."""

import contextlib
import dataclasses
import gc
import importlib.util
import logging
import os
import signal
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from coloured_rooms import QUICK, make_world
from ray_processes import without_address_parsers
from web_servers import cache_in

from auditor.engine import ray_runner
from auditor.engine.gather import gather, load
from auditor.engine.ray_cluster import OnRay, cluster
from auditor.engine.ray_runner import RayRunner, _Sweep
from auditor.engine.ray_worker import SweepAt
from auditor.engine.runner import Threads
from auditor.engine.store import Store
from auditor.errors import ClusterError, ModelError
from auditor.models.elsewhere import with_models
from auditor.spec.spec_file import read_spec

# Not imported here: Ray reads its environment when it is.
INSTALLED = importlib.util.find_spec("ray") is not None
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="needs the package ray: install auditor[ray]"),
    pytest.mark.slow,
    # Ray's own: sockets and files that it closes when the process ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

SIZES = (700, 300, 40)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("ray") / "rooms", sizes=SIZES)


@pytest.fixture(scope="module")
def loaded(world):
    return load(read_spec(world).spec, only=QUICK)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A cluster of this machine's own that has room for four workers."""
    first = without_address_parsers(tmp_path_factory.mktemp("first"))
    path = os.pathsep.join(filter(None, [first, os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        with cluster(OnRay(workers=4, patience=60), model_bytes=1000) as found:
            yield found
    with warnings.catch_warnings():
        # Of its processes, which have been ended, Ray does not ask how.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def hired():
    """The workers of all tests, for one takes seconds to import what it needs."""
    return []


@pytest.fixture
def on(four, hired):
    def runner(workers, *, patience=60.0):
        asked = dataclasses.replace(four.on, patience=patience)
        known = dataclasses.replace(four, workers=workers, on=asked)
        return RayRunner(known, devices=False, model_bytes=1000, _workers=hired)

    return runner


def gathered(loaded, folder, runner, *, report=lambda progress: None):
    gather(loaded, store=Store(folder), report=report, runner=runner)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".part")
    }


@pytest.fixture(scope="module")
def by_threads(loaded, tmp_path_factory):
    return gathered(loaded, tmp_path_factory.mktemp("threads"), Threads())


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_store_is_the_thread_pools_to_the_byte(on, loaded, by_threads, tmp_path, workers):
    told = []
    runner = on(workers)
    assert gathered(loaded, tmp_path, runner, report=told.append) == by_threads
    assert len(runner._workers) == min(workers, 3)
    last = {progress.stage: progress for progress in told}
    noun = "worker" if workers == 1 else "workers"
    assert f"decode and predict test on {workers} {noun}" in last
    assert all(progress.done == progress.total for progress in last.values())


def test_a_model_elsewhere_is_opened_by_the_workers(on, world, by_threads, tmp_path, monkeypatch):
    system = fsspec.filesystem("memory")
    system.pipe_file("/ray/model.onnx", (world.parent / "model.onnx").read_bytes())
    spec = world.with_name("elsewhere.yaml")
    spec.write_text(world.read_text().replace("model.onnx", "memory://ray/model.onnx"))
    with (
        cache_in(tmp_path / "copies", monkeypatch),
        with_models(read_spec(spec).spec) as own,
    ):
        # Those of other tests have the model open already.
        runner = dataclasses.replace(on(1), _workers=[])
        assert gathered(load(own, only=QUICK), tmp_path / "store", runner) == by_threads
        assert runner._workers[0].facts.sees_store
        runner.dismiss(runner._workers[0])


def end_one(runner, how, *, after=lambda: True):
    """Send a signal to the process of a worker that is about a shard."""

    def wait_and_end():
        while True:
            busy = [w for w in runner._workers if w.place is not None and w.facts is not None]
            if busy and after():
                os.kill(busy[0].facts.pid, how)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=wait_and_end, daemon=True)
    thread.start()
    return thread


def test_the_images_of_a_worker_that_is_killed_go_to_another_one(
    on, loaded, by_threads, tmp_path, caplog
):
    runner = on(2)
    killed = end_one(runner, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        assert gathered(loaded, tmp_path, runner) == by_threads
    killed.join()
    (line,) = [r.getMessage() for r in caplog.records if "ended over" in r.getMessage()]
    assert "another one takes them (attempt 2 of 3)" in line


def test_a_cluster_that_does_not_get_on_ends_the_run_in_one_sentence(
    on, loaded, by_threads, hired, tmp_path
):
    runner = on(1, patience=3)
    end_one(runner, signal.SIGSTOP)
    with pytest.raises(ClusterError, match="is stuck: for 3 s none of its 1 worker got on") as said:
        gathered(loaded, tmp_path, runner)
    assert "What was done is kept." in str(said.value)
    assert "--patience" in str(said.value)
    assert gathered(loaded, tmp_path, Threads()) == by_threads


def test_a_shard_that_ends_its_workers_ends_the_run(on, loaded, tmp_path, caplog):
    runner = on(1)
    stop = threading.Event()

    def kill_all():
        while not stop.is_set():
            for worker in list(runner._workers):
                if worker.place == 0 and worker.facts is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.facts.pid, signal.SIGKILL)
            time.sleep(0.001)

    thread = threading.Thread(target=kill_all, daemon=True)
    thread.start()
    with pytest.raises(
        ClusterError,
        match=r"3 workers ended one after the other over images test/0000\.png to test/0255\.png",
    ):
        gathered(loaded, tmp_path, runner)
    stop.set()
    thread.join()


def test_a_worker_tells_that_it_gets_on_while_it_has_a_shard(on, loaded, tmp_path, monkeypatch):
    runner, seen, moves = on(1), [], _Sweep._moves

    def looked(sweep, worker):
        moved = moves(sweep, worker)
        seen.append((worker.place, moved))
        return moved

    monkeypatch.setattr(ray_runner, "_PULSE_S", 0.01)
    monkeypatch.setattr(_Sweep, "_moves", looked)
    gathered(loaded, tmp_path, runner)
    assert (0, True) in seen


def test_what_is_wrong_with_the_model_is_said_as_without_ray(on, loaded, tmp_path):
    """An error of the audit's own comes back as itself."""
    opening = dataclasses.replace(loaded.predictor.opening, file=tmp_path / "gone.onnx")
    runner = on(1)
    worker = next(runner.hired(1))
    made = worker.actor.prepare.remote(SweepAt(Store(tmp_path), None), {"gone": opening}, None)
    sweep = _Sweep(runner, SimpleNamespace(sizes=()), lambda progress: None, stage="sweep")
    with pytest.raises(ModelError, match=r"gone\.onnx"):
        sweep._take(worker, made)


def test_nothing_listens_beyond_this_machine_and_nothing_is_sent(four):
    (node,) = four.ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert any("gcs_server" in command for _, command in commands())
    assert listening_elsewhere() == []


def listening_elsewhere():
    """Processes of Ray, or their parents', that listen on another address than the loopback."""
    own = {"0100007F", "0" * 16 + "FFFF00000100007F", "0" * 24 + "01000000"}
    sockets = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            address = words[1].split(":")[0]
            if words[3] == "0A" and address not in own:
                sockets[f"socket:[{words[9]}]"] = line
    found = []
    for process, command in commands():
        with contextlib.suppress(OSError):
            if "ray" in command.partition(" ")[0] or "/ray/" in command:
                opened = [os.readlink(fd) for fd in (process / "fd").iterdir()]
                found += [(command, one) for one in opened if one in sockets]
    return found


def commands():
    """Every process's folder under /proc with its whole command line (`ps` cuts it to a screen)."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield process, (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
