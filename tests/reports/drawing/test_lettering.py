"""Widths of texts: as Pillow lays them out; cut and broken texts fit."""

import pytest
from PIL import ImageFont

from auditor.reports.drawing.lettering import fitted, text_width, widest, wrapped
from auditor.reports.templates import font_path


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_the_bundled_font(bold):
    font = ImageFont.truetype(font_path(f"AuditorSans-{'Bold' if bold else 'Regular'}"), 100)
    text = "wrongly called “serious” 0.5 %"
    assert text_width(text, 100, bold=bold) == pytest.approx(font.getlength(text), rel=0.02)


def test_letters_that_the_font_lacks_take_a_whole_square():
    assert text_width("日本", 10) == pytest.approx(20)


def test_a_text_is_cut_only_where_it_must_be():
    assert fitted("short", 100) == "short"
    cut = fitted("a rather long name of a group", 60)
    assert cut.endswith("…")
    assert text_width(cut) <= 60
    assert text_width("a rather long name of a group") > 60


def test_a_text_is_broken_between_words_and_no_line_is_wider():
    lines = wrapped("wrongly called “serious” by the model in use", 80, 7.5, lines=2)
    assert len(lines) == 2
    assert lines[0] == "wrongly called"
    assert widest(lines, 7.5) <= 80
    assert wrapped("one", 80, 7.5, lines=2) == ["one"]
    assert wrapped("", 80, 7.5, lines=2) == []
