"""Pictures: the same bytes each time, ids of their own, readable in grey, nothing from outside."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from auditor.findings import Axis, Figure
from auditor.reports.drawing.figures import group_forest_svg, svg
from auditor.reports.drawing.intervals import MAX_ROWS
from auditor.reports.drawing.lettering import text_width
from auditor.reports.drawing.looks import STYLES, VERDICTS
from auditor.reports.drawing.svg import SIZE, WIDTH, figure_file_name
from auditor.reports.group_forest import GroupForest, Panel, PanelRow

HOSTILE = "<script>alert(1)</script> $x^{ & ]]> \x00 \ud800 --> ζ"
SHARE = Axis("accuracy", "share")
LONG = "Wohnheim am Südpark, Haus 4, Flügel der ehemaligen WWWWWWWWWWWWWWWWWWWWWWWWWW"

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

CROWDED = {
    "forest": [{"label": f"{LONG} {i}", "value": v, "low": v - 1e-3, "high": v + 2, "n": 10**7,
                "limit": 0.3, "series": f"{LONG} {i % 3}"}
               for i, v in enumerate((0.1, 0.2, 0.2, 900.0))],
    "line": [{"x": 1e6 * i, "y": -1e5 * i, "series": f"{LONG} {s}"}
             for i in range(50) for s in range(11)],
    "bars": [{"label": f"{LONG} {i}", "value": 1e-5 * i, "series": s}
             for i in range(9) for s in "abcdefghij"],
    "reliability": [{"confidence": 1 - 1e-4 * i, "accuracy": 0.6, "n": 10**6} for i in range(9)],
    "heat": [{"row": f"{i} {LONG}", "column": f"{LONG} {j}", "value": 1e6 * i * j}
             for i in range(70) for j in range(16)],
    "histogram": [{"left": 1e5 * i, "right": 1e5 * (i + 1), "value": 0.5, "series": LONG + s}
                  for i in range(30) for s in "ab"],
}  # fmt: skip


def figure(kind, rows=None, *, identifier="check:figure", alt="alt", x=SHARE) -> Figure:
    rows = ROWS[kind] if rows is None else rows
    return Figure(identifier, kind, "Title", "Caption", alt, x, SHARE, tuple(rows))


def panels(*, names=("a", "b"), limit=1.25, low=0.5) -> GroupForest:
    styles = [*VERDICTS, *VERDICTS]
    rows = tuple(PanelRow(1.1 + i, low, math.inf, styles[i]) for i in range(len(names)))
    ratio = Panel("wrongly called “serious”", "times", True, 1.0, limit, rows)
    points = Panel(LONG, "points", False, 0.0, -5.0, (None, *rows[1:]))
    four = (ratio, points, ratio, points)
    return GroupForest("groups:household", "household", "sensitive", tuple(names), four, 0, False)


def ids(text):
    return set(re.findall(r'\bid="([^"]+)"', text))


def tags(text):
    return {element.tag.split("}")[-1] for element in ElementTree.fromstring(text.encode()).iter()}


SLANTED = [{"row": i, "column": f"{LONG} {j}", "value": i + j} for i in range(3) for j in range(9)]


@pytest.fixture(params=[*CROWDED, "panels", "slanted"])
def crowd(request):
    """A picture with long names, many series and far values, of each kind."""
    if request.param == "panels":
        return group_forest_svg(panels(names=[f"{LONG} {i}" for i in range(8)]))
    kind, rows = request.param, CROWDED.get(request.param)
    if kind == "slanted":
        kind, rows = "heat", SLANTED
    return svg(figure(kind, rows, x=Axis(f"{LONG} {LONG}")))


@pytest.mark.parametrize("kind", ROWS)
def test_equal_figures_give_equal_bytes(kind):
    assert svg(figure(kind)) == svg(figure(kind))


@pytest.mark.parametrize("kind", ROWS)
def test_a_picture_is_xml_named_by_its_alt_text(kind):
    text = svg(figure(kind, alt=HOSTILE))
    root = ElementTree.fromstring(text.encode())
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title.text.startswith("Title. <script>alert(1)</script>")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("role") == "img"


@pytest.mark.parametrize("kind", ROWS)
def test_a_picture_holds_shapes_and_texts_alone(kind):
    drawn = svg(figure(kind, alt=HOSTILE))
    assert tags(drawn) <= {"svg", "title", "defs", "pattern", "g", "path", "text"}
    assert not re.search(r'\b(style|class|href|on\w+)="', drawn)


def test_names_are_written_as_texts():
    said = "".join(ElementTree.fromstring(svg(figure("forest")).encode()).itertext())
    for text in ("<script>alert(1)</script>", "n = 10", "accuracy (%)", "limit"):
        assert text in said


def test_ids_of_two_pictures_never_clash_and_references_resolve():
    a, b = svg(figure("bars", identifier="one")), svg(figure("bars", identifier="two"))
    assert ids(a)
    assert not ids(a) & ids(b)
    used = set(re.findall(r"url\(#([^)]+)\)", a))
    assert used
    assert used <= ids(a)


def boxes(drawn):
    """Each text with the four corners of the room it takes, in points."""
    root = ElementTree.fromstring(drawn.encode())
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        outer = parents[element]
        look = {**root.attrib, **outer.attrib, **element.attrib}
        size, bold = float(look["font-size"]), look.get("font-weight") == "bold"
        width = text_width(element.text, size, bold=bold)
        x, y = float(element.get("x")), float(element.get("y"))
        left = x - width * {"middle": 0.5, "end": 1.0}.get(look.get("text-anchor"), 0.0)
        corners = [(a, b) for a in (left, left + width) for b in (y - 0.75 * size, y)]
        turn = re.match(r"rotate\((\S+) (\S+) (\S+)\)", element.get("transform", ""))
        if turn:
            angle, cx, cy = (float(part) for part in turn.groups())
            c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            corners = [(cx + c * (a - cx) - s * (b - cy), cy + s * (a - cx) + c * (b - cy))
                       for a, b in corners]  # fmt: skip
        yield element.text, corners, turn is not None


def test_no_text_runs_out_of_its_picture(crowd):
    height = float(re.search(r'height="([\d.]+)pt"', crowd)[1])
    found = list(boxes(crowd))
    assert len(found) > 5
    for text, corners, _ in found:
        for x, y in corners:
            assert -0.5 <= x <= WIDTH + 0.5, text
            assert -0.5 <= y <= height + 0.5, text


def test_no_two_texts_lie_on_each_other(crowd):
    level = [
        (t, *corners[0], *corners[3]) for t, corners, is_turned in boxes(crowd) if not is_turned
    ]
    for (a, *one), (b, *two) in combinations(level, 2):
        apart = one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
        assert apart, (a, b)


def test_what_is_drawn_stays_inside(crowd):
    body = re.sub("<defs>.*</defs>", "", crowd)
    for steps in re.findall(r' d="([^"]+)"', body):
        for x in re.findall(r"[MLH]([-\d.]+)", steps):
            assert -3 <= float(x) <= WIDTH + 3


def test_rows_beyond_the_most_are_left_out_and_height_stops_growing():
    def height(n):
        rows = [{"label": f"g{i}", "value": 0.5, "low": 0.4, "high": 0.6} for i in range(n)]
        return float(re.search(r'height="([\d.]+)pt"', svg(figure("forest", rows))).group(1))

    assert height(10) < height(MAX_ROWS) < height(MAX_ROWS + 1)
    assert height(MAX_ROWS + 1) == height(500)
    assert "440 more in the table." in svg(figure("forest", [{"label": i} for i in range(500)]))


def test_bars_are_as_long_as_their_values():
    rows = [{"label": "a", "value": 0.2}, {"label": "b", "value": 0.5}]
    path = re.search(r'<path d="([^"]+)" fill="#1f4e79" stroke=', svg(figure("bars", rows)))[1]
    found = re.findall(r"M([\d.]+) [\d.]+H([\d.]+)V", path)
    spans = [float(end) - float(start) for start, end in found]
    assert spans[1] / spans[0] == pytest.approx(2.5, abs=0.01)


def test_points_of_a_forest_lie_where_their_values_are():
    rows = [{"label": i, "value": v} for i, v in enumerate((0.1, 0.3, 0.9))]
    path = re.search(r'<path d="([^"]+)" fill="#1f4e79"', svg(figure("forest", rows)))[1]
    xs = [float(x) for x in re.findall(r"M([\d.]+) ", path)]
    assert (xs[2] - xs[0]) / (xs[1] - xs[0]) == pytest.approx(4, abs=0.01)


def test_rows_that_follow_each_other_share_their_name():
    rows = [{"label": g, "value": 0.5, "series": s} for g in "ab" for s in ("test", "new")]
    texts = [text for text, _, _ in boxes(svg(figure("forest", rows)))]
    assert [t for t in texts if t in ("a", "b")] == ["a", "b"]


def test_series_differ_in_more_than_colour():
    for part in ("marker", "line", "hatch", "colour"):
        assert len({getattr(style, part) for style in STYLES}) == len(STYLES)
    for part in ("marker", "colour"):
        assert len({getattr(style, part) for style in VERDICTS.values()}) == len(VERDICTS)
    assert svg(figure("bars")).count("<pattern") == 1


def test_series_that_the_legend_cannot_name_are_counted():
    assert "and 3 more series" in svg(figure("line", CROWDED["line"]))
    assert "more series" not in svg(figure("line"))


def test_an_interval_that_leaves_its_panel_ends_in_an_arrow():
    def arrows(forest):
        return len(re.findall(r'l[-\d. ]{10,25}z" fill="#9c1c1c"', group_forest_svg(forest)))

    endless, ended = panels(names=["a"]), panels(names=["a"])
    panel = endless.panels[0]
    rows = tuple(PanelRow(1.1, 0.9, 1.3, "fail") for _ in panel.rows)
    ratio = Panel("t", "times", True, 1, 1.25, rows)
    ended = GroupForest("groups:a", "a", "condition", ("a",), (ratio,), 0, False)
    assert arrows(ended) == 0
    assert arrows(endless) == 2


def test_verdicts_drawn_are_in_the_legend_and_no_others():
    drawn = group_forest_svg(panels(names=["a", "b"]))
    assert VERDICTS["fail"].words in drawn
    assert VERDICTS["inconclusive"].words in drawn
    assert VERDICTS["pass"].words not in drawn


@pytest.mark.parametrize("kind", ROWS)
def test_missing_values_and_missing_rows_are_drawn_as_missing(kind):
    empty = [dict.fromkeys(row) | {"label": "a"} for row in ROWS[kind]]
    assert svg(figure(kind, empty)).startswith("<svg")
    assert "Nothing was measured." in svg(figure(kind, ()))
    infinite = [dict(row, value=float("inf"), high=float("inf")) for row in ROWS[kind]]
    assert svg(figure(kind, infinite)).startswith("<svg")


def test_letters_are_no_smaller_than_can_be_read():
    for kind in ROWS:
        assert min(map(float, re.findall(r'font-size="([\d.]+)"', svg(figure(kind))))) >= 6.5
    assert SIZE >= 8


def test_file_names_are_plain_and_distinct():
    a, b = figure_file_name("bias/x:a/../β"), figure_file_name("bias/x:a-..-γ")
    assert a != b
    assert re.fullmatch(r"[\w.-]+\.svg", a, flags=re.ASCII)


def test_the_places_of_a_picture_are_drawn_where_they_lie():
    """A check tells them by what they are worth: row 4 came above row 1."""
    cells = tuple(
        {"row": f"row {r}", "column": f"column {c}", "value": 1.0, "text": f"{r}{c}"}
        for r, c in ((10, 3), (2, 1), (10, 1), (2, 3))
    )
    drawn = svg(Figure("a", "heat", "t", "c", "alt", Axis("x"), Axis("y"), cells))
    names = re.findall(r"(?:row|column) \d+", drawn)
    assert names == ["row 2", "row 10", "column 1", "column 3"]
