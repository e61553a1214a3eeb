"""model/architecture: what the network is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from auditor.contract import Check, Evidence, Need, NotMeasurableError, Words
from auditor.contract.words import FROM_0
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
    many pixels of the image the last convolution sees. `random-operators` counts those that draw
    numbers while the model answers (dropout in training mode, `RandomNormal`, `Multinomial` and
    the like, on any way through the program), `batch-operators` normalisations by the mean of the
    batch, as in training.

    Why it matters
    --------------
    It shows whether the file is the network that was described, and what it will cost to run.
    A deep network without links past its layers is hard to train, and a network that sees 20
    pixels a side cannot judge a room as a whole. An operator that draws, or that takes an image
    by its neighbours, gives one image several answers, and no test holds for the next.

    How it can mislead
    ------------------
    A design is no proof of quality: old networks can be good and new ones badly trained. The
    exporter may have merged a normalisation or a folded table into other numbers, which are
    counted as they are stored, so counts can differ a little from the publication's. FLOPs
    are not speed: memory and the runtime decide that as well. The part of the image that
    really moves the answer is smaller than the receptive field. Numbers can be made to look
    random by plain arithmetic, which no list of operators shows; of code that is not traced only
    what ran on one image is seen.
    """

    id: ClassVar[str] = "model/architecture"
    topic: ClassVar[str] = "what the model is made of"
    needs: ClassVar[tuple[Need, ...]] = ()
    words: ClassVar = {
        "parameters": Words(
            title="Parameters of the network",
            span=FROM_0,
            short="parameters",
            sentence=("{point}.", "Its weights are 8-bit integers{eight_bit:if}."),
        ),
        "flops": Words(
            title="Operations that an image takes",
            span=FROM_0,
            short="operations",
            sentence="{billions:.3g} billion operations an image.",
        ),
        "convolutions": Words(
            title="Convolutions of the network",
            span=FROM_0,
            short="convolutions",
            sentence="{point} of convolution, {linear} linear layers, {poolings}.",
        ),
        "depthwise-convolutions": Words(
            title="Depthwise convolutions of the network",
            span=FROM_0,
            short="depthwise convolutions",
        ),
        "linear-layers": Words(
            title="Linear layers of the network", span=FROM_0, short="linear layers"
        ),
        "depth": Words(title="Weighted layers on the longest path", span=FROM_0, short="depth"),
        "residual-links": Words(
            title="Additions that link past layers",
            span=FROM_0,
            short="links past layers",
            sentence=(
                "{depth} weighted layers on the longest path, {added} additions and {joined} "
                "concatenations link past layers{linked:if}.",
                "Deep ({depth} weighted layers on the longest path) without a single link past "
                "layers, which makes a network hard to train{deep_without_links:if}.",
                "{depth} weighted layers on the longest path; no link past layers, and none "
                "needed{none_needed:if}.",
            ),
        ),
        "concatenated-links": Words(
            title="Concatenations that link past layers", span=FROM_0, short="concatenations"
        ),
        "receptive-field": Words(
            title="How much of the image the last convolution sees",
            span=FROM_0,
            short="receptive field",
        ),
        "random-operators": Words(
            title="Operators that draw at random while the model answers",
            short="operators that draw at random",
            sentence=(
                "{point}: {random}. The same image may get another answer each time{drawn:if}.",
                "None of its operators draws at random{steady:if}.",
            ),
            action="export the model in evaluation mode, without operators that draw at random",
            span=FROM_0,
        ),
        "batch-operators": Words(
            title="Normalisations by the images of the batch, as in training",
            short="normalisations by the batch",
            sentence=(
                "{point}: {batch}. An answer depends on the images beside it{leaning:if}.",
                "None of its operators takes an image by those beside it{steady:if}.",
            ),
            action="export the model in evaluation mode, so that normalisation uses fixed numbers",
            span=FROM_0,
        ),
        "input-numbers": Words(title="Numbers in one input image", span=FROM_0, short="input size"),
    }
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
                yield _measure(name, found, unit, _facts(name, facts, self.deep))
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
        ("random-operators", len(facts.unsteady.random), "operators"),
        ("batch-operators", len(facts.unsteady.batch), "operators"),
    )


def _measure(name: str, found: int, unit: str, facts: Mapping[str, Any]) -> Measure:
    return Measure(
        name=name,
        subject=Subject(),
        estimate=Exact(float(found)),
        scale="amount",
        unit=unit,
        least=0.0,
        better="none",
        n=1,
        facts=facts,
    )


def _facts(name: str, facts: ArchitectureFacts, deep: int) -> dict[str, Any]:
    """The numbers beside one that say what it means."""
    if name == "convolutions":
        return {"linear": facts.n_linear, "poolings": list(facts.poolings) or ["no pooling"]}
    if name == "residual-links":
        depth = facts.depth or 0
        links = (facts.residual_links or 0) + (facts.concatenated_links or 0)
        return {
            "depth": depth,
            "added": facts.residual_links or 0,
            "joined": facts.concatenated_links or 0,
            "linked": links > 0,
            "deep_without_links": not links and depth >= deep,
            "none_needed": not links and depth < deep,
        }
    if name == "random-operators":
        found = sorted(set(facts.unsteady.random))
        return {"random": found, "drawn": bool(found), "steady": not found}
    if name == "batch-operators":
        found = sorted(set(facts.unsteady.batch))
        return {"batch": found, "leaning": bool(found), "steady": not found}
    if name == "parameters":
        return {"eight_bit": facts.quantised}
    return {"billions": (facts.flops or 0) / 1e9} if name == "flops" else {}


def _layer_table(facts: ArchitectureFacts) -> Table:
    rows = sorted(facts.layer_counts.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        id="model/architecture:layers",
        title="Operators of the network by type",
        columns=(Column("operator"), Column("count", "operators")),
        rows=tuple(rows),
    )
