"""shortcut/background: what is found when painted over, and lost without its surroundings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.checks.shortcut_grades import COLUMNS, MARGIN, graded_cells
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
from auditor.contract.words import EITHER_WAY
from auditor.data.backgrounds import BackgroundReplaced, ObjectsPainted, object_classes
from auditor.data.views import View
from auditor.findings import Cell, Measure, Result, Subject, Table
from auditor.scoring.comparison import worst_first
from auditor.scoring.rows import Rows
from auditor.spec import AuditSpec


@dataclass(frozen=True)
class ObjectPlaces(Need):
    """A sample of the test images with their objects painted over, and with other backgrounds."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.task == "classification":
            return Unmet(
                reason="Images with one label each say of no part whether it is the object or its "
                "surroundings.",
                remedy="Nothing to do: this is asked where boxes or class maps are annotated. "
                "`shortcut/donor-swap` looks at the parts of classified images.",
                applies=False,
            )
        return Truth().unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Background.asked(available.spec)
        views = asked.views(available.model.classes, available.spec)
        return tuple(Pass("test", view=view, sample=asked.sample) for view in views)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ("test",)


@dataclass(frozen=True)
class Background(Check):
    """Whether things are still found when painted over, and lost on another background.

    What it measures
    ----------------
    In a sample of the test images all annotated objects are painted over, in two ways: with the
    mean colour of the rest, and with what lies around them, smoothed. `found-painted-out` is, of
    the objects found as shot, the share that is still found under both. Then all but the objects is
    replaced, by the mean colour and by another image; `lost-on-other-backgrounds` is the share
    found as shot minus the share found under either. For class maps an object is a class in an
    image: found where the model says that it is there, wherever it sees it; how often it does in
    images that hold none is told beside it. Boxes are widened by a tenth, and all fills
    are made of pixels before the model scales them.

    Why it matters
    --------------
    A detector that reports the pan on every stove, or a map that knows the pothole from the wet
    road around it, is right as long as things lie where they use to. It finds them when they are
    gone, and misses them elsewhere.

    How it can mislead
    ------------------
    A painted box is a shape of its own, and may be taken for a thing; asking for two fills lessens
    that. Shadows, reflections and parts beyond the box stay, objects that nobody annotated too.
    What is lost on another background may be lost to hard edges and strange company, which no model
    was trained for: it is told without a limit. Whatever lies in an object's box counts as the
    object. For class maps the objects are the adverse classes, or all but the first.
    """

    id: ClassVar[str] = "shortcut/background"
    topic: ClassVar[str] = "whether surroundings decide"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), ObjectPlaces())
    cannot_see: ClassVar[str] = (
        "An artefact within an object's box, and objects that are found by each other."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Xiao, Engstrom, Ilyas & Madry (2021), arXiv:2006.09994 (backgrounds alone and exchanged)",
        "Rosenfeld, Zemel & Tsotsos (2018), arXiv:1808.03305 (objects in strange places)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "found-painted-out": (
            Words(
                title="“{class}” still seen after it was painted over",
                short="“{class}” seen where it is painted over",
                sentence=(
                    "Of {n} images in which {class} was seen, it still is in {value} when it is "
                    "painted over, whether with the mean colour ({by_mean:percent}) or with its "
                    "surroundings ({by_surroundings:percent}).",
                    "Of the images that hold none it is seen in {where_none:percent}.",
                ),
                action="train with images of the same surroundings without {class}, and test again",
            ),
            Words(
                title="Objects still found after they were painted over",
                short="objects found where they are painted over",
                sentence="Of {n} objects found, {value} still are when they are painted over, "
                "whether with the mean colour ({by_mean:percent}) or with their surroundings "
                "({by_surroundings:percent}).",
                action="train with images of the same surroundings without the objects, and test "
                "again",
            ),
        ),
        "lost-on-other-backgrounds": (
            Words(
                title="“{class}” lost on another background",
                span=EITHER_WAY,
                short="“{class}” lost on another background",
                sentence="{class} seen as shot {this}; on another background {other}; {gap}.",
                sides=("As shot", "On another background"),
                action="train with {class} before many backgrounds, and test again",
            ),
            Words(
                title="Objects lost on another background",
                span=EITHER_WAY,
                short="objects lost on another background",
                sentence="Objects found as shot {this}; on another background {other}; {gap}.",
                sides=("As shot", "On another background"),
                action="train with the objects before many backgrounds, and test again",
            ),
        ),
    }

    sample: Annotated[int, "Test images put through each view, taken by unit."] = 600
    objects: Annotated[
        tuple[str, ...],
        "Classes of a class map that are objects; the adverse classes, or all but the first, where "
        "none is named.",
    ] = ()
    margin: Annotated[float, "Share from which on the table calls surroundings relied upon."] = (
        MARGIN
    )

    def views(self, classes: Sequence[str], spec: AuditSpec) -> tuple[View, ...]:
        """Objects painted over in two ways, then their background replaced in two."""
        at = None
        if not spec.model.gives_boxes:
            at = tuple(classes.index(name) for name in self.object_classes(classes, spec))
        return (
            ObjectsPainted("mean", at),
            ObjectsPainted("surroundings", at),
            BackgroundReplaced("mean", at),
            BackgroundReplaced("another image", at),
        )

    def object_classes(self, classes: Sequence[str], spec: AuditSpec) -> tuple[str, ...]:
        """The classes of a class map that are objects."""
        return object_classes(classes, named=self.objects or spec.consequences.adverse)

    def run(self, evidence: Evidence) -> Iterator[Result]:
        views = self.views(evidence.model.classes, evidence.spec)
        shot = evidence.scored("test")
        pairs = [
            Pair.of(evidence.scored("test", view=view, sample=self.sample), shot) for view in views
        ]
        rows: list[tuple[Cell, ...]] = []
        for target in self._targets(evidence, shot):
            for result in (_painted(target, pairs[:2]), _elsewhere(target, pairs[2:])):
                yield result
                if isinstance(result, Measure):
                    rows.append(self._row(target, result))
        if rows:
            yield Table(
                id="shortcut/background:objects",
                title="What is found without the objects, and lost without their surroundings",
                columns=COLUMNS,
                rows=tuple(rows),
            )

    def _targets(self, evidence: Evidence, shot: Rows) -> Iterator[_Target]:
        if shot.of == "object":
            yield _Target(Subject.of(split="test"), None)
            return
        for name in self.object_classes(shot.classes, evidence.spec):
            if shot.present(name).any():
                yield _Target(Subject.about({"class": name}, split="test"), name)

    def _row(self, target: _Target, measure: Measure) -> tuple[Cell, ...]:
        where = "surroundings alone" if measure.name == "found-painted-out" else "other background"
        return graded_cells(
            target.label or "objects", where, opportunity=None, reliance=measure.estimate,
            margin=self.margin,
        )  # fmt: skip


