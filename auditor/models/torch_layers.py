"""Layers of a PyTorch module in any form, as its operators run on one image."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from auditor.models.architecture import ArchitectureFacts, Unsteady, describe, flops_of
from auditor.models.layers import Layer, Role
from auditor.models.outputs import Ending
from auditor.models.torch_fused import FUSED
from auditor.models.torchscript_unsteady import scripted_unsteady
from auditor.spec import InputSpec

_PRODUCTS = frozenset({"addbmm", "addmm", "addmv", "baddbmm", "bmm", "dot", "mm", "mv"})
_UNCOUNTED = ("attention", "encoder_layer", "lstm", "rnn", "gru", "quantized", "deform", "linear")
"""Parts of names of operators that hold products whose number is not worked out here."""

_OF_SHAPE = frozenset(
    {"empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like",
     "rand_like", "randn_like", "zeros_like"}
)  # fmt: skip
"""Operators that read the shape of a tensor and none of its numbers."""

_SAME = frozenset({"alias", "detach", "lift_fresh"})
_ACTIVATING = frozenset(
    {"celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
     "log_softmax", "mish", "prelu", "prelu_kernel", "relu", "relu6", "safe_softmax", "selu",
     "sigmoid", "silu",
     "softmax", "softplus", "tanh"}
)  # fmt: skip
_MOVING = frozenset(
    {"clone", "constant_pad_nd", "contiguous", "copy", "expand", "flip", "index", "native_dropout",
     "pad_circular", "reflection_pad2d", "replication_pad2d", "roll", "select", "slice", "split",
     "split_with_sizes", "stack", "to_copy", "unbind"}
)  # fmt: skip
_RESHAPING = frozenset({"reshape", "reshape_alias", "squeeze", "unsafe_view", "unsqueeze", "view"})
_STATISTICS = frozenset(
    {"linalg_vector_norm", "norm", "std", "std_mean", "sum", "var", "var_mean"}
)  # fmt: skip
_KEEPING = _RESHAPING | {"clone", "to_copy"}


@dataclass(frozen=True)
class TorchNetwork:
    """A module's layers in the order in which they run, and the numbers that they hold."""

    layers: tuple[Layer, ...]
    n_parameters: int


def trace(module: nn.Module, example: torch.Tensor) -> TorchNetwork:
    """Layers of `module`, in whatever form, as they run on one image `example`.

    Fused attention is run as the products that it stands for. Of a program that chooses its way
    by the image, this is the way that it took.
    """
    try:
        recorder = _recorded(module, example, gradients=example.is_floating_point())
    except RuntimeError:  # a module that leaves torch on its way does not run with gradients
        recorder = _recorded(module, example, gradients=False)
    own = sum(p.numel() for p in module.parameters())
    return TorchNetwork(tuple(recorder.layers), own or recorder.n_weights)


def _recorded(module: nn.Module, example: torch.Tensor, *, gradients: bool) -> _Recorder:
    recorder = _Recorder()
    # With gradients nn.MultiheadAttention runs as its layers, without as one fused operator.
    with _unfused(), torch.set_grad_enabled(gradients), warnings.catch_warnings():
        # Of the module's own code, which takes numbers out of tensors that have gradients here.
        warnings.simplefilter("ignore")
        image = example.clone().requires_grad_(gradients) * 1
        recorder.start(image)
        with recorder:
            module(image)
    return recorder


@contextmanager
def _unfused() -> Iterator[None]:
    optimised = vars(torch.jit)["optimized_execution"]  # torch leaves it without types
    with sdpa_kernel(SDPBackend.MATH), optimised(False):
        yield


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down the operators that run on what follows from an image."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[Layer] = []
        self._names = WeakTensorKeyDictionary()
        self._written: dict[int, tuple[Any, str]] = {}
        self._weights: dict[int, torch.Tensor] = {}

    @property
    def n_weights(self) -> int:
        """Numbers of the tensors that are read beside what an image changes."""
        return sum(each.numel() for each in self._weights.values())

    def start(self, image: torch.Tensor) -> None:
        self._names[image] = "image"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.rpartition("::")[2].strip("_")
        with self:
            if name in FUSED:
                return FUSED[name](*args, **(kwargs or {}))
            parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        out = _ran(func, args, kwargs or {})
        given = [t for t in tree_leaves((args, kwargs)) if torch.is_tensor(t)]
        named = [(t, self._name(t)) for t in given]
        moving = next((n for _, n in named if n is not None), None)
        made = [t for t in tree_leaves(out) if torch.is_tensor(t)]
        if moving is not None and made and name in _SAME:
            self._names[made[0]] = moving
        elif moving is not None and made and name not in _OF_SHAPE:
            self._add(_Call(func, name, args, kwargs or {}, named, made))
        return out

    def _name(self, tensor: torch.Tensor) -> str | None:
        found: str | None = self._names.get(tensor)  # type: ignore[no-untyped-call]
        if found is None and self._written:
            found = self._written.get(tensor.untyped_storage()._cdata, (None, None))[1]
        return found

    def _add(self, call: _Call) -> None:
        names = tuple(f"{call.name}_{len(self.layers)}_{i}" for i in range(len(call.made)))
        layer = _layer(call, names)
        self.layers.append(layer)
        still = [t for t, n in call.named if n is None and t.is_floating_point() and t.numel() > 1]
        trained = still[:2] if "batch_norm" in call.name else still  # then its statistics
        self._weights.update((t.data_ptr(), t) for t in trained)
        inputs = {id(t) for t, _ in call.named}
        for tensor, name in zip(call.made, names, strict=True):
            storage = tensor.untyped_storage()
            # A part written in place changes what other views of the same numbers hold.
            if id(tensor) in inputs and storage.nbytes() > tensor.nbytes:
                self._written[storage._cdata] = (storage, name)
            self._names[tensor] = name


