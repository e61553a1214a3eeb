"""All heads by name, and the one way to read a model's raw outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from auditor.errors import ModelError
from auditor.models.answers import Answer, Detections
from auditor.models.heads import (
    detr,
    end_to_end,
    fastestdet,
    mask_rcnn,
    semantic,
    ssd,
    ssd_softmax,
    torchvision,
    yolo_seg,
    yolov5,
    yolov8,
    yolox,
    yunet,
)
from auditor.models.heads.boxes import Size
from auditor.models.heads.tensors import Raw, kind_of, require_finite
from auditor.spec import Task
from auditor.spec import heads as specs

_FEW = 10


@dataclass(frozen=True)
class Head:
    """A head: the task it serves, its parameters, and the function that reads it."""

    task: Task
    parameters: type[specs.HeadSpec]
    read: Callable[..., list[Any]]


HEADS: dict[str, Head] = {
    "torchvision": Head("detection", specs.TorchvisionHead, torchvision.read),
    "ssd": Head("detection", specs.SsdHead, ssd.read),
    "ssd-softmax": Head("detection", specs.SsdSoftmaxHead, ssd_softmax.read),
    "yolov5": Head("detection", specs.Yolov5Head, yolov5.read),
    "yolov8": Head("detection", specs.Yolov8Head, yolov8.read),
    "yolox": Head("detection", specs.YoloxHead, yolox.read),
    "end-to-end": Head("detection", specs.EndToEndHead, end_to_end.read),
    "fastestdet": Head("detection", specs.FastestDetHead, fastestdet.read),
    "yunet": Head("detection", specs.YunetHead, yunet.read),
    "detr": Head("detection", specs.DetrHead, detr.read),
    "semantic": Head("segmentation", specs.SemanticHead, semantic.read),
    "mask-rcnn": Head("instance-segmentation", specs.MaskRcnnHead, mask_rcnn.read),
    "yolo-seg": Head("instance-segmentation", specs.YoloSegHead, yolo_seg.read),
}


def read_answers(raw: Raw, head: specs.HeadSpec, *, n_classes: int, size: Size) -> list[Answer]:
    """The answers of a batch, one an image, in the pixels of the frame of `size` (height, width).

    `raw` holds the outputs by name, in the graph's order, with a leading axis of images; the
    heads ``torchvision`` and ``mask-rcnn`` take one image at a time.

    Raises ModelError where the outputs are not what the head reads: NaN, other shapes, scores
    outside 0 to 1, classes that are not in the list, or mostly boxes without an area.
    """
    require_finite(raw)
    answers: list[Answer] = HEADS[kind_of(head)].read(raw, head, n_classes=n_classes, size=size)
    found = [answer for answer in answers if isinstance(answer, Detections)]
    empty, kept = sum(a.n_empty for a in found), sum(len(a) for a in found)
    if empty > max(kept, _FEW):
        raise ModelError(
            f"`output: {kind_of(head)}` finds {empty} boxes without width or height beside {kept} "
            "with both: the output is another head's, or its corners stand in another order. Name "
            "the head that the model has."
        )
    return answers
