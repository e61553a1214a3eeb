"""From a spec to all evidence: read, load, plan, sweep, set the unsound apart."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.contract import AS_GIVEN, Available, Pass
from auditor.data.annotate import AnnotatedTask, read_annotated
from auditor.data.annotators import with_annotators
from auditor.data.copies import LIKENESS_VERSION, Likeness
from auditor.data.dataset import Dataset
from auditor.data.dicom import require_pydicom
from auditor.data.expectations import ManifestReport
from auditor.data.held_rows import let_go
from auditor.data.manifest import ReadDataset, read_datasets
from auditor.data.near_duplicates import KIND_NAMES, NEAR
from auditor.data.pooling import pool_small_groups
from auditor.data.soundness import Soundness, assess
from auditor.data.thumbnails import HeldThumbnails
from auditor.engine.gathered import Gathered
from auditor.engine.plan import Plan, make_plan
from auditor.engine.runner import Report, Runner
from auditor.engine.sampling import nested_order
from auditor.engine.scans import numbers_of
from auditor.engine.store import Store, key_of
from auditor.engine.sweep import SweptSplit, sweep_split
from auditor.engine.variants import decoded_frames, make_variants
from auditor.errors import DataError
from auditor.freed_memory import hold_large_apart, return_freed_memory
from auditor.models.bench_file import read_bench
from auditor.models.contained import ContainedPredictor
from auditor.models.load import load_model, model_classes
from auditor.models.predictor import Predictor
from auditor.spec import AuditSpec


@dataclass(frozen=True)
class Loaded:
    """A spec with its model and its manifests read; no image decoded yet."""

    available: Available
    predictor: ContainedPredictor
    model_path: Path
    manifest_reports: Mapping[str, ManifestReport]
    plan: Plan

    @property
    def spec(self) -> AuditSpec:
        return self.available.spec


def load(spec: AuditSpec, *, only: Sequence[str] = (), trust_code: bool = False) -> Loaded:
    """Read manifests, load the model, plan. Raises AuditorError for whatever does not fit."""
    hold_large_apart()
    if spec.data.dicom is not None:
        require_pydicom()
    # A result of the target that is refused is told before any work.
    read_bench(spec)
    classes = model_classes(spec)
    read = _read(spec, classes)
    datasets = {split: found.dataset.with_names_in_file() for split, found in read.items()}
    reports = {split: found.report for split, found in read.items()}
    del read
    return_freed_memory(images=sum(map(len, datasets.values())), with_cycles=True)
    predictor = load_model(spec, classes=classes, trust_code=trust_code)
    available = Available(spec=spec, model=predictor.facts, datasets=datasets)
    return Loaded(
        available=available,
        predictor=predictor,
        model_path=spec.resolve(spec.model.path),
        manifest_reports=reports,
        plan=make_plan(available, only=only),
    )


def _read(spec: AuditSpec, classes: tuple[str, ...]) -> dict[str, ReadDataset]:
    if spec.model.task == "classification":
        return read_datasets(spec.data, folder=spec.folder, classes=classes)
    task = AnnotatedTask(spec.model, classes, spec.folder)
    return with_annotators(read_annotated(spec.data, task), spec.data, task)


def gather(loaded: Loaded, *, store: Store, report: Report, runner: Runner) -> Gathered:
    """Sweep all splits, assess soundness, make variants, sweep what was waiting for either.

    Raises DataError when more of a split than `data.limits.unreadable_share` is unreadable.
    """
    datasets = loaded.available.datasets
    first = {
        split: _sweep(loaded, split, loaded.plan.early, store=store, report=report, runner=runner)
        for split in datasets
    }
    scans = {split: swept.scan() for split, swept in first.items()}
    for split, scan in scans.items():
        _stop_if_unusable(datasets[split], scan, loaded.spec)
    return_freed_memory(images=sum(map(len, datasets.values())))
    soundness = _assessed(loaded, first, store=store)
    _let_go_of_files(first)
    _stop_if_too_few_left(soundness, loaded.spec)
    variants = make_variants(
        loaded.available, loaded.plan.variants, given=loaded.predictor, swept=first, store=store
    )
    late = tuple(p for p in loaded.plan.late if p.variant in variants.predictors)
    second = [
        _sweep(loaded, split, late, store=store, report=report, runner=runner,
               earlier=first[split], predictors=variants.predictors, sound=soundness.keep(split))
        for split in datasets
        if any(p.split == split for p in late)
    ]  # fmt: skip
    _let_go_of_files(first)
    pooled = pool_small_groups(
        datasets,
        sound={split: soundness.keep(split) for split in datasets},
        smallest=loaded.spec.data.smallest_cell,
    )
    return Gathered(
        available=replace(loaded.available, datasets=pooled),
        store=store,
        splits=first,
        swept={
            replace(one.sweep_pass, sample=None, embedding=False): one
            for split in (*first.values(), *second)
            for one in split.passes
        },
        scans=scans,
        soundness=soundness,
        manifest_reports=loaded.manifest_reports,
        predictors=variants.predictors,
        model_paths=variants.paths,
        missing_variants=variants.missing,
    )


def _let_go_of_files(swept: Mapping[str, SweptSplit]) -> None:
    """Keep nothing of files in memory, nor what nothing needs any more."""
    for split in swept.values():
        let_go(split.digests.held, split.former.held, *numbers_of(split.scan()))
        split.image_ids.let_go()
    images = sum(len(split.image_ids) for split in swept.values())
    return_freed_memory(images=images, with_cycles=True)


def _assessed(loaded: Loaded, swept: Mapping[str, SweptSplit], *, store: Store) -> Soundness:
    """What is set apart; comparisons that an earlier run made of the same pixels are kept."""
    data, white = loaded.spec.data, loaded.spec.model.input.range
    path = store.path("likeness", key_of("likeness", LIKENESS_VERSION), ".json")
    held: dict[str, dict[str, Any]] = {}
    if store.holds(path):
        held = json.loads(path.read_text(encoding="utf-8"))
    known = {pair: Likeness(**found) for pair, found in held.items()}
    with tempfile.TemporaryFile(dir=store.folder) as file:
        parts = (part for split in swept.values() for part in split.thumbnails())
        found = assess(
            loaded.available.datasets,
            {split: one.scan_with_digests() for split, one in swept.items()},
            near=data.duplicates.near,
            max_pixels=data.limits.max_pixels,
            white=white,
            dicom=data.dicom,
            known=known,
            thumbnails=HeldThumbnails.written(parts, file),
        )
    if known.keys() != held.keys():
        with store.writing(path) as temporary:
            # Of images without noise a comparison holds NaN, which Python's JSON can.
            stated = {pair: asdict(alike) for pair, alike in known.items()}
            temporary.write_text(json.dumps(stated), encoding="utf-8")
    return found


def _stop_if_too_few_left(soundness: Soundness, spec: AuditSpec) -> None:
    allowed = spec.data.limits.duplicate_share
    for split, found in soundness.splits.items():
        pairs = pd.concat([found.duplicates, found.seen], ignore_index=True)
        near = pairs[(pairs["kind"] == KIND_NAMES[NEAR]) & ~pairs["reported"]]
        n = near["image"].nunique()
        if n > allowed * len(found.readable):
            shown = "; ".join(f"{p.image} and {p.twin}" for p in near.head(3).itertuples())
            raise DataError(
                f"{n} of {len(found.readable)} {split} images would be set apart as copies of "
                f"other images, though not to the pixel ({shown}). An audit goes on up to a share "
                f"of {allowed:.0%}. Look at these pairs: if they are other shots, write "
                f"`data.duplicates: {{near: report}}`; if they are copies, remove them or raise "
                f"`data.limits.duplicate_share`."
            )


def _sweep(
    loaded: Loaded,
    split: str,
    passes: Sequence[Pass],
    *,
    store: Store,
    report: Report,
    runner: Runner,
    earlier: SweptSplit | None = None,
    predictors: Mapping[str, Predictor] | None = None,
    sound: np.ndarray | None = None,
) -> SweptSplit:
    return sweep_split(
        loaded.available.datasets[split],
        [p for p in passes if p.split == split],
        spec=loaded.spec,
        store=store,
        predictors=predictors or {AS_GIVEN: loaded.predictor},
        keep_frames=split in loaded.plan.kept,
        report=report,
        earlier=earlier,
        sound=sound,
        stage="decode and predict" if earlier is None else "predict variants and views",
        runner=runner,
    )


def _stop_if_unusable(dataset: Dataset, scan: pd.DataFrame, spec: AuditSpec) -> None:
    unreadable = np.flatnonzero(~scan["readable"].to_numpy(dtype=bool))
    allowed = spec.data.limits.unreadable_share
    if len(unreadable) > allowed * len(scan):
        first = unreadable[:3]
        told = zip(dataset.image_ids[first], scan["error"].iloc[first], strict=True)
        shown = "; ".join(f"{image}: {error}" for image, error in told)
        raise DataError(
            f"{len(unreadable)} of {len(scan)} {dataset.split} images cannot be read ({shown}). An "
            f"audit goes on up to a share of {allowed:.0%}. Mend or remove the files, or raise "
            f"`data.limits.unreadable_share` in the audit spec and say why."
        )


def cost_of(loaded: Loaded, *, images: int = 16) -> CostEstimate:
    """Time a few decodes and inferences and scale them to the plan."""
    dataset = loaded.available.datasets["test"]
    rows = nested_order(dataset, seed=loaded.spec.audit.seed)[:images]
    start = time.process_time()
    frames = decoded_frames(dataset, rows, loaded.spec)
    decode_seconds = (time.process_time() - start) / len(frames)
    loaded.predictor.predict(frames[:1])
    # By the clock: the model runs in a process of its own.
    start = time.perf_counter()
    loaded.predictor.predict(frames)
    infer_seconds = (time.perf_counter() - start) / len(frames)
    decodes = sum(len(d) for d in loaded.available.datasets.values())
    inferences = sum(pass_size(p, loaded.available.datasets) for p in loaded.plan.passes)
    seconds = decodes * decode_seconds + inferences * infer_seconds
    return CostEstimate(decodes=decodes, inferences=inferences, cpu_seconds=seconds)


@dataclass(frozen=True)
class CostEstimate:
    """Images to decode, images to put through the model, and an estimate of the sweep's work."""

    decodes: int
    inferences: int
    cpu_seconds: float


def pass_size(sweep_pass: Pass, datasets: Mapping[str, Dataset]) -> int:
    """Images that a pass puts through the model."""
    whole = len(datasets[sweep_pass.split])
    return whole if sweep_pass.sample is None else min(whole, sweep_pass.sample)
