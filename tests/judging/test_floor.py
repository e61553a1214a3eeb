"""A ratio counts only where the difference does too: verdicts, error rates, and what is said."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import norm

from auditor.errors import SpecError
from auditor.findings import Measure, Side, Subject, Verdict
from auditor.judging.floor import _either_confidence
from auditor.judging.judge import _p_beyond, _verdict, judge
from auditor.judging.policy import Limit
from auditor.judging.policy_file import load_policy, parse_policy
from auditor.record import CheckResults
from auditor.reports.reasons import limit_text
from auditor.stats import Draws, Exact, Normal, Rate, RateRatio
from auditor.stats.estimates import GRID

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
RATIO = "bias/error-rates:false-positive-ratio"


def limit(most=0.02, **bound):
    bound = bound or {"at_most": 1.25}
    return Limit(id="ratio", measure=RATIO, and_difference_above=most, why="no more", **bound)


def of(estimate, *, sides=None, group="old", better="lower", **more):
    return Measure(
        "false-positive-ratio", Subject.of(building=group, split="test"), estimate, "ratio",
        better, n=1000, neutral=1.0, sides=sides, **more,
    )  # fmt: skip


def found(stated, *measures):
    results = [CheckResults("bias/error-rates", measures=measures)]
    return judge(results, limits=[stated], as_of=date(2026, 1, 1)).findings


@pytest.mark.parametrize(
    ("counts", "bound", "alone", "floored"),
    [
        # Twice as often, and one point more.
        ((200, 10_000, 100, 10_000), {"at_most": 1.25}, FAIL, PASS),
        # Three times as often, and ten points more.
        ((150, 1000, 50, 1000), {"at_most": 1.25}, FAIL, FAIL),
        # As often, of few errors: the ratio may be anything, the difference not.
        ((15, 1000, 15, 1000), {"at_most": 1.25}, INCONCLUSIVE, PASS),
        # A high rate: five points more are shown, 1.25 times is not reached.
        ((4700, 10_000, 4200, 10_000), {"at_most": 1.25}, PASS, PASS),
        ((30, 1000, 10, 1000), {"at_most": 1.25}, FAIL, INCONCLUSIVE),
        ((100, 10_000, 200, 10_000), {"at_least": 0.8}, FAIL, PASS),
        ((50, 1000, 150, 1000), {"at_least": 0.8}, FAIL, FAIL),
        ((0, 2000, 3, 2000), {"at_least": 0.8}, INCONCLUSIVE, PASS),
        ((3, 2000, 0, 2000), {"below": 1.25}, INCONCLUSIVE, PASS),
    ],
)
def test_a_ratio_counts_only_where_the_difference_does(counts, bound, alone, floored):
    measure = of(RateRatio(*counts), better="higher" if "at_least" in bound else "lower")
    assert found(limit(None, **bound), measure)[0].verdict is alone
    assert found(limit(**bound), measure)[0].verdict is floored


def test_a_cost_that_is_k_times_the_mean_takes_a_kth_of_the_difference():
    measure = of(RateRatio(200, 10_000, 100, 10_000), weight=1.0)
    dear = of(RateRatio(200, 10_000, 100, 10_000), weight=4.0)
    assert [f.verdict for f in found(limit(), measure)] == [PASS]
    assert [f.verdict for f in found(limit(), dear)] == [FAIL]
    assert "or at most 0.5 points more" in limit_text(limit().model_dump(), dear)


def test_a_ratio_of_costs_has_its_floor_in_their_unit():
    """The difference comes from the sides, where the ratio itself does not hold them."""
    grid = np.linspace(1.6, 2.4, len(GRID))
    sides = [Side(Normal(v, 1.0, 99), 100, "amount", "EUR per image", 0.0) for v in (40, 20)]
    costs = of(Draws(2.0, tuple(grid)), sides=tuple(sides), weight=1 / 1000)
    stated = limit(0.025)
    assert found(stated, costs)[0].verdict is PASS
    said = limit_text(stated.model_dump(), costs)
    assert said == "at most 1.25 times, or at most 25 EUR per image more"
    assert found(limit(0.01), costs)[0].verdict is FAIL


def test_a_ratio_without_sides_is_judged_alone_and_one_that_is_counted_by_its_values():
    assert found(limit(), of(Exact(1.3)))[0].verdict is FAIL
    sides = (Side(Exact(0.013)), Side(Exact(0.01)))
    assert found(limit(), of(Exact(1.3), sides=sides))[0].verdict is PASS


def test_what_would_decide_counts_both_bounds():
    """To fail both must be shown; to pass the nearer of them is enough."""
    sides = (Side(Rate(36, 1000), 1000), Side(Rate(10, 1000), 1000))
    (worse,) = found(limit(), of(RateRatio(36, 1000, 10, 1000), sides=sides))
    (alone,) = found(limit(None), of(RateRatio(16, 1000, 10, 1000)))
    (small,) = found(limit(), of(RateRatio(4, 100, 4, 100)))
    (small_alone,) = found(limit(None), of(RateRatio(4, 100, 4, 100)))
    assert worse.verdict is alone.verdict is small.verdict is INCONCLUSIVE
    assert worse.leaning == "worse"
    assert 0 < small.needed.more < small_alone.needed.more
    # One per cent of the rest: an excess shows from where the difference of 2 points does.
    assert worse.could_show > 3.0 > alone.could_show
    assert worse.needed.more > 200


def test_a_policy_without_the_key_is_as_before():
    assert limit(None).floor(of(RateRatio(200, 1000, 100, 1000))) is None
    stated = limit(None).model_dump(mode="json", exclude_none=True)
    assert "and_difference_above" not in stated


def test_the_built_in_policies_state_a_floor_for_every_ratio_of_errors():
    for name, most in (("default", 0.025), ("strict", 0.01)):
        limits = {x.id: x for x in load_policy(name).policy.limits}
        for identifier in ("false-adverse-ratio", "missed-adverse-ratio", "selection-ratio-more"):
            assert limits[identifier].and_difference_above == most


POLICY = """
schema: auditor/policy/v1
id: mine
version: "1"
owner: {name: us}
limits:
  - {id: one, measure: MEASURE, at_most: 1.25, and_difference_above: MOST, why: so}
