"""What corruptions cost: each operator, and a whole corruption audit beside bare inference.

    python benchmarks/corruptions.py [--images 24] [--nets resnet18] [--severities 1 3 5]

Ratios of CPU time in one run, on photos of the folder of real data (see README) or generated ones:

- each kind, in milliseconds a frame of 224 x 224 and thread (aim: 2 or less on average);
- every kind and severity through the sweep, one decode an image, against `session.run` on as many
  ready tensors (aim: at least 0.90 for a resnet18-sized model, 0.80 for a mobilenet-sized one);
- a plain loop that decodes, corrupts and predicts image by image, against the same.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sweep import cpu, dataset_of, export, frame_of, photos, spec_for

from auditor.contract import AS_GIVEN, Pass
from auditor.data.corruptions import KINDS
from auditor.data.views import Corrupted, ViewContext
from auditor.engine.store import Store
from auditor.engine.sweep import sweep_split
from auditor.models.inputs import InputBuffers
from auditor.models.load import load_model
from auditor.spec import AuditSpec

CLASSES = tuple("abcdefghij")
_ROUNDS = 5


def operators(frames: list[np.ndarray], severities: tuple[int, ...]) -> None:
    """Print the milliseconds that each kind takes, and their mean."""
    contexts = [ViewContext(str(i), 7, 0) for i in range(len(frames))]
    means = []
    for kind in KINDS:
        views = [Corrupted(kind, severity) for severity in severities]
        each = [milliseconds(lambda v=view: list(map(v, frames, contexts)), len(frames))
                for view in views]  # fmt: skip
        means.append(statistics.mean(each))
        print(f"{kind:16s} " + "  ".join(f"{ms:5.2f}" for ms in each), flush=True)
    print(f"mean of all kinds: {statistics.mean(means):.2f} ms a frame and thread (aim 2)")


def milliseconds(function: Callable[[], object], n: int) -> float:
    """CPU milliseconds of one of `n`, the least of some rounds, after one that fills tables."""
    function()
    return min(cpu(function) for _ in range(_ROUNDS)) / n * 1e3


def audit(net: str, n: int, severities: tuple[int, ...]) -> None:
    """Print the CPU time of a whole corruption audit's sweep beside bare inference."""
    import onnxruntime  # auditor.models has turned its telemetry off
    import torch

    from auditor.models.torchvision_ops import import_torchvision

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        made = import_torchvision().models.get_model(net, weights=None, num_classes=len(CLASSES))
        path = export(made.eval(), folder / "net.onnx", side=224, argument="x")
        spec = spec_for(path, 224)
        predictor = load_model(spec, classes=CLASSES)
        dataset = dataset_of(photos(folder, n))
        views = [Corrupted(kind, severity) for kind in KINDS for severity in severities]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options)
        feed = session.get_inputs()[0].name
        frames = np.stack([frame_of(p, spec) for p in dataset.paths])
        tensors = InputBuffers().fill(frames, input=spec.model.input).copy()

        def bare() -> None:
            for _ in views:
                for start in range(0, n, 8):
                    session.run(None, {feed: tensors[start : start + 8]})

        def swept() -> None:
            sweep_split(
                dataset, [Pass("test", view=view) for view in views], spec=spec,
                store=Store(folder / f"{time.monotonic_ns()}"), predictors={AS_GIVEN: predictor},
                keep_frames=False, report=lambda progress: None,
            )  # fmt: skip

        def plain() -> None:
            for at, one in enumerate(dataset.paths):
                for view in views:
                    frame = view(frame_of(one, spec), ViewContext(str(at), 7, 0))
                    session.run(None, {feed: normalised(frame, spec)})

        session.run(None, {feed: tensors[:8]})
        base = cpu(bare)
        many = cpu(swept, pid=predictor.process.pid)
        loop = cpu(plain)
        print(f"{net}: {len(views)} views of {n} images, bare {base / len(views) / n * 1e3:.1f} ms "
              f"an image; the audit {base / many:.3f} of bare, a plain loop {base / loop:.3f}",
              flush=True)  # fmt: skip


def normalised(frame: np.ndarray, spec: AuditSpec) -> np.ndarray:
    given = spec.model.input
    values = (frame / np.float32(given.scale) - np.float32(given.mean)) / np.float32(given.std)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=24, help="a multiple of 8")
    parser.add_argument("--nets", nargs="*", default=["resnet18", "mobilenet_v2"])
    parser.add_argument("--severities", type=int, nargs="*", default=[1, 3, 5])
    given = parser.parse_args()
    severities = tuple(given.severities)
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_for(Path("none"), 224)
        frames = [frame_of(str(path), spec) for path in photos(Path(folder), 8)]
    operators(frames, severities)
    for net in given.nets:
        audit(net, given.images, severities)


if __name__ == "__main__":
    main()