@dataclass(frozen=True)
class _Call:
    """One operator that ran: its tensors, each with its name where an image changes it."""

    func: Any
    name: str
    args: Any
    kwargs: Any
    named: list[tuple[torch.Tensor, str | None]]
    made: list[torch.Tensor]

    @property
    def moving(self) -> list[torch.Tensor]:
        return [tensor for tensor, name in self.named if name is not None]

    def argument(self, name: str) -> Any:
        """An argument by its name in the operator's own signature; None where it has none."""
        for place, each in enumerate(self.func._schema.arguments):
            if each.name == name:
                return self.args[place] if place < len(self.args) else self.kwargs.get(name)
        return None


def _layer(call: _Call, names: tuple[str, ...]) -> Layer:
    main, inputs = call.moving[0], tuple(n for _, n in call.named if n is not None)
    role = _role(call)
    plain = Layer(
        op=call.name,
        role=role,
        inputs=inputs,
        outputs=names,
        macs=None if any(part in call.name for part in _UNCOUNTED) else 0,
        given=tuple(main.shape),
        made=tuple(call.made[0].shape) if call.made else None,
    )
    if call.name in _PRODUCTS:
        return _product(call, plain)
    if role == "convolution":
        return _convolution(call, plain)
    if role == "pooling":
        return _pooling(call, plain)
    if role == "transpose":
        return replace(plain, order=_order(call, main.ndim))
    if role in ("reduction", "statistic"):
        dims = call.argument("dim")
        listed = [dims] if isinstance(dims, int) else list(dims or range(main.ndim))
        return replace(plain, over=tuple(d % main.ndim for d in listed))
    if call.name == "slice":
        over, step = (call.argument("dim") or 0) % main.ndim, call.argument("step") or 1
        return replace(plain, over=(over,), stride=(step,))
    return plain


def _order(call: _Call, axes: int) -> tuple[int, ...]:
    dims = call.argument("dims")
    if dims is not None:
        return tuple(d % axes for d in dims)
    order = list(range(axes))
    if axes > 1:
        a, b = ((call.argument(n) or 0) % axes for n in ("dim0", "dim1"))
        a, b = (0, 1) if a == b else (a, b)
        order[a], order[b] = order[b], order[a]
    return tuple(order)


def _role(call: _Call) -> Role:
    name = call.name
    if name in ("mean", "amax") or (name == "max" and call.argument("dim") is not None):
        return "reduction"
    if name == "add":
        return "add" if len(call.moving) > 1 else "pointwise"
    sets: tuple[tuple[frozenset[str], Role], ...] = (
        (_PRODUCTS, "mixing"),
        (frozenset({"cat"}), "concat"),
        (_ACTIVATING, "activation"),
        (_MOVING, "pointwise"),
        (_RESHAPING, "reshape"),
        (frozenset({"permute", "t", "transpose"}), "transpose"),
        (_STATISTICS, "statistic"),
    )
    found = next((role for names, role in sets if name in names), None)
    if found is not None:
        return found
    for part, role in (("conv", "convolution"), ("pool", "pooling"), ("norm", "normalisation")):
        if part in name:
            return role  # type: ignore[return-value]
    return "pointwise" if torch.Tag.pointwise in call.func.tags else "other"


def _product(call: _Call, plain: Layer) -> Layer:
    """A product of matrices: a linear layer where one of them is a weight."""
    left, right = call.named[-2:]
    macs = call.made[0].numel() * left[0].shape[-1]
    if left[1] is not None and right[1] is not None:
        return replace(plain, role="mixing", macs=macs)
    main = left[0] if left[1] is not None else right[0]
    axis = main.ndim - 1 if left[1] is not None else max(main.ndim - 2, 0)
    return replace(plain, role="linear", macs=macs, given=tuple(main.shape), over=(axis,))


