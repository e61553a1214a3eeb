"""SVG as text: everything escaped, ids of its own, a name for those who do not see it.

All looks are attributes: WeasyPrint reads no style sheet of the page inside a picture.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from auditor.findings import Figure

WIDTH = 497.0
"""Of every picture, in points: the text width of an A4 page."""

INK, SOFT, RULE, PAPER = "#1d2733", "#5c6773", "#c3cad1", "#ffffff"
SHADE = "#20262c"
"""Of the cells of a heat map, more or less of it."""
SIZE, SMALL = 8.5, 7.5
"""Sizes of letters, in points."""

FAMILY = "Auditor Sans,system-ui,Segoe UI,Helvetica Neue,Arial,sans-serif"
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""What turns the order of all that follows: in a name it makes the rest of a line read as a lie."""

Point = tuple[float, float]
Look = dict[str, str | float]
"""Attributes of an element; `stroke_width` is ``stroke-width``."""


class Picture:
    """Elements in the order in which they are drawn; lengths in points from the top left."""

    def __init__(self, figure: Figure) -> None:
        self._name = f"{figure.title}. {figure.alt}"
        self._prefix = f"f{_short_digest(figure.id)}-"
        self._patterns: dict[str, str] = {}
        self._body: list[str] = []

    def path(self, steps: str | Iterable[str], **look: str | float) -> None:
        """Draw what `steps` make together; look as of `attributes`, filled with nothing."""
        joined = steps if isinstance(steps, str) else "".join(steps)
        if joined:
            full: Look = {"fill": "none", **look}
            self._body.append(f'<path d="{joined}"{_attributes(full)}/>')

    def text(self, x: float, y: float, text: str, **look: str | float) -> None:
        """Write at (`x`, `y`), the left end of the line that letters stand on."""
        if text:
            place = f'x="{short(x)}" y="{short(y)}"'
            self._body.append(f"<text {place}{_attributes(look)}>{escape(xml_text(text))}</text>")

    def texts(self, written: Sequence[tuple[float, float, str]], **look: str | float) -> None:
        """Write several texts of one look."""
        self._body.append(f"<g{_attributes(look)}>")
        for x, y, text in written:
            self.text(x, y, text)
        self._body.append("</g>")

    def pattern(self, name: str, size: float, content: str) -> str:
        """The paint made of tiles with this content, to `fill` with; one a name."""
        identifier = f"{self._prefix}{name}"
        self._patterns[name] = (
            f'<pattern id="{identifier}" width="{short(size)}" height="{short(size)}" '
            f'patternUnits="userSpaceOnUse">{content}</pattern>'
        )
        return f"url(#{identifier})"

    def document(self, height: float) -> str:
        """The picture as an SVG document, `WIDTH` wide and transparent."""
        size = f"{short(WIDTH)} {short(height)}"
        defs = f"<defs>{''.join(self._patterns.values())}</defs>" if self._patterns else ""
        look = _attributes({"font_family": FAMILY, "font_size": SIZE, "fill": INK})
        return (
            f'<svg {NAMESPACE} width="{short(WIDTH)}pt" '
            f'height="{short(height)}pt" viewBox="0 0 {size}" role="img" '
            f'aria-labelledby="{self._prefix}title"{look}>'
            f'<title id="{self._prefix}title">{escape(xml_text(self._name))}</title>'
            f"{defs}{''.join(self._body)}</svg>\n"
        )


def _attributes(look: Look) -> str:
    """``stroke_width=1`` as `` stroke-width="1"``; values are never from outside."""
    return "".join(
        f' {name.replace("_", "-")}="{value if isinstance(value, str) else short(value)}"'
        for name, value in look.items()
    )


def short(length: float) -> str:
    """A length to a tenth of a point; finer is not seen."""
    text = f"{length:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def across(left: float, right: float, y: float) -> str:
    """The step of a path that draws a level line."""
    return f"M{short(left)} {short(y)}H{short(right)}"


def down(x: float, top: float, bottom: float) -> str:
    """The step of a path that draws an upright line."""
    return f"M{short(x)} {short(top)}V{short(bottom)}"


def box(left: float, top: float, right: float, bottom: float) -> str:
    """The step of a path that draws a rectangle."""
    return f"M{short(left)} {short(top)}H{short(right)}V{short(bottom)}H{short(left)}z"


def through(points: Iterable[Point]) -> str:
    """The step of a path that draws a line through points."""
    # Steps from point to point, counted in tenths so that no rounding adds up: shorter by a third.
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    if not tenths:
        return ""
    (x, y), steps = tenths[0], pairwise(tenths)
    turns = [part / 10 for a, b in steps for part in (b[0] - a[0], b[1] - a[1])]
    return f"M{short(x / 10)} {short(y / 10)}" + (f"l{joined(map(short, turns))}" if turns else "")


def joined(numbers: Iterable[str]) -> str:
    """Numbers of a path side by side: a minus sign parts two of them as well as a space does."""
    return " ".join(numbers).replace(" -", "-")


def xml_text(text: str) -> str:
    """`text` with control characters, lone surrogates and marks that turn its order replaced."""
    return _TURNING.sub("\ufffd", _NOT_XML.sub("\ufffd", text))


def figure_file_name(figure_id: str) -> str:
    """The file name of a figure under ``figures/``: its id made plain, and a digest of it."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._") else "-" for c in figure_id)
    return f"{plain[:80]}-{_short_digest(figure_id)}.svg"


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:8]
