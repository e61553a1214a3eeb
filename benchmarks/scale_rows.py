"""What a whole audit of many images costs: CPU time and memory, stage by stage and check by check.

    python benchmarks/scale_rows.py --images 20000 --folder FOLDER

Makes a world of that many photographs, three fifths of them test images, one fifth each of train
and deployment: small JPEGs inside Parquet manifests, six attributes, two inspectors, rooms as
units, some copies. The net is a stand-in that averages the light of 16 fields; all else is what an
audit does: manifests read, images decoded, described, searched for copies, fed, scored, checked,
judged, written. The reports are rendered too. Timings of the target hardware are not taken, for
they do not grow with images.

With `--workers` Ray runs the sweeps, on so many workers of a cluster of this machine's own.

Says CPU seconds of the audit's process and of the model's, and the peak of resident memory of the
audit's process (the driver): of each stage and check its own, and of the whole.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import yaml
from onnx import TensorProto, helper
from PIL import Image

CLASSES = ("compliant", "minor", "serious")
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "room_type": ("sensitive", ("single", "double", "family", "accessible")),
    "building": ("condition", ("hall-1930s", "tower-1970s", "new")),
    "time_of_day": ("condition", ("day", "evening")),
    "phone": ("condition", ("p1", "p2", "p3", "p4", "p5")),
    "floor": ("condition", ("ground", "middle", "top")),
    "source": ("nuisance", ("app", "tablet")),
}
SHARES = {"test": 0.6, "train": 0.2, "deployment": 0.2}
SIDE = 32
FIELDS = 4
IMAGES_A_UNIT = 6
COPIES = 0.002
"""Share of images that are copies of the one before: half of them to the byte, half brightened."""
GROUP = 1024
"""Images a row group of the manifests: what the audit holds of one at a time."""
TIMED = ("deployment/latency", "deployment/frame-rate", "deployment/cold-start",
         "deployment/throughput", "deployment/memory")  # fmt: skip


def make_world(folder: Path, images: int, *, seed: int = 1) -> Path:
    """Model, manifests and spec of a world of so many images; the path of the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_model(folder / "model.onnx")
    for i, (split, share) in enumerate(SHARES.items()):
        rng = np.random.default_rng([seed, i])
        _write_split(folder / f"{split}.parquet", split, round(images * share), rng)
    columns = {
        "image": "image", "label": "label", "unit": "room", "time": "taken_on",
        "annotator": "inspector", "ratings": {"ames": "ames", "birk": "birk"}, "gold": "gold",
    }  # fmt: skip
    attributes = {name: {"role": role} for name, (role, _) in ATTRIBUTES.items()}
    spec = {
        "audit": {"title": "Many rooms", "seed": 7},
        "model": {
            "path": "model.onnx", "classes": list(CLASSES), "ordinal": True, "output": "logits",
            "embedding": "fields",
            "input": {"size": [SIDE, SIDE], "scale": 255, "mean": [0.5], "std": [0.25]},
        },
        "data": {
            **{split: {"manifest": f"{split}.parquet"} for split in SHARES},
            "columns": columns, "attributes": attributes,
        },
        "claims": [{"measure": "accuracy", "at_least": 0.9, "source": "the team's report"}],
        "consequences": {
            "adverse": ["serious"],
            "borne_by": {"serious": "the student", "compliant": "everyone in the building"},
            "costs": {"unit": "EUR", "matrix": {
                "compliant": {"minor": 60, "serious": 4000},
                "minor": {"compliant": 150, "serious": 3000},
                "serious": {"compliant": 9000, "minor": 6000},
            }},
        },
        "declarations": "declarations.yaml",
    }  # fmt: skip
    basis = {
        "key": "basis-room-type", "statement": "Rooms made up for a benchmark.",
        "owner": {"name": "A benchmark"}, "date": "2026-01-01",
    }  # fmt: skip
    stated = yaml.safe_dump({"declarations": [basis]})
    (folder / "declarations.yaml").write_text(stated, encoding="utf-8")
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return path


