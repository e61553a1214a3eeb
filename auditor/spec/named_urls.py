"""What a spec names by URL: all that is read over the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from auditor.remote.urls import is_url
from auditor.spec.audit_spec import AuditSpec, DatasetSpec


def named_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """The URLs that a spec names, each with its key in the spec."""
    for of_kind in (model_urls, list_urls, data_urls, annotation_urls):
        yield from of_kind(spec)


def model_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """Those of models."""
    stated = {"model.path": spec.model.path, "model.reference": spec.model.reference}
    stated |= {f"variants.{name}.path": one.path for name, one in spec.variants.items()}
    return _urls(stated)


def list_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """Those of lists of classes."""
    given = {"model.classes": spec.model.classes, "data.classes.names": spec.data.classes.names}
    return _urls({key: said for key, said in given.items() if isinstance(said, str)})


def data_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """Those of manifests and images."""
    for split, part in _parts(spec):
        yield from _urls({f"{split}.manifest": part.manifest, f"{split}.images": part.images})


def annotation_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """Those of annotations, files and folders."""
    for split, part in _parts(spec):
        stated = {"annotations": part.annotations, **part.second_annotations}
        yield from _urls({f"{split}.{key}": text for key, text in stated.items()})


def _parts(spec: AuditSpec) -> Iterator[tuple[str, DatasetSpec]]:
    for split in spec.data.splits:
        part = spec.data.split(split)
        assert part is not None
        yield f"data.{split}", part


def _urls(stated: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    return ((key, text) for key, text in stated.items() if text is not None and is_url(text))
