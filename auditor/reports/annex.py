"""What stands behind the findings: data, declarations, waivers, what was not tested, methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auditor.contract.quantity_words import called
from auditor.data.class_maps import LEAST_SHARE
from auditor.findings import Unmeasured, Verdict
from auditor.record import AttributeSummary, AuditRecord, CheckText, DatasetSummary
from auditor.record.files import record_digest
from auditor.reports.chapters import is_open
from auditor.reports.costs import Costs, costs
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import reason, remedy
from auditor.reports.wording import listed
from auditor.spec.statements import plain_text, statements

NOT_TESTED_ROWS = 40
PRINTED_ROWS = 9
NAMES = 6
CANNOT_TEST = (
    "Whether the declared statements are true.",
    "Whether the labels are right: they are taken as the truth.",
    "Groups, places and circumstances that the manifest does not name.",
    "People, rooms and times that the data do not hold.",
    "How people act on an answer, who watches the system in use, and who may object.",
    "Attacks by someone who wants a wrong answer.",
)
WORDS = (
    ("Limit", "A line of the policy: a measured quantity and the bound that it is held to."),
    ("Blocking, advisory", "A blocking limit decides the verdict; an advisory one is printed."),
    ("Not decided", "The data neither show that the limit is met nor that it is not."),
    ("Not measured", "There was nothing to measure it on, or too little; the remedy says what."),
    ("Leaning worse", "Shown to be worse than the others, though not by how much."),
    ("Range in brackets", "Where the true figure plausibly lies: in 95 of 100 such audits."),
    ("Points", "Difference of two percentages: 90% is 5 points above 85%."),
    ("Unit", "What was sampled independently, as a room, a person, a video; here: {units}."),
    ("Group, attribute", "Images or objects that share a value of a column; here: {attributes}."),
    (
        "Clean subset",
        "The data without unreadable and duplicated images and those seen in training.",
    ),
    ("Adverse answer", "An answer that harms the person it is about when it is wrong."),
    ("Waiver", "A named person accepts a failure for a stated time; it stays a failure."),
    ("Measured", "Computed by this audit from the named files."),
    ("Declared", "Stated by a person; repeated here, not tested."),
)


@dataclass(frozen=True)
class Entry:
    """A named text; `status` is its evidence status where it has one."""

    name: str
    text: str
    status: str = ""


@dataclass(frozen=True)
class WaiverView:
    id: str
    about: str
    reason: str
    compensating: str
    owner: str
    approved_by: str
    issued: str
    expires: str
    state: str


@dataclass(frozen=True)
class NotTested:
    what: str
    reason: str
    remedy: str
    check: str


@dataclass(frozen=True)
class Method:
    """A check's documentation: its sections as paragraphs.

    `decides` says that a verdict other than a pass rests on it: a printed report has such checks
    in full.
    """

    id: str
    decides: bool
    summary: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    parameters: tuple[Entry, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class AttributeRow:
    """An attribute's groups in each split, in the order of the splits."""

    name: str
    splits: tuple[str, ...]


@dataclass(frozen=True)
class Annex:
    data: tuple[DatasetSummary, ...]
    attributes: tuple[AttributeRow, ...]
    declared: tuple[Entry, ...]
    costs: Costs | None
    waivers: tuple[WaiverView, ...]
    not_tested: tuple[NotTested, ...]
    not_tested_more: int
    cannot_test: tuple[str, ...]
    methods: tuple[Method, ...]
    model: tuple[Entry, ...]
    digests: tuple[Entry, ...]
    environment: tuple[Entry, ...]
    glossary: tuple[tuple[str, str], ...]


def annex(record: AuditRecord, order: Ordered, *, folded: bool = True) -> Annex:
    """Everything behind the findings, from a record alone; less of it where it cannot be folded."""
    lacking = _merged(_not_tested(record, order))
    most = NOT_TESTED_ROWS if folded else PRINTED_ROWS
    return Annex(
        data=record.datasets,
        attributes=tuple(_attribute_rows(record, order)),
        declared=tuple(declared(record)),
        costs=costs(record),
        waivers=tuple(_waivers(record)),
        not_tested=tuple(lacking[:most]),
        not_tested_more=max(len(lacking) - most, 0),
        cannot_test=CANNOT_TEST,
        methods=tuple(_method(text, order) for text in record.check_texts),
        model=tuple(_model(record)),
        digests=tuple(_digests(record)),
        environment=tuple(_environment(record)),
        glossary=tuple(_glossary(order)),
    )


def _glossary(order: Ordered) -> Iterator[tuple[str, str]]:
    """The words that a report uses, with what some of them stand for in this one."""
    telling = order.telling
    names = sorted(map(telling.shown, order.record.spec.parsed["data"]["attributes"]))
    here = {"units": telling.units, "attributes": listed(names, most=4) or "none"}
    for word, meaning in WORDS:
        yield word, meaning.format(**here)