def _write_model(path: Path) -> None:
    """Logits are sums over 16 fields of how red, green and blue they are."""
    pool = SIDE // FIELDS
    weights = np.zeros((3 * FIELDS**2, len(CLASSES)), dtype=np.float32)
    for channel in range(3):
        weights[channel * FIELDS**2 : (channel + 1) * FIELDS**2, channel] = 0.5
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[pool, pool],
                             strides=[pool, pool]),
            helper.make_node("Flatten", ["pooled"], ["fields"]),
            helper.make_node("MatMul", ["fields", "weights"], ["logits"]),
        ],
        "rooms",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(CLASSES)])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


def _write_split(path: Path, split: str, n: int, rng: np.random.Generator) -> None:
    """One Parquet file, written a row group at a time."""
    room = rng.integers(0, max(n // IMAGES_A_UNIT, 20), n)
    groups = {name: _groups(of, room, rng) for name, (_, of) in ATTRIBUTES.items()}
    truth = rng.choice(len(CLASSES), room.max() + 1, p=[0.6, 0.25, 0.15])[room]
    labels = np.where(rng.random(n) < 0.04, rng.integers(0, len(CLASSES), n), truth)
    hard = 0.4 * (groups["building"] == "hall-1930s") + 0.2 * (groups["phone"] == "p5")
    names = np.array([*CLASSES, ""], dtype=object)
    taken = np.datetime64("2025-01-01T00:00") + np.arange(n).astype("timedelta64[m]")
    columns = {
        "label": names[labels],
        "room": np.array([f"{split}-room-{r:06d}" for r in room], dtype=object),
        "taken_on": np.datetime_as_string(taken).astype(object),
        "inspector": np.char.add("i", (room % 8).astype(str)).astype(object),
        "ames": names[_second(truth, rng)],
        "birk": names[_second(truth, rng)],
        "gold": names[np.where(rng.random(n) < 0.05, truth, -1)],
        **groups,
    }
    writer = None
    for at in range(0, n, GROUP):
        rows = slice(at, min(at + GROUP, n))
        pictures = [
            {"bytes": content, "path": f"{split}/{at + i:07d}.jpg"}
            for i, content in enumerate(_photos(truth[rows], hard[rows], rng))
        ]
        found = {name: pa.array(column[rows]) for name, column in columns.items()}
        table = pa.table({"image": pa.array(pictures), **found})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="none")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _photos(truth: np.ndarray, hard: np.ndarray, rng: np.random.Generator) -> Iterator[bytes]:
    """JPEGs of blurred fields of colour with noise, tinted by what is true of the room."""
    coarse = rng.integers(20, 200, (len(truth), 6, 6, 3)).astype(np.uint8)
    noise = rng.integers(-6, 7, (len(truth), SIDE, SIDE, 3), dtype=np.int16)
    tint = 25 * (1 - hard)
    again = rng.random(len(truth)) < COPIES
    again[0] = False
    before, pixels = b"", np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    for i, label in enumerate(truth.tolist()):
        if again[i] and i % 2:
            yield before
            continue
        if again[i]:
            pixels = np.clip(pixels.astype(np.int16) + 8, 0, 255).astype(np.uint8)
        else:
            smooth = Image.fromarray(coarse[i]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            seen = np.asarray(smooth) + noise[i]
            seen[:, :, label] += int(tint[i])
            pixels = np.clip(seen, 0, 255).astype(np.uint8)
        before = simplejpeg.encode_jpeg(pixels, quality=90)
        yield before


def _groups(of: tuple[str, ...], room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The group of each image, (n,) str: the room's, of one image in ten another; some missing."""
    shares = np.arange(len(of), 0, -1) / np.arange(1, len(of) + 1).sum()
    code = rng.choice(len(of), int(room.max()) + 1, p=shares)[room]
    code = np.where(rng.random(len(room)) < 0.1, rng.integers(0, len(of), len(room)), code)
    code = np.where(rng.random(len(room)) < 0.02, len(of), code)
    return np.array([*of, ""], dtype=object)[code]


def _second(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A second inspector's labels of a tenth of the images, -1 for none."""
    seen = np.where(rng.random(len(truth)) < 0.1, rng.integers(0, len(CLASSES), len(truth)), truth)
    return np.where(rng.random(len(truth)) < 0.1, seen, -1)


@dataclass
class Costs:
    """CPU seconds and the peak of resident memory in MB by what was done, in order."""

    lines: list[tuple[str, float, float]] = field(default_factory=list)
    highest: float = 0.0

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        start = time.process_time()
        try:
            yield
        finally:
            peak = _peak_mb()
            self.highest = max(self.highest, peak)
            self.lines.append((name, time.process_time() - start, peak))
            print(f"| {name} | {self.lines[-1][1]:.1f} | {peak:,.0f} |", flush=True)


def _peak_mb() -> float:
    """Resident memory of this process at its highest since it was last reset."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _cpu_of_children() -> float:
    """CPU seconds of the processes that this one has started, those that still run as well."""
    ticks, total = os.sysconf("SC_CLK_TCK"), 0.0
    parents: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = place.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        # Its own, and what it has waited for.
        spent = sum(int(part) for part in rest[11:15]) / ticks
        parents[int(place.parent.name)] = int(rest[1]), spent
    for pid, (_, spent) in parents.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above][0]
        total += spent if above == os.getpid() and pid != os.getpid() else 0
    return total


def _measured(
    place: Any, name: str, costs: Costs, called: Callable[..., str] | None = None
) -> None:
    """Have calls of a function counted."""
    given = getattr(place, name)

    def counted(*args: Any, **keys: Any) -> Any:
        with costs.of(name if called is None else called(*args, **keys)):
            return given(*args, **keys)

    setattr(place, name, counted)


def audit(spec: Path, out: Path, only: list[str], *, workers: int | None = None) -> None:
    """Run the audit of a world and render it; print what everything cost."""
    from auditor.contract import check_classes
    from auditor.engine import gather, measure, run
    from auditor.engine.ray_cluster import OnRay
    from auditor.rendering import render

    costs = Costs()
    for stage in ("load", "make_record", "write_rows", "write_tables", "write_record", "end"):
        _measured(run, stage, costs)
    for stage in ("_assessed", "make_variants", "pool_small_groups"):
        _measured(gather, stage, costs)
    _measured(gather, "sweep_split", costs, lambda dataset, passes, **keys: (
        f"{keys['stage']} {dataset.split}, {len(passes)} passes"))  # fmt: skip
    _measured(measure, "_run", costs, lambda check, *rest, **keys: check.id)
    left_out = () if only else TIMED
    names = only or [name for name in check_classes() if name not in left_out]
    print("| what | CPU s | peak MB |\n|---|---|---|")
    start = time.process_time()
    on = None if workers is None else OnRay(workers=workers)
    record = run.run(spec, out=out, only=names, again=True, on=on)
    with costs.of("render"):
        render(record, out)
    own, model = time.process_time() - start, _cpu_of_children()
    size = (out / "audit.json").stat().st_size / 1e6
    report = (out / "report.html").stat().st_size / 1e6
    crashed = [r.check for r in record.results if r.traceback]
    print(
        f"\nCPU: {own / 60:.1f} minutes of the driver, {model / 60:.1f} of the model's process; "
        f"peak of the driver {costs.highest:,.0f} MB; audit.json {size:.1f} MB, report.html "
        f"{report:.1f} MB, {len(record.findings):,} findings, verdict {record.verdict}"
        f"{', crashed: ' + ', '.join(crashed) if crashed else ''}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000, help="of all splits (20,000)")
    parser.add_argument("--folder", type=Path, required=True, help="where world and audit are kept")
    parser.add_argument("--only", action="append", default=[], help="checks to run (all)")
    parser.add_argument("--workers", type=int, help="of Ray; without, threads of one process")
    asked = parser.parse_args()
    world = asked.folder / f"{asked.images}"
    spec = world / "audit.yaml"
    if not spec.is_file():
        # In a process of its own, so that its memory is not the audit's.
        maker = multiprocessing.get_context("spawn").Process(
            target=make_world, args=(world, asked.images)
        )
        maker.start()
        maker.join()
    print(json.dumps({"images": asked.images, "checks": asked.only or "all"}))
    audit(spec, world / "out", asked.only, workers=asked.workers)


if __name__ == "__main__":
    main()
