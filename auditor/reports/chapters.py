"""Chapters by family: what follows, a table of the checks, a picture or two, all else folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.contract.numbers import value_text
from auditor.contract.words import mid_sentence
from auditor.findings import Figure, Finding, Measure, Verdict
from auditor.record import AuditRecord, CheckResults, KeptTable
from auditor.reports.drawing.svg import figure_file_name
from auditor.reports.families import CHAPTERS, FAMILY_TITLES
from auditor.reports.figure_limits import with_limits
from auditor.reports.finding_view import FindingView, Mark, finding_view, mark
from auditor.reports.ordering import Ordered
from auditor.reports.references import Ref, check_anchor, references
from auditor.reports.shown_figure import shown_figure
from auditor.reports.table_view import TableView, table_view
from auditor.reports.telling import SPLIT_WORDS, data_of, listed_with_and
from auditor.reports.wording import VERDICT_WORDS, listed
from auditor.stats import Exact, Rate, value

FACTS = 3
"""Results of a check that its row in the chapter's table names."""

PICTURES = 2
"""Pictures that a chapter shows open."""

ROWS = 90
FIGURES = 8
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
    """Findings of a check with one verdict: how many, and where the first of them stand."""

    mark: Mark
    n: int
    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class CheckView:
    """A check's results: its row in the chapter's table, and what a browser unfolds.

    `measured` are its gravest findings and its first facts, in a few words each, `more` counts the
    others; `rows` are its findings (`more_rows` are left to findings.csv), then its pictures and
    tables.
    """

    id: str
    anchor: str
    title: str
    summary: str
    crashed: bool
    judged: tuple[Judged, ...]
    measured: tuple[str, ...]
    more: int
    rows: tuple[FindingView, ...]
    more_rows: int
    figures: tuple[FigureView, ...]
    more_figures: int
    tables: tuple[TableView, ...]


@dataclass(frozen=True)
class Unseen:
    """What no result of a check could show, by the check's topic."""

    title: str
    text: str


@dataclass(frozen=True)
class Chapter:
    """A family's checks: what follows from them, a table, a picture or two, methods and limits.

    `unseen` says which faults of its kind those that ran could not show, and how what decided can
    mislead. `tables` are first ones, if small, of checks that explain themselves by them;
    `figure_count` and `table_count` count all that its checks made.
    """

    key: str
    title: str
    consequence: tuple[str, ...]
    checks: tuple[CheckView, ...]
    figures: tuple[FigureView, ...]
    tables: tuple[TableView, ...]
    unseen: tuple[Unseen, ...]
    figure_count: int
    table_count: int


def chapters(
    record: AuditRecord, order: Ordered, *, pictures: Mapping[str, str]
) -> tuple[Chapter, ...]:
    """Chapters in order; families without results have none. `pictures` maps ids to SVG.

    In a chapter the checks that explain the whole come first, then those of which something failed,
    then those of which something is not decided, then those that passed, then information.
    """
    families = dict.fromkeys([*CHAPTERS, *(r.check.split("/")[0] for r in record.results)])
    found = []
    for family in families:
        results = [r for r in record.results if r.check.startswith(f"{family}/")]
        results.sort(key=lambda r: (_place(r.check, order), _weight(r.check, order)))
        if results:
            found.append(_chapter(family, results, record, order, pictures))
    return tuple(found)


def _chapter(
    family: str,
    results: Sequence[CheckResults],
    record: AuditRecord,
    order: Ordered,
    pictures: Mapping[str, str],
) -> Chapter:
    explained = [r for r in results if _is_explained(r.check, order)]
    shown = [r.figures[0] for r in explained if r.figures][:PICTURES]
    small = [r.tables[0] for r in explained if r.tables and _is_small(r.tables[0])]
    return Chapter(
        key=family,
        title=FAMILY_TITLES.get(family, family.capitalize()),
        consequence=tuple(_consequence(family, order)),
        checks=tuple(_check_view(r, record, order, pictures) for r in results),
        figures=tuple(figure_view(f, pictures, order) for f in shown),
        tables=tuple(table_view(t, order.telling) for t in small[:1]) if not shown else (),
        unseen=tuple(_unseen(results, record, order)),
        figure_count=sum(len(r.figures) for r in results),
        table_count=sum(len(r.tables) for r in results),
    )