def _attribute_rows(record: AuditRecord, order: Ordered) -> Iterator[AttributeRow]:
    for attribute in dict.fromkeys(a.name for d in record.datasets for a in d.attributes):
        found = [next((a for a in d.attributes if a.name == attribute), None)
                 for d in record.datasets]  # fmt: skip
        role = next(a.role for a in found if a is not None)
        yield AttributeRow(
            f"{order.telling.shown(attribute)} ({role})",
            tuple("not named" if a is None else _groups_text(a, order) for a in found),
        )


def _groups_text(attribute: AttributeSummary, order: Ordered) -> str:
    """Images of each group in the clean subset, and as given where that is another number."""
    groups = sorted(attribute.groups, key=lambda g: -g.n_sound)
    named = order.telling.shown_of
    shown = [
        f"{named(attribute.name, g.name)}: {g.n_sound:,}{f' of {g.n:,}' * (g.n != g.n_sound)}"
        for g in groups[:12]
    ]
    left = len(groups) - 12
    more = [f"and {left} more group{'s' * (left > 1)}"] if left > 0 else []
    missing = [f"without a value: {attribute.missing:,}"] if attribute.missing else []
    return "; ".join([*shown, *more, *missing]) or "none"


def declared(record: AuditRecord) -> Iterator[Entry]:
    """Statements of people; what is wanted and absent is said to be missing."""
    day = datetime.fromisoformat(record.provenance.started).date()
    for found in statements(record.spec.parsed, record.declarations, as_of=day):
        yield Entry(found.name, _in_words(found.said, record) or "not stated", found.status)


def _in_words(said: str, record: AuditRecord) -> str:
    """A claim that names its measure by its id, with what the measure is called instead."""
    for claim in record.spec.parsed.get("claims") or ():
        check, _, name = str(claim["measure"]).partition(":")
        if name:
            said = said.replace(f"{check}:{name}", called(name))
    return said


def policy_owner(record: AuditRecord) -> str:
    """Who answers for the policy, with the office."""
    owner = record.policy.parsed.get("owner") or {}
    name, role = owner.get("name") or "not named", owner.get("role")
    return f"{name}, {role}" if role else str(name)


