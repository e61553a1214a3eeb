"""Chapters by family: each check in a few lines, with all that it found folded behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.contract.numbers import value_text
from auditor.findings import Figure, Finding, Measure, Verdict
from auditor.record import AuditRecord, CheckResults
from auditor.reports.drawing.svg import figure_file_name
from auditor.reports.families import CHAPTERS, FAMILY_TITLES
from auditor.reports.finding_view import FindingView, Mark, finding_view, mark
from auditor.reports.ordering import Ordered
from auditor.reports.table_view import TableView, table_view
from auditor.stats import Exact, Rate, value

FACTS = 8
"""Results without a limit, of all images, that a check names in its line."""

ROWS = 120
FIGURES = 8
NUMBERS = 6
OPEN_TABLE_ROWS = 8
OPEN_TABLE_COLUMNS = 8

_WEIGHTS = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.NOT_RUN: 2, Verdict.PASS: 3}


@dataclass(frozen=True)
class FigureView:
    """A picture with its words; `svg` is the picture itself, `file` names it on disk."""

    title: str
    caption: str
    alt: str
    svg: str
    file: str


@dataclass(frozen=True)
class Judged:
    """Findings of a check with one verdict: how many, and the numbers of the first."""

    mark: Mark
    n: int
    numbers: str


@dataclass(frozen=True)
class Fact:
    """A result without a limit, in a few words."""

    number: int
    name: str
    value: str


@dataclass(frozen=True)
class CheckView:
    """A check's results: what is open to the eye, and what is folded.

    Open: `judged` counts its findings by verdict, `facts` are results of all images that no limit
    is on, `told` the sentences of groups that it found, `figures` and `tables` explain a failure.
    Folded: `rows` are all its findings (`more` are left to findings.csv), `folded_figures` and
    `folded_tables` the rest.
    """

    id: str
    title: str
    summary: str
    crashed: bool
    judged: tuple[Judged, ...]
    facts: tuple[Fact, ...]
    more_facts: int
    told: tuple[str, ...]
    figures: tuple[FigureView, ...]
    tables: tuple[TableView, ...]
    rows: tuple[FindingView, ...]
    more: int
    by_group: int
    folded_figures: tuple[FigureView, ...]
    more_figures: int
    folded_tables: tuple[TableView, ...]


@dataclass(frozen=True)
class Chapter:
    """A family's checks; `unseen` says which faults of its kind those that ran could not show."""

    key: str
    title: str
    checks: tuple[CheckView, ...]
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True)
class Unseen:
    """What no result of a check could show, by the check's topic."""

    title: str
    text: str


def chapters(
    record: AuditRecord, order: Ordered, *, pictures: Mapping[str, str], folded: bool = True
) -> tuple[Chapter, ...]:
    """Chapters in order; families without results have none. `pictures` maps ids to SVG.

    Without `folded` the checks have no rows: a printed page cannot unfold them.

    In a chapter the checks of which something failed come first, then those of which something
    is not decided, then those that passed, then information.
    """
    families = dict.fromkeys([*CHAPTERS, *(r.check.split("/")[0] for r in record.results)])
    found = []
    for family in families:
        results = [r for r in record.results if r.check.startswith(f"{family}/")]
        results.sort(key=lambda r: _weight(r.check, order))
        if results:
            checks = tuple(_check_view(r, record, order, pictures, folded) for r in results)
            name = FAMILY_TITLES.get(family, family.capitalize())
            unseen = tuple(_unseen(results, record, order))
            found.append(Chapter(key=family, title=name, checks=checks, unseen=unseen))
    return tuple(found)


def _unseen(
    results: Sequence[CheckResults], record: AuditRecord, order: Ordered
) -> Iterator[Unseen]:
    texts = {text.id: text.cannot_see for text in record.check_texts}
    for check in (r.check for r in results if r.traceback is None and texts.get(r.check)):
        topic = order.telling.topic(check)
        yield Unseen(topic[:1].upper() + topic[1:], texts[check])


def _weight(check: str, order: Ordered) -> int:
    """0 where something of a check failed, 1 undecided, 2 not run, 3 passed, 4 no limit."""
    verdicts = {f.verdict for f in order.findings if f.check == check and f.verdict}
    return min((_WEIGHTS.get(verdict, 3) for verdict in verdicts), default=4)


def is_open(check: str, order: Ordered) -> bool:
    """Whether something of a check is not met, not decided or not measured although judged."""
    return _weight(check, order) < _WEIGHTS[Verdict.PASS]


