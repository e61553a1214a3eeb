"""One operator of a network, whatever format it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, ...]

Role = Literal["convolution", "linear", "pooling", "normalisation", "activation", "add", "concat",
               "pointwise", "reshape", "transpose", "reduction", "statistic", "mixing",
               "other"]  # fmt: skip
"""`reduction` is a mean or maximum over axes, `statistic` another number of them; `mixing` the
product of two tensors that an image changes, as in attention; `other` of unknown reach."""


@dataclass(frozen=True)
class Layer:
    """One operator of a network, whatever format it comes from.

    `inputs` are the tensors that an image changes (weights and constants left out); `given` is
    the shape of the first of them, `made` that of the first output, None where unknown. `macs`
    are multiply-adds for one image, None where they are unknown. `kernel`, `stride` and
    `dilation` are given for convolutions and poolings, no kernel for poolings of a whole map.
    `over` are the axes of `given` that are summed over, `order` is that of a transpose.
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
    given: Shape | None = None
    made: Shape | None = None
    order: tuple[int, ...] = ()
    over: tuple[int, ...] = ()

    @property
    def weighted(self) -> bool:
        return self.role in ("convolution", "linear")
