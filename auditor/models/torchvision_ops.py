"""torchvision, imported so that it works beside a CPU build of torch.

The registry's wheel of torchvision is built for CUDA. Beside a CPU build of torch its compiled
operators do not load, and the import fails because two of them are then unknown. Defining these
two is enough for all classification models.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

import torch

from auditor.errors import MissingLibraryError

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_Library: Any = torch.library.Library  # torch leaves it without types
_defining = threading.Lock()
_defined: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, defining its missing operators only when the plain import fails.

    Raises MissingLibraryError when it is not installed, or fails for another reason.
    """
    with _defining:
        try:
            return importlib.import_module("torchvision")
        except ModuleNotFoundError as error:
            raise MissingLibraryError(_advice(error)) from error
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise MissingLibraryError(_advice(error)) from error
        _forget_half_imported()
        _define_operators()
        return importlib.import_module("torchvision")


def _advice(error: Exception) -> str:
    return (
        f"torchvision cannot be imported ({error}). `model.architecture` with a torchvision name "
        "needs it: install the torchvision that belongs to your torch (0.28 for torch 2.13)."
    )


def _forget_half_imported() -> None:
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]


def _define_operators() -> None:
    if _defined:
        return
    library: Any = _Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}{_SIGNATURE}")
    library.impl("nms", kept_boxes, "CPU")
    # The registration ends with the library object, so it is kept.
    _defined.append(library)


def kept_boxes(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression: indices of the boxes (n, 4) x0 y0 x1 y1 kept, best first."""
    order = scores.argsort(descending=True, stable=True)
    areas = (dets[:, 2:] - dets[:, :2]).clamp(min=0).prod(dim=1)
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        low = torch.maximum(dets[best, :2], dets[order, :2])
        high = torch.minimum(dets[best, 2:], dets[order, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        order = order[shared <= iou_threshold * (areas[best] + areas[order] - shared)]
    return torch.tensor(kept, dtype=torch.int64)
