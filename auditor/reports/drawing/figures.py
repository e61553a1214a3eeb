"""A figure's data as an SVG picture: the one place where pictures are drawn.

Texts stay texts, in the report's font or one that the reader has; series differ in marker, line
and hatch as well as in colour, so that a grey print can be read. Equal figures give equal bytes.
"""

from __future__ import annotations

from auditor.findings import Figure
from auditor.reports.drawing.curves import histogram, line, reliability
from auditor.reports.drawing.heat import heat
from auditor.reports.drawing.intervals import bars, forest
from auditor.reports.drawing.panels import panels
from auditor.reports.drawing.svg import SOFT, WIDTH, Picture
from auditor.reports.group_forest import GroupForest

_KINDS = {
    "forest": forest,
    "line": line,
    "bars": bars,
    "reliability": reliability,
    "heat": heat,
    "histogram": histogram,
}


def svg(figure: Figure) -> str:
    """A figure as an SVG document, 497 pt wide, transparent, with its `alt` text inside.

    Every id in it begins with a prefix made from the figure's id, so that several may stand in
    one HTML page. Rows beyond `MAX_ROWS` of a labelled kind are left out with a note. A figure
    without rows says so.
    """
    picture = Picture(figure)
    draw = _KINDS[figure.kind] if figure.rows else _nothing
    return picture.document(draw(picture, figure))


def group_forest_svg(forest: GroupForest) -> str:
    """The groups of an attribute against all others as an SVG document, as `svg` makes them."""
    picture = Picture(forest.figure)
    return picture.document(panels(picture, forest))


def _nothing(picture: Picture, figure: Figure) -> float:
    picture.text(WIDTH / 2, 40, "Nothing was measured.", text_anchor="middle", fill=SOFT)
    return 72.0
