"""Plain words for what checks measure: titles, short names, topics, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.findings import Finding, Measure, Subject, Unmeasured
from auditor.reports.wording import subject_text

FAMILY_TITLES = {
    "data": "The data",
    "model": "The model",
    "performance": "How good it is",
    "bias": "Who is served worse",
    "shift": "Whether it holds where it will run",
    "shortcut": "What it decides by",
    "deployment": "What is shipped",
    "operations": "How it is run",
}
"""Families of checks in the order of the report's chapters."""


@dataclass(frozen=True)
class Words:
    """A measure in words. `title` heads a finding, `short` names it in a list of page one."""

    title: str
    short: str


_WORDS = {
    "data/manifest:failing-rows": Words(
        "Rows of the {role} manifest that break its rules", "faulty manifest rows"
    ),
    "data/images:unreadable-share": Words(
        "Images that cannot be read, {role} data", "unreadable images"
    ),
    "data/images:odd-share": Words(
        "Unusual images, {role} data: {kind}", "unusual images ({kind})"
    ),
    "data/duplicates:duplicate-share": Words("Copies among the {role} images", "duplicated images"),
    "data/leakage:seen-share": Words(
        "Test images that, or whose unit, were seen in training", "test images seen in training"
    ),
    "data/leakage:seen-image-share": Words(
        "Test images that are also training images", "test images in training"
    ),
    "data/leakage:seen-unit-share": Words(
        "Units of the test data that are also in training", "units in training"
    ),
    "model/preprocessing:accuracy-gain": Words(
        "Accuracy gained by feeding the model otherwise", "how the model is fed"
    ),
    "performance/overall:accuracy": Words("Accuracy on the {role} images", "accuracy"),
    "performance/baseline:gain": Words(
        "Accuracy over always giving the commonest answer", "better than guessing"
    ),
    "performance/claims:accuracy": Words(
        "Claim {claim}: accuracy, on the data {part}", "the claimed accuracy"
    ),
    "performance/claims:recall": Words(
        "Claim {claim}: share found, on the data {part}", "the claimed share found"
    ),
    "performance/claims:precision": Words(
        "Claim {claim}: share right when answered, on the data {part}", "the claimed precision"
    ),
    "performance/per-class:recall": Words("Share of “{class}” that is found", "“{class}” found"),
    "performance/per-class:precision": Words(
        "Share of “{class}” answers that are right", "“{class}” answers right"
    ),
    "performance/unit-decision:unit-accuracy": Words(
        "Accuracy per unit, all its images together", "accuracy per unit"
    ),
    "performance/calibration:ece": Words(
        "Distance between how sure it says it is and how often it is right", "false certainty"
    ),
    "performance/overfitting:accuracy-gap": Words(
        "Accuracy on training images minus accuracy on test images", "learnt by heart"
    ),
    "performance/consequences:expected-cost": Words("Cost of errors per image", "cost of errors"),
    "performance/consequences:cost-borne": Words("Cost of errors borne by {by}", "cost for {by}"),
    "performance/consequences:false-adverse-rate": Words(
        "Images wrongly called “{class}”", "wrongly called “{class}”"
    ),
    "performance/consequences:missed-adverse-rate": Words(
        "Images of class “{class}” that are missed", "“{class}” missed"
    ),
    "bias/subgroup-gap:accuracy": Words(
        "Accuracy for {group}, against all others", "{group}: right answers"
    ),
    "bias/subgroup-gap:recall": Words(
        "Share of “{class}” found for {group}, against all others", "{group}: “{class}” found"
    ),
    "bias/error-rates:false-positive-ratio": Words(
        "Wrongly called “{class}”: {group}, against all others",
        "{group}: wrongly called “{class}”",
    ),
    "bias/error-rates:false-negative-ratio": Words(
        "“{class}” missed: {group}, against all others", "{group}: “{class}” missed"
    ),
    "bias/error-rates:false-positive-difference": Words(
        "Wrongly called “{class}”, in points: {group}, against all others",
        "{group}: wrongly called “{class}”",
    ),
    "bias/error-rates:false-negative-difference": Words(
        "“{class}” missed, in points: {group}, against all others", "{group}: “{class}” missed"
    ),
    "bias/error-rates:equalised-odds": Words(
        "Largest gap in errors between groups of {attribute}, “{class}”", "{attribute}: error gap"
    ),
    "bias/representation:share-ratio": Words(
        "Share of {group} in the {role} data, against the share due", "{group}: missing in {role}"
    ),
    "bias/selection-rate:selection-ratio": Words(
        "Called “{class}”, rightly or not: {group}, against all others",
        "{group}: called “{class}”",
    ),
    "bias/amplification:widening": Words(
        "Gap in “{class}” that the model adds to that of the labels: {group}",
        "{group}: gap widened",
    ),
    "bias/calibration:overconfidence-difference": Words(
        "How much surer than right: {group}, against all others", "{group}: too sure"
    ),
    "bias/calibration:auc-difference": Words(
        "How well “{class}” is ranked: {group}, against all others", "{group}: ranking"
    ),
    "bias/harm:cost-ratio": Words(
        "Cost of errors per image: {group}, against all others", "{group}: cost of errors"
    ),
    "bias/label-agreement:severity": Words(
        "How severely {annotator} labels {group}, against the expert", "labels of {annotator}"
    ),
    "bias/label-agreement:agreement": Words(
        "Agreement between annotators: {group}, against all others", "{group}: disputed labels"
    ),
    "bias/label-errors:label-error": Words(
        "Labels that the expert corrects: {group}, against all others", "{group}: wrong labels"
    ),
    "bias/label-errors:flagged-excess": Words(
        "Labels that look wrong: {group}, against all others", "{group}: suspect labels"
    ),
    "bias/intersections:accuracy": Words(
        "Accuracy for {group}, against all others", "{group}: right answers"
    ),
    "shift/accuracy:lost": Words(
        "Accuracy lost on the data of where it will run", "accuracy lost where it runs"
    ),
    "shift/properties:any": Words(
        "How well deployment images are told from test images", "other kind of images"
    ),
    "shift/properties:auc": Words(
        "Deployment images differ from test images in {property}", "other {property}"
    ),
    "shift/predictions:auc": Words(
        "Deployment images get other scores for “{class}”", "other scores for “{class}”"
    ),
    "shift/predictions:class-share": Words(
        "Deployment images are answered “{class}” more or less often", "other share of “{class}”"
    ),
    "shortcut/metadata:association": Words(
        "How strongly {attribute} goes with the label", "{attribute} goes with the label"
    ),
    "shortcut/metadata:accuracy-worth": Words(
        "Accuracy that rests on {attribute}", "{attribute} decides"
    ),
    "shortcut/toggle:accuracy-worth": Words(
        "Accuracy that rests on {artefact}", "{artefact} decides"
    ),
    "shortcut/toggle:flip-rate": Words(
        "Answers that change with {artefact}", "{artefact} changes answers"
    ),
    "deployment/size:file-megabytes": Words("Size of the model file", "file size"),
    "deployment/quantization:accuracy-lost": Words(
        "Accuracy lost in the {variant} version{of_group}", "{variant} version{of_group}"
    ),
    "deployment/quantization:size-ratio": Words(
        "Size of the {variant} version against the model as given", "size of {variant} version"
    ),
    "deployment/latency:p50": Words("Time to answer, half of the times", "time to answer"),
    "deployment/latency:p90": Words("Time to answer, 90 of 100 times", "time to answer"),
    "deployment/latency:p95": Words("Time to answer, 95 of 100 times", "time to answer"),
    "deployment/latency:p99": Words("Time to answer, 99 of 100 times", "time to answer"),
}

