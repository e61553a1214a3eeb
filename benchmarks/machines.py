"""Audits through a Ray cluster of two machines that a third one asks, each a part of this machine.

    python benchmarks/machines.py --folder FOLDER        # as root, on Linux

Each machine has a network of its own (an address on a bridge), processes, host name, /tmp and
/dev/shm of its own; FOLDER is what they share. Shown, and compared with an audit by threads:

- same: record and store are those of the audit by threads;
- lost: one machine goes down in the middle, and another one takes what it had;
- blind: one machine loses sight of the images in the middle;
- unseen: one machine does not see them from the beginning;
- older: one machine has another auditor.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scale_rows import make_world

BRIDGE = "auditor0"
ADDRESSES = {"head": "10.77.0.1", "second": "10.77.0.2", "driver": "10.77.0.3"}
CHECKS = ("performance/overall", "bias/subgroup-gap", "data/duplicates", "shift/embeddings")
SHARED_KINDS = ("scan", "frames", "predictions", "embeddings", "scores")
UP_S = 180.0
RAY = {"RAY_USAGE_STATS_ENABLED": "0",
       "RAY_AUTH_MODE": "disabled", "RAY_SCHEDULER_EVENTS": "0"}  # fmt: skip
"""Without a token: nobody but these machines is on their network."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network() -> Iterator[None]:
    """A bridge with a cable to each machine."""
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    try:
        for name, address in ADDRESSES.items():
            ip("netns", "add", name)
            ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}0", "master", BRIDGE, "up")
            for words in (["addr", "add", f"{address}/24", "dev", "eth0"],
                          ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):  # fmt: skip
                ip("-n", name, *words)
        yield
    finally:
        for name in ADDRESSES:
            subprocess.run(["ip", "netns", "del", name], check=False)
        ip("link", "del", BRIDGE)


