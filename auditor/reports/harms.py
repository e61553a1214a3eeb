"""Who is hurt: the groups served worse, and the errors that harm everyone, for page one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.contract.numbers import value_text
from auditor.findings import Finding, Measure, Question, Verdict
from auditor.reports.ordering import Ordered, is_about_people
from auditor.reports.reasons import limit_text
from auditor.reports.references import Ref, references
from auditor.reports.wording import listed, shortened
from auditor.stats import value

GROUPS = 2
"""Groups that page one tells figures of; the others are named and counted."""

NAMED = 3
"""Groups that the line on all others names."""


@dataclass(frozen=True)
class Harm:
    """Who is hurt: what goes wrong, and for whom how often; `refs` lead to what it is told of."""

    what: str
    figures: str
    refs: tuple[Ref, ...] = ()


def of_everyone(order: Ordered) -> Iterator[tuple[str, Measure]]:
    """Measures of all images that it was not trained on, and of the model as given."""
    for check, measure in order.record.measures():
        subject = measure.subject
        of_all = not order.telling.group_keys(subject) and subject.split != "train"
        if of_all and subject.variant in (None, "as-given"):
            yield check, measure


def harms(order: Ordered) -> tuple[Harm, ...]:
    """Groups shown to be served worse, those not named counted, and adverse answers over everyone.

    Where the model will run comes before the test data.
    """
    hurt = [
        f
        for f in order.findings
        if order.answers(f, Question.MEASURED)
        and order.measure(f) is not None
        and (f.verdict is Verdict.FAIL or f.leaning == "worse")
    ]
    hurt.sort(
        key=lambda f: (
            order.words(f).harm_rank, f.verdict is not Verdict.FAIL,
            not is_about_people(f, order.record),
        )
    )  # fmt: skip
    once = _each_once(hurt, order)
    told = _alike([(f, _group_harm(f, order)) for f in once], order)[:GROUPS]
    found = [harm for _, harm in told]
    named = {f.id for same, _ in told for f in same}
    found += _further([f for f in once if f.id not in named], order)
    if not hurt:
        found.append(_nobody_shown(order))
    everyone = [
        (words, m)
        for check, m in of_everyone(order)
        if (words := order.telling.words(check, m)).harm
        and order.questions.get(check) is not Question.MEASURED
        and not m.sides
        and value(m.estimate) > 0
    ]
    everyone.sort(key=lambda pair: (pair[0].harm_rank, pair[1].subject.split == "test"))
    for words, measure in everyone[:2]:
        what = order.telling.filled(words.harm, measure) or ""
        among = order.telling.filled(words.among, measure)
        where = order.telling.place(measure.subject.split)
        rows = among or (where if measure.of == "image" else f"{measure.of}s in {where}")
        found.append(Harm(shortened(what, 50), f"{value_text(measure)} of {measure.n:,} {rows}"))
    return tuple(found)


def _alike(
    told: Sequence[tuple[Finding, Harm]], order: Ordered
) -> list[tuple[list[Finding], Harm]]:
    """Harms with the same figures for two groups are one: where two attributes go together."""
    found: dict[tuple[str, str], list[tuple[Finding, Harm]]] = {}
    for finding, harm in told:
        figures = harm.figures.partition(": ")[2] or harm.figures
        found.setdefault((harm.what, figures), []).append((finding, harm))
    return [([f for f, _ in same], _of_all(same, order)) for same in found.values()]


def _of_all(same: Sequence[tuple[Finding, Harm]], order: Ordered) -> Harm:
    (first, harm), *others = same
    names = [shortened(order.group(f), 60) for f, _ in others]
    group = shortened(order.group(first), 60)
    if not names or not harm.figures.startswith(group):
        return harm
    likewise = f"{group}, and likewise {listed(names, most=NAMED)}"
    return Harm(harm.what, f"{likewise}{harm.figures.removeprefix(group)}", harm.refs)


def _further(hurt: Sequence[Finding], order: Ordered) -> Iterator[Harm]:
    """The groups that page one has no room for, named, their results counted, with a way there."""
    groups = [shortened(order.group(f) or order.short(f), 60) for f in hurt]
    if hurt:
        failed = sum(f.verdict is Verdict.FAIL for f in hurt)
        said = [f"{failed} beyond the limit", f"{len(hurt) - failed} leaning worse"]
        results = f"{len(hurt)} more result{'s' if len(hurt) > 1 else ''}"
        parts = [part for part in said if part and not part.startswith("0 ")]
        whom = listed(groups, most=NAMED)
        refs = references((f.id for f in hurt), order)
        yield Harm("also worse", f"{whom}: {results}, {' and '.join(parts)}", refs)


def _each_once(hurt: Sequence[Finding], order: Ordered) -> list[Finding]:
    """The first finding of each harm to each group: a gap may fail as a ratio and as points."""
    first: dict[object, Finding] = {}
    for finding in hurt:
        what = order.filled(order.words(finding).harm, finding) or finding.id
        first.setdefault((what, order.result(finding).subject), finding)
    return list(first.values())


def _group_harm(finding: Finding, order: Ordered) -> Harm:
    measure = order.measure(finding)
    if measure is None:
        raise ValueError(f"finding {finding.id} has no measure")
    words = order.words(finding)
    what = order.filled(words.harm, finding)
    among = order.filled(words.among, finding) or f"{measure.of}s"
    this = order.filled("{this}", finding)
    sides = (this and f"{this}{f' {among}' if among else ''};",
             order.filled("{other}; {gap}", finding))  # fmt: skip
    if what and all(sides) and order.group(finding):
        whom = f"{shortened(order.group(finding), 60)}{order.filled('{in_where}', finding)}"
        said = f"{whom}: {sides[0]} {words.sides[1].lower()} {sides[1]}"
    else:
        # The first sentence says whom it hurts; what it stays so among is for the finding.
        said = order.filled(words.sentence, finding) or value_text(measure)
    allowed = limit_text(order.limit_of(finding), measure)
    bound = f"; the limit is {allowed}" if allowed else ""
    what = what or order.short(finding)
    return Harm(shortened(what, 50), f"{shortened(said, 240).rstrip('.')}{bound}")


def _nobody_shown(order: Ordered) -> Harm:
    tested = [f for f in order.findings
              if order.answers(f, Question.MEASURED) and order.measure(f)]  # fmt: skip
    if not tested:
        return Harm("Not tested", "no result by group of people or of circumstances")
    judged = [f for f in tested if f.verdict is not None]
    if not judged:
        said = f"{_comparisons(len(tested))}; the policy sets no limit on any of them"
        return Harm("Not judged", said, references((f.id for f in tested), order))
    open_ones = sum(f.verdict is Verdict.INCONCLUSIVE for f in judged)
    said = f"{_comparisons(len(judged))}; none shown to be worse than the limits allow"
    said += f", {open_ones} not decided" if open_ones else ""
    free = len(tested) - len(judged)
    return Harm("No group shown", f"{said}; {free} more without a limit" if free else said)


def _comparisons(count: int) -> str:
    return f"{count} comparison{'' if count == 1 else 's'} of groups"
