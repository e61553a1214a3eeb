"""Operating conditions: the range that a system must work in, as the spec declares it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from auditor.spec.spec_part import SpecPart

Level = Annotated[float, Field(ge=0, le=255)]


class ConditionsSpec(SpecPart):
    """What images a system must work with where it runs; None where nothing is declared.

    `brightness` are the lowest and the highest mean value of an image (0 to 255), `jpeg` is the
    lowest quality (1 to 100), `noise` the largest standard deviation of a value (of 255), `blur`
    that of a blur in pixels of the model's input, `resolution` the smallest share of the input's
    sides that a camera's picture has.
    """

    brightness: tuple[Level, Level] | None = None
    jpeg: Annotated[float, Field(ge=1, le=95)] | None = None
    noise: Annotated[float, Field(gt=0, le=128)] | None = None
    blur: Annotated[float, Field(gt=0, le=100)] | None = None
    resolution: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.brightness is not None and self.brightness[0] >= self.brightness[1]:
            raise ValueError(
                f"brightness is {list(self.brightness)}; give the lowest and the highest mean "
                "value, as in [40, 220]"
            )
        return self

    def places(self) -> Iterator[tuple[str, float]]:
        """Places to look at within each range, from its harmless end to the declared one."""
        if self.brightness is not None:
            low, high = self.brightness
            yield from (("brightness", low + (high - low) * i / 4) for i in range(5))
        for name, harmless in _HARMLESS.items():
            end: float | None = getattr(self, name)
            if end is not None:
                steps = [harmless + (end - harmless) * i / _STEPS for i in range(1, _STEPS + 1)]
                yield from ((name, round(at, 4)) for at in steps)


_HARMLESS = {"jpeg": 95.0, "noise": 0.0, "blur": 0.0, "resolution": 1.0}
_STEPS = 3
