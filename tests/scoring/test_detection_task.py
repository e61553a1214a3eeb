"""Rows and quantities of a detector from made-up answers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from coco_reference import evaluated, value
from detector_worlds import answers_to, boxes, detections, objects

from auditor.checks.performance_per_class import _of_class, _table
from auditor.data.boxes import SIZES
from auditor.data.dataset import Attribute
from auditor.data.truth import BoxTruth
from auditor.scoring.detection_errors import OperatingPoint
from auditor.scoring.quantities import precision, rightly_called
from auditor.scoring.tasks import detection
from auditor.scoring.tasks.scoring import Scoring
from auditor.stats import interval, mean, mean_difference
from auditor.stats import value as value_of

AT = OperatingPoint(confidence=0.5)
N, CLASSES = 60, ("cat", "dog", "cow")


def rows_of(rows):
    """The place of each row's image."""
    return [int(name[-9:-4]) for name in rows.image_ids]


def scored(answers, truth, known):
    how = Scoring(len(known), len(CLASSES), AT)
    return detection.score(answers, BoxTruth(truth, known), how)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(8)
    truth = objects(rng, n_images=N, n_classes=3, crowds=0.1)
    return truth, answers_to(truth, rng, n_images=N, n_classes=3)


@pytest.fixture(scope="module")
def scores(drawn, tmp_path_factory):
    """As the store hands them out again."""
    truth, answers = drawn
    known = np.ones(N, dtype=bool)
    table = scored(answers, truth, known)
    path = tmp_path_factory.mktemp("scores") / "scores.parquet"
    table.to_parquet(path)
    return pd.read_parquet(path)


@pytest.fixture
def dataset(worlds):
    light = {"light": ("condition", ["day", "dark", "day"] * 20)}
    return worlds.dataset([-1] * N, classes=CLASSES, units=np.arange(N) // 2, attributes=light)


def test_a_box_that_says_an_object_again_is_right_of_no_class(worlds):
    twice = detections([0, 0, 1], [[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]], [0, 0, 1],
                       [0.9, 0.8, 0.7])  # fmt: skip
    truth = boxes([0, 1], [[0, 0, 10, 10]] * 2, [0, 1])
    table = scored(twice, truth, np.ones(2, dtype=bool))
    dataset = worlds.dataset([-1] * 2, classes=CLASSES)
    answers = detection.rows(dataset, table, of="answer")
    assert answers.right.sum() == 2
    assert rightly_called(answers, "cat").tolist() == [True, False, False]
    assert precision(answers, "cat").values.sum() == 1
    # So classes and the whole say the same of the same boxes.
    assert sum(rightly_called(answers, name).sum() for name in CLASSES) == answers.right.sum()
    by_object = detection.rows(dataset, table, of="object")
    found, held = ([_of_class(rows, name, kind=kind) for name in CLASSES]
                   for rows, kind in ((by_object, "recall"), (answers, "precision")))  # fmt: skip
    (cat, *_) = _table(by_object, answers, found, held).rows
    assert cat[:3] == ("cat", 1, 2)
    assert cat[-2] == pytest.approx(2 / 3)


def test_objects_answers_and_images_agree(drawn, scores, dataset):
    truth, answers = drawn
    by_object = detection.rows(dataset, scores, of="object")
    by_answer = detection.rows(dataset, scores, of="answer")
    by_image = detection.rows(dataset, scores)
    assert len(by_object) == (~truth.crowd).sum()
    assert by_object.right.sum() == by_answer.right.sum() > 0
    assert len(by_answer) <= (answers.scores >= AT.confidence).sum()
    alarms = by_image.amounts["false-alarms"].values
    assert alarms.sum() == (~by_answer.right).sum()
    assert by_image.amounts["not-found"].values.sum() == (~by_object.right).sum()
    errors = detection.errors_by_kind(scores)
    assert sum(errors.values()) - errors["missed"] == (~by_answer.right).sum()
    assert errors["duplicate"] > 0
    assert by_object.image_ids[0] == dataset.image_ids[truth.image[~truth.crowd][0]]
    assert set(by_object.groups("light")) == {"day", "dark"}


def test_objects_are_grouped_by_their_size(drawn, scores, dataset):
    truth = drawn[0]
    known = BoxTruth(
        replace(truth, attributes={"size": truth.told("size")}), np.ones(N, dtype=bool)
    )
    grouped = replace(
        dataset,
        truth=known.take(np.arange(N)),
        object_attributes=(Attribute("size", "condition", tuple(SIZES)),),
    )
    rows = detection.rows(grouped, scores, of="object")
    sizes = rows.groups("size")
    areas = truth.areas[~truth.crowd]
    assert (sizes == "small").sum() == (areas <= 32**2).sum()
    assert (sizes == "large").sum() == (areas > 96**2).sum()
    assert "" not in sizes
    assert rows.groups("light").tolist() == [["day", "dark"][i % 3 == 1] for i in rows_of(rows)]


def test_presence_of_objects_has_nothing_as_a_class(scores, dataset):
    by_object = detection.rows(dataset, scores, of="object")
    confusion = by_object.presence.confusion()
    assert confusion.shape == (4, 4)
    assert confusion.sum() == len(by_object)
    assert np.trace(confusion[:3, :3]) == by_object.right.sum()
    by_answer = detection.rows(dataset, scores, of="answer").presence.confusion()
    assert by_answer[3, :3].sum() > 0
    miss = np.zeros((4, 4))
    miss[:, 3] = 7
    missed = by_object.presence.costs(miss)
    assert missed.sum() == 7 * confusion[:, 3].sum()


def test_an_image_holds_several_classes_and_calls_several(drawn, scores, dataset):
    rows = detection.rows(dataset, scores)
    truth = drawn[0].take(~drawn[0].crowd)
    for label, name in enumerate(CLASSES):
        expected = np.isin(np.arange(N), truth.image[truth.classes == label])
        assert (rows.present(name) == expected).all()
    with pytest.raises(TypeError, match="ask for rows of objects"):
        rows.presence.confusion()
    assert not rows.presence.differs(rows.presence).any()


def test_the_f1_of_an_image_by_hand(worlds):
    truth = boxes([0, 0, 1], [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]], [0, 0, 1])
    answers = detections([0, 0, 2], [[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 5, 5]], [0, 0, 0],
                         [0.9, 0.9, 0.9])  # fmt: skip
    table = scored(answers, truth, np.ones(4, dtype=bool))
    rows = detection.rows(worlds.dataset([-1] * 4, classes=CLASSES), table)
    assert rows.amounts["f1"].values.tolist() == [0.5, 0, 0, 1]
    assert rows.right.tolist() == [False, False, False, True]
    assert rows.confidence.tolist() == [0.9, 0, 0.9, 0]


