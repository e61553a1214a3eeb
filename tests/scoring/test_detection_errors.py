"""What is wrong with each answer at an operating point, by hand."""

import numpy as np
import pytest
from detector_worlds import boxes, detections

from auditor.data.boxes import Boxes
from auditor.scoring.detection_errors import NOTHING, OperatingPoint, judged
from auditor.scoring.matching import ranked

AT = OperatingPoint(confidence=0.3, iou=0.5)
CAT, DOG = 0, 1
SPOT, ELSEWHERE = (10, 10, 50, 50), (100, 100, 140, 140)
NEAR = (10, 10, 50, 46)
HALF_OFF = (32, 10, 72, 50)


def truth(*objects, crowd=None) -> Boxes:
    corners, classes = zip(*objects, strict=True)
    return boxes([0] * len(objects), corners, classes, crowd=crowd)


def judge(objects: Boxes, *answers):
    corners, classes, scores = zip(*answers, strict=True)
    return judged(ranked(detections([0] * len(answers), corners, classes, scores)), objects, at=AT)


@pytest.mark.parametrize(
    ("answers", "kinds", "said", "missed"),
    [
        ([(SPOT, CAT, 0.9)], ["right"], CAT, False),
        ([(NEAR, CAT, 0.8), (SPOT, CAT, 0.9)], ["right", "duplicate"], CAT, False),
        ([(SPOT, DOG, 0.9)], ["wrong class"], DOG, False),
        ([(HALF_OFF, CAT, 0.9)], ["poor box"], NOTHING, False),
        ([(HALF_OFF, DOG, 0.9)], ["wrong class and poor box"], NOTHING, True),
        ([(ELSEWHERE, CAT, 0.9)], ["background"], NOTHING, True),
        ([(SPOT, CAT, 0.2), (ELSEWHERE, CAT, 0.9)], ["background"], NOTHING, True),
        ([(SPOT, CAT, 0.9), (SPOT, DOG, 0.95)], ["right", "wrong class"], CAT, False),
        ([(HALF_OFF, CAT, 0.9), (SPOT, DOG, 0.8)], ["poor box", "wrong class"], DOG, False),
    ],
)
def test_every_answer_is_of_one_kind_and_every_object_is_found_or_not(answers, kinds, said, missed):
    found = judge(truth((SPOT, CAT)), *answers)
    assert [str(kind) for kind in found.kinds] == kinds
    assert found.said.tolist() == [said]
    assert found.missed.tolist() == [missed]
    assert found.found.tolist() == ["right" in kinds]


def test_what_an_answer_meant_is_the_class_at_its_place():
    found = judge(truth((SPOT, CAT)), (SPOT, DOG, 0.9), (ELSEWHERE, DOG, 0.5), (SPOT, CAT, 0.4))
    assert found.answers.classes.tolist() == [CAT, DOG, DOG]
    assert found.meant.tolist() == [CAT, CAT, NOTHING]
    assert found.confidence.tolist() == [0.4]


def test_answers_on_a_crowd_are_ignored_and_a_crowd_is_never_missed():
    crowd = truth((SPOT, CAT), crowd=np.array([True]))
    found = judge(crowd, ((12, 12, 20, 20), CAT, 0.9), ((30, 30, 40, 40), CAT, 0.8))
    assert [str(kind) for kind in found.kinds] == ["ignored", "ignored"]
    assert not found.missed.any()


def test_the_surer_answer_takes_the_object_and_a_second_object_is_left_to_the_other():
    two = truth((SPOT, CAT), (NEAR, CAT))
    found = judge(two, (SPOT, CAT, 0.9), (SPOT, CAT, 0.8))
    assert [str(kind) for kind in found.kinds] == ["right", "right"]
    assert found.found.all()


@pytest.mark.parametrize("wrong", [{"confidence": 1.2}, {"confidence": 0.5, "iou": 0.05}])
def test_an_operating_point_off_its_scale_is_refused(wrong):
    with pytest.raises(ValueError, match="operating point: found"):
        OperatingPoint(**wrong)
