"""deployment/size: how large the model is that will be shipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.contract import Check, Evidence, Need, Words
from auditor.findings import Measure, Result, Subject, Unmeasured
from auditor.stats import Exact


@dataclass(frozen=True)
class Size(Check):
    """The model's file in megabytes, and its number of parameters.

    What it measures
    ----------------
    The bytes of the model file and of every file that it keeps weights in, in megabytes of a
    million bytes, and the number of weights.

    Why it matters
    --------------
    A device in the field has a store, a memory and often a slow connection for updates. A model
    that does not fit is not deployed, or is deployed in a compressed form that nobody audited.

    How it can mislead
    ------------------
    The file is not the memory that the model takes when it runs: activations and the runtime
    come on top (``deployment/latency`` reports the peak where it times the model). The runtime
    has to be shipped as well. Few parameters do not make a fast model.
    """

    id: ClassVar[str] = "deployment/size"
    topic: ClassVar[str] = "file size"
    needs: ClassVar[tuple[Need, ...]] = ()
    words: ClassVar = {
        "file-megabytes": Words(
            title="Size of the model file",
            short="file size",
            sentence="The model file takes {point}.",
            action="make the file smaller, or allow a larger one",
        ),
        "parameters": Words(
            title="Weights of the model", short="weights", sentence="The model has {point}."
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


def _parameters(count: int | None) -> Measure | Unmeasured:
    if count is None:
        return Unmeasured(
            name="parameters",
            subject=Subject(),
            reason="The number of weights cannot be read from this file.",
            remedy="Export the model to ONNX and audit that file.",
        )
    return Measure(
        name="parameters",
        subject=Subject(),
        estimate=Exact(count),
        scale="amount",
        unit="weights",
        least=0.0,
        better="none",
        n=1,
    )