def _check_view(
    result: CheckResults,
    record: AuditRecord,
    order: Ordered,
    pictures: Mapping[str, str],
    folded: bool,
) -> CheckView:
    text = next((t for t in record.check_texts if t.id == result.check), None)
    findings = [f for f in order.findings if f.check == result.check]
    name = order.telling.topic(result.check)
    facts = tuple(_facts([f for f in findings if _is_fact(f, order)], order))
    shown = 1 if _is_explained(result.check, order) else 0
    figures = [figure_view(f, pictures) for f in result.figures[: FIGURES + shown]]
    tables = [table_view(table) for table in result.tables]
    opened = [t for t in tables if shown and _is_small(t)]
    return CheckView(
        id=result.check,
        title=name[:1].upper() + name[1:],
        summary=text.summary if text else "",
        crashed=result.traceback is not None,
        judged=tuple(_judged(findings, order)),
        facts=facts[:FACTS],
        more_facts=max(len(facts) - FACTS, 0),
        told=tuple(_told(findings, order)) if order.telling.shows(result.check) == "told" else (),
        figures=tuple(figures[:shown]),
        tables=tuple(opened),
        rows=tuple(finding_view(f, order) for f in findings[:ROWS] if folded),
        more=max(len(findings) - ROWS, 0),
        by_group=sum(bool(order.group(f)) for f in findings if f.verdict is None),
        folded_figures=tuple(figures[shown:]),
        more_figures=max(len(result.figures) - len(figures), 0),
        folded_tables=tuple(t for t in tables if t not in opened),
    )


def _is_explained(check: str, order: Ordered) -> bool:
    """Whether a check shows a picture and its small tables: it failed, or is of the first facts.

    Pictures of groups are never shown here: the picture of each attribute has their intervals.
    """
    shown = order.telling.shows(check) == "open"
    return shown or (is_open(check, order) and not check.startswith("bias/"))


def _is_small(table: TableView) -> bool:
    return table.total <= OPEN_TABLE_ROWS and table.all_columns <= OPEN_TABLE_COLUMNS


def _judged(findings: Sequence[Finding], order: Ordered) -> Iterator[Judged]:
    for verdict in _WEIGHTS:
        same = [order.numbers[f.id] for f in findings if f.verdict is verdict]
        if same:
            more = f" and {len(same) - NUMBERS} more" if len(same) > NUMBERS else ""
            numbers = ", ".join(str(n) for n in same[:NUMBERS]) + more
            yield Judged(mark(verdict), len(same), numbers)


def _told(findings: Sequence[Finding], order: Ordered) -> list[str]:
    """The sentences of a check's first comparisons; of all that it found where it compares none."""
    found = [(f.check, m) for f in findings if (m := order.measure(f))]
    compared = [(check, m) for check, m in found if m.sides is not None]
    return [order.telling.sentence(check, m) for check, m in (compared or found)[:NUMBERS]]


def _is_fact(finding: Finding, order: Ordered) -> bool:
    measured = order.measure(finding) is not None
    return finding.verdict is None and measured and not order.group(finding)


def _facts(findings: Sequence[Finding], order: Ordered) -> Iterator[Fact]:
    """Results in a few words; those that are zero in several kinds are one."""
    zero: dict[str, list[Finding]] = {}
    for finding in findings:
        measure = order.measure(finding)
        if measure is not None and _is_zero(measure):
            zero.setdefault(measure.name, []).append(finding)
    for finding in findings:
        measure = order.measure(finding)
        if measure is None:
            continue
        same = zero.get(measure.name, []) if _is_zero(measure) else []
        if same and finding is not same[0]:
            continue
        number = order.numbers[finding.id]
        if len(same) > 1:
            kinds = f"{measure.name.replace('-', ' ')}, {len(same)} kinds"
            yield Fact(number, kinds, "none found")
        else:
            yield Fact(number, _fact_name(finding, order), value_text(measure))


def _fact_name(finding: Finding, order: Ordered) -> str:
    """A result's short name without the check's topic, which stands above it."""
    name = order.short(finding).removeprefix(f"{order.telling.topic(finding.check)}, ")
    split = order.result(finding).subject.split
    return name if split in (None, "test") or split in name else f"{name}, {split} data"


def _is_zero(measure: Measure) -> bool:
    exact = isinstance(measure.estimate, Exact | Rate)
    return exact and measure.scale == "share" and value(measure.estimate) == 0


def figure_view(figure: Figure, pictures: Mapping[str, str]) -> FigureView:
    """A picture as it stands in the page; `pictures` maps ids to SVG."""
    return FigureView(
        title=figure.title,
        caption=figure.caption,
        alt=figure.alt,
        svg=pictures[figure.id],
        file=figure_file_name(figure.id),
    )
