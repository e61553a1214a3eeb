"""deployment/quantization: what INT8 and FP16 forms of the model lose, and who loses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.checks.int8_calibrators import calibrators
from auditor.comparing.forms import Form, FormPasses, form_results
from auditor.contract import (
    EXPORTED,
    Attributes,
    Available,
    Check,
    Confidences,
    Evidence,
    LiveModel,
    Need,
    NotMeasurableError,
    Predictions,
    Unmet,
    Words,
)
from auditor.contract.form_words import form_words
from auditor.contract.words import FROM_0
from auditor.errors import ModelError
from auditor.findings import Measure, Measured, Result, Subject, Unmeasured
from auditor.models.contained import int8_notes
from auditor.models.identity import machine_facts
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
from auditor.models.predictor import Prediction
from auditor.models.sameness import difference
from auditor.scoring.comparison import too_few, worst_first
from auditor.spec import FP16, INT8, TargetSpec
from auditor.stats import Exact, interval, rate

FEWEST_BLOCKS = 10
"""Pairs of blocks below which the spread of a speed ratio is not known."""
HALF_IMAGES = 1_000
"""Images of a split that the FP16 form answers: it differs less, and takes longer on processors."""
_BATCH = 8


@dataclass(frozen=True)
class CompressedPasses(FormPasses):
    """Answers of a compressed form, made of a floating-point model or named by the spec."""

    def unmet(self, available: Available) -> Unmet | None:
        stated = available.spec.variants.get(self.variant)
        if available.model.quantised and (stated is None or stated.path is None):
            return Unmet(
                reason="The model's weights are quantised already.",
                remedy="Nothing is to be done: the audit measures the model as it will ship. To "
                "see what quantization cost, audit the floating-point file and name this one as "
                "`variants.int8.path`.",
            )
        return super().unmet(available)


@dataclass(frozen=True)
class HalfPasses(CompressedPasses):
    """Answers of the FP16 form, which a model that is fed 16 bits is already."""

    variant: str = FP16
    sample: int | None = HALF_IMAGES

    def unmet(self, available: Available) -> Unmet | None:
        stated = available.spec.variants.get(self.variant)
        halved = available.spec.model.input.dtype == "float16"
        if halved and (stated is None or stated.path is None):
            return Unmet(
                reason="The model is in half precision already.",
                remedy="Nothing to do: the audit measures it as it will ship.",
                applies=False,
            )
        return super().unmet(available)


GROUPS = Attributes(optional=True)
HALF = HalfPasses(optional=True)
SURE = Confidences(optional=True)


_WORDS: Mapping[str, Words | tuple[Words, ...]] = {
    **form_words(),
    "calibrator-noise": Words(
        title="Distance of the {variant} form's outputs from the float ones, ranges by "
        "{calibrator}",
        span=FROM_0,
        scale="ratio",
        short="error of ranges by {calibrator}",
        sentence=(
            "With ranges by {calibrator} the {variant} form's outputs are off by "
            "{share:percent} of what images change in them, on {n} images of the {split} data "
            "({used}).",
        ),
    ),
    "export-disagreement": Words(
        title="Images that the ONNX form answers otherwise than the PyTorch model",
        short="answers that change on export",
        sentence="Written as ONNX, from which the compressed forms are made, the model answers "
        "{value} of {n} images otherwise; scores move by at most {largest:.2g}.",
        action="export the model so that it answers the same",
    ),
    "size-ratio": Words(
        title="Size of the {variant} form against the model as given",
        span=FROM_0,
        scale="ratio",
        short="size of {variant} form",
        sentence="The {variant} file takes {megabytes:,.2f} MB, {point} the "
        "{megabytes_as_given:,.2f} MB of the model as given.",
        action="do not ship the {variant} form",
    ),
    "speed-ratio": Words(
        title="Time of the model as given against the {variant} form",
        span=FROM_0,
        scale="ratio",
        short="speed of {variant} form",
        sentence=(
            "On this machine ({processor}) the model as given takes {value} the time of "
            "its {variant} form.",
            "{slower:if}The {variant} form is slower here.",
        ),
        action="do not ship the {variant} form for its speed",
    ),
    "processor-ratio": Words(
        title="Processor time of the model as given against the {variant} form",
        span=FROM_0,
        scale="ratio",
        short="processor time of {variant} form",
        sentence=(
            "On this machine ({processor}) the model as given takes {value} the processor "
            "time of its {variant} form.",
            "{slower:if}The {variant} form is slower here.",
        ),
        action="do not ship the {variant} form for its speed",
    ),
}


@dataclass(frozen=True)
class Quantization(Check):
    """What INT8 and FP16 forms of the model lose, in all and by every group; size and speed.

    What it measures
    ----------------
    The forms that the spec names as `variants.int8` and `variants.fp16`, else the auditor's own:
    the model quantised to 8 bits (quantise and dequantise nodes, weights by channel, unsigned
    activations), and rounded to 16 bits. A PyTorch model is first written as ONNX, and the share
    of images is told that this file answers otherwise.

    Ranges of activations for 8 bits are taken from training images (test images where there are
    none) by two calibrators, the least and greatest value seen (MinMax) and 99.99% of the values
    (Percentile). The form is kept whose outputs lie nearer those of the model as given on images
    that no range was taken from. No label is looked at; both distances are told.

    Every form answers the same images as the model as given, on every labelled split (FP16 on a
    thousand of each). Accuracy
    (objects found) as given minus that of the form, over all rows and within every group, by the
    rows that only one of the two has right (McNemar); by how much more a group loses than all
    others; average precision or IoU lost; the share of answers that change, and that change from
    right to wrong; the change of the calibration error; the images most affected; the size of the
    file; and the speed, both forms timed in alternating blocks of one run, by the clock and by
    processor time.

    Why it matters
    --------------
    A model is often made smaller on its way to a device, after its evaluation. Accuracy over all
    hardly moves then, while the errors that are added gather in groups that are rare in the
    training images. Which calibrator is used can cost tens of points.

    How it can mislead
    ------------------
    Where the spec names no file, this is the auditor's own compression with common settings: the
    one that ships may be better (trained for it) or worse, so name its file. Where calibration used
    the test images it has seen them, labels aside, and the loss may look a little smaller than it
    is. The nearer outputs need not be the better answers. An INT8 file answers by the processor's
    instructions and the runtime's version, which the sentence names: on another machine it can
    answer otherwise. Small groups lose or gain points by luck; the interval counts. The speed is of
    this machine: processors without instructions for 8-bit products can be slower with INT8 than
    without. An image of a segmenter counts as right from a mean overlap (IoU) of 0.5 on: a form may
    draw worse and lose no image.
    """

    id: ClassVar[str] = "deployment/quantization"
    topic: ClassVar[str] = "the eight-bit and half-precision forms"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        CompressedPasses(),
        HALF,
        LiveModel(),
        GROUPS,
        SURE,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Krishnamoorthi (2018), arXiv:1806.08342",
        "Nagel et al. (2021), arXiv:2106.08295 (choice of ranges)",
        "Hooker, Moorosi, Clark, Bengio & Denton (2020), arXiv:2010.03058 (who bears the loss)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "McNemar (1947), doi:10.1007/BF02295996",
    )

    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = _WORDS

    blocks: Annotated[int, "Pairs of blocks that the two forms are timed in."] = 30
    block_runs: Annotated[int, "Runs a block holds."] = 10
    budget_s: Annotated[float, "Seconds after which no further timing of a form begins."] = 10.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 3
    parity_images: Annotated[int, "Images on which an export is held against the original."] = 64

    def run(self, evidence: Evidence) -> Iterator[Result]:
        yield from self._form(evidence, INT8)
        yield from calibrators(evidence)
        if evidence.has(HALF):
            try:
                yield from self._form(evidence, FP16)
            except NotMeasurableError as error:
                subject = Subject(variant=FP16)
                yield Unmeasured("accuracy-lost", subject, error.reason, error.remedy)
        if evidence.model.format != "onnx":
            yield from self._export(evidence)

    def _form(self, evidence: Evidence, variant: str) -> Iterator[Result]:
        facts = machine_facts(evidence.predictor(variant).facts.format)
        sample = HALF.sample if variant == FP16 else None
        for split in evidence.labelled_splits():
            form = Form.of(
                evidence, variant, split, check=self.id, by_group=evidence.has(GROUPS),
                sure=evidence.has(SURE), facts=facts, sample=sample,
            )  # fmt: skip
            yield from form_results(form)
        yield _size_ratio(evidence, variant)
        yield from self._speed(evidence, variant)

    def _export(self, evidence: Evidence) -> Iterator[Measured]:
        """Whether the ONNX file that torch wrote answers as the network does."""
        name, subject = "export-disagreement", Subject(split="test", variant=EXPORTED)
        frames = evidence.frames("test", sample=self.parity_images)
        ids = np.asarray(evidence.frame_ids("test", sample=self.parity_images), dtype=object)
        few = too_few(name, subject, sides={"the sample": len(ids)})
        if few is not None:
            yield few
            return
        try:
            models = [evidence.predictor(), evidence.predictor(EXPORTED)]
        except NotMeasurableError:
            return  # Every form was named by the spec: none was exported.
        point = evidence.spec.model.point.confidence
        found = difference(
            *(
                Prediction.joined(
                    [m.predict(frames[at : at + _BATCH]) for at in range(0, len(frames), _BATCH)]
                )
                for m in models
            ),
            confidence=point,
        )
        yield Measure(
            name=name,
            subject=subject,
            estimate=rate(found.changed),
            scale="share",
            better="lower",
            n=len(ids),
            examples=worst_first(ids, badness=found.moved, among=found.changed),
            facts={"largest": float(found.moved.max())},
        )

    def _speed(self, evidence: Evidence, variant: str) -> Iterator[Result]:
        request = self._request(evidence, variant)
        subject = Subject(variant=variant)
        try:
            result = calmest_bench(request, attempts=self.attempts)
        except ModelError as error:
            reason = f"The two forms could not be timed: {error}"
            yield _untimed(subject, reason, remedy="Run the audit again on the target.")
            return
        pairs = min(len(m.wall_ms) for m in result.models) // self.block_runs
        if pairs < FEWEST_BLOCKS:
            yield _untimed(
                subject,
                f"{pairs} pairs of blocks fitted into the time; a spread takes {FEWEST_BLOCKS}.",
                remedy="Raise `budget_s` of this check under `checks` in the audit spec.",
            )
            return
        yield self._ratio(result, "processor-ratio", subject)
        disturbed = disturbance(result, on_cpu=request.on_cpu)
        if disturbed is None:
            yield self._ratio(result, "speed-ratio", subject)
        else:
            yield _untimed(
                subject,
                f"Timings were contended, in each attempt: in the calmest {disturbed}.",
                remedy="Run the audit (or this check alone) on the target with nothing else "
                "running; `processor-ratio` is less disturbed.",
            )

    def _request(self, evidence: Evidence, variant: str) -> BenchRequest:
        target = evidence.spec.target or TargetSpec(name="this machine")
        given = evidence.model_path() if evidence.model.format == "onnx" else None
        return BenchRequest(
            # One runtime for both: PyTorch's own time would be that of another program.
            models=(
                TimedModel(evidence.model_path(EXPORTED) if given is None else given),
                TimedModel(evidence.model_path(variant)),
            ),
            shape=(batch_of(evidence.model), *tensor_shape(evidence.spec.input_of(variant))),
            dtype=evidence.spec.input_of(variant).dtype,
            threads=target.threads,
            providers=target.providers,
            runs=self.blocks * self.block_runs,
            block=self.block_runs,
            budget_s=self.budget_s,
        )

    def _ratio(self, result: BenchResult, name: str, subject: Subject) -> Measure:
        given, here = result.models
        by_wall = name == "speed-ratio"
        times = (given.wall_ms, here.wall_ms) if by_wall else (given.cpu_ms, here.cpu_ms)
        draws = ratio_draws(*times, block=self.block_runs)
        return Measure(
            name=name,
            subject=subject,
            estimate=draws,
            scale="ratio",
            neutral=1.0,
            better="higher",
            n=min(len(times[0]), len(times[1])),
            volatile=True,
            facts={
                "machine": vars(result.machine),
                "processor": str(result.machine),
                "slower": interval(draws).high < 1,
                "switches_per_run": result.switches_per_run,
                "wall_over_cpu": result.wall_over_cpu,
                "median_ms_as_given": float(np.median(times[0])),
                "median_ms_here": float(np.median(times[1])),
            },
        )


def _untimed(subject: Subject, reason: str, *, remedy: str) -> Unmeasured:
    return Unmeasured("speed-ratio", subject, reason, remedy, volatile=True)


def _size_ratio(evidence: Evidence, variant: str) -> Measure:
    size, given = evidence.predictor(variant).facts.file_bytes, evidence.model.file_bytes
    made = int8_notes(evidence.model_path(variant)).said if variant == INT8 else ()
    return Measure(
        name="size-ratio",
        subject=Subject(variant=variant),
        estimate=Exact(size / given),
        scale="ratio",
        better="lower",
        n=1,
        facts={
            "bytes": size,
            "bytes_as_given": given,
            "megabytes": size / 1e6,
            "megabytes_as_given": given / 1e6,
            "made": list(made),
        },
    )
