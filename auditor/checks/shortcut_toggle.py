"""shortcut/toggle: what a known artefact is worth to the model, by putting it in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from auditor.checks.artefact_probes import Probe, added, exchanged, graded
from auditor.checks.artefact_tables import (
    artefact_forest,
    artefact_table,
    grade_table,
    measure_row,
)
from auditor.checks.artefact_views import views_of
from auditor.checks.mined_artefacts import Looked, Mined, live_rows, place_of
from auditor.checks.shortcut_grades import MARGIN, with_cleared
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
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.data.dataset import Dataset
from auditor.data.transforms import MirroredAround
from auditor.data.views import Region, View
from auditor.findings import Cell, Measure, Result, RowKind
from auditor.scoring.rows import Rows
from auditor.spec import ShortcutSpec

_NO_EXCHANGE = (
    "The images are of no one class, so that none could give the region of an artefact for another "
    "of its class."
)


def _of_one_class(dataset: Dataset) -> bool:
    """Whether each image has a class of its own: regions are exchanged within and across it."""
    return bool((dataset.labels >= 0).any())


@dataclass(frozen=True)
class Artefacts(Need):
    """Test images with each declared artefact exchanged and added; the live model for found ones.

    Patches are looked for in images that are of one class each.
    """

    def unmet(self, available: Available) -> Unmet | None:
        looks = Toggle.asked(available.spec).look_for > 0 and "test" in available.datasets
        if looks and _of_one_class(available.datasets["test"]):
            return None
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
        sample = Toggle.asked(available.spec).sample
        return tuple(
            Pass("test", view=view, sample=sample)
            for views in probes
            for view in views.all
            if exchanged or view.donor is None
        )

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ("test",)


_CLEARED = (
    "That clears {artefact}: neither a loss nor a class answered more often is shown, both are "
    "shown to be below {cleared_below:points} points, and fewer than {changed_below:percent} of "
    "the answers to change."
)
_WORDS: Mapping[str, Words | tuple[Words, ...]] = {
    "patches-found": Words(
        title="Patches that recur in one class",
        span=FROM_0,
        short="patches found by looking",
        sentence=(
            "Looked through {n} images: no patch recurs at one place in many images of one "
            "class and few others{none:if}.",
            "Looked through {n} images: {point} that recur at one place in many images of one "
            "class and few others; the first are probed{some:if}.",
        ),
    ),
    "recurrence": Words(
        title="How much more often images of “{class}” carry {artefact}",
        span=EITHER_WAY,
        short="{artefact} goes with “{class}”",
        sentence=(
            "Found by looking, not named: the same pixels at the {artefact_place} in {this} of "
            "the images of {class} and {other} of the others.",
            "They are on the images whose {carried_name} is {carried_group}.",
        ),
        sides=("Images of the class", "All others"),
        action="find out where {artefact} comes from, and collect images of every class "
        "with and without it",
    ),
    "declared-worth": Words(
        title="Accuracy that rests on {artefact}",
        span=EITHER_WAY,
        short="{artefact} decides",
        sentence=(
            "Accuracy with the {transform} of an image of the same class {this}; of "
            "another class {other}; {gap}. It was declared to carry no weight.",
            "That clears {artefact}: it is not shown to be worth anything, and shown to be worth "
            "less than {cleared_below:points} points and to change fewer than "
            "{changed_below:percent} of the answers.",
        ),
        hundred="Of 100 images with the {transform} of an image of the same class it answers "
        "{here} rightly; with that of another class, {there}.",
        sides=("Same class", "Another class"),
        action="train with {artefact} varied within every class, and test again",
    ),
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
            sentence=(
                "Accuracy as shot {this}; with {artefact} added {other}; {gap}.",
                _CLEARED,
            ),
            sides=("As shot", "With it added"),
            action="train with {artefact} varied within every class, and test again",
            of="image",
        ),
        Words(
            title="Objects found less when {artefact} is added",
            span=EITHER_WAY,
            short="objects lost by adding {artefact}",
            sentence=(
                "Objects found as shot {this}; with {artefact} added {other}; {gap}.",
                _CLEARED,
            ),
            sides=("As shot", "With it added"),
            action="train with {artefact} varied within every class, and test again",
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
            action="train with {artefact} varied within every class, and test again",
        ),
        Words(
            title="Answers “{class}” won by {artefact}",
            span=EITHER_WAY,
            short="answers “{class}” won by {artefact}",
            sentence="Of images of other classes {this} are answered {class} with {artefact} "
            "added; as shot {other}; {gap}.",
            sides=("With it added", "As shot"),
            action="train with {artefact} varied within every class, and test again",
        ),
    ),
}


@dataclass(frozen=True)
class Toggle(Check):
    """What the region of a known artefact is worth to the model, with all else unchanged.

    What it measures
    ----------------
    The region of each artefact under `shortcuts` is replaced, in a sample of the test images, once
    by the same region of another image of the *same* class and once by that of an image of
    *another* class. The difference in accuracy is what the content of that region is worth: near 0
    when the model decides by the rest of the picture. `beyond-placebo` sets beside it regions of
    the same size at mirrored places, exchanged with the same other images; of these the one that
    costs most. Where they cost as much, the place tells the class and not the artefact. `flip-rate`
    is the share of images that are answered differently. With a `patch`, the artefact is added to
    every image: `accuracy-lost` is what that costs, and `answer-shift` how many more images of
    other classes are then answered with each class. A `transform` in place of a region is added
    likewise: a tint, a corruption, or `mirror`, which exchanges left and right and leaves known
    artefacts where they are. A component (the colour cast, the sharpness, the border) is exchanged
    instead, and its `declared-worth` has no placebo. A transform of which nothing is shown, of
    no class either, and that is shown to be worth less than `margin` and to change few answers
    (twice that), is cleared by name. Where images have one class
    each, artefacts are also *looked for*: patches that recur, pixel for pixel, at one place in many
    images of one class and few others (`recurrence`); the one that goes most with a class is
    exchanged and added as if it had been named.

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
    to the model. Looking finds a patch whose pixels stay the same: not what moves, changes, is half
    transparent or covers more than a fifth of the frame; and it may cut a patch short. What one
    class shows by right at one place, such as the white of a scanner's lid, is found too: whether
    that may decide is for a person to say.
    """

    id: ClassVar[str] = "shortcut/toggle"
    topic: ClassVar[str] = "whether an artefact decides"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Artefacts())
    cannot_see: ClassVar[str] = (
        "An artefact that is neither named nor recurs, pixel for pixel, at one place in many "
        "images of one class: handwriting, a pose, a kind of room."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Xiao, Engstrom, Ilyas & Madry (2021), arXiv:2006.09994 (exchange within and across class)",
        "Li, Evtimov, Gordo et al. (2023), arXiv:2212.04825 (adding a watermark)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = with_cleared(
        _WORDS, dict.fromkeys(("declared-worth", "accuracy-lost"), "{artefact} cleared")
    )

    sample: Annotated[
        int, "Test images put through each view, taken by unit; 2,000 show half a point."
    ] = 600
    look_for: Annotated[
        int, "How many patches that were not named are probed, of those found by looking; 0: none."
    ] = 1
    margin: Annotated[float, "Worth from which on the table calls an artefact relied upon."] = (
        MARGIN
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        grades: list[tuple[Cell, ...]] = []
        finds = False
        classed = _of_one_class(evidence.dataset("test"))
        probes = [
            _declared(evidence, shortcut, sample=self.sample, exchanged=classed)
            for shortcut in evidence.spec.shortcuts
        ]
        if self.look_for > 0 and classed:
            looked = Looked.through(evidence, most=self.look_for)
            yield looked.count()
            probes = [_around_found(p, looked, evidence) for p in probes]
            probes += _found(evidence, looked)
        for probe in probes:
            measured = [
                *exchanged(probe, margin=self.margin),
                *added(evidence, probe, margin=self.margin),
            ]
            yield from (*probe.told, *measured)
            finds |= any(isinstance(m, Measure) and m.of == "object" for m in measured)
            rows += [measure_row(probe.name, m) for m in measured if isinstance(m, Measure)]
            grades += graded(probe, measured, margin=self.margin)
        if rows:
            yield artefact_table(rows)
            yield artefact_forest(rows, lost="the share of objects found" if finds else "accuracy")
        if grades:
            yield grade_table(grades)


def _found(evidence: Evidence, looked: Looked) -> Iterator[Probe]:
    """The patches that were found, as they are put to the live model."""
    rows = live_rows(evidence, looked)
    for patch in looked.patches:
        mined = Mined.of(patch, looked, evidence)
        yield Probe(
            mined.name, mined.place, mined.views, rows,
            offer=mined.offer, of_class=mined.label, told=(mined.recurrence(),),
        )  # fmt: skip


def _around_found(probe: Probe, looked: Looked, evidence: Evidence) -> Probe:
    """Patches that were found stay where they are, too, where a picture is mirrored."""
    view = probe.views.added
    if not isinstance(view, MirroredAround) or not looked.patches:
        return probe
    known = (*view.kept, *(patch.region for patch in looked.patches))
    views = replace(probe.views, added=MirroredAround(known))
    return replace(probe, views=views, rows=live_rows(evidence, looked))


def _declared(evidence: Evidence, shortcut: ShortcutSpec, *, sample: int, exchanged: bool) -> Probe:
    def rows(view: View, of: RowKind | None) -> Rows:
        return evidence.scored("test", view=view, sample=sample, of=of)

    views = views_of(shortcut, spec=evidence.spec)
    if not exchanged:
        views = replace(views, exchanged=None, placebos=())
    where = "whole picture" if shortcut.region is None else place_of(Region(*shortcut.region))
    return Probe(shortcut.name, where, views, rows, transform=shortcut.transform,
                 carried_by=shortcut.carried_by or {})  # fmt: skip
