"""Layers of a PyTorch module, by symbolic tracing where it can be traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from auditor.models.architecture import ArchitectureFacts, Layer, Role, Unsteady, describe
from auditor.models.outputs import Ending
from auditor.spec import InputSpec

_ADDING = frozenset({"add", "iadd", "sum"})
_JOINING = frozenset({"cat", "concat", "concatenate"})
_ACTIVATING = frozenset(
    {"elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "mish",
     "relu", "relu6", "sigmoid", "silu", "softmax", "softplus", "tanh"}
)  # fmt: skip
_POINTWISE = frozenset(
    {"clamp", "contiguous", "div", "dropout", "float", "half", "identity", "mul", "neg",
     "pad", "permute", "stochastic_depth", "sub", "to", "transpose", "truediv"}
)  # fmt: skip
_NO_LAYERS = frozenset(
    {"_assert", "_guards_fn", "dim", "eq", "floordiv", "ge", "getattr", "getitem", "gt", "le",
     "lt", "ne", "size", "sym_size"}
)  # fmt: skip
_RESHAPING = frozenset(
    {"Dropout", "Flatten", "Identity", "Unflatten", "contiguous", "dropout", "flatten", "float",
     "reshape", "squeeze", "to", "unsqueeze", "view"}
)  # fmt: skip


@dataclass(frozen=True)
class TorchNetwork:
    """A module's layers in the order in which they run; `linked` as in `describe`."""

    layers: tuple[Layer, ...]
    linked: bool
    unsteady: Unsteady = field(default_factory=Unsteady)


def trace(module: nn.Module, example: torch.Tensor) -> TorchNetwork:
    """Layers and links of `module`; its layers alone where its forward cannot be traced."""
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception:  # noqa: BLE001 - proxies run through foreign code, which raises anything
        return TorchNetwork(tuple(_layers_run(module, example)), linked=False)
    modules = dict(module.named_modules())
    layers = (_traced_layer(node, modules, module) for node in graph.nodes)
    return TorchNetwork(tuple(layer for layer in layers if layer is not None), linked=True)