@dataclass(frozen=True)
class _Target:
    """What is looked for: the objects of a detector, or a class of a map (`label`)."""

    subject: Subject
    label: str | None

    def there(self, rows: Rows) -> np.ndarray:
        """Rows that hold it, (n,) bool."""
        return np.ones(len(rows), dtype=bool) if self.label is None else rows.present(self.label)

    def found(self, rows: Rows) -> np.ndarray:
        """Rows in which the model found it, (n,) bool."""
        return rows.right if self.label is None else rows.called(self.label)


def _painted(target: _Target, pairs: Sequence[Pair]) -> Result:
    """Of what is found as shot, what is still found under both fills."""
    name = "found-painted-out"
    by_mean, by_surroundings = (
        p.take(target.there(p.second) & target.found(p.second)) for p in pairs
    )
    few = by_mean.too_few(name, target.subject, among="what is found in the test images as shot")
    if few is not None:
        return few
    found = [target.found(p.first) for p in (by_mean, by_surroundings)]
    facts = {"by_mean": float(found[0].mean()), "by_surroundings": float(found[1].mean())}
    none = ~target.there(pairs[0].second)
    if none.any():
        facts["where_none"] = float(target.found(pairs[0].second)[none].mean())
    return replace(by_mean.share(name, target.subject, found[0] & found[1]), facts=facts)


def _elsewhere(target: _Target, pairs: Sequence[Pair]) -> Result:
    """What is found as shot minus what is found on either of two other backgrounds."""
    name = "lost-on-other-backgrounds"
    # A donor may be lacking: images without one have no second background.
    donated = pairs[1].take(target.there(pairs[1].second))
    plain = Pair.of(donated.second, pairs[0].first).second
    few = donated.too_few(name, target.subject, among="test images that hold it")
    if few is not None:
        return few
    found = target.found(donated.first) | target.found(plain)
    shot = target.found(donated.second)
    return donated.difference(
        name,
        target.subject,
        of=(shot, found),
        better="lower",
        examples=worst_first(
            donated.first.image_ids, badness=donated.second.confidence, among=shot & ~found
        ),
    )
