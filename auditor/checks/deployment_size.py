"""deployment/size: how large the model is that will be shipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.contract import Check, Evidence, Need, Words
from auditor.contract.words import FROM_0
from auditor.findings import Measure, Measured, ModelFacts, Result, Subject, Unmeasured
from auditor.stats import Exact


@dataclass(frozen=True)
class Size(Check):
    """The model's file in megabytes, its parameters, its work for one image, its zeros.

    What it measures
    ----------------
    The bytes of the model file and of every file that it keeps weights in, in megabytes of a
    million bytes; the number of weights; the floating-point operations of one image, twice the
    multiply-adds of convolutions and products; and how many of their stored weights are 0: one by
    one, as whole channels, and two in every four along the inputs. Integer weights count as 0
    where they stand for it.

    Why it matters
    --------------
    A device in the field has a store, a memory and often a slow connection for updates. A model
    that does not fit is not deployed, or is deployed in a compressed form that nobody audited.

    How it can mislead
    ------------------
    The file is not the memory that the model takes when it runs: activations and the runtime
    come on top (``deployment/memory`` measures the peak on a declared target). The runtime
    has to be shipped as well. Few parameters do not make a fast model,
    and few operations neither: memory can take longer than work. Weights that are 0 make a file or
    a run smaller only where the format and the runtime skip them, which most do not.
    """

    id: ClassVar[str] = "deployment/size"
    topic: ClassVar[str] = "size and work"
    needs: ClassVar[tuple[Need, ...]] = ()
    words: ClassVar = {
        "file-megabytes": Words(
            title="Size of the model file",
            span=FROM_0,
            unit="MB",
            short="file size",
            sentence="The model file takes {point}.",
            action="make the file smaller, or allow a larger one",
        ),
        "flops": Words(
            title="Work of the model for one image",
            span=FROM_0,
            short="FLOPs",
            sentence="One image takes {point} (twice its multiply-adds).",
        ),
        "zero-weights": Words(
            title="Weights of the model that are 0",
            short="weights that are 0",
            sentence=(
                "{point} of {weights:,} weights of convolutions and products are 0; "
                "{zero_channels:,} of {channels:,} channels hold nothing else.",
                "{two_in_four:,} of {layers:,} layers hold two zeros in every four weights, which "
                "some accelerators skip.",
            ),
        ),
        "parameters": Words(
            title="Weights of the model",
            span=FROM_0,
            short="weights",
            sentence="The model has {point}.",
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        megabytes = evidence.model.file_bytes / 1e6
        yield Measure(
            name="file-megabytes",
            subject=Subject(),
            estimate=Exact(megabytes),
            scale="amount",
            unit="MB",
            least=0.0,
            better="lower",
            n=1,
        )
        yield _parameters(evidence.model.n_parameters)
        yield _flops(evidence.model.flops)
        yield _zeros(evidence.model)


def _parameters(count: int | None) -> Measured:
    if count is None:
        return Unmeasured(
            name="parameters",
            subject=Subject(),
            reason="The number of weights cannot be read from this file.",
            remedy="Export the model to ONNX and audit that file.",
        )
    return _counted("parameters", count, unit="weights")


def _flops(count: int | None) -> Measured:
    if count is None:
        return Unmeasured(
            name="flops",
            subject=Subject(),
            reason="The work of some layer cannot be told from this file.",
            remedy="Export the model with fixed sizes, and audit that file.",
        )
    return _counted("flops", count, unit="FLOPs")


def _counted(name: str, count: int, *, unit: str) -> Measure:
    return Measure(
        name=name,
        subject=Subject(),
        estimate=Exact(count),
        scale="amount",
        unit=unit,
        least=0.0,
        better="none",
        n=1,
    )


def _zeros(model: ModelFacts) -> Measured:
    share = model.zero_share
    if share is None:
        return Unmeasured(
            name="zero-weights",
            subject=Subject(),
            reason="No weight of a convolution or product can be read from this file.",
            remedy="Export the model to ONNX and audit that file.",
        )
    return Measure(
        name="zero-weights",
        subject=Subject(),
        estimate=Exact(share),
        scale="share",
        better="none",
        n=1,
        facts=dict(model.sparsity),
    )
