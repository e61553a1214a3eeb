"""Which detector or segmenter of torchvision a file's weights belong to, for `auditor init`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from auditor.models.architecture_guess import Unfilled, mentioned
from auditor.models.checkpoints import Checkpoint, fitted
from auditor.models.torchvision_ops import import_torchvision
from auditor.spec import Task

_ASSUMED = 7
"""Outputs that networks are built with to compare shapes; any number would do."""

_NOT_AUDITED = "keypointrcnn"
_MARKS = {
    "fasterrcnn": "roi_heads.box_predictor.", "maskrcnn": "roi_heads.mask_predictor.",
    "retinanet": "head.regression_head.bbox_reg.",
    "fcos": "head.regression_head.bbox_ctrness.",
    "ssd300": "head.classification_head.module_list.",
    "ssdlite320": "head.classification_head.module_list.",
    "deeplabv3": "classifier.0.convs.", "fcn": "classifier.4.", "lraspp": "classifier.cbr.",
}  # fmt: skip
"""Of families of networks, what weights of each hold: others need not be built to be compared."""

_OWN_SIDE = {"ssd300_vgg16": 300}
_SIDE_IN_NAME = re.compile(r"(320)_")
_SEGMENTERS_SIDE = 520
_SIDE = 640


@dataclass(frozen=True)
class WholeNetwork:
    """A detector or segmenter by name, its `task`, and the outputs it was made with.

    `width` counts the background of detectors. `alike` are other networks with equal weights,
    which prepare images otherwise; `side` is that of the square that it is usually fed.
    """

    name: str
    task: Task
    width: int
    alike: tuple[str, ...]

    @property
    def side(self) -> int:
        if self.task == "segmentation":
            return _SEGMENTERS_SIDE
        told = _SIDE_IN_NAME.search(self.name)
        return int(told.group(1)) if told else _OWN_SIDE.get(self.name, _SIDE)


def guess_whole_network(checkpoint: Checkpoint, *, file: Path) -> WholeNetwork | None:
    """The first network whose every tensor the file has, in shape too; None where there is none.

    Names that the checkpoint or the file's name mentions are tried first. How many outputs the
    network was made with is told by the tensors that are as many times larger than its own.
    """
    if not any("backbone." in name for name in checkpoint.tensors):
        return None
    found: list[tuple[str, int]] = []
    for name in _in_order(mentioned(checkpoint.beside, file)):
        mark = _MARKS.get(_family(name), "")
        if not any(mark in held for held in checkpoint.tensors):
            continue
        if found and _family(name) != _family(found[0][0]):
            continue
        width = _width(checkpoint, name)
        if width is not None and (not found or width == found[0][1]):
            found.append((name, width))
    if not found:
        return None
    (name, width), *others = found
    return WholeNetwork(name, _task(name), width, tuple(other for other, _ in others))


def _in_order(told: str) -> Iterator[str]:
    models = import_torchvision().models
    known = (*models.list_models(module=models.detection),
             *models.list_models(module=models.segmentation))  # fmt: skip
    names = sorted((n for n in known if not n.startswith(_NOT_AUDITED)), key=lambda n: (-len(n), n))
    named = [name for name in names if name in told]
    yield from named
    yield from (name for name in reversed(names) if name not in named)


def _family(name: str) -> str:
    return name.partition("_")[0]


def _task(name: str) -> Task:
    models = import_torchvision().models
    if name in models.list_models(module=models.segmentation):
        return "segmentation"
    return "instance-segmentation" if name.startswith("maskrcnn") else "detection"


def _width(checkpoint: Checkpoint, name: str) -> int | None:
    """Outputs that the network was made with, where the file's tensors are its own but for that."""
    own = _state_of(name, auxiliary=any("aux_classifier." in n for n in checkpoint.tensors))
    found = fitted(checkpoint, own).tensors
    if found.keys() != own.keys() or any(found[k].shape[1:] != own[k].shape[1:] for k in own):
        return None
    # Boxes of each class are four numbers, anchors several: as many times larger they all are.
    widths = {
        divmod(found[k].shape[0] * _ASSUMED, own[k].shape[0])
        for k in own
        if found[k].shape != own[k].shape
    }
    if not widths:
        return _ASSUMED
    width, rest = next(iter(widths))
    return width if len(widths) == 1 and rest == 0 and width >= 1 else None


def _state_of(name: str, *, auxiliary: bool) -> Mapping[str, torch.Tensor]:
    models = import_torchvision().models
    more: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": _ASSUMED}
    # LR-ASPP has no second output.
    if auxiliary and _task(name) == "segmentation" and not name.startswith("lraspp"):
        more["aux_loss"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial values, where there are none
        try:
            with Unfilled():
                module: torch.nn.Module = models.get_model(name, **more)
        except RuntimeError:
            # SSDlite measures its layers by an image, for which it needs numbers; it is small.
            module = models.get_model(name, **more)
    return module.state_dict()