def test_images_that_nobody_annotated_have_no_false_alarms(worlds):
    answers = detections([0, 1], [[0, 0, 10, 10]] * 2, [0, 0], [0.9, 0.9])
    table = scored(answers, boxes([], [], []), np.array([True, False]))
    rows = detection.rows(worlds.dataset([-1] * 2, classes=CLASSES), table)
    assert rows.known.tolist() == [True, False]
    assert rows.amounts["false-alarms"].values.tolist() == [1, 0]
    answers = detection.rows(worlds.dataset([-1] * 2, classes=CLASSES), table, of="answer")
    assert answers.known.tolist() == [True, False]
    assert not answers.flags["background"][1]


@pytest.mark.parametrize(("iou", "level"), [(None, None), (0.5, 0), (0.75, 5)])
@pytest.mark.parametrize(("size", "place"), [("all", 0), ("small", 1), ("large", 3)])
def test_ap_is_cocos_and_its_name_says_at_which_overlap(drawn, scores, iou, level, size, place):
    reference = evaluated(*drawn, n_images=N, n_classes=3)
    quantity = detection.average_precision_quantity(scores, n_classes=3, iou=iou, size=size)
    assert quantity.values.mean() == pytest.approx(value(reference, level=level, size=place))
    overlap = "50-95" if iou is None else f"{iou * 100:.0f}"
    assert quantity.name == f"ap-{overlap}" + ("" if size == "all" else f"-{size}")


def test_ap_of_a_class_and_of_a_group_against_the_rest(drawn, scores, dataset):
    reference = evaluated(*drawn, n_images=N, n_classes=3)
    own = detection.average_precision_quantity(scores, n_classes=3, label=1)
    assert own.values.mean() == pytest.approx(value(reference, label=1))
    quantity = detection.average_precision_quantity(scores, n_classes=3)
    dark = dataset.groups("light") == "dark"
    sides = quantity.on_sides(dark)
    assert sides[dark].mean() == pytest.approx(quantity.over(dark).mean())
    gap = mean_difference(sides, member=dark, unit=dataset.units)
    assert value_of(gap) == pytest.approx(
        quantity.over(dark).mean() - quantity.over(~dark).mean(), abs=1e-12
    )
    assert 0 < gap.se < 0.3


def test_a_detector_without_a_fault_claims_no_certainty():
    truth = boxes(np.arange(50), [[0, 0, 10, 10]] * 50, [0] * 50)
    answers = detections(np.arange(50), [[0, 0, 10, 10]] * 50, [0] * 50, [0.9] * 50)
    table = scored(answers, truth, np.ones(50, dtype=bool))
    quantity = detection.average_precision_quantity(table, n_classes=1)
    estimate = mean(quantity.values, span=quantity.span)
    assert value_of(estimate) == pytest.approx(1)
    assert interval(estimate).low < 0.97


def test_no_object_at_all_has_no_ap():
    table = scored(detections([], [], [], []), boxes([], [], []), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="found no object"):
        detection.average_precision_quantity(table, n_classes=1)
    assert sum(detection.errors_by_kind(table).values()) == 0


@pytest.mark.parametrize(("alarms", "most"), [(0, 1.0), (3, 3.0)])
def test_no_false_alarm_among_these_images_is_not_none_among_all(worlds, alarms, most):
    """Without any the scale still has room for one; with three it holds them."""
    n = 12
    answers = detections([0] * alarms, [[0, 0, 10, 10]] * alarms, [0] * alarms, [0.9] * alarms)
    table = scored(answers, boxes([], [], []), np.ones(n, dtype=bool))
    found = detection.rows(worlds.dataset([-1] * n, classes=CLASSES), table).amounts["false-alarms"]
    assert found.span == (0.0, most)
    assert found.values.max() == alarms
    assert interval(mean(found.values, span=found.span)).high > found.values.mean()
