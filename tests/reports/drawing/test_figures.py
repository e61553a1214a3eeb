"""Pictures: the same bytes each time, ids of their own, readable in grey, nothing from outside."""

import re
from xml.etree import ElementTree

import matplotlib
import pytest

from auditor.findings import Axis, Figure
from auditor.reports.drawing.figures import MAX_ROWS, svg
from auditor.reports.drawing.svg import figure_file_name
from auditor.reports.figure_rows import STYLES

HOSTILE = "<script>alert(1)</script> $x^{ & ]]> \x00 \ud800 --> ζ"
SHARE = Axis("accuracy", "share")

ROWS = {
    "forest": [{"label": HOSTILE, "value": 0.5, "low": 0.4, "high": 0.7, "n": 10, "limit": 0.6}],
    "line": [{"x": i / 4, "y": i / 5, "low": 0.1, "high": 0.9, "series": s}
             for i in range(5) for s in ("a", HOSTILE)],
    "bars": [{"label": HOSTILE, "value": 0.2, "low": 0.1, "high": 0.3, "series": s}
             for s in ("test", "deployment")],
    "reliability": [{"confidence": 0.7, "accuracy": 0.6, "low": 0.5, "high": 0.7, "n": 40}],
    "heat": [{"row": HOSTILE, "column": c, "value": 3.0, "text": "3"} for c in "ab"],
    "histogram": [{"left": i, "right": i + 1, "value": 0.5, "series": "s"} for i in range(3)],
}  # fmt: skip


def figure(kind, rows=None, *, identifier="check:figure", alt="alt", x=SHARE) -> Figure:
    rows = ROWS[kind] if rows is None else rows
    return Figure(identifier, kind, "Title", "Caption", alt, x, SHARE, tuple(rows))


def ids(text):
    return set(re.findall(r'\bid="([^"]+)"', text))


@pytest.mark.parametrize("kind", ROWS)
def test_equal_figures_give_equal_bytes_whatever_the_users_settings(kind):
    first = svg(figure(kind))
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        assert svg(figure(kind)) == first
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("kind", ROWS)
def test_a_picture_is_xml_named_by_its_alt_text(kind):
    root = ElementTree.fromstring(svg(figure(kind, alt=HOSTILE)).encode())
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title.text.startswith("Title. <script>alert(1)</script>")
    assert "script>" not in {element.tag.split("}")[-1] for element in root.iter()}
    assert root.get("aria-labelledby") == title.get("id")


def test_ids_of_two_pictures_never_clash_and_references_resolve():
    a, b = svg(figure("bars", identifier="one")), svg(figure("bars", identifier="two"))
    assert ids(a)
    assert not ids(a) & ids(b)
    used = set(re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', a))
    assert {x or y for x, y in used} <= ids(a)


def test_a_picture_names_no_address_outside_itself():
    for kind in ROWS:
        for address in re.findall(r'href="([^"]*)"', svg(figure(kind))):
            assert address.startswith("#")


def test_rows_beyond_the_most_are_left_out_and_height_stops_growing():
    def height(n):
        rows = [{"label": f"g{i}", "value": 0.5, "low": 0.4, "high": 0.6} for i in range(n)]
        return float(re.search(r'height="([\d.]+)pt"', svg(figure("forest", rows))).group(1))

    assert height(10) < height(MAX_ROWS) < height(MAX_ROWS + 1)
    assert height(MAX_ROWS + 1) == height(500)


def test_bars_are_as_long_as_their_values():
    rows = [{"label": "a", "value": 0.2}, {"label": "b", "value": 0.5}]
    found = re.findall(r'<path d="([^"]+)"[^>]*fill: #b1c1d0', svg(figure("bars", rows)))
    spans = [
        max(xs) - min(xs)
        for d in found
        if (xs := [float(x) for x in re.findall(r"[ML] ([-\d.]+) ", d)])
    ]
    assert spans[1] / spans[0] == pytest.approx(2.5, abs=0.01)


def test_points_of_a_forest_lie_where_their_values_are():
    rows = [{"label": i, "value": v} for i, v in enumerate((0.1, 0.3, 0.9))]
    drawn = svg(figure("forest", rows))
    xs = [
        float(x) for x in re.findall(r'<use xlink:href="#f\w+-m\w+" x="([\d.]+)"[^>]*1f4e79', drawn)
    ]
    assert (xs[2] - xs[0]) / (xs[1] - xs[0]) == pytest.approx(4, abs=0.01)


def test_series_differ_in_more_than_colour():
    for part in ("marker", "line", "hatch", "colour"):
        assert len({getattr(style, part) for style in STYLES}) == len(STYLES)
    assert svg(figure("bars")).count("<pattern") == 1


@pytest.mark.parametrize("kind", ROWS)
def test_missing_values_and_missing_rows_are_drawn_as_missing(kind):
    empty = [dict.fromkeys(row) | {"label": "a"} for row in ROWS[kind]]
    assert svg(figure(kind, empty)).startswith("<svg")
    assert svg(figure(kind, ())).startswith("<svg")
    infinite = [dict(row, value=float("inf"), high=float("inf")) for row in ROWS[kind]]
    assert svg(figure(kind, infinite)).startswith("<svg")


def test_file_names_are_plain_and_distinct():
    a, b = figure_file_name("bias/x:a/../β"), figure_file_name("bias/x:a-..-γ")
    assert a != b
    assert re.fullmatch(r"[\w.-]+\.svg", a, flags=re.ASCII)
