"""The card's front matter, as `huggingface_hub` reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from auditor.modelcard.slices import SliceNumber
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.reports.signed_by import SignedBy
from auditor.spec.statements import Statement

_TASKS = {
    "classification": "image-classification",
    "detection": "object-detection",
    "segmentation": "image-segmentation",
    "instance-segmentation": "image-segmentation",
}
_LIBRARIES = {"onnx": "onnx", "torch": "pytorch", "torchscript": "pytorch"}
_WHERE = {
    "test": "Test data of the audit, clean subset",
    "deployment": "Images from where the model will run, clean subset",
}
MOST_RANK = 2
"""Slices of a single group or class; classes of groups are in the table of slices alone."""

GROUP_METRICS = 2
"""Metrics of a group; further ones are in the table of slices alone."""


def front_matter(
    record: AuditRecord,
    numbers: Sequence[SliceNumber],
    stated: Mapping[str, Statement],
    signed_by: SignedBy | None,
) -> str:
    """YAML: task, tags, results slice by slice, the audit's verdict and digests.

    A licence is named where somebody stated one, and nowhere else.
    """
    task = _TASKS[record.model.task]
    front: dict[str, Any] = {
        "pipeline_tag": task,
        "library_name": _LIBRARIES[record.model.format],
        "tags": ["vision", "audited", record.model.format],
        **_licence(stated),
        "model-index": [{"name": record.title, "results": _results(record, numbers, task)}],
        "audit": _audit_block(record, signed_by),
    }
    text: str = yaml.safe_dump(
        front, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None
    )
    return text


def _licence(stated: Mapping[str, Statement]) -> dict[str, str]:
    found = stated["licence"].text if "licence" in stated else ""
    if not found:
        return {}
    if re.fullmatch(r"[A-Za-z0-9][\w.+-]*", found):
        return {"license": found.lower()}
    return {"license": "other", "license_name": found}


def _results(
    record: AuditRecord, numbers: Sequence[SliceNumber], task: str
) -> list[dict[str, Any]]:
    """One entry a slice, each with a dataset config of its own, so that none overwrites another."""
    by_slice: dict[tuple[str, str], list[SliceNumber]] = {}
    of_groups = list(dict.fromkeys(n.kind for n in numbers if n.rank == MOST_RANK))[:GROUP_METRICS]
    for number in numbers:
        kept = number.rank < MOST_RANK or number.kind in of_groups
        if number.split in _WHERE and number.rank <= MOST_RANK and kept:
            by_slice.setdefault((number.split, number.config), []).append(number)
    revisions = {dataset.split: dataset.digest for dataset in record.datasets}
    return [
        {
            "task": {"type": task},
            "dataset": {
                "type": f"audit-{split}-data",
                "name": _WHERE[split],
                "config": config,
                "split": split,
                "revision": revisions.get(split, ""),
            },
            "metrics": [_metric(number) for number in found],
        }
        for (split, config), found in by_slice.items()
    ]


def _metric(number: SliceNumber) -> Mapping[str, Any]:
    args = {"slice": number.slice, "ci95": [number.low, number.high], "n": number.n}
    return {
        "type": number.kind,
        "name": f"{number.name} ({number.config})",
        "value": number.value,
        "args": args,
    }


def _audit_block(record: AuditRecord, signed_by: SignedBy | None) -> dict[str, Any]:
    policy = record.policy
    return {
        "verdict": record.verdict.value,
        "policy": {
            "id": str(policy.parsed["id"]),
            "version": str(policy.parsed["version"]),
            "sha256": policy.digest,
        },
        "audit_json_sha256": record_digest(record),
        "model_sha256": record.model.digest,
        "auditor": record.provenance.auditor_version,
        "date": record.provenance.started,
        "signed": signed_by is not None and {"by": signed_by.name, "key": signed_by.key_id},
    }
