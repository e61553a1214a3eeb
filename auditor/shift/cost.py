"""What a difference between test and deployment images goes with, measured on labels."""

from __future__ import annotations

from typing import Any

from auditor.comparing.two_samples import Sample, two_samples
from auditor.contract import Evidence, LabelledSplits
from auditor.findings import Subject, Unmeasured
from auditor.stats import p_value

LABELLED = LabelledSplits(optional=True)
"""The need of a check that tells it."""

COST = (
    "It is right less often there: {right_test:percent} on test images, "
    "{right_there:percent} on deployment images{lost:if}.",
    "That it is right less often there is not shown: {right_test:percent} on test images, "
    "{right_there:percent} on deployment images{no_loss_shown:if}.",
    "{right_means}{right_there:if}",
    "What it costs is not known: too few deployment images have labels{unknown:if}.",
)
"""Parts of a sentence over the facts of `cost`."""


def cost(evidence: Evidence) -> dict[str, Any]:
    """What a difference goes with: without harm it is not material.

    For a check that declares `LABELLED`.
    """
    if not evidence.has(LABELLED):
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
