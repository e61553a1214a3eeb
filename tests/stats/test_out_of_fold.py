import numpy as np
import pytest

from auditor.stats.out_of_fold import (
    exchangeable,
    folds_of,
    less_stratum_mean,
    out_of_fold,
    permutation_p,
)


def test_scores_are_those_of_models_that_never_saw_the_unit():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(40), 5)
    # Each unit has features and a target of its own: only a leak could tell one by the other.
    features = rng.normal(size=(40, 30))[unit]
    target = rng.normal(size=40)[unit][:, None]
    apart = out_of_fold(features, target, fold=folds_of(unit, rng=rng))
    leaky = out_of_fold(features, target, fold=folds_of(np.arange(200), rng=rng))
    assert abs(np.corrcoef(apart[:, 0], target[:, 0])[0, 1]) < 0.35
    assert np.corrcoef(leaky[:, 0], target[:, 0])[0, 1] > 0.6


def test_scores_are_ridge_regressions():
    rng = np.random.default_rng(1)
    features, target = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    fold = folds_of(np.arange(50), rng=rng)
    found = out_of_fold(features, target, fold=fold)
    seen, held = features[fold != 2], features[fold == 2]
    centred = seen - seen.mean(axis=0)
    slopes = np.linalg.solve(centred.T @ centred + 3 * np.eye(3), centred.T @ target[fold != 2])
    assert found[fold == 2] == pytest.approx((held - seen.mean(axis=0)) @ slopes)


def test_a_unit_gives_the_rows_of_one_kind():
    unit = np.array([0, 0, 0, 1, 1, 2])
    kind = np.array([0, 1, 1, 2, 2, 0])
    found = exchangeable(unit, kind, rng=np.random.default_rng(0))
    assert len(found.first) == 3
    for place, first in enumerate(found.first):
        rows = found.cell == place
        assert set(unit[rows]) == {unit[first]}
        assert set(kind[rows]) == {kind[first]}
    means = found.means(np.arange(6.0)[:, None])
    assert means[1, 0] == pytest.approx(3.5)


def test_less_the_mean_of_a_stratum():
    values = np.array([[1.0], [3.0], [10.0]])
    assert less_stratum_mean(values, np.array([0, 0, 1]))[:, 0] == pytest.approx([-1, 1, 0])


@pytest.mark.parametrize("stratified", [False, True])
def test_p_of_features_that_tell_nothing_is_uniform(stratified):
    p = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        strata = rng.integers(0, 2, 60)
        # Features and targets both follow the stratum, and each other only through it.
        features = rng.normal(size=(60, 4)) + (2 * strata[:, None] if stratified else 0)
        targets = (rng.random((60, 2)) < 0.3 + 0.4 * strata[:, None]).astype(float)
        p.append(
            permutation_p(
                features, targets, strata=strata if stratified else None, rng=rng, permutations=99
            )
        )
    # 5% of 120 is 6; more than 12 has probability 0.9%.
    assert np.sum(np.array(p) <= 0.05) <= 12
    assert 0.4 < np.mean(p) < 0.6


def test_p_shows_one_target_of_several():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 5))
    targets = rng.normal(size=(80, 4))
    targets[:, 2] += features[:, 1]
    assert permutation_p(features, targets, strata=None, rng=rng, permutations=99) == pytest.approx(
        0.01
    )
