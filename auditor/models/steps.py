"""Batches of the size that a model takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from auditor.models.predictor import Prediction


def predict_in_steps(
    frames: np.ndarray, *, step: int | None, answer: Callable[[np.ndarray], Prediction]
) -> Prediction:
    """`answer` for frames (n, ...), at least one, in batches of exactly `step` (None: all at once).

    The last batch is filled up with its last frame, and what is answered for that dropped.
    """
    size = step or len(frames)
    parts = [_one(frames[at : at + size], size, answer) for at in range(0, len(frames), size)]
    return Prediction.joined(parts)


def _one(frames: np.ndarray, size: int, answer: Callable[[np.ndarray], Prediction]) -> Prediction:
    n = len(frames)
    if n == size:
        return answer(frames)
    return answer(np.concatenate([frames, np.repeat(frames[-1:], size - n, axis=0)])).first(n)


def no_answers(n_classes: int, *, width: int | None) -> Prediction:
    """The answer for no frames; `width` is the embedding's, None where none is asked for."""
    empty = np.empty((0, n_classes), dtype=np.float32)
    return Prediction(empty, None if width is None else np.empty((0, width), dtype=np.float32))
