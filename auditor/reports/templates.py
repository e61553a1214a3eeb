"""Where templates, style sheets and fonts lie: in the wheel, or in a checkout."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def template_folder() -> Path:
    """The folder of templates; a wheel carries it inside the package, a checkout beside it."""
    inside = _PACKAGE / "templates"
    return inside if inside.is_dir() else _PACKAGE.parent / "templates"


def template_text(name: str) -> str:
    """The text of a file under the folder of templates."""
    return (template_folder() / name).read_text(encoding="utf-8")


def font_path(name: str) -> Path:
    """A bundled font by its file name without ending, such as ``AuditorSans-Bold``."""
    return template_folder() / "fonts" / f"{name}.ttf"


def font_data_uri(name: str) -> str:
    """A bundled font as a ``data:`` address, so that a style sheet needs no file."""
    encoded = base64.b64encode(font_path(name).read_bytes()).decode("ascii")
    return f"data:font/ttf;base64,{encoded}"


@cache
def environment() -> Environment:
    """Jinja as all reports use it: escaping on, and an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(template_folder()),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["prose"] = prose
    found.filters["breakable"] = breakable
    return found


def breakable(name: str) -> Markup:
    """An id that a narrow cell may break after a sign, not within a word."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[:_/])(?=\w)", "<wbr>", str(escape(name))))


def prose(text: str, *, emphasis: bool = False) -> Markup:
    """A text with what stands between backticks as code, and all else escaped.

    `emphasis` also reads ``*word*``, as docstrings have it; names from outside may hold stars.
    """
    from markupsafe import Markup, escape

    said = re.sub(r"(`{1,2})([^`]+)\1", r"<code>\2</code>", str(escape(text)))
    if emphasis:
        said = re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<em>\1</em>", said)
    return Markup(said)
