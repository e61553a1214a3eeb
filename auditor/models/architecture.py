"""What a network is made of: layers, links, size, work, field of view."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from auditor.spec import InputSpec

Role = Literal["convolution", "linear", "pooling", "normalisation", "activation", "add", "concat",
               "pointwise", "other"]  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One operator of a network, whatever format it comes from.

    `inputs` are the tensors that an image changes (weights and constants left out). `macs` are
    multiply-adds for one image, None where shapes are unknown. `kernel`, `stride` and
    `dilation` are given for convolutions and poolings. `local` is False where an output pixel
    may depend on any input pixel, or on an unknown part.
    """

    op: str
    role: Role
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int | None = 0
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    depthwise: bool = False
    local: bool = True

    @property
    def weighted(self) -> bool:
        return self.role in ("convolution", "linear")


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
    image has, `receptive_field` the pixels a side that the last convolution over a map sees.
    """

    layer_counts: Mapping[str, int]
    n_convolutions: int
    n_depthwise: int
    n_linear: int
    poolings: tuple[str, ...]
    normalisations: tuple[str, ...]
    activations: tuple[str, ...]
    residual_links: int | None
    concatenated_links: int | None
    depth: int | None
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
    linked: bool = True,
    unsteady: Unsteady = Unsteady(),
) -> ArchitectureFacts:
    """Facts of layers in the order in which they run.

    `linked` is False where only the layers are known and not what each reads: depth, links and
    receptive field are then None.
    """
    convolutions = [layer for layer in layers if layer.role == "convolution"]
    depths = _depths(layers) if linked else {}
    return ArchitectureFacts(
        layer_counts=dict(sorted(Counter(layer.op for layer in layers).items())),
        n_convolutions=len(convolutions),
        n_depthwise=sum(layer.depthwise for layer in convolutions),
        n_linear=sum(layer.role == "linear" for layer in layers),
        poolings=_ops(layers, "pooling"),
        normalisations=_ops(layers, "normalisation"),
        activations=_ops(layers, "activation"),
        residual_links=_skips(layers, depths, "add") if linked else None,
        concatenated_links=_skips(layers, depths, "concat") if linked else None,
        depth=max(depths.values(), default=0) if linked else None,
        n_parameters=n_parameters,
        flops=flops,
        input_numbers=math.prod(input.size) * (1 if input.channels == "grey" else 3),
        receptive_field=_receptive_field(layers) if linked else None,
        quantised=quantised,
        unsteady=unsteady,
    )


def _ops(layers: Sequence[Layer], role: Role) -> tuple[str, ...]:
    return tuple(sorted({layer.op for layer in layers if layer.role == role}))


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


@dataclass(frozen=True)
class _Field:
    """Pixels that a tensor's element sees, and pixels between neighbouring elements, a side."""

    size: int
    jump: int


def _receptive_field(layers: Sequence[Layer]) -> int | None:
    """Pixels a side that the last convolution over a map sees; None where there is none.

    Araujo, Norris & Sim (2019), doi:10.23915/distill.00021, along the widest path. What a gate
    (squeeze and excitation) sees is left out; convolutions behind an operator that mixes
    everything (global pooling, attention, reshaping) are no longer over a map.
    """
    fields: dict[str, _Field | None] = {}
    last: _Field | None = None
    for layer in layers:
        given = [fields.get(name, _Field(1, 1)) for name in layer.inputs]
        known = [field for field in given if field is not None]
        lost = not known if layer.role == "pointwise" else len(known) < len(given)
        made = None if lost else _field_after(layer, known)
        fields.update(dict.fromkeys(layer.outputs, made))
        if layer.role == "convolution" and made is not None:
            last = made
    return None if last is None else last.size


def _field_after(layer: Layer, given: Sequence[_Field]) -> _Field | None:
    if not layer.local:
        return None
    size = max((field.size for field in given), default=1)
    jump = max((field.jump for field in given), default=1)
    sides = zip(layer.kernel, layer.dilation, strict=True)
    reach = max(((kernel - 1) * dilation for kernel, dilation in sides), default=0)
    return _Field(size + reach * jump, jump * max(layer.stride, default=1))