def _convolution(call: _Call, plain: Layer) -> Layer:
    weight = call.argument("weight")
    if not torch.is_tensor(weight) or call.argument("stride") is None:
        return replace(plain, macs=None)
    shape = tuple(weight.shape)
    axes = len(shape) - 2
    transposed = bool(call.argument("transposed"))
    basis = plain.given if transposed else plain.made
    return replace(
        plain,
        macs=math.prod(basis or ()) * math.prod(shape[1:]),
        kernel=() if transposed else shape[2:],
        stride=_sides(call, "stride", axes),
        dilation=_sides(call, "dilation", axes),
        depthwise=(call.argument("groups") or 1) > 1 and shape[1] == 1,
    )


def _pooling(call: _Call, plain: Layer) -> Layer:
    if "adaptive" not in call.name:
        axes = 1 if "1d" in call.name else 3 if "3d" in call.name else 2
        kernel = _sides(call, "kernel_size", axes)
        return replace(
            plain,
            kernel=kernel,
            stride=_sides(call, "stride", axes) if call.argument("stride") else kernel,
            dilation=_sides(call, "dilation", axes),
        )
    made = tuple(call.argument("output_size") or ())
    given = (plain.given or ())[-len(made) :]
    if all(length == 1 for length in made):
        return plain
    kernel = tuple(-(-g // m) for g, m in zip(given, made, strict=True))
    stride = tuple(max(g // m, 1) for g, m in zip(given, made, strict=True))
    return replace(plain, kernel=kernel, stride=stride, dilation=(1,) * len(kernel))


def _sides(call: _Call, name: str, axes: int) -> tuple[int, ...]:
    held = call.argument(name)
    listed = [held] if isinstance(held, int) else list(held or [1])
    return tuple(listed) if len(listed) == axes else (listed[0],) * axes


def torch_architecture(
    network: TorchNetwork,
    *,
    module: nn.Module,
    example: torch.Tensor,
    input: InputSpec,
) -> ArchitectureFacts:
    """What the network is made of; `example` is one image's input."""
    read = scripted_unsteady(module) if isinstance(module, torch.jit.ScriptModule) else Unsteady()
    ran = unsteady_run(module, example)
    return describe(
        network.layers,
        n_parameters=network.n_parameters,
        flops=flops_of(network.layers),
        input=input,
        # What was read in a program, or where that shows nothing what was seen to run.
        unsteady=Unsteady(read.random or ran.random, read.batch or ran.batch),
    )


def unsteady_run(module: nn.Module, example: torch.Tensor) -> Unsteady:
    """What one run of a module draws at random, or takes from the batch, by torch's operators."""
    with torch.no_grad(), _Watched() as watched:
        try:
            module(torch.cat([example, example]))
        except Exception:  # noqa: BLE001 - a batch of one may be fixed, and then there is no other
            module(example)
    return Unsteady(tuple(watched.random), tuple(watched.batch))


class _Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Names the operators that run inside of it and do not answer steadily."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random: list[str] = []
        self.batch: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).split(".")[1]
        if torch.Tag.nondeterministic_seeded in func.tags and not _is_idle(func, args, kwargs):
            self.random.append(name)
        # Normalisation by image runs as one of a batch of one.
        elif "batch_norm" in name and args[5] is True and len(args[0]) > 1:
            self.batch.append(name)
        return _ran(func, args, kwargs or {})


def _is_idle(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operator that may draw does not: out of training, or with a share of 0.

    So is the attention of every transformer, whose operator can drop a share of its weights.
    """
    named = {each.name: each.default_value for each in func._schema.arguments}
    named |= dict(zip(named, args, strict=False)) | dict(kwargs or {})
    modes, shares = [named.get(n, True) for n in ("train", "training")], ("p", "dropout_p")
    return False in modes or any(named.get(n, 1) == 0 for n in shares)


def _ran(func: Any, args: Any, kwargs: Any) -> Any:
    # A frozen program compares its sizes as tensors, and hands them over as plain numbers.
    if func._schema.name == "aten::equal":
        args = [torch.as_tensor(each) for each in args]
    return func(*args, **kwargs)


def ending_of_layers(layers: tuple[Layer, ...]) -> Ending:
    """What the last layer that changes numbers is."""
    for layer in reversed(layers):
        if layer.op in ("softmax", "sigmoid"):
            return "softmax" if layer.op == "softmax" else "sigmoid"
        if layer.op not in _KEEPING:
            return "none"
    return "unknown"
