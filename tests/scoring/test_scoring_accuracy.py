"""Point estimates against scikit-learn; their intervals by simulation."""

import numpy as np
import pytest
from sklearn import metrics

from auditor.scoring.accuracy import (
    balanced_accuracy,
    confusion_matrix,
    f1_scores,
    in_top,
    log_losses,
    macro_f1,
    recalls,
)
from auditor.stats import interval, value

CLASSES = 5


def answers(seed, n=400, classes=CLASSES, right=0.7):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    predicted = np.where(rng.random(n) < right, labels, rng.integers(classes, size=n))
    return labels, predicted


@pytest.mark.parametrize("seed", range(5))
def test_point_estimates_are_scikit_learns(seed):
    labels, predicted = answers(seed)
    confusion = confusion_matrix(labels, predicted, n_classes=CLASSES)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(labels, predicted))
    np.testing.assert_allclose(
        recalls(confusion), metrics.recall_score(labels, predicted, average=None)
    )
    np.testing.assert_allclose(
        f1_scores(confusion), metrics.f1_score(labels, predicted, average=None)
    )
    balanced = balanced_accuracy(labels, predicted, n_classes=CLASSES)
    assert value(balanced) == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    f1 = macro_f1(labels, predicted, n_classes=CLASSES)
    assert value(f1) == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))


def test_a_class_without_images_has_no_recall_and_does_not_enter_the_averages():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    confusion = confusion_matrix(labels, predicted, n_classes=4)
    assert np.isnan(recalls(confusion)[2:]).all()
    # scikit-learn averages F1 over classes in labels or answers: class 2 counts, class 3 does not.
    f1 = macro_f1(labels, predicted, n_classes=4)
    assert value(f1) == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    balanced = balanced_accuracy(labels, predicted, n_classes=4)
    assert value(balanced) == pytest.approx(0.75)


@pytest.mark.parametrize("average", [balanced_accuracy, macro_f1])
def test_perfect_answers_do_not_claim_certainty(average):
    labels = np.arange(30) % 3
    found = interval(average(labels, labels, n_classes=3))
    assert found.high == 1
    assert 0.7 < found.low < 0.97


@pytest.mark.parametrize("average", [balanced_accuracy, macro_f1])
def test_answers_that_are_all_wrong_stay_at_the_scales_end(average):
    labels = np.arange(30) % 3
    estimate = average(labels, (labels + 1) % 3, n_classes=3)
    assert value(estimate) == 0
    assert 0 < interval(estimate).high < 0.3


@pytest.mark.parametrize(
    ("average", "truth"), [(balanced_accuracy, 0.76), (macro_f1, None)], ids=["balanced", "f1"]
)
def test_intervals_of_averages_hold_the_truth(average, truth):
    if truth is None:
        truth = value(average(*answers(99, n=200_000), n_classes=CLASSES))
    held = 0
    for seed in range(300):
        found = interval(average(*answers(seed, n=150), n_classes=CLASSES))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 300 <= 0.995


def test_units_that_are_alike_widen_the_interval():
    labels, predicted = answers(1, n=80)
    ten_alike = (np.repeat(labels, 10), np.repeat(predicted, 10))
    unit = np.repeat(np.arange(80), 10)
    for average in (balanced_accuracy, macro_f1):
        alone = interval(average(*ten_alike, n_classes=CLASSES))
        together = interval(average(*ten_alike, n_classes=CLASSES, unit=unit))
        ratio = (together.high - together.low) / (alone.high - alone.low)
        assert 2.5 < ratio < 4


def test_top_k_is_scikit_learns():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(12), size=200)
    labels = rng.integers(12, size=200)
    for k in (1, 3, 5):
        expected = metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=range(12))
        assert in_top(probabilities, labels, k=k).mean() == pytest.approx(expected)


def test_of_equal_probabilities_the_first_counts_as_in_the_answer():
    probabilities = np.full((4, 4), 0.25)
    labels = np.arange(4)
    np.testing.assert_array_equal(in_top(probabilities, labels, k=1), [True, False, False, False])
    np.testing.assert_array_equal(in_top(probabilities, labels, k=2), [True, True, False, False])


def test_log_loss_is_scikit_learns():
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet(np.ones(4), size=300)
    labels = rng.integers(4, size=300)
    losses = log_losses(probabilities, labels)
    expected = metrics.log_loss(labels, probabilities, labels=range(4))
    assert value(losses.mean()) == pytest.approx(expected)
    assert losses.clipped == 0


def test_log_loss_of_quantised_outputs_is_finite_and_says_how_often_it_was_mended():
    step = 1 / 256
    probabilities = np.array([[1 - step, step, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    losses = log_losses(probabilities, np.array([1, 2, 0]))
    assert losses.floor == step / 2
    assert losses.clipped == 1
    np.testing.assert_allclose(losses.values, -np.log([step, step / 2, 0.5]))


def test_log_loss_of_answers_without_any_doubt_uses_half_an_8_bit_step():
    losses = log_losses(np.eye(3), np.array([0, 1, 0]))
    assert losses.floor == pytest.approx(0.5 / 255)
    assert losses.clipped == 1
