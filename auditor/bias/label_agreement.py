"""bias/label-agreement: whether annotators agree about each group, and who is severe on whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.bias.annotator_agreement import AGREEMENT, RAW, Doubly, agreements, no_attribute
from auditor.bias.annotator_severity import RELATIVE, SEVERITY, severities
from auditor.bias.drawing_agreement import Drawn, drawn_agreement
from auditor.bias.drawing_words import DRAWN_WORDS, GROUPS_DRAWN
from auditor.bias.net_severity import SeverityScale, scale_of
from auditor.bias.ratings import Ratings, has_second_labels, ratings_of
from auditor.comparing.by_group import ByGroup, displayed, told
from auditor.contract import (
    Available,
    Check,
    Evidence,
    Manifest,
    Need,
    NotMeasurableError,
    Unmet,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import Dataset
from auditor.data.pooling import by_label
from auditor.errors import DataError
from auditor.findings import Measured, Result, Subject, Unmeasured
from auditor.spec import SPLITS

MOST_SERIES = 8
"""Annotators whose severity is drawn; the table has all."""

_NET = (
    "; more lenient there in {more_lenient:percent}, elsewhere in {more_lenient_rest:percent}; on "
    "balance {gap}."
)
_ASSIGNED = (
    "{annotator} labelled {labelled:percent} of the images of {group} and {labelled_rest:percent} "
    "of all others: images were not assigned at random, so these may differ in more than "
    "that{not_at_random:if}."
)
_GAP = ("less severe", "more severe")


def _severe(labels: str) -> str:
    return (
        f"{labels} are more severe than the expert’s for {{group}} in {{this}} images, for all "
        f"others in {{other}}, among images that the expert labels alike{_NET}"
    )


def _alpha(kind: str, how: str) -> tuple[Words, Words]:
    sentence = (
        f"Agreement beyond chance (Krippendorff’s {kind}, {how}1 is full, 0 is chance)"
        "{of_group}: {value} over {n:rows}."
    )
    return (
        Words(f"Agreement of annotators beyond chance ({kind}){{in_where}}: {{group}}",
              f"{{group}}: {kind} of annotators", sentence, span=EITHER_WAY, scale="amount"),
        Words(f"Agreement of annotators beyond chance ({kind}), {{split}} data",
              f"{kind} of annotators", sentence),
    )  # fmt: skip


@dataclass(frozen=True)
class SecondLabels(Need):
    """Images that were labelled twice: by another annotator, or by an expert (gold)."""

    def unmet(self, available: Available) -> Unmet | None:
        datasets = available.datasets.values()
        if any(has_second_labels(d) or _has_second_drawings(d) for d in datasets):
            return None
        if available.model.task != "classification":
            return Unmet(
                reason="No image has annotations by two annotators.",
                remedy="Have a second annotator, or better an expert, draw a random sample without "
                "seeing the first annotations. Name the folders or files under "
                "`data.test.annotations_by` (annotator: folder or file) or "
                "`data.test.annotations_gold`.",
            )
        return Unmet(
            reason="No image has labels from two annotators.",
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

    Where annotators drew (boxes, or class maps), two drawings of one image are laid over each
    other. `drawn-overlap` is the overlap (IoU) of class maps, `drawn-alike` the share of both
    annotators' objects that both drew, of the same class and overlapping as much as the operating
    point asks for (F1); both over all pairs of drawings, for all classes together (their mean) and
    each. `agreement` is the same of a group's images, minus that of all others. Beside an expert's
    drawings (`annotations_gold`): `drawn-area`, the area that an annotator, or the annotations as
    a whole, give a class over the expert's (1: as large; of boxes, those of objects that both
    drew); `left-out`, the share of the expert's objects that the annotator drew nothing for (of
    class maps: of the images with the class), and `added`, the reverse. Without an expert
    `relative-area` and `relative-left-out` compare with the other annotators.

    Why it matters
    --------------
    Labels are the truth that a model learns and is measured against. If one inspector grades one
    kind of home more severely, so will the model, and every other check of it will call that
    right, because it is what the labels say.

    How it can mislead
    ------------------
    An expert errs too: severity is relative to that expert, and it holds for the images chosen:
    a gold sample picked because labels looked doubtful shows more than there is.
    `relative-severity` does not say who is right: of two annotators, one is as much too lenient as
    the other is too severe. Two annotators who err unevenly seem to differ between groups of
    different true grades; only an expert's labels settle that. Where images were not given to
    annotators at random (each inspector has a district, hard cases go to one of them), an
    annotator's images of a group may differ from other images in more than the group; the
    sentence says so where the shares show it, but cannot know why. Agreement is lower where
    images are harder, without anyone being unfair, and alpha is lower where nearly all images are
    of one class, although annotators agree as often. Annotators who saw each other's labels agree
    by copying. Small objects overlap less than large ones that are drawn as well: a boundary one
    pixel off is a larger part of them. That an annotator draws twice the area may be a rule that
    was agreed on, and the expert's the exception: ask before anything is drawn anew. An image that
    an annotator's file lists without a drawing counts as one where that annotator saw nothing; a
    file that lists images which the annotator never opened makes `left-out` too large.
    """

    id: ClassVar[str] = "bias/label-agreement"
    topic: ClassVar[str] = "who labelled, and how"
    needs: ClassVar[tuple[Need, ...]] = (
        SecondLabels(),
        *(Manifest(split=split, optional=True) for split in SPLITS),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, "
        "https://repository.upenn.edu/asc_papers/43",
        "Bonett & Price (2012), doi:10.3102/1076998611411915 (net share of paired labels)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (weights of the expert's grades)",
        "Hripcsak & Rothschild (2005), doi:10.1197/jamia.M1733 (F1 as agreement on what is drawn)",
        "Fieller (1954), doi:10.1111/j.2517-6161.1954.tb00159.x (ratio of two areas)",
        "Field & Welsh (2007), doi:10.1111/j.1467-9868.2007.00593.x (resampling of units)",
    )

    words: ClassVar = {
        **DRAWN_WORDS,
        AGREEMENT: (
            GROUPS_DRAWN,
            Words(
                title="Agreement between annotators{in_where}: {group}, against all others",
                span=EITHER_WAY,
                short="{group}: disputed labels",
                sentence="Two annotators agree about {group} in {this}; about all others in "
                "{other}; {gap}.",
                hundred="Of 100 images of {group}, two annotators agree about {here}; of 100 "
                "others, {there}.",
                column="annotators agree",
                action="settle the labels of {group} that annotators dispute, and train again",
            ),
            Words("Agreement between annotators by group, {split} data", "agreement by group"),
        ),
        RAW: Words(
            title="Agreement between annotators, {split} data",
            short="agreement of annotators",
            sentence="Two annotators give the same image the same label in {value} of {pairs} "
            "pairs of labels ({n:rows}).",
            action="settle the labels that annotators dispute, and train again",
        ),
        "alpha": _alpha("alpha", ""),
        "alpha-ordinal": _alpha("ordinal alpha", "counting how far grades are apart, "),
        SEVERITY: (
            Words(
                title="How severely {annotator} labels {group}{in_where}, against the expert",
                span=EITHER_WAY,
                short="{annotator}’s labels of {group}",
                sentence=(_severe("The labels of {annotator}"), _ASSIGNED),
                hundred="Of 100 images of {group}, {annotator} grades {here} more severely than "
                "the expert; of 100 others, {there}.",
                gap=_GAP,
                compared="Difference on balance",
                column="{annotator}’s severity",
                action="have others than {annotator} label {group} again, and train again",
            ),
            Words(
                title="Severity of the labels of {group}{in_where}, against the expert",
                short="labels of {group}",
                sentence=_severe("The labels"),
                hundred="Of 100 images of {group}, {here:are/is} labelled more severely than the "
                "expert does; of 100 others, {there}.",
                gap=_GAP,
                compared="Difference on balance",
                column="severity of labels",
                action="have {group} labelled again, and train again",
            ),
            Words("How severely annotators label, against the expert", "severity of labels"),
        ),
        RELATIVE: (
            Words(
                title="How severely {annotator} labels {group}{in_where}, against other annotators",
                span=EITHER_WAY,
                short="{annotator}’s labels of {group}, against others’",
                sentence=(
                    "The labels of {annotator} are more severe than the other annotators’ for "
                    "{group} in {this} comparisons, for all others in {other}" + _NET,
                    _ASSIGNED,
                ),
                gap=_GAP,
                compared="Difference on balance",
                action="have {group} labelled by further annotators, and train again",
            ),
            Words("How severely annotators label, against each other", "severity of annotators"),
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        spec, rng = evidence.spec, evidence.rng
        agreed: list[ByGroup] = []
        severe: list[ByGroup] = []
        scale: SeverityScale | None = None
        for split in SPLITS:
            if not evidence.has(Manifest(split=split, optional=True)):
                continue
            dataset = by_label(evidence.dataset(split))
            if _has_second_drawings(dataset):
                drawings = _drawings(Drawn(dataset, spec.model.point.overlap))
                yield from _collected(drawings, agreed)
                continue
            ratings = ratings_of(dataset)
            if ratings.doubly.any():
                found = agreements(Doubly(ratings, ordinal=spec.model.ordinal, rng=rng))
                yield from _collected(found, agreed)
            if has_second_labels(ratings.dataset):
                scale = scale_of(
                    ratings.dataset.classes,
                    adverse=spec.consequences.adverse,
                    ordinal=spec.model.ordinal,
                )
                yield from _collected(_severities(ratings, scale), severe)
        yield from told([*agreed, *severe])
        yield from displayed(self.id, agreed, title="Agreement of annotators")
        drawn = list(dict.fromkeys(one.compared.quantity.title for one in severe))[:MOST_SERIES]
        yield from displayed(
            f"{self.id}:severity",
            severe,
            title="More severe labels",
            caption="Share of each group's images labelled more severely than by the expert, or "
            f"than by other annotators ({scale.meaning if scale else ''})",
            pictured=[one for one in severe if one.compared.quantity.title in drawn],
            facts=("compared", "more_lenient", "more_lenient_rest", "labelled", "labelled_rest"),
        )


def _collected(found: Iterator[Measured | ByGroup], groups: list[ByGroup]) -> Iterator[Measured]:
    """What is of no group; comparisons of groups are added to `groups`."""
    for result in found:
        if isinstance(result, ByGroup):
            groups.append(result)
        else:
            yield result


def _has_second_drawings(dataset: Dataset) -> bool:
    return bool(dataset.drawn_by) or dataset.drawn_gold is not None


def _drawings(drawn: Drawn) -> Iterator[Measured | ByGroup]:
    try:
        yield from drawn_agreement(drawn)
    except DataError as error:
        raise NotMeasurableError(
            f"An annotator's class map cannot be read: {error}.",
            remedy="Correct the file, or leave it out of the annotator's folder.",
        ) from error


def _severities(ratings: Ratings, scale: SeverityScale | None) -> Iterator[Measured | ByGroup]:
    """Severity by group, or why there is none."""
    dataset, split = ratings.dataset, ratings.dataset.split
    names = [SEVERITY] if dataset.has_gold else []
    names += [RELATIVE] if ratings.doubly.any() else []
    if not dataset.attributes:
        yield from (no_attribute(name, split) for name in names)
        return
    if scale is None:
        yield from (_no_scale(name, split) for name in names)
    else:
        yield from severities(ratings, scale)


def _no_scale(name: str, split: str) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject.of(split=split),
        reason="Nothing says which class is more severe than another.",
        remedy="Name the classes whose answer harms people under `consequences.adverse`, or state "
        "`model.ordinal: true` where classes are grades listed from the mildest to the most "
        "severe.",
    )
