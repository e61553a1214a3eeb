"""An audit in a Ray cluster that runs already, and nodes that have not what this machine has."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from coloured_rooms import make_world
from ray_processes import without_address_parsers

import auditor
from auditor.judging.judged_record import read_record
from auditor.judging.volatile import volatile_free

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None or importlib.util.find_spec("grpc") is None,
        reason="needs the packages ray and grpcio: install auditor[ray]",
    ),
]
PACKAGE = Path(auditor.__file__).parent
ONLY = ("performance/overall", "bias/subgroup-gap")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("joined") / "rooms", sizes=(300, 24, 24))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The folder in which a node finds its `auditor`."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return without_address_parsers(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def environment(node, first):
    """Of a cluster and its clients."""
    own = {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
           "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}  # fmt: skip
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    return kept | own | {"PYTHONPATH": os.pathsep.join([first, str(node)])}


@pytest.fixture(scope="module")
def head(environment, node):
    """The address of a cluster of one node, which finds its `auditor` on PYTHONPATH."""
    (node / "auditor").symlink_to(PACKAGE)
    # Ray gives a node 30 seconds, which a busy machine may not keep.
    for number in range(3):
        temporary = Path("/tmp") / f"ray-joined-{os.getpid()}-{number}"
        ports = free_ports(2)
        with (node / "log").open("w") as log:
            started = subprocess.Popen(
                head_command(ports, temporary), env=environment, cwd=node, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            if is_up(started, ports[1]):
                yield f"ray://127.0.0.1:{ports[1]}"
                return
        finally:
            ended(started)
            shutil.rmtree(temporary, ignore_errors=True)
    raise AssertionError((node / "log").read_text())


def head_command(ports, temporary):
    return [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=2",
            f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}",
            "--include-dashboard=false", "--node-ip-address=127.0.0.1",
            f"--temp-dir={temporary}", "--block", "--object-store-memory=100000000",
            "--disable-usage-stats"]  # fmt: skip


def is_up(process, port):
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if answers(port):
            return True
        time.sleep(0.2)
    return False


def ended(process):
    """End the head and what it started: the head does that itself where it is up."""
    process.terminate()
    try:
        process.wait(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def free_ports(n):
    # Below the ports that Ray gives to its workers.
    candidates = range(7100 + os.getpid() % 1000, 9900)
    return [port for port in candidates[: 10 * n] if not answers(port)][:n]


def answers(port):
    with socket.socket() as held:
        return held.connect_ex(("127.0.0.1", port)) == 0


def run(world, out, environment, *arguments):
    """`auditor run` as a process of its own, of this working tree whatever a node has."""
    command = [sys.executable, "-m", "auditor.cli", "run", str(world), "--out", str(out)]
    only = [word for name in ONLY for word in ("--only", name)]
    first = environment["PYTHONPATH"].partition(os.pathsep)[0]
    path = os.pathsep.join([first, str(PACKAGE.parent)])
    return subprocess.run(
        [*command, *only, *arguments], capture_output=True, text=True, cwd=PACKAGE.parent,
        env=environment | {"PYTHONPATH": path}, timeout=300,
    )  # fmt: skip


def test_the_record_is_that_of_a_run_on_this_machine(world, head, environment, tmp_path):
    auditor.run(world, out=tmp_path / "here", only=ONLY)
    done = run(world, tmp_path / "there", environment, "--on", head)
    assert done.returncode == 3, done.stderr
    assert "decode and predict test on 2 workers: 300/300" in done.stderr
    here, there = (read_record(tmp_path / name / "audit.json") for name in ("here", "there"))
    assert volatile_free(here) == volatile_free(there)


def test_nodes_with_another_version_are_told(world, head, environment, node, tmp_path):
    (node / "auditor").unlink()
    (node / "auditor/engine").mkdir(parents=True)
    (node / "auditor/__init__.py").touch()
    (node / "auditor/engine/footprint.py").write_text("def code_digest():\n    return 'old'\n")
    done = run(world, tmp_path / "out", environment, "--on", head)
    assert done.returncode == 2
    assert "Node 127.0.0.1 has another version of package auditor" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out/audit.json").exists()
