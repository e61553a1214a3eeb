"""shift/properties: whether deployment images are taken and stored like the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd

from auditor.comparing.two_samples import Sample, two_samples
from auditor.contract import Check, Evidence, LabelledSplits, Need, Scan, Words
from auditor.contract.numbers import percent
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Question,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import worst_first
from auditor.shift.domain_classifier import area_of, cross_fitted_scores
from auditor.shift.two_sample import (
    CELL_NAMES,
    HIGHER,
    Floats,
    Shifted,
    Sides,
    adjust,
    forest_of_areas,
    histogram_rows,
    same_images,
    shifted,
)
from auditor.stats import p_value, value

PROPERTY_WORDS = {
    "mean": "brightness",
    "std": "contrast",
    "p1": "dark parts",
    "p99": "bright parts",
    "saturated_share": "overexposure",
    "noise": "grain",
    "red_ratio": "share of red",
    "blue_ratio": "share of blue",
    "saturation": "colourfulness",
    "entropy": "detail",
    "blockiness": "traces of compression",
    "bytes": "file size",
}
"""What a reader calls the properties of images; others keep their names."""


@dataclass(frozen=True)
class Properties(Check):
    """Brightness, sharpness, noise, colour, compression and size of deployment against test.

    What it measures
    ----------------
    For each property of the images, the probability that a random deployment image has more of
    it than a random test image (0.5: no difference), and a Kolmogorov-Smirnov test over all
    properties with Holm's correction. `any` combines them: how well a classifier that sees only
    these properties tells a deployment image from a test image that it was not trained on.

    Why it matters
    --------------
    Accuracy was measured on the test images. Where the model will run with other phones, light
    or compression, that number speaks of other pictures. Properties need no labels and show
    such a change with some dozen images.

    How it can mislead
    ------------------
    A difference need not cost accuracy, and accuracy can be lost without any of these differing
    (other rooms, other classes). So `any` is told beside the accuracy lost on labelled deployment
    images (`shift/accuracy`); without labels its cost is not known. That both are there does not
    show that one is the cause of the other. With
    thousands of images a test rejects for differences of no consequence, so read the
    probability, not the p-value. Photos of one burst are alike: units keep them from counting
    many times, and where the manifest names none they do. Resizing or converting files on the
    way into the audit shows as a difference that the deployed model may never meet.
    """

    id: ClassVar[str] = "shift/properties"
    topic: ClassVar[str] = "how images differ where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    words: ClassVar = {
        "any": Words(
            title="How well deployment images are told from test images",
            short="other kind of images",
            sentence=(
                "From these properties alone, a deployment image is told from a test image in "
                "{value} of pairs (50% is guessing).",
                "Accuracy is lost there: {right_test:percent} on test images, "
                "{right_there:percent} on deployment images{lost:if}.",
                "No loss of accuracy is shown there: {right_test:percent} on test images, "
                "{right_there:percent} on deployment images{no_loss_shown:if}.",
                "What it costs is not known: too few deployment images have labels{unknown:if}.",
            ),
            action="test again on images such as those where it will run",
            answer="{most_shifted} differ",
        ),
        "auc": (
            Words(
                title="Deployment images differ from test images in {what}",
                short="other {what}",
                sentence="The {what} " + HIGHER + " (50% is no difference).",
                action="test again on images such as those where it will run",
                answer="the images differ in {what}",
            ),
            Words(
                title="Whether deployment images differ from test images in {property}",
                short="{property} where it will run",
            ),
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (
        Scan(split="test"),
        Scan(split="deployment"),
        LabelledSplits(optional=True),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953",
        "Lopez-Paz & Oquab (2017), arXiv:1610.06545 (classifier two-sample test)",
        "Obuchowski (1997), doi:10.2307/2533958 (clustered AUC)",
    )

    most_histograms: Annotated[int, "Histograms are drawn for at most this many properties."] = 3

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        datasets = [evidence.dataset(split) for split in ("test", "deployment")]
        sides = Sides.of(*datasets, rng=rng)
        few = same_images(evidence, "any") or sides.too_few("any", Subject(split="deployment"))
        if few is not None:
            yield few
            return
        test, deployment, constant = _varying(evidence.scan("test"), evidence.scan("deployment"))
        if not test:
            yield _nothing_varies()
            return
        found: dict[str, Shifted] = {}
        for name in test:
            lacking = _lacking(name, test[name], deployment[name], sides)
            if lacking is not None:
                yield lacking
            else:
                found[name] = shifted(test[name], deployment[name], sides=sides)
        found = adjust(found)
        for name, one in found.items():
            yield one.measure({"property": name}, what=_noun(name))
        if found:
            told_apart = _any(test, deployment, sides, found=found, constant=constant, rng=rng,
                              image_ids=datasets[1].image_ids,
                              photographs=_photographs(evidence))  # fmt: skip
            yield replace(told_apart, facts={**told_apart.facts, **_cost(evidence)})
            yield _table(found)
            yield forest_of_areas(
                "shift/properties:areas",
                title="Properties of deployment images against test images",
                rows=found,
                quantity="property",
            )
        for name in _most_shifted(found)[: self.most_histograms]:
            yield _histogram(name, test[name], deployment[name], found[name])


def _cost(evidence: Evidence) -> dict[str, Any]:
    """What a difference goes with, measured on the labels: without harm it is not material."""
    if not evidence.has(LabelledSplits(optional=True)):
        return {"unknown": True}
    if "deployment" not in evidence.labelled_splits():
        return {"unknown": True}
    here, there = (Sample.right(evidence.scored(split)) for split in ("test", "deployment"))
    lost = two_samples(
        "lost", Subject(split="deployment"), here=here, there=there, named=("test", "deployment"),
        better="lower", counted=there,
    )  # fmt: skip
    if isinstance(lost, Unmeasured):
        return {"unknown": True}
    shown = p_value(lost.estimate, limit=0, exceeds="above") <= 0.05
    right = [float(sample.success.mean()) for sample in (here, there)]
    return {
        "lost": shown,
        "no_loss_shown": not shown,
        "right_test": right[0],
        "right_there": right[1],
    }


def _photographs(evidence: Evidence) -> np.ndarray:
    soundness = evidence.soundness()
    return np.concatenate(
        [soundness.photographs[s][soundness.keep(s)] for s in ("test", "deployment")]
    )


def _varying(
    test: pd.DataFrame, deployment: pd.DataFrame
) -> tuple[dict[str, Floats], dict[str, Floats], list[str]]:
    """Values of each property that is not the same in all images, and the names of the others."""
    from auditor.data.scan import PROPERTY_NAMES

    ours: dict[str, Floats] = {}
    theirs: dict[str, Floats] = {}
    constant = []
    for name in PROPERTY_NAMES:
        values = [frame[name].to_numpy(dtype=np.float64) for frame in (test, deployment)]
        both = np.concatenate(values)
        finite = both[np.isfinite(both)]
        if len(finite) and finite.min() < finite.max():
            ours[name], theirs[name] = values
        else:
            constant.append(name)
    return ours, theirs, constant


def _nothing_varies() -> Unmeasured:
    return Unmeasured(
        name="any",
        subject=Subject(split="deployment"),
        reason="Every property is the same in all test and deployment images.",
        remedy="Check that the manifests name different images.",
    )


def _lacking(name: str, test: Floats, deployment: Floats, sides: Sides) -> Unmeasured | None:
    return sides.too_few(
        "auc",
        Subject.of(split="deployment", property=name),
        among=f" have a value of {name}",
        test=np.isfinite(test),
        deployment=np.isfinite(deployment),
    )


def _any(
    test: Mapping[str, Floats],
    deployment: Mapping[str, Floats],
    sides: Sides,
    *,
    found: Mapping[str, Shifted],
    constant: list[str],
    rng: np.random.Generator,
    image_ids: np.ndarray,
    photographs: np.ndarray,
) -> Measure:
    ours, theirs = cross_fitted_scores(
        np.column_stack([test[name] for name in found]),
        np.column_stack([deployment[name] for name in found]),
        sides=sides,
        rng=rng,
        photographs=photographs,
    )
    return Measure(
        name="any",
        subject=Subject(split="deployment"),
        estimate=area_of(ours, theirs, sides=sides),
        scale="share",
        neutral=0.5,
        better="lower",
        n=len(theirs),
        n_units=sides.deployment.units(),
        examples=worst_first(image_ids, badness=theirs),
        facts={
            "p": min(one.adjusted for one in found.values()),
            "shifted": [_noun(name) for name in _most_shifted(found)],
            "most_shifted": [_noun(name) for name in _most_shifted(found)[:3]],
            "constant": constant,
            "n_test": len(ours),
        },
    )


def _most_shifted(found: Mapping[str, Shifted]) -> list[str]:
    """Properties that a test tells apart at 5% over all, farthest from no difference first."""
    shown = [name for name, one in found.items() if one.adjusted <= 0.05]
    return sorted(shown, key=lambda name: -abs(value(found[name].area) - 0.5))


def _table(found: Mapping[str, Shifted]) -> Table:
    rows: list[tuple[Cell, ...]] = [(name, *one.cells) for name, one in found.items()]
    return Table(
        id="shift/properties:properties",
        title="Properties of deployment images against test images",
        columns=(Column("property"), *(Column(name) for name in CELL_NAMES)),
        rows=tuple(rows),
    )


def _histogram(name: str, test: Floats, deployment: Floats, found: Shifted) -> Figure:
    return Figure(
        id=f"shift/properties:{name}",
        kind="histogram",
        title=f"{_noun(name).capitalize()} of test and deployment images",
        caption=f"Share of the images of each side; {found.n[0]} test and {found.n[1]} deployment "
        "images. The outer bins hold what lies beyond.",
        alt=f"{_noun(name).capitalize()} of a deployment image is higher than that of a test "
        f"image in {percent(value(found.area))}% of pairs.",
        x=Axis(_noun(name).capitalize()),
        y=Axis("images", "share"),
        rows=histogram_rows(test, deployment),
    )


def _noun(name: str) -> str:
    return PROPERTY_WORDS.get(name, name.replace("_", " "))
