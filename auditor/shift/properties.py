"""shift/properties: whether deployment images are taken and stored like the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Scan, Words
from auditor.contract.numbers import percent
from auditor.data.image_names import ImageNames
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
from auditor.shift.cost import COST, LABELLED, cost
from auditor.shift.domain_classifier import area_of, cross_fitted_scores
from auditor.shift.image_properties import ImageProperties
from auditor.shift.sides import Sides, looks, photographs, same_images
from auditor.shift.two_sample import (
    HIGHER,
    Floats,
    Shifted,
    cell_names,
    forest_of_areas,
    histogram_rows,
    shifted,
)
from auditor.stats import value
from auditor.stats.rank_features import RankFeatures

_TRAIN = Scan(split="train", optional=True)

PROPERTY_WORDS = {
    "mean": "brightness",
    "std": "contrast",
    "p1": "brightness of dark parts",
    "p99": "brightness of bright parts",
    "saturated_share": "overexposure",
    "noise": "grain",
    "red_ratio": "share of red",
    "blue_ratio": "share of blue",
    "saturation": "colourfulness",
    "entropy": "detail",
    "blockiness": "strength of compression",
    "bytes": "file size",
}
"""What a reader calls the properties of images, each in the singular; others keep their names."""


@dataclass(frozen=True)
class Properties(Check):
    """Brightness, sharpness, noise, colour, compression and size of deployment against test.

    What it measures
    ----------------
    For each property of the images, the probability that a random deployment image has more of
    it than a random test image (0.5: no difference), and Kolmogorov-Smirnov tests that deal whole
    units anew, their p-values adjusted for all properties (step-down maxT), and multiplied by the
    number of ways in which images are looked at (properties, predictions, embeddings). `any`
    combines them: how well a classifier that sees only these properties tells a deployment image
    from a test image that it was not trained on. The same of training images against test images
    (`train-auc`, `train-any`).

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
            short="different kind of images",
            sentence=(
                "From these properties alone, a deployment image is told from a test image in "
                "{value} of pairs (50% is guessing).",
                "Farthest apart: {most_shifted}.",
                *COST,
            ),
            action="test again on images such as those where it will run",
            answer="{most_shifted} differ",
        ),
        "auc": (
            Words(
                title="Deployment images differ from test images in {what}",
                short="different {what}",
                sentence="The {what} " + HIGHER + " (50% is no difference).",
                action="test again on images such as those where it will run",
                answer="the images differ in {what}",
            ),
            Words(
                title="Whether deployment images differ from test images in {property}",
                short="{property} where it will run",
            ),
        ),
        "train-any": Words(
            title="How well training images are told from test images",
            short="training and test images of another kind",
            sentence=(
                "From these properties alone, a training image is told from a test image in "
                "{value} of pairs (50% is guessing).",
                "Farthest apart: {most_shifted}.",
            ),
            action="test on images such as those it was trained on and those where it will run",
            answer="training and test images differ in {most_shifted}",
        ),
        "train-auc": (
            Words(
                title="Training images differ from test images in {what}",
                short="training: different {what}",
                sentence="The {what} of a training image is higher than in a test image in {value} "
                "of pairs (50% is no difference).",
            ),
            Words(
                title="Whether training images differ from test images in {property}",
                short="{property} in training",
            ),
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (
        Scan(split="test"),
        Scan(split="deployment"),
        _TRAIN,
        LABELLED,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953",
        "Lopez-Paz & Oquab (2017), arXiv:1610.06545 (classifier two-sample test)",
        "Obuchowski (1997), doi:10.2307/2533958 (clustered AUC)",
    )

    most_histograms: Annotated[int, "Histograms are drawn for at most this many properties."] = 3

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        few = same_images(evidence, "any") or sides.too_few("any", sides.subject)
        if few is not None:
            yield few
        else:
            yield from self._against_test(evidence, sides, _NAMES["deployment"], rng)
        if evidence.has(_TRAIN):
            sides = Sides.of(evidence, there="train", rng=rng)
            names = _NAMES["train"]
            few = sides.too_few(names.any, sides.subject)
            yield from [few] if few else self._against_test(evidence, sides, names, rng)

    def _against_test(
        self, evidence: Evidence, sides: Sides, names: _Names, rng: np.random.Generator
    ) -> Iterator[Result]:
        split = sides.there.split
        here, there = (ImageProperties.of(evidence, s) for s in ("test", split))
        vary = [name for name in here if _varies(here[name], there[name])]
        constant = [name for name in here if name not in vary]
        if not vary:
            yield _nothing_varies(names.any, split)
            return
        lacking = [_lacking(names.auc, name, here[name], there[name], sides) for name in vary]
        yield from (few for few in lacking if few is not None)
        enough = [name for name, few in zip(vary, lacking, strict=True) if few is None]
        if not enough:
            return
        found = shifted(
            here.among(enough), there.among(enough), sides=sides, looks=looks(evidence), rng=rng
        )
        for name, one in found.items():
            yield one.measure({"property": name}, name=names.auc, what=_noun(name))
        told_apart = _any(names.any, here, there, sides, found=found, constant=constant, rng=rng,
                          image_ids=evidence.dataset(split).image_ids,
                          photographs=_photographs(evidence, split))  # fmt: skip
        if split == "deployment":
            told_apart = replace(told_apart, facts={**told_apart.facts, **cost(evidence)})
        yield told_apart
        yield _table(self.shown_id("properties", names.shown), found, names)
        yield forest_of_areas(
            self.shown_id("areas", names.shown),
            title=f"Properties of {names.of} images against test images",
            rows={_noun(name): one for name, one in found.items()},
            quantity="property of the image",
        )
        if split == "deployment":
            for name in _most_shifted(found)[: self.most_histograms]:
                yield _histogram(name, here[name], there[name], found[name])


@dataclass(frozen=True)
class _Names:
    """What measures, figures and tables of a split's images against the test images are called."""

    any: str
    auc: str
    shown: str
    of: str


_NAMES = {
    "deployment": _Names("any", "auc", "test", "deployment"),
    "train": _Names("train-any", "train-auc", "train", "training"),
}


def _photographs(evidence: Evidence, split: str) -> np.ndarray:
    return np.concatenate([photographs(evidence, s) for s in ("test", split)])


def _varies(test: Floats, deployment: Floats) -> bool:
    """Whether a property is not the same in all images."""
    both = np.concatenate([test, deployment])
    finite = both[np.isfinite(both)]
    return len(finite) > 0 and bool(finite.min() < finite.max())


def _nothing_varies(name: str, split: str) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject(split=split),
        reason=f"Every property is the same in all test and {split} images.",
        remedy="Check that the manifests name different images.",
    )


