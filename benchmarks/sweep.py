"""What a sweep costs beside bare inference; ratios of CPU time in one run.

    python benchmarks/sweep.py [--images 160] [--rounds 3] [--memory 20000]

Measured on photos of the folder of real data (see README), else on generated ones:

- clean pass from cached frames against `session.run` on ready tensors (aim: at least 0.95);
- first pass with exact decode against the same (aim: at least 0.88 for a resnet18-sized model),
  with and without the description of every image (hashes, properties);
- fused normalisation against the per-image Python way;
- peak memory of a sweep over 2,000 and 20,000 images (aim: under 1.5 GB, ratio under 1.3).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from PIL import Image

from auditor.contract import AS_GIVEN, Pass
from auditor.data.dataset import Dataset
from auditor.data.frames import to_frame
from auditor.data.images import decode
from auditor.engine import shard as shard_module
from auditor.engine.store import Store
from auditor.engine.sweep import SweptSplit, sweep_split
from auditor.models.inputs import InputBuffers
from auditor.models.load import load_model
from auditor.spec import AuditSpec

HERE = Path(__file__).parent
REAL = Path(os.environ.get("AUDITOR_TEST_DATA", HERE.parents[1] / "shared" / "data"))

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cpu(function: Callable[[], object], *, pid: int | None = None) -> float:
    """CPU seconds of all threads of this process, and of the process `pid` (Linux)."""

    def spent() -> float:
        # The clock of another process, as clock_getcpuclockid(3) has it.
        other = 0.0 if pid is None else time.clock_gettime((~pid << 3) | 2)
        return time.process_time() + other

    start = spent()
    function()
    return spent() - start


def photos(folder: Path, n: int) -> list[Path]:
    """JPEG photos: real ones where they are, else noise over gradients."""
    real = sorted((REAL / "imagenet-mini" / "images").glob("*.jpg"))[:n]
    if len(real) == n:
        return real
    rng = np.random.default_rng(0)
    paths = []
    for i in range(n):
        ramp = np.linspace(0, 200, 500)[None, :, None] * rng.uniform(0.5, 1, 3)
        pixels = np.clip(ramp + rng.normal(0, 12, (375, 500, 3)), 0, 255).astype(np.uint8)
        paths.append(folder / f"{i}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def dataset_of(paths: list[Path]) -> Dataset:
    n = len(paths)
    frame = pd.DataFrame(
        {
            "image_id": [f"{i:06d}-{path.name}" for i, path in enumerate(paths)],
            "path": [str(path) for path in paths],
            "label": np.zeros(n, dtype=np.int64),
            "unit": "",
            "annotator": "",
            "time": pd.Series([pd.NaT] * n, dtype="datetime64[ns]"),
        }
    )
    return Dataset("test", frame, tuple("abcdefghij"), (), "0" * 64, True, False)


def spec_for(model: Path, side: int) -> AuditSpec:
    shortest = {"resize": "shortest", "shortest": side * 256 // 224}
    return AuditSpec.model_validate(
        {
            "audit": {"title": "benchmark"},
            "model": {
                "path": str(model),
                "classes": tuple("abcdefghij"),
                "input": {"size": (side, side), "mean": MEAN, "std": STD, **shortest},
            },
            "data": {"test": {"images": "."}},
        }
    )


def export(net: object, path: Path, *, side: int, argument: str) -> Path:
    import torch

    batch = torch.export.Dim("n", min=1, max=4096)
    torch.onnx.export(
        net,
        (torch.zeros(2, 3, side, side),),
        str(path),
        dynamo=True,
        dynamic_shapes={argument: {0: batch}},
        external_data=False,
        verbose=False,
    )
    return path


def export_resnet18(path: Path) -> Path:
    import torch

    from auditor.models.torchvision_ops import import_torchvision

    torch.manual_seed(0)
    net = import_torchvision().models.get_model("resnet18", weights=None, num_classes=10)
    return export(net.eval(), path, side=224, argument="x")


def export_tiny(path: Path) -> Path:
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 10),
    )
    return export(net.eval(), path, side=64, argument="input")


def describe_nothing(image_id: str, decoded: object, content: bytes) -> dict[str, object]:
    return {"readable": True}


def speed(n: int, rounds: int) -> None:
    import onnxruntime  # auditor.models has turned its telemetry off

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = spec_for(export_resnet18(folder / "resnet18.onnx"), 224)
        predictor = load_model(spec, classes=tuple("abcdefghij"))
        dataset = dataset_of(photos(folder, n))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(spec.model.path, options)
        feed = session.get_inputs()[0].name
        frames = np.stack([frame_of(path, spec) for path in dataset.paths])
        tensors = InputBuffers().fill(frames, input=spec.model.input)

        def bare() -> None:
            for start in range(0, n, 8):
                session.run(None, {feed: tensors[start : start + 8]})

        def sweep(where: str, passes: list[Pass], **more: object) -> SweptSplit:
            return sweep_split(
                dataset,
                passes,
                spec=spec,
                store=Store(folder / where),
                predictors={AS_GIVEN: predictor, "again": predictor},
                report=lambda progress: None,
                **more,
            )

        child = predictor.process.pid
        first, again = [Pass("test")], [Pass("test", variant="again")]
        times: dict[str, list[float]] = {"bare": [], "cached": [], "first": [], "plain": []}
        bare()
        for i in range(rounds):
            kept = sweep(f"{i}", [], keep_frames=True)
            times["bare"].append(cpu(bare))
            times["cached"].append(
                cpu(partial(sweep, f"{i}", again, keep_frames=True, earlier=kept), pid=child)
            )
            times["first"].append(
                cpu(partial(sweep, f"{i}-first", first, keep_frames=False), pid=child)
            )
            with patch.object(shard_module, "describe", describe_nothing):
                times["plain"].append(
                    cpu(partial(sweep, f"{i}-plain", first, keep_frames=False), pid=child)
                )
        print_ratios(times, n=n)
        print(f"normalisation, fused against per-image Python: {normalisation(frames, spec):.1f}x")


def frame_of(path: str, spec: AuditSpec) -> np.ndarray:
    return to_frame(decode(Path(path).read_bytes(), max_pixels=10**8).pixels, spec.model.input)


def print_ratios(times: dict[str, list[float]], *, n: int) -> None:
    base = statistics.median(times["bare"])
    print(f"bare session.run: {base / n * 1e3:.1f} CPU ms an image ({n} images)")
    for key, what, aim in (
        ("cached", "clean pass from cached frames", 0.95),
        ("plain", "first pass with exact decode", 0.88),
        ("first", "first pass with decode and description", None),
    ):
        ratio = base / statistics.median(times[key])
        print(f"{what}: {ratio:.3f} of bare" + (f" (aim {aim})" if aim else ""))


def normalisation(frames: np.ndarray, spec: AuditSpec) -> float:
    given = spec.model.input
    mean, std = np.float32(given.mean), np.float32(given.std)

    def naive() -> None:
        for frame in frames:
            ((frame.astype(np.float32) / given.scale - mean) / std).transpose(2, 0, 1).copy()

    buffers = InputBuffers()

    def fused() -> None:
        for start in range(0, len(frames), 8):
            buffers.fill(frames[start : start + 8], input=given)

    fused()
    return min(cpu(naive) for _ in range(5)) / min(cpu(fused) for _ in range(5))


def memory(n: int) -> None:
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        # Exported here: a process that has loaded torch would show torch's memory.
        model = export_tiny(Path(name) / "tiny.onnx")
        for size in (n // 10, n):
            done = subprocess.run(
                [sys.executable, __file__, "--peak-of", str(size), "--model", str(model)],
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[size] = json.loads(done.stdout.splitlines()[-1])["peak_mb"]
            print(f"peak memory of a sweep over {size} images: {peaks[size]:.0f} MB", flush=True)
    print(f"ratio: {peaks[n] / peaks[n // 10]:.2f} (aim under 1.3)")


def peak_of(n: int, model: Path) -> None:
    """One sweep in a process of its own: decode, predict, keep frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = photos(folder, 100)
        spec = spec_for(model, 64)
        sweep_split(
            dataset_of([sources[i % 100] for i in range(n)]),
            [Pass("test")],
            spec=spec,
            store=Store(folder / "store"),
            predictors={AS_GIVEN: load_model(spec, classes=tuple("abcdefghij"))},
            keep_frames=True,
            report=lambda progress: None,
        )
    # Not ru_maxrss: in a forked child it counts the parent's memory too.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=160, help="0 leaves speed out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=20_000, help="0 leaves memory out")
    parser.add_argument("--peak-of", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_of:
        peak_of(given.peak_of, given.model)
        return
    if given.images:
        speed(given.images, given.rounds)
    if given.memory:
        memory(given.memory)


if __name__ == "__main__":
    main()
