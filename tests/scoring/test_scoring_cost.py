import numpy as np
import pytest
from scipy.stats import binom

from auditor.errors import SpecError
from auditor.scoring.cost import (
    cheapest_answers,
    cost_matrix,
    error_weight,
    expected_cost,
    image_costs,
    mean_error_cost,
)
from auditor.spec import ConsequencesSpec, CostsSpec
from auditor.stats import bound, interval, value

CLASSES = ("fine", "serious")
COSTS = CostsSpec(unit="EUR", matrix={"fine": {"serious": 4000.0}, "serious": {"fine": 50000.0}})


def test_what_is_not_stated_costs_nothing():
    np.testing.assert_array_equal(cost_matrix(COSTS, classes=CLASSES), [[0, 4000], [50000, 0]])


def test_an_error_weighs_what_it_costs_beside_the_mean_of_stated_costs():
    stated = ConsequencesSpec(adverse=("serious",), costs=COSTS)
    assert mean_error_cost(cost_matrix(COSTS, classes=CLASSES)) == 27_000
    missed = error_weight(stated, classes=CLASSES, true="serious")
    assert missed == pytest.approx(50 / 27)
    # A cheap error is not weighed down, and one without a cost is as any.
    assert error_weight(stated, classes=CLASSES, answered="serious") == 1
    more = ("fine", "serious", "minor")
    assert error_weight(stated, classes=more, true="minor") == 1
    assert error_weight(stated, classes=more, true="serious") == pytest.approx(50 / 27)
    assert error_weight(ConsequencesSpec(), classes=CLASSES, true="serious") == 1
    gains = CostsSpec(unit="EUR", matrix={"fine": {"fine": -100.0, "serious": -5.0}})
    assert mean_error_cost(cost_matrix(gains, classes=CLASSES)) == 0
    assert error_weight(ConsequencesSpec(costs=gains), classes=CLASSES, answered="serious") == 1


def test_an_unknown_class_is_named_with_the_nearest():
    wrong = CostsSpec(unit="EUR", matrix={"fine": {"serous": 1.0}})
    with pytest.raises(SpecError, match=r"found class 'serous'.*Did you mean 'serious'"):
        cost_matrix(wrong, classes=CLASSES)


def test_each_image_costs_what_its_answer_costs():
    matrix = cost_matrix(COSTS, classes=CLASSES)
    costs = image_costs(matrix, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert costs.tolist() == [0, 4000, 50000, 0]


def test_the_cheapest_answer_turns_where_the_costs_say():
    matrix = cost_matrix(COSTS, classes=CLASSES)
    turn = 4000 / 54000
    p = np.array([turn - 0.01, turn + 0.01, 0.5])
    answers = cheapest_answers(np.column_stack([1 - p, p]), matrix)
    assert answers.tolist() == [0, 1, 1]


def test_without_costs_the_cheapest_answer_is_the_likeliest():
    p = np.random.default_rng(1).dirichlet(np.ones(4), size=50)
    np.testing.assert_array_equal(cheapest_answers(p, np.zeros((4, 4))), p.argmax(axis=1))


@pytest.mark.parametrize("n", [10, 30, 50, 200])
@pytest.mark.parametrize("share", [0.004, 0.01, 0.02, 0.05, 0.2])
def test_the_upper_bound_is_rarely_below_the_true_cost(share, n):
    upper = [
        bound(expected_cost(np.repeat([100.0, 0.0], [x, n - x]), span=(0.0, 100.0)), side="high")
        for x in range(n + 1)
    ]
    missed = binom.pmf(np.arange(n + 1), n, share)[np.array(upper) < 100 * share].sum()
    assert missed <= (0.06 if n < 200 else 0.09)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_nor_with_errors_that_come_by_the_room(share):
    rng, rooms, photos, correlation = np.random.default_rng(2), 20, 10, 0.3
    unit = np.repeat(np.arange(rooms), photos)
    spread = (1 - correlation) / correlation
    wrong = {"by room": 0, "by photo": 0}
    for _ in range(1000):
        likely = rng.beta(share * spread, (1 - share) * spread, rooms)
        costs = 100.0 * (rng.random(len(unit)) < likely[unit])
        for name, known in (("by room", unit), ("by photo", None)):
            upper = bound(expected_cost(costs, span=(0.0, 100.0), unit=known), side="high")
            wrong[name] += upper < 100 * share
    assert wrong["by room"] / 1000 <= 0.075
    if share > 0.01:
        assert wrong["by photo"] / 1000 > 0.15


def test_a_sample_without_errors_claims_no_certainty():
    estimate = expected_cost(np.zeros(100), span=(0.0, 50.0))
    assert value(estimate) == 0
    assert 1.4 < interval(estimate).high < 2.5


def test_units_widen_the_interval():
    costs = np.repeat(np.random.default_rng(3).random(50) < 0.3, 8).astype(float)
    alone = expected_cost(costs, span=(0.0, 1.0))
    together = expected_cost(costs, span=(0.0, 1.0), unit=np.repeat(np.arange(50), 8))
    assert together.se > 2 * alone.se


def test_unlike_costs_have_the_mean_and_spread_of_their_sample():
    costs = np.random.default_rng(4).gamma(2.0, 10.0, size=5000)
    estimate = expected_cost(costs, span=(0.0, 100.0))
    assert value(estimate) == pytest.approx(costs.mean())
    assert estimate.se == pytest.approx(costs.std(ddof=1) / np.sqrt(5000))
