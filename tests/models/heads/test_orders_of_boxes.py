"""Boxes read in another order than they are in: four numbers are boxes whatever they mean."""

import numpy as np
import pytest
from head_frame import SIZE, decode

from auditor.errors import ModelError
from auditor.spec import heads as specs

WHOLE = np.array([SIZE[1], SIZE[0]])
N_CLASSES = 3


def boxes(rng, n=60):
    """Centres (n, 2) and sizes (n, 2) of boxes within the frame."""
    sizes = rng.uniform(0.1, 0.6, (n, 2)) * WHOLE
    return rng.uniform(sizes / 2, WHOLE - sizes / 2), sizes


def in_order(order, centres, sizes):
    low = centres - sizes / 2
    first = centres if order == "centre" else low
    return np.concatenate([first, centres + sizes / 2 if order == "corners" else sizes], axis=1)


def read(kind, rows, rng):
    scores = rng.uniform(0.1, 0.9, (len(rows), N_CLASSES))
    parts = rows / np.tile(WHOLE, 2)
    if kind == "yolov5":
        raw = np.concatenate([rows, scores[:, :1], scores], axis=1)[None]
        return decode({"o": raw}, specs.Yolov5Head(suppression=None), N_CLASSES)
    if kind == "yolov8":
        raw = np.concatenate([parts, scores], axis=1).T[None]
        head = specs.Yolov8Head(suppression=None, units="fractions")
        return decode({"o": raw}, head, N_CLASSES)
    if kind == "yolo-seg":
        raw = np.concatenate([rows, scores, rng.normal(size=(len(rows), 2))], axis=1).T[None]
        planes = rng.normal(size=(1, 2, 16, 24))
        head = specs.YoloSegHead(suppression=None)
        return decode({"o": raw, "p": planes}, head, N_CLASSES)
    logits = np.log(scores / (1 - scores))[None]
    head = specs.DetrHead(scores="sigmoid")
    return decode({"logits": logits, "boxes": parts[None]}, head, N_CLASSES)


@pytest.mark.parametrize("kind", ["yolov5", "yolov8", "yolo-seg", "detr"])
@pytest.mark.parametrize(
    ("order", "said"),
    [("corners", "as x0, y0, x1, y1"), ("corner and size", "as x0, y0, width, height")],
)
def test_boxes_in_another_order_are_refused(kind, order, said):
    rng = np.random.default_rng(2)
    with pytest.raises(ModelError, match=said):
        read(kind, in_order(order, *boxes(rng)), rng)


@pytest.mark.parametrize("kind", ["yolov5", "yolov8", "yolo-seg", "detr"])
@pytest.mark.parametrize("case", ["within", "whole frames", "beyond it", "few"])
def test_centres_and_sizes_are_not(kind, case):
    rng = np.random.default_rng(3)
    centres, sizes = boxes(rng, n=12 if case == "few" else 60)
    if case == "whole frames":
        centres, sizes = WHOLE * rng.uniform(0.45, 0.55, (60, 2)), np.tile(WHOLE, (60, 1))
    if case == "beyond it":
        # Objects that reach beyond the frame are boxed whole by some detectors.
        sizes = sizes * 2
    assert len(read(kind, in_order("centre", centres, sizes), rng)) >= 12


def test_probabilities_are_no_logits_of_queries():
    scores = np.random.default_rng(4).uniform(0, 1, (1, 30, N_CLASSES))
    raw = {"logits": scores, "boxes": np.full((1, 30, 4), 0.5)}
    with pytest.raises(ModelError, match="as probabilities do"):
        decode(raw, specs.DetrHead(scores="sigmoid"), N_CLASSES)


@pytest.mark.parametrize(("place", "said"), [(0, 3), (3, 0)])
def test_a_background_that_stands_elsewhere_is_named(place, said):
    rng = np.random.default_rng(5)
    scores = np.insert(np.full((1, 400, N_CLASSES), 0.02), place, 0.94, axis=2)
    low = rng.uniform(0, 0.5, (1, 400, 2))
    raw = {"scores": scores, "boxes": np.concatenate([low, low + 0.3], axis=2)}
    head = specs.SsdSoftmaxHead(suppression=None)
    assert len(decode(raw, head.model_copy(update={"background": place}), N_CLASSES)) == 100
    with pytest.raises(ModelError, match=f"background: {place}"):
        decode(raw, head.model_copy(update={"background": said}), N_CLASSES)


@pytest.mark.parametrize("kind", ["torchvision", "mask-rcnn", "end-to-end"])
def test_corners_are_read_in_the_order_that_is_stated(kind):
    box, scores = np.array([[5.0, 10.0, 25.0, 90.0]]), np.array([0.8])
    swapped = box[:, [1, 0, 3, 2]]
    made = {"boxes": swapped, "labels": np.array([1]), "scores": scores}
    raw = {
        "torchvision": made,
        "mask-rcnn": made | {"masks": np.full((1, 1, 28, 28), 0.9)},
        "end-to-end": {"o": np.concatenate([swapped, scores[:, None], [[0.0]]], axis=1)[None]},
    }[kind]
    found = decode(raw, specs.HEADS[kind](corners="yxyx"), N_CLASSES)
    assert np.array_equal(found.boxes, box)


def test_no_object_may_be_the_first_of_the_logits():
    logits = np.array([[[0.0, 9.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]]])
    raw = {"logits": logits, "boxes": np.full((1, 3, 4), 0.5)}
    found = decode(raw, specs.DetrHead(no_object="first", lowest_score=0.1), N_CLASSES)
    assert sorted(found.classes.tolist()) == [0, 2]
