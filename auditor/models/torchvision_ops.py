"""torchvision, imported so that it works beside a CPU build of torch.

The registry's wheel of torchvision is built for CUDA. Beside a CPU build of torch its compiled
operators do not load, and the import fails because two of them are then unknown. Those that its
detectors run are defined here, in torch's own arithmetic.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

import torch

from auditor.errors import MissingLibraryError

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
)
_AT_ONCE = 32
"""Regions that are averaged at once, so that memory does not grow with their number."""

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
        found = importlib.import_module("torchvision")
        for name in ("torchvision.extension", "torchvision.ops.roi_align"):
            vars(sys.modules[name])["_has_ops"] = _has_operators
        return found


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
    for signature in _OPERATORS:
        library.define(signature)
    library.impl("nms", kept_boxes, "CPU")
    library.impl("roi_align", averaged_regions, "CPU")
    # The registration ends with the library object, so it is kept.
    _defined.append(library)


def _has_operators() -> bool:
    return True


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


def averaged_regions(
    input: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """Means (k, c, pooled_height, pooled_width) over regions of maps (n, c, h, w): RoIAlign.

    `rois` (k, 5) are the map's number and x0, y0, x1, y1, which `spatial_scale` takes to the map.
    A cell is the mean of ``sampling_ratio`` squared points, or of points at most a pixel apart
    where that is 0 or less, each interpolated from four pixels (He et al. 2017, arXiv:1703.06870).
    """
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    if not aligned:
        corners = torch.cat([corners[:, :2], corners[:, 2:].maximum(corners[:, :2] + 1)], dim=1)
    found = [input.new_zeros((0, input.shape[1], pooled_height, pooled_width))]
    # Where the number of points depends on the region, each is averaged alone.
    step = _AT_ONCE if sampling_ratio > 0 else 1
    for one, of in zip(
        torch.split(corners, step), torch.split(rois[:, 0].long(), step), strict=True
    ):
        y = _points(one[:, 1], one[:, 3], pooled_height, input.shape[2], sampling_ratio)
        x = _points(one[:, 0], one[:, 2], pooled_width, input.shape[3], sampling_ratio)
        values = sum(
            input[of[:, None, None], :, rows[:, :, None], columns[:, None]]
            * (down[:, :, None] * across[:, None])[..., None]
            for rows, down in y
            for columns, across in x
        )
        assert isinstance(values, torch.Tensor)
        k, tall, wide, channels = values.shape
        shape = (k, pooled_height, tall // pooled_height, pooled_width, wide // pooled_width)
        cells = values.reshape(*shape, channels)
        found.append(cells.sum(dim=(2, 4)).permute(0, 3, 1, 2))
    return torch.cat(found)


def _points(
    low: torch.Tensor, high: torch.Tensor, cells: int, side: int, ratio: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The pixels on both sides of each point (k, points) between `low` and `high`; their shares."""
    length = high - low
    count = ratio if ratio > 0 else max(1, int((length / cells).ceil().max()))
    at = (torch.arange(cells * count, device=low.device) + 0.5) / (cells * count)
    points = low[:, None] + at * length[:, None]
    seen = ((points >= -1) & (points <= side)) / count
    inside = points.clamp(0, side - 1)
    first = inside.floor().long()
    rest = inside - first
    return [(first, (1 - rest) * seen), ((first + 1).clamp(max=side - 1), rest * seen)]
