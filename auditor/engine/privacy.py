"""Which names leave an audit: pseudonyms for annotators, and for images where the spec says so.

They are put in place as soon as manifests are read, before anything is planned, measured or
judged. Who a pseudonym stands for is written to ``store/pseudonyms.csv``, for whoever answers for
the data; the store is no part of what is handed on.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from auditor.data.dataset import Dataset
from auditor.data.pseudonyms import (
    Naming,
    Pseudonyms,
    annotators_of,
    is_pseudonym,
    lettered,
    named_columns,
    named_groups,
    renamed,
    renamed_report,
)
from auditor.engine.gather import Loaded
from auditor.errors import SpecError
from auditor.judging.judged_record import spec_of
from auditor.opening import require_file, write_whole
from auditor.record import AuditRecord
from auditor.spec import AuditSpec, DataSpec, Document
from auditor.spec.declarations import basis_key, holding_basis
from auditor.spec.handing_on import ANNOTATORS
from auditor.spec.spec_file import SpecFile

LEAST_KEY, MOST_KEY = 16, 10_000
MAP = "pseudonyms.csv"
_HEAD = "# Names are pseudonyms here, and comments are left out.\n"


@dataclass(frozen=True)
class Private:
    """What was loaded, and its spec, under the names that may leave.

    `written` is the file that says who and what is meant, () where all keep their names.
    """

    loaded: Loaded
    file: SpecFile
    written: tuple[Path, ...] = ()


def under_pseudonyms(
    loaded: Loaded, file: SpecFile, declarations: Document | None, *, out: Path, as_of: date
) -> Private:
    """Spec and data with pseudonyms for the names that are not to be handed on.

    Raises SpecError for a key that is missing, too short, or lies in the folder that is handed on.
    """
    datasets = loaded.available.datasets
    by = _pseudonyms(datasets, file.spec, declarations, out=out, as_of=as_of)
    if by == Pseudonyms():
        return Private(loaded, file)
    written = _write_map(out / "store", datasets, by)
    data = file.spec.data
    named = {
        split: renamed(dataset, by, groups=named_groups(data, split, by))
        for split, dataset in datasets.items()
    }
    secret = _secret_columns(file.spec)
    quoted = not any(secret & part.where.keys() for s in data.splits if (part := data.split(s)))
    reports = {
        split: renamed_report(report, by, secret=secret, rows_quoted=quoted)
        for split, report in loaded.manifest_reports.items()
    }
    told = _file(file, by)
    available = replace(loaded.available, spec=told.spec, datasets=named)
    loaded = replace(loaded, available=available, manifest_reports=reports)
    return Private(loaded, told, (written,))


def require_names_allowed(record: AuditRecord, declarations: Document, *, as_of: date) -> None:
    """Raise SpecError where a record names annotators, and declarations no longer say why it may.

    A judgement measures nothing again, so that it cannot take the names out.
    """
    if holding_basis(spec_of(record), declarations, ANNOTATORS, as_of=as_of) is not None:
        return
    said = {m.subject.get("annotator") for _, m in record.measures()}
    named = sorted(name for name in said if name and not is_pseudonym(name))
    if named:
        raise SpecError(
            f"{declarations.name} has no {basis_key(ANNOTATORS)}, and the record names annotators "
            f"({len(named)} of them); a judgement cannot take names out. Declare the basis, or run "
            "the audit again with these declarations."
        )


def _pseudonyms(
    datasets: Mapping[str, Dataset],
    spec: AuditSpec,
    declarations: Document | None,
    *,
    out: Path,
    as_of: date,
) -> Pseudonyms:
    key = _key(spec, out=out)
    if holding_basis(spec, declarations, ANNOTATORS, as_of=as_of) is not None:
        return Pseudonyms(key)
    names = {*annotators_of(datasets.values()), *_stated(spec)}
    # Without a key the order must still be the same for every version of a system.
    return Pseudonyms(key, lettered(names, salt=key or b""))


def _stated(spec: AuditSpec) -> Iterator[str]:
    """Annotators whom the spec names, labels of whom there may be none."""
    yield from spec.data.columns.ratings
    for split in spec.data.splits:
        own = spec.data.split(split)
        if own is not None:
            yield from own.annotations_by
            yield from own.columns.ratings if own.columns else ()


def _key(spec: AuditSpec, *, out: Path) -> bytes | None:
    stated = spec.privacy
    if stated.images == "names" or stated.key is None:
        return None
    path = spec.resolve(stated.key)
    how = f"Make one with  openssl rand -hex 32 > {stated.key}  and keep it from what you hand on."
    require_file(path, what="privacy.key", at_most=MOST_KEY, error=SpecError, remedy=how)
    found = path.read_bytes().strip()
    if len(found) < LEAST_KEY:
        raise SpecError(
            f"privacy.key: {stated.key} holds {len(found)} bytes, expected {LEAST_KEY} or more, or "
            f"pseudonyms could be found out by trying. {how}"
        )
    if path.resolve().is_relative_to(out.resolve()):
        raise SpecError(
            f"privacy.key: {stated.key} lies in --out {out}, which is handed on: whoever has it "
            "can tell which image is which. Keep it elsewhere."
        )
    return found


def _secret_columns(spec: AuditSpec) -> set[str]:
    columns = [spec.data.columns]
    columns += [
        own.columns for s in spec.data.splits if (own := spec.data.split(s)) and own.columns
    ]
    found = {column.image for column in columns} | {c.annotator for c in columns if c.annotator}
    return found | {c.unit_column.column for c in columns if c.unit_column}


def _file(file: SpecFile, by: Pseudonyms) -> SpecFile:
    """The spec as the record keeps it; its digest stays that of the file as it was written."""
    parsed = file.spec.model_dump(mode="json")
    told = parsed | {"data": _data(parsed["data"], file.spec.data, by)}
    if not by.annotators and told == parsed:
        return file
    told["display"] = _told(parsed["display"], by)
    spec = AuditSpec.model_validate(told, strict=False)
    text = _HEAD + yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    return replace(file, spec=spec.model_copy(update={"folder": file.spec.folder}), text=text)


def _data(data: dict[str, Any], spec: DataSpec, by: Pseudonyms) -> dict[str, Any]:
    """With pseudonyms in columns, what annotators drew, rows taken, and groups that are names."""
    told = data | {"columns": _told(data["columns"], by)}
    groups: dict[str, Naming] = {}
    for split in spec.splits:
        own, named = data[split], named_columns(spec, split, by)
        drawn = _told(own["annotations_by"], by)
        columns = own["columns"] and _told(own["columns"], by)
        where = {c: _by(named[c], v) if c in named else v for c, v in own["where"].items()}
        told[split] = own | {"annotations_by": drawn, "columns": columns, "where": where}
        groups |= named_groups(spec, split, by)
    told["attributes"] = {
        name: a | {key: _by(groups[name], a[key]) for key in ("population", "values")}
        if name in groups
        else a
        for name, a in data["attributes"].items()
    }
    return told


def _by(to: Naming, value: Any) -> Any:
    """A name, the names of a list, or those that a mapping has a value for."""
    if isinstance(value, Mapping):
        return {to(str(k)): v for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to(str(v)) for v in value]
    return None if value is None else to(str(value))


def _told(value: Any, by: Pseudonyms) -> Any:
    if isinstance(value, str):
        return by.told(value)
    if isinstance(value, Mapping):
        return {by.told(str(k)): _told(v, by) for k, v in value.items()}
    return [_told(v, by) for v in value] if isinstance(value, list) else value


def _write_map(store: Path, datasets: Mapping[str, Dataset], by: Pseudonyms) -> Path:
    """Who is who, readable by its owner alone; returns where."""
    rows = {("annotator", name, said) for name, said in by.annotators.items()}
    if by.key is not None:
        for dataset in datasets.values():
            rows |= {("image", str(n), by.image(str(n))) for n in dataset.image_ids}
            if dataset.has_units:
                units = set(dataset.table["unit"].astype(str)) - {""}
                rows |= {("unit", name, by.unit(name)) for name in units}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", "name", "pseudonym"))
    writer.writerows(sorted(rows))
    store.mkdir(exist_ok=True)
    path = write_whole(store / MAP, text.getvalue().encode("utf-8", errors="backslashreplace"))
    os.chmod(path, 0o600)
    return path
