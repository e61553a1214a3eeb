"""A group's rate beside another's: units on each side, details for a reader, plain words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.data.image_names import ImageNames
from auditor.findings import Subject, Unmeasured
from auditor.stats.codes import codes_of, distinct

MIN_UNITS = 10
"""Fewer independent units than this on a side give no measure (`auditor.judging.judge` agrees)."""

MAX_EXAMPLES = 12
"""Image ids a measure names at most."""

_GLANCE = 4096
_MOST_PLACES = 8
"""Places a row that a table by group and unit may have; beyond that it is sorted for."""


def count_units(member: np.ndarray, unit: np.ndarray | None) -> int:
    """Independent units under a mask (n,); images where `unit` is None."""
    return int(member.sum()) if unit is None else distinct(unit[member])


def has_few_units(member: np.ndarray, unit: np.ndarray | None) -> bool:
    """Whether there are fewer than `MIN_UNITS` independent units under a mask (n,)."""
    # The first rows mostly hold enough, and the others need not be looked at.
    first = slice(_GLANCE)
    if count_units(member[first], None if unit is None else unit[first]) >= MIN_UNITS:
        return False
    return count_units(member, unit) < MIN_UNITS


def units_by_group(of: np.ndarray, unit: np.ndarray, *, groups: int) -> np.ndarray:
    """Independent units of each group, (groups,); `of` and `unit` (n,) whole numbers from 0."""
    width = int(unit.max(initial=0)) + 1
    places = of * width + unit
    if groups * width > _MOST_PLACES * len(of):
        found: np.ndarray = np.bincount(np.unique(places) // width, minlength=groups)
        return found
    table = np.bincount(places, minlength=groups * width).reshape(groups, width)
    return np.asarray(np.count_nonzero(table, axis=1))


def unit_codes(names: np.ndarray) -> np.ndarray:
    """An integer for each name, (n,) in the order of `names`; numbers are ordered as text."""
    codes = codes_of(names)
    if names.dtype == object:
        return codes
    seen = np.empty(int(codes.max(initial=-1)) + 1, dtype=names.dtype)
    seen[codes] = names
    ordered: np.ndarray = codes_of(seen.astype(str))[codes]
    return ordered


def too_few(
    name: str, subject: Subject, *, sides: Mapping[str, int], noun: str = "images"
) -> Unmeasured | None:
    """Why there is no measure when a side has fewer than `MIN_UNITS` units; else None.

    `sides` maps a description of each side ("building=old") to its units, `noun` says what the
    units are.
    """
    short = {side: found for side, found in sides.items() if found < MIN_UNITS}
    if not short:
        return None
    had = " and ".join(f"{_counted(n, noun)}{_of(side, noun)}" for side, n in short.items())
    more = " and ".join(
        f"{_counted(MIN_UNITS - n, f'more {noun}')}{_of(side, noun)}" for side, n in short.items()
    )
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"Too few to compare: {had}, and a rate of fewer than {MIN_UNITS} says nothing.",
        remedy=f"Collect at least {more}; a verdict will need more than that.",
    )


def _of(side: str, noun: str) -> str:
    """A side after a number of its units; one that is called as they are says so once."""
    return side.removeprefix(noun) if side.startswith(f"{noun} ") else f" of {side}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun.removesuffix('s') if n == 1 else noun}"


def percent(share: float) -> str:
    """A share in per cent without its sign, with a decimal where it is within 1% of an end."""
    shown = 100 * share
    near_end = 0.05 <= abs(shown) < 0.95 or 99.05 < shown <= 99.95
    return f"{shown:.1f}" if near_end else f"{shown + 0.0:.0f}"


def points(share: float) -> str:
    """A difference in percentage points, with a decimal below 2; never "-0"."""
    shown = 100 * share
    text = f"{shown:.1f}" if 0.05 <= abs(shown) < 1.95 else f"{shown:.0f}"
    return "0" if text == "-0" else text


def worst_first(
    image_ids: ImageNames | np.ndarray,
    *,
    badness: np.ndarray,
    among: np.ndarray | None = None,
    places: np.ndarray | None = None,
) -> tuple[str, ...]:
    """Ids of the images under the mask `among` (all, where None), largest `badness` (n,) first.

    At most `MAX_EXAMPLES`. `places` (n,) say which of `image_ids` are meant, where not all are.
    """
    found = None if among is None else np.flatnonzero(among)
    order = _largest_first(badness if found is None else badness[found])
    order = order if found is None else found[order]
    order = order if places is None else places[order]
    return tuple(str(image_id) for image_id in image_ids[order])


def _largest_first(values: np.ndarray) -> np.ndarray:
    """Where the `MAX_EXAMPLES` largest values stand, the first of equals first; NaN come last."""
    falling = -values
    if len(falling) > MAX_EXAMPLES:
        # Few are asked for: to sort a million takes an array of their places and many passes.
        last = np.partition(falling, MAX_EXAMPLES - 1)[MAX_EXAMPLES - 1]
        if not np.isnan(last):
            near = np.flatnonzero(falling <= last)
            return near[np.argsort(falling[near], kind="stable")][:MAX_EXAMPLES]
    return np.argsort(falling, kind="stable")[:MAX_EXAMPLES]