def _consequence(family: str, order: Ordered) -> Iterator[str]:
    """What the limits of a family come to, and the gravest of it in a sentence."""
    limits = [
        r for r in order.limits
        if any(order.by_id[i].check.startswith(f"{family}/") for i in r.findings)
    ]  # fmt: skip
    if not limits:
        yield "The policy sets no limit on anything here: it is told for information."
        return
    counts = {verdict: sum(r.verdict is verdict for r in limits) for verdict in _WEIGHTS}
    parts = [f"{n} {VERDICT_WORDS[verdict]}" for verdict, n in counts.items() if n]
    count = f"Of {len(limits)} limits here" if len(limits) > 1 else "Of the one limit here"
    yield f"{count}: {', '.join(parts)}."
    gravest = next((f for f in order.findings if f.check.startswith(f"{family}/")
                    and (f.verdict is Verdict.FAIL or f.leaning == "worse")), None)  # fmt: skip
    measure = None if gravest is None else order.measure(gravest)
    if gravest is not None and measure is not None:
        hundred = order.filled(order.words(gravest).hundred, gravest)
        yield hundred or f"{order.title(gravest)}: {value_text(measure)}."


def _unseen(
    results: Sequence[CheckResults], record: AuditRecord, order: Ordered
) -> Iterator[Unseen]:
    texts = {text.id: text for text in record.check_texts}
    for check in (r.check for r in results if r.traceback is None and r.check in texts):
        text = texts[check]
        said = [text.cannot_see] if text.cannot_see else []
        if is_open(check, order):
            body = next((b for name, b in text.sections if name == "How it can mislead"), "")
            said.append(_first_sentence(body))
        if any(said):
            yield Unseen(_capital(order.telling.topic(check)), " ".join(filter(None, said)))


def _first_sentence(body: str) -> str:
    line = " ".join(body.split())
    found = re.match(r".*?[.:](?= [A-Z]|$)", line)
    return found[0] if found else line


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _leads(check: str, order: Ordered) -> bool:
    return order.telling.shows(check) == "open"


def _place(check: str, order: Ordered) -> int:
    """0 for the check that has the headline, 1 for what explains the whole, 2 for the rest."""
    if not _leads(check, order):
        return 2
    return 0 if order.telling.has_headline(check) else 1


def _weight(check: str, order: Ordered) -> int:
    """0 where something of a check failed, 1 undecided, 2 not run, 3 passed, 4 no limit."""
    verdicts = {f.verdict for f in order.findings if f.check == check and f.verdict}
    return min((_WEIGHTS.get(verdict, 3) for verdict in verdicts), default=4)


def is_open(check: str, order: Ordered) -> bool:
    """Whether something of a check is not met, not decided or not measured although judged."""
    return _weight(check, order) < _WEIGHTS[Verdict.PASS]


def _check_view(
    result: CheckResults, record: AuditRecord, order: Ordered, pictures: Mapping[str, str]
) -> CheckView:
    text = next((t for t in record.check_texts if t.id == result.check), None)
    findings = [f for f in order.reading if f.check == result.check]
    measured = tuple(dict.fromkeys(_measured(result.check, findings, order)))
    return CheckView(
        id=result.check,
        anchor=check_anchor(result.check),
        title=_capital(order.telling.topic(result.check)),
        summary=text.summary if text else "",
        crashed=result.traceback is not None,
        judged=tuple(_judged(findings, order)),
        measured=measured[:FACTS],
        more=max(len(findings) - min(len(measured), FACTS), 0),
        rows=tuple(finding_view(f, order) for f in findings[:ROWS]),
        more_rows=max(len(findings) - ROWS, 0),
        figures=tuple(figure_view(f, pictures, order) for f in result.figures[:FIGURES]),
        more_figures=max(len(result.figures) - FIGURES, 0),
        tables=tuple(table_view(table, order.telling) for table in result.tables),
    )


def _is_explained(check: str, order: Ordered) -> bool:
    """Whether a check shows a picture and its small tables: it failed, or is of the first facts.

    Pictures of groups are never shown here: the picture of each attribute has their intervals.
    """
    return _leads(check, order) or (is_open(check, order) and not check.startswith("bias/"))


def _is_small(table: KeptTable) -> bool:
    return table.total <= OPEN_TABLE_ROWS and len(table.columns) <= OPEN_TABLE_COLUMNS


def _judged(findings: Sequence[Finding], order: Ordered) -> Iterator[Judged]:
    for verdict in _WEIGHTS:
        same = [f.id for f in findings if f.verdict is verdict]
        if same:
            yield Judged(mark(verdict), len(same), references(same, order, most=3))