def torch_architecture(
    network: TorchNetwork, *, module: nn.Module, example: torch.Tensor, input: InputSpec
) -> ArchitectureFacts:
    """What the network is made of; `example` is one image's input."""
    return describe(
        network.layers,
        n_parameters=sum(p.numel() for p in module.parameters()),
        flops=count_flops(module, example),
        input=input,
        linked=network.linked,
        unsteady=_together(network.unsteady, unsteady_run(module, example)),
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
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.random.append(name)
        # Normalisation by image runs as one of a batch of one.
        elif "batch_norm" in name and args[5] is True and len(args[0]) > 1:
            self.batch.append(name)
        return func(*args, **(kwargs or {}))


def _together(read: Unsteady, ran: Unsteady) -> Unsteady:
    """What was read in a program, or where that shows nothing what was seen to run."""
    return Unsteady(read.random or ran.random, read.batch or ran.batch)


def count_flops(module: Callable[..., Any], example: torch.Tensor) -> int | None:
    """FLOPs of one image as torch counts them while it runs; None where it counts none."""
    counter = FlopCounterMode(display=False)
    # With gradients on, attention runs as the matrix products that are counted.
    with counter, torch.enable_grad():
        module(example)
    return counter.get_total_flops() or None


def ending_of_layers(layers: tuple[Layer, ...]) -> Ending:
    """What the last layer that changes numbers is."""
    for layer in reversed(layers):
        name = layer.op.lower()
        if name in ("softmax", "softmax2d"):
            return "softmax"
        if name == "sigmoid":
            return "sigmoid"
        if layer.op not in _RESHAPING:
            return "none"
    return "unknown"


def _layers_run(module: nn.Module, example: torch.Tensor) -> Iterator[Layer]:
    ran: list[nn.Module] = []
    leaves = [m for m in module.modules() if not list(m.children())]
    handles = [m.register_forward_hook(lambda m, given, made: ran.append(m)) for m in leaves]
    try:
        with torch.no_grad():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    return (_module_layer(m, inputs=(), output="") for m in ran)


def _traced_layer(node: fx.Node, modules: dict[str, nn.Module], root: nn.Module) -> Layer | None:
    inputs = tuple(n.name for n in node.all_input_nodes if n.op != "get_attr")
    if node.op == "call_module":
        return _module_layer(modules[str(node.target)], inputs=inputs, output=node.name)
    if node.op not in ("call_function", "call_method"):
        return None
    name = node.target if isinstance(node.target, str) else _function_name(node.target)
    if name in _NO_LAYERS:
        return None
    return _function_layer(name, node, inputs=inputs, root=root)


def _function_name(target: Any) -> str:
    # Operators of exported programs are called as `conv2d.default`.
    return str(getattr(target, "__name__", target)).partition(".")[0]


def _module_layer(module: nn.Module, *, inputs: tuple[str, ...], output: str) -> Layer:
    role = _module_role(module)
    window = _sides(module, "kernel_size") if role in ("convolution", "pooling") else ()
    transposed = bool(getattr(module, "transposed", False))
    unbounded = role in ("other", "linear") or (role == "pooling" and not window) or transposed
    return Layer(
        op=type(module).__name__,
        role=role,
        inputs=inputs,
        outputs=(output,),
        kernel=window,
        stride=_sides(module, "stride") if window else (),
        dilation=(_sides(module, "dilation") or (1,) * len(window)) if window else (),
        depthwise=role == "convolution" and _is_depthwise(module),
        local=not unbounded,
    )


def _module_role(module: nn.Module) -> Role:
    name = type(module).__name__
    if isinstance(module, nn.modules.conv._ConvNd):
        return "convolution"
    if isinstance(module, nn.Linear):
        return "linear"
    if "Pool" in name:
        return "pooling"
    if "Norm" in name:
        return "normalisation"
    if isinstance(module, nn.MultiheadAttention):
        return "other"
    if type(module).__module__ == "torch.nn.modules.activation":
        return "activation"
    return "pointwise" if "Dropout" in name or name in ("Identity", "StochasticDepth") else "other"


def _sides(module: nn.Module, name: str) -> tuple[int, ...]:
    held = getattr(module, name, None)
    if isinstance(held, int):
        return (held, held)
    return tuple(held) if isinstance(held, tuple) else ()


def _is_depthwise(module: nn.Module) -> bool:
    groups = int(getattr(module, "groups", 1))
    return groups > 1 and groups == getattr(module, "in_channels", None)


def _function_layer(name: str, node: fx.Node, *, inputs: tuple[str, ...], root: nn.Module) -> Layer:
    role = function_role(name, n_inputs=len(inputs))
    kernel = _weight_window(node, root) if role == "convolution" else ()
    return Layer(
        op=name,
        role=role,
        inputs=inputs,
        outputs=(node.name,),
        kernel=kernel,
        stride=_argument(node, 3, "stride", len(kernel)),
        dilation=_argument(node, 5, "dilation", len(kernel)),
        local=bool(kernel) or role in ("normalisation", "activation", "add", "concat", "pointwise"),
    )


def function_role(name: str, *, n_inputs: int) -> Role:
    """The role of a function by torch's name for it; `n_inputs` are tensors, weights left out."""
    name = name.rstrip("_")  # in-place forms
    if name in _ADDING:
        return "add" if n_inputs > 1 else "pointwise"
    if name in ("linear", "addmm"):
        return "linear" if n_inputs == 1 else "other"
    sets: tuple[tuple[frozenset[str], Role], ...] = (
        (_JOINING, "concat"),
        (_ACTIVATING, "activation"),
        (_POINTWISE, "pointwise"),
    )
    found = next((role for names, role in sets if name in names), None)
    if found is not None:
        return found
    if "conv" in name:
        return "convolution"
    if "pool" in name:
        return "pooling"
    return "normalisation" if "norm" in name else "other"


def _weight_window(node: fx.Node, root: nn.Module) -> tuple[int, ...]:
    weight = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
    if not isinstance(weight, fx.Node) or weight.op != "get_attr":
        return ()
    held: Any = root
    for part in str(weight.target).split("."):
        held = getattr(held, part)
    return tuple(held.shape[2:])


def _argument(node: fx.Node, place: int, name: str, axes: int) -> tuple[int, ...]:
    given = node.args[place] if len(node.args) > place else node.kwargs.get(name, 1)
    if isinstance(given, int):
        return (given,) * axes
    return tuple(int(str(v)) for v in given) if isinstance(given, list | tuple) and axes else ()
