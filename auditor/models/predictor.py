"""One predictor for every format; the engine never asks which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from auditor.findings import ModelFacts
from auditor.spec import InputSpec


@dataclass(frozen=True)
class Prediction:
    """Probabilities (n, classes) float32, rows sum to 1; embedding (n, d) float32 or None."""

    probabilities: np.ndarray
    embedding: np.ndarray | None


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
    ) -> Prediction:
        """Answer for frames (n, h, w, 3) uint8 RGB at the size of `input` (default: the spec's).

        Raises ModelError when the output is not finite or has another class count than the spec.
        """
        ...

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Gradient of logit[class] by input, for each frame, (n, 3, h, w) float32.

        Raises ModelError when the model gives none.
        """
        ...
