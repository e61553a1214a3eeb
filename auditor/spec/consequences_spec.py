"""What an answer does to people, as the spec states it: adverse classes, costs, who bears them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.spec.spec_part import SpecPart

NOTHING = "nothing"
"""In costs of a detector's or segmenter's errors: the absence of an object."""


Cost = Annotated[float, Field(ge=-1e15, le=1e15)]
"""A cost whose square, and the sum of a few, are numbers yet; below 0 is a gain."""


class CostsSpec(SpecPart):
    """Cost of an error as ``{true class: {answered class: cost}}``; what is absent costs 0.

    Of a detector or segmenter, ``{pothole: {nothing: cost}}`` is that of missing a pothole, and
    ``{nothing: {pothole: cost}}`` that of a false alarm.
    """

    unit: str
    matrix: dict[str, dict[str, Cost]]


class ConsequencesSpec(SpecPart):
    """What an answer does to people: adverse classes, costs, and who bears them."""

    adverse: tuple[str, ...] = ()
    costs: CostsSpec | None = None
    borne_by: dict[str, str] = Field(default_factory=dict)
    """Class answered -> who bears a wrong answer of that class, in words; of a detector or
    segmenter also ``nothing`` answered -> who bears that something is missed."""
    when_wrong: str | None = None
    appeal: str | None = None
