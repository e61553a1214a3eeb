"""Which files a spec names, or has looked for: what a run reads beside the images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from auditor.data.image_files import manifest_of, remote_of
from auditor.data.images import is_image_name
from auditor.data.tar_shards import is_tar, shard_places
from auditor.engine.footprint import Footprint, mark_of, marked
from auditor.engine.gathered import Gathered
from auditor.engine.remote_marks import can_all_be_marked, marks_of_images, marks_of_named
from auditor.judging.policy_file import load_policy
from auditor.models.stated import neighbour_places
from auditor.record import AuditRecord
from auditor.remote.urls import is_url, placed
from auditor.spec import AuditSpec
from auditor.spec.bounds import path_problem
from auditor.spec.spec_file import read_spec

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def marks_of_texts(spec: Path, *, policy: str | None) -> dict[str, str]:
    """Of the spec, the policies and the declarations; to be taken before they are read."""
    read = read_spec(spec).spec
    policies = load_policy(read.policy if policy is None else policy,
                           folder=read.folder if policy is None else Path()).files  # fmt: skip
    declared = [] if read.declarations is None else [read.resolve(read.declarations)]
    return {os.path.abspath(path): mark_of(path) for path in (spec, *policies, *declared)}


def footprint_of_named(spec: AuditSpec, *, texts: Mapping[str, str], out: Path) -> Footprint:
    """Of all that a spec names, but the images, whose digests the sweep takes.

    To be taken before any of it is read: what is edited meanwhile is then a change to the next run.
    `texts` are the marks of what was read before (`marks_of_texts`).
    """
    files = [*_named(spec), *_parts(spec), *_annotations(spec), *_cue_conflicts(spec)]
    files += _beside(spec)
    found = Footprint.of(files, folders=_folders(spec), apart=out)
    return replace(found, files={**found.files, **texts}, remote=marks_of_named(spec))


def with_images(footprint: Footprint, gathered: Gathered) -> Footprint:
    """With the images that were read, each by the digest that it was read with."""
    images: dict[str, str] = {}
    remote: dict[str, str] = {}
    for split, dataset in gathered.available.datasets.items():
        paths, digests = dataset.paths, gathered.splits[split].digests
        remote |= marks_of_images(paths, digests)
        images |= {
            os.path.abspath(path): marked(path, digest)
            for path, digest in zip(paths, digests, strict=True)
            if manifest_of(path) is None and remote_of(path) is None
        }
    return replace(
        footprint,
        files={**images, **footprint.files},
        remote={**remote, **footprint.remote},
    )


def can_be_kept(record: AuditRecord, spec: AuditSpec, footprint: Footprint) -> bool:
    """Whether all is known that the run read.

    Code of the model's author may read anything. A model in several files is not told of all, and
    files of gigabytes are not hashed.
    """
    reference = spec.model.reference
    return can_all_be_marked(spec) and not (
        record.provenance.trusted_code
        or not footprint.whole
        or _digest(footprint, spec, spec.model.path) != record.model.digest
        or (reference is not None and Path(reference).suffix.lower() == ".onnx")
        or any(
            record.provenance.inputs.get(f"variants.{name}")
            != _digest(footprint, spec, variant.path)
            for name, variant in spec.variants.items()
            if variant.path is not None
        )
    )


def _digest(footprint: Footprint, spec: AuditSpec, model: str) -> str:
    """SHA-256 of a model's file: as it was before it was read, or of its copy, which stays."""
    path = spec.resolve(model)
    return mark_of(path).partition(" ")[2] if is_url(model) else footprint.digest(path)


def untimed(record: AuditRecord) -> bool:
    """Whether a timing could not be taken that another run may take, as on a busy machine."""
    return any(u.volatile for results in record.results for u in results.unmeasured)


def judged_until(record: AuditRecord) -> date | None:
    """The first day named in policy or declarations, today or later: none is judged beyond it."""
    today = record.provenance.started[:10]
    declared = {} if record.declarations is None else record.declarations.parsed
    found = (
        text[:10]
        for document in (record.policy.parsed, declared)
        for text in _texts(document)
        if _DAY.match(text) and text[:10] >= today
    )
    days = sorted(found)
    return date.fromisoformat(days[0]) if days else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(each)


def _named(spec: AuditSpec) -> Iterator[Path]:
    """Whatever the spec says that is, or might be, the path of a file."""
    for text in dict.fromkeys(_texts(spec.model_dump(mode="json"))):
        if not path_problem(text) and not is_url(text):
            path = spec.resolve(text)
            if not path.is_dir():
                yield path
    names = spec.data.classes.names
    if isinstance(names, str) and not is_url(names):
        yield from (folder / names for folder in spec.folder.parents)


def _folders(spec: AuditSpec) -> Iterator[Path]:
    for split in spec.data.splits:
        part = spec.data.split(split)
        assert part is not None
        text = part.images or str(part.manifest)
        if not is_url(text) and not is_tar(text):
            place = spec.resolve(text)
            yield place if part.images is not None or place.is_dir() else place.parent
        if part.annotations is not None and not is_url(part.annotations):
            place = spec.resolve(part.annotations)
            yield from (place,) if place.is_dir() else ()


def _annotations(spec: AuditSpec) -> Iterator[Path]:
    """Files in folders of annotations; in a folder of images without a manifest all but images."""
    for split in spec.data.splits:
        part = spec.data.split(split)
        assert part is not None
        if part.annotations is not None and not is_url(part.annotations):
            yield from _files(spec.resolve(part.annotations))
        place = str(part.images)
        if part.manifest is None and not is_url(place):
            found = _files(spec.resolve(place))
            yield from (path for path in found if not is_image_name(path.name))


def _parts(spec: AuditSpec) -> Iterator[Path]:
    """Tar files, and the files of folders that are manifests."""
    for split in spec.data.splits:
        part = spec.data.split(split)
        assert part is not None
        for text in filter(None, (part.images, part.manifest)):
            place = placed(spec.folder, text)
            if is_tar(text) and not is_url(text):
                yield from map(Path, shard_places(place, named=f"data.{split}.images"))
            elif text == part.manifest and os.path.isdir(place):
                yield from _files(Path(place))


def _cue_conflicts(spec: AuditSpec) -> Iterable[Path]:
    """Their images, too: no sweep reads them."""
    given = spec.data.cue_conflict
    if given is None:
        return ()
    images = spec.resolve(given.manifest).parent if given.images is None else given.images
    return (p for p in _files(spec.resolve(str(images))) if is_image_name(p.name))


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _beside(spec: AuditSpec) -> Iterator[Path]:
    for named in (spec.model.path, spec.model.reference):
        if named is not None and not is_url(named):
            for places in neighbour_places(spec.resolve(named)):
                yield from places