def _sorted(found: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    # audit.json sorts its keys: a record read back must render as the one that was written.
    return sorted((found or {}).items())


def _waivers(record: AuditRecord) -> Iterator[WaiverView]:
    used = {f.waived_by for f in record.findings if f.waived_by}
    for waiver in record.policy.parsed.get("waivers") or ():
        said = next((w for w in record.warnings if f"Waiver {waiver['id']} " in w), "")
        state = "accepts a failure" if waiver["id"] in used else said or "waived nothing"
        yield WaiverView(
            id=waiver["id"],
            about=str(waiver.get("limit") or waiver.get("finding")),
            state=state,
            compensating=str(waiver.get("compensating") or "nothing is stated"),
            **{k: str(waiver[k]) for k in ("reason", "owner", "approved_by", "issued", "expires")},
        )


def _not_tested(record: AuditRecord, order: Ordered) -> Iterator[NotTested]:
    for left_out in record.plan.not_run:
        what = order.telling.topic(left_out.check)
        what = what[:1].upper() + what[1:]
        yield NotTested(what, left_out.reason, left_out.remedy, left_out.check)
    asked = {n.check for n in record.plan.not_run}
    for result in order.limits:
        check = str(result.limit.get("measure", "")).partition(":")[0]
        if result.verdict is Verdict.NOT_RUN and not result.findings and check not in asked:
            yield NotTested(f"Limit {result.limit['id']}", result.reason, "", check)
    for finding in order.findings:
        found = order.result(finding)
        if isinstance(found, Unmeasured):
            said = reason(finding, order), remedy(finding, order)
            yield NotTested(order.title(finding), *said, finding.check)


def _merged(every: Iterable[NotTested]) -> list[NotTested]:
    """One entry for all of a check that lacked the same."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for one in every:
        same.setdefault((one.check, one.reason, one.remedy), []).append(one.what)
    return [
        NotTested(listed(names, most=NAMES, join="; "), reason, remedy, check)
        for (check, reason, remedy), names in same.items()
    ]


def _method(text: CheckText, order: Ordered) -> Method:
    return Method(
        id=text.id,
        decides=is_open(text.id, order),
        summary=text.summary,
        sections=tuple((name, paragraphs(body)) for name, body in text.sections),
        parameters=tuple(Entry(k, plain_text(v)) for k, v in _sorted(text.parameters)),
        sources=text.sources,
    )


def paragraphs(body: str) -> tuple[str, ...]:
    """The paragraphs of a docstring's section, each in one line."""
    return tuple(" ".join(part.split()) for part in re.split(r"\n\s*\n", body) if part.strip())


def _model(record: AuditRecord) -> Iterator[Entry]:
    model = record.model
    yield Entry("task", model.task)
    yield Entry("format", model.format)
    yield Entry("file", f"{model.file_bytes / 1e6:,.1f} MB")
    for kind, tensors in (("input", model.inputs), ("output", model.outputs)):
        for tensor in tensors:
            shape = " × ".join("any" if n is None else str(n) for n in tensor.shape)
            yield Entry(f"{kind} “{tensor.name}”", f"{shape}, {tensor.dtype}")
    yield Entry("classes", _first(model.classes, most=30))
    for note in model.notes:
        yield Entry("how the file was read", note)
    yield from _reading(record)
    yield Entry("parameters", "" if model.n_parameters is None else f"{model.n_parameters:,}")
    yield Entry("multiply-adds", "" if model.flops is None else f"{model.flops:,}")
    if model.trusted_code or record.provenance.trusted_code:
        yield Entry("model authors’ code", "was run (--trust-code)")
    if record.provenance.contained_by is not None:
        variants = any(one.subject.variant is not None for _, one in record.measures())
        text = _containment(record.provenance.contained_by, made_variants=variants)
        yield Entry("its process", text)


def _reading(record: AuditRecord) -> Iterator[Entry]:
    """How answers are read from the outputs of a detector or segmenter, and its classes as data's.

    A classifier's outputs need no reading.
    """
    if record.model.task == "classification":
        return
    stated, classes = record.spec.parsed["model"], record.spec.parsed["data"]["classes"]
    for name, key in (("how its output is read", "output"), ("operating point", "operating_point")):
        if stated[key]:
            yield Entry(name, _settings(stated[key]))
    if classes["map"]:
        read = (f"{own} as {'none' if data is None else data}" for own, data in
                _sorted(classes["map"]))  # fmt: skip
        yield Entry("classes read as those of the data", ", ".join(read))
    if record.model.task == "segmentation" and classes["void"]:
        yield Entry("pixels of no class", plain_text(classes["void"]))
    if record.model.task == "segmentation":
        least = f"from {LEAST_SHARE:.1%} of its pixels, as drawn and as answered"
        yield Entry("a class is in an image", least)


def _settings(found: Any) -> str:
    if not isinstance(found, Mapping):
        return str(found)
    said = ((key.replace("_", " "), plain_text(value)) for key, value in _sorted(found))
    return "; ".join(f"{key}: {text}" for key, text in said if text)


def _containment(by: tuple[str, ...], *, made_variants: bool) -> str:
    """What the model was kept from, and what this system could not keep it from.

    Where a variant was made, its process wrote in a folder, to which Landlock alone held it.
    """
    kept = {
        "no network": "seccomp" in by,
        "no writing": "landlock" in by or ("seccomp" in by and not made_variants),
        "bounded memory": "memory" in by,
        "bounded time": True,
    }
    held = ", ".join(name for name, holds in kept.items() if holds)
    missing = ", ".join(name for name, holds in kept.items() if not holds)
    return held + (f"; this system could not hold it to: {missing}" if missing else "")


def _first(names: Sequence[str], *, most: int) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _digests(record: AuditRecord) -> Iterator[Entry]:
    yield Entry("audit.json", record_digest(record))
    yield Entry(f"spec {record.spec.name}", record.spec.digest)
    yield Entry(f"policy {record.policy.name}", record.policy.digest)
    yield Entry("model", record.model.digest)
    yield from (Entry(k, v) for k, v in _sorted(record.provenance.inputs) if k != "model")
    yield Entry("installed packages", record.provenance.packages_digest)
    if record.provenance.previous:
        yield Entry("record before this one", record.provenance.previous)


def _environment(record: AuditRecord) -> Iterator[Entry]:
    found = record.provenance
    yield Entry("auditor", found.auditor_version)
    yield Entry("started", found.started)
    yield Entry("duration", f"{found.duration_s:,.0f} s")
    yield Entry("seed", str(found.seed))
    yield Entry("python", found.python)
    yield Entry("system", found.os)
    memory = f", {found.memory_bytes / 1e9:.0f} GB" if found.memory_bytes else ""
    yield Entry("processor", f"{found.cpu}, {found.cores} cores{memory}")
    if found.accelerator:
        yield Entry("accelerator", found.accelerator)
    for key, url in _sorted(found.remote):
        yield Entry(f"{key}, over the network", url)
    images = sum(each.images for each in record.passes)
    yield Entry("passes", f"{len(record.passes)} over {images:,} images; each in audit.json")
    kept = ("torch", "onnxruntime", "onnx", "numpy", "pillow", "pandas", "scikit-learn")
    names = [f"{name} {found.packages[name]}" for name in kept if name in found.packages]
    yield Entry("packages", f"{', '.join(names)}; all in audit.json")
