"""Pseudonyms for images, units and annotators, put in place of their names once data are read.

Nothing is measured, judged or written before: what comes after knows no other name. A pseudonym of
an image is the start of a keyed hash (HMAC-SHA256), so that equal names have equal ones in every
split and every audit with the same key, and nobody without it can try names out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from auditor.data.attributes import OTHER
from auditor.data.columns import Columns
from auditor.data.dataset import Attribute, Dataset
from auditor.data.expectations import ExpectationResult, ManifestReport
from auditor.data.image_names import ImageNames
from auditor.data.left_out import QUOTES_AN_IMAGE, QUOTES_ROWS
from auditor.data.manifest import split_columns
from auditor.spec import DataSpec

_LENGTH = 16
"""Hexadecimal digits: of a million names two are the same once in 37 million audits."""


Naming = Callable[[str], str]
"""From a name to what stands for it."""


@dataclass(frozen=True)
class Pseudonyms:
    """What stands for which name.

    `key` is None where images and units keep their names; `annotators` maps names to pseudonyms,
    empty where a basis to name them is declared.
    """

    key: bytes | None = None
    annotators: Mapping[str, str] = field(default_factory=dict)

    def image(self, name: str) -> str:
        return self._keyed("image", name)

    def unit(self, name: str) -> str:
        return self._keyed("unit", name)

    def annotator(self, name: str) -> str:
        return self.annotators.get(name, name)

    def told(self, text: str) -> str:
        """A text with the pseudonyms of the annotators whose names stand in it, as whole words."""
        for name in sorted(self.annotators, key=len, reverse=True):
            text = re.sub(
                rf"(?<![^\W_]){re.escape(name)}(?![^\W_])",
                self.annotators[name].replace("\\", r"\\"),
                text,
                flags=re.IGNORECASE,
            )
        return text

    def _keyed(self, kind: str, name: str) -> str:
        if self.key is None or not name:
            return name
        found = hmac.new(self.key, f"{kind}\0{name}".encode(errors="surrogatepass"), "sha256")
        return f"{kind}-{found.hexdigest()[:_LENGTH]}"


def annotators_of(datasets: Iterable[Dataset]) -> tuple[str, ...]:
    """The names of all who labelled or drew, sorted, each once."""
    names: set[str] = set()
    for dataset in datasets:
        names |= {*dataset.annotators, *dataset.drawn_by}
        names |= set(dataset.table["annotator"].astype(str))
    return tuple(sorted(names - {""}))


def lettered(names: Iterable[str], *, salt: bytes) -> dict[str, str]:
    """``annotator A``, ``annotator B``, ... for each name, in an order that tells nothing.

    It is the order of their hashes with `salt`: the same names have the same letters as long as
    the salt is the same. With a salt that others know, they can find out whose letter it is from a
    list of names; with a secret key they cannot.
    """

    def hashed(name: str) -> bytes:
        return hmac.new(salt, name.encode(errors="surrogatepass"), hashlib.sha256).digest()

    return {
        name: f"annotator {_letters(i)}" for i, name in enumerate(sorted(set(names), key=hashed))
    }


def is_pseudonym(name: str) -> bool:
    """Whether a name is what `lettered` gives, or stands for all annotators but one."""
    return name == "others" or re.fullmatch(r"annotator [A-Z]+", name) is not None


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def renamed(
    dataset: Dataset, by: Pseudonyms, *, groups: Mapping[str, Naming] | None = None
) -> Dataset:
    """A split under its pseudonyms; `groups` are attributes whose groups are names as well."""
    frame = dataset.frame.assign(annotator=_mapped(dataset.table["annotator"], by.annotator))
    ids = dataset.image_ids
    if by.key is not None:
        ids = ImageNames.of(map(by.image, ids))
        frame = frame.assign(unit=_mapped(frame["unit"], by.unit))
    named = {f"rating:{name}": f"rating:{by.annotator(name)}" for name in dataset.annotators}
    # Bins of a number that is in a name, too, are none.
    by_name = {a.name: a for a in dataset.attributes if not a.numeric}
    hidden = {name: to for name, to in (groups or {}).items() if name in by_name}
    for name, to in hidden.items():
        frame[f"attribute:{name}"] = _mapped(frame[f"attribute:{name}"], to)
    return replace(
        dataset,
        table=Columns.of(frame.rename(columns=named)),
        image_ids=ids,
        annotators=tuple(map(by.annotator, dataset.annotators)),
        drawn_by={by.annotator(name): drawn for name, drawn in dataset.drawn_by.items()},
        attributes=tuple(
            _attribute(a, hidden[a.name]) if a.name in hidden else a for a in dataset.attributes
        ),
    )


def _attribute(attribute: Attribute, to: Naming) -> Attribute:
    shares = attribute.population
    return replace(
        attribute,
        groups=tuple(map(to, attribute.groups)),
        population=None if shares is None else {to(k): v for k, v in shares.items()},
    )


def _mapped(column: pd.Series, to: Naming) -> pd.Series:
    names = column.astype(str)
    return names.map({name: to(name) for name in names.unique()}).astype("str")


def named_columns(data: DataSpec, split: str, by: Pseudonyms) -> dict[str, Naming]:
    """The columns of a split that hold names of images, units or annotators."""
    columns = split_columns(data, split)
    named: dict[str, Naming] = {columns.image: by.image}
    if columns.unit_column is not None:
        named[columns.unit_column.column] = by.unit
    if columns.annotator is not None:
        named[columns.annotator] = by.annotator
    return named


def named_groups(data: DataSpec, split: str, by: Pseudonyms) -> dict[str, Naming]:
    """The attributes of a split whose groups are such names."""
    named = named_columns(data, split, by)
    of_images = {n: a for n, a in data.attributes.items() if a.of == "image"}
    return {
        name: _but_others(named[column]) if attribute.largest else named[column]
        for name, attribute in of_images.items()
        if (column := attribute.column or name) in named
    }


def _but_others(to: Naming) -> Naming:
    """The name of all small groups together is nobody's."""
    return lambda name: name if name == OTHER else to(name)


