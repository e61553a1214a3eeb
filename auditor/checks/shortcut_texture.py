"""shortcut/texture: how much of what a model knows is left without shape, texture or colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.checks.cue_conflict import CATEGORY_WORDS, SHAPE_WORDS, measured_conflicts
from auditor.checks.texture_curves import curve_figure, curve_table
from auditor.comparing.chief_loss import Chief, ChiefLoss, nothing_there
from auditor.contract import (
    Available,
    Check,
    Evidence,
    LiveModel,
    Need,
    Pass,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.data.backgrounds import object_classes
from auditor.data.shape_and_texture import Grey, HighPass, LowPass, PatchesShuffled, Silhouettes
from auditor.data.views import View
from auditor.findings import Measure, Measured, Result, Subject, Unmeasured
from auditor.scoring.set_values import EmptySetError
from auditor.spec import AuditSpec
from auditor.stats import Estimate, Normal, bound, mean, paired_difference


@dataclass(frozen=True)
class Change:
    """A view, what it takes from a picture, and how it is called."""

    view: View
    without: str
    by: str


def _changes(grids: Sequence[int]) -> tuple[Change, ...]:
    return (
        *(Change(PatchesShuffled(g), "shape", f"{g} x {g} patches shuffled") for g in grids),
        Change(LowPass(1 / 75), "texture", "a blur of 1.3% of its side"),
        Change(LowPass(1 / 32), "texture", "a blur of 3.1% of its side"),
        Change(HighPass(1 / 75), "shading", "edges alone"),
        Change(HighPass(1 / 150), "shading", "fine edges alone"),
        Change(Grey(), "colour", "grey pictures"),
    )


@dataclass(frozen=True)
class ShuffledAnswers(Need):
    """Answers to images whose patches are shuffled, of a model that answers whole images."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.task == "classification":
            return Predictions().unmet(available)
        return Unmet(
            reason="Shuffling the patches of an image tears what is to be found in it apart: no "
            "box or outline would be right.",
            remedy="Nothing to do: this is asked of classifiers only.",
            applies=False,
        )

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Texture.asked(available.spec)
        changes = asked.shuffled(available.spec)
        return tuple(Pass("test", view=c.view, sample=asked.sample) for c in changes)


@dataclass(frozen=True)
class FilteredAnswers(Need):
    """Answers to images without fine detail, without shading, without colour."""

    def unmet(self, available: Available) -> Unmet | None:
        return Predictions().unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Texture.asked(available.spec)
        return tuple(Pass("test", view=c.view, sample=asked.sample) for c in asked.filtered)


@dataclass(frozen=True)
class SilhouetteAnswers(Need):
    """Answers to images of which the outlines of objects alone are left, by their class maps.

    Boxes have no outline, and an image with one label has none that anybody knows.
    """

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.task == "segmentation":
            return FilteredAnswers().unmet(available)
        return Unmet(
            reason="No class map says where the outlines of things are; without one a silhouette "
            "has no meaning.",
            remedy="Nothing to do: this is asked of segmenters only.",
            applies=False,
        )

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Texture.asked(available.spec)
        change = silhouettes(available.model.classes, available.spec)
        return (Pass("test", view=change.view, sample=asked.sample),)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ("test",)


def silhouettes(classes: Sequence[str], spec: AuditSpec) -> Change:
    """Outlines alone, of the adverse classes of a class map, or of all but the first."""
    named = object_classes(classes, named=spec.consequences.adverse)
    at = tuple(classes.index(name) for name in named)
    return Change(Silhouettes(at), "surface", "black silhouettes on white")


