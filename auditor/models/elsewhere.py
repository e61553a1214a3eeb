"""Models that lie elsewhere: copied to this disk, with what lies beside them, for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from auditor.errors import AuditorError, ModelError
from auditor.models.contained import external_names
from auditor.models.formats import LARGEST_FILE, TAKEN, detect_format
from auditor.models.stated import MOST_TEXT, neighbour_places
from auditor.remote.cache import forget_unmarked
from auditor.remote.urls import joined, leads_inside, name_of, shown_url
from auditor.remote.whole_files import Copies, Copy, Wanted, folder_of_copies
from auditor.spec import AuditSpec
from auditor.spec.named_urls import model_urls

MOST_FILES = 10_000
"""Files of weights that an ONNX file may name."""

_BESIDE = (
    "Put the files that were exported with it beside it, or export the model again with its "
    "weights inside."
)


@contextmanager
def with_models(spec: AuditSpec) -> Iterator[AuditSpec]:
    """The spec with copies of the models that it names by URL, for as long as the block lasts.

    Nothing of a copy is believed: it is looked at and opened as any file is. One that cannot be had
    raises ModelError where it is asked for (`AuditSpec.resolve`).
    """
    named = {url: key for key, url in reversed(list(model_urls(spec)))}
    if not named:
        yield spec
        return
    forget_unmarked()
    with folder_of_copies() as folder:
        held: dict[str, Copy | AuditorError] = {}
        for place, (url, key) in enumerate(named.items()):
            held |= _Fetching(url, key, folder / str(place)).fetch()
        yield spec.with_copies(Copies(held))


@dataclass(frozen=True)
class _Fetching:
    """One model, the `key` that names it, and the folder that its files are copied to."""

    url: str
    key: str
    folder: Path

    @property
    def path(self) -> Path:
        """As it is called there, in a folder called as its own is: neighbours are found by it."""
        return self.folder / name_of(self._place) / name_of(self.url)

    @property
    def _place(self) -> str:
        return self.url.rpartition("/")[0]

    def fetch(self) -> dict[str, Copy | AuditorError]:
        try:
            first = Copy(self.path, self._wanted(self.url, LARGEST_FILE, TAKEN).copy(self.path))
            return {self.url: first, **self._weights(), **self._neighbours()}
        except ModelError as error:
            return {self.url: error}

    def _wanted(self, url: str, at_most: int, remedy: str) -> Wanted:
        return Wanted(url, self.key, at_most, ModelError, remedy)

    def _weights(self) -> dict[str, Copy]:
        """The files in which an ONNX file says that its weights lie."""
        names = external_names(self.path) if detect_format(self.path) == "onnx" else ()
        if len(names) > MOST_FILES:
            self._refuse(f"{len(names):,} files, expected at most {MOST_FILES:,}")
        odd = [name for name in names if not leads_inside(name)]
        if odd:
            self._refuse(f"{odd[0][:100]!r}, expected files in its own folder or below it")
        held: dict[str, Copy] = {}
        left = LARGEST_FILE - self.path.stat().st_size
        for name in dict.fromkeys(PurePosixPath(name).as_posix() for name in names):
            url, path = joined(self._place, name), self.path.parent / name
            held[url] = Copy(path, self._wanted(url, left, _BESIDE).copy(path))
            left -= path.stat().st_size
        return held

    def _refuse(self, found: str) -> None:
        raise ModelError(
            f"{self.key}: {shown_url(self.url)!r} keeps its weights in {found}. {_BESIDE}"
        )

    def _neighbours(self) -> dict[str, Copy]:
        """What may speak of the model beside it; a copy of nothing where it is not there."""
        held: dict[str, Copy] = {}
        for path in (path for places in neighbour_places(self.path) for path in places):
            beside = path.parent == self.path.parent
            above = self._place if beside else self._place.rpartition("/")[0]
            if "://" in above and not path.exists():
                url = joined(above, path.name)
                found = self._neighbour(self._wanted(url, MOST_TEXT, "Correct it."), path)
                held |= {} if found is None else {url: found}
        return held

    def _neighbour(self, wanted: Wanted, path: Path) -> Copy | None:
        try:
            there = wanted.found()
        except ModelError as error:
            # What may not be looked at cannot be looked at again: nothing is noted of it.
            return None if error.__cause__ else Copy(path, None)
        return Copy(path, replace(wanted, there=there).copy(path))
