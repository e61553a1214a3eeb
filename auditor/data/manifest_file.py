"""A manifest's file as columns of text: CSV and its kin, JSON Lines, Parquet.

`auditor init` and `auditor run` both read manifests here, so that what one sees the other does.
Only nothing is missing: "None", "NA" and "null" may be names of groups and classes.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from auditor.data.images import is_image_name
from auditor.data.manifest_table import MOST_ROWS, ManifestTable, value_text
from auditor.data.parquet_manifest import read_parquet
from auditor.errors import DataError
from auditor.opening import why_not

PARQUET_SUFFIXES, JSON_SUFFIXES = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json")
MANIFEST_SUFFIXES = (".csv", ".tsv", ".txt", *JSON_SUFFIXES, *PARQUET_SUFFIXES)

MOST_BYTES, MOST_PARQUET_BYTES = 10**9, 10**11
"""Size that a manifest may have, in text and in Parquet, which may hold the images."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = (",", ";", "\t", "|")


def read_manifest(path: Path, *, named: str) -> ManifestTable:
    """Read a manifest that exists; `named` is what errors call it.

    Text is UTF-8, or UTF-16 with its mark. Values are separated by commas, semicolons, tabs or
    bars (in .txt also by spaces), whichever divides the first line most. A first line with the
    name of an image is no header. A column without a name is called ``column-N``, N from 1; empty
    lines are no rows.

    Raises DataError for a file that cannot be read whole.
    """
    suffix = manifest_suffix(path.name, named=named)
    parquet = suffix in PARQUET_SUFFIXES
    found = why_not(path, at_most=MOST_PARQUET_BYTES if parquet else MOST_BYTES)
    if found is not None:
        raise DataError(
            f"{named} {found}. Give a CSV or Parquet file with one row an image, or audit a sample "
            "of its rows."
        )
    if parquet:
        return checked_table(read_parquet(path, named=named), named=named)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{named} cannot be read: {error.strerror}.") from error
    return text_table(content, suffix, named=named)