"""


@pytest.mark.parametrize(
    ("measure", "most", "said"),
    [
        (RATIO, "2.5", "less than 1"),
        (RATIO, "0", "expected more than 0"),
        ("deployment/quantization:size-ratio", "0.02", "no ratio of two sides"),
        ("deployment/latency:p99", "0.02", "no ratio of two sides"),
    ],
)
def test_a_floor_that_asks_nothing_is_refused(measure, most, said):
    text = POLICY.replace("MEASURE", measure).replace("MOST", most)
    with pytest.raises(SpecError, match=said):
        parse_policy(text, name="mine.yaml")
    parse_policy(text.replace(f", and_difference_above: {most}", ""), name="mine.yaml")


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.1, 1.25, 3.0, 10.0])
def test_either_of_two_bounds_errs_in_one_of_twenty(ratio):
    """Each at 95% they would err in 5.2% at a ratio of 1.1, in 8.5% at one of 10."""
    rng, correlation = np.random.default_rng(3), 2 * ratio**0.5 / (1 + ratio)
    of_ratio, other = rng.standard_normal((2, 400_000))
    of_difference = correlation * of_ratio + (1 - correlation**2) ** 0.5 * other
    z = norm.ppf(_either_confidence(ratio))
    assert ((of_ratio < -z) | (of_difference < -z)).mean() == pytest.approx(0.05, abs=0.002)


def test_a_truth_on_both_bounds_seldom_passes_or_fails():
    """Three times 8% is 16 points more: the least alike that ratio and difference may be."""
    n, rng = 1000, np.random.default_rng(2)
    drawn = zip(rng.binomial(n, 0.24, 500), rng.binomial(3 * n, 0.08, 500), strict=True)
    stated = limit(0.16, at_most=3.0)
    verdicts = []
    for x, y in drawn:
        measure = of(RateRatio(int(x), n, int(y), 3 * n))
        verdicts.append(_verdict(stated, measure, p=_p_beyond(stated, measure)))
    assert verdicts.count(PASS) / 500 <= 0.06
    assert verdicts.count(FAIL) / 500 <= 0.06