def renamed_report(
    report: ManifestReport, by: Pseudonyms, *, secret: Iterable[str], rows_quoted: bool = True
) -> ManifestReport:
    """What is wrong with a manifest, told under pseudonyms.

    `secret` are the columns of image, unit and annotator, whose values are not repeated;
    `rows_quoted` says that by none of them rows are taken or left.
    """
    failing = report.failing.copy()
    if len(failing):
        if by.key is not None:
            hidden = failing["column"].isin(list(secret))
            failing["value"] = failing["value"].mask(hidden, "(not repeated)")
        failing["image"] = [by.image(str(name)) for name in failing["image"]]
        for column in ("column", "expectation", "value"):
            failing[column] = [by.told(str(text)) for text in failing[column]]
    results = tuple(
        replace(
            r,
            name=by.told(r.name),
            column=by.told(r.column),
            sentence=by.told(r.sentence if by.key is None else _unquoted(r)),
            quoted="",
        )
        for r in report.results
    )
    # The image quoted may be one whose name is not known whole.
    quoting = (QUOTES_AN_IMAGE, *(() if rows_quoted else (QUOTES_ROWS,)))
    left_out = tuple(
        replace(one, cause=_cause(one.cause, by, quoting)) for one in report.counts.left_out
    )
    counts = replace(report.counts, left_out=left_out)
    notes = tuple(by.told(note) for note in report.notes)
    return replace(report, failing=failing, results=results, counts=counts, notes=notes)


def _unquoted(result: ExpectationResult) -> str:
    return result.sentence.replace(result.quoted, "") if result.quoted else result.sentence


def _cause(text: str, by: Pseudonyms, quoting: tuple[str, ...]) -> str:
    return "" if by.key is not None and text.startswith(quoting) else by.told(text)
