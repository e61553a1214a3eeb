"""shift/corruptions: what noise, blur, weather, light and lossy files cost, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np

from auditor.comparing.chief_loss import Chief, ChiefLoss, nothing_there
from auditor.contract import (
    Attributes,
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
from auditor.data.views import Corrupted, UnderCondition
from auditor.findings import Measure, Measured, Question, Result, Subject, Unmeasured
from auditor.scoring.set_values import EmptySetError
from auditor.shift.corruption_groups import lost_by_group
from auditor.shift.corruption_tables import Curve, curve_figures, kind_table, severity_table
from auditor.stats import mean

Severity = Literal[1, 2, 3, 4, 5]
KindName = Literal[
    "gaussian-noise", "shot-noise", "impulse-noise", "low-light", "defocus-blur", "motion-blur",
    "zoom-blur", "low-resolution", "fog", "brightness", "contrast", "saturate", "pixelate", "jpeg",
    "colour-depth",
]  # fmt: skip

ALEXNET: Mapping[str, float] = {
    "gaussian-noise": 0.886428, "shot-noise": 0.894468, "impulse-noise": 0.922640,
    "defocus-blur": 0.819880, "motion-blur": 0.785948, "zoom-blur": 0.798360, "fog": 0.819324,
    "brightness": 0.564592, "contrast": 0.853204, "pixelate": 0.717840, "jpeg": 0.606500,
}  # fmt: skip
"""AlexNet's errors on ImageNet, mean of five severities (Hendrycks & Dietterich 2019)."""

GROUPS = Attributes(roles=("sensitive", "condition"), optional=True)


@dataclass(frozen=True)
class CorruptedAnswers(Need):
    """Answers to a sample of the test images under every corruption and declared condition."""

    def unmet(self, available: Available) -> Unmet | None:
        return Predictions().unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Corruptions.asked(available.spec)
        corrupted = [Pass("test", view=view, sample=asked.sample) for view in asked.views]
        declared = available.spec.target.conditions.places() if available.spec.target else ()
        return (
            *corrupted,
            *(
                Pass("test", view=UnderCondition(*place), sample=asked.condition_sample)
                for place in declared
            ),
        )


