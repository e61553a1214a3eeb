"""The bill of materials: CycloneDX 1.6 with a model card, of the model and the data it met.

Written by hand as JSON: the Python library of CycloneDX has no model cards and drops them. The
schema wants numbers as text; they are the record's own, to the last digit.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from auditor.contract import Words
from auditor.findings import EvidenceStatus, Finding, TensorFacts, Verdict
from auditor.modelcard.slices import SliceNumber, slice_numbers
from auditor.record import AuditRecord, DatasetSummary
from auditor.record.files import record_digest
from auditor.reports.annex import CANNOT_TEST
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.reasons import action
from auditor.reports.wording import AUDIT_WORDS
from auditor.spec.statements import Statement, statements

SPEC_VERSION = "1.6"
MOST_GROUPS = 40
"""Groups shown to be served worse that are listed; the record holds all."""


def ml_bom(record: AuditRecord) -> str:
    """The bill of materials as JSON; equal records give equal bytes, and no date but theirs."""
    order = ordered(record)
    digest = record_digest(record)
    day = datetime.fromisoformat(record.provenance.started).date()
    stated = statements(record.spec.parsed, record.declarations, as_of=day)
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.UUID(hex=digest[:32], version=5)}",
        "version": 1,
        "metadata": {
            "timestamp": record.provenance.started,
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "auditor",
                        "version": record.provenance.auditor_version,
                    }
                ]
            },
            "properties": _properties(
                {
                    "auditor:audit-json-sha256": digest,
                    "auditor:verdict": record.verdict.value,
                    "auditor:policy": f"{record.policy.parsed['id']} "
                    f"{record.policy.parsed['version']}",
                    "auditor:policy-sha256": record.policy.digest,
                }
            ),
        },
        "components": [_model(record, order, stated), *map(_data, record.datasets)],
        "dependencies": [
            {"ref": "model", "dependsOn": [_ref(dataset) for dataset in record.datasets]}
        ],
    }
    return json.dumps(_printable(bom), ensure_ascii=False, indent=1) + "\n"


def _model(record: AuditRecord, order: Ordered, stated: Sequence[Statement]) -> dict[str, Any]:
    said = {one.key: one.text for one in reversed(stated)}
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": record.title,
        "description": said.get("intended-use") or None,
        "version": said.get("system-version") or None,
        "manufacturer": {"name": said["developer"]} if said.get("developer") else None,
        "licenses": [{"license": {"name": said["licence"]}}] if said.get("licence") else None,
        "hashes": [{"alg": "SHA-256", "content": record.model.digest}],
        "modelCard": {
            "bom-ref": "model-card",
            "modelParameters": _parameters(record),
            "quantitativeAnalysis": {
                "performanceMetrics": [_metric(number) for number in slice_numbers(order)]
            },
            "considerations": _considerations(record, order, said),
            "properties": _properties(_declared(stated)),
        },
    }
    return {key: value for key, value in found.items() if value is not None}


def _parameters(record: AuditRecord) -> dict[str, Any]:
    model = record.model
    return {
        "task": model.task,
        "datasets": [{"ref": _ref(dataset)} for dataset in record.datasets],
        "inputs": [{"format": _tensor(tensor)} for tensor in model.inputs],
        "outputs": [{"format": _tensor(tensor)} for tensor in model.outputs],
    }


def _tensor(tensor: TensorFacts) -> str:
    shape = " x ".join("any" if n is None else str(n) for n in tensor.shape)
    return f"{tensor.name}: {shape}, {tensor.dtype}"


def _metric(number: SliceNumber) -> dict[str, Any]:
    return {
        "type": number.kind,
        "value": repr(number.value),
        "slice": number.config,
        "confidenceInterval": {"lowerBound": repr(number.low), "upperBound": repr(number.high)},
    }


def _considerations(record: AuditRecord, order: Ordered, said: Mapping[str, str]) -> dict[str, Any]:
    """From declarations and findings; what nobody stated is MISSING, never made up."""
    failed = [f for f in order.findings if f.verdict is Verdict.FAIL]
    return {
        "users": [said.get("intended-users") or EvidenceStatus.MISSING.value],
        "useCases": [said.get("intended-use") or EvidenceStatus.MISSING.value],
        "technicalLimitations": list(_limitations(record, order, said)),
        "ethicalConsiderations": [
            {"name": f"{name}: {said.get(key) or EvidenceStatus.MISSING.value}"}
            for key, name in (
                ("when-wrong", "What happens when it is wrong"),
                ("affected-groups", "Who bears a wrong answer"),
                ("appeal", "Way to object"),
                ("oversight", "How its answers are used"),
            )
        ],
        "fairnessAssessments": [_assessment(f, order) for f in failed if order.group(f)][
            :MOST_GROUPS
        ],
    }


def _limitations(record: AuditRecord, order: Ordered, said: Mapping[str, str]) -> Iterator[str]:
    yield f"{AUDIT_WORDS[record.verdict]} policy “{record.policy.parsed['id']}”."
    if said.get("out-of-scope"):
        yield f"Out of scope: {said['out-of-scope']}"
    once = dict.fromkeys(
        order.title(next(iter(order.of(r.findings))))
        for r in order.limits
        if r.verdict is Verdict.FAIL and order.of(r.findings)
    )
    yield from (f"Limit not met: {title}" for title in once)
    for left_out in record.plan.not_run:
        if left_out.applies:
            yield f"Not tested: {order.telling.topic(left_out.check)}. {left_out.reason}"
    yield from (f"Cannot be tested by this tool: {text}" for text in CANNOT_TEST)


def _assessment(finding: Finding, order: Ordered) -> dict[str, str]:
    words: Words = order.words(finding)
    measure = order.measure(finding)
    told = order.filled(words.hundred, finding)
    if not told and measure is not None:
        told = order.telling.sentence(finding.check, measure)
    return {
        "groupAtRisk": order.group(finding),
        "harms": f"{order.title(finding)}. {told}".strip(),
        "mitigationStrategy": action(finding, order),
    }


def _ref(dataset: DatasetSummary) -> str:
    return f"data-{dataset.split}"


def _data(dataset: DatasetSummary) -> dict[str, Any]:
    sensitive = [a.name for a in dataset.attributes if a.role == "sensitive"]
    properties = {
        "auditor:images": str(dataset.n),
        "auditor:images-in-clean-subset": str(dataset.n_sound),
        "auditor:units": None if dataset.n_units is None else str(dataset.n_units),
        "auditor:images-sha256": dataset.images_digest,
        **{f"auditor:class:{c.name}": str(c.n_sound) for c in dataset.labels},
    }
    named = {key: value for key, value in properties.items() if value is not None}
    return {
        "type": "data",
        "bom-ref": _ref(dataset),
        "name": f"{dataset.split} data",
        "hashes": [{"alg": "SHA-256", "content": dataset.digest}],
        "data": [
            {
                "type": "dataset",
                "name": f"{dataset.split} data",
                **({"sensitiveData": sensitive} if sensitive else {}),
            }
        ],
        "properties": _properties(named),
    }


def _declared(stated: Sequence[Statement]) -> dict[str, str]:
    return {
        f"auditor:declared:{one.key}": one.said or EvidenceStatus.MISSING.value for one in stated
    }


def _properties(named: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in named.items()]


def _printable(value: Any) -> Any:
    """Texts without halves of surrogate pairs, which JSON in UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_printable(k): _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, list) else value
