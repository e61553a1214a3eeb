import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from auditor.stats.classifier_test import FOLDS, classifier_test, folds, ridge
from auditor.stats.kernel_test import kernel_test
from auditor.stats.two_samples import TwoSamples, p_of, pooled_components


def bursts(rng, units, copies, *, d=8, shift=0.0, wide=1.0):
    """Bursts of nearly equal images."""
    base = np.repeat(wide * rng.normal(size=(units, d)), copies, axis=0)
    base[:, 0] += shift
    return base + 0.05 * rng.normal(size=base.shape)


def two(rng, sizes, copies=(1, 1), **moved):
    parts = [bursts(rng, sizes[0], copies[0]), bursts(rng, sizes[1], copies[1], **moved)]
    units = [np.repeat(np.arange(n), c) for n, c in zip(sizes, copies, strict=True)]
    return np.concatenate(parts), TwoSamples.of(*units)


def discrepancy_by_hand(features, samples, side):
    """Every pair of images of different units, each unit weighing the same, in plain loops."""
    squared = ((features[:, None] - features[None]) ** 2).sum(-1)
    rate = 1 / np.median(squared[np.triu_indices(len(features), k=1)])
    kernel = np.exp(-rate * squared)
    units = range(len(samples.sizes))
    alike = np.array([[kernel[np.ix_(samples.unit == u, samples.unit == v)].mean() for v in units]
                      for u in units])  # fmt: skip
    a, b = np.flatnonzero(~side), np.flatnonzero(side)
    same = [np.mean([alike[u, v] for u in group for v in group if u != v]) for group in (a, b)]
    return sum(same) - 2 * alike[np.ix_(a, b)].mean()


def test_the_discrepancy_is_that_of_all_pairs_for_every_deal():
    rng = np.random.default_rng(0)
    unit_a, unit_b = np.repeat(np.arange(12), [1, 2, 3] * 4), np.arange(20) // 2
    samples = TwoSamples.of(rng.permutation(unit_a), unit_b)
    features = rng.normal(size=(len(samples), 5))
    found = kernel_test(features, samples, rng=np.random.default_rng(1), permutations=7)
    deals = samples.deals(rng=np.random.default_rng(1), permutations=7)
    expected = [discrepancy_by_hand(features, samples, side) for side in deals.T]
    assert found.statistic == pytest.approx(expected[0], abs=1e-6)
    assert found.null == pytest.approx(np.array(expected[1:]), abs=1e-6)


def test_blocks_add_up_to_the_whole(monkeypatch):
    from auditor.stats import kernel_test as module

    features, samples = two(np.random.default_rng(0), (60, 45))
    whole = kernel_test(features, samples, rng=np.random.default_rng(1), permutations=19)
    monkeypatch.setattr(module, "_BLOCK", 16)
    parts = kernel_test(features, samples, rng=np.random.default_rng(1), permutations=19)
    assert parts.null == pytest.approx(whole.null, abs=1e-6)


def test_deals_keep_how_many_units_a_side_has_and_move_whole_units():
    samples = TwoSamples.of(np.repeat(np.arange(10), 3), np.arange(5))
    deals = samples.deals(rng=np.random.default_rng(0), permutations=50)
    assert deals.shape == (15, 51)
    assert (deals[:, 0] == samples.side).all()
    assert set(deals.sum(axis=0).tolist()) == {5}
    assert len(np.unique(deals, axis=1).T) > 40


def test_no_p_value_is_0():
    features, samples = two(np.random.default_rng(0), (40, 40), shift=20.0)
    for test in (kernel_test, classifier_test):
        found = test(features, samples, rng=np.random.default_rng(0), permutations=99)
        assert found.p_value == pytest.approx(0.01)


def test_ties_count_as_as_large():
    assert p_of(np.array([0.3, 0.3, 0.1, 0.3])) == pytest.approx(3 / 4)
    assert p_of(np.zeros(4)) == pytest.approx(1.0)


def test_ridge_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(50, 30)), rng.normal(size=(50, 2))
    own = ridge(features, target)
    theirs = Ridge(alpha=3.0).fit(features, target)
    assert pytest.approx(theirs.coef_) == own.coefficients.T


def test_the_area_is_that_of_models_fitted_one_by_one():
    rng = np.random.default_rng(0)
    features, samples = two(rng, (40, 30), (1, 2), shift=0.7)
    found = classifier_test(features, samples, rng=np.random.default_rng(3), permutations=19)
    means = np.array([features[samples.unit == u].mean(axis=0) for u in range(70)])
    fold = folds(70, rng=np.random.default_rng(3))
    scores, side = np.empty(70), samples.side
    for k in range(FOLDS):
        seen = fold != k
        model = Ridge(alpha=1.0).fit(means[seen], side[seen])
        scores[~seen] = (means[~seen] - means[seen].mean(axis=0)) @ model.coef_
    assert found.area == pytest.approx(roc_auc_score(side, scores))
    assert samples.means(found.scores[:, None])[:, 0] == pytest.approx(scores)


NULLS = 300


@pytest.mark.parametrize("test", [kernel_test, classifier_test])
@pytest.mark.parametrize("copies", [(1, 1), (4, 4), (4, 1)])
def test_samples_of_one_source_alarm_in_five_of_a_hundred(test, copies):
    """Also where only one side's images come in bursts; benchmarks/shift.py asks 1,000."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(NULLS):
        features, samples = two(rng, (40, 25), copies)
        alarms += test(features, samples, rng=rng, permutations=99).p_value <= 0.05
    # 95% of such counts lie within 0.05 +- 0.025.
    assert 0.02 * NULLS <= alarms <= 0.085 * NULLS


@pytest.mark.parametrize("test", [kernel_test, classifier_test])
def test_bursts_that_count_as_many_alarm_nearly_always(test):
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(20):
        features, _ = two(rng, (25, 25), (6, 6))
        naive = TwoSamples.of(np.arange(150), np.arange(150))
        alarms += test(features, naive, rng=rng, permutations=99).p_value <= 0.05
    assert alarms >= 14


def test_a_wider_spread_is_seen_by_the_kernel():
    alarms = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        features, samples = two(rng, (80, 80), wide=1.5)
        alarms += kernel_test(features, samples, rng=rng, permutations=99).p_value <= 0.05
    assert alarms >= 9


@pytest.mark.parametrize("shape", [(60, 200), (200, 30)])
def test_components_are_those_of_scikit_learn_but_for_signs(shape):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    values = np.random.default_rng(0).normal(size=shape) @ np.diag(np.arange(1, shape[1] + 1))
    found = pooled_components(values, most=10)
    expected = PCA(10, svd_solver="full").fit_transform(StandardScaler().fit_transform(values))
    assert found.shape == (shape[0], 10)
    assert np.abs(found) == pytest.approx(np.abs(expected))


def test_columns_that_do_not_vary_are_no_components():
    assert pooled_components(np.full((9, 3), 1 / 3)) is None
    one = np.column_stack([np.arange(9.0), np.full(9, 0.1)])
    assert pooled_components(one).shape == (9, 1)


def test_what_cannot_be_compared_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="found 1 and 9 units, expected two or more each"):
        kernel_test(rng.normal(size=(10, 2)), TwoSamples.of([0], np.arange(9)), rng=rng)
    with pytest.raises(ValueError, match="all equal"):
        kernel_test(np.ones((10, 2)), TwoSamples.of(np.arange(5), np.arange(5)), rng=rng)
    with pytest.raises(ValueError, match="found 9 and 0 units"):
        classifier_test(rng.normal(size=(9, 2)), TwoSamples.of(np.arange(9), []), rng=rng)
