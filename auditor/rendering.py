"""From a record to the files that people read. Equal records give equal bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from auditor.errors import MissingLibraryError, SpecError
from auditor.opening import write_whole
from auditor.record import AuditRecord
from auditor.record.tables import write_tables
from auditor.reports.csv_tables import findings_csv, whole_tables
from auditor.reports.drawing.pictures import pictures
from auditor.reports.drawing.svg import figure_file_name
from auditor.reports.html import report_html
from auditor.reports.signed_by import SignedBy
from auditor.signing.manifest import signer_of

FORMATS = ("html", "pdf", "card", "csv", "figures")


def render(
    record: AuditRecord,
    out: str | Path,
    *,
    formats: Collection[str] = FORMATS,
    signed_by: SignedBy | None = None,
) -> tuple[Path, ...]:
    """Write the report in each of `formats` under `out`, each file whole or not at all.

    ``html`` report.html, ``pdf`` report.pdf, ``card`` MODEL_CARD.md, ``csv`` findings.csv and
    the files of tables/, ``figures`` those of figures/. `signed_by` says who signs the folder; of
    one that is signed, with this record, that stays as it is. Returns what was written, in that
    order.

    Raises
    ------
    SpecError
        When a format is unknown.
    MissingLibraryError
        When a library for the PDF is not installed; all other files are then written.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise SpecError(f"There is no format {unknown[0]!r}. Expected any of {', '.join(FORMATS)}.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    signed_by = signed_by or signer_of(folder, record)
    drawn = pictures(record) if {"html", "pdf", "figures"} & set(formats) else {}
    written: list[Path] = []
    if "html" in formats:
        html = report_html(record, pictures=drawn, signed_by=signed_by)
        written.append(_write(folder / "report.html", html))
    if "card" in formats:
        from auditor.modelcard.card import model_card

        card = model_card(record, signed_by=signed_by)
        written.append(_write(folder / "MODEL_CARD.md", card))
    if "csv" in formats:
        written.append(_write(folder / "findings.csv", findings_csv(record)))
        written += write_tables(whole_tables(record), folder / "tables")
    if "figures" in formats:
        written += _write_figures(drawn, folder / "figures")
    if "pdf" in formats:
        written.append(_write_pdf(record, drawn, folder / "report.pdf", signed_by))
    return tuple(written)


def _write_figures(drawn: Mapping[str, str], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / figure_file_name(name), svg) for name, svg in drawn.items()]


def _write_pdf(
    record: AuditRecord, drawn: Mapping[str, str], path: Path, signed_by: SignedBy | None
) -> Path:
    from auditor.reports.pdf import report_pdf

    html = report_html(record, pictures=drawn, for_browser=False, signed_by=signed_by)
    try:
        return write_whole(path, report_pdf(html, record))
    except MissingLibraryError:
        # A PDF of an earlier record beside a new HTML would be taken for this one.
        path.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str) -> Path:
    return write_whole(path, text.encode("utf-8", errors="backslashreplace"))