@dataclass(frozen=True)
class CueConflictImages(LiveModel):
    """Images whose shape is of one class and whose texture of another, for a classifier."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.spec.data.cue_conflict is None:
            return Unmet(
                reason="The spec names no images whose shape and texture are of two classes.",
                remedy="Name some under `data.cue_conflict`, with both classes in their manifest.",
            )
        if available.model.task != "classification":
            return Unmet(
                reason=f"A model of the task {available.model.task} gives no class to an image.",
                remedy="Nothing to do: this is asked of classifiers only.",
                applies=False,
            )
        return super().unmet(available)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ()


_SHUFFLED = ShuffledAnswers(optional=True)
_SILHOUETTES = SilhouetteAnswers(optional=True)
_CONFLICTS = CueConflictImages(optional=True)
_AMONG = "the sample of test images"


@dataclass(frozen=True)
class Texture(Check):
    """How much of what the model knows is left without shape, without texture, without colour.

    What it measures
    ----------------
    A sample of the test images is answered again with one kind of information taken away. Cut
    into patches that are shuffled, an image keeps its texture and its colours, and loses the shape
    of what it shows; blurred, it keeps the coarse shape and loses the texture; with the blurred
    image taken off it keeps edges and fine texture; grey, it has no colour. Where class maps are
    annotated, objects in black on white keep their outlines and nothing else. `lost` is what is
    lost of the accuracy (objects found, mean overlap) on the same images. `survives` is what is
    left of it beyond what always answering the commonest class would give. With images under
    `data.cue_conflict`, whose shape is of one class and whose texture of another, `shape-bias` is
    the share answered by shape among those that are answered by either, as published: of a class's
    score the mean over all classes that belong to a category, and images of which both cues agree
    left out.

    Why it matters
    --------------
    People tell things by their shape. Networks often tell them by texture or colour alone, which
    go with the class in the test images and need not where the model will run: another coat of
    paint, another camera, another fabric. A model that hardly loses from shuffling does not look
    at shape at all.

    How it can mislead
    ------------------
    Texture is the right thing to look at for some tasks (tissue, weaves, rust), and shape for
    others: this says what the model uses and not what it should. Shuffled, blurred and filtered
    images are new to the model, so that a loss also holds what the strangeness costs; what is left
    is the surer sign. Patches as large as the thing that is looked for keep its shape, and very
    small ones destroy texture, too. Blur takes small shapes along. A cue-conflict image is a
    drawing that no camera took, and a bias is of those images that are answered by either cue,
    which may be few. Silhouettes of things that touch run into one; where no class map is annotated
    there are none, as an outline that nobody drew is not known.
    """

    id: ClassVar[str] = "shortcut/texture"
    topic: ClassVar[str] = "shape, texture and colour"
    shown: ClassVar[Literal["folded", "open", "told"]] = "open"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(), Truth(), FilteredAnswers(), _SHUFFLED, _SILHOUETTES, _CONFLICTS,
    )  # fmt: skip
    cannot_see: ClassVar[str] = (
        "Whether a texture or a colour that the model reads is the right thing to read."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Geirhos et al. (2019), arXiv:1811.12231 (cue conflict, shape bias)",
        "Geirhos et al. (2018), arXiv:1808.08750 (low-pass and high-pass)",
        "Zhang & Zhu (2019), arXiv:1905.09797 (patches shuffled)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "lost": Words(
            title="Lost without {without} ({by})",
            span=EITHER_WAY,
            short="lost without {without} ({by})",
            sentence="{quantity}: as shot {this}; without {without} ({by}) {other}; {value} lost.",
            sides=("As shot", "Changed"),
            action="train on images in which {without} does not tell the class, and test again",
        ),
        "survives": Words(
            title="What is left without {without} ({by})",
            span=FROM_0,
            scale="ratio",
            short="left without {without} ({by})",
            sentence=(
                "{quantity} without {without} ({by}): {left:percent}, as shot {shot:percent}.",
                "What is left beyond the {guess:percent} of always answering the commonest class "
                "is {value} of what it was.",
                "What is left is {value} of what it was{plain:if}.",
            ),
            action="train on images in which another part of the picture does not tell the class, "
            "and test again",
        ),
        "shape-bias": SHAPE_WORDS,
        "category-shape-bias": CATEGORY_WORDS,
    }

    grids: Annotated[tuple[int, ...], "Patches a side that images are cut into."] = (2, 4, 8)
    sample: Annotated[int, "Test images of a sample, taken by unit."] = 600

    def shuffled(self, spec: AuditSpec) -> tuple[Change, ...]:
        """Shuffles whose patches have at least two pixels a side."""
        side = min(spec.model.input.size)
        fit = [g for g in self.grids if side >= 2 * g]
        return tuple(c for c in _changes(fit) if c.without == "shape")

    @property
    def filtered(self) -> tuple[Change, ...]:
        return _changes(())

    def run(self, evidence: Evidence) -> Iterator[Result]:
        shot = Chief.of(evidence)
        losses: dict[Change, ChiefLoss] = {}
        try:
            for change in self._asked(evidence):
                there = Chief.of(evidence, view=change.view, sample=self.sample)
                losses[change] = ChiefLoss.between(shot, there)
        except EmptySetError as empty:
            yield nothing_there("lost", Subject(split="test"), empty)
            return
        measured = {change: _measured(change, loss) for change, loss in losses.items()}
        for pair in measured.values():
            yield from pair
        lines = [(c.without, c.by, measured[c], losses[c]) for c in losses]
        yield from curve_table(lines)
        yield from curve_figure(lines)
        if evidence.has(_CONFLICTS):
            yield from measured_conflicts(evidence)

    def _asked(self, evidence: Evidence) -> Iterator[Change]:
        if evidence.has(_SHUFFLED):
            yield from self.shuffled(evidence.spec)
        yield from self.filtered
        if evidence.has(_SILHOUETTES):
            yield silhouettes(evidence.model.classes, evidence.spec)


def _measured(change: Change, loss: ChiefLoss) -> tuple[Measured, Measured]:
    """What is lost, and what is left of what the model does better than guessing."""
    subject = Subject.of(split="test", without=change.without, by=change.by)
    lost = loss.measure("lost", subject, among=_AMONG)
    if isinstance(lost, Unmeasured):
        return lost, Unmeasured("survives", subject, lost.reason, lost.remedy)
    return lost, _survives(loss, lost, subject)


def _survives(loss: ChiefLoss, lost: Measure, subject: Subject) -> Measured:
    guess = guessed(loss)
    before, after = (np.asarray(v, np.float64) - guess for v in (loss.before, loss.after))
    if bound(_gain(loss, guess), side="low") <= 0:
        return Unmeasured(
            "survives",
            subject,
            "The model is not shown to do better than always answering the commonest class, so "
            "that nothing could be left of it.",
            "Give more test images, or read what is lost.",
        )
    most = bound(lost.estimate, side="high")
    facts = {
        "quantity": loss.title,
        "left": float(np.mean(loss.after)),
        "shot": float(np.mean(loss.before)),
        "guess": float(guess.mean()) or None,
        "plain": not guess.any(),
    }
    return Measure(
        name="survives",
        subject=subject,
        estimate=share_left(before, after, unit=loss.pair.units, most_lost=most),
        scale="ratio",
        neutral=1.0,
        better="none",
        n=len(loss),
        n_units=loss.pair.n_units,
        facts=facts,
        of=loss.pair.first.of,
    )


def share_left(
    before: np.ndarray, after: np.ndarray, *, unit: np.ndarray | None, most_lost: float
) -> Estimate:
    """The mean of `after` over that of `before`, (n,) each of the same rows; at least 0.

    By the ratio's linearisation (Cochran 1977, Sampling Techniques, 6.3). Where all rows keep
    what they had, `most_lost` (the upper bound of the mean difference) says how much may have
    been missed.
    """
    left = float(after.mean() / before.mean())
    values = left + (after - left * before) / before.mean()
    if np.ptp(values) <= 0:
        return Normal(max(left, 0.0), most_lost / (1.645 * before.mean()))
    found = mean(values, unit=unit, span=None)
    return replace(found, value=max(found.value, 0.0)) if isinstance(found, Normal) else found


def guessed(loss: ChiefLoss) -> np.ndarray:
    """Which rows always answering the commonest class gets right, (n,); 0 beyond classifiers."""
    presence = loss.pair.first.presence
    if not presence.one_each or loss.sets is not None:
        return np.zeros(len(loss))
    held = [presence.present(name) for name in presence.classes]
    return np.asarray(max(held, key=np.count_nonzero), dtype=np.float64)


def _gain(loss: ChiefLoss, guess: np.ndarray) -> Estimate:
    unit = loss.pair.units
    if loss.sets is not None:
        return mean(loss.before - guess, unit=unit, span=(-1.0, 1.0))
    return paired_difference(guess > 0, np.asarray(loss.before, dtype=bool), unit=unit)
