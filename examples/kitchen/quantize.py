"""The station's eight-bit form of the detector, as the team made it: `model-int8.onnx`.

    python examples/kitchen/quantize.py [--out examples/kitchen]

Static quantization by onnxruntime with the least and greatest activation seen (MinMax) on every
fourth training photo: its own default, and what most recipes on the web do.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from PIL import Image

HERE = Path(__file__).parent


class Photos(CalibrationDataReader):
    """Photos one at a time as the detector takes them, colours first."""

    def __init__(self, files: list[Path]) -> None:
        self._next: Iterator[dict[str, np.ndarray]] = map(self._read, files)

    @staticmethod
    def _read(file: Path) -> dict[str, np.ndarray]:
        pixels = (np.asarray(Image.open(file).convert("RGB"), dtype=np.float32) / 255 - 0.5) / 0.25
        return {"photo": pixels.transpose(2, 0, 1)[None]}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._next, None)


def training_photos(step: int) -> list[Path]:
    """Every `step`-th photo of the training manifest."""
    with (HERE / "train.csv").open(newline="", encoding="utf-8") as rows:
        return [HERE / "images" / row["file"] for row in csv.DictReader(rows)][::step]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    out: Path = parser.parse_args().out
    quantize_static(
        HERE / "model.onnx",
        out / "model-int8.onnx",
        Photos(training_photos(4)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


if __name__ == "__main__":
    main()
