"""INT8 against float on a machine that does other work meanwhile, and what a calibrator costs.

    python benchmarks/deployment_forms.py [--runs 5] [--load 2] [--only housing MobileNetV2]

For every model: the ratio of processor time of the floating-point file to that of its INT8 form,
both timed in alternating blocks of one process, in five runs while `--load` processes of this
benchmark keep the processors busy. The wall-time ratio of two separate timings stands beside it:
what one gets who times one model after the other. Then, for the labs' models, how far the outputs
of each calibrator's form lie from the float ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
from PIL import Image

import auditor
from auditor.models.contained import int8_form, int8_notes
from auditor.models.identity import integer_kernels
from auditor.models.latency import BenchRequest, TimedModel, ratio_draws, run_bench
from auditor.spec import InputSpec, ModelSpec
from auditor.stats import value

EXAMPLES = Path(auditor.__file__).parents[1] / "examples"
PUBLIC = "MobileNetV2"
LABS = {"housing": (120, 160), "kitchen": (144, 192), "street": (144, 192)}
BLOCK, BLOCKS = 5, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--load", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--data", type=Path, default=EXAMPLES.parent.parent / "shared" / "data")
    parser.add_argument("--only", nargs="*", default=[*LABS, PUBLIC])
    arguments = parser.parse_args()
    print(f"{integer_kernels()}; {arguments.load} busy processes beside the timing")
    with tempfile.TemporaryDirectory() as folder:
        pairs = dict(_pairs(Path(folder), arguments.data / "models", arguments.only))
        print(
            "\n| model | processor-time ratio of each run | largest / smallest | one after "
            "the other, by the clock | largest / smallest |\n|---|---|---|---|---|"
        )
        for name, request in pairs.items():
            with _busy(arguments.load):
                print(_line(name, request, arguments.runs), flush=True)
        print("\n| model | calibrator | distance of outputs | kept |\n|---|---|---|---|")
        for lab in (name for name in pairs if name in LABS):
            for tried in int8_notes(Path(folder) / f"{lab}.onnx").calibrators:
                print(f"| {lab} | {tried.name} | {tried.noise:.4g} | {tried.chosen} |")


def _pairs(folder: Path, models: Path, only: Sequence[str]) -> Iterator[tuple[str, BenchRequest]]:
    for lab, size in ((lab, size) for lab, size in LABS.items() if lab in only):
        made = folder / f"{lab}.onnx"
        given = EXAMPLES / lab / "model.onnx"
        made.write_bytes(_int8(given, lab, size))
        yield lab, _request(given, made, (1, 3, *size), "float32")
    public = [models / f"imagenet_mobilenetv2_1.0_224_{k}.onnx" for k in ("fp32", "int8qdq")]
    if PUBLIC in only and all(path.is_file() for path in public):
        yield PUBLIC, _request(*public, (1, 224, 224, 3), "uint8")


def _int8(model: Path, lab: str, size: tuple[int, int]) -> bytes:
    photos = sorted((EXAMPLES / lab / "images").rglob("*.jpg"))[::29][:64]
    frames = np.stack(
        [
            np.asarray(Image.open(p).convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))
            for p in photos
        ]
    )
    fed = InputSpec(size=size, mean=(0.5,), std=(0.25,))
    spec = ModelSpec(path=str(model), classes=("a", "b"), input=fed)
    return int8_form(model, model=spec, calibration=frames)


def _request(given: Path, made: Path, shape: tuple[int, ...], dtype: str) -> BenchRequest:
    return BenchRequest(
        models=(TimedModel(given), TimedModel(made)),
        shape=shape,
        dtype=dtype,
        runs=BLOCK * BLOCKS,
        block=BLOCK,
        budget_s=30.0,
    )


def _line(name: str, request: BenchRequest, runs: int) -> str:
    together, apart = [], []
    for _ in range(runs):
        slow, fast = run_bench(request).models
        together.append(value(ratio_draws(slow.cpu_ms, fast.cpu_ms, block=BLOCK)))
        alone = [
            run_bench(replace(request, models=(model,))).models[0].wall_ms
            for model in request.models
        ]
        apart.append(float(np.median(alone[0]) / np.median(alone[1])))
    spreads = (max(together) / min(together), max(apart) / min(apart))
    shown = [", ".join(f"{ratio:.2f}" for ratio in found) for found in (together, apart)]
    return f"| {name} | {shown[0]} | {spreads[0]:.3f} | {shown[1]} | {spreads[1]:.3f} |"


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Processes that keep the processors busy, in bursts, until the end of the block."""
    stop = multiprocessing.Event()
    started = [multiprocessing.Process(target=_work, args=(stop, i)) for i in range(processes)]
    for each in started:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in started:
            each.join()


def _work(stop: Event, seed: int) -> None:
    """Products of matrices between pauses of random length, so that the load comes and goes."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((256, 256))
    while not stop.is_set():
        for _ in range(int(rng.integers(20, 200))):
            matrix = np.tanh(matrix @ matrix.T / 256)
        stop.wait(float(rng.random() / 20))


if __name__ == "__main__":
    main()
