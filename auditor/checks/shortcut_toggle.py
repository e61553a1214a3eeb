"""shortcut/toggle: what a known artefact is worth to the model, by putting it in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Available, Check, Evidence, Need, Pass, Predictions, Truth, Unmet
from auditor.data.views import PatchInRegion, Region, RegionFromDonor
from auditor.errors import SpecError
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    count_units,
    points,
    points_text,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.spec import AuditSpec, ShortcutSpec
from auditor.stats import interval, paired_difference, rate, value

SAMPLE = 2000
"""Test images put through each view at most: half a point of accuracy shows in 2,000 pairs."""


@dataclass(frozen=True)
class Views:
    """The views that one artefact is probed with; `patched` is None where it has no picture."""

    same_class: RegionFromDonor
    other_class: RegionFromDonor
    patched: PatchInRegion | None


def views_of(shortcut: ShortcutSpec, *, spec: AuditSpec) -> Views:
    """The views of a shortcut; raises SpecError when its patch cannot be read as a picture."""
    region = Region(*shortcut.region)
    return Views(
        same_class=RegionFromDonor(region, donor="same-class"),
        other_class=RegionFromDonor(region, donor="other-class"),
        patched=_patched(shortcut, region, spec),
    )


def _patched(shortcut: ShortcutSpec, region: Region, spec: AuditSpec) -> PatchInRegion | None:
    if shortcut.patch is None:
        return None
    try:
        return PatchInRegion(region, spec.resolve(shortcut.patch).read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(
            f"shortcuts: the patch {shortcut.patch!r} of {shortcut.name!r} is not a picture that "
            f"can be read ({type(error).__name__}). Give a PNG file, its path relative to the "
            "audit spec."
        ) from error


@dataclass(frozen=True)
class Artefacts(Need):
    """Test images with the region of each declared artefact exchanged, and with it added."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.spec.shortcuts:
            return None
        return Unmet(
            reason="The spec names no artefact to probe.",
            remedy="Name known ones (a logo, a ruler, a time stamp) with their region under "
            "`shortcuts`.",
        )

    def passes(self, available: Available) -> tuple[Pass, ...]:
        probes = [views_of(s, spec=available.spec) for s in available.spec.shortcuts]
        return tuple(
            Pass("test", view=view, sample=SAMPLE)
            for views in probes
            for view in (views.same_class, views.other_class, views.patched)
            if view is not None
        )

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ("test",)


