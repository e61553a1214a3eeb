"""Masks of objects: prototypes with coefficients and Mask R-CNN's, drawn pixel by pixel."""

import numpy as np
import pytest
import torch
from head_frame import SIZE, decode, logistic
from torch.nn.functional import interpolate

from auditor.data.geometry import Affine
from auditor.errors import ModelError
from auditor.models.answers import Detections, Patch
from auditor.spec import heads as specs

K, CELLS = 4, (16, 24)


def prototypes(rows_as: str):
    """Three boxes whose coefficients and prototypes are random, as one of the row formats."""
    rng = np.random.default_rng(8)
    boxes = np.array([[30.0, 20, 40, 24], [60, 40, 50, 30], [80, 12, 20, 20]])
    scores, coefficients = np.diag([0.9, 0.8, 0.7])[:, :2] + 0.05, rng.normal(size=(3, K))
    planes = rng.normal(size=(1, K, *CELLS)) * 2
    if rows_as == "yolov5":
        rows = np.concatenate([boxes, np.ones((3, 1)), scores, coefficients], axis=1)[None]
    elif rows_as == "yolov8":
        rows = np.concatenate([boxes, scores, coefficients], axis=1).T[None]
    else:
        corners = np.concatenate(
            [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1
        )
        best = np.stack([scores.max(axis=1), scores.argmax(axis=1)], axis=1)
        rows = np.concatenate([corners, best, coefficients], axis=1)[None]
    return rows, planes, coefficients


@pytest.mark.parametrize("rows_as", ["yolov5", "yolov8", "end-to-end"])
def test_masks_of_prototypes_as_torch_enlarges_them(rows_as):
    rows, planes, coefficients = prototypes(rows_as)
    head = specs.YoloSegHead(rows=rows_as, mask_level=0.4)
    answer = decode({"output0": rows, "output1": planes}, head, 2)
    assert answer.scores.tolist() == pytest.approx([0.95, 0.85, 0.05])
    for box, own, cutout in zip(answer.boxes, coefficients, answer.cutouts(SIZE), strict=True):
        logits = torch.from_numpy(np.tensordot(own, planes[0], axes=1))[None, None]
        large = interpolate(logits, size=SIZE, mode="bilinear", align_corners=False)[0, 0].numpy()
        wanted = np.zeros(SIZE, dtype=bool)
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                inside = box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]
                wanted[y, x] = inside and logistic(large[y, x]) > 0.4
        assert 50 < wanted.sum() < wanted.size
        assert (cutout.full(SIZE) != wanted).sum() <= 1


def test_prototypes_of_another_count_are_refused():
    rows, planes, _ = prototypes("yolov8")
    with pytest.raises(ModelError, match=r"numbers a box"):
        decode({"a": rows, "b": planes[:, 1:]}, specs.YoloSegHead(), 2)
    with pytest.raises(ModelError, match=r"prototypes \(four axes\); the model gives 'a'"):
        decode({"a": rows}, specs.YoloSegHead(), 2)


def mask_rcnn(masks):
    n = len(masks)
    boxes = np.array([[10.0, 8, 50, 40], [20.5, 10.25, 80.5, 60.0]])[:n]
    return {"boxes": boxes, "labels": np.array([1, 2])[:n], "scores": np.array([0.9, 0.8])[:n],
            "masks": masks}  # fmt: skip


def test_masks_in_the_frame_stay_what_they_are():
    masks = np.zeros((2, 1, *SIZE), dtype=np.float32)
    masks[0, 0, 8:40, 10:50] = np.random.default_rng(1).random((32, 40))
    answer = decode(mask_rcnn(masks), specs.MaskRcnnHead(), 2)
    found = [cutout.full(SIZE) for cutout in answer.cutouts(SIZE)]
    assert (found[0] == (masks[0, 0] > 0.5)).all()
    assert found[0].sum() > 300
    assert not found[1].any()


def test_masks_in_their_box_as_grid_sample_pastes_them():
    rng = np.random.default_rng(2)
    masks = rng.random((2, 1, 28, 28)).astype(np.float32)
    answer = decode(mask_rcnn(masks), specs.MaskRcnnHead(), 2)
    for mask, (x0, y0, x1, y1), cutout in zip(
        masks, answer.boxes, answer.cutouts(SIZE), strict=True
    ):
        y = (np.arange(SIZE[0]) + 0.5 - y0) / (y1 - y0) * 2 - 1
        x = (np.arange(SIZE[1]) + 0.5 - x0) / (x1 - x0) * 2 - 1
        grid = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32))[None]
        pasted = torch.nn.functional.grid_sample(
            torch.from_numpy(mask)[None], grid, align_corners=False
        )[0, 0].numpy()
        wanted = pasted > 0.5
        assert wanted.sum() > 100
        assert (cutout.full(SIZE) != wanted).sum() <= 2


def test_a_mask_of_each_box_or_a_sentence():
    with pytest.raises(ModelError, match=r"for 2 boxes; expected \(2, 1, h, w\)"):
        decode({**mask_rcnn(np.zeros((2, 1, 28, 28))), "masks": np.zeros((1, 1, 28, 28))},
               specs.MaskRcnnHead(), 2)  # fmt: skip
    with pytest.raises(ModelError, match=r"masks from -5 to -5"):
        decode(mask_rcnn(np.full((2, 1, 28, 28), -5.0)), specs.MaskRcnnHead(), 2)


def test_the_way_back_moves_boxes_landmarks_and_masks_alike():
    patch = Patch(
        (20.0, 10.0, 40.0, 30.0), np.ones((2, 2), np.float32), 0.5, (20.0, 10.0, 40.0, 30.0)
    )
    outside = Patch((0.0, 0.0, 5.0, 5.0), np.ones((1, 1), np.float32), 0.5, (0.0, 0.0, 5.0, 5.0))
    answer = Detections(
        np.array([[20.0, 10, 40, 30], [0, 0, 5, 5], [-9, 5, 30, 30]]),
        np.array([0.9, 0.8, 0.7]), np.array([0, 1, 1]),
        landmarks=np.array([[[20.0, 10]]] * 3), patches=(patch, outside, patch),
    )  # fmt: skip
    # An image of 40 x 30 letterboxed: twice as large, 10 pixels from the left.
    to_frame = Affine(xx=2, yy=2, x0=10)
    back = answer.to_image(to_frame, size=(30, 40), clip=True)
    assert back.boxes.tolist() == [[5, 5, 15, 15], [0, 2.5, 10, 15]]
    assert (back.classes.tolist(), back.n_empty) == ([0, 1], 1)
    assert back.landmarks[0].tolist() == [[5, 5]]
    drawn = back.cutouts((30, 40))[0].full((30, 40))
    wanted = np.zeros((30, 40), dtype=bool)
    wanted[5:15, 5:15] = True
    assert (drawn == wanted).all()
    assert answer.to_image(to_frame, size=(30, 40), clip=False).boxes[2, 0] == -9.5