def _measured(check: str, findings: Sequence[Finding], order: Ordered) -> Iterator[str]:
    """What a check found in a few words: its gravest findings with a limit, then facts of all.

    A check that compares nothing by group tells its first sentences instead.
    """
    judged = [f for f in findings if f.limit and order.measure(f) is not None]
    judged.sort(key=lambda f: _WEIGHTS.get(f.verdict or Verdict.PASS, 3))
    if order.telling.shows(check) == "told" and not judged:
        yield from _told(findings, order)
        return
    for finding in judged:
        measure = order.measure(finding)
        if measure is not None:
            yield _fact(finding, measure, order)
    yield from _facts(_deployment_first([f for f in findings if _is_fact(f, order)], order), order)
    yield from _by_group([f for f in findings if f.verdict is None and order.group(f)], order)


def _deployment_first(facts: Sequence[Finding], order: Ordered) -> list[Finding]:
    """Facts in their order, each measure first where the model will run, if it was taken there."""
    names = list(dict.fromkeys(order.result(f).name for f in facts))
    return sorted(
        facts,
        key=lambda f: (
            names.index(order.result(f).name),
            order.result(f).subject.split != "deployment",
        ),
    )


def _told(findings: Sequence[Finding], order: Ordered) -> list[str]:
    """The sentence of a check's first comparison; of its first result where it compares none."""
    found = [(f.check, m) for f in findings if (m := order.measure(f))]
    compared = [(check, m) for check, m in found if m.sides is not None]
    return [order.telling.sentence(check, m) for check, m in (compared or found)[:1]]


def _by_group(findings: Sequence[Finding], order: Ordered) -> Iterator[str]:
    """How many comparisons without a limit lie wholly on the worse side, and the first of them."""
    measured = [(f, m) for f in findings if (m := order.measure(f)) and m.neutral is not None]
    worse = [(f, m) for f, m in measured if _is_worse(m)]
    if not measured:
        return
    first = f", such as {order.short(worse[0][0])} {value_text(worse[0][1])}" if worse else ""
    yield (
        f"{len(measured)} comparisons by group, {len(worse) or 'none'} of them with the whole "
        f"range on the worse side (some by luck){first}"
    )


def _is_worse(measure: Measure) -> bool:
    neutral, ends = measure.neutral or 0.0, measure.interval
    return (
        ends.low > neutral
        if measure.better == "lower"
        else (ends.high < neutral and measure.better == "higher")
    )


def _is_fact(finding: Finding, order: Ordered) -> bool:
    measured = order.measure(finding) is not None
    return finding.verdict is None and measured and not order.group(finding)


def _facts(findings: Sequence[Finding], order: Ordered) -> Iterator[str]:
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
        if len(same) > 1:
            yield _none_of(same, order)
        else:
            yield _fact(finding, measure, order)


def _none_of(same: Sequence[Finding], order: Ordered) -> str:
    """Several results of one measure that are all zero, as ``faulty rows: none in test data``."""
    names = list(dict.fromkeys(order.short(f) for f in same))
    if len(names) > 1:
        return f"{listed(names, most=2)}: none"
    splits = [s for f in same if (s := order.result(f).subject.split)]
    where = listed_with_and([SPLIT_WORDS.get(s, s) for s in dict.fromkeys(splits)])
    return f"{names[0]}: none in {where} data" if where else f"{names[0]}: none"


def _fact(finding: Finding, measure: Measure, order: Ordered) -> str:
    """A result's name and value; a unit that is the name itself is said once.

    In how many of a hundred pairs the higher one is of one side says nothing beside a name: such a
    result is told in the sentence that its words open with.
    """
    if measure.scale == "share" and measure.neutral is not None:
        opening = order.words(finding).sentence
        opening = opening if isinstance(opening, str) else opening[0]
        if told := order.filled(opening, finding):
            return mid_sentence(told.rstrip("."))
    name, told, unit = _fact_name(finding, order), value_text(measure), measure.unit
    if unit == name or unit.startswith(f"{name} "):
        told = told.removesuffix(f" {unit}") + unit.removeprefix(name)
    return f"{name} {told}"


def _fact_name(finding: Finding, order: Ordered) -> str:
    """A result's short name without the check's topic, which stands above it."""
    name = order.short(finding).removeprefix(f"{order.telling.topic(finding.check)}, ")
    split = order.result(finding).subject.split
    return name if split in (None, "test") or split in name else f"{name}, {data_of(split)}"


def _is_zero(measure: Measure) -> bool:
    exact = isinstance(measure.estimate, Exact | Rate)
    return exact and measure.scale == "share" and value(measure.estimate) == 0


def figure_view(figure: Figure, pictures: Mapping[str, str], order: Ordered) -> FigureView:
    """A picture as it stands in the page; `pictures` maps ids to SVG."""
    svg = pictures[figure.id]
    figure = shown_figure(with_limits(figure, order), order.telling)
    return FigureView(
        title=figure.title,
        caption=figure.caption,
        alt=figure.alt,
        svg=svg,
        file=figure_file_name(figure.id),
    )
