"""Which head is recognised in which outputs."""

import pytest

from auditor.findings import TensorFacts
from auditor.models.heads.recognition import recognise

FLOAT, INT = "tensor(float)", "tensor(int64)"


def facts(*outputs):
    return [TensorFacts(name, shape, dtype) for name, shape, dtype in outputs]


def floats(**shapes):
    return facts(*((name, shape, FLOAT) for name, shape in shapes.items()))


YUNET = {f"{part}_{s}": (1, (320 // s) ** 2, width) for part, width in
         (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)) for s in (8, 16, 32)}  # fmt: skip
TORCHVISION = [("a", (None, 4), FLOAT), ("b", (None,), INT), ("c", (None,), FLOAT)]
TFLITE = floats(d0=(1, 10, 4), d1=(1, 10), d2=(1, 10), d3=(1,))

SEEN = [
    (facts(*TORCHVISION), (640, 640), None, "torchvision", None),
    (facts(*TORCHVISION, ("d", (None, 1, None, None), FLOAT)), (640, 640), None, "mask-rcnn", None),
    (floats(detection_boxes=(1, 100, 4), detection_classes=(1, 100), detection_scores=(1, 100),
            num_detections=(1,)), (300, 300), 90, "ssd", 90),
    (TFLITE, (300, 300), 90, "ssd", 90),
    (floats(num_dets=(1, 1), det_boxes=(1, 100, 4), det_scores=(1, 100), det_classes=(1, 100)),
     (640, 640), 80, "ssd", 80),
    (floats(scores=(1, 4420, 2), boxes=(1, 4420, 4)), (240, 320), None, "ssd-softmax", 1),
    (floats(output0=(1, 25200, 85)), (640, 640), None, "yolov5", 80),
    (floats(output0=(1, 25200, 6)), (640, 640), None, "yolov5", 1),
    (floats(output0=(1, 84, 8400)), (640, 640), None, "yolov8", 80),
    (floats(output0=(None, 5, None)), (640, 640), None, "yolov8", 1),
    (floats(output0=(1, 8400, 84)), (640, 640), 80, "yolov8", 80),
    (floats(output=(1, 3549, 85)), (416, 416), 80, "yolox", 80),
    (floats(output0=(1, 300, 6)), (640, 640), 80, "end-to-end", 80),
    (facts(("dets", (1, 100, 5), FLOAT), ("labels", (1, 100), INT)), (640, 640), 80,
     "end-to-end", 80),
    (floats(o=(1, 85, 22, 22)), (352, 352), None, "fastestdet", 80),
    (floats(**YUNET), (320, 320), None, "yunet", 1),
    (floats(logits=(1, 100, 92), pred_boxes=(1, 100, 4)), (800, 800), None, "detr", 91),
    (floats(logits=(1, 300, 80), pred_boxes=(1, 300, 4)), (640, 640), 80, "detr", 80),
    (floats(out=(1, 21, 520, 520), aux=(1, 21, 520, 520)), (520, 520), None, "semantic", 21),
    (floats(out=(1, 128, 128, 19)), (512, 512), None, "semantic", 19),
    (facts(("ArgMax", (1, 513, 513), INT)), (513, 513), 19, "semantic", 19),
    (floats(output0=(1, 116, 8400), output1=(1, 32, 160, 160)), (640, 640), None, "yolo-seg", 80),
    (floats(output0=(1, 25200, 117), output1=(1, 32, 160, 160)), (640, 640), None, "yolo-seg", 80),
    (floats(output0=(1, 300, 38), output1=(1, 32, 160, 160)), (640, 640), 80, "yolo-seg", 80),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "size", "known", "kind", "n_classes"), SEEN)
def test_recognised(outputs, size, known, kind, n_classes):
    found = recognise(outputs, size=size, n_classes=known)
    assert found is not None
    assert (found.head.kind, found.n_classes) == (kind, n_classes)
    assert found.reason


def test_what_shapes_leave_open_is_named_and_what_names_hide_is_written_down():
    yolox = recognise(floats(o=(1, 8400, 85)), size=(640, 640), n_classes=None)
    assert yolox.guesses == ("kind",)
    tflite = recognise(TFLITE, size=(300, 300), n_classes=90)
    assert tflite.head.tensors == {"boxes": "d0", "classes": "d1", "scores": "d2", "count": "d3"}
    assert "tensors" in tflite.guesses
    by_names = recognise(floats(o=(1, 8400, 12)), size=(640, 640), n_classes=8)
    assert by_names.head.kind == "yolov8"
    assert by_names.head.transposed


@pytest.mark.parametrize(
    "outputs",
    [
        floats(logits=(1, 1000)),
        floats(a=(1, 3, 80, 80, 85), b=(1, 3, 40, 40, 85), c=(1, 3, 20, 20, 85)),
        [],
    ],
)
def test_nothing_is_recognised_in_a_classifier_or_in_undecoded_outputs(outputs):
    assert recognise(outputs, size=(224, 224), n_classes=None) is None
