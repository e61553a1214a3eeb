"""The general word "unit" in a text, and what units are called in an audit: rooms, dishes."""

from __future__ import annotations

import re

_UNITS = re.compile(r"(?<![\w.`-])(?:([Aa]) )?([Uu])nit(s?)(?![\w`:-])")


def says_unit(text: str) -> bool:
    """Whether a text holds the word."""
    return _UNITS.search(text) is not None


def with_units(text: str, *, unit: str, units: str) -> str:
    """A text with `unit` and `units` in the place of the word, its article to match.

    Examples
    --------
    >>> with_units("Units differ: a unit is one of 12 units.", unit="aisle", units="aisles")
    'Aisles differ: an aisle is one of 12 aisles.'
    """

    def called(found: re.Match[str]) -> str:
        article, first, several = found.groups()
        name = units if several else unit
        said = f"{name[:1].upper()}{name[1:]}" if first == "U" else name
        return f"{article}{'n' * (name[:1] in 'aeiou')} {said}" if article else said

    return _UNITS.sub(called, text)
