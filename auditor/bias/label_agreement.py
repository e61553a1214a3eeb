"""bias/label-agreement: whether annotators agree about each group, and who is severe on whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.bias.annotator_agreement import Doubly, agreement_table, agreements, no_attribute
from auditor.bias.annotator_severity import severities, severity_table
from auditor.bias.net_severity import scale_of
from auditor.bias.ratings import Ratings, has_second_labels, ratings_of
from auditor.contract import Available, Check, Evidence, Manifest, Need, Unmet
from auditor.data.pooling import by_label
from auditor.findings import Measure, Result, Subject, Unmeasured
from auditor.spec import SPLITS, AuditSpec


@dataclass(frozen=True)
class SecondLabels(Need):
    """Images that a second hand labelled too: another annotator, or an expert (gold)."""

    def unmet(self, available: Available) -> Unmet | None:
        if any(has_second_labels(dataset) for dataset in available.datasets.values()):
            return None
        return Unmet(
            reason="No image has labels from two hands.",
            remedy="Have a second annotator, or better an expert, label a random sample without "
            "seeing the first labels. Name the columns under `data.columns.ratings` (annotator: "
            "column) or `data.columns.gold`, and the column that says who gave the label under "
            "`data.columns.annotator`.",
        )


@dataclass(frozen=True)
class LabelAgreement(Check):
    """Whether annotators agree as well about every group, and who grades a group more severely.

    What it measures
    ----------------
    Where two or more annotators labelled the same images: how often two of them agree
    (`raw-agreement`, every pair of annotators on an image counts), Krippendorff's `alpha` (1 is
    agreement on everything, 0 what chance would show), and `alpha-ordinal`, which counts a
    disagreement by how far apart the grades are, where `model.ordinal` declares the classes to be
    grades. `agreement` is a group's raw agreement minus that about all other images.

    `severity` compares each annotator's labels, and the labels as a whole, with an expert's
    (gold) labels of the same images: the share labelled more severely minus the share labelled
    more leniently, in the group minus in the rest. Only images that the expert labels alike are
    compared, so that a group with other true grades does not look like a group graded otherwise.
    `relative-severity` does the same beside the other annotators of the same images. More severe
    is a later grade where classes are grades, else an adverse class in place of another. Train,
    test and deployment images are measured each for themselves.

    Why it matters
    --------------
    Labels are the truth that a model learns and is measured against. If one inspector grades one
    kind of home more severely, so will the model, and every other check of it will call that
    right, because it is what the labels say.

    How it can mislead
    ------------------
    An expert errs too; `severity` is relative to that expert, and it holds for the images chosen:
    a gold sample picked because labels looked doubtful shows more than there is.
    `relative-severity` does not say who is right: of two annotators, one is as much too lenient as
    the other is too severe. Two annotators who err unevenly seem to differ between groups of
    different true grades; only an expert's labels settle that. Where images were not given to
    annotators at random (each inspector has a district, hard cases go to one of them), an
    annotator's images of a group may differ from other images in more than the group; the
    sentence says so where the shares show it, but cannot know why. Agreement is lower where
    images are harder, without anyone being unfair, and alpha is lower where nearly all images are
    of one class, although annotators agree as often. Annotators who saw each other's labels agree
    by copying.
    """

    id: ClassVar[str] = "bias/label-agreement"
    needs: ClassVar[tuple[Need, ...]] = (
        SecondLabels(),
        *(Manifest(split=split, optional=True) for split in SPLITS),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, "
        "https://repository.upenn.edu/asc_papers/43",
        "Bonett & Price (2012), doi:10.3102/1076998611411915 (net share of paired labels)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (weights of the expert's grades)",
        "Field & Welsh (2007), doi:10.1111/j.1467-9868.2007.00593.x (resampling of units)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        spec, rng = evidence.spec, evidence.rng
        found: list[Result] = []
        for split in SPLITS:
            if not evidence.has(Manifest(split=split, optional=True)):
                continue
            ratings = ratings_of(by_label(evidence.dataset(split)))
            if ratings.doubly.any():
                doubly = Doubly(ratings, split=split, ordinal=spec.model.ordinal, rng=rng)
                found += agreements(doubly)
            if has_second_labels(ratings.dataset):
                found += _severities(ratings, split, spec)
        yield from found
        measures = [m for m in found if isinstance(m, Measure)]
        yield from agreement_table(measures)
        yield from severity_table(measures)


def _severities(ratings: Ratings, split: str, spec: AuditSpec) -> list[Result]:
    """Severity by group, or why there is none."""
    names = ["severity"] if ratings.dataset.has_gold else []
    names += ["relative-severity"] if ratings.doubly.any() else []
    if not ratings.dataset.attributes:
        return [no_attribute(name, split) for name in names]
    scale = scale_of(
        ratings.dataset.classes, adverse=spec.consequences.adverse, ordinal=spec.model.ordinal
    )
    if scale is None:
        return [_no_scale(name, split) for name in names]
    return severities(ratings, scale, split)


def _no_scale(name: str, split: str) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject.of(split=split),
        reason="Nothing says which class is more severe than another.",
        remedy="Name the classes whose answer harms people under `consequences.adverse`, or state "
        "`model.ordinal: true` where classes are grades listed from the mildest to the most "
        "severe.",
    )
