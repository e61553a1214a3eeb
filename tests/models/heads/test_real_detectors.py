"""Public models, and torchvision's own through two runtimes; numbers on all photos are
measured by `benchmarks/detectors.py`.
"""

import io
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from head_frame import decode

from auditor.data.frames import to_frame
from auditor.data.geometry import to_frame_affine
from auditor.data.images import decode as decode_image
from auditor.models.answers import ClassMap
from auditor.models.heads.recognition import recognise
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import tensor_facts
from auditor.models.torchvision_ops import import_torchvision
from auditor.spec import InputSpec
from auditor.spec import heads as specs

YOLOX = InputSpec(size=(416, 416), resize="letterbox", align="top-left", pad=114, scale=1.0,
                  channels="bgr")  # fmt: skip
FASTESTDET = InputSpec(size=(352, 352), channels="bgr")
ULTRAFACE = InputSpec(size=(240, 320), scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)
YUNET = InputSpec(size=(320, 320), resize="letterbox", scale=1.0, channels="bgr")
DEEPLAB = InputSpec(size=(513, 513), dtype="uint8", layout="nhwc")
REAL = [
    ("coco_yolox_nano_416.onnx", YOLOX, 80, specs.YoloxHead()),
    ("coco_fastestdet_352.onnx", FASTESTDET, 80, specs.FastestDetHead()),
    ("face_ultraface_rfb320.onnx", ULTRAFACE, 1, specs.SsdSoftmaxHead()),
    ("face_yunet_s_320.onnx", YUNET, 1, specs.YunetHead()),
    ("cityscapes_deeplab_edgetpu_slim_513_fp32.onnx", DEEPLAB, 19,
     specs.SemanticHead(values="classes")),
]  # fmt: skip


class Reader:
    """One public model and how it answers to a file."""

    def __init__(self, path: Path, input: InputSpec, n_classes: int, head: specs.HeadSpec):
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        self.session = onnxruntime.InferenceSession(str(path), options)
        self.input, self.n_classes, self.head = input, n_classes, head

    def answer(self, path: Path):
        pixels = decode_image(path.read_bytes(), max_pixels=10**8).pixels
        batch = InputBuffers().fill(to_frame(pixels, self.input)[None], input=self.input)
        outputs = self.session.run(None, {self.session.get_inputs()[0].name: batch})
        names = [each.name for each in self.session.get_outputs()]
        raw = dict(zip(names, outputs, strict=True))
        found = decode(raw, self.head, self.n_classes, size=self.input.size)
        height, width = pixels.shape[:2]
        affine = to_frame_affine(width=width, height=height, input=self.input)
        if isinstance(found, ClassMap):
            return found.to_image(affine, size=(height, width))
        return found.to_image(affine, size=(height, width), clip=True)


@pytest.mark.parametrize(("file", "input", "n_classes", "head"), REAL)
def test_public_models_are_recognised(shared_data, file, input, n_classes, head):
    graph = onnx.load(str(shared_data / "models" / file), load_external_data=False).graph
    found = recognise([tensor_facts(o) for o in graph.output], size=input.size,
                      n_classes=n_classes)  # fmt: skip
    assert found.head.model_copy(update={"tensors": {}}) == head
    assert found.n_classes == n_classes


@pytest.mark.parametrize(("file", "input", "n_classes", "head"), REAL[:2])
def test_public_detectors_find_the_large_things(shared_data, file, input, n_classes, head):
    """The largest thing of each photo: most are found, at an overlap of a half."""
    folder = shared_data / "coco-val-mini"
    truth = json.loads((folder / "annotations.json").read_text())
    numbers = sorted(c["id"] for c in truth["categories"])
    reader = Reader(shared_data / "models" / file, input, n_classes, head)
    hits = []
    for image in truth["images"][:12]:
        mine = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        largest = max(mine, key=lambda a: a["bbox"][2] * a["bbox"][3])
        answer = reader.answer(folder / "images" / Path(image["file_name"]).name)
        of_class = answer.boxes[answer.classes == numbers.index(largest["category_id"])]
        x, y, w, h = largest["bbox"]
        shared = np.prod([
            (np.minimum(of_class[:, 2 + k], high) - np.maximum(of_class[:, k], low)).clip(min=0)
            for k, (low, high) in enumerate(((x, x + w), (y, y + h)))
        ], axis=0)  # fmt: skip
        areas = (of_class[:, 2:] - of_class[:, :2]).prod(axis=1) + w * h
        hits.append(bool((shared / (areas - shared) > 0.5).any()))
    assert sum(hits) >= 9


@pytest.mark.parametrize(("file", "input", "n_classes", "head"), REAL[2:4])
def test_face_finders_find_faces_where_persons_are(shared_data, file, input, n_classes, head):
    folder = shared_data / "coco-val-mini"
    rows = [line.split(",") for line in (folder / "manifest.csv").read_text().splitlines()[1:]]
    reader = Reader(shared_data / "models" / file, input, n_classes, head)
    persons = [row for row in rows if row[6] == "1"][:20]
    faces = [reader.answer(folder / row[0]).scores.max(initial=0) > 0.7 for row in persons]
    assert 6 <= sum(faces) <= 16


def test_a_segmenter_sees_the_road(shared_data):
    file, input, n_classes, head = REAL[4]
    reader = Reader(shared_data / "models" / file, input, n_classes, head)
    frame = sorted((shared_data / "camvid" / "images" / "test").glob("*.jpg"))[100]
    found = reader.answer(frame).classes
    assert found.shape == (360, 480)
    assert (found[-40:, 200:280] == 0).mean() > 0.9


def _nothing() -> None:
    """In place of torchvision's check for its compiled operators, which a CPU build lacks."""


@pytest.fixture
def ssdlite(monkeypatch):
    """torchvision's smallest detector with random weights, whose scores differ by place."""
    import_torchvision()
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    monkeypatch.setattr("torchvision.ops.boxes._assert_has_ops", _nothing)
    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=4, score_thresh=0.3, topk_candidates=40,
        detections_per_img=30,
    )  # fmt: skip
    with torch.no_grad():
        # Statistics of one batch of noise, so that what comes after is not nearly constant.
        for each in model.modules():
            if isinstance(each, torch.nn.BatchNorm2d):
                each.momentum = 1.0
        features = model.train().backbone(torch.randn(2, 3, 320, 320))
        model.head(list(features.values()))
        for each in model.head.parameters():
            each.mul_(1.5)
    return model.eval()


@pytest.mark.filterwarnings("ignore")
def test_torchvision_through_torch_and_through_its_export(ssdlite):
    image = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        by_torch = {k: v.numpy() for k, v in ssdlite(list(image))[0].items()}
    file = io.BytesIO()
    torch.onnx.export(ssdlite, (image,), file, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(file.getvalue())
    names = [each.name for each in session.get_outputs()]
    outputs = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    by_onnx = dict(zip(names, outputs, strict=True))
    assert names != list(by_torch)
    one, other = (
        decode(raw, specs.TorchvisionHead(), 3, size=(320, 320)) for raw in (by_torch, by_onnx)
    )
    assert len(one) == len(other) > 10
    assert len(np.unique(one.scores.round(5))) > 10
    assert other.classes.tolist() == one.classes.tolist()
    assert other.scores == pytest.approx(one.scores, abs=1e-4)
    assert other.boxes == pytest.approx(one.boxes, abs=1e-2)
