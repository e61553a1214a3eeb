"""From what an audit gathered to its record."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from auditor.contract import Check
from auditor.contract.documentation import check_text
from auditor.data.dataset import Attribute, Dataset
from auditor.data.truth import BoxTruth, MapTruth
from auditor.engine.gather import Loaded, pass_size
from auditor.engine.gathered import Gathered
from auditor.record import (
    AttributeSummary,
    CheckText,
    DatasetSummary,
    GroupCount,
    PassFacts,
    PlanSummary,
    SetApart,
)
from auditor.record.codec import encode
from auditor.spec import Document
from auditor.spec.declarations import basis_of, basis_text


def plan_summary(loaded: Loaded) -> PlanSummary:
    plan = loaded.plan
    return PlanSummary(
        checks=tuple(check.id for check in plan.checks),
        not_run=plan.not_run,
        passes=tuple(str(p) for p in plan.passes),
    )


def pass_facts(loaded: Loaded) -> tuple[PassFacts, ...]:
    datasets = loaded.available.datasets
    return tuple(PassFacts(str(p), pass_size(p, datasets)) for p in loaded.plan.passes)


def check_texts(checks: Sequence[Check]) -> tuple[CheckText, ...]:
    """The documentation of each check with the parameters that it ran with."""
    return tuple(
        check_text(
            type(check),
            # As JSON holds them, so that a record reads back equal to the one written.
            values={f.name: encode(getattr(check, f.name)) for f in dataclasses.fields(check)},
        )
        for check in checks
    )


def input_digests(loaded: Loaded, gathered: Gathered) -> dict[str, str]:
    """SHA-256 of everything that was read, by the name it has in the spec."""
    digests = {"model": loaded.predictor.facts.digest}
    for split, dataset in loaded.available.datasets.items():
        digests[f"data.{split}"] = dataset.digest
        digests[f"data.{split}.images"] = _images_digest(dataset, gathered)
    for name, variant in loaded.spec.variants.items():
        if variant.path is not None and name in gathered.predictors:
            digests[f"variants.{name}"] = gathered.predictors[name].facts.digest
    target = loaded.spec.target
    if target is not None and target.bench is not None:
        found = loaded.spec.resolve(target.bench).read_bytes()
        digests["target.bench"] = hashlib.sha256(found).hexdigest()
    return digests


def dataset_summaries(
    gathered: Gathered, declarations: Document | None
) -> tuple[DatasetSummary, ...]:
    """Counts of every split, as given and in its clean subset."""
    return tuple(
        _dataset_summary(dataset, gathered, declarations)
        for dataset in gathered.available.datasets.values()
    )


def _dataset_summary(
    dataset: Dataset, gathered: Gathered, declarations: Document | None
) -> DatasetSummary:
    keep = gathered.soundness.keep(dataset.split)
    report = gathered.manifest_reports[dataset.split]
    return DatasetSummary(
        split=dataset.split,
        n=len(dataset),
        n_sound=int(keep.sum()),
        n_units=None if dataset.unit_codes is None else len(np.unique(dataset.unit_codes)),
        has_labels=dataset.has_labels,
        labels=_class_counts(dataset, keep),
        attributes=tuple(
            _attribute_summary(a, dataset, keep, declarations) for a in dataset.attributes
        ),
        set_apart=tuple(
            SetApart(reason, n)
            for reason, n in gathered.soundness.summary()[dataset.split].items()
            if reason not in ("images", "sound")
        ),
        digest=dataset.digest,
        images_digest=_images_digest(dataset, gathered),
        n_rows=report.n_rows,
        left_out=report.counts.left_out,
    )


def _class_counts(dataset: Dataset, keep: np.ndarray) -> tuple[GroupCount, ...]:
    """Images of each class; of what is annotated with boxes those that hold it, of maps none."""
    if isinstance(dataset.truth, MapTruth):
        return ()
    found = []
    for i, name in enumerate(dataset.classes):
        holds = dataset.labels == i
        if isinstance(dataset.truth, BoxTruth):
            boxes = dataset.truth.boxes
            holds = np.isin(np.arange(len(dataset)), boxes.image[boxes.classes == i])
        found.append(GroupCount(name, int(holds.sum()), int(holds[keep].sum())))
    return tuple(found)


def _attribute_summary(
    attribute: Attribute, dataset: Dataset, keep: np.ndarray, declarations: Document | None
) -> AttributeSummary:
    basis = basis_of(declarations, attribute.name)
    groups = dataset.groups(attribute.name)
    return AttributeSummary(
        name=attribute.name,
        role=attribute.role,
        groups=tuple(
            GroupCount(g, int((groups == g).sum()), int((groups[keep] == g).sum()))
            for g in attribute.groups
        ),
        missing=int((groups == "").sum()),
        population=attribute.population,
        numeric=attribute.numeric,
        special_category=attribute.special_category,
        basis=None if basis is None else basis_text(basis),
        smallest_cell=attribute.smallest,
        pooled=attribute.pooled,
    )


def _images_digest(dataset: Dataset, gathered: Gathered) -> str:
    digests, found = gathered.splits[dataset.split].digests, hashlib.sha256()
    order = dataset.image_ids.order()
    for digest, image_id in zip(digests.take(order), dataset.image_ids.take(order), strict=True):
        line = f"{digest}  {image_id}\n"
        found.update(line.encode("utf-8", errors="backslashreplace"))
    return found.hexdigest()
