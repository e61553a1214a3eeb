"""shift/properties: whether deployment images are taken and stored like the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd

from auditor.contract import Check, Evidence, Need, Scan
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.shift.domain_classifier import area_of, cross_fitted_scores
from auditor.shift.two_sample import (
    CELL_NAMES,
    Floats,
    Shifted,
    Sides,
    adjust,
    area_text,
    forest_of_areas,
    histogram_rows,
    shifted,
)
from auditor.stats import interval, value


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
    (other rooms, other classes): `shift/accuracy` measures the loss where there are labels. With
    thousands of images a test rejects for differences of no consequence, so read the
    probability, not the p-value. Photos of one burst are alike: units keep them from counting
    many times, and where the manifest names none they do. Resizing or converting files on the
    way into the audit shows as a difference that the deployed model may never meet.
    """

    id: ClassVar[str] = "shift/properties"
    needs: ClassVar[tuple[Need, ...]] = (Scan(split="test"), Scan(split="deployment"))
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
        few = sides.too_few("any", Subject(split="deployment"))
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
        yield from (_measure(name, one) for name, one in found.items())
        if found:
            yield _any(test, deployment, sides, found=found, constant=constant, rng=rng,
                       image_ids=datasets[1].image_ids)  # fmt: skip
            yield _table(found)
            yield forest_of_areas(
                "shift/properties:areas",
                title="Properties of deployment images against test images",
                rows=found,
                quantity="property",
            )
        for name in _most_shifted(found)[: self.most_histograms]:
            yield _histogram(name, test[name], deployment[name], found[name])


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


def _measure(name: str, found: Shifted) -> Measure:
    return Measure(
        name="auc",
        subject=Subject.of(split="deployment", property=name),
        estimate=found.area,
        unit="probability",
        better="none",
        n=found.n[1],
        n_units=found.n_units,
        details={
            **found.details,
            "sentence": f"{_words(name)} of a deployment image is "
            f"{area_text(found.area)} (50% is no difference).",
        },
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
) -> Measure:
    ours, theirs = cross_fitted_scores(
        np.column_stack([test[name] for name in found]),
        np.column_stack([deployment[name] for name in found]),
        sides=sides,
        rng=rng,
    )
    area = area_of(ours, theirs, sides=sides)
    ends = interval(area)
    return Measure(
        name="any",
        subject=Subject(split="deployment"),
        estimate=area,
        unit="probability",
        better="lower",
        n=len(theirs),
        n_units=sides.deployment.units(),
        examples=worst_first(image_ids, badness=theirs, among=np.ones(len(theirs), dtype=bool)),
        details={
            "p": min(one.adjusted for one in found.values()),
            "shifted": _most_shifted(found),
            "constant": constant,
            "n_test": len(ours),
            "sentence": f"From these properties alone, a deployment image is told from a test "
            f"image in {100 * value(area):.0f}% [{100 * max(ends.low, 0):.0f}, "
            f"{100 * min(ends.high, 1):.0f}] of pairs (50% is guessing).",
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
        title=f"{_words(name)} of test and deployment images",
        caption=f"Share of the images of each side; {found.n[0]} test and {found.n[1]} deployment "
        "images. The outer bins hold what lies beyond.",
        alt=f"{_words(name)} of a deployment image is {area_text(found.area)}.",
        x=Axis(_words(name)),
        y=Axis("images", "share"),
        rows=histogram_rows(test, deployment),
    )


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