def on(machine: str, command: str, *, before: str = "", **asked: object) -> subprocess.Popen[str]:
    """Start a command on a machine; `before` is done first, in its own view of the files."""
    view = ("mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && "
            f"hostname {machine} && {before or 'true'} && exec {command}")  # fmt: skip
    apart = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.Popen(
        ["ip", "netns", "exec", machine, *apart, "sh", "-c", view], text=True,
        start_new_session=True, **asked,  # type: ignore[call-overload]
    )  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A machine that runs a node of the cluster."""

    process: subprocess.Popen[str]

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def lose(self, folder: Path) -> None:
        """Have a folder look empty from now on."""
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        inside = ["nsenter", "--target", own[0], "--mount"]
        subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)


@contextmanager
def cluster(folder: Path, *, before: str = "", path: str = "") -> Iterator[Machine]:
    """A cluster of two machines with a processor each; the second one is yielded.

    `before` is done on the second one, which has `path` in front of its PYTHONPATH.
    """
    start = f"{sys.executable} -m ray.scripts.scripts start --block --num-cpus=1"
    start += " --disable-usage-stats --object-store-memory=100000000"
    wide = os.environ | RAY
    paths = os.pathsep.join(part for part in (path, wide.get("PYTHONPATH", "")) if part)
    with ExitStack() as held, (folder / "machines.log").open("w") as log:

        def up(machine: str, words: str, *, done: str = "", path: str = "") -> Machine:
            command = f"{start} --node-ip-address={ADDRESSES[machine]} {words}"
            env = wide | ({"PYTHONPATH": path} if path else {})
            found = Machine(on(machine, command, before=done, env=env, stdout=log, stderr=log))
            held.callback(found.end)
            return found

        up("head", "--head --port=6379 --ray-client-server-port=10001 --include-dashboard=false")
        _until(lambda: _alive() >= 1)
        second = up("second", f"--address={ADDRESSES['head']}:6379", done=before, path=paths)
        _until(lambda: _alive() >= 2)
        yield second


def _alive() -> int:
    """Machines that the cluster has, as the head tells them; 0 while it does not answer."""
    asked = (f"import ray; ray.init('ray://{ADDRESSES['head']}:10001', log_to_driver=False); "
             "print(sum(n['Alive'] for n in ray.nodes()))")  # fmt: skip
    process = on("driver", f'{sys.executable} -c "{asked}"', env=os.environ | RAY,
                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    said, _ = process.communicate(timeout=UP_S)
    return int(said) if said.strip().isdigit() else 0


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + UP_S
    while not is_so():
        assert time.monotonic() < end, "no machine, or no shard, in time: see machines.log"
        time.sleep(0.5)


def audit(spec: Path, out: Path, *, meanwhile: Callable[[], None] | None = None) -> tuple[int, str]:
    """`auditor run` on the third machine, through the cluster: its exit code and what it said.

    `meanwhile` is done when a few shards are there.
    """
    only = " ".join(f"--only {name}" for name in CHECKS)
    asked = f"run {spec} --out {out} {only} --on ray://{ADDRESSES['head']}:10001"
    process = on("driver", f"{sys.executable} -m auditor {asked}", env=os.environ | RAY,
                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    if meanwhile is not None:
        _until(lambda: len(list((out / "store" / "scan").glob("*.parquet"))) >= 5)
        meanwhile()
    _, said = process.communicate()
    return process.returncode, said


def same(one: Path, other: Path) -> str:
    from auditor.judging.judged_record import read_record
    from auditor.judging.volatile import volatile_free

    records = [volatile_free(read_record(out / "audit.json")) for out in (one, other)]
    stores = [_files(out / "store") for out in (one, other)]
    alike = records[0] == records[1], stores[0] == stores[1]
    told = ["the same" if is_so else "NOT THE SAME" for is_so in alike]
    return f"record {told[0]}, {len(stores[0])} files of the store {told[1]}"


def _files(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in SHARED_KINDS
        for path in sorted((store / kind).glob("*"))
    }


def last_line(said: str) -> str:
    return ([line for line in said.splitlines() if line.strip()] or ["(nothing)"])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="what all machines see")
    parser.add_argument("--images", type=int, default=20_000)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    assert not str(folder).startswith(("/tmp/", "/dev/shm/")), "each machine has a /tmp of its own"
    spec = folder / "world" / "audit.yaml"
    if not spec.is_file():
        make_world(spec.parent, asked.images)
    only = [word for name in CHECKS for word in ("--only", name)]
    here = [sys.executable, "-m", "auditor", "run", str(spec), "--out", str(folder / "here")]
    subprocess.run([*here, *only], check=False, stdout=subprocess.DEVNULL)

    with network():
        with cluster(folder):
            code, _ = audit(spec, folder / "same")
        print(f"same: exit {code}; {same(folder / 'here', folder / 'same')}", flush=True)

        with cluster(folder) as second:
            code, said = audit(spec, folder / "lost", meanwhile=second.end)
        print(f"lost: exit {code}; {same(folder / 'here', folder / 'lost')}")
        lines = [line for line in said.splitlines() if "orker" in line and "ended" in line]
        print("\n".join(f"  {line}" for line in lines), flush=True)

        with cluster(folder) as second:
            blind = partial(second.lose, spec.parent)
            code, said = audit(spec, folder / "blind", meanwhile=blind)
        print(f"blind: exit {code}; {last_line(said)}", flush=True)

        with cluster(folder, before=f"mount -t tmpfs tmpfs {spec.parent}"):
            code, said = audit(spec, folder / "unseen")
        print(f"unseen: exit {code}; {last_line(said)}", flush=True)

        older = folder / "older" / "auditor" / "engine"
        older.mkdir(parents=True, exist_ok=True)
        (older.parent / "__init__.py").touch()
        (older / "__init__.py").touch()
        (older / "footprint.py").write_text("def code_digest():\n    return 'older'\n")
        with cluster(folder, path=str(older.parent.parent)):
            code, said = audit(spec, folder / "other")
        print(f"older: exit {code}; {last_line(said)}")


if __name__ == "__main__":
    main()
