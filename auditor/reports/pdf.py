"""The report as a tagged PDF with the record attached: the one place that drives WeasyPrint."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape

from auditor.errors import MissingLibraryError
from auditor.reports.templates import font_data_uri

VARIANT = "pdf/a-3a"
PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"

_FACES = (
    ("Auditor Sans", "normal", "AuditorSans-Regular"),
    ("Auditor Sans", "bold", "AuditorSans-Bold"),
    ("Auditor Mono", "normal", "AuditorMono-Regular"),
)


@dataclass(frozen=True)
class Enclosed:
    """What a PDF carries: the record as JSON, its SHA-256, and when the audit began (ISO 8601)."""

    record: str
    digest: str
    started: str


@dataclass(frozen=True)
class MadePdf:
    """A PDF, and the characters for which no font on this machine has a shape, in order."""

    data: bytes
    missing: tuple[str, ...]


def made_pdf(html: str, enclosed: Enclosed, *, attach: bool = True) -> MadePdf:
    """The page that `report_html` made, as PDF; equal pages and records give equal bytes.

    `attach` puts ``audit.json`` into the file. Nothing is fetched: addresses other than
    ``data:`` are refused.

    Raises
    ------
    MissingLibraryError
        When Pango or HarfBuzz are not installed; the message holds the command that does it.
    """
    weasyprint = _weasyprint()
    options = {
        "pdf_variant": VARIANT,
        "pdf_identifier": enclosed.digest[:32].encode("ascii"),
        "attachments": [_attachment(weasyprint, enclosed)] if attach else None,
    }
    with _missing_shapes() as missing:
        document = laid_out(html, **options)
        with warnings.catch_warnings():
            # WeasyPrint 70 leaves its colour profile open until it is collected.
            warnings.simplefilter("ignore", ResourceWarning)
            data: bytes = document.write_pdf(finisher=_list_once, **options)
    return MadePdf(data, tuple(sorted(missing)))


def _list_once(document: Any, pdf: Any) -> None:
    """WeasyPrint 70 names each attachment twice (its issue 2917); an archive may refuse that."""
    if "AF" in pdf.catalog:
        pdf.catalog["AF"][:] = dict.fromkeys(pdf.catalog["AF"])


@contextmanager
def _missing_shapes() -> Iterator[set[str]]:
    """The characters that WeasyPrint says it drew an empty box for; it says so in its log alone."""
    found: set[str] = set()

    def note(record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(".notdef glyph") and isinstance(record.args, tuple):
            found.add(str(record.args[0]))
            return False
        return True

    logger = logging.getLogger("weasyprint")
    logger.addFilter(note)
    try:
        yield found
    finally:
        logger.removeFilter(note)


def laid_out(html: str, **options: Any) -> Any:
    """The pages of a report as WeasyPrint's document, with the bundled fonts; fetches nothing."""
    weasyprint = _weasyprint()
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher

    fetcher = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    with _own_font_cache():
        fonts = FontConfiguration()
    faces = weasyprint.CSS(string=_font_faces(), font_config=fonts, url_fetcher=fetcher)
    page = weasyprint.HTML(string=html, url_fetcher=fetcher, media_type="print")
    return page.render(stylesheets=[faces], font_config=fonts, **options)


@cache
def _own_fonts_file() -> tuple[Path, TemporaryDirectory[str]]:
    """Fontconfig's settings with a cache of our own, and the folder that both are removed with."""
    folder = TemporaryDirectory(prefix="auditor-fonts-")
    file = Path(folder.name, "fonts.conf")
    stated = escape(os.environ.get("FONTCONFIG_FILE", "fonts.conf"))
    file.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<cachedir>{escape(folder.name)}</cachedir>"
        f'<include ignore_missing="yes">{stated}</include></fontconfig>',
        encoding="utf-8",
    )
    return file, folder


@contextmanager
def _own_font_cache() -> Iterator[None]:
    """Let fontconfig write what it finds out of the system's fonts where it is removed again.

    It else writes under the user's home wherever the system's own cache is missing or stale.
    """
    stated = os.environ.get("FONTCONFIG_FILE")
    os.environ["FONTCONFIG_FILE"] = str(_own_fonts_file()[0])
    try:
        yield
    finally:
        del os.environ["FONTCONFIG_FILE"]
        if stated is not None:
            os.environ["FONTCONFIG_FILE"] = stated


def _weasyprint() -> Any:
    from PIL import ImageFile

    half_read = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        # It reads the system's fonts as it is imported.
        with _own_font_cache():
            import weasyprint
            import weasyprint.text.fonts
    except OSError as error:
        raise MissingLibraryError(
            f"A system library that makes PDFs was not found ({error}). The HTML report is "
            "written. For the PDF, install it and run `auditor report` again: "
            f"apt-get install -y --no-install-recommends {PACKAGES}"
        ) from error
    finally:
        # It has Pillow fill what is missing of a damaged image: an audit after it would not see it.
        ImageFile.LOAD_TRUNCATED_IMAGES = half_read
    return weasyprint


def _attachment(weasyprint: Any, enclosed: Enclosed) -> Any:
    when = datetime.fromisoformat(enclosed.started)
    return weasyprint.Attachment(
        string=enclosed.record.encode("utf-8", errors="backslashreplace"),
        name="audit.json",
        description="The record of the audit that this report was made from",
        relationship="Data",
        created=when,
        modified=when,
    )


def _font_faces() -> str:
    return "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; '
        f'src: url("{font_data_uri(name)}") format("truetype"); }}'
        for family, weight, name in _FACES
    )