_TOPICS = {
    "data/manifest": "the manifest's rules",
    "data/images": "unreadable and unusual images",
    "data/duplicates": "copies among the images",
    "data/leakage": "whether test images were seen in training",
    "model/architecture": "what the model is made of",
    "model/consistency": "whether it gives the same answer twice",
    "model/preprocessing": "whether it is fed as it was trained",
    "performance/claims": "the team's claims",
    "performance/unit-decision": "decisions per unit",
    "performance/decision-rule": "whether another way to decide does better",
    "performance/overfitting": "whether it learnt its training images by heart",
    "performance/consequences": "what errors cost, and whom",
    "bias/subgroup-gap": "accuracy per group",
    "bias/error-rates": "harmful errors per group",
    "bias/representation": "who is in the data",
    "bias/coverage": "what the data are too few to say",
    "bias/label-agreement": "who labelled, and how",
    "bias/label-errors": "wrong labels",
    "bias/selection-rate": "who is called what",
    "bias/amplification": "gaps that the model widens",
    "bias/calibration": "how sure it is, per group",
    "bias/harm": "what errors cost, per group",
    "bias/intersections": "accuracy where two groups meet",
    "bias/threshold": "whether another threshold would help",
    "bias/slices": "failing groups that nobody named",
    "shift/accuracy": "accuracy where it will run",
    "shift/properties": "how images differ where it will run",
    "shift/predictions": "how answers differ where it will run",
    "shortcut/metadata": "whether circumstances decide",
    "shortcut/toggle": "whether a known artefact decides",
    "deployment/latency": "time to answer",
    "deployment/quantization": "the eight-bit version",
    "deployment/size": "file size",
}

