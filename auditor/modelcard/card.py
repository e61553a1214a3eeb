"""The model card: Hugging Face front matter, then the sections of Mitchell et al. in their order.

Mitchell et al. (2019), doi:10.1145/3287560.3287596. What nobody stated is said to be missing;
what people stated is marked as declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.findings import EvidenceStatus
from auditor.modelcard.front_matter import front_matter
from auditor.modelcard.slices import TABLE, SliceNumber, slice_numbers
from auditor.modelcard.story import story
from auditor.record import AuditRecord
from auditor.record.tables import table_file_name
from auditor.reports.annex import CANNOT_TEST
from auditor.reports.drawing.svg import xml_text
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.page_one import not_tested, weakened_text
from auditor.reports.signed_by import SignedBy, signing_words
from auditor.reports.templates import environment
from auditor.reports.why import why
from auditor.reports.wording import ALTERED, AUDIT_WORDS, date_text, left_out_text, shortened
from auditor.spec.statements import Statement, statements

SHOWN_GROUPS = 8
"""Groups of an attribute in the card's table; the others are in the table of slices."""
FACTORS = 6
"""Groups by name of an attribute in a line."""
COLUMNS = 4
"""Columns of numbers in a table of groups."""
NAME = 80
"""Characters of a group's name in a table."""
NOT_TESTED = 30
"""Things by name that were not tested."""
STATED = 600
"""Characters of a statement; the report has it whole."""

_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of what follows them, beyond the text that holds them."""


@dataclass(frozen=True)
class GroupRows:
    """A table of the card as Markdown texts; `more` rows are in the table of slices alone."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int


def model_card(record: AuditRecord, *, signed_by: SignedBy | None = None) -> str:
    """The card in Markdown; every measured number is the record's own."""
    order = ordered(record)
    numbers = slice_numbers(order)
    stated = _stated(record)
    template = environment().get_template("card.md.j2")
    text = template.render(
        record=record,
        front=front_matter(record, numbers, stated, signed_by),
        signing=signing_words(signed_by),
        policy=record.policy.parsed,
        why=" ".join(filter(None, (why(record, order), weakened_text(record)))),
        altered=ALTERED if record.altered else "",
        verdict=AUDIT_WORDS[record.verdict],
        date=date_text(record.provenance.started),
        stated=stated,
        overall=tuple(_tables(numbers, order, rank=0)),
        classes=tuple(_tables(numbers, order, rank=1)),
        groups=tuple(_tables(numbers, order, rank=2)),
        more=sum(number.rank > 2 for number in numbers),
        table=f"tables/{table_file_name(TABLE)}",
        story=story(order),
        left_out={d.split: left_out_text(d, order.telling.units) for d in record.datasets},
        attributes=tuple(_attributes(record, order, numbers)),
        counted=order.telling.counted,
        units=order.telling.units,
        shown=order.telling.shown,
        not_tested=not_tested(record, order, most=NOT_TESTED),
        cannot_test=CANNOT_TEST,
        md=markdown,
        line=_line,
    )
    return xml_text(re.sub(r"\n{3,}", "\n\n", text))


