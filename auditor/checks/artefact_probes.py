"""An artefact put to the model: exchanged, beside its placebos, and added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from auditor.checks.artefact_views import Views
from auditor.checks.shortcut_grades import cleared, graded_cells
from auditor.comparing.pairs import Pair
from auditor.contract import Evidence
from auditor.data.transforms import MirroredAround
from auditor.data.views import View
from auditor.findings import Cell, Measure, Measured, RowKind, Subject, Unmeasured
from auditor.scoring.comparison import count_units, worst_first
from auditor.scoring.rows import Rows
from auditor.stats import Estimate, bound, p_value, paired_difference, rate, value


@dataclass(frozen=True)
class Probe:
    """An artefact: where it is, its views, and the rows of a view, of images or the chief kind.

    `offer` is how much more often the class `of_class` carries it than the others, None where that
    is not known; `told` are measures of the artefact itself, without the model.
    """

    name: str
    where: str
    views: Views
    rows: Callable[[View, RowKind | None], Rows]
    offer: Estimate | None = None
    of_class: str | None = None
    told: tuple[Measure, ...] = ()
    transform: str | None = None
    carried_by: Mapping[str, str] = field(default_factory=dict)


def graded(
    probe: Probe, measured: Sequence[Measured], *, margin: float
) -> Iterator[tuple[Cell, ...]]:
    """A row of the table of grades, by what its exchange is worth or the answers that it draws.

    Exchanged, it is held against its placebo where it has one; added, only answers of its own
    class count. Of both the one with the higher low bound.
    """
    known = [m for m in measured if isinstance(m, Measure)]
    by_name = {m.name: m.estimate for m in known if m.name != "answer-shift"}
    names = ("beyond-placebo", "accuracy-worth", "declared-worth")
    worth = next(([by_name[name]] for name in names if name in by_name), [])
    drawn = [
        m.estimate
        for m in known
        if m.name == "answer-shift" and probe.of_class in (None, m.subject.get("class"))
    ]
    reliance = max([*worth, *drawn], key=lambda e: bound(e, side="low"), default=None)
    if reliance is not None:
        yield graded_cells(
            probe.name, probe.where, opportunity=probe.offer, reliance=reliance, margin=margin
        )


def exchanged(probe: Probe, *, margin: float) -> Iterator[Measured]:
    """What the region's content is worth, and how many answers turn on it.

    A component of the whole picture can be cleared; a region cannot, because few donors may carry
    what it is looked at for.
    """
    if probe.views.exchanged is None:
        return
    same, other = (probe.rows(view, None) for view in probe.views.exchanged)
    pair = Pair.of(other, same)
    name = "accuracy-worth" if probe.transform is None else "declared-worth"
    subject = Subject.of(split="test", artefact=probe.name)
    few = pair.too_few(name, subject, among="test images with donors of both kinds")
    if few is not None:
        yield few
        return
    other, same = pair.first, pair.second
    worth = pair.difference(
        name,
        subject,
        of=(same.right, other.right),
        better="lower",
        examples=worst_first(
            same.image_ids, badness=other.confidence, among=same.right & ~other.right
        ),
    )
    if probe.transform is None:
        beyond = _beyond_placebo(probe, other, subject)
        carried = _carried(same, probe.carried_by)
        yield replace(worth, facts={"carried_by": carried, **_against(beyond)})
        yield beyond
    else:
        found = _cleared(pair, worth, margin=margin, of=(same.right, other.right))
        yield replace(worth, facts={"transform": probe.transform, **found})
    yield pair.share("flip-rate", subject, pair.changed)


def _beyond_placebo(probe: Probe, other: Rows, subject: Subject) -> Measure | Unmeasured:
    """Accuracy with the placebo that costs most minus that with the artefact's region.

    The same other image gives both, so that edges and strange content cost both alike. Taking
    the costliest of up to three favours the model: the place is to be cleared first.
    """
    name = "beyond-placebo"
    if not probe.views.placebos:
        return Unmeasured(
            name=name,
            subject=subject,
            reason="Mirrored left to right or top to bottom, its region touches that of a declared "
            "artefact: no like region elsewhere can be exchanged beside it.",
            remedy="Give a smaller region that holds the artefact alone, on one side of the frame.",
        )
    pairs = [Pair.of(probe.rows(placebo, None), other) for placebo in probe.views.placebos]
    pair = min(pairs, key=lambda p: p.first.right.mean() - p.second.right.mean())
    few = pair.too_few(name, subject, among="test images with donors of another class")
    return few or pair.difference(
        name, subject, of=(pair.first.right, pair.second.right), better="lower"
    )


def _against(beyond: Measure | Unmeasured) -> dict[str, Any]:
    """What the placebo lets one say of the artefact's worth."""
    if isinstance(beyond, Unmeasured) or beyond.sides is None:
        return {"no_placebo": True}
    carries = p_value(beyond.estimate, limit=0, exceeds="above") <= 0.05
    return {
        "placebo": value(beyond.sides[0].estimate),
        "carries": carries,
        "carries_no_more": not carries,
    }


