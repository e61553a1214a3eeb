"""Chance: the random numbers of one image under one view, the same for every model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

_BANK = 1 << 20
"""Numbers drawn once and used for all images, each from a place of its own."""

Draw = Callable[[np.random.Generator, int, float], np.ndarray]


@dataclass(frozen=True)
class Chance:
    """The random numbers of an image: by the audit's seed, the image's id, and `what` is drawn.

    Of one image, `what` says which of its random numbers they are: severities of one kind share
    them, so that a curve over severities is not shaken by luck.
    """

    seed: int
    image_id: str
    what: str

    def again(self, what: str) -> Chance:
        """Other numbers of the same image."""
        return Chance(self.seed, self.image_id, f"{self.what} {what}")

    @property
    def number(self) -> int:
        """A whole number of 64 bits."""
        text = f"{self.seed}\n{self.what}\n{self.image_id}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())

    @property
    def share(self) -> float:
        """A number from 0 up to 1."""
        return self.number / 2**64

    def drawn(self, draw: Draw, shape: tuple[int, ...], how: float) -> np.ndarray:
        """Numbers in a shape, from a bank that ``draw(rng, size, how)`` makes once.

        Banks of other `how` come of the same random numbers.
        """
        bank = _bank(draw, self.seed, how)
        count = math.prod(shape)
        start = self.number % len(bank)
        if start + count > len(bank):
            return np.resize(np.concatenate([bank[start:], bank[:start]]), shape)
        return np.asarray(bank[start : start + count].reshape(shape))


@lru_cache(maxsize=24)
def _bank(draw: Draw, seed: int, how: float) -> Any:
    return draw(np.random.default_rng([seed, 0xBA]), _BANK, how)
