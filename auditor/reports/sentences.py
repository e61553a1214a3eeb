"""One sentence a finding that anyone can repeat: counts of a hundred, no intervals.

Counts of a hundred are understood where percentages and ratios are not: Gigerenzer & Hoffrage
(1995), doi:10.1037/0033-295X.102.4.684.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.findings import Measure
from auditor.reports.titles import group_text

_RIGHT = "Of 100 images of {group} it answers {here} rightly; of 100 others, {there}."
_CALLED_WRONGLY = (
    "Of 100 images of {group} that are not “{class}”, {here} are wrongly called so; "
    "of 100 others, {there}."
)
_MISSED = "Of 100 “{class}” images of {group}, {here} are missed; of 100 others, {there}."
_CALLED = (
    "Of 100 images of {group}, {here} are called “{class}”, rightly or not; of 100 others, {there}."
)
_SUSPECT = "Of 100 labels of {group}, {here} look wrong; of 100 others, {there}."

_SENTENCES = {
    "bias/subgroup-gap:accuracy": _RIGHT,
    "bias/intersections:accuracy": _RIGHT,
    "bias/subgroup-gap:recall": (
        "Of 100 “{class}” images of {group} it finds {here}; of 100 others, {there}."
    ),
    "bias/error-rates:false-positive-ratio": _CALLED_WRONGLY,
    "bias/error-rates:false-positive-difference": _CALLED_WRONGLY,
    "bias/error-rates:false-negative-ratio": _MISSED,
    "bias/error-rates:false-negative-difference": _MISSED,
    "bias/selection-rate:selection-ratio": _CALLED,
    "bias/selection-rate:selection-difference": _CALLED,
    "bias/label-agreement:severity": (
        "Of 100 images of {group}, {annotator} grades {here} more severely than the expert; "
        "of 100 others, {there}."
    ),
    "bias/label-agreement:agreement": (
        "Of 100 images of {group}, two annotators agree about {here}; of 100 others, {there}."
    ),
    "bias/label-errors:label-error": (
        "Of 100 labels of {group}, the expert corrects {here}; of 100 others, {there}."
    ),
    "bias/label-errors:flagged": _SUSPECT,
    "bias/label-errors:flagged-excess": _SUSPECT,
    "bias/representation:share-ratio": (
        "Of 100 {counted} of the {split} data, {here} are of {group}; {there} would be due."
    ),
    "shortcut/metadata:accuracy-worth": (
        "Of 100 images whose {attribute} goes with the label it answers {here} rightly; of 100 "
        "where they disagree, {there}."
    ),
    "shortcut/toggle:accuracy-worth": (
        "Of 100 images with the {artefact} area of an image of the same class it answers {here} "
        "rightly; with that of another class, {there}."
    ),
    "shift/accuracy:lost": (
        "Of 100 test images it answers {here} rightly; of 100 from where it will run, {there}."
    ),
    "performance/overfitting:accuracy-gap": (
        "Of 100 images that it was trained on it answers {here} rightly; of 100 others, {there}."
    ),
    "deployment/quantization:accuracy-lost": (
        "Of 100 images{of_group}, the model as given answers {there} rightly; its {variant} "
        "version {here}."
    ),
}


def hundred_sentence(measure: Measure, *, check: str) -> str:
    """What was seen in a hundred images here and in a hundred elsewhere; empty without words.

    Needs the shares ``rate`` and ``rest`` of the measure's details.
    """
    template = _SENTENCES.get(f"{check}:{measure.name}")
    sides = [share_of(measure.details, name) for name in ("rate", "rest")]
    if template is None or None in sides:
        return ""
    group = group_text(measure.subject, check=check)
    fields = _Fields(measure.subject.keys)
    fields |= {"counted": str(measure.details.get("counted", "images"))}
    fields |= {"split": measure.subject.split or "test", "variant": measure.subject.variant or ""}
    fields |= {"of_group": f" of {group}" if group else ""}
    if group:
        fields["group"] = group
    here, there = (_of_hundred(side) for side in sides if side is not None)
    fields |= {"here": here, "there": there}
    text = template.format_map(fields)
    return "" if "\0" in text else text


def share_of(details: Mapping[str, Any], name: str) -> float | None:
    """The value of a rate in a measure's details, None where there is none between 0 and 1."""
    found = details.get(name)
    number = found.get("value") if isinstance(found, Mapping) else None
    return float(number) if number is not None and 0 <= number <= 1 else None


def _of_hundred(share: float) -> str:
    shown = round(100 * share)
    if shown == 0 and share > 0:
        return "fewer than 1"
    return f"{shown}"


class _Fields(dict[str, str]):
    """Fields of a template; one that a subject lacks marks the sentence as unfit."""

    def __missing__(self, key: str) -> str:
        return "\0"
