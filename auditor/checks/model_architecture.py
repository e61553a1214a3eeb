"""model/architecture: what the network is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from auditor.contract import Check, Evidence, Need, NotMeasurableError
from auditor.findings import Column, Measure, Result, Subject, Table
from auditor.models.architecture import ArchitectureFacts, HasArchitecture
from auditor.stats import Exact


@dataclass(frozen=True)
class Architecture(Check):
    """Convolutions, pooling, links past layers, depth, parameters and FLOPs of the network.

    What it measures
    ----------------
    The layers in the model's graph: how many convolutions (and how many of them depthwise),
    linear layers, poolings, normalisations and activations it has; how many links jump over
    layers (an addition or a concatenation that joins tensors of different depth); the longest
    path in weighted layers; parameters; FLOPs of one image, two for each multiply-add; and how
    many pixels of the image the last convolution sees.

    Why it matters
    --------------
    It shows whether the file is the network that was described, and what it will cost to run.
    A deep network without links past its layers is hard to train, and a network that sees 20
    pixels a side cannot judge a room as a whole.

    How it can mislead
    ------------------
    A design is no proof of quality: old networks can be good and new ones badly trained. The
    exporter may have fused or split layers, so counts can differ from the publication's. FLOPs
    are not speed: memory and the runtime decide that as well. The part of the image that
    really moves the answer is smaller than the receptive field.
    """

    id: ClassVar[str] = "model/architecture"
    needs: ClassVar[tuple[Need, ...]] = ()
    sources: ClassVar[tuple[str, ...]] = (
        "He, Zhang, Ren & Sun (2016), doi:10.1109/CVPR.2016.90 (links past layers)",
        "Araujo, Norris & Sim (2019), doi:10.23915/distill.00021 (receptive fields)",
    )

    deep: Annotated[int, "From this many weighted layers on a path a network counts as deep."] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        predictor = evidence.predictor()
        if not isinstance(predictor, HasArchitecture):
            raise NotMeasurableError(
                "The model's network cannot be seen through its file.",
                remedy="Audit an ONNX export of the model.",
            )
        facts = predictor.architecture
        for name, found, unit in _numbers(facts):
            if found is not None:
                yield _measure(name, found, unit, _sentence(name, found, facts, self.deep))
        yield _layer_table(facts)


def _numbers(facts: ArchitectureFacts) -> tuple[tuple[str, int | None, str], ...]:
    return (
        ("parameters", facts.n_parameters, "parameters"),
        ("flops", facts.flops, "operations an image"),
        ("convolutions", facts.n_convolutions, "layers"),
        ("depthwise-convolutions", facts.n_depthwise, "layers"),
        ("linear-layers", facts.n_linear, "layers"),
        ("depth", facts.depth, "layers"),
        ("residual-links", facts.residual_links, "links"),
        ("concatenated-links", facts.concatenated_links, "links"),
        ("receptive-field", facts.receptive_field, "pixels a side"),
        ("input-numbers", facts.input_numbers, "numbers an image"),
    )


def _measure(name: str, found: int, unit: str, sentence: str | None) -> Measure:
    return Measure(
        name=name,
        subject=Subject(),
        estimate=Exact(float(found)),
        unit=unit,
        better="none",
        n=1,
        details={} if sentence is None else {"sentence": sentence},
    )


def _sentence(name: str, found: int, facts: ArchitectureFacts, deep: int) -> str | None:
    """What the numbers beside it make of one, for a reader; None where it speaks for itself."""
    if name == "convolutions":
        pooled = ", ".join(facts.poolings) or "no pooling"
        return f"{found} convolutions, {facts.n_linear} linear layers, {pooled}."
    if name == "residual-links":
        return _link_sentence(facts, deep)
    if name == "parameters":
        form = ", with weights in 8-bit integers" if facts.quantised else ""
        return f"{found:,} parameters{form}."
    if name == "flops":
        return f"{found / 1e9:.3g} billion operations an image."
    return None


def _link_sentence(facts: ArchitectureFacts, deep: int) -> str:
    added, joined = facts.residual_links or 0, facts.concatenated_links or 0
    depth = facts.depth or 0
    if added + joined:
        return (
            f"{depth} weighted layers on the longest path, {added} additions and {joined} "
            "concatenations link past layers."
        )
    if depth >= deep:
        return (
            f"Deep ({depth} weighted layers on the longest path) without a single link past "
            "layers, which makes a network hard to train."
        )
    return f"{depth} weighted layers on the longest path; no link past layers, and none needed."


def _layer_table(facts: ArchitectureFacts) -> Table:
    rows = sorted(facts.layer_counts.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        id="model/architecture:layers",
        title="Operators of the network by type",
        columns=(Column("operator"), Column("count", "operators")),
        rows=tuple(rows),
    )