def manifest_suffix(name: str, *, named: str) -> str:
    """The suffix of a manifest's name, in lower case; raises DataError where it is none."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in MANIFEST_SUFFIXES:
        raise DataError(
            f"{named} ends in {suffix!r}; a manifest is one of {', '.join(MANIFEST_SUFFIXES)}. "
            "Save it as CSV with one header line and one row an image."
        )
    return suffix


def text_table(content: bytes, suffix: str, *, named: str) -> ManifestTable:
    """The bytes of a manifest of text, of the kind that its `suffix` says; as `read_manifest`."""
    text = _text(content, named)
    if suffix not in JSON_SUFFIXES:
        table = ManifestTable(_from_csv(text, named, spaces=suffix == ".txt"))
        return checked_table(table, named=named)
    try:
        return checked_table(_from_json(text, named), named=named)
    except RecursionError as error:
        raise DataError(f"{named} has values nested too deep. Flatten them.") from error


def checked_table(table: ManifestTable, *, named: str) -> ManifestTable:
    """The table, where it is of a size that is read and holds text alone."""
    if len(table.frame) > MOST_ROWS:
        raise DataError(
            f"{named} has {len(table.frame):,} rows; a manifest has at most {MOST_ROWS:,}. Audit a "
            "sample of them."
        )
    _refuse_nul(table.frame, named)
    return table


def _text(content: bytes, named: str) -> str:
    encoding = next((e for mark, e in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        wanted = "UTF-16, as its first bytes say" if encoding == "utf-16" else "UTF-8"
        raise DataError(
            f"{named} is not {wanted} ({error.reason} at byte {error.start}). Save it as UTF-8: in "
            "a spreadsheet as `CSV UTF-8`, elsewhere with `iconv -f latin1 -t utf-8`."
        ) from error


def _from_csv(text: str, named: str, *, spaces: bool) -> pd.DataFrame:
    lines = list(_csv_lines(text, named, spaces=spaces))
    if not lines:
        return pd.DataFrame()
    headless = any(map(is_image_name, lines[0].values))
    names = [""] * len(lines[0].values) if headless else lines[0].values
    rows = lines if headless else lines[1:]
    for line in rows:
        if len(line.values) != len(names):
            line.fit(len(names), named)
    columns = zip(*(line.values for line in rows), strict=True) if rows else [()] * len(names)
    return _frame(names, columns, named)


@dataclass(slots=True)
class _Line:
    """The values of a line, stripped, and the number of the line."""

    number: int
    values: list[str]

    def fit(self, width: int, named: str) -> None:
        """Bring to `width` values: missing ones are empty, empty ones too many are dropped."""
        if any(self.values[width:]):
            raise DataError(
                f"{named}, line {self.number}: found {len(self.values)} values, the first line has "
                f"{width}. Put a value that holds the separator in double quotes, or name every "
                "column in the first line."
            )
        del self.values[width:]
        self.values.extend([""] * (width - len(self.values)))


def _csv_lines(text: str, named: str, *, spaces: bool) -> Iterator[_Line]:
    """The lines with any value. Strict: what follows an open quote must not be lost unseen."""
    if text[:4].lower() == "sep=":
        text = text.partition("\n")[2]
    delimiter = _delimiter(text, spaces=spaces)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    try:
        for values in reader:
            stripped = [value.strip() for value in values]
            if any(stripped):
                yield _Line(reader.line_num, stripped)
    except csv.Error as error:
        raise DataError(
            f"{named} cannot be read: {error} (line {reader.line_num}). Close every double quote, "
            "and double those inside of values."
        ) from error


def _delimiter(text: str, *, spaces: bool) -> str:
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    widths = {mark: first.count(mark) for mark in _DELIMITERS}
    if '"' in first:
        widths = {mark: _quoted_width(first, mark) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: widths[mark])
    return " " if spaces and not widths[best] else best


def _quoted_width(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])) - 1


def _from_json(text: str, named: str) -> ManifestTable:
    names: dict[str, None] = {}
    records = list(_json_records(text, named))
    for record in records:
        names.update(dict.fromkeys(record))
    several = {
        name
        for record in records
        for name, value in record.items()
        if isinstance(value, list) and len(value) > 1
    }
    columns = ([value_text(record.get(name)) for record in records] for name in names)
    frame = _frame([str(name).strip() for name in names], columns, named)
    return ManifestTable(frame, several=frozenset(several))


def _json_records(text: str, named: str) -> Iterator[Mapping[str, Any]]:
    whole = text.lstrip("\ufeff").lstrip().startswith("[")
    # Not `splitlines`: a text may hold other ends of lines than these.
    for number, line in enumerate([text] if whole else text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{named}, line {number}: this is not JSON ({error}). Write one object a line, as "
                '{"file_name": "a.png", "label": "cat"}.'
            ) from error
        for record in found if isinstance(found, list) else [found]:
            if not isinstance(record, dict):
                raise DataError(
                    f"{named}, line {number}: found {type(record).__name__}, expected an object "
                    'with a value for each column, as {"file_name": "a.png", "label": "cat"}.'
                )
            yield record


def _frame(
    names: Sequence[str], columns: Iterable[Sequence[str | None]], named: str
) -> pd.DataFrame:
    """Columns of text; those without name and values are no columns."""
    found: dict[str, pd.Series] = {}
    for number, (name, values) in enumerate(zip(names, columns, strict=True), 1):
        if not name and not any(values):
            continue
        try:
            series = pd.Series([value or None for value in values], dtype="str")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{named} cannot be read: a value holds half of a pair of UTF-16 "
                f"({error.object[error.start]!a}). Write whole letters."
            ) from error
        called = name or f"column-{number}"
        if called in found and not found[called].equals(series):
            raise DataError(
                f"{named} has two columns {called!r} with different values. Give each column a "
                "name of its own."
            )
        found.setdefault(called, series)
    return pd.DataFrame(found)


def _refuse_nul(frame: pd.DataFrame, named: str) -> None:
    for name in frame.columns:
        holds = frame[name].str.contains("\0", regex=False, na=False).to_numpy(dtype=bool)
        if holds.any() or "\0" in name:
            where = f"row {int(holds.argmax()) + 1}" if holds.any() else "its name"
            raise DataError(
                f"{named} holds a NUL character in a column ({where}), so that it is damaged, or "
                "UTF-16 without its mark. Save it as UTF-8 text."
            )
