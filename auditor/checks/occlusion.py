"""Where a model looks: hiding one part of a frame after another, or summing gradients on the way.

Fills are defined in pixels, before any preprocessing, and the frames are answered by the same
predictor as those that are scored.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from auditor.models.predictor import Prediction, Predictor
from auditor.spec import InputSpec

Fill = Literal["mean", "grey", "blurred"]
Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

MOST_PIXELS = 2**18
"""Pixels of a batch: with more, what a layer gives no longer fits into a core's cache."""
FLAT = 1e-6
"""A map whose largest share of the score's change is below this says nothing."""


def filled(frame: Frames, fill: Fill) -> Frames:
    """What stands in for the pixels of a frame (h, w, 3) that are hidden.

    Its mean colour, mid-grey (127), or the frame blurred by an eighth of its shorter side.
    """
    if fill == "mean":
        return np.broadcast_to(np.rint(frame.mean(axis=(0, 1))).astype(np.uint8), frame.shape)
    if fill == "grey":
        return np.full_like(frame, 127)
    sigma = min(frame.shape[:2]) / 8
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(sigma)))


def windows(size: tuple[int, int], grid: int) -> list[tuple[slice, slice]]:
    """The parts of a frame of `size`, row by row: a grid without gaps or overlaps."""
    rows, columns = (np.linspace(0, side, grid + 1).round().astype(int) for side in size)
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


def hidden(frame: Frames, fill: Frames, grid: int) -> Frames:
    """The frame with each part in turn hidden, (grid * grid, h, w, 3)."""
    found = np.repeat(frame[None], grid * grid, axis=0)
    for one, where in zip(found, windows(frame.shape[:2], grid), strict=True):
        one[where] = fill[where]
    return found


def answered(model: Predictor, frames: Frames) -> Prediction:
    """The answers to frames (n, h, w, 3), some at a time."""
    step = max(1, MOST_PIXELS // (frames.shape[1] * frames.shape[2]))
    parts = [model.predict(frames[at : at + step]) for at in range(0, len(frames), step)]
    return Prediction.joined(parts)


def occlusion_map(
    model: Predictor,
    frame: Frames,
    fill: Frames,
    *,
    grid: int,
    score: Callable[[Prediction], Floats],
    before: float,
) -> Floats:
    """How much the score changes when each part is hidden, (grid, grid), from 0.

    Source: Zeiler & Fergus (2014), doi:10.1007/978-3-319-10590-1_53. `score` gives a number for
    each part's answer; `before` is that of the whole frame.
    """
    found = score(answered(model, hidden(frame, fill, grid)))
    return np.abs(before - found).reshape(grid, grid)


def gradient_map(
    model: Predictor,
    frame: Frames,
    fill: Frames,
    *,
    grid: int,
    label: int,
    input: InputSpec,
    steps: int,
) -> Floats:
    """Integrated gradients of a class's logit, summed by part, (grid, grid), from 0.

    Source: Sundararajan, Taly & Yan (2017), arXiv:1703.01365; the midpoint rule between the fill
    and the frame. The size of each pixel's share counts, whichever its sign.
    """
    whole = np.abs(integrated_gradients(model, frame, fill, label=label, input=input, steps=steps))
    parts = [whole[where].sum() for where in windows(whole.shape, grid)]
    return np.array(parts).reshape(grid, grid)


def integrated_gradients(
    model: Predictor, frame: Frames, fill: Frames, *, label: int, input: InputSpec, steps: int
) -> Floats:
    """The share of each pixel in the logit of `label` over that of the fill, (h, w); signed."""
    at = ((np.arange(steps) + 0.5) / steps)[:, None, None, None]
    change = frame.astype(np.float64) - fill
    path = np.rint(fill + at * change).astype(np.uint8)
    step = max(1, MOST_PIXELS // (frame.shape[0] * frame.shape[1]))
    labels = np.full(steps, label)
    parts = [
        model.gradients(path[i : i + step], labels[i : i + step]) for i in range(0, steps, step)
    ]
    gradient = np.concatenate(parts).mean(axis=0, dtype=np.float64).transpose(1, 2, 0)
    std = np.array(input.std if input.channels != "bgr" else input.std[::-1], dtype=np.float64)
    return np.asarray((gradient * change / (input.scale * std)).sum(axis=-1))


def is_flat(found: Floats) -> bool:
    """Whether hiding any part changes nothing, so that no share can be told."""
    return not bool(found.max() > FLAT)


def share_on(found: Floats, part: NDArray[np.bool_]) -> float:
    """The share of a map (grid, grid) that lies on `part` (h, w); a cell counts by its overlap."""
    inside = [part[where].mean() for where in windows(part.shape[:2], len(found))]
    return float((found.reshape(-1) * inside).sum() / found.sum())


def border_of(size: tuple[int, int], grid: int) -> NDArray[np.bool_]:
    """The outermost cells of a grid over a frame of `size`, (h, w)."""
    found = np.zeros(size, dtype=bool)
    for at, where in enumerate(windows(size, grid)):
        row, column = divmod(at, grid)
        found[where] = min(row, column) == 0 or max(row, column) == grid - 1
    return found
