"""What two audits were made from: model, data, spec, versions, machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from auditor.record import AuditRecord, DatasetSummary

Part = Literal["audit", "model", "data", "spec", "policy", "versions", "machine"]


@dataclass(frozen=True)
class InputChange:
    """One thing that differs: which part, what it is called, before and after ("" for nothing)."""

    part: Part
    what: str
    before: str
    after: str


def input_changes(before: AuditRecord, after: AuditRecord) -> tuple[InputChange, ...]:
    """What differs between the inputs of two audits; none of it says that a result does."""
    pairs = (
        *_audit(before, after),
        *_model(before, after),
        *_data(before, after),
        *_spec(before, after),
        *_policy(before, after),
        *_versions(before, after),
    )
    return tuple(change for change in pairs if change.before != change.after)


def _audit(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    yield InputChange("audit", "title", before.title, after.title)
    yield InputChange("audit", "task", before.model.task, after.model.task)
    yield InputChange("audit", "seed", str(before.provenance.seed), str(after.provenance.seed))


def _model(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    old, new = before.model, after.model
    yield InputChange("model", "file (SHA-256)", old.digest[:12], new.digest[:12])
    yield InputChange("model", "format", old.format, new.format)
    yield InputChange("model", "bytes", f"{old.file_bytes:,}", f"{new.file_bytes:,}")
    yield InputChange("model", "parameters", _count(old.n_parameters), _count(new.n_parameters))
    yield InputChange("model", "classes", ", ".join(old.classes), ", ".join(new.classes))


def _count(n: int | None) -> str:
    return "not known" if n is None else f"{n:,}"


def _data(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    names = dict.fromkeys(d.split for record in (before, after) for d in record.datasets)
    for name in names:
        old, new = (_told(record.dataset(name)) for record in (before, after))
        for what in dict.fromkeys([*old, *new]):
            yield InputChange("data", f"{name}: {what}", old.get(what, ""), new.get(what, ""))


def _told(dataset: DatasetSummary | None) -> dict[str, str]:
    if dataset is None:
        return {}
    return {
        "images": f"{dataset.n:,}",
        "images without those set apart": f"{dataset.n_sound:,}",
        "manifest (SHA-256)": dataset.digest[:12],
        "names and bytes of the images (SHA-256)": (dataset.images_digest or "")[:12],
    }


_UNTOLD = frozenset({"audit.title", "audit.seed", "policy", "model.path"})


def _spec(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    old, new = (dict(_flat(record.spec.parsed)) for record in (before, after))
    for key in dict.fromkeys([*old, *new]):
        if key not in _UNTOLD:
            yield InputChange("spec", key, old.get(key, ""), new.get(key, ""))


def _flat(stated: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """What a spec states, by the path of its keys."""
    if isinstance(stated, Mapping):
        for key, said in stated.items():
            yield from _flat(said, f"{at}.{key}" if at else str(key))
    elif isinstance(stated, Sequence) and not isinstance(stated, str):
        for i, said in enumerate(stated, start=1):
            yield from _flat(said, f"{at}[{i}]")
    elif stated is not None:
        yield at, str(stated)


def _policy(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    old, new = before.policy, after.policy
    named = (f"{p.parsed['id']} {p.parsed['version']}" for p in (old, new))
    yield InputChange("policy", "policy", *named)
    yield InputChange("policy", "text (SHA-256)", old.digest[:12], new.digest[:12])


def _versions(before: AuditRecord, after: AuditRecord) -> Iterator[InputChange]:
    old, new = before.provenance, after.provenance
    yield InputChange("versions", "auditor", old.auditor_version, new.auditor_version)
    yield InputChange("versions", "python", old.python, new.python)
    for name in sorted({*old.packages, *new.packages}):
        told = (p.packages.get(name, "") for p in (old, new))
        yield InputChange("versions", name, *told)
    yield InputChange("machine", "processor", old.cpu, new.cpu)
    yield InputChange("machine", "system", old.os, new.os)
    yield InputChange("machine", "cores", str(old.cores), str(new.cores))
