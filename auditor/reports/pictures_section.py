"""Pictures of findings: a section of a public report, or a confidential page of their own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.opening import why_not
from auditor.record import AuditRecord
from auditor.record.pictures import Picture, PictureSet
from auditor.reports.drawing.svg import xml_text
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.templates import environment, template_text
from auditor.reports.wording import date_text

MOST_BYTES = 1_000_000
CONFIDENTIAL_NOTE = (
    "Confidential: photos are personal data where a person or a home can be recognised. This page "
    "is no part of what is signed or handed on."
)
BLURRED_NOTE = "Declared regions are blurred; what else can be recognised was not looked for."


@dataclass(frozen=True)
class PictureView:
    """A picture as a ``data:`` address, or why there is none; its caption and its alt text."""

    source: str
    problem: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class PicturesOfView:
    """The pictures of a finding, or of several that rest on the same: their numbers and titles."""

    findings: tuple[tuple[int, str], ...]
    order: str
    pictures: tuple[PictureView, ...]


@dataclass(frozen=True)
class PicturesView:
    """All pictures by finding, in the order of their numbers; `notes` say on what ground."""

    findings: tuple[PicturesOfView, ...]
    notes: tuple[str, ...]


def pictures_view(
    record: AuditRecord, beside: Path, *, order: Ordered | None = None
) -> PicturesView | None:
    """The pictures of a record, read from the folder that lies `beside` it; None without any.

    A file whose digest is not the record's is not shown.
    """
    found = record.pictures
    if found is None:
        return None
    order = order or ordered(record)
    views = [_view(one, beside / found.folder, order) for one in found.pictures]
    told: dict[tuple[tuple[PictureView, ...], bool], list[tuple[int, str]]] = {}
    for of in sorted(found.of, key=lambda of: order.numbers.get(of.finding, 0)):
        if of.finding in order.numbers:
            title = order.title(order.by_id[of.finding])
            shown = tuple(views[i] for i in of.pictures)
            told.setdefault((shown, of.ranked), []).append((order.numbers[of.finding], title))
    rows = (
        PicturesOfView(
            tuple(findings), "Worst first." if ranked else "Examples, in no order.", shown
        )
        for (shown, ranked), findings in told.items()
    )
    return PicturesView(tuple(rows), tuple(_notes(found)))


def pictures_html(record: AuditRecord, view: PicturesView) -> str:
    """The page of pictures alone, which needs nothing beside it."""
    template = environment().get_template("pictures.html.j2")
    public = record.pictures is not None and record.pictures.public
    text = template.render(
        record=record,
        photos=view,
        date=date_text(record.provenance.started),
        banner="" if public else CONFIDENTIAL_NOTE,
        css=template_text("report.css"),
        browser_css=template_text("browser.css"),
    )
    return xml_text(re.sub(r"\n\s*\n+", "\n", text))


def _notes(found: PictureSet) -> Iterator[str]:
    yield f"On what ground they are shown (declared): {found.basis}"
    yield "Each is a small copy, encoded anew from its pixels, without EXIF."
    if found.blurred:
        yield BLURRED_NOTE
    if found.more:
        yield f"{found.more} more findings rest on images and have no pictures here."


def _view(one: Picture, folder: Path, order: Ordered) -> PictureView:
    shown = order.telling.shown
    by = "" if one.form in ("", "as-given") else f" by the {one.form} form"
    said = f", answered “{shown(one.answer)}”{by}" if one.answer else ""
    told = f"labelled “{shown(one.label)}”{said}" if one.label else said.removeprefix(", ")
    caption = f"{one.image}, {one.split} data{': ' if told else ''}{told}"
    problem, source = _source(one, folder)
    return PictureView(source, problem, f"Photo {caption}", caption, one.width, one.height)


def _source(one: Picture, folder: Path) -> tuple[str, str]:
    """Why a picture is not shown, or its address."""
    path = folder / one.file
    if not one.file:
        return "The image could not be read.", ""
    if path.parent != folder or path.is_symlink() or why_not(path, at_most=MOST_BYTES):
        return f"{folder.name}/{one.file} is not beside the record.", ""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != one.sha256:
        return f"{folder.name}/{one.file} is not the picture that the audit made.", ""
    return "", f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
