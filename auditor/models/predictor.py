"""One predictor for every format and task; the engine never asks which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from auditor.findings import ModelFacts
from auditor.models.answers import Answer
from auditor.spec import InputSpec, OutputKeys


@dataclass(frozen=True)
class Prediction:
    """What a model said of n frames.

    Of a classifier: `probabilities` (n, classes) float32, whose rows sum to 1. Of others these are
    (n, 0), and `answers` has one for each frame, in the frame's pixels. `embedding` (n, d) float32
    or None.
    """

    probabilities: np.ndarray
    embedding: np.ndarray | None = None
    answers: tuple[Answer, ...] = ()

    @classmethod
    def answered(cls, answers: Sequence[Answer]) -> Prediction:
        """Of a detector or a segmenter."""
        return cls(np.zeros((len(answers), 0), dtype=np.float32), answers=tuple(answers))

    def first(self, n: int) -> Prediction:
        """Of the first `n` frames."""
        embedding = None if self.embedding is None else self.embedding[:n]
        return Prediction(self.probabilities[:n], embedding, self.answers[:n])

    def take(self, positions: np.ndarray) -> Prediction:
        """Of the frames at `positions`, in that order."""
        embedding = None if self.embedding is None else self.embedding[positions]
        answers = tuple(self.answers[i] for i in positions.tolist()) if self.answers else ()
        return Prediction(self.probabilities[positions], embedding, answers)

    @classmethod
    def joined(cls, parts: Sequence[Prediction]) -> Prediction:
        """Of the frames of all parts, in their order."""
        embeddings = [part.embedding for part in parts if part.embedding is not None]
        return cls(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate(embeddings) if embeddings else None,
            tuple(answer for part in parts for answer in part.answers),
        )


class Predictor(Protocol):
    """A loaded model. Calls are safe from several threads at once."""

    @property
    def facts(self) -> ModelFacts: ...

    @property
    def digest(self) -> str:
        """Names everything but the input that the output depends on; enters store keys.

        Model bytes, runtime version, provider, device, optimisation level, output reading.
        """
        ...

    def predict(
        self,
        frames: np.ndarray,
        *,
        input: InputSpec | None = None,
        embedding: bool = False,
        output: OutputKeys = (),
    ) -> Prediction:
        """Answer for frames (n, h, w, 3) uint8 RGB at the size of `input` (default: the spec's).

        `output` has keys of the head by which outputs are read otherwise than the spec says.
        Where outputs cannot be read with another `input` or `output` than the spec's, a
        classifier's scores are NaN and others find nothing.

        Raises ModelError when the output is not finite or not what the spec says that it is.
        """
        ...

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Gradient of logit[class] by input, for each frame, (n, 3, h, w) float32.

        Raises ModelError when the model gives none.
        """
        ...
