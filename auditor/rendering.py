"""From a record to the files that people read. Equal records give equal bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.contract import check_classes
from auditor.errors import MissingLibraryError, RenderingError, SpecError
from auditor.modelcard.bom import ml_bom
from auditor.modelcard.card import model_card
from auditor.modelcard.slices import TABLE as SLICES
from auditor.modelcard.slices import slice_numbers, slice_table
from auditor.opening import write_whole
from auditor.record import AuditRecord
from auditor.record.pictures import CONFIDENTIAL, PAGE, picture_folder
from auditor.record.tables import table_file_name, write_tables
from auditor.reports.csv_tables import BOM, action_plan_csv, findings_csv, whole_tables
from auditor.reports.drawing.pictures import pictures
from auditor.reports.drawing.svg import figure_file_name
from auditor.reports.glyphs import missing_glyphs
from auditor.reports.html import report_html
from auditor.reports.junit import junit_xml
from auditor.reports.ordering import ordered
from auditor.reports.pdf_apart import pdf_apart
from auditor.reports.pictures_section import PicturesView, pictures_html, pictures_view
from auditor.reports.sarif import sarif_json
from auditor.reports.signed_by import SignedBy
from auditor.signing.manifest import signer_of

if TYPE_CHECKING:
    from auditor.changes.compare import Changes

_TEXTS: Mapping[str, tuple[str, Callable[[AuditRecord, SignedBy | None], str]]] = {
    "card": ("MODEL_CARD.md", lambda record, by: model_card(record, signed_by=by)),
    "bom": ("ml-bom.cdx.json", lambda record, by: ml_bom(record)),
    "csv": ("findings.csv", lambda record, by: BOM + findings_csv(record)),
    "plan": ("action-plan.csv", lambda record, by: BOM + action_plan_csv(record)),
    "junit": ("junit.xml", lambda record, by: junit_xml(record)),
    "sarif": ("findings.sarif", lambda record, by: sarif_json(record)),
}
"""Renderings that are one text: the file of each, and what makes it."""

FORMATS = ("html", "pdf", "pictures", "card", "bom", "csv", "junit", "sarif", "figures")


def render(
    record: AuditRecord,
    out: str | Path,
    *,
    formats: Collection[str] = FORMATS,
    signed_by: SignedBy | None = None,
    beside: str | Path | None = None,
) -> tuple[Path, ...]:
    """Write the report in each of `formats` under `out`, each file whole or not at all.

    ``html`` report.html, ``pdf`` report.pdf, ``pictures`` pictures.html (in confidential/ unless
    the spec says that they are public; none where the record has none), ``card`` MODEL_CARD.md and
    its table of slices, ``bom`` ml-bom.cdx.json, ``csv`` findings.csv, action-plan.csv and the
    files of tables/, ``junit`` junit.xml, ``sarif`` findings.sarif, ``figures`` those of figures/;
    tables and figures of another audit are removed there.
    `signed_by` says who signs the folder; of one that is signed, with this record, that stays as it
    is. `beside` is the folder that holds the record's pictures, `out` where None. Returns what was
    written, the PDF last.

    Raises
    ------
    SpecError
        When a format is unknown.
    MissingLibraryError
        When a library for the PDF is not installed; all other files are then written.
    RenderingError
        When laying out the PDF failed or took too much; all other files are then written.
    """
    _require_known(formats)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    signed_by = signed_by or signer_of(folder, record)
    drawn = pictures(record) if {"html", "pdf", "figures"} & set(formats) else {}
    photos = pictures_view(record, folder if beside is None else Path(beside))
    public = photos if record.pictures is not None and record.pictures.public else None
    written: list[Path] = []
    if "html" in formats:
        html = report_html(record, pictures=drawn, signed_by=signed_by, photos=public)
        written.append(_write(folder / "report.html", html))
    written += _write_texts(record, folder, formats, signed_by)
    if "pictures" in formats and photos is not None:
        written.append(_write_photos(record, photos, folder))
    written += _write_tables(record, folder / "tables", formats)
    if "figures" in formats:
        written += _write_figures(drawn, folder / "figures")
    if "pdf" in formats:
        written.append(_write_pdf(record, drawn, folder / "report.pdf", signed_by, public))
    return tuple(written)


def _require_known(formats: Collection[str]) -> None:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise SpecError(f"There is no format {unknown[0]!r}. Expected any of {', '.join(FORMATS)}.")


def _write_texts(
    record: AuditRecord, folder: Path, formats: Collection[str], signed_by: SignedBy | None
) -> list[Path]:
    return [
        _write(folder / name, text_of(record, signed_by))
        for kind, (name, text_of) in _TEXTS.items()
        if kind in formats or (kind == "plan" and "csv" in formats)
    ]


def _write_tables(record: AuditRecord, folder: Path, formats: Collection[str]) -> list[Path]:
    written: list[Path] = []
    if "card" in formats:
        written += write_tables([slice_table(slice_numbers(ordered(record)))], folder)
    if "csv" in formats:
        written += write_tables(whole_tables(record), folder)
        _remove_others(folder, _table_names(record), suffix=".csv")
    return written


def _table_names(record: AuditRecord) -> set[str]:
    ids = (table.id for each in record.results for table in each.tables)
    return set(map(table_file_name, (*ids, SLICES)))


def _remove_others(folder: Path, names: Collection[str], *, suffix: str) -> None:
    """Remove what an earlier audit left: it would be handed on, and signed, as of this one.

    Only files that are called as a check's are, for others may keep theirs in such a folder.
    """
    ours = tuple(f"{name.replace('/', '-')}-" for name in check_classes())
    for path in folder.glob(f"*{suffix}"):
        mine = path.name in names or not path.name.startswith(ours)
        if not mine and path.is_file() and not path.is_symlink():
            path.unlink()


def render_changes(changes: Changes, lines: Sequence[str], out: Path) -> Path:
    """Write a comparison of two audits as changes.html, whose path is returned, and changes.txt."""
    from auditor.engine.output import output_folder
    from auditor.reports.changes_page import changes_html

    page = changes_html(changes)
    with output_folder(out) as folder:
        _write(folder / "changes.txt", "\n".join(lines) + "\n")
        return _write(folder / "changes.html", page)


def _write_figures(drawn: Mapping[str, str], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    _remove_others(folder, set(map(figure_file_name, drawn)), suffix=".svg")
    return [_write(folder / figure_file_name(name), svg) for name, svg in drawn.items()]


def _write_photos(record: AuditRecord, photos: PicturesView, folder: Path) -> Path:
    public = record.pictures is not None and record.pictures.public
    target = folder if public else picture_folder(folder, CONFIDENTIAL)
    target.mkdir(exist_ok=True)
    return _write(target / PAGE, pictures_html(record, photos))


def _write_pdf(
    record: AuditRecord,
    drawn: Mapping[str, str],
    path: Path,
    signed_by: SignedBy | None,
    photos: PicturesView | None,
) -> Path:
    html = report_html(
        record, pictures=drawn, for_browser=False, signed_by=signed_by, photos=photos
    )
    try:
        made = pdf_apart(html, record)
    except (MissingLibraryError, RenderingError):
        # A PDF of an earlier record beside a new HTML would be taken for this one.
        path.unlink(missing_ok=True)
        raise
    notice = missing_glyphs(made.missing)
    if notice:
        # On stderr unless a program that uses auditor says otherwise; never in the record.
        logging.getLogger("auditor").warning("auditor: %s", notice)
    return write_whole(path, made.data)


def _write(path: Path, text: str) -> Path:
    return write_whole(path, text.encode("utf-8", errors="backslashreplace"))
