import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditor.stats import auc, interval, value
from auditor.stats.areas import area_within, mean_area


def sample(seed, *, n=200, apart=1.0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    return np.round(rng.normal(size=n) + apart * positive, 1), positive


def test_one_stratum_is_the_area_of_delong():
    scores, positive = sample(0)
    area = area_within(scores, positive)
    assert area.value == pytest.approx(roc_auc_score(positive, scores))
    known = auc(scores[~positive], scores[positive])
    assert mean_area([area], spread=1.0).se == pytest.approx(known.se, rel=0.03)


def test_strata_are_compared_within_and_weighted_by_mantel_haenszel():
    scores, positive = sample(1)
    strata = np.arange(200) % 2
    both = [roc_auc_score(positive[strata == s], scores[strata == s]) for s in (0, 1)]
    sizes = [(positive[strata == s].sum(), (~positive[strata == s]).sum()) for s in (0, 1)]
    weights = [a * b / (a + b) for a, b in sizes]
    # Between strata nothing is compared: a shift of one changes nothing.
    area = area_within(scores + 100 * strata, positive, strata=strata)
    assert area.value == pytest.approx(np.average(both, weights=weights))
    assert area.influence.sum() == pytest.approx(0, abs=1e-9)


def test_a_stratum_of_one_side_tells_nothing():
    scores, positive = sample(2)
    assert area_within(scores, positive, strata=positive.astype(int)) is None


def test_units_widen_the_interval():
    scores, positive = sample(3, n=100)
    often = [np.repeat(x, 4) for x in (scores, positive)]
    unit = np.repeat(np.arange(100), 4)
    alone = mean_area([area_within(scores, positive)])
    by_unit = mean_area([area_within(*often, unit=unit)], unit=unit)
    assert by_unit.value == pytest.approx(alone.value)
    assert by_unit.se == pytest.approx(alone.se, rel=0.02)
    assert by_unit.df == alone.df


def test_what_is_told_apart_without_an_error_is_not_certain():
    positive = np.arange(30) < 12
    ends = interval(mean_area([area_within(positive.astype(float), positive)]))
    assert ends.low < 0.9
    assert ends.high == 1.0


def test_the_mean_of_an_area_and_its_opposite_is_one_half_for_sure():
    scores, positive = sample(4)
    both = [area_within(scores, positive), area_within(scores, ~positive)]
    found = mean_area(both)
    assert value(found) == pytest.approx(0.5)
    assert found.se == pytest.approx(0, abs=1e-9)


def test_too_little_is_an_error():
    with pytest.raises(ValueError, match="found none"):
        mean_area([])


@pytest.mark.parametrize("photos", [1, 4])
def test_intervals_of_given_scores_hold_the_truth(photos):
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(60), photos)
        positive = (np.arange(60) < 25)[unit]
        common = rng.normal(size=60)[unit] if photos > 1 else 0
        scores = (rng.normal(size=len(unit)) + common) / (2**0.5 if photos > 1 else 1)
        scores = scores + positive
        found = mean_area([area_within(scores, positive, unit=unit)], unit=unit, spread=1.0)
        ends = interval(found)
        # P(N(1, 1) > N(0, 1)).
        held += ends.low <= 0.7602 <= ends.high
    # 95% of 200 is 190; fewer than 182 has probability 0.7%.
    assert held >= 182
