"""The PDF is made in a process of its own: what goes wrong there is one sentence."""

import logging
import subprocess
import sys

import pytest

from auditor.errors import RenderingError
from auditor.rendering import render
from auditor.reports import pdf_apart as apart
from auditor.reports.glyphs import missing_glyphs
from auditor.reports.pdf import made_pdf

PAGE = '<html lang="en"><title>x</title><body><p>{}</p></body></html>'
HIEROGLYPH = "\U00013000"
"""An Egyptian hieroglyph: no font that comes with a system has it, and no test needs one."""


def test_it_is_what_the_same_process_makes_with_characters_that_no_font_has(failing):
    """In a text and in a picture; names that the bundled fonts have are not among them."""
    drawn = f'<svg viewBox="0 0 9 9"><text x="1" y="5">{HIEROGLYPH}</text></svg>'
    page = PAGE.format(f"Wohnheim am Südpark, Κτίριο Α{drawn}")
    made = apart.pdf_apart(page, failing)
    assert made == made_pdf(page, apart.enclosed(failing))
    assert made.data.startswith(b"%PDF-")
    assert made.missing == (HIEROGLYPH,)
    named = f"<p>Room {HIEROGLYPH}</p>"
    assert made_pdf(PAGE.format(named), apart.enclosed(failing)).missing == (HIEROGLYPH,)


def test_its_process_imports_nothing_of_an_audit():
    look = (
        "import sys, auditor.reports.pdf_child\n"
        "print([m for m in ('numpy', 'pydantic', 'scipy', 'auditor.record') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_an_endless_layout_ends_in_one_sentence(failing):
    page = PAGE.format("word " * 200_000)
    with pytest.raises(RenderingError) as error:
        apart.pdf_apart(page, failing, seconds=2)
    said = str(error.value)
    assert "took more than 2 seconds of computing" in said
    assert "report.html is written" in said
    assert "`auditor report`" in said
    assert "\n" not in said


def test_too_much_memory_ends_in_one_sentence(failing):
    page = PAGE.format("<i>word </i>" * 60_000)
    with pytest.raises(RenderingError, match=r"more than 0\.15 GB of memory"):
        apart.pdf_apart(page, failing, memory_bytes=150_000_000)


@pytest.mark.parametrize(
    "last", ["MemoryError", "OSError: [Errno 12] Cannot allocate memory: '/tmp/fonts'"]
)
def test_memory_that_is_not_given_is_told_however_it_is_raised(last):
    said = f"Traceback (most recent call last):\n  ...\n{last}\n"
    assert apart._why(1, said, 60, 2_000_000_000) == "laying it out needed more than 2 GB of memory"


def test_a_crash_ends_in_one_sentence_and_all_other_files_are_there(failing, tmp_path, monkeypatch):
    modules, out = tmp_path / "modules", tmp_path / "out"
    modules.mkdir()
    out.mkdir()
    (modules / "weasyprint.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(modules)
    (out / "report.pdf").write_bytes(b"of an earlier audit")
    with pytest.raises(RenderingError, match=r"report\.pdf was not made: .*ended with status -6"):
        render(failing, out)
    assert (out / "report.html").exists()
    assert (out / "findings.csv").exists()
    assert not (out / "report.pdf").exists()


def test_an_error_inside_names_itself(failing, tmp_path, monkeypatch):
    (tmp_path / "weasyprint.py").write_text("raise ValueError('no such colour')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RenderingError, match="ValueError: no such colour"):
        apart.pdf_apart(PAGE.format("x"), failing)


def test_a_rendering_warns_of_them_once_and_is_made(failing, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(
        "auditor.rendering.report_html", lambda *_, **__: PAGE.format(HIEROGLYPH * 9)
    )
    with caplog.at_level(logging.WARNING, logger="auditor"):
        render(failing, tmp_path, formats=("pdf",))
    (told,) = caplog.messages
    assert "report.pdf shows empty boxes for \U00013000 (U+13000): no font" in told
    assert "apt-get install -y --no-install-recommends fonts-noto-core" in told
    assert (tmp_path / "report.pdf").exists()


@pytest.mark.parametrize(
    ("letters", "packages"),
    [
        ("火災", "fonts-noto-cjk"),
        ("한", "fonts-noto-cjk"),
        ("\U0001f525", "fonts-noto-color-emoji"),
        ("ހ", "fonts-noto-core"),
        ("火\U0001f525", "fonts-noto-cjk fonts-noto-color-emoji"),
    ],
)
def test_the_package_is_that_of_the_script(letters, packages):
    said = missing_glyphs(letters)
    assert said.endswith(f"--no-install-recommends {packages}")
    assert all(f"U+{ord(letter):04X}" in said for letter in letters)


def test_many_are_counted_and_none_is_silent():
    assert missing_glyphs("") == ""
    assert "and 12 more: no font" in missing_glyphs(map(chr, range(0x4E00, 0x4E14)))


def test_a_font_of_the_system_is_found(failing, tmp_path, monkeypatch):
    """The same hieroglyph with a font that has it: it is found and nothing is missing."""
    _font(tmp_path / "hieroglyphs.ttf")
    config = tmp_path / "fonts.conf"
    config.write_text(
        f"<?xml version='1.0'?><fontconfig><dir>{tmp_path}</dir></fontconfig>", encoding="utf-8"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    assert apart.pdf_apart(PAGE.format(HIEROGLYPH), failing).missing == ()


def _font(path):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (900, 700), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    box = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "bird"])
    font.setupCharacterMap({ord(HIEROGLYPH): "bird"})
    font.setupGlyf({".notdef": box, "bird": box})
    font.setupHorizontalMetrics({".notdef": (1000, 100), "bird": (1000, 100)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Hieroglyphs", "styleName": "Regular",
                         "psName": "Hieroglyphs-Regular", "fullName": "Hieroglyphs Regular",
                         "uniqueFontIdentifier": "h"})  # fmt: skip
    font.setupOS2(sTypoAscender=800)
    font.setupPost()
    font.save(path)
