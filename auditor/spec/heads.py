"""How a detector's or a segmenter's raw outputs are read: `model.output`, one value a head.

`kind` names the head; what each computes stands in `auditor/models/heads/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from auditor.spec.spec_part import Fraction, SpecPart

# Not strict: behind `ModelSpec.output`'s own reading a list is no JSON array any more.
Strides = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, strict=False)]


Corners = Literal["xyxy", "yxyx"]
"""In which order the corners of a box stand; y first is TensorFlow's."""

OutputKeys = tuple[tuple[str, str], ...]
"""Keys of a head, and other values for them."""

HeadTask = Literal["detection", "segmentation", "instance-segmentation"]


class HeadSpec(SpecPart):
    """A head of models for the task that it `serves`, called `kind`.

    `tensors` maps a role (``boxes``, ``scores``, ...) to the name of the output that plays it;
    needed only where the names of the outputs do not tell.
    """

    serves: ClassVar[HeadTask] = "detection"

    kind: str
    tensors: dict[str, str] = Field(default_factory=dict)

    def widths(self, n_classes: int) -> frozenset[int]:
        """How many classes the network may have been made with, background included."""
        return frozenset({n_classes + getattr(self, "first_class", 0)})


class BoxHead(HeadSpec):
    """Boxes with a score above `lowest_score` are kept, the `most` best of an image.

    Average precision wants a low `lowest_score`; the score from which a box counts in use is
    the operating point, which is declared apart. `clip`: boxes are cut at the image's edges;
    some authors' own code leaves them.
    """

    lowest_score: Fraction = 0.001
    most: int = Field(default=100, ge=1)
    clip: bool = True


class SuppressingHead(BoxHead):
    """Boxes that overlap a better one by more than `suppression` (IoU) are dropped; null: none.

    `per_class`: only by a better one of the same class.
    """

    suppression: Fraction | None = 0.45
    per_class: bool = True


class TorchvisionHead(BoxHead):
    """Torchvision's detectors: boxes in pixels, labels, scores; suppression is in the model.

    `first_class` is the label of the first of `model.classes` (0 is background there).
    """

    kind: Literal["torchvision"] = "torchvision"
    first_class: int = 1
    corners: Corners = "xyxy"


class MaskRcnnHead(BoxHead):
    """Torchvision's Mask R-CNN, or one that gives a small mask a box; see `TorchvisionHead`."""

    serves: ClassVar[HeadTask] = "instance-segmentation"

    kind: Literal["mask-rcnn"] = "mask-rcnn"
    first_class: int = 1
    corners: Corners = "xyxy"
    mask_level: Annotated[float, Field(gt=0, lt=1)] = 0.5


class SsdHead(BoxHead):
    """TensorFlow's detectors: boxes, classes, scores, count; suppression is in the model.

    `first_class` is 1 for saved models, 0 for TFLite's.
    """

    kind: Literal["ssd"] = "ssd"
    corners: Corners = "yxyx"
    units: Literal["fractions", "pixels"] = "fractions"
    first_class: int = 1


class SsdSoftmaxHead(SuppressingHead):
    """Class probabilities with a background, and decoded boxes, without suppression (UltraFace)."""

    kind: Literal["ssd-softmax"] = "ssd-softmax"
    background: int = Field(default=0, ge=0)
    corners: Corners = "xyxy"
    units: Literal["fractions", "pixels"] = "fractions"
    suppression: Fraction | None = 0.5


class YoloHead(SuppressingHead):
    """`several_classes`: a box is kept for each class above `lowest_score`, not for its best alone.

    `transposed`: the two last axes are exchanged against what the head usually has.
    """

    units: Literal["fractions", "pixels"] = "pixels"
    several_classes: bool = False
    transposed: bool = False


class Yolov5Head(YoloHead):
    """YOLOv5, v7 (and YOLOX decoded): (images, boxes, 5 + classes) with objectness."""

    kind: Literal["yolov5"] = "yolov5"


