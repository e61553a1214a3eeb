"""PyTorch modules from files: weights into an architecture, TorchScript, exported programs.

No path here runs code from a file unless the caller has said that it may.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditor.errors import ModelError
from auditor.models.checkpoints import Checkpoint, fitted
from auditor.models.timm_networks import PREFIX, timm_network
from auditor.models.torchscript_operators import require_arithmetic
from auditor.models.torchvision_ops import import_torchvision
from auditor.models.trusted_code import code_errors, importable, imported, require_trust

_jit_load: Any = torch.jit.load  # torch leaves it without types


def build_architecture(
    name: str | None, *, n_outputs: int, folder: Path, trust_code: bool, auxiliary: bool = False
) -> nn.Module:
    """An untrained network: a torchvision name, ``timm:NAME``, or ``module:function``.

    The module of trusted code is looked for in `folder` first. The function is called with
    ``num_classes`` when it takes that, else without arguments. `auxiliary`: with the second output
    that torchvision's segmenters are trained with.

    Raises ModelError for no name, an unknown one, and for code without `trust_code`.
    """
    if name is None:
        raise ModelError(
            "The model file holds weights without their network. Set `model.architecture` to a "
            "torchvision name (as resnet18), to `timm:NAME` or to `module:function`."
        )
    if name.startswith(PREFIX):
        return timm_network(name, n_outputs=n_outputs)
    if ":" not in name:
        return _torchvision_model(name, n_outputs=n_outputs, auxiliary=auxiliary)
    require_trust(name, key="model.architecture", trust_code=trust_code)
    # Such code often imports torchvision, whose plain import fails beside a CPU build of torch.
    import_torchvision()
    with code_errors(name, key="model.architecture"):
        return _built_by_code(name, n_outputs=n_outputs, folder=folder)


def module_with_weights(
    checkpoint: Checkpoint,
    architecture: str | None,
    *,
    widths: Set[int],
    folder: Path,
    trust_code: bool,
) -> tuple[nn.Module, tuple[str, ...]]:
    """The network with its weights, and what was done to find them in the file.

    `widths` are the numbers of outputs that it may have; where the file's last layer has the
    smaller one (one score for two classes), the network is built with that.
    """
    auxiliary = any("aux_classifier." in name for name in checkpoint.tensors)
    made = [
        build_architecture(
            architecture, n_outputs=width, folder=folder, trust_code=trust_code,
            auxiliary=auxiliary,
        )
        for width in sorted(widths, reverse=True)
    ]  # fmt: skip
    module = next((m for m in made if _same_shapes(m, checkpoint)), made[0])
    return module, fill_weights(module, checkpoint, name=str(architecture))


def _same_shapes(module: nn.Module, checkpoint: Checkpoint) -> bool:
    own = module.state_dict()
    state = fitted(checkpoint, own).tensors
    return all(own[k].shape == state[k].shape for k in own.keys() & state.keys())


def fill_weights(module: nn.Module, checkpoint: Checkpoint, *, name: str) -> tuple[str, ...]:
    """Load the weights into `module`, every tensor in its place; what was done to find it.

    Raises ModelError where a tensor is missing, left over or of another shape.
    """
    own = module.state_dict()
    found = fitted(checkpoint, own)
    state = found.tensors
    missing, left = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if not (missing or left or other):
        module.load_state_dict(dict(state), strict=True)
        return found.notes
    shapes = [f"{k} is {list(state[k].shape)}, expected {list(own[k].shape)}" for k in other]
    parts = (("missing", missing), ("not in the network", left), ("of another shape", shapes))
    told = "; ".join(
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in parts
        if keys
    )
    raise ModelError(
        f"The weights do not fit model.architecture {name}: {told}. Name the network that they "
        "were trained in, and list as many classes as its last layer has."
    )


def load_torchscript(path: Path, *, trust_code: bool) -> torch.jit.ScriptModule:
    """A TorchScript module. Beyond arithmetic its operators can act, so those take `trust_code`."""
    if not trust_code:
        require_arithmetic(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's wish to see .pt2 used
            module: torch.jit.ScriptModule = _jit_load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"{path.name} cannot be read as TorchScript ({str(error).splitlines()[0]}). Export it "
            "again with the torch that is installed here, or to ONNX."
        ) from error
    return module


def load_exported_program(path: Path, *, trust_code: bool) -> nn.Module:
    """A ``.pt2`` file's module. Loading one can run any code, so it takes `trust_code`."""
    if not trust_code:
        raise ModelError(
            f"{path.name} is an exported program (.pt2); reading one can run code that is in it "
            f"(CVE-2026-4538 names torch 2.10.0, CVE-2026-136426 torch 2.13.0; {torch.__version__} "
            "is installed here). Run with --trust-code if you trust its maker, or export the model "
            "to ONNX."
        )
    try:
        module: nn.Module = torch.export.load(path).module()
    except (RuntimeError, ValueError, KeyError, OSError, AssertionError) as error:
        raise ModelError(
            f"{path.name} cannot be read as an exported program ({error}). Export it again."
        ) from error
    return module


def _torchvision_model(name: str, *, n_outputs: int, auxiliary: bool) -> nn.Module:
    models = import_torchvision().models
    whole = (*models.list_models(module=models.detection),
             *models.list_models(module=models.segmentation))  # fmt: skip
    known = (*models.list_models(module=models), *whole)
    # timm writes resnet18.a1_in1k, also behind a hub's name; its ResNets are torchvision's.
    given, name = name, name if name in known else name.rpartition("/")[2].partition(".")[0]
    if name not in known:
        near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ModelError(
            f"model.architecture is {given!r}, which is no network of torchvision for images."
            f"{hint} For one of timm give `{PREFIX}{name}`, for your own `module:function`."
        )
    # Else the backbone's weights are downloaded.
    more: dict[str, Any] = {"weights_backbone": None} if name in whole else {}
    if auxiliary and name in models.list_models(module=models.segmentation):
        more["aux_loss"] = True
    module: nn.Module = models.get_model(name, weights=None, num_classes=n_outputs, **more)
    return module


def _built_by_code(name: str, *, n_outputs: int, folder: Path) -> nn.Module:
    with importable(folder):
        function = imported(name, folder)
        takes_classes = "num_classes" in inspect.signature(function).parameters
        built = function(num_classes=n_outputs) if takes_classes else function()
    if not isinstance(built, nn.Module):
        raise ModelError(
            f"model.architecture {name} gave a {type(built).__name__}, expected a torch.nn.Module. "
            "Have the function return the network."
        )
    return built