@dataclass(frozen=True)
class Corruptions(Check):
    """What is lost on the same test images under noise, blur, weather, light and lossy files.

    What it measures
    ----------------
    A sample of the test images is corrupted at the size of the model's input in fifteen ways, at
    three of five severities, and answered again: the loss of accuracy (of objects found, of mean
    overlap) between the two answers to the same images, for each kind and severity. `retention` is
    what is left under all of them, as a share of what there was. `lost-more` is what a group loses
    on average, beyond what the others lose; under a kind of its own where that is shown among all
    groups and kinds. Where the spec declares operating conditions (`target.conditions`), the same
    images are brought to places within each range, and `lost-in-range` is the loss there. With a
    `baseline`, `mean-corruption-error` is the mean over kinds of the error over the baseline's.

    Why it matters
    --------------
    Test images are mostly taken with care. Where a model runs, lenses are dirty, hands shake, it
    is dark, and files are made small; a model that was not trained for it fails there first, and
    often for one group before the others.

    How it can mislead
    ------------------
    A drawn corruption is not the real one: fog here has no depth, and a camera in the dark does
    more than this noise. Severities are those of ImageNet-C, made for photos of 224 pixels: on a
    smaller input a blur of ten pixels covers more. A severity of one kind is not as hard as that of
    another. Test images that are dark or blurred already are made worse still. The loss is an
    average over the sample, and rare objects are few in it. With the model trained on the same
    corruptions the losses say little of others.
    """

    id: ClassVar[str] = "shift/corruptions"
    topic: ClassVar[str] = "noise, blur, weather and light"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), CorruptedAnswers(), GROUPS)
    sources: ClassVar[tuple[str, ...]] = (
        "Hendrycks & Dietterich (2019), arXiv:1903.12261 (kinds, severities, AlexNet's errors)",
        "Kar, Yeo, Atanov & Zamir (2022), arXiv:2203.01441 (low light, colour depth)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "lost": Words(
            title="Lost under {corruption}, severity {severity} of 5",
            span=EITHER_WAY,
            short="lost under {corruption} ({severity} of 5)",
            sentence="{quantity}: as shot {this}; under {corruption} of severity {severity} "
            "{other}; {value} lost.",
            sides=("As shot", "Corrupted"),
            action="train with such images, and test again",
        ),
        "lost-in-range": Words(
            title="Lost at {operating} {at}, which the system must work at",
            span=EITHER_WAY,
            short="lost at {operating} {at}",
            sentence="{quantity}: as shot {this}; at {operating} {at} {other}; {value} lost.",
            sides=("As shot", "At the declared condition"),
            action="train with such images, or declare a narrower range under `target.conditions`",
            answer="lost at {operating} {at}: {point}",
        ),
        "retention": Words(
            title="What is left under all corruptions, as a share of what there was",
            span=FROM_0,
            scale="ratio",
            short="left under corruptions",
            sentence="{quantity} under {kinds} kinds of corruption, on average, is {value} that on "
            "the images as shot.",
            action="train with corrupted images, and test again",
        ),
        "mean-corruption-error": Words(
            title="Error under corruptions over that of {baseline}",
            span=FROM_0,
            scale="ratio",
            short="mean corruption error",
            sentence="Over {kinds} of the {drawn} kinds drawn, of which an error of {baseline} is "
            "known, the error is {value} that of {baseline}.",
            action="train with corrupted images, and test again",
        ),
        "lost-more": (
            Words(
                title="Lost under {corruption} by {group}, beyond all others",
                span=EITHER_WAY,
                short="{group}: lost more under {corruption}",
                sentence="{quantity} lost under {corruption} (severities {severities}), {group}: "
                "{this}; all others {other}; {value} more. Shown among {compared} comparisons.",
                action="train with such images of {group}, and test again",
                harm="more is lost under {corruption}",
            ),
            Words(
                title="Lost under all corruptions by {group}, beyond all others",
                span=EITHER_WAY,
                short="{group}: lost more under corruptions",
                sentence="{quantity} lost under all corruptions, {group}: {this}; all others "
                "{other}; {value} more.",
                action="train with corrupted images of {group}, and test again",
                harm="more is lost under noise, blur and bad light",
            ),
        ),
    }

    kinds: Annotated[tuple[KindName, ...], "Which kinds of corruption are drawn."] = get_args(
        KindName
    )
    severities: Annotated[tuple[Severity, ...], "At which severities, of 1 to 5."] = (1, 3, 5)
    sample: Annotated[int, "Test images of a sample, taken by unit: each is answered under every "
                      "kind and severity."] = 200  # fmt: skip
    condition_sample: Annotated[int, "Test images at each declared condition."] = 1000
    baseline: Annotated[
        Literal["alexnet"] | dict[str, float] | None,
        "Errors that the mean corruption error is over: AlexNet's (of all five severities), or a "
        "mean error for each kind.",
    ] = None

    @property
    def views(self) -> tuple[Corrupted, ...]:
        """The views, kind by kind."""
        return tuple(Corrupted(k, s) for k in self.kinds for s in sorted(set(self.severities)))

    def run(self, evidence: Evidence) -> Iterator[Result]:
        shot = Chief.of(evidence)
        try:
            losses = {
                view: ChiefLoss.between(shot, Chief.of(evidence, view=view, sample=self.sample))
                for view in self.views
            }
        except EmptySetError as empty:
            yield nothing_there("lost", Subject(split="test"), empty)
            return
        measured = {view: _lost(view, loss) for view, loss in losses.items()}
        yield from measured.values()
        if any(isinstance(found, Measure) for found in measured.values()):
            curves = _curves(losses, measured)
            yield from self._all(curves)
            if evidence.has(GROUPS):
                yield from lost_by_group(curves)
            yield severity_table(curves)
            yield kind_table(curves)
            yield from curve_figures(curves)
        yield from self._declared(evidence, shot)

    def _all(self, curves: Mapping[str, Curve]) -> Iterator[Measured]:
        """What is left under all kinds, and the error against a baseline's."""
        any_loss = next(iter(next(iter(curves.values())).losses.values()))
        unit = any_loss.pair.units
        before = any_loss.before.astype(np.float64)
        after = before - np.mean([curve.mean for curve in curves.values()], axis=0)
        facts = {"quantity": any_loss.title, "kinds": len(curves)}
        ratio = float(after.mean() / before.mean()) if before.mean() > 0 else None
        if ratio is not None:
            values = ratio + (after - ratio * before) / before.mean()
            if np.ptp(values) > 0:
                yield _ratio("retention", values, any_loss, better="higher", facts=facts, unit=unit)
            else:
                yield Unmeasured(
                    name="retention",
                    subject=Subject(split="test"),
                    reason="No image lost anything under any kind: how far off that may be is not "
                    "known of a ratio.",
                    remedy="Give more images, or read the losses by kind.",
                )
        known = ALEXNET if self.baseline == "alexnet" else self.baseline or {}
        shared = [kind for kind in curves if kind in known]
        if shared and (self.baseline != "alexnet" or set(self.severities) == {1, 2, 3, 4, 5}):
            errors = [(1 - before + curves[k].mean) / known[k] for k in shared]
            named = "AlexNet" if self.baseline == "alexnet" else "the baseline"
            yield _ratio(
                "mean-corruption-error", np.mean(errors, axis=0), any_loss, better="lower",
                facts={"baseline": named, "kinds": len(shared), "drawn": len(curves)}, unit=unit,
            )  # fmt: skip

    def _declared(self, evidence: Evidence, shot: Chief) -> Iterator[Measured]:
        """The loss at places within the range of each declared condition."""
        target = evidence.spec.target
        for condition, at in target.conditions.places() if target else ():
            view = UnderCondition(condition, at)
            subject = Subject.of(split="test", operating=condition, at=f"{at:g}")
            try:
                there = Chief.of(evidence, view=view, sample=self.condition_sample)
                loss = ChiefLoss.between(shot, there)
            except EmptySetError as empty:
                yield nothing_there("lost-in-range", subject, empty)
                continue
            yield loss.measure("lost-in-range", subject, among="the test images")


