"""What it costs to go beyond one machine; ratios in one run.

    python benchmarks/scale.py [--only ray resume] [--images 1024] [--rounds 2] [--overhead 20000]

`ray`: a sweep of photos (decode, describe, predict, score) by this machine's threads and by Ray's
workers, each in a process of its own whose descendants are all counted:

- two workers against one, through a resnet18, wall time from the first shard to the last (aim: at
  least 1.7x);
- CPU seconds of everything under Ray, its start included, against the thread pool's, through a net
  of two layers (aim: at most 8% more at 20,000 images);
- memory of a worker, for `WORKER_BYTES`; and what a model of many machines is made of: bytes of a
  shard's task, CPU of the driver and bytes of the store a shard, decode and inference an image.

`resume`: the sweep of `--overhead` images with threads, killed when nine tenths of its store are
there, and started again: its CPU seconds against those of the sweep that nobody killed (aim: at
most 12% of them, start included).

`docs/scale.md` tells what was measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweep import dataset_of, export_resnet18, export_tiny, photos, spec_for

CLASSES = tuple("abcdefghij")
SIDES = {"resnet18": 224, "tiny": 64}


def one_sweep(
    how: str, workers: int, images: int, model: Path, folder: Path, name: str
) -> dict[str, float]:
    """A sweep in this process: seconds from its first shard to its last, CPU of this process."""
    from auditor.contract import AS_GIVEN, Pass
    from auditor.engine.ray_cluster import OnRay, cluster
    from auditor.engine.ray_runner import RayRunner
    from auditor.engine.runner import Threads
    from auditor.engine.store import Store
    from auditor.engine.sweep import sweep_split
    from auditor.models.load import load_model

    spec = spec_for(model, SIDES[model.stem])
    predictor = load_model(spec, classes=CLASSES)
    sources = photos(folder, 100)
    dataset = dataset_of([sources[i % len(sources)] for i in range(images)])
    found: dict[str, float] = {}
    clocks: list[float] = []

    def swept(runner: object, store: Store) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        sweep_split(
            dataset, [Pass("test")], spec=spec, store=store, predictors={AS_GIVEN: predictor},
            keep_frames=False, report=lambda p: clocks.append(time.perf_counter()), runner=runner,
        )  # fmt: skip
        found["wall"] = time.perf_counter() - start
        found["driver_cpu"] = time.process_time() - cpu
        # While all of them live: Ray reaps its workers, and no parent would be told what they took.
        found["cpu"] = time.process_time() + sum(map(cpu_of, descendants(os.getpid())))

    store = Store(folder / name)
    if how == "threads":
        swept(Threads(workers), store)
    else:
        began = time.perf_counter()
        with cluster(OnRay(workers=workers), model_bytes=model.stat().st_size) as held:
            found["start"] = time.perf_counter() - began
            runner = RayRunner(held, devices=False, model_bytes=model.stat().st_size)
            # The workers have imported what they need before the clock of the sweep runs.
            held.ray.get([w.actor.pulse.remote() for w in runner.hired(workers)])
            swept(runner, store)
            pids = [worker.facts.pid for worker in runner._workers if worker.facts]
            found["worker_mb"] = max(map(memory_of, pids))
    found["store_bytes"] = bytes_of(store.folder) / images
    return found


def bytes_of(folder: Path) -> int:
    """Bytes of the files below a folder, which may come and go."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def memory_of(pid: int) -> float:
    """Private and shared memory of a process and its descendants, MB (proportional set size)."""
    total = 0.0
    for process in (pid, *descendants(pid)):
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
        total += float(text.split("Pss:")[1].split()[0]) / 1024
    return total


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of those of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for each in map(int, child.read_text().split()):
            found += [each, *descendants(each)]
    return found


def command(how: str, workers: int, images: int, model: Path, folder: Path, name: str) -> list[str]:
    asked = [how, str(workers), str(images), str(model), str(folder), name]
    return [sys.executable, __file__, "--one", *asked]


