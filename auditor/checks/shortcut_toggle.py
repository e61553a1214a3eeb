"""shortcut/toggle: what a known artefact is worth to the model, by putting it in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.checks.artefact_views import Views, views_of
from auditor.comparing.by_group import measure_cells
from auditor.comparing.pairs import Pair
from auditor.contract import (
    Available,
    Check,
    Evidence,
    Need,
    Pass,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.numbers import points
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import Dataset
from auditor.data.views import PatchInRegion
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import worst_first
from auditor.scoring.rows import Rows
from auditor.spec import ShortcutSpec
from auditor.stats import p_value, value

SAMPLE = 2000
"""Test images put through each view at most: half a point of accuracy shows in 2,000 pairs."""


_NO_EXCHANGE = (
    "The images are of no one class, so that none could give the region of an artefact for another "
    "of its class."
)


def _of_one_class(dataset: Dataset) -> bool:
    """Whether each image has a class of its own: regions are exchanged within and across it."""
    return bool((dataset.labels >= 0).any())


@dataclass(frozen=True)
class Artefacts(Need):
    """Test images with the region of each declared artefact exchanged, and with it added."""

    def unmet(self, available: Available) -> Unmet | None:
        if not available.spec.shortcuts:
            return Unmet(
                reason="The spec names no artefact to probe.",
                remedy="Name known ones (a logo, a ruler, a time stamp) with their region under "
                "`shortcuts`.",
            )
        if "test" in available.datasets and not self.passes(available):
            return Unmet(
                reason=_NO_EXCHANGE,
                remedy="Give its picture as `patch`, to be added to images that lack it.",
            )
        return None

    def passes(self, available: Available) -> tuple[Pass, ...]:
        probes = [views_of(s, spec=available.spec) for s in available.spec.shortcuts]
        exchanged = _of_one_class(available.datasets["test"])
        return tuple(
            Pass("test", view=view, sample=SAMPLE)
            for views in probes
            for view in views.all
            if exchanged or view.donor is None
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
    the model decides by the rest of the picture. `beyond-placebo` sets beside it regions of the
    same size at mirrored places, exchanged with the same other images; of these the one that
    costs most. Where they cost as much, the place tells the class and not the artefact.
    `flip-rate` is the share of images that are answered differently. With a `patch`, the
    artefact is added to every image: `accuracy-lost` is what that costs, and `answer-shift` how
    many more images of other classes are then answered with each class.

    Why it matters
    --------------
    A model that reads the app's logo, a ruler or a time stamp is right for as long as these go
    with the label, also on test images from the same source, and fails without notice where
    they do not. Associations cannot tell reliance from coincidence; this changes one thing and
    looks at the answer, so it works also where the artefact and the label never part.

    How it can mislead
    ------------------
    It measures the region, not the artefact: where the object itself reaches into the region,
    its content is worth something by right. A placebo shows that only where mirrored places
    hold like content: an object that always leans to one side is taken for the artefact, and
    an artefact that is at both places for none. A rare artefact is in few donors, and its worth,
    averaged over all images, is small even when it decides wherever it appears; give its
    picture as `patch` then. A patch that covers the object costs accuracy too, so read
    `answer-shift`: a shortcut draws answers to one class. Edges of an exchanged region are new
    to the model. Only declared artefacts are probed.
    """

    id: ClassVar[str] = "shortcut/toggle"
    topic: ClassVar[str] = "whether a known artefact decides"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Artefacts())
    cannot_see: ClassVar[str] = (
        "An artefact that is neither named nor recurs, pixel for pixel, at one place in many images "
        "of one class: handwriting, a pose, a kind of room."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Xiao, Engstrom, Ilyas & Madry (2021), arXiv:2006.09994 (exchange within and across class)",
        "Li, Evtimov, Gordo et al. (2023), arXiv:2212.04825 (adding a watermark)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "accuracy-worth": Words(
            title="Accuracy that rests on {artefact}",
            span=EITHER_WAY,
            short="{artefact} decides",
            sentence=(
                "Accuracy with the region of {artefact} from an image of the same class {this}; "
                "from another class {other}; {gap}.",
                "With a like region elsewhere from another class {placebo:percent}: {artefact} "
                "carries more than such a region{carries:if}.",
                "With a like region elsewhere from another class {placebo:percent}: that "
                "{artefact} carries more than such a region is not shown{carries_no_more:if}.",
                "No like region lies elsewhere, so whether {artefact} carries it or what else is "
                "there is not known{no_placebo:if}.",
            ),
            hundred="Of 100 images with the {artefact} area of an image of the same class it "
            "answers {here} rightly; with that of another class, {there}.",
            sides=("Same class", "Another class"),
            action="train without {artefact} in the pictures, and test again",
        ),
        "beyond-placebo": Words(
            title="Accuracy that {artefact} is worth beyond a like region elsewhere",
            span=EITHER_WAY,
            short="{artefact} beyond its placebo",
            sentence="Accuracy with a like region elsewhere from another class {this}; with that "
            "of {artefact} {other}; {gap}.",
            sides=("Like region elsewhere", "Region of the artefact"),
            action="train without {artefact} in the pictures, and test again",
        ),
        "flip-rate": Words(
            title="Answers that change with {artefact}",
            short="{artefact} changes answers",
            sentence="{value} of {n} images are answered differently when {artefact} comes from "
            "another class.",
            action="train without {artefact} in the pictures, and test again",
        ),
        "accuracy-lost": (
            Words(
                title="Accuracy lost when {artefact} is added",
                span=EITHER_WAY,
                short="accuracy lost by adding {artefact}",
                sentence="Accuracy as shot {this}; with {artefact} added {other}; {gap}.",
                sides=("As shot", "With it added"),
                action="train without {artefact} in the pictures, and test again",
                of="image",
            ),
            Words(
                title="Objects found less when {artefact} is added",
                span=EITHER_WAY,
                short="objects lost by adding {artefact}",
                sentence="Objects found as shot {this}; with {artefact} added {other}; {gap}.",
                sides=("As shot", "With it added"),
                action="train without {artefact} in the pictures, and test again",
                of="object",
            ),
        ),
        "answer-shift": (
            Words(
                title="“{class}” seen because of {artefact}{several:if}",
                span=EITHER_WAY,
                short="“{class}” seen because of {artefact}",
                sentence="In {this} of the images without {class} it is seen once {artefact} is "
                "added; as shot in {other}; {gap}.",
                hundred="Of 100 images without “{class}”, it is seen in {here} once {artefact} is "
                "added; as shot in {there}.",
                sides=("With it added", "As shot"),
                action="train without {artefact} in the pictures, and test again",
            ),
            Words(
                title="Answers “{class}” won by {artefact}",
                span=EITHER_WAY,
                short="answers “{class}” won by {artefact}",
                sentence="Of images of other classes {this} are answered {class} with {artefact} "
                "added; as shot {other}; {gap}.",
                sides=("With it added", "As shot"),
                action="train without {artefact} in the pictures, and test again",
            ),
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        exchanged = _of_one_class(evidence.dataset("test"))
        for shortcut in evidence.spec.shortcuts:
            views = views_of(shortcut, spec=evidence.spec)
            measured = [*_exchanged(evidence, shortcut, views)] if exchanged else []
            if views.patched is not None:
                measured += _added(evidence, shortcut, views.patched)
            yield from measured
            rows += [_row(shortcut.name, m) for m in measured if isinstance(m, Measure)]
        if rows:
            yield _table(rows)
            yield _forest(rows)


def _exchanged(evidence: Evidence, shortcut: ShortcutSpec, views: Views) -> Iterator[Measured]:
    """What the region's content is worth, and how many answers turn on it."""
    pair = Pair.of(
        evidence.scored("test", view=views.other_class, sample=SAMPLE),
        evidence.scored("test", view=views.same_class, sample=SAMPLE),
    )
    subject = Subject.of(split="test", artefact=shortcut.name)
    few = pair.too_few("accuracy-worth", subject, among="test images with donors of both kinds")
    if few is not None:
        yield few
        return
    other, same = pair.first, pair.second
    beyond = _beyond_placebo(evidence, other, subject, views)
    yield pair.difference(
        "accuracy-worth",
        subject,
        of=(same.right, other.right),
        better="lower",
        examples=worst_first(
            same.image_ids, badness=other.confidence, among=same.right & ~other.right
        ),
        facts={"carried_by": _carried(same, shortcut), **_against(beyond)},
    )
    yield beyond
    yield pair.share("flip-rate", subject, pair.changed)


def _beyond_placebo(
    evidence: Evidence, other: Rows, subject: Subject, views: Views
) -> Measure | Unmeasured:
    """Accuracy with the placebo that costs most minus that with the artefact's region.

    The same other image gives both, so that edges and strange content cost both alike. Taking
    the costliest of up to three favours the model: the place is to be cleared first.
    """
    name = "beyond-placebo"
    if not views.placebos:
        return Unmeasured(
            name=name,
            subject=subject,
            reason="Mirrored left to right or top to bottom, its region touches that of a declared "
            "artefact: no like region elsewhere can be exchanged beside it.",
            remedy="Give a smaller region that holds the artefact alone, on one side of the frame.",
        )
    pairs = [
        Pair.of(evidence.scored("test", view=placebo, sample=SAMPLE), other)
        for placebo in views.placebos
    ]
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


def _carried(rows: Rows, shortcut: ShortcutSpec) -> dict[str, str]:
    """By class, how many images are declared to carry the artefact, as "12 of 80"."""
    rows = rows.by_label()
    known = {(a.name, group) for a in rows.attributes for group in a.groups}
    if not shortcut.carried_by or not set(shortcut.carried_by.items()) <= known:
        return {}
    carries = np.ones(len(rows), dtype=bool)
    for attribute, group in shortcut.carried_by.items():
        carries &= rows.groups(attribute) == group
    of_class = {name: rows.present(name) for name in rows.classes}
    return {
        name: f"{int((carries & inside).sum())} of {int(inside.sum())}"
        for name, inside in of_class.items()
        if inside.any()
    }


def _added(evidence: Evidence, shortcut: ShortcutSpec, view: PatchInRegion) -> Iterator[Measured]:
    """What adding the artefact costs, and which class it draws answers to."""
    pair = Pair.of(evidence.scored("test", view=view, sample=SAMPLE), evidence.scored("test"))
    subject = Subject.of(split="test", artefact=shortcut.name)
    few = pair.too_few("accuracy-lost", subject, among="the labelled test data")
    if few is not None:
        yield few
        return
    with_it, as_shot = pair.first, pair.second
    yield pair.difference(
        "accuracy-lost",
        subject,
        of=(as_shot.right, with_it.right),
        better="lower",
        examples=worst_first(
            with_it.image_ids, badness=with_it.confidence, among=as_shot.right & ~with_it.right
        ),
    )
    images = Pair.of(
        evidence.scored("test", view=view, sample=SAMPLE, of="image"),
        evidence.scored("test", of="image"),
    )
    yield from (_answer_shift(images, name, shortcut) for name in _drawn_to(images))


def _drawn_to(pair: Pair) -> list[str]:
    """Classes that answers moved to or from, most moved first, at most ten."""
    names = pair.first.classes
    moved = [
        abs(int(pair.first.called(name).sum()) - int(pair.second.called(name).sum()))
        for name in names
    ]
    return [names[i] for i in np.argsort(-np.array(moved), kind="stable")[:10]]


def _answer_shift(pair: Pair, name: str, shortcut: ShortcutSpec) -> Measure | Unmeasured:
    others = pair.take(~pair.first.present(name))
    subject = Subject.about({"artefact": shortcut.name, "class": name}, split="test")
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


def _row(artefact: str, measure: Measure) -> tuple[Cell, ...]:
    numbers = measure_cells(measure)
    return (artefact, measure.name, measure.subject.get("class"), measure.n, *numbers)


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
