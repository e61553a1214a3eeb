"""Models ready to run, the frames that they are asked about, and a product that bounds them."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], list[np.ndarray]]

PROBES = 16
"""Frames whose answers are kept: the same model answers them alike on every machine."""

KEPT = 256
"""Values that are kept of each output of a probe, evenly over it."""

PRODUCT = 768
"""Rows and columns of the matrices whose product bounds what a processor can do."""


@dataclass(frozen=True)
class Setting:
    """How a model is run: threads, providers, and whether memory is kept for the next run."""

    threads: int
    providers: Sequence[str]
    arena: bool = True


def opened(model: Mapping[str, Any], setting: Setting) -> Run:
    """A model of a request (``path``, ``format``: onnx or torchscript), ready to run."""
    loaders = {"onnx": onnx_run, "torchscript": torchscript_run}
    return loaders[model["format"]](model["path"], setting)


def onnx_run(model: str | bytes, setting: Setting) -> Run:
    """Run an ONNX model, a path or its bytes, of one input or more (the tensor is handed to all).

    Raises RuntimeError for a provider that this onnxruntime does not have.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    import onnxruntime

    missing = sorted(set(setting.providers) - set(onnxruntime.get_available_providers()))
    if missing:
        raise RuntimeError(
            f"found no {', '.join(missing)} in this onnxruntime, expected every one of "
            f"`target.providers`; it has {', '.join(onnxruntime.get_available_providers())}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = setting.arena
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=list(setting.providers))
    names = [each.name for each in session.get_inputs()]

    def run(tensor: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(found) for found in session.run(None, dict.fromkeys(names, tensor))]

    return run


def torchscript_run(path: str, setting: Setting) -> Run:
    import torch

    torch.set_num_threads(setting.threads)
    # torch gives jit.load no types.
    load: Any = torch.jit.load
    module = load(path).eval()

    def run(tensor: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            found = module(torch.from_numpy(tensor))
        return [np.asarray(found.numpy())]

    return run


def runtime_of(model_format: str) -> str:
    """Name and version of the library that runs a format, once it is imported."""
    library = sys.modules["onnxruntime" if model_format == "onnx" else "torch"]
    return f"{library.__name__} {library.__version__}"


def probe_frames(height: int, width: int) -> np.ndarray:
    """The `PROBES` frames, (n, height, width, 3) uint8, by integers alone: equal on all machines.

    Soft blobs and stripes of several brightnesses under a little noise.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    frames = np.empty((PROBES, height, width, 3), dtype=np.uint8)
    for i in range(PROBES):
        for channel in range(3):
            seed = 3 * i + channel + 1
            wave = (x * (seed % 5 + 1) * 256 // width + y * (seed % 7) * 256 // height) % 512
            slope = np.abs(wave - 256)
            far = (x - width * (seed * 37 % 100) // 100) ** 2
            far = far + (y - height * (seed * 61 % 100) // 100) ** 2
            blob = np.maximum(0, 255 - 255 * far * 9 // (height * width))
            noise = ((x * 73 + y * 151 + seed * 97) * 1103515245 // 65536) % 32
            level = 16 * (i % 8)
            frames[i, :, :, channel] = np.clip(slope // 2 + blob // 2 + noise + level - 48, 0, 255)
    return frames


def tensor_of(frames: np.ndarray, feed: Mapping[str, Any]) -> np.ndarray:
    """Frames (n, h, w, 3) uint8 RGB as the model's input.

    `feed` holds ``channels`` (rgb, bgr, grey), ``factor`` and ``offset`` a channel, ``layout``
    (nchw, nhwc) and ``dtype``; uint8 inputs take pixels as they are.
    """
    planes = frames
    if feed["channels"] == "grey":
        luma = frames.astype(np.uint32) @ np.array([19595, 38470, 7471], dtype=np.uint32)
        planes = ((luma + 0x8000) >> 16).astype(np.uint8)[..., None]
    elif feed["channels"] == "bgr":
        planes = frames[..., ::-1]
    if feed["dtype"] != "uint8":
        kind = np.float64 if feed["dtype"] == "float64" else np.float32
        planes = planes * np.array(feed["factor"], kind) + np.array(feed["offset"], kind)
    if feed["layout"] == "nchw":
        planes = planes.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(planes, dtype=feed["dtype"])


def photo_frame(content: bytes, feed: Mapping[str, Any]) -> np.ndarray:
    """A photo decoded and resized by Pillow, (1, h, w, 3) uint8; stretched, which costs the same.

    Raises ImportError without Pillow, OSError for what it cannot decode.
    """
    image: Any = importlib.import_module("PIL.Image")
    height, width = feed["size"]
    with image.open(io.BytesIO(content)) as photo:
        fitted = photo.convert("RGB").resize((width, height), image.Resampling.BILINEAR)
    return np.asarray(fitted)[None]


def sampled(outputs: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """What is kept of outputs: shape, `KEPT` values, least, greatest, and where that lies."""
    kept = []
    for output in outputs:
        flat = np.asarray(output, dtype=np.float64).ravel()
        step = max(1, -(-flat.size // KEPT))
        kept.append(
            {
                "shape": list(output.shape),
                "values": [float(v) for v in flat[::step]],
                "least": float(flat.min()) if flat.size else 0.0,
                "greatest": float(flat.max()) if flat.size else 0.0,
                "at": int(flat.argmax()) if flat.size else -1,
            }
        )
    return kept


def product_model() -> bytes:
    """An ONNX model of one product of two float32 matrices, ``y = a b``, as its bytes.

    Written by hand (protocol buffers, onnx.proto3) so that no package is needed for it.
    """

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def value(name: bytes) -> bytes:
        return field(1, name) + field(2, field(1, bytes([1 << 3, 1])))

    node = field(1, b"a") + field(1, b"b") + field(2, b"y") + field(4, b"MatMul")
    graph = field(1, node) + field(2, b"product")
    graph += field(11, value(b"a")) + field(11, value(b"b")) + field(12, value(b"y"))
    opset = field(1, b"") + bytes([2 << 3, 13])
    return bytes([1 << 3, 8]) + field(7, graph) + field(8, opset)
