import numpy as np
import pytest
from scipy.optimize import minimize

from auditor.stats.label_shift import (
    calibration,
    distinguished,
    from_answers,
    from_scores,
    score_influence,
)

HERE, THERE = np.array([0.6, 0.25, 0.15]), np.array([0.4, 0.25, 0.35])
K = 3


def answered(rng, n, shares, *, sharp=1.6, overconfident=2.0):
    labels = rng.choice(K, size=n, p=shares)
    logits = rng.normal(size=(n, K))
    logits[np.arange(n), labels] += sharp
    raised = np.exp(overconfident * logits)
    return labels, raised / raised.sum(axis=1, keepdims=True)


def confusion_of(labels, scores):
    cells = scores.argmax(axis=1) * K + labels
    return np.bincount(cells, minlength=K * K).reshape(K, K).astype(float)


def test_answers_at_the_rates_of_each_class_give_back_the_mix():
    confusion = np.array([[80.0, 5, 10], [10, 40, 5], [10, 5, 35]])
    shares = np.array([0.2, 0.5, 0.3])
    answers = confusion / confusion.sum(axis=0) @ shares * 1000
    assert from_answers(confusion[None], answers[None])[0] == pytest.approx(shares)


def test_no_share_is_below_0():
    confusion = np.diag([50.0, 50.0]) + 10
    found = from_answers(confusion[None], np.array([[100.0, 0.0]]))[0]
    assert found == pytest.approx(np.array([1.0, 0.0]))


def test_answers_that_do_not_depend_on_the_class_tell_nothing():
    assert distinguished(np.outer([3.0, 2.0, 1.0], [5.0, 4.0, 9.0])) == pytest.approx(0, abs=1e-9)
    assert distinguished(np.diag([5.0, 4.0, 9.0])) == pytest.approx(1)


def test_scores_give_the_likeliest_mix_and_weights_count_images():
    rng = np.random.default_rng(0)
    _, scores = answered(rng, 300, THERE, overconfident=1.0)
    weight = rng.integers(0, 3, size=(300, 2)).astype(float)
    for found, of in zip(from_scores(scores, HERE, weight=weight), weight.T, strict=True):

        def loss(free, of=of):
            shares = np.exp(np.append(free, 0.0))
            shares /= shares.sum()
            return -(of * np.log(scores @ (shares / HERE))).sum()

        free = minimize(loss, np.zeros(2), method="BFGS").x
        expected = np.exp(np.append(free, 0.0))
        assert found == pytest.approx(expected / expected.sum(), abs=2e-3)


def test_calibration_undoes_overconfidence_and_its_influence_is_that_of_leaving_out():
    rng = np.random.default_rng(1)
    labels, scores = answered(rng, 4000, HERE, overconfident=3.0, sharp=1.6)
    known = calibration(scores, labels)
    # Logits that are a class's mean apart with unit noise are calibrated as they are: times 1.6.
    assert known.scale == pytest.approx(1.6 / 3, abs=0.06)
    assert known.of(scores).mean(axis=0) == pytest.approx(HERE, abs=0.03)
    left = np.arange(300) > 0
    few = calibration(scores[:300], labels[:300])
    without = calibration(scores[:300][left], labels[:300][left])
    moved = few.scale - without.scale
    assert moved == pytest.approx(few.influence[0, 0] / 300, rel=0.1, abs=1e-4)


def test_intervals_of_the_mix_hold_it_and_need_the_tests_own_error():
    """60 audits of 300 test and 300 deployment images: 95% intervals hold the three shares."""
    rng = np.random.default_rng(0)
    held = {"answers": 0, "scores": 0}
    draws, n, repeats = 200, 300, 60
    for _ in range(repeats):
        (labels, ours), (_, theirs) = answered(rng, n, HERE), answered(rng, n, THERE)
        here, there = (rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(float)
                       for _ in range(2))  # fmt: skip
        pairs = np.eye(K * K)[ours.argmax(axis=1) * K + labels]
        by_answers = from_answers(
            (here @ pairs).reshape(draws, K, K), there @ np.eye(K)[theirs.argmax(axis=1)]
        )
        known = calibration(ours, labels)
        prior = known.of(ours).mean(axis=0)
        scores = known.of(theirs)
        point = from_scores(scores, prior, weight=np.ones((n, 1)))[0]
        moved = score_influence(known, known=ours, scores=theirs, shares=point)
        by_scores = from_scores(scores, prior, weight=there.T) + (here - 1) @ moved / n
        for name, found in (("answers", by_answers), ("scores", by_scores)):
            low, high = np.quantile(found, [0.025, 0.975], axis=0)
            held[name] += int(((low <= THERE) & (high >= THERE)).sum())
    # 180 intervals, those of one audit correlated: 0.95 +- 0.05.
    assert all(0.89 <= count / (K * repeats) <= 0.995 for count in held.values()), held
