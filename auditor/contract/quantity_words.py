"""How quantities are called, whichever check measures them: words made once from a few names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.contract.words import ANY, EITHER_WAY, FROM_0, Words
from auditor.findings import RowKind, Scale


@dataclass(frozen=True)
class Naming:
    """What a quantity is called: in a heading, in a list, and what goes wrong where it is worse.

    `hundred` completes "Of 100 objects ..." ``{here}`` being the count.
    `span`, `scale`, `headline`, `headline_rank` and `metric` as of `Words`.
    """

    title: str
    short: str
    harm: str
    hundred: str = ""
    span: tuple[float, float] = (0.0, 1.0)
    scale: Scale | None = None
    of: RowKind | None = None
    headline: str = ""
    headline_rank: int = 1
    metric: str = ""


_COUNT = FROM_0
_FOUND = "it finds {here}"

NAMINGS: Mapping[str, Naming] = {
    "objects-found": Naming(
        "Objects found", "objects found", "fewer objects found", _FOUND, of="object",
        headline="On {place}: {value} of {n} {rows} found.", metric="objects-found",
    ),
    "answers-right": Naming(
        "Answers that are right", "right answers", "more wrong answers", "{here:are/is} right",
        of="answer", metric="answers-right",
        headline="Of its {n} answers on {place} {value} are right.", headline_rank=2,
    ),
    "images-right": Naming(
        "Images answered without a fault", "images without a fault", "fewer images without a fault",
        "{here:are/is} answered without a fault", of="image",
    ),
    "images-overlapping": Naming(
        "Images that overlap the truth by half or more (IoU)", "images half overlapping",
        "fewer images half overlapping", "{here:overlap/overlaps} the truth by half or more",
        of="image",
    ),
    "unnoticed": Naming(
        "Objects that no answer comes near", "objects unnoticed", "more objects unnoticed",
        "{here:go/goes} unnoticed", of="object",
    ),
    "duplicate": Naming(
        "Answers that say an object twice", "objects said twice", "more objects said twice",
        "{here:say/says} an object again", of="answer",
    ),
    "wrong-class": Naming(
        "Answers at the right place with the wrong class", "wrong class", "more wrong classes",
        "{here:name/names} the wrong class", of="answer",
    ),
    "poor-box": Naming(
        "Answers of the right class whose box is poor", "poor boxes", "more poor boxes",
        "{here:have/has} a poor box", of="answer",
    ),
    "wrong-class-and-box": Naming(
        "Answers with the wrong class and a poor box", "wrong class and poor box",
        "more answers wrong in both", "{here:are/is} wrong in both", of="answer",
    ),
    "background": Naming(
        "Answers where nothing is", "answers where nothing is", "more answers where nothing is",
        "{here:are/is} where nothing is", of="answer",
    ),
    "f1": Naming("F1 of an image, on average", "F1 an image", "lower F1", scale="amount"),
    "false-alarms": Naming(
        "False alarms an image", "false alarms an image", "more false alarms", span=_COUNT
    ),
    "not-found": Naming(
        "Objects not found an image", "objects missed an image", "more objects missed", span=_COUNT
    ),
    "image-iou": Naming(
        "Overlap (IoU) of an image, on average", "overlap an image", "less overlap",
        scale="amount",
    ),
    "right-pixels": Naming(
        "Share of an image's pixels that are right", "right pixels an image", "fewer right pixels",
        scale="amount",
    ),
    "ap-50-95": Naming(
        "Average precision (overlap .5 to .95)", "average precision", "lower average precision",
        metric="average-precision",
    ),
    "ap-50": Naming(
        "Average precision (overlap .5)", "average precision at .5", "lower average precision"
    ),
    "ap-75": Naming(
        "Average precision (overlap .75)", "average precision at .75", "lower average precision"
    ),
    **{
        f"ap-50-95-{size}": Naming(
            f"Average precision of {size} objects", f"average precision, {size} objects",
            "lower average precision",
        )
        for size in ("small", "medium", "large")
    },
    "mean-iou": Naming(
        "Mean overlap (IoU) of the classes", "mean overlap", "less overlap", metric="mean-iou",
        headline="On {place}: what it draws overlaps the truth by {value}, on average over the "
        "classes (IoU), {n:rows}.",
    ),
    "mean-dice": Naming("Mean Dice of the classes", "mean Dice", "less overlap"),
    "pixel-accuracy": Naming("Pixels that are right", "right pixels", "fewer right pixels",
                             metric="pixel-accuracy"),
    "boundary-f": Naming("Mean F of the boundaries", "boundaries", "worse boundaries"),
    "iou": Naming("Overlap (IoU)", "overlap", "less overlap"),
}  # fmt: skip
"""Quantities of detectors and segmenters; a classifier's have words of their own."""


