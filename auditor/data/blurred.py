"""Regions of each image that no picture may show, as a column of the manifest names them."""

from __future__ import annotations

from pathlib import Path

from auditor.data.manifest import split_columns
from auditor.data.rows import locate, missing_column, read_rows
from auditor.errors import DataError
from auditor.spec import DataSpec
from auditor.spec.handing_on import Region

KEY = "report.pictures.blur_column"


def blurred_regions(data: DataSpec, *, folder: Path, column: str) -> dict[str, tuple[Region, ...]]:
    """Regions by the path of an image (that of a dataset's frame); () where its cell is empty.

    A cell holds ``x0 y0 x1 y1`` in fractions of the image, several divided by semicolons. Raises
    DataError for a split whose manifest has no such column, and for a cell that is no region: an
    image that was to be blurred is never shown as it is.
    """
    found: dict[str, tuple[Region, ...]] = {}
    for split in data.splits:
        stated, columns = data.split(split), split_columns(data, split)
        assert stated is not None
        rows = read_rows(split, stated, folder=folder, columns=columns)
        if column not in rows.frame:
            raise missing_column(split, rows, column, key=KEY)
        located = locate(split, rows, column=columns.image)
        cells = zip(located.paths, rows.text(column), rows.numbers, strict=True)
        for path, text, number in cells:
            named = f"data.{split}: {rows.source!r}, row {number}, column {column!r}"
            found[str(path)] = (*found.get(str(path), ()), *_regions(str(text), named))
    return found


def _regions(text: str, named: str) -> tuple[Region, ...]:
    return tuple(_region(part, named) for part in text.split(";") if part.strip())


def _region(text: str, named: str) -> Region:
    try:
        x0, y0, x1, y1 = (float(number) for number in text.replace(",", " ").split())
    except ValueError:
        x0, y0, x1, y1 = 1.0, 1.0, 0.0, 0.0
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise DataError(
            f"{named}: found {text.strip()[:60]!r}, expected a region to blur as x0 y0 x1 y1, "
            "rising, in fractions of the image from 0 to 1 (several divided by semicolons). "
            f"Correct the cell, or take {KEY} out of the audit spec."
        )
    return (x0, y0, x1, y1)
