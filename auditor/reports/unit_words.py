"""The general word "unit" in a text, and what units are called in an audit: rooms, dishes."""

from __future__ import annotations

import re

from auditor.spec import UnitColumn

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


def unit_names(column: UnitColumn | None) -> tuple[str, str]:
    """What one unit and several are called: as stated, else by a column with a plain name."""
    if column is None:
        return "unit", "units"
    plain = column.column.removesuffix("_id").lower()
    usable = plain.isalpha() and plain.isascii() and not plain.endswith("s")
    name = column.name or (plain if usable else "unit")
    ending = "es" if name.endswith(("s", "x", "z", "ch", "sh")) else "s"
    return name, column.plural or f"{name}{ending}"
