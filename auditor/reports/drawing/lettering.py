"""How wide a text is in the report's font, and texts cut or broken to a width.

The font is a wide one: where a browser puts another in its place, texts become narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import ImageFont

from auditor.reports.drawing.svg import SIZE
from auditor.reports.templates import font_path

_EM = 1000
_FIRST_WIDE = "\u2e80"
"""From here on (Chinese, Japanese, Korean; emoji) the font has no letters; others are an em."""


@cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    path = font_path("AuditorSans-Bold" if bold else "AuditorSans-Regular")
    return ImageFont.truetype(path, _EM, layout_engine=ImageFont.Layout.BASIC)


@cache
def _advance(letter: str, bold: bool) -> float:
    return 1.0 if letter >= _FIRST_WIDE else _font(bold).getlength(letter) / _EM


def text_width(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Width of a line of text in points; kerning is left out."""
    return size * sum(_advance(letter, bold) for letter in text)


def widest(texts: Sequence[str], size: float = SIZE) -> float:
    """Width of the widest of some texts, 0 of none."""
    return max((text_width(text, size) for text in texts), default=0.0)


def fitted(text: str, width: float, size: float = SIZE, *, bold: bool = False) -> str:
    """`text`, or as much of its start as fits into `width` with an ellipsis."""
    if text_width(text, size, bold=bold) <= width:
        return text
    while text and text_width(f"{text}…", size, bold=bold) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, width: float, size: float, *, lines: int, bold: bool = False) -> list[str]:
    """`text` in at most so many lines of `width`, broken between words."""
    found: list[str] = []
    rest = text.split()
    while rest and len(found) < lines - 1:
        n = 1
        while n < len(rest) and text_width(" ".join(rest[: n + 1]), size, bold=bold) <= width:
            n += 1
        found.append(fitted(" ".join(rest[:n]), width, size, bold=bold))
        rest = rest[n:]
    return [*found, fitted(" ".join(rest), width, size, bold=bold)] if rest else found
