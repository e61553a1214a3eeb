"""From uint8 frames to the tensor that a model takes, as one multiply-add a channel."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from auditor.errors import ModelError
from auditor.spec import InputSpec

# Pillow's 16-bit weights of ITU-R BT.601 luma, which sum to 65536: grey stays what it was.
_LUMA = (19595, 38470, 7471)

_NUMPY_TYPE = {"float32": np.float32, "float16": np.float16, "float64": np.float64,
               "uint8": np.uint8}  # fmt: skip


@dataclass(frozen=True)
class Affine:
    """``pixel * factor + offset`` for each channel, in the order of `InputSpec.channels`."""

    factor: tuple[float, ...]
    offset: tuple[float, ...]


def affine_of(input: InputSpec) -> Affine:
    """The multiply-add that equals ``(pixel / scale - mean) / std``; one entry a channel."""
    count = channel_count(input)
    mean = np.resize(np.asarray(input.mean, dtype=np.float64), count)
    std = np.resize(np.asarray(input.std, dtype=np.float64), count)
    return Affine(
        factor=tuple((1 / (input.scale * std)).tolist()), offset=tuple((-mean / std).tolist())
    )


def channel_count(input: InputSpec) -> int:
    return 1 if input.channels == "grey" else 3


def tensor_shape(input: InputSpec) -> tuple[int, int, int]:
    """Shape of one image in the model's layout, without the batch."""
    height, width = input.size
    if input.layout == "nchw":
        return channel_count(input), height, width
    return height, width, channel_count(input)


class InputBuffers:
    """Input tensors, allocated once a thread and shape: a sweep would else allocate as many.

    The array that `fill` returns is overwritten by the next call on the same thread.
    """

    def __init__(self) -> None:
        self._held = threading.local()

    def fill(self, frames: np.ndarray, *, input: InputSpec) -> np.ndarray:
        """Normalise frames (n, h, w, 3) uint8 RGB into (n, *`tensor_shape`), C-contiguous.

        Raises ModelError when the frames are not uint8 RGB at `input.size`.
        """
        expected = (*input.size, 3)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != expected:
            raise ModelError(
                f"frames: found {frames.dtype} of shape {frames.shape}, expected uint8 of shape "
                f"(n, {', '.join(map(str, expected))}); resize them to `model.input.size` first"
            )
        out = self._buffer(len(frames), input)
        write_tensor(frames, input=input, out=out)
        return out

    def _buffer(self, n: int, input: InputSpec) -> np.ndarray:
        kept: dict[tuple[object, ...], np.ndarray] = self._held.__dict__.setdefault("kept", {})
        shape, dtype = tensor_shape(input), _NUMPY_TYPE[input.dtype]
        key = (shape, dtype)
        if key not in kept or len(kept[key]) < n:
            kept[key] = np.empty((n, *shape), dtype=dtype)
        return kept[key][:n]


def write_tensor(frames: np.ndarray, *, input: InputSpec, out: np.ndarray) -> None:
    """Normalise `frames` (n, h, w, 3) uint8 RGB into `out` (n, *`tensor_shape`)."""
    affine = affine_of(input)
    # One image at a time stays in the processor's cache: 10 times faster than the whole batch.
    for frame, slot in zip(frames, out, strict=True):
        target = slot if input.layout == "nchw" else slot.transpose(2, 0, 1)
        source = _planes(frame, input)
        if input.dtype == "uint8":
            np.copyto(target, source)
        elif input.dtype in ("float32", "float64"):
            _scale_into(target, source, affine)
        else:
            work = np.empty(source.shape, dtype=np.float32)
            _scale_into(work, source, affine)
            np.copyto(target, work, casting="same_kind")


def _planes(frame: np.ndarray, input: InputSpec) -> np.ndarray:
    """The frame as (channels, h, w) uint8 in the model's order; a view where it can be."""
    if input.channels == "grey":
        return _luma(frame)[None]
    ordered = frame[..., ::-1] if input.channels == "bgr" else frame
    return ordered.transpose(2, 0, 1)


def _luma(frame: np.ndarray) -> np.ndarray:
    """Grey of an RGB frame exactly as Pillow's ``convert("L")`` has it, (h, w) uint8."""
    weighted = frame.astype(np.uint32) @ np.asarray(_LUMA, dtype=np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def _scale_into(target: np.ndarray, source: np.ndarray, affine: Affine) -> None:
    np.copyto(target, source)
    for plane, factor, offset in zip(target, affine.factor, affine.offset, strict=True):
        plane *= target.dtype.type(factor)
        if offset:
            plane += target.dtype.type(offset)
