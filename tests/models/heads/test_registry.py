"""The registry against the spec's own list of heads, and batches of several images."""

from typing import get_args

import numpy as np
import pytest
from head_frame import SIZE
from pydantic import TypeAdapter, ValidationError

from auditor.models.heads.registry import READ, read_answers
from auditor.spec import heads as specs


def test_every_head_of_the_spec_is_read_and_every_reader_has_its_parameters():
    kinds = {head.model_fields["kind"].default: head for head in get_args(specs.AnyHead)}
    assert kinds == specs.HEADS
    assert {*READ, "own"} == set(specs.HEADS)  # it reads with the user's code
    assert {kinds[name].serves for name in READ} == {
        "detection", "segmentation", "instance-segmentation",
    }  # fmt: skip


def test_parameters_come_from_a_mapping_and_unknown_ones_are_refused():
    adapter = TypeAdapter(specs.AnyHead)
    head = adapter.validate_json('{"kind": "yolox", "suppression": null, "strides": [4, 8]}')
    assert head == specs.YoloxHead(suppression=None, strides=(4, 8))
    for wrong in (
        '{"kind": "yolox", "iou": 0.5}',
        '{"kind": "yolo"}',
        '{"kind": "yolov5", "lowest_score": 2}',
        '{"kind": "detr", "most": 0}',
    ):
        with pytest.raises(ValidationError):
            adapter.validate_json(wrong)


def test_each_image_of_a_batch_has_its_own_answer():
    rows = np.zeros((3, 4, 6), dtype=np.float32)
    rows[0, :2] = [[10, 10, 20, 20, 0.9, 0], [40, 10, 60, 20, 0.8, 1]]
    rows[2, 0] = [5, 5, 9, 9, 0.7, 1]
    found = read_answers({"o": rows}, specs.EndToEndHead(), n_classes=2, size=SIZE)
    assert [len(each) for each in found] == [2, 0, 1]
    assert [each.classes.tolist() for each in found] == [[0, 1], [], [1]]
    maps = np.stack([np.full(SIZE, value) for value in (0, 1)])
    head = specs.SemanticHead(values="classes")
    found = read_answers({"o": maps}, head, n_classes=2, size=SIZE)
    assert [int(each.classes.max()) for each in found] == [0, 1]
