"""Matching and average precision beside pycocotools, on made-up worlds and on COCO's own boxes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from coco_reference import evaluated, value
from detector_worlds import answers_to, boxes, detections, objects

from auditor.data.masks import Mask
from auditor.scoring.average_precision import RankedAnswers, average_precision
from auditor.scoring.matching import IOU_THRESHOLDS, match, ranked
from auditor.scoring.overlaps import overlaps

SIZES = ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10))


def matched(truth, answers, *, n_images, n_classes, size=(0, 1e10)):
    """Answers of every threshold, objects outside `size` not counting."""
    low, high = size
    answers = ranked(answers)
    ignored = truth.crowd | (truth.areas < low) | (truth.areas > high)
    pairs = overlaps(answers, truth, least=IOU_THRESHOLDS[0])
    found = match(pairs, n_answers=len(answers), truth=truth, ignored=ignored)
    own = (answers.corners[:, 2:] - answers.corners[:, :2]).prod(axis=1)
    outside = ((own < low) | (own > high))[:, None] & (found.object < 0)
    counts = np.zeros((n_images, n_classes), dtype=int)
    np.add.at(counts, (truth.image[~ignored], truth.classes[~ignored]), 1)
    return RankedAnswers.of(
        image=answers.image, classes=answers.classes, scores=answers.scores, right=found.right,
        ignored=found.ignored | outside, objects=counts,
    )  # fmt: skip


def require_equal(truth, answers, *, n_images, n_classes):
    reference = evaluated(truth, answers, n_images=n_images, n_classes=n_classes)
    for place, size in enumerate(SIZES):
        own = average_precision(
            matched(truth, answers, n_images=n_images, n_classes=n_classes, size=size)
        )
        assert own.value == pytest.approx(value(reference, size=place), abs=1e-6)
        for level in (0, 5):
            at = np.nanmean(own.by_class[:, level])
            assert at == pytest.approx(value(reference, size=place, level=level), abs=1e-6)
        assert own.influence.sum() == pytest.approx(0, abs=1e-9)
    for label in np.flatnonzero(np.isfinite(own.by_class[:, 0]))[:5]:
        assert own.by_class[label].mean() == pytest.approx(
            value(reference, size=3, label=label), abs=1e-6
        )


@pytest.mark.parametrize(("seed", "n_classes", "most"), [(0, 1, 8), (1, 5, 40), (2, 20, 8)])
def test_ap_is_cocos_by_threshold_class_and_size_with_crowds_and_equal_scores(
    seed, n_classes, most
):
    rng = np.random.default_rng(seed)
    truth = objects(rng, n_images=40, n_classes=n_classes, most=most, crowds=0.1)
    answers = answers_to(truth, rng, n_images=40, n_classes=n_classes, copies=5)
    require_equal(truth, answers, n_images=40, n_classes=n_classes)


def test_of_two_objects_overlapped_alike_the_later_is_taken_as_coco_does():
    truth = boxes([0, 0], [[0, 0, 10, 10], [2, 0, 12, 10]], [0, 0])
    between, first = [1, 0, 11, 10], [0, 0, 10, 10]
    answers = detections([0, 0], [between, first], [0, 0], [0.9, 0.8])
    found = matched(truth, answers, n_images=1, n_classes=1)
    assert found.right[1].all()
    reference = evaluated(truth, answers, n_images=1, n_classes=1)
    assert average_precision(found).value == pytest.approx(value(reference), abs=1e-6)


def test_only_the_hundred_surest_answers_of_an_image_and_class_count():
    rng = np.random.default_rng(3)
    truth = objects(rng, n_images=3, n_classes=2, most=30)
    answers = answers_to(truth, rng, n_images=3, n_classes=2, copies=4, made_up=300)
    assert len(ranked(answers)) < len(answers)
    require_equal(truth, answers, n_images=3, n_classes=2)


def test_ap_is_cocos_on_its_own_boxes(shared_data):
    content = json.loads((shared_data / "coco-val-mini" / "annotations.json").read_text())
    place = {image["id"]: n for n, image in enumerate(content["images"])}
    label = {category["id"]: n for n, category in enumerate(content["categories"])}
    found = sorted(content["annotations"], key=lambda a: place[a["image_id"]])
    x, y, width, height = np.array([a["bbox"] for a in found]).T
    truth = boxes(
        [place[a["image_id"]] for a in found],
        np.stack([x, y, x + width, y + height], axis=1),
        [label[a["category_id"]] for a in found],
        crowd=np.array([bool(a["iscrowd"]) for a in found]),
        areas=np.array([a["area"] for a in found]),
    )
    assert truth.crowd.sum() == 5
    rng = np.random.default_rng(7)
    answers = answers_to(truth, rng, n_images=len(place), n_classes=len(label))
    require_equal(truth, answers, n_images=len(place), n_classes=len(label))


def blobs(corners, rng):
    """A mask of each box: its ellipse, with a dent at random."""
    found = []
    for x0, y0, x1, y1 in corners:
        y, x = np.mgrid[:480, :640] + 0.5
        half_width, half_height = max(x1 - x0, 2) / 2, max(y1 - y0, 2) / 2
        inside = ((x - x0) / half_width - 1) ** 2 + ((y - y0) / half_height - 1) ** 2 <= 1
        inside &= ~((x < x0 + half_width) & (y < y0 + rng.uniform(0, 0.8) * half_height))
        found.append(Mask.of_pixels(inside))
    return tuple(found)


def test_mask_ap_is_cocos():
    rng = np.random.default_rng(9)
    truth = objects(rng, n_images=12, n_classes=2, crowds=0.1)
    masks = blobs(truth.corners, rng)
    truth = replace(truth, masks=masks, areas=np.array([float(m.area) for m in masks]))
    answers = answers_to(truth, rng, n_images=12, n_classes=2, copies=2)
    answers = replace(answers, masks=blobs(answers.corners, rng))
    reference = evaluated(truth, answers, n_images=12, n_classes=2, kind="segm")
    # Boxes that a model gives beside its masks may be anywhere.
    elsewhere = replace(answers, corners=answers.corners + 300)
    own = average_precision(matched(truth, elsewhere, n_images=12, n_classes=2))
    assert own.value == pytest.approx(value(reference), abs=1e-6)


def test_one_object_and_one_perfect_answer_are_an_ap_of_one():
    truth = boxes([0], [[10, 10, 50, 50]], [0])
    answers = detections([0], [[10, 10, 50, 50]], [0], [0.3])
    own = average_precision(matched(truth, answers, n_images=1, n_classes=1))
    assert own.value == pytest.approx(1)
    assert own.n_classes == 1


def test_nothing_annotated_has_no_ap_and_nothing_answered_has_one_of_zero():
    nothing, no_answer = boxes([], [], []), detections([], [], [], [])
    answer = detections([0], [[10, 10, 50, 50]], [0], [0.3])
    truth = boxes([1], [[10, 10, 50, 50]], [1])
    assert np.isnan(average_precision(matched(nothing, answer, n_images=2, n_classes=2)).value)
    own = average_precision(matched(truth, no_answer, n_images=2, n_classes=2))
    assert (own.value, own.n_classes) == (0, 1)


def test_a_class_that_is_only_answered_is_left_out_and_does_not_count_as_zero():
    truth = boxes([0], [[10, 10, 50, 50]], [0])
    answers = detections([0, 0], [[10, 10, 50, 50], [60, 60, 90, 90]], [0, 1], [0.9, 0.8])
    own = average_precision(matched(truth, answers, n_images=1, n_classes=2))
    assert own.value == pytest.approx(1)
    assert own.n_classes == 1
    assert np.isnan(own.by_class[1]).all()


def test_empty_images_and_their_order_change_nothing():
    rng = np.random.default_rng(4)
    truth = objects(rng, n_images=30, n_classes=3)
    answers = answers_to(truth, rng, n_images=30, n_classes=3)
    alone = average_precision(matched(truth, answers, n_images=30, n_classes=3))
    spread = truth.take(np.arange(len(truth)))
    spread.image[:] = truth.image * 3 + 7
    moved = detections(answers.image * 3 + 7, answers.corners, answers.classes, answers.scores)
    among = average_precision(matched(spread, moved, n_images=120, n_classes=3))
    assert among.value == pytest.approx(alone.value, abs=1e-12)
    assert among.influence[7:97:3] == pytest.approx(alone.influence, abs=1e-12)


def test_influence_is_what_leaving_an_image_out_changes():
    rng = np.random.default_rng(5)
    truth = objects(rng, n_images=200, n_classes=2)
    answers = matched(truth, answers_to(truth, rng, n_images=200, n_classes=2),
                      n_images=200, n_classes=2)  # fmt: skip
    whole = average_precision(answers)
    images = np.arange(200)
    left = np.array([average_precision(answers.among(images != i)).value for i in images])
    jackknife = 199 / 200 * (whole.value - left)
    assert np.corrcoef(jackknife, whole.influence)[0, 1] > 0.97
    assert whole.influence.std() == pytest.approx(jackknife.std(), rel=0.1)


def test_a_group_is_scored_as_its_images_alone_would_be():
    rng = np.random.default_rng(6)
    truth = objects(rng, n_images=40, n_classes=3)
    answers = answers_to(truth, rng, n_images=40, n_classes=3)
    inside = np.arange(40) % 3 == 0
    number = np.cumsum(inside) - 1
    own, given = truth.take(inside[truth.image]), answers.take(inside[answers.image])
    alone = matched(
        boxes(number[own.image], own.corners, own.classes, crowd=own.crowd),
        detections(number[given.image], given.corners, given.classes, given.scores),
        n_images=int(inside.sum()), n_classes=3,
    )  # fmt: skip
    whole = matched(truth, answers, n_images=40, n_classes=3)
    assert average_precision(whole.among(inside)).value == pytest.approx(
        average_precision(alone).value, abs=1e-12
    )
