"""IoU, Dice and boundary F beside scikit-learn and by hand, with what each image adds."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from auditor.data.annotations import ImageHeader
from auditor.data.class_maps import VOID, PixelClasses, read_class_map
from auditor.scoring.pixels import (
    boundary_f,
    boundary_hits,
    dice,
    iou,
    iou_of_class,
    pixel_accuracy,
    pixel_confusion,
)
from auditor.scoring.tasks import segmentation
from auditor.scoring.tasks.scoring import Scoring
from auditor.stats import interval, mean, mean_difference
from auditor.stats import value as value_of

CLASSES = ("road", "car", "tree", "sky")


def maps(n, rng, *, wrong=0.2, size=(24, 32), n_classes=3):
    """True and answered maps of patches, with void; some images are harder than others."""
    truth, answers = [], []
    for _ in range(n):
        true = np.kron(rng.integers(0, n_classes, (3, 4)), np.ones((8, 8), dtype=int))
        said = np.where(rng.random(size) < wrong * 2 * rng.random(), rng.integers(0, 4, size), true)
        truth.append(np.where(rng.random(size) < 0.05, VOID, true))
        answers.append(said)
    return answers, truth


def counted(answers, truth, n_classes=4):
    return np.stack([pixel_confusion(a, t, n_classes=n_classes)
                     for a, t in zip(answers, truth, strict=True)])  # fmt: skip


def require_sklearns(answers, truth, labels):
    confusion = counted(answers, truth, n_classes=max(len(CLASSES), max(labels) + 1))
    flat_truth = np.concatenate([t.ravel() for t in truth])
    said = np.concatenate([a.ravel() for a in answers])[flat_truth >= 0]
    true = flat_truth[flat_truth >= 0]
    shown = {"labels": labels, "average": None}
    assert iou(confusion).by_class[labels] == pytest.approx(jaccard_score(true, said, **shown))
    assert dice(confusion).by_class[labels] == pytest.approx(f1_score(true, said, **shown))
    assert pixel_accuracy(confusion).value == pytest.approx(accuracy_score(true, said))
    assert iou(confusion).value == pytest.approx(jaccard_score(true, said, **shown).mean())


def test_ratios_of_sums_are_scikit_learns():
    answers, truth = maps(12, np.random.default_rng(0))
    require_sklearns(answers, truth, labels=[0, 1, 2])


def test_ratios_are_scikit_learns_on_real_masks(shared_data):
    folder = shared_data / "camvid"
    labels = {int(n): c for n, c in json.loads((folder / "classes.json").read_text()).items()}
    names = tuple(name for name in labels.values() if name != "void")
    meaning = PixelClasses.of(labels, classes=names, class_map={}, void=())
    paths = sorted((folder / "masks" / "test").glob("*.png"))[:12]
    truth = [read_class_map(p, meaning, header=ImageHeader((480, 360))) for p in paths]
    answers = [np.roll(t, 5, axis=1) for t in truth]
    there = np.unique(np.concatenate([t[t >= 0] for t in truth])).tolist()
    answers = [np.where(a < 0, 0, a) for a in answers]
    require_sklearns(answers, truth, labels=there)


def test_a_class_absent_from_truth_has_no_value_and_what_is_called_it_is_lost():
    truth = [np.zeros((2, 2), dtype=int)]
    answers = [np.array([[0, 0], [0, 3]])]
    found = iou(counted(answers, truth))
    assert found.n_classes == 1
    assert found.value == pytest.approx(0.75)
    assert np.isnan(found.by_class[1:]).all()


def test_void_does_not_count_and_an_answer_of_no_class_is_wrong():
    truth = np.array([[0, VOID], [1, 1]])
    answers = np.array([[0, 0], [255, -1]])
    confusion = pixel_confusion(answers, truth, n_classes=2)
    assert confusion.tolist() == [[1, 0, 0], [0, 0, 2]]
    found = iou(confusion[None])
    assert found.by_class.tolist() == [1, 0]
    with pytest.raises(ValueError, match="found an answer of"):
        pixel_confusion(answers, truth[:1], n_classes=2)


@pytest.mark.parametrize("measure", [iou, dice, pixel_accuracy])
def test_influence_is_what_leaving_an_image_out_changes(measure):
    confusion = counted(*maps(60, np.random.default_rng(1)))
    found = measure(confusion)
    left = [measure(np.delete(confusion, i, axis=0)).value for i in range(60)]
    jackknife = 59 / 60 * (found.value - np.array(left))
    assert found.influence == pytest.approx(jackknife, abs=0.02 * np.abs(jackknife).max())
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    assert found.pseudo_observations.mean() == pytest.approx(found.value)


@pytest.mark.parametrize("n", [50, 100, 300])
def test_intervals_hold_the_value_of_all_images(n):
    rng = np.random.default_rng(n)
    confusion = counted(*maps(1500, rng))
    everything = iou(confusion).value
    held = 0
    for _ in range(200):
        drawn = confusion[rng.choice(1500, n, replace=False)]
        ends = interval(mean(iou(drawn).pseudo_observations, span=(0.0, 1.0)))
        held += ends.low <= everything <= ends.high
    assert held >= 180


def test_boundaries_by_hand():
    truth = np.zeros((8, 8), dtype=int)
    truth[:, 4:] = 1
    same = boundary_hits(truth, truth, n_classes=2, tolerance=0)
    assert same.tolist() == [[8, 8, 8, 8]] * 2
    moved = np.zeros((8, 8), dtype=int)
    moved[:, 6:] = 1
    assert boundary_hits(moved, truth, n_classes=2, tolerance=1)[:, 1].tolist() == [0, 0]
    assert boundary_hits(moved, truth, n_classes=2, tolerance=2)[:, 1].tolist() == [8, 8]
    assert boundary_f(same[None]).value == pytest.approx(1)
    void = np.where(truth == 1, VOID, truth)
    assert boundary_hits(void, void, n_classes=2).sum() == 0


@dataclass
class Maps:
    """Class maps that lie in memory."""

    held: list

    def maps(self):
        return iter(self.held)


def scored(answers, truth):
    return segmentation.score(answers, Maps(truth), Scoring(len(answers), len(CLASSES)))


def test_a_set_of_images_has_quantities_by_group(worlds):
    answers, truth = maps(40, np.random.default_rng(2))
    table = scored([*answers, None], [*truth, truth[0]])
    assert table["known"].tolist() == [True] * 40 + [False]
    known = table[:40]
    quantities = {(q.name, q.keys.get("class")): q
                  for q in segmentation.set_values(known, CLASSES)}  # fmt: skip
    confusion = counted(answers, truth)
    assert quantities["mean-iou", None].values.mean() == pytest.approx(iou(confusion).value)
    assert quantities["iou", "car"].values.mean() == pytest.approx(iou(confusion).by_class[1])
    assert iou_of_class(confusion, label=1).value == pytest.approx(iou(confusion).by_class[1])
    assert ("iou", "sky") not in quantities
    member = np.arange(40) < 15
    quantity = quantities["mean-iou", None]
    gap = mean_difference(quantity.on_sides(member), member=member)
    expected = iou(confusion[:15]).value - iou(confusion[15:]).value
    assert value_of(gap) == pytest.approx(expected, abs=1e-12)


def test_rows_of_images_say_which_classes_are_there(worlds):
    answers, truth = maps(30, np.random.default_rng(3))
    table = scored([*answers, None], [*truth, None])
    rows = segmentation.rows(worlds.dataset([-1] * 31, classes=CLASSES), table)
    assert rows.known.tolist() == [True] * 30 + [False]
    assert rows.present("car").tolist() == [bool((t == 1).any()) for t in truth] + [False]
    assert not rows.present("sky").any()
    assert rows.called("sky").any()
    alone = [iou(counted([a], [t])).value for a, t in zip(answers, truth, strict=True)]
    assert rows.amounts["image-iou"].values[:30] == pytest.approx(alone)
    assert rows.right[:30].tolist() == [value >= 0.5 for value in alone]
