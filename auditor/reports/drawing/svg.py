"""A drawn picture made fit to stand in a page: ids of its own, a name, nothing superfluous."""

from __future__ import annotations

import base64
import hashlib
import re
from xml.sax.saxutils import escape

from auditor.findings import Figure

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """`text` with what XML cannot hold (control characters, lone surrogates) replaced."""
    return _NOT_XML.sub("\ufffd", text)


def finished_svg(drawn: str, figure: Figure) -> str:
    """An SVG document without prologue and comments, ids prefixed, title and `alt` as its name."""
    body = drawn[drawn.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    prefix = f"f{_short_digest(figure.id)}-"
    body = re.sub(r'\b(id|xlink:href)="(#?)([^"]+)"', rf'\1="\2{prefix}\3"', body)
    body = body.replace("url(#", f"url(#{prefix}")
    body = re.sub(r"\n[ \n]*", "\n", body)
    name = escape(xml_text(f"{figure.title}. {figure.alt}"))
    opening, rest = body.split(">", 1)
    opening += f' role="img" aria-labelledby="{prefix}title"'
    return f'{opening}>\n<title id="{prefix}title">{name}</title>{rest}'


def svg_data_uri(svg: str) -> str:
    """A picture as a ``data:`` address: nothing in it can touch the page it stands in."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def figure_file_name(figure_id: str) -> str:
    """The file name of a figure under ``figures/``: its id made plain, and a digest of it."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._") else "-" for c in figure_id)
    return f"{plain[:80]}-{_short_digest(figure_id)}.svg"


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:8]