def _lost(view: Corrupted, loss: ChiefLoss) -> Measured:
    subject = Subject.of(split="test", corruption=called(view.kind), severity=str(view.severity))
    return loss.measure("lost", subject, among="the sample of test images")


def called(kind: str) -> str:
    """A kind of corruption as a reader sees it."""
    return kind.replace("-", " ")


def _curves(
    losses: Mapping[Corrupted, ChiefLoss], measured: Mapping[Corrupted, Measured]
) -> dict[str, Curve]:
    kinds = dict.fromkeys(view.kind for view in losses)
    return {
        kind: Curve(
            called(kind),
            {v.severity: loss for v, loss in losses.items() if v.kind == kind},
            {v.severity: m for v, m in measured.items() if v.kind == kind},
        )
        for kind in kinds
    }


def _ratio(
    name: str,
    values: np.ndarray,
    of: ChiefLoss,
    *,
    better: Literal["higher", "lower"],
    facts: Mapping[str, Any],
    unit: np.ndarray | None,
) -> Measure:
    """A ratio from values of the rows whose mean it is."""
    return Measure(
        name=name,
        subject=Subject(split="test"),
        estimate=mean(values, unit=unit, span=None),
        scale="ratio",
        neutral=1.0,
        better=better,
        n=len(of),
        n_units=of.pair.n_units,
        facts=facts,
        of=of.pair.first.of,
    )