def measured(
    how: str, workers: int, images: int, model: Path, folder: Path, name: str | None = None
) -> dict[str, float]:
    """`one_sweep` in a process of its own, whose descendants' CPU seconds count too."""
    name = name or f"{how}-{workers}-{time.monotonic_ns()}"
    done = subprocess.run(
        command(how, workers, images, model, folder, name),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def resume(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, images = Path(place), given.overhead or 20_000
        model = export_tiny(folder / "tiny.onnx")
        whole = measured("threads", 2, images, model, folder)
        store = folder / "killed"
        running = subprocess.Popen(
            command("threads", 2, images, model, folder, store.name), start_new_session=True
        )
        while running.poll() is None and bytes_of(store) < 0.9 * images * whole["store_bytes"]:
            time.sleep(0.05)
        if running.poll() is not None:
            raise SystemExit("the sweep ended before it was killed: ask for more images")
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        kept = bytes_of(store) / (images * whole["store_bytes"])
        again = measured("threads", 2, images, model, folder, store.name)
        print(f"killed at {kept:.1%} of the store: the second run took {again['cpu']:.1f} CPU s, "
              f"{again['cpu'] / whole['cpu']:.1%} of {whole['cpu']:.1f} (aim 12%)")  # fmt: skip


def ray(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = export_resnet18(folder / "resnet18.onnx")
        settings = [("threads", 1), ("threads", 2), ("ray", 1), ("ray", 2)]
        found: dict[tuple[str, int], list[dict[str, float]]] = {s: [] for s in settings}
        for _ in range(given.rounds):
            for setting in settings:
                found[setting].append(measured(*setting, given.images, model, folder))
                print(setting, found[setting][-1], flush=True)
        walls = {s: [one["wall"] for one in found[s]] for s in settings}
        for how in ("threads", "ray"):
            ratios = [a / b for a, b in zip(walls[how, 1], walls[how, 2], strict=True)]
            told = ", ".join(f"{r:.2f}" for r in ratios)
            print(f"{how}: two against one {statistics.median(ratios):.2f}x ({told}; aim 1.7)")
        print(f"memory of a worker: {max(o['worker_mb'] for o in found['ray', 1]):.0f} MB")
        if given.overhead:
            # A small net: what Ray adds weighs most where inference weighs least.
            overhead(given.overhead, export_tiny(folder / "tiny.onnx"), folder)
    task_bytes()


def overhead(images: int, model: Path, folder: Path) -> None:
    """CPU seconds under Ray beside those of the thread pool, two at a time."""
    threads = measured("threads", 2, images, model, folder)
    under_ray = measured("ray", 2, images, model, folder)
    print("threads", threads, "\nray", under_ray)
    more = under_ray["cpu"] / threads["cpu"] - 1
    print(f"Ray's CPU against the thread pool's at {images:,} images: {more:+.1%} (aim +8%)")


def task_bytes() -> None:
    """What travels for a shard of 256 images."""
    from auditor.contract import Pass
    from auditor.engine import sweep

    spec = spec_for(Path("/data/models/resnet18.onnx"), 224)
    paths = [Path(f"/data/photos/of/a/site/{i:09d}.jpg") for i in range(256)]
    with tempfile.TemporaryDirectory() as name:
        seen: list[int] = []

        class Weighing:
            workers = 1

            def run(self, tasks: list[object], **_: object) -> list[object]:
                seen.extend(len(pickle.dumps(task)) for task in tasks)
                raise StopIteration

        with contextlib.suppress(StopIteration):
            sweep.sweep_split(
                dataset_of(paths), [Pass("test")], spec=spec, store=sweep.Store(Path(name)),
                predictors={}, keep_frames=False, report=lambda p: None, runner=Weighing(),
            )  # fmt: skip
    print(f"a shard's task: {seen[0]:,} bytes")


PARTS = {"ray": ray, "resume": resume}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(PARTS), nargs="+")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--overhead", type=int, default=20_000, help="images; 0 leaves it out")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        how, workers, images, model, folder, name = given.one
        found = one_sweep(how, int(workers), int(images), Path(model), Path(folder), name)
        print(json.dumps(found))
    else:
        for part in given.only or PARTS:
            PARTS[part](given)


if __name__ == "__main__":
    main()
