"""A Ray cluster: one of this machine's own for the length of a run, or one that is there already.

Its own is bound to 127.0.0.1, asks for a token that is drawn anew, has no dashboard, sends no
usage statistics, and leaves no file behind.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from auditor.engine import node_facts as node_facts_module
from auditor.engine.node_facts import node_facts
from auditor.errors import ClusterError, MissingLibraryError, SpecError
from auditor.models.bench.machine import cgroup_folders, number_in, threads_allowed
from auditor.own_folder import own_folder

PATIENCE_S = 600.0
"""Seconds without any progress after which a cluster is taken to be stuck."""

WORKER_BYTES = 500 * 10**6
"""Memory of a worker beside what its model takes, as measured (docs/scale.md)."""

_SHARED = ("ray", "numpy", "pandas", "pyarrow", "pillow", "simplejpeg", "scipy", "onnx",
           "onnxruntime", "torch", "torchvision", "pydicom")  # fmt: skip
"""Packages whose version an answer, or a file of the store, may depend on."""

_OBJECTS = 100 * 2**20
"""Bytes for what travels between processes: paths, and a model on its way to a node."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SCHEDULER_EVENTS": "0"}
_OWN = {
    # What Ray does on a desktop system: everything listens on the loopback alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",
}
_KNOCK_S = 5.0
_TRIAL_S = 60.0
_PROBE_S = 120.0
_STARTS = 3
"""Times that a connection is tried: Ray gives a node 30 seconds to start, busy or not."""


