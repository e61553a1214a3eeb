"""What a detector or segmenter of each kind usually takes, for `auditor init` to write as a guess.

From the authors' own inference code; a graph, or its metadata, that says otherwise goes before.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PLAIN = {"mean": (0.0,), "std": (1.0,)}
_YOLO = {"resize": "letterbox", "pad": 114, "scale": 255.0, "channels": "rgb", **_PLAIN}

USUAL_INPUT: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "yolov5": _YOLO,
    "yolov8": _YOLO,
    "yolo-seg": _YOLO,
    "end-to-end": _YOLO,
    "yolox": {**_YOLO, "align": "top-left", "scale": 1.0, "channels": "bgr"},
    "fastestdet": {"scale": 255.0, "channels": "bgr", **_PLAIN},
    "yunet": {"scale": 1.0, "channels": "bgr", **_PLAIN},
    "ssd-softmax": {"scale": 1.0, "channels": "rgb", "mean": (127.0,), "std": (128.0,)},
    "torchvision": {"scale": 255.0, "channels": "rgb", **_PLAIN},
    "mask-rcnn": {"scale": 255.0, "channels": "rgb", **_PLAIN},
})  # fmt: skip
"""Fields of `InputSpec` by head; of others nothing is usual."""