_ACTIONS = {
    "data/leakage": "test again on images that it has not seen",
    "data/images": "mend the unreadable images",
    "data/manifest": "mend the manifest",
    "model/preprocessing": "feed the model as it was trained, and test again",
    "performance/baseline": "do not use it: a fixed answer does as well",
    "performance/claims": "correct the claim",
    "performance/calibration": "mend how sure it says it is",
    "performance/overfitting": "train again with more varied images",
    "bias/subgroup-gap": "mend and test again for {group}",
    "bias/error-rates": "mend and test again for {group}; a person reviews each “{class}”",
    "bias/representation": "collect images of {group}, and train again",
    "bias/label-agreement": "have {group} labelled again by others, and train again",
    "bias/label-errors": "have {group} labelled again, and train again",
    "shift/accuracy": "label images from where it will run, and train and test with them",
    "shortcut/metadata": "train without {attribute} in the pictures, and test again",
    "shortcut/toggle": "train without {artefact} in the pictures, and test again",
    "deployment/latency": "make it faster, or run it on faster hardware",
    "deployment/size": "make the file smaller, or allow a larger one",
    "deployment/quantization": "do not ship the {variant} version",
}


def title(finding: Finding) -> str:
    """A finding's heading in plain words."""
    return _said(finding, "title")


def short_name(finding: Finding) -> str:
    """A finding in a few words, for a list."""
    return _said(finding, "short")


def topic(check: str) -> str:
    """What a check is about, in a few words; its id where it has no words here."""
    return _TOPICS.get(check, check.partition("/")[2].replace("-", " ") or check)


def action(finding: Finding) -> str:
    """What to do before release about a failure, in a few words."""
    text = _filled(_ACTIONS.get(finding.check, "\0"), finding)
    return f"mend and measure again: {short_name(finding)}" if "\0" in text else text


def measure_title(check: str, measure: Measure) -> str:
    """The heading of a measure that is shown apart from its findings."""
    return title(Finding(id="", check=check, measure=measure, unmeasured=None))


def _said(finding: Finding, part: str) -> str:
    result = _result(finding)
    found = _WORDS.get(f"{finding.check}:{result.name}")
    if found is not None:
        text = _filled(getattr(found, part), finding)
        if "\0" not in text:
            return text
    plain = result.name.replace("-", " ")
    about = subject_text(result.subject)
    name = topic(finding.check) if result.name == "check" else f"{topic(finding.check)}, {plain}"
    if part == "title":
        name = name[:1].upper() + name[1:]
    return name if about == "all images" else f"{name}: {about}"


def _filled(template: str, finding: Finding) -> str:
    result = _result(finding)
    subject = result.subject
    fields = dict(subject.keys) | {
        "role": subject.role or "test",
        "variant": subject.variant or "as-given",
        "group": (group := group_text(subject, check=finding.check)) or "\0",
        "of_group": f", {group}" if group else "",
    }
    if "part" in fields:
        fields["part"] = {"sound": "without unsound images"}.get(fields["part"], "as given")
    if "{short}" in template:
        fields["short"] = short_name(finding)
    return template.format_map(_Fields(fields))


class _Fields(dict[str, str]):
    """Fields of a template; one that a subject lacks marks the text as unfit."""

    def __missing__(self, key: str) -> str:
        return "\0"


_NOT_GROUPS = frozenset(
    {"class", "classes", "claim", "part", "coverage", "kind", "property", "artefact", "attribute",
     "by", "input", "threshold"}
)  # fmt: skip


_NOT_GROUPS_OF_BIAS = frozenset({"class", "classes", "annotator", "attribute"})


def group_keys(subject: Subject, *, check: str) -> Mapping[str, str]:
    """The attributes and groups that a check's subject is about; empty for all images."""
    # A column of the manifest may be called "kind" or "part": checks of groups have no such keys.
    others = _NOT_GROUPS_OF_BIAS if check.startswith("bias/") else _NOT_GROUPS
    if check == "deployment/quantization" and subject.get("kind") not in ("harmful", None):
        others = others - {"kind"}
    return {key: said for key, said in subject.keys if key not in others}


def group_text(subject: Subject, *, check: str) -> str:
    """The group of a subject as ``accessible (household)``; empty for all images."""
    return ", ".join(f"{said} ({key})" for key, said in group_keys(subject, check=check).items())


def _result(finding: Finding) -> Measure | Unmeasured:
    found = finding.measure or finding.unmeasured
    if found is None:
        raise ValueError(f"finding {finding.id} has neither a measure nor a reason")
    return found
