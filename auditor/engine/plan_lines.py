"""What `auditor plan` prints: what will run, what will not and why, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.contract import Pass
from auditor.contract.numbers import numbered
from auditor.data.dataset import Dataset
from auditor.data.views import AS_SHOT
from auditor.engine.driving import cluster_lines
from auditor.engine.gather import CostEstimate, Loaded, cost_of, pass_size
from auditor.engine.ray_cluster import OnRay
from auditor.engine.remote_marks import copy_told_apart_by, told_apart_by
from auditor.models.bench.machine import threads_allowed
from auditor.record.reasons import set_apart_text
from auditor.spec import ModelSpec
from auditor.spec.named_urls import data_urls, model_urls, named_urls


def plan_lines(loaded: Loaded, *, on: OnRay | None = None) -> list[str]:
    """Lines for a reader; `on`, where Ray is to run the sweeps. Decodes a few images."""
    cost = cost_of(loaded)
    return [
        *(f"Model: {note}" for note in loaded.predictor.facts.notes),
        *_head_lines(loaded.spec.model),
        *_remote_lines(loaded),
        *_row_lines(loaded),
        *_check_lines(loaded),
        "",
        *_pass_lines(loaded, cost),
        *([] if on is None else cluster_lines(loaded, on, cost)),
    ]


def _head_lines(model: ModelSpec) -> list[str]:
    """How a detector's or segmenter's outputs are read, defaults included."""
    if model.head is None:
        return []
    stated = model.head.model_dump(mode="json")
    told = ", ".join(f"{key}: {json.dumps(v)}" for key, v in stated.items() if v not in ({}, ""))
    lines = [f"Output ({model.task}): {told}"]
    if model.gives_boxes:
        point = model.point
        lines.append(
            f"Operating point: boxes count from a score of {point.confidence:g}, and are right "
            f"from an overlap (IoU) of {point.overlap:g}"
        )
    return lines


def _remote_lines(loaded: Loaded) -> Iterator[str]:
    """What is read over the network, and how a change of it is seen."""
    how = {url: copy_told_apart_by(loaded.spec.copies, url) for _, url in model_urls(loaded.spec)}
    for key, url in data_urls(loaded.spec):
        if key.endswith("images"):
            how[url] = told_apart_by(loaded.available.datasets[key.split(".")[1]].paths)
    for key, url in named_urls(loaded.spec):
        yield f"Over the network: {key}: {url}" + (f" ({how[url]})" if how.get(url) else "")


def _row_lines(loaded: Loaded) -> Iterator[str]:
    """The rows of each split, and those that are left out by reason, as far as reading tells."""
    for split, report in loaded.manifest_reports.items():
        images = len(loaded.available.datasets[split])
        yield f"{split}: {numbered(report.n_rows, 'row')}, {numbered(images, 'image')}"
        for one in report.counts.left_out:
            cause = f" ({one.cause})" if one.cause else ""
            yield f"  left out: {one.n:,} {set_apart_text(one.reason)}{cause}"
        yield from (f"  {note}" for note in report.notes)
    yield ""


def _check_lines(loaded: Loaded) -> list[str]:
    plan = loaded.plan
    lines = [f"Will run ({len(plan.checks)}):"]
    lines += [f"  {check.id}" for check in plan.checks]
    lines += ["", f"Will not run ({len(plan.not_run)}):"]
    for left_out in plan.not_run:
        lines += [f"  {left_out.check}: {left_out.reason}", f"      {left_out.remedy}"]
    return lines


_FEW_VIEWS = 8
"""Views of one sample that are told one by one; of more their number."""


def _told_passes(passes: Sequence[Pass], datasets: Mapping[str, Dataset]) -> Iterator[str]:
    """A line for each pass; one for many views of the same sample."""
    alike: dict[Pass, list[Pass]] = {}
    for one in passes:
        alike.setdefault(replace(one, view=AS_SHOT), []).append(one)
    for group in alike.values():
        # The images that it takes are counted, so that the most it might take need not be named.
        told = [(replace(one, sample=None), pass_size(one, datasets)) for one in group]
        if len(group) <= _FEW_VIEWS:
            yield from (f"{named}: {numbered(n, 'image')}" for named, n in told)
        else:
            images = sum(n for _, n in told)
            yield f"{told[0][0]} and {len(group) - 1} other views: {images:,} images in all"


def _pass_lines(loaded: Loaded, cost: CostEstimate) -> list[str]:
    datasets = loaded.available.datasets
    lines = [
        f"Passes ({len(loaded.plan.passes)}), each a split / what is done to its images / the form "
        "of the model:"
    ]
    lines += [f"  {line}" for line in _told_passes(loaded.plan.passes, datasets)]
    seconds = cost.cpu_seconds / threads_allowed()
    about = f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{max(seconds, 1):.0f} seconds"
    lines += [
        "",
        f"{cost.decodes} images to decode, {cost.inferences} to put through the model: about "
        f"{about} of sweeping on this machine, without what an earlier run has kept; the checks "
        "on the target hardware come on top.",
    ]
    return lines
