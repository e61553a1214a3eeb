"""What a network is made of: layers, links, size, work, field of view."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from auditor.models.layers import Layer, Role
from auditor.models.receptive_field import Seen, follow
from auditor.spec import InputSpec


@dataclass(frozen=True)
class Unsteady:
    """Operators, one name each, for which the same image may get another answer.

    `random` ones draw numbers (a dropout in training mode among them); `batch` ones take the mean
    and variance of the images beside it.
    """

    random: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArchitectureFacts:
    """What a network is made of; None where the file does not show it.

    `layer_counts` counts operators by type, `residual_links` additions that join a skip,
    `concatenated_links` concatenations that do. `depth` is the longest path in convolutions and
    linear layers, `flops` twice the multiply-adds of one image, `input_numbers` the numbers one
    image has, `receptive_field` the pixels a side that the last weighted layer over a map sees,
    which is the image's longer side where attention, a squeeze or a pooling shows it all of it.
    """

    layer_counts: Mapping[str, int]
    n_convolutions: int
    n_depthwise: int
    n_linear: int
    poolings: tuple[str, ...]
    normalisations: tuple[str, ...]
    activations: tuple[str, ...]
    residual_links: int
    concatenated_links: int
    depth: int
    n_parameters: int
    flops: int | None
    input_numbers: int
    receptive_field: int | None
    quantised: bool
    unsteady: Unsteady = Unsteady()


@runtime_checkable
class HasArchitecture(Protocol):
    """A predictor that can say what its network is made of."""

    @property
    def architecture(self) -> ArchitectureFacts: ...


def describe(
    layers: Sequence[Layer],
    *,
    n_parameters: int,
    flops: int | None,
    input: InputSpec,
    quantised: bool = False,
    unsteady: Unsteady = Unsteady(),
) -> ArchitectureFacts:
    """Facts of layers in the order in which they run."""
    convolutions = [layer for layer in layers if layer.role == "convolution"]
    depths = _depths(layers)
    seen = follow(layers, axes="ncss" if input.layout == "nchw" else "nssc")
    return ArchitectureFacts(
        layer_counts=dict(sorted(Counter(layer.op for layer in layers).items())),
        n_convolutions=len(convolutions),
        n_depthwise=sum(layer.depthwise for layer in convolutions),
        n_linear=sum(layer.role == "linear" for layer in layers),
        poolings=_poolings(layers, seen),
        normalisations=_ops(layers, "normalisation"),
        activations=_ops(layers, "activation"),
        residual_links=_skips(layers, depths, "add"),
        concatenated_links=_skips(layers, depths, "concat"),
        depth=max(depths.values(), default=0),
        n_parameters=n_parameters,
        flops=flops,
        input_numbers=math.prod(input.size) * (1 if input.channels == "grey" else 3),
        receptive_field=_receptive_field(layers, seen, side=max(input.size)),
        quantised=quantised,
        unsteady=unsteady,
    )


def _ops(layers: Sequence[Layer], role: Role) -> tuple[str, ...]:
    return tuple(sorted({layer.op for layer in layers if layer.role == role}))


def _poolings(layers: Sequence[Layer], seen: Sequence[Seen | None]) -> tuple[str, ...]:
    """Poolings, and means or maxima over positions; those over channels alone normalise."""
    over_positions = {
        layer.op
        for layer, made in zip(layers, seen, strict=True)
        if layer.role == "reduction" and made is not None and made.pooling
    }
    return tuple(sorted({*_ops(layers, "pooling"), *over_positions}))


def flops_of(layers: Sequence[Layer]) -> int | None:
    """Twice the multiply-adds of one image; None where a layer's are unknown, or there are none."""
    known = [layer.macs for layer in layers if layer.macs is not None]
    total = sum(known)
    return 2 * total if len(known) == len(layers) and total > 0 else None


def _depths(layers: Sequence[Layer]) -> dict[str, int]:
    """For each tensor the most weighted layers on a way from the image to it."""
    depth: dict[str, int] = {}
    for layer in layers:
        reached = max((depth.get(name, 0) for name in layer.inputs), default=0) + layer.weighted
        depth.update(dict.fromkeys(layer.outputs, reached))
    return depth


def _skips(layers: Sequence[Layer], depth: Mapping[str, int], role: Role) -> int:
    """Joints of tensors that lie at different depths: one of them has skipped layers."""
    joints = [layer for layer in layers if layer.role == role]
    return sum(1 for j in joints if len({depth.get(name, 0) for name in j.inputs}) > 1)


def _receptive_field(
    layers: Sequence[Layer], seen: Sequence[Seen | None], *, side: int
) -> int | None:
    over_maps = [
        made
        for layer, made in zip(layers, seen, strict=True)
        if layer.weighted and made is not None and not made.pooled
    ]
    if not over_maps:
        return None
    return side if over_maps[-1].whole else over_maps[-1].size