class Yolov8Head(YoloHead):
    """YOLOv8, v9, v11: (images, 4 + classes, boxes), without objectness."""

    kind: Literal["yolov8"] = "yolov8"
    suppression: Fraction | None = 0.7


class YoloSegHead(YoloHead):
    """A YOLO head whose boxes hold coefficients, and an output of mask prototypes.

    `rows` is the head that the boxes are read as.
    """

    serves: ClassVar[HeadTask] = "instance-segmentation"

    kind: Literal["yolo-seg"] = "yolo-seg"
    rows: Literal["yolov5", "yolov8", "end-to-end"] = "yolov8"
    suppression: Fraction | None = 0.7
    mask_level: Annotated[float, Field(gt=0, lt=1)] = 0.5


class YoloxHead(SuppressingHead):
    """YOLOX before its decoding: (images, cells, 5 + classes)."""

    kind: Literal["yolox"] = "yolox"
    strides: Strides = (8, 16, 32)
    suppression: Fraction | None = 0.65


class EndToEndHead(BoxHead):
    """Exports that suppress themselves: (images, 300, 6) of corners, score, class, padded."""

    kind: Literal["end-to-end"] = "end-to-end"
    units: Literal["fractions", "pixels"] = "pixels"
    corners: Corners = "xyxy"


class FastestDetHead(SuppressingHead):
    """FastestDet: (images, 5 + classes, h, w)."""

    kind: Literal["fastestdet"] = "fastestdet"


class YunetHead(SuppressingHead):
    """Outputs ``cls_8``, ``obj_8``, ``bbox_8``, ``kps_8`` and so on for each stride (YuNet)."""

    kind: Literal["yunet"] = "yunet"
    strides: Strides = (8, 16, 32)


class DetrHead(BoxHead):
    """DETR: logits and boxes as fractions, a set without suppression.

    `scores`: softmax with a class "no object", which is `no_object` of the logits, or sigmoid
    without (Deformable, RT-DETR).
    """

    kind: Literal["detr"] = "detr"
    scores: Literal["softmax", "sigmoid"] = "softmax"
    no_object: Literal["first", "last"] = "last"


class SemanticHead(HeadSpec):
    """A class a pixel, as logits or probabilities a class, or as the class itself.

    One channel for two classes is the score of the second, which wins above `level`.
    Logits coarser than the frame are enlarged before the best is taken.
    """

    serves: ClassVar[HeadTask] = "segmentation"

    kind: Literal["semantic"] = "semantic"
    values: Literal["logits", "classes"] = "logits"
    layout: Literal["nchw", "nhwc"] = "nchw"
    enlarge: Literal["bilinear", "nearest"] = "bilinear"
    align_corners: bool = False
    level: float = 0.0

    def widths(self, n_classes: int) -> frozenset[int]:
        return frozenset({n_classes, 1} if n_classes == 2 else {n_classes})


class OwnHead(BoxHead):
    """A decoder of your own, ``module:function`` of trusted code (`--trust-code`).

    It is called with the outputs (a dict of arrays), the model's classes and the frame's (height,
    width), and returns an entry an image: a class map, or boxes with scores and classes; see
    `auditor/models/heads/own.py`. `task` is what it serves.
    """

    kind: Literal["own"] = "own"
    decoder: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    task: HeadTask

    @property
    def serves(self) -> HeadTask:  # type: ignore[override]
        return self.task


AnyHead = (
    TorchvisionHead
    | MaskRcnnHead
    | SsdHead
    | SsdSoftmaxHead
    | Yolov5Head
    | Yolov8Head
    | YoloSegHead
    | YoloxHead
    | EndToEndHead
    | FastestDetHead
    | YunetHead
    | DetrHead
    | SemanticHead
    | OwnHead
)
"""What `model.output` may be for a detector or a segmenter; `kind` tells which."""

HEADS: Mapping[str, type[HeadSpec]] = {
    head.model_fields["kind"].default: head for head in get_args(AnyHead)
}
"""Every head by its name."""
