"""Names that look like one but are written in two ways: ``1``, ``01`` and ``1.0``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from auditor.data.dataset import Dataset
from auditor.data.look_alikes import CAPITALS, FOREIGN
from auditor.errors import DataError

_GROUP = "the group of"
_WHOLE_NUMBER = re.compile(r"0*(\d+?)(?:\.0+)?")


def looks_like(name: str) -> str:
    """What a reader takes a name for.

    Whole numbers are read without zeros in front and behind the point, accents as one sign, any
    space as one, letters of other alphabets as the Latin ones that they look like, and marks that
    cannot be seen not at all. Capitals tell names apart.

    Examples
    --------
    >>> [looks_like(name) for name in ("007", "7.0", "1.10", "hall  2", "0", "\u043eld")]
    ['7', '7', '1.10', 'hall 2', '0', 'old']
    """
    seen = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    seen = seen.translate(CAPITALS).translate(FOREIGN)
    number = _WHOLE_NUMBER.fullmatch(seen) if seen.isascii() else None
    return number[1] if number else " ".join(seen.split())


def require_written_alike(datasets: Iterable[Dataset]) -> None:
    """Raise DataError where a unit, an annotator or a group is written in two ways.

    Read as two, a unit of test and training would be no unit seen in training, and a group that is
    served worse would be two small ones of which nothing is shown: ``single`` and ``Single`` are
    one. Of units capitals may be all that tells them apart, as in ids.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for dataset in datasets:
        for what, names in _names(dataset):
            for name in sorted(names - {""}):
                seen = looks_like(name)
                seen = seen.casefold() if what.startswith(_GROUP) else seen
                known, split = first.setdefault((what, seen), (name, dataset.split))
                if known != name:
                    raise DataError(
                        f"data.{dataset.split}: {what} {ascii(name)[:80]} looks like "
                        f"{ascii(known)[:80]} of the {split} data, and would be read as another. "
                        "Write it alike in all manifests; if they are two, so that a reader can "
                        "tell them apart."
                    )


def _names(dataset: Dataset) -> Iterator[tuple[str, set[str]]]:
    yield "the unit", set(dataset.table["unit"].unique())
    yield "the annotator", set(dataset.table["annotator"].unique())
    for attribute in dataset.attributes:
        if not attribute.numeric:
            yield f"{_GROUP} {attribute.name}", set(attribute.groups)
