"""The model card: Hugging Face front matter, then the sections of Mitchell et al. in their order.

Mitchell et al. (2019), doi:10.1145/3287560.3287596. What nobody stated is said to be missing;
what people stated is marked as declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from auditor.findings import Verdict
from auditor.modelcard.slices import SliceNumber, slice_numbers
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.reports.annex import CANNOT_TEST, declared
from auditor.reports.drawing.svg import xml_text
from auditor.reports.finding_view import finding_view
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.page_one import page_one
from auditor.reports.signed_by import SignedBy, signing_words
from auditor.reports.templates import environment
from auditor.reports.wording import AUDIT_WORDS, date_text

_TASKS = {
    "classification": "image-classification",
    "detection": "object-detection",
    "segmentation": "image-segmentation",
    "instance-segmentation": "image-segmentation",
}
FINDINGS = 20
"""Failures and open findings that the card lists; the report holds all."""


def model_card(record: AuditRecord, *, signed_by: SignedBy | None = None) -> str:
    """The card in Markdown; every measured number is the record's own."""
    order = ordered(record)
    urgent = [f for f in order.findings if f.verdict not in (None, Verdict.PASS)]
    template = environment().get_template("card.md.j2")
    text = template.render(
        record=record,
        front=_front_matter(record, order, signed_by),
        signing=signing_words(signed_by),
        one=page_one(record, order),
        verdict=AUDIT_WORDS[record.verdict],
        date=date_text(record.provenance.started),
        stated={e.name: e for e in declared(record)},
        numbers=slice_numbers(order),
        findings=[finding_view(f, order) for f in urgent[:FINDINGS]],
        more=max(len(urgent) - FINDINGS, 0),
        not_run=[order.telling.topic(n.check) for n in record.plan.not_run],
        cannot_test=CANNOT_TEST,
        md=markdown,
        share=share_text,
    )
    return xml_text(re.sub(r"\n{3,}", "\n\n", text))


def markdown(text: object) -> str:
    """A text that means itself in Markdown and HTML, in one line."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", line)


def share_text(number: SliceNumber) -> str:
    """A share with its interval, as ``0.782 [0.751, 0.810]``."""
    return f"{number.value:.3f} [{number.low:.3f}, {number.high:.3f}]"


def _front_matter(record: AuditRecord, order: Ordered, signed_by: SignedBy | None) -> str:
    system = record.spec.parsed["audit"].get("system") or {}
    task = _TASKS[record.model.task]
    front: dict[str, Any] = {
        "pipeline_tag": task,
        "tags": ["vision", "audited", record.model.format],
        "license": str(system.get("license") or "other"),
        "model-index": [{"name": record.title, "results": _results(order, task)}],
        "audit": _audit_block(record, signed_by),
    }
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _results(order: Ordered, task: str) -> list[dict[str, Any]]:
    """One entry a slice, each with a dataset config of its own, so that none overwrites another."""
    test = order.record.dataset("test")
    revision = test.digest if test else ""
    by_slice: dict[str, list[SliceNumber]] = {}
    for number in slice_numbers(order):
        by_slice.setdefault(number.slice, []).append(number)
    return [
        {
            "task": {"type": task},
            "dataset": {
                "type": "audit-test-data",
                "name": "Test data of the audit, clean subset",
                "config": name,
                "split": "test",
                "revision": revision,
            },
            "metrics": [_metric(number) for number in _distinct(numbers)],
        }
        for name, numbers in by_slice.items()
    ]


def _distinct(numbers: Sequence[SliceNumber]) -> list[SliceNumber]:
    return list({number.kind: number for number in reversed(numbers)}.values())[::-1]


def _metric(number: SliceNumber) -> Mapping[str, Any]:
    args = {"slice": number.slice, "ci95": [number.low, number.high], "n": number.n}
    return {
        "type": number.kind,
        "name": f"{number.name} ({number.slice})",
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
