"""Frames to try a model with before any image is read."""

from __future__ import annotations

import numpy as np

from auditor.spec import InputSpec


def probe_frames(input: InputSpec, *, n: int) -> np.ndarray:
    """The same soft noise every time, (n, h, w, 3) uint8: no channel or region is constant."""
    height, width = input.size
    rng = np.random.default_rng(0)
    return rng.integers(64, 192, size=(n, height, width, 3), dtype=np.uint8)