def markdown(text: object) -> str:
    """A text that means itself in Markdown and HTML, in one line and in its own direction."""
    line = _TURNS.sub("", " ".join(str(text).split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", line)


def share_text(number: SliceNumber) -> str:
    """A share with its interval and what it counts, as ``0.782 [0.751, 0.810], n 1,200``."""
    return f"{number.value:.3f} [{number.low:.3f}, {number.high:.3f}], n {number.n:,}"


def _stated(record: AuditRecord) -> dict[str, Statement]:
    day = datetime.fromisoformat(record.provenance.started).date()
    found = statements(record.spec.parsed, record.declarations, as_of=day)
    return {one.key: one for one in reversed(found)}


def _line(stated: Mapping[str, Statement], key: str) -> str:
    """A statement with who makes it, from when and until when; or that nobody does."""
    found = stated.get(key)
    if found is None or found.status is EvidenceStatus.MISSING:
        return "**MISSING**: nobody stated it."
    text = markdown(shortened(found.text, STATED))
    if not found.owner:
        return f"{text} *(declared in the audit spec, without owner or date)*"
    until = f", valid until {found.expires}" if found.expires else ""
    late = " **Out of date when this audit ran.**" if found.expired else ""
    shown = f"; evidence: {markdown(found.evidence)}" if found.evidence else ""
    return f"{text} *(declared by {markdown(found.owner)} on {found.date}{until}{shown})*{late}"


def _attributes(
    record: AuditRecord, order: Ordered, numbers: Sequence[SliceNumber]
) -> Iterator[str]:
    """Each attribute once, of images and then of objects: its role, its groups, its basis."""
    found = [a for dataset in record.datasets for a in dataset.attributes]
    groups = {a.name: [g.name for b in found if b.name == a.name for g in b.groups] for a in found}
    for number in numbers:
        for attribute, group in number.groups:
            groups.setdefault(attribute, []).append(group)
    bases = {a.name: a.basis for a in found if a.basis}
    roles = record.spec.parsed["data"]["attributes"]
    for attribute, of in groups.items():
        names = list(dict.fromkeys(order.telling.shown_of(attribute, group) for group in of))
        more = f" and {len(names) - FACTORS} more" if len(names) > FACTORS else ""
        listed = markdown(", ".join(shortened(n, 60) for n in names[:FACTORS]) + more)
        basis = f". Basis *(declared)*: {markdown(bases[attribute])}" if attribute in bases else ""
        name = markdown(order.telling.shown(attribute))
        left = _in_no_group(record, attribute)
        yield f"{name} ({roles[attribute]['role']}): {listed}{left}{basis}"


def _in_no_group(record: AuditRecord, attribute: str) -> str:
    """How many images of each split no group holds, as a list of groups ends with it."""
    counts = [
        f"{one.missing:,} of {dataset.n:,} {dataset.split} images"
        for dataset in record.datasets
        for one in dataset.attributes
        if one.name == attribute and one.missing
    ]
    return f"; in no group, and compared with none: {', '.join(counts)}" if counts else ""


def _tables(numbers: Sequence[SliceNumber], order: Ordered, *, rank: int) -> Iterator[GroupRows]:
    """Tables of the slices of a rank, one for each attribute (or one for all)."""
    by: dict[str, list[SliceNumber]] = {}
    for number in numbers:
        if number.rank == rank and number.split != "train":
            by.setdefault(number.groups[0][0] if number.groups else "", []).append(number)
    for attribute, found in by.items():
        yield _table(attribute, found, order)


def _table(attribute: str, found: Sequence[SliceNumber], order: Ordered) -> GroupRows:
    """Rows by group (class, metric); beside test data the data of where the model will run."""
    by_metric = found[0].rank == 0
    splits = [split for split in ("test", "deployment") if any(n.split == split for n in found)]
    names = list(dict.fromkeys(n.name for n in found))
    taken = {(n.name, n.split) for n in found}
    pairs = [(name, split) for name in names for split in splits if (name, split) in taken]
    if by_metric:
        columns, rows = [("", split) for split in splits], names
    else:
        columns = pairs[:COLUMNS] if attribute else pairs
        rows = list(dict.fromkeys(_row_name(n, order) for n in found))
    cells = {
        (n.name if by_metric else _row_name(n, order), "" if by_metric else n.name, n.split): n
        for n in found
    }
    head = "metric" if by_metric else order.telling.shown(attribute) if attribute else "class"
    shown = rows[:SHOWN_GROUPS]
    return GroupRows(
        columns=(markdown(head), *(markdown(", ".join(filter(None, c))) for c in columns)),
        rows=tuple(
            (markdown(shortened(r, NAME)), *(_cell(cells.get((r, *c))) for c in columns))
            for r in shown
        ),
        more=len(rows) - len(shown),
    )


def _cell(number: SliceNumber | None) -> str:
    return "not measured" if number is None else share_text(number)


def _row_name(number: SliceNumber, order: Ordered) -> str:
    if number.groups:
        return order.telling.shown_of(*number.groups[0])
    return order.telling.shown(number.label)
