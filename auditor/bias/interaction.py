"""What a group formed by several attributes shows beyond its parents.

Whoever is old and dark is compared with what old alone, dark alone and neither would lead one
to expect if effects added up: the contrast of additive interaction (Rothman, Greenland & Lash
2008, "Modern Epidemiology", ch. 5; VanderWeele & Knol 2014, doi:10.1515/em-2013-0005)::

    expected = p(old, not dark) + p(not old, dark) - p(neither)
    beyond   = p(old and dark) - expected

and with three attributes alike, everything below the three together being the parents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from auditor.scoring.comparison import has_few_units
from auditor.stats import interval, rate, value


@dataclass(frozen=True)
class BeyondParents:
    """The rate that parents would lead one to expect, and the cell's own minus that.

    `expected` is not held to [0, 1]; `low` and `high` are the 95% interval of `beyond`.
    """

    expected: float
    beyond: float
    low: float
    high: float


def beyond_parents(
    success: np.ndarray, *, members: Sequence[np.ndarray], unit: np.ndarray | None
) -> BeyondParents | None:
    """The contrast of the images in all of `members` ((n,) masks, one for each attribute).

    None where one of the parts compared (each combination of in and out) has fewer than ten
    units. The interval combines Wilson intervals of the parts (Zou, Huang & Zhang 2009,
    doi:10.1016/j.csda.2008.09.033), units respected within each; a unit with images in several
    parts mostly makes it too wide.
    """
    point, below, above = 0.0, 0.0, 0.0
    own = 0.0
    for inside in product((True, False), repeat=len(members)):
        part = np.logical_and.reduce(
            [m if within else ~m for m, within in zip(members, inside, strict=True)]
        )
        if has_few_units(part, unit):
            return None
        found = rate(success[part], unit=None if unit is None else unit[part])
        ends, p = interval(found), value(found)
        sign = -1 if inside.count(False) % 2 else 1
        own = p if all(inside) else own
        point += sign * p
        down, up = p - ends.low, ends.high - p
        below += (down if sign > 0 else up) ** 2
        above += (up if sign > 0 else down) ** 2
    return BeyondParents(own - point, point, point - math.sqrt(below), point + math.sqrt(above))
