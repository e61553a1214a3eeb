"""Thumbnails of the images that findings rest on, where the spec asks for them.

They are made when the audit is run, for a renderer sees neither the data nor the model, and lie in
a folder beside the record: ``pictures/`` where they are public, ``confidential/``, which no bundle
holds, where they are not. The record has the digest of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from auditor.contract import AS_GIVEN, Pass
from auditor.data.bare_thumbnail import Thumbnail, thumbnail
from auditor.data.blurred import blurred_regions
from auditor.data.dataset import Dataset
from auditor.data.image_files import ImageFiles
from auditor.data.images import UnreadableImageError, decode
from auditor.engine.gathered import Gathered
from auditor.findings import Finding, Measure, Verdict
from auditor.judging.verdicts import worst
from auditor.opening import write_whole
from auditor.record import AuditRecord
from auditor.record.pictures import (
    CONFIDENTIAL,
    PAGE,
    PUBLIC,
    Picture,
    PictureSet,
    PicturesOf,
    picture_folder,
)
from auditor.scoring.presence import OneHot
from auditor.spec import AuditSpec
from auditor.spec.declarations import basis_text, require_picture_basis
from auditor.spec.handing_on import Region

FINDINGS = 12
"""Findings that have pictures, the worst of each limit first."""

_FILES = "[0-9][0-9][0-9].jpg"

Places = Mapping[str, Mapping[str, int]]
"""The row of each image that is shown somewhere, in each split that holds it."""

Place = tuple[str, str, str]
"""A split, the id of an image in it, and the form of the model that answered it."""


@dataclass(frozen=True)
class Pictured:
    """A record with its pictures, and the files that were written for them."""

    record: AuditRecord
    files: tuple[Path, ...]


def require_own_folders(spec: AuditSpec, folder: Path) -> None:
    """Refuse links in the place of folders of pictures, before the audit is run."""
    for name in () if spec.report.pictures is None else (PUBLIC, CONFIDENTIAL):
        picture_folder(folder, name)


def regions_to_blur(spec: AuditSpec) -> Mapping[str, tuple[Region, ...]]:
    """Regions of each image by its path, beside those of every image; none where none are asked.

    To be asked before the audit, which would else end in an error of a cell.
    """
    asked = spec.report.pictures
    if asked is None or asked.blur_column is None:
        return {}
    return blurred_regions(spec.data, folder=spec.folder, column=asked.blur_column)


def with_pictures(
    record: AuditRecord,
    gathered: Gathered,
    folder: Path,
    *,
    blur: Mapping[str, tuple[Region, ...]],
) -> Pictured:
    """The record with thumbnails of its worst findings; as it is where none are asked for.

    `blur` are regions by the path of an image (`regions_to_blur`). Pictures of an earlier run are
    removed from the folder in either case.
    """
    _clear(folder)
    spec = gathered.available.spec
    asked = spec.report.pictures
    day = datetime.fromisoformat(record.provenance.started).date()
    basis = require_picture_basis(spec, record.declarations, as_of=day)
    if asked is None or basis is None:
        return Pictured(record, ())
    rows = _rows_of_examples(record, gathered.available.datasets)
    chosen = _chosen(record, rows, most=asked.most)
    places = list(dict.fromkeys(p for shown in chosen.values() for p in shown))
    found = PictureSet(
        basis=basis_text(basis),
        public=asked.public,
        blurred=bool(asked.blur) or asked.blur_column is not None,
        pictures=(),
        of=tuple(
            PicturesOf(name, tuple(map(places.index, shown)), _measure(record, name).ranked)
            for name, shown in chosen.items()
        ),
        more=len(_with_examples(record)) - len(chosen),
    )
    target = picture_folder(folder, found.folder)
    target.mkdir(exist_ok=True)
    kept = [
        _kept(p, rows[p[0]][p[1]], gathered, blur, target / f"{n:03}.jpg")
        for n, p in enumerate(places, start=1)
    ]
    said = replace(found, pictures=tuple(kept))
    files = tuple(target / one.file for one in kept if one.file)
    return Pictured(replace(record, pictures=said), files)


def _clear(folder: Path) -> None:
    (folder / PAGE).unlink(missing_ok=True)
    for place in (folder / PUBLIC, folder / CONFIDENTIAL):
        # What a link leads to is not this audit's.
        for path in () if place.is_symlink() else (place / PAGE, *place.glob(_FILES)):
            path.unlink(missing_ok=True)


def _measure(record: AuditRecord, name: str) -> Measure:
    finding = record.finding(name)
    measure = record.measure(finding) if finding is not None else None
    assert measure is not None
    return measure


def _with_examples(record: AuditRecord) -> list[Finding]:
    """Findings that failed or lean worse and rest on images, in the order to read them."""
    every = worst(record, k=max(len(record.findings), 1))
    wrong = (f for f in every if f.verdict is Verdict.FAIL or f.leaning == "worse")
    return [f for f in wrong if (m := record.measure(f)) is not None and m.examples]


def _rows_of_examples(record: AuditRecord, datasets: Mapping[str, Dataset]) -> Places:
    """Where the images that findings rest on are: asked once, among a million names."""
    of = (_measure(record, finding.id).examples for finding in _with_examples(record))
    ids = list(dict.fromkeys(image for examples in of for image in examples))
    found = {split: data.image_ids.places_of(ids).tolist() for split, data in datasets.items()}
    return {
        split: {image: at for image, at in zip(ids, places, strict=True) if at >= 0}
        for split, places in found.items()
    }


def _chosen(record: AuditRecord, rows: Places, *, most: int) -> dict[str, tuple[Place, ...]]:
    """The images of each finding: of each limit not met one first, about people where one is."""
    found = _with_examples(record)
    first: dict[str | None, str] = {}
    for finding in sorted(found, key=lambda f: not _about_people(f, record)):
        first.setdefault(finding.limit, finding.id)
    found.sort(key=lambda f: first[f.limit] != f.id)
    chosen: dict[str, tuple[Place, ...]] = {}
    for finding in found:
        measure = _measure(record, finding.id)
        places = _places(measure, rows)[:most]
        if places and len(chosen) < FINDINGS:
            chosen[finding.id] = places
    return chosen


def _about_people(finding: Finding, record: AuditRecord) -> bool:
    stated = record.spec.parsed["data"]["attributes"]
    keys = record.result(finding).subject.keys
    return any(stated.get(name, {}).get("role") == "sensitive" for name, _ in keys)


def _places(measure: Measure, rows: Places) -> tuple[Place, ...]:
    """Where the examples are: in the measure's own split, else in the first that has them.

    What is said of them is what the measure's form of the model answered.
    """
    splits = sorted(rows, key=lambda split: split != measure.subject.split)
    form = measure.subject.variant or AS_GIVEN
    at = (
        (next((split for split in splits if i in rows[split]), ""), i, form)
        for i in measure.examples
    )
    return tuple(dict.fromkeys(place for place in at if place[0]))


def _kept(
    place: Place,
    row: int,
    gathered: Gathered,
    blur: Mapping[str, tuple[Region, ...]],
    target: Path,
) -> Picture:
    """The picture of an image that is a `row` of its split, written as `target`."""
    split, image, form = place
    dataset = gathered.available.datasets[split]
    label, answer = _said(place, gathered)
    made = _made(dataset.paths[row], gathered.available.spec, blur)
    if made is None:
        return Picture(image, split, "", "", 0, 0, label, answer, form)
    path = write_whole(target, made.content)
    digest = hashlib.sha256(made.content).hexdigest()
    return Picture(image, split, path.name, digest, made.width, made.height, label, answer, form)


def _made(path: str, spec: AuditSpec, blur: Mapping[str, tuple[Region, ...]]) -> Thumbnail | None:
    asked = spec.report.pictures
    assert asked is not None
    own = blur[path] if asked.blur_column is not None else ()
    try:
        decoded = decode(
            ImageFiles().read(path),
            max_pixels=spec.data.limits.max_pixels,
            white=spec.model.input.range,
            dicom=spec.data.dicom,
        )
    except (UnreadableImageError, OSError):
        return None
    return thumbnail(decoded.pixels, side=asked.side, blur=(*asked.blur, *own))


def _said(place: Place, gathered: Gathered) -> tuple[str, str]:
    """The class that is true of an image, and the one answered; empty where there is no one."""
    split, image, form = place
    given = Pass(split, variant=form)
    rows = gathered.scored.get((given, "sound", "image"))
    sound = None if rows is None else (rows.image_ids, rows.presence)
    for ids, presence in filter(None, (sound, gathered.said.get((given, "as-given")))):
        if isinstance(presence, OneHot):
            at = int(ids.places_of([image])[0])
            if at >= 0:
                codes = (presence.truth[at], presence.answers[at])
                label, answer = ("" if i < 0 else presence.classes[i] for i in codes)
                return label, answer
    return "", ""