@dataclass(frozen=True)
class Toggle(Check):
    """What the region of a known artefact is worth to the model, with all else unchanged.

    What it measures
    ----------------
    The region of each artefact under `shortcuts` is replaced, in every test image, once by the
    same region of another image of the *same* class and once by that of an image of *another*
    class. The difference in accuracy is what the content of that region is worth: near 0 when
    the model decides by the rest of the picture. `flip-rate` is the share of images that are
    answered differently. With a `patch`, the artefact is added to every image: `accuracy-lost`
    is what that costs, and `answer-shift` how many more images of other classes are then
    answered with each class.

    Why it matters
    --------------
    A model that reads the app's logo, a ruler or a time stamp is right for as long as these go
    with the label, also on test images from the same source, and fails without notice where
    they do not. Associations cannot tell reliance from coincidence; this changes one thing and
    looks at the answer, so it works also where the artefact and the label never part.

    How it can mislead
    ------------------
    It measures the region, not the artefact: where the object itself reaches into the region,
    its content is worth something by right. A rare artefact is in few donors, and its worth,
    averaged over all images, is small even when it decides wherever it appears; give its
    picture as `patch` then. A patch that covers the object costs accuracy too, so read
    `answer-shift`: a shortcut draws answers to one class. Edges of an exchanged region are new
    to the model. Only declared artefacts are probed.
    """

    id: ClassVar[str] = "shortcut/toggle"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Artefacts())
    sources: ClassVar[tuple[str, ...]] = (
        "Xiao, Engstrom, Ilyas & Madry (2021), arXiv:2006.09994 (exchange within and across class)",
        "Li, Evtimov, Gordo et al. (2023), arXiv:2212.04825 (adding a watermark)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        for shortcut in evidence.spec.shortcuts:
            views = views_of(shortcut, spec=evidence.spec)
            measured = [*_exchanged(evidence, shortcut, views)]
            if views.patched is not None:
                measured += _added(evidence, shortcut, views.patched)
            yield from measured
            rows += [_row(shortcut.name, m) for m in measured if isinstance(m, Measure)]
        if rows:
            yield _table(rows)
            yield _forest(rows)


@dataclass(frozen=True)
class _Pair:
    """The same labelled images, answered under two views, in one order."""

    first: Outcomes
    second: Outcomes

    @classmethod
    def of(cls, first: Outcomes, second: Outcomes) -> _Pair:
        first, second = first.with_labels(), second.with_labels()
        # An image for which there was no donor is missing under one view only.
        place = {image_id: i for i, image_id in enumerate(second.image_ids)}
        at = np.array([place.get(image_id, -1) for image_id in first.image_ids], dtype=np.int64)
        return cls(first.take(at >= 0), second.take(at[at >= 0]))

    def take(self, keep: np.ndarray) -> _Pair:
        return _Pair(self.first.take(keep), self.second.take(keep))

    @property
    def units(self) -> np.ndarray | None:
        return self.first.units

    @property
    def n_units(self) -> int:
        return count_units(np.ones(len(self.first), dtype=bool), self.units)

    def too_few(self, name: str, subject: Subject, *, among: str) -> Unmeasured | None:
        noun = "images" if self.units is None else "units"
        return too_few(name, subject, sides={among: self.n_units}, noun=noun)


def _exchanged(evidence: Evidence, shortcut: ShortcutSpec, views: Views) -> Iterator[Result]:
    """What the region's content is worth, and how many answers turn on it."""
    pair = _Pair.of(
        evidence.outcomes("test", view=views.other_class, sample=SAMPLE),
        evidence.outcomes("test", view=views.same_class, sample=SAMPLE),
    )
    subject = Subject.of(split="test", artefact=shortcut.name)
    few = pair.too_few("accuracy-worth", subject, among="test images with donors of both kinds")
    if few is not None:
        yield few
        return
    yield _worth(pair, shortcut, subject)
    changed = pair.first.predicted != pair.second.predicted
    yield Measure(
        name="flip-rate",
        subject=subject,
        estimate=rate(changed, unit=pair.units),
        unit="share",
        better="lower",
        n=len(changed),
        n_units=pair.n_units,
        examples=worst_first(pair.first.image_ids, badness=pair.second.confidence, among=changed),
        details={
            "sentence": f"{rate_text(rate(changed, unit=pair.units), n=len(changed))} images are "
            f"answered differently when {shortcut.name} comes from another class."
        },
    )


def _worth(pair: _Pair, shortcut: ShortcutSpec, subject: Subject) -> Measure:
    other, same = pair.first, pair.second
    worth = paired_difference(other.correct, same.correct, unit=pair.units)
    here, there = (rate(side.correct, unit=pair.units) for side in (same, other))
    n = len(same)
    return Measure(
        name="accuracy-worth",
        subject=subject,
        estimate=worth,
        unit="share",
        better="lower",
        n=n,
        n_units=pair.n_units,
        examples=worst_first(
            same.image_ids, badness=other.confidence, among=same.correct & ~other.correct
        ),
        details={
            "rate": rate_details(here, n=n),
            "rest": rate_details(there, n=n),
            "carried_by": _carried(same, shortcut),
            "sentence": f"Accuracy with the region of {shortcut.name} from an image of the same "
            f"class {rate_text(here, n=n)}; from another class {rate_text(there, n=n)}; "
            f"{points_text(worth)}.",
        },
    )


def _carried(outcomes: Outcomes, shortcut: ShortcutSpec) -> dict[str, str]:
    """By class, how many images are declared to carry the artefact, as "12 of 80"."""
    outcomes = outcomes.by_label()
    known = {(a.name, group) for a in outcomes.attributes for group in a.groups}
    if not shortcut.carried_by or not set(shortcut.carried_by.items()) <= known:
        return {}
    carries = np.ones(len(outcomes), dtype=bool)
    for attribute, group in shortcut.carried_by.items():
        carries &= outcomes.groups(attribute) == group
    return {
        name: f"{int((carries & (outcomes.labels == i)).sum())} of "
        f"{int((outcomes.labels == i).sum())}"
        for i, name in enumerate(outcomes.classes)
        if (outcomes.labels == i).any()
    }


def _added(evidence: Evidence, shortcut: ShortcutSpec, view: PatchInRegion) -> Iterator[Result]:
    """What adding the artefact costs, and which class it draws answers to."""
    pair = _Pair.of(evidence.outcomes("test", view=view, sample=SAMPLE), evidence.outcomes("test"))
    subject = Subject.of(split="test", artefact=shortcut.name)
    few = pair.too_few("accuracy-lost", subject, among="the labelled test data")
    if few is not None:
        yield few
        return
    with_it, as_shot = pair.first, pair.second
    lost = paired_difference(with_it.correct, as_shot.correct, unit=pair.units)
    here, there = (rate(side.correct, unit=pair.units) for side in (as_shot, with_it))
    yield Measure(
        name="accuracy-lost",
        subject=subject,
        estimate=lost,
        unit="share",
        better="lower",
        n=len(with_it),
        n_units=pair.n_units,
        examples=worst_first(
            with_it.image_ids, badness=with_it.confidence, among=as_shot.correct & ~with_it.correct
        ),
        details={
            "rate": rate_details(here, n=len(with_it)),
            "rest": rate_details(there, n=len(with_it)),
            "sentence": f"Accuracy as shot {rate_text(here, n=len(with_it))}; with "
            f"{shortcut.name} added {rate_text(there, n=len(with_it))}; {points_text(lost)}.",
        },
    )
    for index in _drawn_to(pair):
        yield _answer_shift(pair, index, shortcut)


def _drawn_to(pair: _Pair) -> list[int]:
    """Classes that answers moved to or from, most moved first, at most ten."""
    before, after = (
        np.bincount(side.predicted, minlength=len(side.classes))
        for side in (pair.second, pair.first)
    )
    order = np.argsort(-np.abs(after - before), kind="stable")[:10]
    return [int(i) for i in order]


def _answer_shift(pair: _Pair, index: int, shortcut: ShortcutSpec) -> Measure | Unmeasured:
    name = pair.first.classes[index]
    others = pair.take(pair.first.labels != index)
    subject = Subject.about({"artefact": shortcut.name, "class": name}, split="test")
    few = others.too_few("answer-shift", subject, among=f"test images that are not {name}")
    if few is not None:
        return few
    before, after = (side.predicted == index for side in (others.second, others.first))
    n = len(before)
    drawn = after & ~before
    return Measure(
        name="answer-shift",
        subject=subject,
        estimate=paired_difference(before, after, unit=others.units),
        unit="share",
        better="lower",
        n=n,
        n_units=others.n_units,
        examples=worst_first(others.first.image_ids, badness=others.first.confidence, among=drawn),
        details={
            "rate": rate_details(rate(after, unit=others.units), n=n),
            "rest": rate_details(rate(before, unit=others.units), n=n),
            "sentence": f"{rate_text(rate(drawn, unit=others.units), n=n)} images of other "
            f"classes become {name} when {shortcut.name} is added.",
        },
    )


def _row(artefact: str, measure: Measure) -> tuple[Cell, ...]:
    ends = interval(measure.estimate)
    return (artefact, measure.name, measure.subject.get("class"), measure.n,
            value(measure.estimate), ends.low, ends.high)  # fmt: skip


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("artefact", "measure", "class", "images", "value", "low", "high")
    return Table(
        id="shortcut/toggle:artefacts",
        title="What known artefacts are worth to the model",
        columns=tuple(Column(n, "share" if n in ("value", "low", "high") else "") for n in names),
        rows=tuple(rows),
    )


def _forest(rows: list[tuple[Cell, ...]]) -> Figure:
    shown = [row for row in rows if row[1] in ("accuracy-worth", "accuracy-lost")]
    label = {"accuracy-worth": "region exchanged", "accuracy-lost": "artefact added"}
    return Figure(
        id="shortcut/toggle:worth",
        kind="forest",
        title="Accuracy that artefacts are worth",
        caption="Accuracy lost when an artefact's region comes from another class rather than "
        "its own, and when the artefact is added to every image; 95% intervals.",
        alt="; ".join(
            f"{r[0]}, {label[str(r[1])]}: {points(float(r[4] or 0))} points" for r in shown
        ),
        x=Axis("accuracy lost", "share"),
        y=Axis("artefact"),
        rows=tuple(
            {
                "label": f"{r[0]}, {label[str(r[1])]}",
                "value": r[4],
                "low": r[5],
                "high": r[6],
                "n": r[3],
            }
            for r in shown
        ),
    )
