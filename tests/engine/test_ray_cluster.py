"""Which cluster is asked for, what it must have, and what is said where it has not; without Ray."""

import builtins
import os
import signal
import socket
import subprocess
import types
from pathlib import Path

import pytest
from coloured_rooms import make_world

from auditor.engine import ray_cluster
from auditor.engine.node_facts import node_facts
from auditor.engine.ray_cluster import OnRay, difference, memory_allowed, own_workers, worker_bytes
from auditor.errors import ClusterError
from auditor.models.bench.machine import threads_allowed


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("cluster") / "rooms", sizes=(60, 24, 24))


@pytest.fixture
def closed_port():
    """A port of this machine at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def said(command, world, *arguments):
    code, out, err = command("run", world, "--out", world.parent / "out", *arguments)
    assert code == 2
    assert out == ""
    return err


def test_words_that_name_no_cluster_are_refused(command, world):
    err = said(command, world, "--on", "spark")
    assert "--on: found 'spark', expected ray" in err
    assert "or ray://HOST:PORT" in err
    assert "--workers: found 0, expected 1" in said(command, world, "--on", "ray", "--workers", "0")
    assert "--patience: found 0 s" in said(command, world, "--on", "ray", "--patience", "0")
    assert "--workers goes with --on" in said(command, world, "--workers", "2")
    assert "Ray's address: found 'ray://head'" in said(command, world, "--on", "ray://head")


def test_a_cluster_that_is_not_there_is_told_at_once(command, world, closed_port, monkeypatch):
    err = said(command, world, "--on", f"ray://127.0.0.1:{closed_port}")
    assert f"No Ray cluster answers at ray://127.0.0.1:{closed_port} (Connection refused)" in err
    assert "ray start --head" in err
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    err = said(command, world, "--on", "ray")
    assert f"No Ray cluster answers at 127.0.0.1:{closed_port}" in err


def test_without_the_package_it_says_what_to_install(command, world, monkeypatch):
    real = ray_cluster.importlib.import_module

    def without_ray(name, *more):
        if name == "ray":
            raise ImportError("No module named 'ray'")
        return real(name, *more)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_cluster.importlib, "import_module", without_ray)
    monkeypatch.setattr(ray_cluster.sys, "modules", {**ray_cluster.sys.modules, "ray": None})
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    err = said(command, world, "--on", "ray")
    assert "needs the package ray" in err
    assert "Install auditor[ray], or run the audit without --on." in err


def test_ray_that_was_imported_before_is_told(command, world, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setitem(ray_cluster.sys.modules, "ray", builtins)
    assert "ray was imported by this program before" in said(command, world, "--on", "ray")


def stand_in_for_ray(monkeypatch, init):
    ray = types.SimpleNamespace(init=init, shutdown=lambda: None, cluster_resources=dict)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_cluster, "_own_ray", lambda: ray)


def test_a_start_that_fails_is_one_sentence(command, world, monkeypatch):
    def init(**asked):
        raise Exception("The current node timed out during startup.")

    stand_in_for_ray(monkeypatch, init)
    err = said(command, world, "--on", "ray")
    assert "Ray could not be started on this machine: The current node timed out" in err
    assert "or run the audit without --on." in err


def test_a_node_that_was_slow_to_start_is_started_again(monkeypatch):
    """What the first start left running is ended, and its folder is removed."""
    folders, left = [], []

    def init(*, _temp_dir, **asked):
        folders.append(Path(_temp_dir))
        if len(folders) == 1:
            words = ["sh", "-c", "echo; sleep 60; true", _temp_dir]
            left.append(subprocess.Popen(words, stdout=subprocess.PIPE))
            # Until it speaks the system may not know its command line yet.
            left[0].stdout.read(1)
            raise Exception("The current node timed out during startup.")

    stand_in_for_ray(monkeypatch, init)
    with ray_cluster.cluster(OnRay(workers=2), model_bytes=1) as found:
        assert found.workers == 2
        with left[0]:
            assert left[0].wait(timeout=10) == -signal.SIGKILL
    assert len(set(folders)) == 2
    assert not any(folder.exists() for folder in folders)


def test_a_start_that_fails_otherwise_is_not_tried_again(monkeypatch):
    starts = []

    def init(**asked):
        starts.append(asked)
        raise Exception("No space left on device")

    stand_in_for_ray(monkeypatch, init)
    with (
        pytest.raises(ClusterError, match="No space left"),
        ray_cluster.cluster(OnRay(workers=2), model_bytes=1),
    ):
        pass
    assert len(starts) == 1


def test_a_node_that_was_slow_to_serve_is_asked_again(monkeypatch):
    asked = []

    def init(**given):
        asked.append(given["address"])
        if len(asked) == 1:
            raise ConnectionAbortedError("Initialization failure from server: timed out")

    ray = types.SimpleNamespace(
        init=init, shutdown=lambda: None, cluster_resources=lambda: {"CPU": 2.0},
        nodes=lambda: [{"Alive": True}],
    )  # fmt: skip
    monkeypatch.setattr(ray_cluster, "_knock", lambda address: None)
    monkeypatch.setattr(ray_cluster, "_require_client", lambda: None)
    monkeypatch.setattr(ray_cluster, "_ray", lambda: ray)
    with ray_cluster._joined(OnRay(address="ray://head:1"), "ray://head:1") as found:
        assert (found.workers, found.nodes) == (2, 1)
    assert asked == ["ray://head:1"] * 2


def test_ray_address_names_the_cluster_of_plain_ray(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.1.2.3:6379")
    assert OnRay.of("ray").address == "10.1.2.3:6379"
    assert OnRay.of("ray://head:10001").address == "ray://head:10001"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert OnRay.of("ray").address is None


HERE = {"Python": "3.11.7", "numpy": "2.4.6", "auditor": "a" * 64, "/data/a.png": "seen",
        "/nowhere.png": ""}  # fmt: skip


def test_a_node_that_has_the_same_is_taken():
    assert difference(HERE, dict(HERE)) is None
    assert difference(HERE, HERE | {"/nowhere.png": "seen"}) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"numpy": ""}, "has no package numpy: install numpy==2.4.6 there"),
        ({"numpy": "2.3.0"}, "has numpy 2.3.0, this machine has 2.4.6, and an answer must not"),
        ({"Python": "3.12.1"}, "has Python 3.12.1, this machine has 3.11.7"),
        ({"auditor": ""}, "has no package auditor: install this one on every node."),
        ({"auditor": "b" * 64}, "has another version of package auditor"),
        ({"/data/a.png": ""}, "does not see /data/a.png: make it visible there under the same"),
    ],
)
def test_what_a_node_lacks_is_one_sentence(change, sentence):
    assert difference(HERE, HERE | change).startswith(sentence)


def test_a_node_tells_versions_and_what_it_sees(tmp_path):
    found = node_facts(["numpy", "no-such-package"], [str(tmp_path), str(tmp_path / "no")])
    assert found["numpy"][0].isdigit()
    assert found["no-such-package"] == ""
    assert found[str(tmp_path)] == "seen"
    assert found[str(tmp_path / "no")] == ""
    assert found["auditor"] == "there"
    assert len(node_facts(["numpy"], [])["auditor"]) == 64


@pytest.mark.parametrize(("text", "bounded"), [("max", False), ("1500000000", True)])
def test_memory_is_what_the_cgroup_allows(tmp_path, text, bounded):
    inner = tmp_path / "sys/fs/cgroup/pod/box"
    inner.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod/box\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text(f"{text}\n")
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory_allowed(tmp_path) == (1_500_000_000 if bounded else whole)


def test_workers_are_as_many_as_processors_and_memory_allow(monkeypatch):
    assert own_workers(OnRay(), model_bytes=10**6) <= threads_allowed()
    assert own_workers(OnRay(workers=7), model_bytes=10**6) == 7
    each = worker_bytes(10**9)
    monkeypatch.setattr(ray_cluster, "threads_allowed", lambda: 64)
    monkeypatch.setattr(ray_cluster, "memory_allowed", lambda: 3 * each + 1)
    assert own_workers(OnRay(), model_bytes=10**9) == 3
    monkeypatch.setattr(ray_cluster, "memory_allowed", lambda: 1)
    assert own_workers(OnRay(), model_bytes=10**9) == 1


def test_a_plan_says_workers_shards_time_and_cost(command, world, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, out, _ = command("plan", world, "--on", "ray", "--workers", "3")
    assert code == 0
    line = out.strip().splitlines()[-1]
    assert line.startswith(
        "On Ray (a cluster of this machine's own): 3 workers on 1 node; 3 shards"
    )
    assert "CPU-seconds per 1,000 images" in line
