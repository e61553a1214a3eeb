"""Public detectors and a segmenter through the heads: their scores beside the published ones.

Needs the folder of public data beside the project (`../shared/data`, or AUDITOR_TEST_DATA).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from auditor.data.frames import to_frame
from auditor.data.geometry import to_frame_affine
from auditor.data.images import decode
from auditor.models.answers import ClassMap, Detections
from auditor.models.heads.registry import read_answers
from auditor.models.inputs import InputBuffers
from auditor.spec import InputSpec
from auditor.spec import heads as specs

DATA = Path(os.environ.get("AUDITOR_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SLACK = 0.005

# CamVid's eleven classes -> train ids of Cityscapes that are the same thing.
CAMVID = {
    "sky": (10,), "building": (2, 3), "pole": (5,), "road": (0,), "pavement": (1,),
    "tree": (8, 9), "sign_symbol": (6, 7), "fence": (4,), "car": (13, 14, 15, 16),
    "pedestrian": (11,), "bicyclist": (12, 17, 18),
}  # fmt: skip
VOID = 11


@dataclass(frozen=True)
class Network:
    """A model file, how it is fed, and how it is read."""

    file: str
    input: InputSpec
    head: specs.HeadSpec
    n_classes: int

    def answers(self, paths: list[Path]) -> Iterator[tuple[Path, Detections | ClassMap]]:
        """The answer to each picture, in its own pixels."""
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(
            str(DATA / "models" / self.file), providers=["CPUExecutionProvider"]
        )
        names = [o.name for o in session.get_outputs()]
        name, buffers = session.get_inputs()[0].name, InputBuffers()
        for path in paths:
            pixels = decode(path.read_bytes(), max_pixels=10**8).pixels
            batch = buffers.fill(to_frame(pixels, self.input)[None], input=self.input)
            raw = dict(zip(names, session.run(None, {name: batch}), strict=True))
            answer = read_answers(raw, self.head, n_classes=self.n_classes, size=self.input.size)[0]
            height, width = pixels.shape[:2]
            affine = to_frame_affine(width=width, height=height, input=self.input)
            if isinstance(answer, ClassMap):
                yield path, answer.to_image(affine, size=(height, width))
            else:
                clip = self.head.clip
                yield path, answer.to_image(affine, size=(height, width), clip=clip)


YOLOX = Network(
    "coco_yolox_nano_416.onnx",
    InputSpec(size=(416, 416), resize="letterbox", align="top-left", pad=114, scale=1.0,
              channels="bgr"),
    specs.YoloxHead(),
    80,
)  # fmt: skip
FASTESTDET = Network(
    "coco_fastestdet_352.onnx",
    InputSpec(size=(352, 352), channels="bgr"),
    specs.FastestDetHead(clip=False),
    80,
)
DEEPLAB = Network(
    "cityscapes_deeplab_edgetpu_slim_513_fp32.onnx",
    InputSpec(size=(513, 513), dtype="uint8", layout="nhwc"),
    specs.SemanticHead(values="classes"),
    19,
)
ULTRAFACE = Network(
    "face_ultraface_rfb320.onnx",
    InputSpec(size=(240, 320), scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3),
    specs.SsdSoftmaxHead(),
    1,
)
YUNET = Network(
    "face_yunet_s_320.onnx",
    InputSpec(size=(320, 320), resize="letterbox", scale=1.0, channels="bgr"),
    specs.YunetHead(),
    1,
)


def average_precision(network: Network) -> tuple[float, float]:
    """AP at .5 to .95 and at .5 on `coco-val-mini`, by pycocotools."""
    folder = DATA / "coco-val-mini"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations.json"))
        ids = {folder / "images" / Path(i["file_name"]).name: i["id"] for i in truth.imgs.values()}
        numbers = sorted(truth.getCatIds())
        found = [
            {"image_id": ids[path], "category_id": numbers[c], "score": s,
             "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for path, answer in network.answers(sorted(ids))
            for (x0, y0, x1, y1), s, c in zip(
                answer.boxes.tolist(), answer.scores.tolist(), answer.classes.tolist(), strict=True
            )
        ]  # fmt: skip
        judged = COCOeval(truth, truth.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return float(judged.stats[0]), float(judged.stats[1])


def mean_iou(network: Network, split: str | None = None, every: int = 1) -> float:
    """Mean over CamVid's classes of the ratio of sums of pixels; void pixels do not count."""
    folder = DATA / "camvid"
    with (folder / "manifest.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if split in (None, r["split"])][::every]
    masks = {folder / row["path"]: folder / row["mask"] for row in rows}
    to_camvid = np.full(network.n_classes, VOID)
    names = json.loads((folder / "classes.json").read_text())
    for number, name in names.items():
        if name in CAMVID:
            to_camvid[list(CAMVID[name])] = int(number)
    counts = np.zeros((VOID + 1, VOID + 1), dtype=np.int64)
    for path, answer in network.answers(list(masks)):
        truth = np.asarray(Image.open(masks[path]))
        said = to_camvid[answer.classes]
        counts += np.bincount((truth * (VOID + 1) + said).ravel(), minlength=counts.size).reshape(
            counts.shape
        )
    counts = counts[:VOID]
    right = np.diag(counts)
    union = counts.sum(axis=1) + counts.sum(axis=0)[:VOID] - right
    return float((right / union).mean())


def faces(network: Network, above: float = 0.7) -> tuple[int, int, int, int]:
    """Photos without a person with a face found, of how many; and those with a person."""
    folder = DATA / "coco-val-mini"
    with (folder / "manifest.csv").open() as file:
        person = {folder / r["path"]: r["has_person"] == "1" for r in csv.DictReader(file)}
    found = {
        path: bool((answer.scores > above).any()) for path, answer in network.answers(list(person))
    }
    without = [found[p] for p in person if not person[p]]
    with_one = [found[p] for p in person if person[p]]
    return sum(without), len(without), sum(with_one), len(with_one)


def main() -> None:
    """Print every number beside the one of the data's README; leave with 1 where one is off."""
    off = False

    def told(name: str, found: float, wanted: float) -> None:
        nonlocal off
        off |= abs(found - wanted) > SLACK
        print(f"{name:32} {found:.4f}   README {wanted:.3f}   {time.perf_counter() - start:5.0f} s")

    start = time.perf_counter()
    told("YOLOX-nano AP", average_precision(YOLOX)[0], 0.329)
    told("FastestDet AP", average_precision(FASTESTDET)[0], 0.173)
    # The README's sample of frames is not named, so this one is not judged.
    found = mean_iou(DEEPLAB, split="test", every=4)
    print(f"DeepLab mIoU, every 4th test frame {found:.4f}; README .526 on another sample")
    for name, network, wanted in (("UltraFace", ULTRAFACE, (11, 54)), ("YuNet", YUNET, (2, 45))):
        without, n_without, with_one, n_with = faces(network)
        print(
            f"{name}: a face in {without} of {n_without} photos without a person and {with_one} of "
            f"{n_with} with one; README {wanted[0]} and {wanted[1]}"
        )
    raise SystemExit(off)


if __name__ == "__main__":
    main()
