"""From the pixels of an image to the frame that a model takes: resized, cropped, padded.

Resizing is Pillow's, with its antialiasing, from 8-bit pixels, unless the spec says otherwise.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from auditor.spec import InputSpec

_LONGEST_RATIO = 64
"""Above this ratio of sides only the part that is cropped out is resized (memory)."""


def to_frame(pixels: np.ndarray, input: InputSpec) -> np.ndarray:
    """Resize pixels (h, w, 3) uint8 to the model's frame, (height, width, 3) uint8 RGB.

    ``stretch`` ignores the aspect. ``shortest`` resizes the shorter side to `input.shortest`
    and crops the centre, with the rounding of torchvision's Resize and CenterCrop; where the
    crop is larger than the image, the rest is `input.pad`. ``letterbox`` keeps the aspect and
    fills with `input.pad`: align ``center`` rounds as Ultralytics' letterbox does, ``top-left``
    as YOLOX's (sides rounded down). A grey model's frame still has three channels.
    """
    height, width = input.size
    if input.resize == "stretch":
        return _resized(pixels, height, width, input)
    if input.resize == "shortest":
        return _shortest(pixels, input)
    return _letterbox(pixels, input)


def _resized(pixels: np.ndarray, height: int, width: int, input: InputSpec) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    if not input.antialias:
        return _sampled(pixels, height, width)
    method = Image.Resampling[input.interpolation.upper()]
    return np.array(Image.fromarray(pixels).resize((width, height), method))


def _sampled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear between the four nearest pixels (centres at halves), as OpenCV's INTER_LINEAR."""
    found = pixels
    for axis, length in enumerate((height, width)):
        given = pixels.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * given / length - 0.5, 0, given - 1)
        low = at.astype(np.int64)
        high = np.minimum(low + 1, given - 1)
        share = (at - low).astype(np.float32).reshape(-1, *(1,) * (2 - axis))
        before = found.take(low, axis).astype(np.float32)
        found = before + share * (found.take(high, axis) - before)
    return np.asarray(np.rint(found).astype(np.uint8))


def _shortest(pixels: np.ndarray, input: InputSpec) -> np.ndarray:
    assert input.shortest is not None
    sides = pixels.shape[:2]
    short, long = min(sides), max(sides)
    if long > _LONGEST_RATIO * short:
        pixels = _middle(pixels, keep=int(short * _LONGEST_RATIO))
        long = max(pixels.shape[:2])
    resized_long = int(input.shortest * long / short)
    rows, columns = (
        (input.shortest, resized_long)
        if pixels.shape[0] <= pixels.shape[1]
        else (resized_long, input.shortest)
    )
    return _center_crop(_resized(pixels, rows, columns, input), input)


def _middle(pixels: np.ndarray, *, keep: int) -> np.ndarray:
    """The middle of a very long strip, `keep` pixels of its longer side."""
    axis = 0 if pixels.shape[0] > pixels.shape[1] else 1
    start = (pixels.shape[axis] - keep) // 2
    part = slice(start, start + keep)
    return np.ascontiguousarray(pixels[part] if axis == 0 else pixels[:, part])


def _center_crop(pixels: np.ndarray, input: InputSpec) -> np.ndarray:
    height, width = input.size
    rows, columns = pixels.shape[:2]
    if rows < height or columns < width:
        top, left = max(height - rows, 0) // 2, max(width - columns, 0) // 2
        padded = np.full((max(rows, height), max(columns, width), 3), input.pad, dtype=np.uint8)
        padded[top : top + rows, left : left + columns] = pixels
        pixels, rows, columns = padded, padded.shape[0], padded.shape[1]
    # Python's round, halves to even, as torchvision's CenterCrop has it.
    top, left = round((rows - height) / 2), round((columns - width) / 2)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _letterbox(pixels: np.ndarray, input: InputSpec) -> np.ndarray:
    height, width = input.size
    rows, columns = pixels.shape[:2]
    ratio = min(height / rows, width / columns)
    whole = round if input.align == "center" else int
    new_rows = min(height, max(1, whole(rows * ratio)))
    new_columns = min(width, max(1, whole(columns * ratio)))
    top = left = 0
    if input.align == "center":
        # The tenth is Ultralytics': an odd margin puts its extra pixel after the image.
        top = max(0, round((height - new_rows) / 2 - 0.1))
        left = max(0, round((width - new_columns) / 2 - 0.1))
    frame = np.full((height, width, 3), input.pad, dtype=np.uint8)
    resized = _resized(pixels, new_rows, new_columns, input)
    frame[top : top + new_rows, left : left + new_columns] = resized
    return frame