def _carried(rows: Rows, carried_by: Mapping[str, str]) -> dict[str, str]:
    """By class, how many images are declared to carry the artefact, as "12 of 80"."""
    rows = rows.by_label()
    known = {(a.name, group) for a in rows.attributes for group in a.groups}
    if not carried_by or not set(carried_by.items()) <= known:
        return {}
    carries = np.ones(len(rows), dtype=bool)
    for attribute, group in carried_by.items():
        carries &= rows.groups(attribute) == group
    of_class = {name: rows.present(name) for name in rows.classes}
    return {
        name: f"{int((carries & inside).sum())} of {int(inside.sum())}"
        for name, inside in of_class.items()
        if inside.any()
    }


def added(evidence: Evidence, probe: Probe, *, margin: float) -> Iterator[Measured]:
    """What adding the artefact costs, and which class it draws answers to.

    Where nothing of that is shown, and all to be below `margin`, it is cleared (`_cleared`).
    """
    view = probe.views.added
    if view is None:
        return
    pair = Pair.of(probe.rows(view, None), evidence.scored("test"))
    subject = Subject.of(split="test", artefact=probe.name)
    few = pair.too_few("accuracy-lost", subject, among="the labelled test data")
    if few is not None:
        yield few
        return
    with_it, as_shot = pair.first, pair.second
    lost = pair.difference(
        "accuracy-lost",
        subject,
        of=(as_shot.right, with_it.right),
        better="lower",
        examples=worst_first(
            with_it.image_ids, badness=with_it.confidence, among=as_shot.right & ~with_it.right
        ),
    )
    images = Pair.of(probe.rows(view, "image"), evidence.scored("test", of="image"))
    shifts = [_answer_shift(images, name, probe) for name in _drawn_to(images)]
    found: Mapping[str, Any] = {}
    if not isinstance(view, MirroredAround) or view.share_kept <= _MOST_KEPT:
        drawn = [shift for shift in shifts if isinstance(shift, Measure)]
        found = _cleared(pair, lost, *drawn, margin=margin, of=(as_shot.right, with_it.right))
    yield replace(lost, facts=found)
    yield from shifts


_MOST_KEPT = 0.25
"""Of a mirrored picture; where more of it stays as it was, mirroring is hardly looked at."""

_CHANGED = 2.0
"""Of what is cleared, the share of answers that change is shown to be below so many margins."""


def _cleared(
    pair: Pair, *worths: Measure, margin: float, of: tuple[np.ndarray, np.ndarray]
) -> Mapping[str, Any]:
    """The facts of `cleared`, where few answers change besides.

    A model that goes by what the test data do not offer gains on some images what it loses on
    others: nothing is lost, but many answers change. `of` are the successes (n,) before and after.
    """
    most = _CHANGED * margin
    if bound(rate(pair.changed, unit=pair.units), side="high") >= most:
        return {}
    before, after = of
    of_class = (pair.first.present(name) for name in pair.first.classes)
    parts = [
        paired_difference(after[inside], before[inside], unit=units)
        for inside in of_class
        for units in (None if pair.units is None else pair.units[inside],)
        if count_units(inside, pair.units) > 1
    ]
    found = cleared(*(worth.estimate for worth in worths), margin=margin, parts=parts)
    return {**found, "changed_below": most} if found else {}


def _drawn_to(pair: Pair) -> list[str]:
    """Classes that answers moved to or from, most moved first, at most ten."""
    names = pair.first.classes
    moved = [
        abs(int(pair.first.called(name).sum()) - int(pair.second.called(name).sum()))
        for name in names
    ]
    return [names[i] for i in np.argsort(-np.array(moved), kind="stable")[:10]]


def _answer_shift(pair: Pair, name: str, probe: Probe) -> Measure | Unmeasured:
    others = pair.take(~pair.first.present(name))
    subject = Subject.about({"artefact": probe.name, "class": name}, split="test")
    few = others.too_few("answer-shift", subject, among=f"test images that are not {name}")
    if few is not None:
        return few
    before, after = others.second.called(name), others.first.called(name)
    return others.difference(
        "answer-shift",
        subject,
        of=(after, before),
        better="lower",
        examples=worst_first(
            others.first.image_ids, badness=others.first.confidence, among=after & ~before
        ),
        facts={"several": not others.first.presence.one_each},
    )
