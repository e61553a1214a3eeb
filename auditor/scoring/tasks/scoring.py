"""What a scorer must know beside answers and truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from auditor.scoring.detection_errors import OperatingPoint


@dataclass(frozen=True)
class Scoring:
    """How many images and classes there are, and the operating point of boxes (None: no boxes)."""

    n_images: int
    n_classes: int
    at: OperatingPoint | None = None

    def key(self) -> Any:
        """As JSON has it."""
        return asdict(self)
