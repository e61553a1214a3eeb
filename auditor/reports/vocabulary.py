"""The words of reports: families, checks, measures, and what to do about a failure."""

from __future__ import annotations

from dataclasses import dataclass

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
"""Families of checks in the order in which an audit asks."""

CHAPTERS = ("bias", "performance", "shift", "shortcut", "data", "model", "deployment", "operations")
"""Families in the order of the report's chapters: people first."""


@dataclass(frozen=True)
class Words:
    """A measure in words. `title` heads a finding, `short` names it in a list of page one."""

    title: str
    short: str


WORDS = {
    "data/manifest:failing-rows": Words(
        "Rows of the {split} manifest that break its rules", "faulty manifest rows"
    ),
    "data/images:unreadable-share": Words(
        "Images that cannot be read, {split} data", "unreadable images"
    ),
    "data/images:odd-share": Words(
        "Unusual images, {split} data: {kind}", "unusual images ({kind})"
    ),
    "data/duplicates:duplicate-share": Words(
        "Copies among the {split} images", "duplicated images"
    ),
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
    "performance/overall:accuracy": Words("Accuracy on the {split} images", "accuracy"),
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
        "Share of {group} in the {split} data, against the share due", "{group}: missing in {split}"
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
        "How severely {annotator} labels {group}, against the expert",
        "{annotator}’s labels of {group}",
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
    "performance/abstention:accuracy-at-coverage": Words(
        "Accuracy where it answers only what it is surest of, share answered: {coverage}",
        "accuracy on the surest {coverage} of images",
    ),
    "performance/abstention:aurc": Words(
        "Share of wrong answers, averaged over all shares answered", "mean risk"
    ),
    "bias/threshold:best-gap": Words(
        "Smallest gap of {attribute} that any threshold of “{class}” gives",
        "smallest gap by threshold, {attribute}",
    ),
    "bias/coverage:undecidable-cells": Words(
        "Combinations of {attribute} and label with too few images to decide",
        "too few to decide, {attribute} and label",
    ),
    "bias/slices:accuracy": Words("Accuracy in the found group {slice}", "found group {slice}"),
    "shortcut/toggle:accuracy-lost": Words(
        "Accuracy lost when {artefact} is added", "accuracy lost by adding {artefact}"
    ),
    "shortcut/toggle:answer-shift": Words(
        "Answers “{class}” won by {artefact}", "answers “{class}” won by {artefact}"
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

OTHERWISE = {
    "bias/label-agreement:severity": Words(
        "How severely {group} is labelled, against the expert", "labels of {group}"
    ),
}
"""Words of the measures in `WORDS` whose subject lacks what those words name."""

TOO_MUCH = {
    "bias/representation:share-ratio": Words(
        "Share of {group} in the {split} data, against the share due",
        "{group}: too many in {split}",
    ),
}
"""Words of the ratios in `WORDS` where they fail by being too large."""

TOPICS = {
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

ACTIONS_TOO_MUCH = {
    "bias/representation": "collect images of others than {group}, and train again",
}

ACTIONS = {
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
    "bias/label-agreement": "have others than {annotator} label {group} again, and train again",
    "bias/label-errors": "have {group} labelled again, and train again",
    "shift/properties": "test again on images such as those where it will run",
    "shift/accuracy": "label images from where it will run, and train and test with them",
    "shortcut/metadata": "train without {attribute} in the pictures, and test again",
    "shortcut/toggle": "train without {artefact} in the pictures, and test again",
    "deployment/latency": "make it faster, or run it on faster hardware",
    "deployment/size": "make the file smaller, or allow a larger one",
    "deployment/quantization": "do not ship the {variant} version",
}
