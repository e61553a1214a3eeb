"""Attributes: from a column's text to the group of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.errors import DataError, SpecError
from auditor.spec import AttributeSpec

OTHER = "other"
"""The group of what is in none of the `largest` groups."""


Edges = tuple[float | None, ...] | tuple[str, ...]
"""Inner edges of quantile groups, None where two parts are one group; or names that are kept."""


@dataclass(frozen=True)
class Grouped:
    """An attribute and the group of each image, (n,) str, `MISSING_GROUP` where it has none.

    `expected` (n,) bool is False where there is a value but it is no number, lies outside the
    bins, or is not among the declared values. `edges` are the inner edges of quantile groups,
    or the names that the largest groups keep. `note` says where there are fewer groups than asked.
    """

    attribute: Attribute
    groups: np.ndarray
    expected: np.ndarray
    edges: Edges | None = None
    note: str = ""


def group_images(
    text: pd.Series,
    *,
    name: str,
    spec: AttributeSpec,
    edges: Edges | None = None,
) -> Grouped:
    """Group a column's text (missing: NaN) as the spec says.

    Bins hold their lower edge, the last one its upper edge too. Quantile groups are cut at the
    data's own quantiles unless `edges` (another split's) are given; values that tie at an edge
    stay together, and parts that have no image of their own are one group with the part that has
    (``q1-3of4``). The largest groups are likewise those of the data, or `edges`. Otherwise the text
    itself is the group.
    """
    if spec.bins is not None:
        return _by_bins(text, name=name, spec=spec, bins=spec.bins)
    if spec.quantiles is not None:
        return _by_quantiles(text, name=name, spec=spec, parts=spec.quantiles, edges=edges)
    if spec.largest is None:
        return _by_text(text, name=name, spec=spec)
    kept = largest_groups(text, spec.largest) if edges is None else tuple(map(str, edges))
    pooled = text.where(text.isin(kept) | text.isna(), OTHER)
    # What is declared is held against the values as they are written, not against `OTHER`.
    expected = _by_text(text, name=name, spec=spec).expected
    return replace(_by_text(pooled, name=name, spec=spec), expected=expected, edges=kept)


def largest_groups(text: pd.Series, most: int) -> tuple[str, ...]:
    """The values that most images have, at most so many; of equally large ones the first by name.

    What is written as ``other`` is among the others, however many images have it.

    Examples
    --------
    >>> largest_groups(pd.Series(["b", "a", "c", "b", "a", None, "other", "other"]), 2)
    ('a', 'b')
    """
    counts = text[text != OTHER].value_counts()
    return tuple(sorted(counts.index.astype(str), key=lambda value: (-counts[value], value))[:most])


def bin_names(bins: Sequence[float]) -> tuple[str, ...]:
    """Names of bins by their edges, as ``18-40``.

    Examples
    --------
    >>> bin_names([0, 18, 40.5])
    ('0-18', '18-40.5')
    >>> bin_names([-10, 0, 10])
    ('-10 to 0', '0 to 10')
    >>> bin_names([20260101, 20260102, 20260103])
    ('20260101-20260102', '20260102-20260103')
    """
    joint = " to " if min(bins) < 0 else "-"
    return tuple(f"{edge(low)}{joint}{edge(high)}" for low, high in pairwise(bins))


def bin_words(bins: Sequence[float]) -> Mapping[str, str]:
    """The names of bins as readers are shown them, which say where a number at an edge belongs.

    Examples
    --------
    >>> bin_words([0, 18, 40.5])
    {'0-18': '0 to below 18', '18-40.5': '18 to 40.5'}
    """
    last = len(bins) - 2
    return {
        name: f"{edge(low)} to {'' if place == last else 'below '}{edge(high)}"
        for place, (name, (low, high)) in enumerate(
            zip(bin_names(bins), pairwise(bins), strict=True)
        )
    }


def edge(number: float) -> str:
    """An edge in as many digits as tell it from every other: equal names would join two bins.

    Examples
    --------
    >>> edge(40.0), edge(0.1 + 0.2), edge(1234567.5)
    ('40', '0.30000000000000004', '1234567.5')
    """
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def _by_bins(
    text: pd.Series, *, name: str, spec: AttributeSpec, bins: tuple[float, ...]
) -> Grouped:
    if len(bins) < 2:
        raise SpecError(
            f"data.attributes.{name}.bins is {list(bins)}; give at least two edges, as in "
            f"`bins: [0, 18, 65, 120]`."
        )
    numbers = _numbers(text)
    inside = (numbers >= bins[0]) & (numbers <= bins[-1])
    place = np.minimum(np.searchsorted(bins, numbers, side="right") - 1, len(bins) - 2)
    names = bin_names(bins)
    groups = np.array([*names, MISSING_GROUP], dtype=object)[np.where(inside, place, len(names))]
    return Grouped(
        attribute=_attribute(name, spec, groups=names, numeric=True),
        groups=groups,
        expected=inside | text.isna().to_numpy(),
    )


def _by_quantiles(
    text: pd.Series,
    *,
    name: str,
    spec: AttributeSpec,
    parts: int,
    edges: Edges | None,
) -> Grouped:
    numbers = _numbers(text)
    known = np.isfinite(numbers)
    is_own = edges is None
    if edges is None:
        edges = _quantile_edges(numbers[known], text, name=name, parts=parts)
    at = [place for place, cut in enumerate(edges, start=1) if cut is not None]
    names = tuple(_part_name(low + 1, high, parts) for low, high in pairwise([0, *at, parts]))
    inner = [float(cut) for cut in edges if cut is not None]
    place = np.searchsorted(inner, numbers, side="right")
    groups = np.array([*names, MISSING_GROUP], dtype=object)[np.where(known, place, len(names))]
    return Grouped(
        attribute=_attribute(name, spec, groups=names, numeric=True),
        groups=groups,
        expected=known | text.isna().to_numpy(),
        edges=edges,
        note=_joined_note(name, names, edges, parts) if is_own else "",
    )


def _joined_note(name: str, groups: Sequence[str], edges: Edges, parts: int) -> str:
    """That fewer quantile groups stand than were asked for, and of which numbers each is."""
    cuts = [edge(float(cut)) for cut in edges if cut is not None]
    if len(cuts) == parts - 1:
        return ""
    ranges = (f"below {cuts[0]}", *(f"{low} to below {high}" for low, high in pairwise(cuts)))
    named = zip(groups, (*ranges, f"{cuts[-1]} and more"), strict=True)
    return (
        f"Attribute {name}: {parts} quantile groups were asked for and {len(cuts) + 1} stand, "
        f"because equal values stay together: "
        f"{', '.join(f'{group} ({numbers})' for group, numbers in named)}."
    )


def _part_name(first: int, last: int, parts: int) -> str:
    return f"q{first}of{parts}" if first == last else f"q{first}-{last}of{parts}"


def _quantile_edges(
    numbers: np.ndarray, text: pd.Series, *, name: str, parts: int
) -> tuple[float | None, ...]:
    """Inner edges of quantile groups, (parts - 1,): None where two parts are one.

    Equal values are never parted, so that a part may have no image of its own. The least value
    would leave nothing below it as an edge: the next one is the edge in its place.
    """
    values = np.unique(numbers)
    if not len(values):
        raise DataError(
            f"data.attributes.{name}: quantiles need numbers, and no test image has one "
            f"(the column holds {sorted(set(text.dropna()))[:3]}). Drop `quantiles`, or name "
            f"a column of numbers."
        )
    if len(values) == 1:
        raise DataError(
            f"data.attributes.{name}: every number of the test images is {edge(values[0])}, which "
            f"quantiles cannot part into two groups. Drop `quantiles`, or name a column of numbers "
            f"that differ."
        )
    cuts = np.quantile(numbers, np.arange(1, parts) / parts)
    below = np.searchsorted(values, cuts, side="left")
    least = below == 0
    cuts, below = np.where(least, values[1], cuts), np.maximum(below, 1)
    kept: list[float | None] = [None] * len(cuts)
    for n in np.unique(below):
        same = np.flatnonzero(below == n)
        # Of the least value's own parts it is the last that ends with it.
        ends = same[least[same]]
        at = int(ends[-1] if len(ends) else same[0])
        kept[at] = float(cuts[at])
    return tuple(kept)


def _by_text(text: pd.Series, *, name: str, spec: AttributeSpec) -> Grouped:
    codes, names = pd.factorize(text)
    seen = set(names)
    # The last, at -1, stands for a missing value; each name is held once.
    groups = np.array([*names, MISSING_GROUP], dtype=object)[codes]
    declared = tuple(spec.values or ())
    others = (seen | set(spec.population or ())) - set(declared)
    attribute = _attribute(name, spec, groups=(*declared, *_in_order(others)), numeric=False)
    expected = np.ones(len(text), dtype=bool)
    if declared:
        expected = (text.isin(declared) | text.isna()).to_numpy()
    return Grouped(attribute=attribute, groups=groups, expected=expected)


def _attribute(
    name: str, spec: AttributeSpec, *, groups: tuple[str, ...], numeric: bool
) -> Attribute:
    strangers = sorted(set(spec.population or ()) - set(groups))
    if strangers:
        raise SpecError(
            f"data.attributes.{name}.population names {strangers[0]!r}, which is none of its "
            f"groups ({', '.join(groups)}). Use the groups' names."
        )
    return Attribute(
        name=name,
        role=spec.role,
        groups=groups,
        population=dict(spec.population) if spec.population is not None else None,
        numeric=numeric,
        special_category=spec.special_category,
        source=spec.source,
    )


def _in_order(groups: set[str]) -> list[str]:
    """Numbers by size, else alphabetically."""
    numbers = _numbers(pd.Series(sorted(groups), dtype="str"))
    if np.isfinite(numbers).all():
        return sorted(groups, key=lambda g: (float(g), g))
    return sorted(groups)


def _numbers(text: pd.Series) -> np.ndarray:
    """Numbers (n,) float64, NaN where the text is none or is infinite."""
    found = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def value_rule(spec: AttributeSpec) -> str:
    """What is expected of a value of an attribute, "" for nothing."""
    if spec.bins is not None:
        return f"a value is a number from {edge(spec.bins[0])} to {edge(spec.bins[-1])}"
    if spec.quantiles is not None:
        return "a value is a number"
    return f"a value is one of {', '.join(spec.values)}" if spec.values else ""
