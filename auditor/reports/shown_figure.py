"""Pictures and texts with the names that readers are shown in place of a manifest's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from auditor.findings import Axis, Cell, Figure
from auditor.reports.telling import Telling

_PAIRS = re.compile(r"[\w-]+=[^=,]+(?:, [\w-]+=[^=,]+)*")
"""How checks write a group of several attributes."""


def shown_figure(figure: Figure, telling: Telling) -> Figure:
    """A figure whose words name attributes, groups and classes as readers are shown them."""
    return replace(
        figure,
        title=shown_words(figure.title, telling),
        caption=shown_words(figure.caption, telling),
        alt=shown_words(figure.alt, telling),
        x=_axis(figure.x, telling),
        y=_axis(figure.y, telling),
        rows=tuple(_row(row, telling) for row in figure.rows),
    )


def _axis(axis: Axis, telling: Telling) -> Axis:
    return replace(axis, label=shown_words(axis.label, telling))


def _row(row: Mapping[str, Cell], telling: Telling) -> Mapping[str, Cell]:
    return {
        key: shown_words(cell, telling) if isinstance(cell, str) else cell
        for key, cell in row.items()
    }


def shown_words(text: str, telling: Telling) -> str:
    """A text with each name of the data that has one to display in its place, units by theirs.

    A name that is a word of its own language (``new``, ``single``) is replaced where it is the
    whole text alone; one that only a manifest would write (``room_type``), wherever it stands.
    """
    whole = telling.display.get(text)
    if whole is not None:
        return whole
    if _PAIRS.fullmatch(text):
        pairs = [(key, said) for key, _, said in (p.partition("=") for p in text.split(", "))]
        if {key for key, _ in pairs} <= {"class", *telling.attributes}:
            return ", ".join(_named(key, said, telling) for key, said in pairs)
    for name in sorted(telling.attributes):
        if f" ({name})" in text:
            text = _groups_named(text, name, telling)
        if name in telling.display and not name.isalpha():
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", telling.shown(name), text)
        text = re.sub(rf"(?<=groups of ){re.escape(name)}(?![\w-])", telling.shown(name), text)
    return telling.with_units(_bins_named(text, telling))


def _named(key: str, said: str, telling: Telling) -> str:
    """A pair of a subject: ``phone=old`` as that group is named, ``class=serious`` in quotes."""
    if key in telling.attributes:
        return telling.named(key, said)
    return f"“{telling.shown_of(key, said)}”"


def _groups_named(text: str, attribute: str, telling: Telling) -> str:
    """A text with ``old (phone)`` as that group is named where it stands alone."""

    def named(found: re.Match[str]) -> str:
        return telling.named(attribute, found[1])

    return re.sub(rf"([\w.-]+) \({re.escape(attribute)}\)", named, text)


def _bins_named(text: str, telling: Telling) -> str:
    """A text with bins in the words that say what they hold.

    A name stands here without its attribute: where two attributes cut it differently, it stays.
    """
    found: dict[str, set[str]] = {}
    for pair, words in telling.bins.items():
        found.setdefault(pair.rpartition("=")[2], set()).add(words)
    for name, (words, *others) in found.items():
        if not others:
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\d)", words, text)
    return text
