"""Operating conditions: a frame brought to a place in a range that the model must work in.

Unlike a corruption's severity, the place is a number that can be read off an image or a setting of
a camera: a mean brightness, a JPEG quality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter

from auditor.data.chance import Chance
from auditor.data.corruptions import gaussian_noise, jpeg, low_resolution
from auditor.data.pixels import Frame, mapped


def exposed(frame: Frame, level: float, chance: Chance) -> Frame:
    """Exposed longer or shorter, so that its mean value is `level` (0 to 255).

    Every value is multiplied by one number and cut at white, as an exposure does.
    """
    counts = np.bincount(frame.ravel(), minlength=256)
    values = np.arange(256)
    low, high = 0.0, 255.0
    for _ in range(30):
        gain = (low + high) / 2
        dark = counts @ np.minimum(values * gain, 255) < level * frame.size
        low, high = (gain, high) if dark else (low, gain)
    return mapped(frame, np.minimum(values * high, 255))


def stored(frame: Frame, quality: float, chance: Chance) -> Frame:
    """Stored as a JPEG of `quality` (1 to 100)."""
    return jpeg(frame, round(quality), chance)


def noisy(frame: Frame, sd: float, chance: Chance) -> Frame:
    """With normal noise of `sd` values (0 to 255)."""
    return gaussian_noise(frame, sd / 255, chance)


def blurred(frame: Frame, sd: float, chance: Chance) -> Frame:
    """Blurred by a normal law of `sd` pixels of the model's frame."""
    if math.isclose(sd, 0, abs_tol=1e-9):
        return frame
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(sd)))


def reduced(frame: Frame, share: float, chance: Chance) -> Frame:
    """As from a camera with a `share` of the pixels that a side of the frame has."""
    return low_resolution(frame, share, chance)


CONDITIONS: Mapping[str, Callable[[Frame, float, Chance], Frame]] = {
    "brightness": exposed,
    "jpeg": stored,
    "noise": noisy,
    "blur": blurred,
    "resolution": reduced,
}
"""What brings a frame to a place in the range of a condition, by its name in the spec."""
