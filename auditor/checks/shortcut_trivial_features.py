"""shortcut/trivial-features: what colour, size or file type alone tell of label and answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.association import aligned_minus_conflicting
from auditor.checks.cue_skill import Followed, Looked, Told, told_by
from auditor.checks.shortcut_grades import COLUMNS, MARGIN, Grade, graded_cells
from auditor.comparing.interval_row import interval_row
from auditor.comparing.same_truth import own_units, present, told_classes
from auditor.contract import Check, Evidence, Need, Predictions, Scan, Truth, Words
from auditor.contract.numbers import percent
from auditor.contract.words import EITHER_WAY
from auditor.data.cues import cues
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Result,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, worst_first
from auditor.stats import bound, holm, interval, rate, value
from auditor.stats.areas import mean_area
from auditor.stats.out_of_fold import PERMUTATIONS, folds_of
from auditor.stats.resampling import whole_units

_ASSOCIATION = (
    "That is an association: a model that goes by it shows it, and so does one to which such "
    "images are harder for another reason."
)
_SIDES = ("Suggests the label", "Suggests another")
ALPHA = 0.05
LEAST_AREA = 0.55
"""The data are said to offer what is shown to tell more than 55 of 100 pairs."""

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class TrivialFeatures(Check):
    """What brightness, file type or a corner alone predict of the label, and of the answers.

    What it measures
    ----------------
    For each of a few cues - brightness, colour, sharpness, picture size, file type, traces of
    compression, the border, the corners, an 8 x 8 thumbnail - two things. `label-auc`: over all
    pairs of a test image of a class and one of another, how often the first looks more like its
    class by the cue alone (0.5: guessing), to a linear model that saw neither the image nor its
    unit; the mean over classes. For a detector or a segmenter a class is in an image or is not.
    Its p-value is that of labels dealt anew among units, adjusted for the number of cues
    (Holm). And how the model's answers go with it, among images of the same label:
    `accuracy-worth`, accuracy where the cue points to the label minus accuracy where it points
    to another (`presence-worth` where an image may hold several classes: how often a class is
    rightly said to be there, or not).

    Why it matters
    --------------
    Where the file type or a corner gives the label away, the data offer a model a way to be
    right without looking: in training data collected alike it will have learnt it, and the test
    data will not show it. So what the data offer is told, and beside it whether the model's
    answers follow.

    How it can mislead
    ------------------
    What the data offer is not what the model uses. That answers follow a cue is an association
    and shows no use either: images whose cue is odd for their label may be harder in
    other ways, and brightness, colour and a thumbnail belong to what a picture shows (a fire is
    red). Only file type and picture size never do. `shortcut/toggle` changes
    pictures and can show use. A cue that acts through a fine pattern, a text or an object is not
    among these; cues are read by a linear model of their ranks. Images as given are described,
    the model may be fed less of them.
    """

    id: ClassVar[str] = "shortcut/trivial-features"
    topic: ClassVar[str] = "what a glance gives away"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Scan())
    cannot_see: ClassVar[str] = (
        "Cues by a fine pattern, a text or an object in the picture, and whether answers that go "
        "with a cue come of it."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Geirhos et al. (2020), arXiv:2004.07780 (shortcut learning)",
        "DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595 (area under the ROC curve)",
        "Phipson & Smyth (2010), doi:10.2202/1544-6115.1585 (p-values are never 0)",
        "Holm (1979), www.jstor.org/stable/4615733",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "label-auc": Words(
            title="What the {cue} alone can tell of the label",
            short="label from the {cue} alone",
            sentence=(
                "From the {cue} alone, an image of a class is told from an image of another in "
                "{value} of pairs (50% is guessing).",
                "Best told is {best}, in {best_area:percent}.",
                "The data offer it: a model could go by it (p = {p:.2g}){offered:if}.",
                "More than chance, but little (p = {p:.2g}){little:if}.",
                "Not shown to be more than chance (p = {p:.2g}){not_shown:if}.",
                "That says nothing of whether this model does.",
                "Looked at were {drawn:,} of {of_all:,} images, drawn at random.",
            ),
            action="collect images in which {cue} and label do not go together",
        ),
        "accuracy-worth": Words(
            title="Answers that go with the {cue}",
            short="answers go with the {cue}",
            span=EITHER_WAY,
            sentence="Among images of the same label, accuracy where the {cue} would suggest that "
            "label {this}; where another {other}; {gap}. " + _ASSOCIATION,
            hundred="Of 100 images whose {cue} would suggest their label it answers {here} "
            "rightly; of 100 where another, {there}.",
            sides=_SIDES,
            compared="Difference, adjusted for label",
            action="change the {cue} of images and see whether answers change with it",
        ),
        "presence-worth": Words(
            title="Answers that go with the {cue}",
            short="answers go with the {cue}",
            span=EITHER_WAY,
            sentence="How often a class is rightly said to be there, or not: where the {cue} "
            "would suggest so {this}; where the contrary {other}; {gap}. " + _ASSOCIATION,
            sides=_SIDES,
            compared="Difference, adjusted for label",
            action="change the {cue} of images and see whether answers change with it",
        ),
    }

    most_images: Annotated[
        int, "Of more images, so many in whole units drawn at random are looked at."
    ] = 2000
    most_classes: Annotated[int, "The classes looked at, those best balanced first."] = 10
    least_conflicting: Annotated[
        int, "With fewer images than this where cue and label disagree, no answers are compared."
    ] = 20
    permutations: Annotated[int, "Random deals of the labels to the units."] = PERMUTATIONS

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        looked = self._looked(evidence, rng)
        subject = Subject.of(split="test")
        if not looked.classes:
            yield _no_class(subject)
            return
        varying = [cue for cue in looked.cues if cue.varies]
        if not varying:
            yield _nothing_varies(subject)
            return
        fold = folds_of(looked.unit, rng=rng)
        spawned = rng.spawn(len(varying))
        found = [
            told_by(cue, looked, fold=fold, rng=own, permutations=self.permutations)
            for cue, own in zip(varying, spawned, strict=True)
        ]
        rows: list[tuple[Cell, ...]] = []
        for told, p in zip(found, holm([told.p for told in found]), strict=True):
            about = Subject.of(split="test", cue=told.cue.name)
            yield _offered(told, looked, about, p=p)
            used = self._used(told, looked, about)
            yield used
            rows.append(_graded(told, used, p=p))
        alike = [cue.name for cue in looked.cues if not cue.varies]
        yield _table([*rows, *(_all_alike(name) for name in alike)])
        yield _by_class(found, looked)
        yield _forest(found)

    def _looked(self, evidence: Evidence, rng: np.random.Generator) -> Looked:
        rows = evidence.scored("test", of="image").with_truth
        at = whole_units(np.arange(len(rows)), unit=rows.unit_codes, most=self.most_images, rng=rng)
        drawn = rows.take(at)
        classes = told_classes(drawn, most=self.most_classes)
        return Looked(
            rows=drawn,
            unit=own_units(drawn),
            cues=cues(evidence.scan_of("test", list(drawn.image_ids))),
            classes=classes,
            truth=present(drawn, classes),
            of_all=len(rows),
        )

    def _used(self, told: Told, looked: Looked, subject: Subject) -> Measured:
        """Success where cue and truth agree minus where they disagree, same truth."""
        rows, said = looked.rows, told.followed
        name = "accuracy-worth" if rows.presence.one_each else "presence-worth"
        conflicting, aligned = said.conflicting, said.aligned
        images = count_units(conflicting, said.image)
        if images < self.least_conflicting:
            return _too_few_conflicting(images, self.least_conflicting, name, subject)
        few = too_few(
            name,
            subject,
            sides={
                f"the part whose {told.cue.name} would suggest the label": count_units(
                    aligned, said.unit
                ),
                "the part where another": count_units(conflicting, said.unit),
            },
            noun="units" if rows.dataset.has_units else "images",
        )
        if few is not None:
            return few
        # Of several classes an image counts once for each: they are no independent rows.
        unit = said.unit if rows.dataset.has_units or not rows.presence.one_each else None
        both = aligned | conflicting
        wrong = conflicting & ~said.success
        return Measure(
            name=name,
            subject=subject,
            estimate=aligned_minus_conflicting(
                said.success, said.strata, aligned=aligned, conflicting=conflicting, unit=unit
            ),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=count_units(both, said.image),
            n_units=count_units(both, said.unit) if rows.dataset.has_units else None,
            sides=(_side(said, aligned, unit), _side(said, conflicting, unit)),
            examples=worst_first(
                rows.image_ids[said.image], badness=-np.arange(len(wrong)), among=wrong
            ),
            facts={"n_conflicting": images, **looked.drawn},
        )


def _side(said: Followed, side: Mask, unit: Codes | None) -> Side:
    found = rate(said.success[side], unit=None if unit is None else unit[side])
    return Side(found, int(side.sum()))


def _shows(told: Told, p: float) -> bool:
    """Whether the data offer it: more than chance, and more than a little."""
    return p <= ALPHA and bound(told.offered, side="low") > LEAST_AREA


def _offered(told: Told, looked: Looked, subject: Subject, *, p: float) -> Measure:
    best = int(np.argmax([area.value for area in told.areas]))
    several = len(told.areas) > 1
    offered = _shows(told, p)
    return Measure(
        name="label-auc",
        subject=subject,
        estimate=told.offered,
        scale="share",
        neutral=0.5,
        better="lower",
        n=len(looked.rows),
        n_units=len(np.unique(looked.unit)) if looked.rows.dataset.has_units else None,
        facts={
            "p": p,
            "offered": offered,
            "little": p <= ALPHA and not offered,
            "not_shown": p > ALPHA,
            "n_classes": len(told.areas),
            **({"best": looked.classes[best], "best_area": told.areas[best].value}
               if several else {}),
            **looked.drawn,
        },
    )  # fmt: skip


def _graded(told: Told, used: Measured, *, p: float) -> tuple[Cell, ...]:
    """A row of the table; what may belong to the subject is no shortcut by this alone."""
    reliance = used.estimate if isinstance(used, Measure) else None
    row = graded_cells(
        told.cue.name, told.cue.place, opportunity=told.offered, reliance=reliance,
        margin=MARGIN, least=LEAST_AREA if p <= ALPHA else 1.0,
    )  # fmt: skip
    if reliance is None:
        return (*row[:-1], str(Grade.INCONCLUSIVE))
    if told.cue.of_subject and row[-1] == str(Grade.SHORTCUT):
        return (*row[:-1], str(Grade.RELIANCE))
    return row


def _all_alike(name: str) -> tuple[Cell, ...]:
    return (name, "alike in all images", *[None] * (len(COLUMNS) - 3), str(Grade.NOT_SHOWN))


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        id="shortcut/trivial-features:grades",
        title="What a glance gives away, and whether answers go with it (an association)",
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _by_class(found: list[Told], looked: Looked) -> Table:
    unit = looked.unit if looked.rows.dataset.has_units else None
    rows: list[tuple[Cell, ...]] = []
    for told in found:
        for label, area in zip(looked.classes, told.areas, strict=True):
            one = mean_area([area], unit=unit)
            ends = interval(one)
            rows.append((told.cue.name, label, value(one), ends.low, ends.high))
    return Table(
        id="shortcut/trivial-features:classes",
        title="Pairs of images that a cue alone tells apart, by class",
        columns=(Column("cue"), Column("class"), Column("told apart", "share"),
                 Column("low", "share"), Column("high", "share")),
        rows=tuple(rows),
    )  # fmt: skip


def _forest(found: list[Told]) -> Figure:
    highest = max(found, key=lambda told: told.offered.value)
    return Figure(
        id="shortcut/trivial-features:told",
        kind="forest",
        title="What a glance tells of the label",
        caption="How often an image of a class is told from one of another by the cue alone, with "
        "95% intervals; 50% is guessing. What the data offer, not what the model uses.",
        alt=f"Most is told by the {highest.cue.name}: {percent(value(highest.offered))}% of pairs.",
        x=Axis("told apart", "share"),
        y=Axis("cue"),
        rows=tuple(interval_row(t.cue.name, t.offered, n=len(t.followed.unit)) for t in found),
    )


def _no_class(subject: Subject) -> Unmeasured:
    return Unmeasured(
        name="label-auc",
        subject=subject,
        reason=f"No class is in {MIN_UNITS} test units or more and absent from as many: what cues "
        "tell of it cannot be seen.",
        remedy=f"Collect labelled test images of at least {MIN_UNITS} units with a class and "
        f"{MIN_UNITS} without.",
    )


def _nothing_varies(subject: Subject) -> Unmeasured:
    return Unmeasured(
        name="label-auc",
        subject=subject,
        reason="The test images are all alike in brightness, colour, size, file type and all "
        "other cues.",
        remedy="Check that the test images are not copies of one picture.",
    )


def _too_few_conflicting(found: int, least: int, name: str, subject: Subject) -> Unmeasured:
    cue = subject.get("cue")
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"For only {found} test images would the {cue} suggest another label than theirs; "
        f"with fewer than {least} it cannot be seen whether answers go with it.",
        remedy=f"Ask for images where {cue} and label disagree, at least {least - found} more.",
    )
