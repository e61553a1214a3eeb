"""deployment/quantization: what an INT8 form of the model would lose, and who would lose it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Attributes, Available, Check, Evidence, Need, Predictions, Truth, Unmet
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.errors import ModelError
from auditor.findings import Cell, Column, Measure, Result, Subject, Table, Unmeasured
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
from auditor.scoring.comparison import (
    count_units,
    points_text,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.spec import TargetSpec
from auditor.stats import (
    Exact,
    Rate,
    interval,
    mcnemar_exact,
    paired_difference,
    rate,
    value,
)

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
class Pair:
    """The same labelled images answered by both forms of the model, in the same order."""

    given: Outcomes
    int8: Outcomes

    def take(self, keep: np.ndarray) -> Pair:
        return Pair(self.given.take(keep), self.int8.take(keep))

    @property
    def units(self) -> np.ndarray | None:
        return self.given.units

    @property
    def broken(self) -> np.ndarray:
        """Right as given and wrong as INT8, (n,) bool."""
        broken: np.ndarray = self.given.correct & ~self.int8.correct
        return broken

    @property
    def mended(self) -> np.ndarray:
        """Wrong as given and right as INT8, (n,) bool."""
        mended: np.ndarray = ~self.given.correct & self.int8.correct
        return mended

    @property
    def flipped(self) -> np.ndarray:
        """Answered otherwise as INT8, (n,) bool."""
        flipped: np.ndarray = self.given.predicted != self.int8.predicted
        return flipped


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
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Int8Predictions(), Truth(), GROUPS)
    sources: ClassVar[tuple[str, ...]] = (
        "Krishnamoorthi (2018), arXiv:1806.08342",
        "Hooker, Moorosi, Clark, Bengio & Denton (2020), arXiv:2010.03058 (who bears the loss)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "McNemar (1947), doi:10.1007/BF02295996",
    )

    blocks: Annotated[int, "Pairs of blocks that the two forms are timed in."] = 30
    block_runs: Annotated[int, "Runs a block holds."] = 10
    budget_s: Annotated[float, "Seconds after which no further timing begins."] = 10.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 3

    def run(self, evidence: Evidence) -> Iterator[Result]:
        pair = Pair(
            given=evidence.outcomes().with_labels(),
            int8=evidence.outcomes(variant=INT8).with_labels(),
        )
        yield _lost(pair, {}, among="the test images")
        yield from _flips(pair)
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
        ends = interval(draws)
        clock = "time" if by_wall else "processor time"
        return Measure(
            name=name,
            subject=_SUBJECT,
            estimate=draws,
            unit="times",
            better="higher",
            n=min(len(times[0]), len(times[1])),
            volatile=True,
            details={
                "machine": vars(result.machine),
                "switches_per_run": result.switches_per_run,
                "wall_over_cpu": result.wall_over_cpu,
                "median_ms_as_given": float(np.median(times[0])),
                "median_ms_int8": float(np.median(times[1])),
                "sentence": f"On this machine the model as given takes {value(draws):.2f} times "
                f"[{ends.low:.2f}, {ends.high:.2f}] the {clock} of its INT8 form.",
            },
        )


_SUBJECT = Subject(variant=INT8)


def _unmeasured(name: str, reason: str, *, remedy: str) -> Unmeasured:
    return Unmeasured(name=name, subject=_SUBJECT, reason=reason, remedy=remedy)


def _lost(pair: Pair, keys: Mapping[str, str], *, among: str) -> Measure | Unmeasured:
    """Accuracy as given minus as INT8, over the images of `pair`."""
    name, subject = "accuracy-lost", Subject.about(keys, split="test", variant=INT8)
    few = _too_few(name, subject, pair, among=among)
    if few is not None:
        return few
    before, after = _accuracy(pair, pair.given), _accuracy(pair, pair.int8)
    change = paired_difference(pair.given.correct, pair.int8.correct, unit=pair.units)
    n = len(pair.given)
    return Measure(
        name=name,
        subject=subject,
        estimate=paired_difference(pair.int8.correct, pair.given.correct, unit=pair.units),
        unit="share",
        better="lower",
        n=n,
        n_units=_n_units(pair),
        examples=_broken_first(pair),
        details={
            "rate": rate_details(after, n=n),
            "rest": rate_details(before, n=n),
            "right_only_as_given": int(pair.broken.sum()),
            "right_only_int8": int(pair.mended.sum()),
            "mcnemar_p": mcnemar_exact(int(pair.broken.sum()), int(pair.mended.sum())),
            "sentence": f"Accuracy as INT8, {among}: {rate_text(after, n=n)}; as given "
            f"{rate_text(before, n=n)}; {points_text(change)}.",
        },
    )


def _too_few(name: str, subject: Subject, pair: Pair, *, among: str) -> Unmeasured | None:
    everyone = np.ones(len(pair.given), dtype=bool)
    return too_few(
        name,
        subject,
        sides={among: count_units(everyone, pair.units)},
        noun="images" if pair.units is None else "units",
    )


def _n_units(pair: Pair) -> int | None:
    return None if pair.units is None else len(np.unique(pair.units.astype(str)))


def _accuracy(pair: Pair, form: Outcomes) -> Rate:
    return rate(form.correct, unit=pair.units)


def _broken_first(pair: Pair) -> tuple[str, ...]:
    """Images that INT8 breaks, those it is surest of first."""
    return worst_first(pair.given.image_ids, badness=pair.int8.confidence, among=pair.broken)


def _flips(pair: Pair) -> Iterator[Result]:
    subject = Subject(split="test", variant=INT8)
    yield _flip_rate(pair, pair.flipped, subject, said="get another answer from the INT8 form")
    harmful = Subject.of(split="test", variant=INT8, kind="harmful")
    yield _flip_rate(pair, pair.broken, harmful, said="turn from right to wrong in the INT8 form")


def _flip_rate(
    pair: Pair, changed: np.ndarray, subject: Subject, *, said: str
) -> Measure | Unmeasured:
    few = _too_few("flip-rate", subject, pair, among="the test images")
    if few is not None:
        return few
    estimate, n = rate(changed, unit=pair.units), len(changed)
    return Measure(
        name="flip-rate",
        subject=subject,
        estimate=estimate,
        unit="share",
        better="lower",
        n=n,
        n_units=_n_units(pair),
        examples=worst_first(pair.given.image_ids, badness=pair.int8.confidence, among=changed),
        details={
            "images": int(changed.sum()),
            "sentence": f"{rate_text(estimate, n=n)} test images {said}.",
        },
    )


def _by_group(pair: Pair) -> Iterator[Result]:
    rows: list[tuple[Cell, ...]] = []
    for attribute in pair.given.attributes:
        of = pair.given.groups(attribute.name)
        for group in _groups(attribute, of):
            part = pair.take(of == group)
            lost = _lost(part, {attribute.name: group}, among=f"{group} ({attribute.name})")
            rows.append(_row(attribute, group, part, lost))
            yield lost
    yield _table(rows)


def _groups(attribute: Attribute, of: np.ndarray) -> tuple[str, ...]:
    """Every group declared or seen, without the images that have no value."""
    seen = set(of.tolist()) - set(attribute.groups) - {MISSING_GROUP}
    return (*attribute.groups, *sorted(seen))


def _row(
    attribute: Attribute, group: str, pair: Pair, lost: Measure | Unmeasured
) -> tuple[Cell, ...]:
    head = (attribute.name, attribute.role, group, len(pair.given), _n_units(pair))
    if isinstance(lost, Unmeasured):
        return (*head, None, None, None, None, None, None, None)
    ends = interval(lost.estimate)
    return (
        *head,
        float(pair.given.correct.mean()),
        float(pair.int8.correct.mean()),
        value(lost.estimate),
        ends.low,
        ends.high,
        float(pair.flipped.mean()),
        float(pair.broken.mean()),
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    counts = ("attribute", "split", "group", "images", "units")
    shares = ("accuracy as given", "accuracy as INT8", "lost", "low", "high", "answers changed",
              "turned wrong")  # fmt: skip
    return Table(
        id="deployment/quantization:groups",
        title="What every group would lose with the INT8 form",
        columns=(*(Column(c) for c in counts), *(Column(s, "share") for s in shares)),
        rows=tuple(rows),
    )


def _size_ratio(evidence: Evidence) -> Measure:
    # Reads the graph: onnx is not worth loading where no INT8 form was asked for.
    from auditor.models.quantize import quantization_notes

    path = evidence.model_path(INT8)
    ratio = path.stat().st_size / evidence.model.file_bytes
    return Measure(
        name="size-ratio",
        subject=_SUBJECT,
        estimate=Exact(ratio),
        unit="ratio",
        better="lower",
        n=1,
        details={
            "bytes": path.stat().st_size,
            "bytes_as_given": evidence.model.file_bytes,
            "made": list(quantization_notes(path)),
            "sentence": f"The INT8 file takes {path.stat().st_size / 1e6:,.2f} MB, {ratio:.2f} of "
            f"the {evidence.model.file_bytes / 1e6:,.2f} MB of the model as given.",
        },
    )
