"""What pycocotools makes of the same objects and answers."""

import contextlib
import io

import numpy as np
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def xywh(corners):
    x0, y0, x1, y1 = (float(c) for c in corners)
    return [x0, y0, x1 - x0, y1 - y0]


def rle(mask):
    found = coco_masks.encode(np.asfortranarray(mask.pixels.astype(np.uint8)))
    return found | {"counts": found["counts"].decode()}


def evaluated(truth, answers, *, n_images, n_classes, kind="bbox"):
    """COCOeval after `accumulate`; `truth` and `answers` in the order of their images."""
    found = coco_evaluation(truth, answers, n_images=n_images, n_classes=n_classes, kind=kind)
    with contextlib.redirect_stdout(io.StringIO()):
        found.evaluate()
        found.accumulate()
    return found


def coco_evaluation(truth, answers, *, n_images, n_classes, kind="bbox"):
    """COCOeval of the same objects and answers, before it has done any work."""
    annotations = [
        {"id": i + 1, "image_id": int(truth.image[i]), "category_id": int(truth.classes[i]),
         "bbox": xywh(truth.corners[i]), "area": float(truth.areas[i]),
         "iscrowd": int(truth.crowd[i])}
        | ({"segmentation": rle(truth.masks[i])} if truth.masks else {})
        for i in range(len(truth))
    ]  # fmt: skip
    results = [
        {"image_id": int(answers.image[i]), "category_id": int(answers.classes[i]),
         "score": float(answers.scores[i])}
        | ({"segmentation": rle(answers.masks[i])} if kind == "segm"
           else {"bbox": xywh(answers.corners[i])})
        for i in range(len(answers))
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i, "width": 640, "height": 480} for i in range(n_images)],
            "annotations": annotations,
            "categories": [{"id": c, "name": str(c)} for c in range(n_classes)],
        }
        coco.createIndex()
        return COCOeval(coco, coco.loadRes(results), kind)


def value(evaluation, *, level=None, size=0, label=None):
    """Mean precision at a threshold, size range and class (all, where None), -1 left out."""
    precision = evaluation.eval["precision"][:, :, :, size, -1]
    precision = precision if level is None else precision[level : level + 1]
    precision = precision if label is None else precision[:, :, label : label + 1]
    return float(precision[precision > -1].mean())