RIGHT_MEANS: Mapping[str, str] = {
    "segmentation": "An image counts as right if what is drawn overlaps the truth by half or more "
    "(IoU).",
}
"""By task, from when on an image counts as right where words say so; of others the label is it."""


def title_of(name: str) -> str:
    """What a quantity is called at the head of a table; a classifier's headline is accuracy."""
    return NAMINGS[name].title if name in NAMINGS else name.capitalize()


def share_of(name: str) -> str:
    """What a group has of a headline, within a sentence: "accuracy", "share of objects found"."""
    return f"share of {NAMINGS[name].title.lower()}" if name in NAMINGS else name


_OF_CLASS = {"ap-50-95", "iou"}
"""Quantities that classes have, too."""


_PLAIN = {
    "recall": "share of each class found",
    "precision": "share of answers right, by class",
    "unit-accuracy": "accuracy per unit",
}
"""What statisticians' names say to others."""


def called(name: str) -> str:
    """What the measure of a name is called in a few words, where its own words do not serve."""
    quantity = name.removesuffix("-lost")
    if quantity in _PLAIN:
        return _PLAIN[quantity] + (": lost" if quantity != name else "")
    if quantity not in NAMINGS:
        return name.replace("-", " ")
    return NAMINGS[quantity].short + (" lost" if quantity != name else "")


def _span(naming: Naming, *, compared: bool) -> tuple[float, float]:
    if not compared:
        return naming.span
    return EITHER_WAY if math.isfinite(naming.span[1]) else ANY


def plain_words() -> dict[str, Words | tuple[Words, ...]]:
    """Words for each quantity of a whole split."""
    return {name: _with_class(name, _plain) for name in NAMINGS}


def _with_class(name: str, made: object) -> Words | tuple[Words, ...]:
    assert callable(made)
    whole: Words = made(NAMINGS[name], "")
    if name not in _OF_CLASS:
        return whole
    of_class: Words = made(NAMINGS[name], " of “{class}”")
    return (of_class, whole)


def _plain(naming: Naming, of: str) -> Words:
    return Words(
        title=f"{naming.title}{of}, {{split}} data",
        span=naming.span,
        scale=naming.scale,
        short=f"{naming.short}{of}",
        sentence=f"{naming.title}{of}, {{split}} data: {{value}}.",
        action="train and test again",
        metric=naming.metric,
        headline="" if of else naming.headline,
        headline_rank=naming.headline_rank,
    )


def group_words() -> dict[str, Words | tuple[Words, ...]]:
    """Words for each quantity of a group against all others."""
    return {name: _with_class(name, _of_group) for name in NAMINGS}


def _of_group(naming: Naming, of: str) -> Words:
    counted = naming.hundred
    said = f"Of 100 {{rows}} of {{group}} {counted}; of 100 others, {{there}}."
    return Words(
        title=f"{naming.title}{of} for {{group}}{{in_where}}, against all others",
        span=_span(naming, compared=True),
        scale=naming.scale,
        short=f"{{group}}: {naming.short}{of}",
        sentence=f"{naming.title}{of}{{in_where}}, {{group}}: {{this}}; all others {{other}}; "
        "{gap}.",
        hundred=said if counted else "",
        column=naming.short + of,
        action="fix and test again for {group}",
        harm=naming.harm + of,
        metric=naming.metric,
    )


def lost_words(
    sides: tuple[str, str], *, where: str, action: str
) -> dict[str, Words | tuple[Words, ...]]:
    """Words for what is lost of each quantity, named ``NAME-lost``, between two `sides`.

    `where` completes "Objects found lost ..." (``in the {variant} version{of_group}``).
    """
    return {
        f"{name}-lost": Words(
            title=f"{naming.title}: lost {where}",
            span=_span(naming, compared=True),
            scale=naming.scale,
            short=f"{naming.short} lost {where}",
            sentence=f"{naming.title}: {sides[0].lower()} {{this}}; {sides[1].lower()} {{other}}; "
            f"{{point}} lost {where}.",
            sides=sides,
            column=f"{naming.short} lost",
            action=action,
        )
        for name, naming in NAMINGS.items()
    }