@dataclass(frozen=True)
class OnRay:
    """Where shards are to run: at `address`, or None in a cluster of this machine's own."""

    address: str | None = None
    workers: int | None = None
    patience: float = PATIENCE_S

    @classmethod
    def of(cls, on: str, *, workers: int | None = None, patience: float = PATIENCE_S) -> OnRay:
        """From the words of a command line: ``ray`` (where RAY_ADDRESS says), ``ray://H:P``."""
        if on != "ray" and not on.startswith("ray://"):
            raise SpecError(
                f"--on: found {on!r}, expected ray (a cluster of this machine's own, or the one at "
                "RAY_ADDRESS) or ray://HOST:PORT."
            )
        if workers is not None and workers < 1:
            raise SpecError(f"--workers: found {workers}, expected 1 or more.")
        if not patience > 0:
            raise SpecError(f"--patience: found {patience:g} seconds, expected more than 0.")
        given = os.environ.get("RAY_ADDRESS", "") if on == "ray" else on
        return cls(None if given in ("", "local") else given, workers, patience)

    @property
    def told(self) -> str:
        """Which cluster, for a line."""
        return "a cluster of this machine's own" if self.address is None else f"{self.address}"


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to; `ray` is the module.

    `travels` says that its nodes may lack the files that this machine has.
    """

    ray: Any
    on: OnRay
    workers: int
    nodes: int
    gpus: float = 0.0

    @property
    def travels(self) -> bool:
        return self.on.address is not None


@contextmanager
def cluster(on: OnRay, *, model_bytes: int, paths: Sequence[str] = ()) -> Iterator[Cluster]:
    """Start or join a cluster; it is left, and one of our own ended, with the block.

    Its nodes must have what this machine has: versions, and `paths`. Raises ClusterError where
    they do not, or where nothing answers, MissingLibraryError without the package ray.
    """
    places = list(sys.path)
    try:
        if on.address is None:
            with _own(on, model_bytes) as found:
                yield found
        else:
            with _joined(on, on.address) as found:
                _require_alike(found, paths)
                yield found
    finally:
        # Ray adds packages of its own, which a record would name as installed here.
        sys.path[:] = places


def own_workers(on: OnRay, *, model_bytes: int) -> int:
    """Workers of a cluster of this machine's own: one a processor, as far as memory goes."""
    if on.workers is not None:
        return on.workers
    return max(1, min(threads_allowed(), memory_allowed() // worker_bytes(model_bytes)))


def worker_bytes(model_bytes: int) -> int:
    """Memory that a worker is reckoned with: its libraries, a session and its activations."""
    return WORKER_BYTES + 3 * model_bytes


def memory_allowed(root: Path = Path("/")) -> int:
    """Bytes that this process may have: the least of the machine's and its cgroups' limits.

    A limit that says "max" bounds nothing.
    """
    limits = [
        number_in(folder / name)
        for folder in cgroup_folders(root)
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min([float(whole), *(limit for limit in limits if limit)]))


@contextmanager
def _own(on: OnRay, model_bytes: int) -> Iterator[Cluster]:
    workers = own_workers(on, model_bytes=model_bytes)
    memory = max(memory_allowed(), workers * worker_bytes(model_bytes))
    ray = _own_ray()
    with ExitStack() as held:
        _connect(
            held,
            lambda: _started(ray, on, workers=workers, memory=memory),
            slow="timed out during startup",
        )
        gpus = float(ray.cluster_resources().get("GPU", 0))
        yield Cluster(ray, on, workers, nodes=1, gpus=gpus)


@contextmanager
def _started(ray: Any, on: OnRay, *, workers: int, memory: int) -> Iterator[None]:
    """A cluster of this machine's own in a folder that goes with it."""
    # Sockets lie in the folder, and their paths may have 107 bytes.
    with own_folder("auditor-ray-", within=Path("/tmp")) as own:
        # Ray lets every user write in the folder that it is given.
        folder = own / "ray"
        folder.mkdir()
        try:
            with _connection(
                ray, on,
                address="local", num_cpus=workers, include_dashboard=False,
                _node_ip_address="127.0.0.1", _temp_dir=str(folder),
                _memory=memory, object_store_memory=_OBJECTS,
                _plasma_directory=None if _room("/dev/shm") > 2 * _OBJECTS else str(folder),
            ):  # fmt: skip
                yield
        except ClusterError:
            _end_processes_of(folder)
            raise


def _connect(
    held: ExitStack, connection: Callable[[], AbstractContextManager[None]], *, slow: str
) -> None:
    """Enter a connection, tried again where Ray's error says `slow`: that of a busy machine."""
    for left in reversed(range(_STARTS)):
        try:
            held.enter_context(connection())
        except ClusterError as error:
            if not left or slow not in str(error):
                raise
        else:
            return


def _end_processes_of(folder: Path) -> None:
    """End what a start that failed left running: Ray forgets the processes of such a node."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in command.read_bytes():
                os.kill(int(command.parent.name), signal.SIGKILL)


@contextmanager
def _joined(on: OnRay, address: str) -> Iterator[Cluster]:
    _knock(address)
    os.environ.update(_QUIET)
    ray = _ray()
    if address.startswith("ray://"):
        _require_client()
    else:
        _try_out(on, address)
    with ExitStack() as held:
        _connect(held, lambda: _connection(ray, on, address=address), slow="Initialization failure")
        has = ray.cluster_resources()
        cpus = int(has.get("CPU", 0))
        if not cpus:
            raise ClusterError(
                f"The Ray cluster at {address} has no processor for tasks. Add a node to it."
            )
        workers = min(on.workers or cpus, cpus)
        nodes = sum(1 for node in ray.nodes() if node["Alive"])
        yield Cluster(ray, on, workers, nodes, gpus=float(has.get("GPU", 0)))


@contextmanager
def _connection(ray: Any, on: OnRay, **asked: Any) -> Iterator[None]:
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **asked)
    except Exception as error:
        # Of a node that starts too slowly Ray says so in an Exception of no other kind.
        ray.shutdown()
        raise ClusterError(_not_usable(on, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _not_usable(on: OnRay, error: Exception | str) -> str:
    said = " ".join(str(error).split())[:300].rstrip(".")
    if on.address is None:
        return (
            f"Ray could not be started on this machine: {said}. See that /tmp has room and that "
            "processes may listen on 127.0.0.1, or run the audit without --on."
        )
    return (
        f"The Ray cluster at {on.address} cannot be used: {said}. Its nodes must have this "
        f"machine's Python and ray ({version('ray')})."
    )


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingLibraryError(
            f"--on ray needs the package ray, which cannot be imported ({error}). Install "
            "auditor[ray], or run the audit without --on."
        ) from error


def _own_ray() -> Any:
    """Ray as a cluster of this machine's own needs it: it reads these variables when imported."""
    if "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token":
        raise ClusterError(
            "ray was imported by this program before, and would not keep a cluster of its own to "
            "127.0.0.1. Run `auditor run --on ray` as a command, or set RAY_ADDRESS to a cluster "
            "that runs."
        )
    os.environ.update(_QUIET | _OWN)
    # Processes that Ray starts inherit it; Ray itself would write one to the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return _ray()


def _require_client() -> None:
    try:
        importlib.import_module("grpc")
    except ImportError as error:
        raise MissingLibraryError(
            "A ray:// address needs the package grpcio, which cannot be imported. Install "
            "auditor[ray]."
        ) from error


def _knock(address: str) -> None:
    """Raise ClusterError where nobody listens at `address`; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdigit():
        raise SpecError(f"Ray's address: found {address!r}, expected ray://HOST:PORT or HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"No Ray cluster answers at {address} ({getattr(error, 'strerror', None) or error}). "
            "Start it there (`ray start --head`) or correct the address; `--on ray` without "
            "RAY_ADDRESS starts one on this machine."
        ) from error


def _try_out(on: OnRay, address: str) -> None:
    """Raise ClusterError where no connection comes about.

    Tried in a process of its own: what is no cluster, or another version's, holds up whoever joins
    it for minutes, or ends its process. (A client of ray:// gives up after half a minute.)
    """
    code = f"import ray; ray.init({address!r}, log_to_driver=False, logging_level='CRITICAL')"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_TRIAL_S
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            _not_usable(on, f"no connection came about in {_TRIAL_S:.0f} s")
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the trial ended with {done.returncode}"]
        raise ClusterError(_not_usable(on, lines[-1]))


def _require_alike(found: Cluster, paths: Sequence[str]) -> None:
    """Raise ClusterError for a node that lacks what this machine has."""
    ray = found.ray
    packages = [name for name in _SHARED if _has(name)]
    # By value: a node without this package could not import the function.
    ray.cloudpickle.register_pickle_by_value(node_facts_module)
    strategy = importlib.import_module("ray.util.scheduling_strategies")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    ask = ray.remote(num_cpus=0, max_retries=0)(node_facts)
    asked = {
        ask.options(
            scheduling_strategy=strategy.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(packages, list(paths)): node["NodeManagerAddress"]
        for node in nodes
    }
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_PROBE_S)
    if silent:
        raise ClusterError(
            f"Node {asked[silent[0]]} of the Ray cluster gave no answer in {_PROBE_S:.0f} s. See "
            "that it runs (`ray status`), or take it out of the cluster."
        )
    here = node_facts(packages, paths)
    for reference in done:
        try:
            problem = difference(here, ray.get(reference))
        except ray.exceptions.RayError as error:
            problem = f"cannot run this audit: {' '.join(str(error).split())[-300:]}"
        if problem is not None:
            raise ClusterError(f"Node {asked[reference]} {problem}")


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """What a node lacks of what this machine has, to be said after its name; None for nothing."""
    for name, mine in here.items():
        theirs = there.get(name, "")
        if theirs == mine or not mine:
            continue
        if mine == "seen":
            return (
                f"does not see {name}: make it visible there under the same path (a shared "
                "folder), for paths travel and images do not."
            )
        if name == "auditor":
            what = "another version of" if theirs else "no"
            return f"has {what} package auditor: install this one on every node."
        if not theirs:
            return (
                f"has no package {name}: install {name}=={mine} there, as on every node "
                "(auditor[ray] with constraints.txt)."
            )
        return (
            f"has {name} {theirs}, this machine has {mine}, and an answer must not depend on where "
            "it was computed: have the same version on every node."
        )
    return None


def _has(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _room(folder: str) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