def _lacking(
    measure: str, name: str, here: Floats, there: Floats, sides: Sides
) -> Unmeasured | None:
    return sides.too_few(
        measure,
        Subject.of(split=sides.there.split, property=name),
        among=f" have a value of {name}",
        here=np.isfinite(here),
        there=np.isfinite(there),
    )


def _any(
    name: str,
    here: Mapping[str, Floats],
    there: Mapping[str, Floats],
    sides: Sides,
    *,
    found: Mapping[str, Shifted],
    constant: list[str],
    rng: np.random.Generator,
    image_ids: ImageNames,
    photographs: np.ndarray,
) -> Measure:
    features = RankFeatures.of(np.concatenate([here[name], there[name]]) for name in found)
    ours, theirs = cross_fitted_scores(features, sides=sides, rng=rng, photographs=photographs)
    del features
    return Measure(
        name=name,
        subject=sides.subject,
        estimate=area_of(ours, theirs, sides=sides),
        scale="share",
        neutral=0.5,
        better="lower",
        n=len(theirs),
        n_units=sides.there.units(),
        examples=worst_first(image_ids, badness=theirs),
        facts={
            "p": min(one.adjusted for one in found.values()),
            "shifted": [_noun(name) for name in _most_shifted(found)],
            "most_shifted": [_noun(name) for name in _most_shifted(found)[:3]],
            "constant": [_noun(name) for name in constant],
            "n_test": len(ours),
        },
    )


def _most_shifted(found: Mapping[str, Shifted]) -> list[str]:
    """Properties that a test tells apart at 5% over all, farthest from no difference first."""
    shown = [name for name, one in found.items() if one.adjusted <= 0.05]
    return sorted(shown, key=lambda name: -abs(value(found[name].area) - 0.5))


def _table(id: str, found: Mapping[str, Shifted], names: _Names) -> Table:
    rows: list[tuple[Cell, ...]] = [(_noun(name), *one.cells) for name, one in found.items()]
    split = next(iter(found.values())).split
    return Table(
        id=id,
        title=f"Properties of {names.of} images against test images",
        columns=(Column("property"), *(Column(name) for name in cell_names(split))),
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
