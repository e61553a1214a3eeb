"""deployment/quantization: what an INT8 form of the model would lose, and who would lose it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.comparing.by_group import measure_cells
from auditor.comparing.pairs import Pair
from auditor.contract import (
    Attributes,
    Available,
    Check,
    Evidence,
    Need,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.quantity_words import lost_words
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.errors import ModelError
from auditor.findings import Cell, Column, Measure, Measured, Result, Subject, Table, Unmeasured
from auditor.models.contained import int8_notes
from auditor.models.inputs import tensor_shape
from auditor.models.latency import (
    BenchRequest,
    BenchResult,
    TimedModel,
    batch_of,
    calmest_bench,
    disturbance,
    ratio_draws,
)
from auditor.scoring.comparison import worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.set_values import EmptySetError
from auditor.spec import TargetSpec
from auditor.stats import Exact, mcnemar_exact

INT8 = "int8"
FEWEST_BLOCKS = 10
"""Pairs of blocks below which the spread of a speed ratio is not known."""


@dataclass(frozen=True)
class Int8Predictions(Predictions):
    """Answers of the INT8 form, which only a floating-point ONNX model can be given."""

    variant: str = INT8

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.format != "onnx":
            return Unmet(
                reason=f"An INT8 form is made from an ONNX file; this is a "
                f"{available.model.format} model.",
                remedy="Export the model to ONNX and audit that file, with the original under "
                "`model.reference`.",
            )
        if available.model.quantised:
            return Unmet(
                reason="The model's weights are quantised already.",
                remedy="Nothing is to be done: the audit measures the model as it will ship. To "
                "see what quantization cost, audit the floating-point file.",
            )
        return super().unmet(available)


GROUPS = Attributes(optional=True)


@dataclass(frozen=True)
class Quantization(Check):
    """Accuracy lost by an INT8 form of the model, in all and by every group; size and speed.

    What it measures
    ----------------
    The model is quantised to 8 bits (weights by channel, activations calibrated on training
    images, or on test images where there are none) and answers the same test images. Accuracy as
    given minus accuracy as INT8, over all images and within every group of every attribute, by
    the images that only one of the two answers right; the share of answers that change, and that
    change from right to wrong; the size of the file; and the speed, both forms timed in
    alternating blocks.

    Why it matters
    --------------
    A model is often made smaller on its way to a device, after its evaluation. Accuracy over all
    hardly moves then, while the errors that are added gather in groups that are rare in the
    training images.

    How it can mislead
    ------------------
    This is the auditor's own quantization with common settings: the one that ships may be better
    (trained for it) or worse, and is best audited as a file of its own. Where calibration used
    the test images it has seen them, labels aside, and the loss may look a little smaller than it
    is. Small groups lose or gain points by luck; the interval counts. The speed is of this
    machine: processors without instructions for 8-bit products can be slower with INT8 than
    without.
    """

    id: ClassVar[str] = "deployment/quantization"
    topic: ClassVar[str] = "the eight-bit version"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Int8Predictions(), Truth(), GROUPS)
    sources: ClassVar[tuple[str, ...]] = (
        "Krishnamoorthi (2018), arXiv:1806.08342",
        "Hooker, Moorosi, Clark, Bengio & Denton (2020), arXiv:2010.03058 (who bears the loss)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "McNemar (1947), doi:10.1007/BF02295996",
    )

    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "accuracy-lost": (
            Words(
                title="Objects lost in the {variant} version{of_group}",
                span=EITHER_WAY,
                short="objects lost in the {variant} version{of_group}",
                sentence="Objects found as INT8{of_group}: {this}; as given {other}; {point} lost.",
                hundred="Of 100 objects{of_group}, the model as given finds {there}; its "
                "{variant} version {here}.",
                sides=("This version", "As given"),
                column="objects lost in {variant}",
                action="do not ship the {variant} version",
                of="object",
            ),
            Words(
                title="Accuracy lost in the {variant} version{of_group}",
                span=EITHER_WAY,
                short="{variant} version{of_group}",
                sentence="Accuracy as INT8{of_group}: {this}; as given {other}; {point} lost.",
                hundred="Of 100 images{of_group}, the model as given answers {there} rightly; its "
                "{variant} version {here}.",
                sides=("This version", "As given"),
                column="lost in {variant}",
                action="do not ship the {variant} version",
            ),
        ),
        **lost_words(
            ("This version", "As given"),
            where="in the {variant} version{of_group}",
            action="do not ship the {variant} version",
        ),
        "flip-rate": (
            Words(
                title="Answers that turn from right to wrong in the {variant} version",
                short="answers that turn wrong in {variant}",
                sentence="{value} of {n} test {rows} turn from right to wrong in the INT8 form "
                "({kind}).",
                action="do not ship the {variant} version",
            ),
            Words(
                title="Answers that change in the {variant} version",
                short="answers that change in {variant}",
                sentence="{value} of {n} test {rows} get another answer from the INT8 form.",
                action="do not ship the {variant} version",
            ),
        ),
        "size-ratio": Words(
            title="Size of the {variant} version against the model as given",
            span=FROM_0,
            short="size of {variant} version",
            sentence="The INT8 file takes {megabytes:,.2f} MB, {point} the "
            "{megabytes_as_given:,.2f} MB of the model as given.",
            action="do not ship the {variant} version",
        ),
        "speed-ratio": Words(
            title="Time of the model as given against the {variant} version",
            span=FROM_0,
            short="speed of {variant} version",
            sentence="On this machine ({processor}) the model as given takes {value} the time of "
            "its INT8 form.",
            action="do not ship the {variant} version",
        ),
        "processor-ratio": Words(
            title="Processor time of the model as given against the {variant} version",
            span=FROM_0,
            short="processor time of {variant} version",
            sentence="On this machine ({processor}) the model as given takes {value} the processor "
            "time of its "
            "INT8 form.",
            action="do not ship the {variant} version",
        ),
    }

    blocks: Annotated[int, "Pairs of blocks that the two forms are timed in."] = 30
    block_runs: Annotated[int, "Runs a block holds."] = 10
    budget_s: Annotated[float, "Seconds after which no further timing begins."] = 10.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 3

    def run(self, evidence: Evidence) -> Iterator[Result]:
        pair = Pair.of(evidence.scored(), evidence.scored(variant=INT8))
        yield _lost(pair, {}, among="the test images")
        yield from _flips(pair)
        images = Pair.of(evidence.scored(of="image"), evidence.scored(variant=INT8, of="image"))
        values = (evidence.set_values(), evidence.set_values(variant=INT8))
        yield from _sets_lost(images, *values, by_group=evidence.has(GROUPS))
        if evidence.has(GROUPS):
            yield from _by_group(pair)
        yield _size_ratio(evidence)
        yield from self._speed(evidence)

    def _speed(self, evidence: Evidence) -> Iterator[Result]:
        request = self._request(evidence)
        try:
            result = calmest_bench(request, attempts=self.attempts)
        except ModelError as error:
            reason = f"The two forms could not be timed: {error}"
            yield _unmeasured("speed-ratio", reason, remedy="Run the audit again on the target.")
            return
        pairs = min(len(m.wall_ms) for m in result.models) // self.block_runs
        if pairs < FEWEST_BLOCKS:
            yield _unmeasured(
                "speed-ratio",
                f"{pairs} pairs of blocks fitted into the time; a spread takes {FEWEST_BLOCKS}.",
                remedy="Raise `budget_s` of this check under `checks` in the audit spec.",
            )
            return
        yield self._ratio(result, "processor-ratio")
        disturbed = disturbance(result, on_cpu=request.on_cpu)
        if disturbed is None:
            yield self._ratio(result, "speed-ratio")
        else:
            yield _unmeasured(
                "speed-ratio",
                f"Timings were contended, in each attempt: in the calmest {disturbed}.",
                remedy="Run the audit (or this check alone) on the target with nothing else "
                "running; `processor-ratio` is less disturbed.",
            )

    def _request(self, evidence: Evidence) -> BenchRequest:
        target = evidence.spec.target or TargetSpec(name="this machine")
        return BenchRequest(
            models=(TimedModel(evidence.model_path()), TimedModel(evidence.model_path(INT8))),
            shape=(batch_of(evidence.model), *tensor_shape(evidence.spec.model.input)),
            dtype=evidence.spec.model.input.dtype,
            threads=target.threads,
            providers=target.providers,
            runs=self.blocks * self.block_runs,
            block=self.block_runs,
            budget_s=self.budget_s,
        )

    def _ratio(self, result: BenchResult, name: str) -> Measure:
        given, int8 = result.models
        by_wall = name == "speed-ratio"
        times = (given.wall_ms, int8.wall_ms) if by_wall else (given.cpu_ms, int8.cpu_ms)
        draws = ratio_draws(*times, block=self.block_runs)
        return Measure(
            name=name,
            subject=_SUBJECT,
            estimate=draws,
            scale="ratio",
            neutral=1.0,
            better="higher",
            n=min(len(times[0]), len(times[1])),
            volatile=True,
            facts={
                "machine": vars(result.machine),
                "processor": str(result.machine),
                "switches_per_run": result.switches_per_run,
                "wall_over_cpu": result.wall_over_cpu,
                "median_ms_as_given": float(np.median(times[0])),
                "median_ms_int8": float(np.median(times[1])),
            },
        )


_SUBJECT = Subject(variant=INT8)


def _unmeasured(name: str, reason: str, *, remedy: str) -> Unmeasured:
    return Unmeasured(name, _SUBJECT, reason, remedy, volatile=True)


def _lost(pair: Pair, keys: Mapping[str, str], *, among: str) -> Measured:
    """Accuracy as given minus as INT8, over the images of `pair`."""
    name, subject = "accuracy-lost", Subject.about(keys, split="test", variant=INT8)
    few = pair.too_few(name, subject, among=among)
    if few is not None:
        return few
    given, int8 = pair.first.right, pair.second.right
    broken, fixed = pair.broken, ~given & int8
    found = pair.difference(
        name,
        subject,
        of=(given, int8),
        better="lower",
        examples=worst_first(pair.first.image_ids, badness=pair.second.confidence, among=broken),
        facts={
            "right_only_as_given": int(broken.sum()),
            "right_only_int8": int(fixed.sum()),
            "mcnemar_p": mcnemar_exact(int(broken.sum()), int(fixed.sum())),
        },
    )
    # This side is the form that would ship; the loss is what it lacks.
    return replace(found, sides=None if found.sides is None else found.sides[::-1])


def _sets_lost(
    pair: Pair, given: Sequence[Quantity], int8: Sequence[Quantity], *, by_group: bool
) -> Iterator[Measured]:
    """What all images, and those of each group, lose of the chief value that a set has."""
    if not given or not int8:
        return
    parts: list[tuple[dict[str, str], np.ndarray]] = [({}, np.ones(len(pair), dtype=bool))]
    for attribute in pair.first.attributes if by_group else ():
        of = pair.first.groups(attribute.name)
        parts += [({attribute.name: group}, of == group) for group in _groups(attribute, of)]
    for keys, keep in parts:
        yield _set_lost(pair, given[0], int8[0], keys, keep)


def _set_lost(
    pair: Pair, given: Quantity, int8: Quantity, keys: Mapping[str, str], keep: np.ndarray
) -> Measured:
    name, subject = f"{given.name}-lost", Subject.about(keys, split="test", variant=INT8)
    part = pair.take(keep)
    few = part.too_few(name, subject, among=" ".join(keys.values()) or "the test images")
    if few is not None:
        return few
    try:
        sides = tuple(replace(q, values=q.over(keep), of_set=None) for q in (given, int8))
    except EmptySetError as empty:
        remedy = "Add annotated images of this group that hold what is looked for."
        return Unmeasured(name, subject, f"There is nothing to measure by: {empty}.", remedy)
    found = part.set_difference(*sides, name=name, subject=subject)
    # This side is the form that would ship; the loss is what it lacks.
    return replace(found, sides=None if found.sides is None else found.sides[::-1])


def _flips(pair: Pair) -> Iterator[Measured]:
    subject = Subject(split="test", variant=INT8)
    harmful = Subject.of(split="test", variant=INT8, kind="harmful")
    for about, changed in ((subject, pair.changed), (harmful, pair.broken)):
        few = pair.too_few("flip-rate", about, among="the test images")
        yield pair.share("flip-rate", about, changed) if few is None else few


def _by_group(pair: Pair) -> Iterator[Result]:
    lines: list[tuple[Cell, ...]] = []
    for attribute in pair.first.attributes:
        of = pair.first.groups(attribute.name)
        for group in _groups(attribute, of):
            part = pair.take(of == group)
            lost = _lost(part, {attribute.name: group}, among=f"{group} ({attribute.name})")
            lines.append(_line(attribute, group, part, lost))
            yield lost
    yield _table(lines)


def _groups(attribute: Attribute, of: np.ndarray) -> tuple[str, ...]:
    """Every group declared or seen, without the images that have no value."""
    seen = set(of.tolist()) - set(attribute.groups) - {MISSING_GROUP}
    return (*attribute.groups, *sorted(seen))


def _line(attribute: Attribute, group: str, pair: Pair, lost: Measured) -> tuple[Cell, ...]:
    head = (attribute.name, attribute.role, group, len(pair), pair.n_units)
    if isinstance(lost, Unmeasured):
        return (*head, *(None,) * 7)
    shares = (side.right.mean() for side in (pair.first, pair.second))
    changes = (changed.mean() for changed in (pair.changed, pair.broken))
    return (*head, *map(float, shares), *measure_cells(lost), *map(float, changes))


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    counts = ("attribute", "role", "group", "images", "units")
    shares = ("accuracy as given", "accuracy as INT8", "lost", "low", "high", "answers changed",
              "turned wrong")  # fmt: skip
    return Table(
        id="deployment/quantization:groups",
        title="What every group would lose with the INT8 form",
        columns=(*(Column(c) for c in counts), *(Column(s, "share") for s in shares)),
        rows=tuple(rows),
    )


def _size_ratio(evidence: Evidence) -> Measure:
    path = evidence.model_path(INT8)
    ratio = path.stat().st_size / evidence.model.file_bytes
    return Measure(
        name="size-ratio",
        subject=_SUBJECT,
        estimate=Exact(ratio),
        scale="ratio",
        better="lower",
        n=1,
        facts={
            "bytes": path.stat().st_size,
            "bytes_as_given": evidence.model.file_bytes,
            "megabytes": path.stat().st_size / 1e6,
            "megabytes_as_given": evidence.model.file_bytes / 1e6,
            "made": list(int8_notes(path)),
        },
    )
