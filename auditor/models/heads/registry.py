"""All heads by name, and the one way to read a model's raw outputs."""

from __future__ import annotations

from collections.abc import Callable
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
from auditor.spec import heads as specs

_FEW = 10


READ: dict[str, Callable[..., list[Any]]] = {
    "torchvision": torchvision.read,
    "ssd": ssd.read,
    "ssd-softmax": ssd_softmax.read,
    "yolov5": yolov5.read,
    "yolov8": yolov8.read,
    "yolox": yolox.read,
    "end-to-end": end_to_end.read,
    "fastestdet": fastestdet.read,
    "yunet": yunet.read,
    "detr": detr.read,
    "semantic": semantic.read,
    "mask-rcnn": mask_rcnn.read,
    "yolo-seg": yolo_seg.read,
}
"""The function that reads each head of `auditor.spec.heads`."""


def one_image_a_time(head: specs.HeadSpec) -> bool:
    """Whether a head's outputs are of one image, without an axis of images."""
    return isinstance(head, specs.TorchvisionHead | specs.MaskRcnnHead)


def read_answers(raw: Raw, head: specs.HeadSpec, *, n_classes: int, size: Size) -> list[Answer]:
    """The answers of a batch, one an image, in the pixels of the frame of `size` (height, width).

    `raw` holds the outputs by name, in the graph's order, with a leading axis of images; the
    heads ``torchvision`` and ``mask-rcnn`` take one image at a time.

    Raises ModelError where the outputs are not what the head reads: NaN, other shapes, scores
    outside 0 to 1, classes that are not in the list, or mostly boxes without an area.
    """
    require_finite(raw)
    answers: list[Answer] = READ[kind_of(head)](raw, head, n_classes=n_classes, size=size)
    found = [answer for answer in answers if isinstance(answer, Detections)]
    empty, kept = sum(a.n_empty for a in found), sum(len(a) for a in found)
    if empty > max(kept, _FEW):
        raise ModelError(
            f"`output: {kind_of(head)}` finds {empty} boxes without width or height beside {kept} "
            "with both: the output is another head's, or its corners stand in another order. Name "
            "the head that the model has."
        )
    return answers
