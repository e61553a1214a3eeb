import dataclasses

import numpy as np
import pytest
import scipy.stats

from auditor.bias.interaction import beyond_parents
from auditor.bias.intersections import Intersections, TwoAttributes
from auditor.bias.shrinkage import fitted, shrunk
from auditor.contract import Available
from auditor.data.pooling import pool_small_groups
from auditor.errors import SpecError
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import holm, p_value, rate_difference, value

LIMIT = -0.05


def world(worlds, *, seed, accuracy, n=2000, images_a_unit=1, bad=(), split="test", evidence=None):
    """Images of two crossed attributes; `bad` maps a (building, light) cell to its accuracy."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    building = np.array(["old", "new", "mid"])[rng.integers(0, 3, len(units) // images_a_unit)]
    light = np.array(["dark", "day"])[rng.integers(0, 2, len(units) // images_a_unit)]
    p = np.full(len(building), accuracy)
    for (b, lit), rate in dict(bad).items():
        p[(building == b) & (light == lit)] = rate
    building, light, p = building[units], light[units], p[units]
    labels = rng.integers(0, 2, len(units))
    answers = np.where(rng.random(len(units)) < p, labels, 1 - labels)
    dataset = worlds.dataset(
        labels,
        split=split,
        units=units if images_a_unit > 1 else None,
        attributes={"building": ("condition", building), "light": ("condition", light)},
    )
    confidence = rng.uniform(0.55, 0.99, len(units))
    evidence = evidence or worlds.evidence()
    return evidence.add(dataset, worlds.probabilities(answers, confidence=confidence))


def failing(found, limit=LIMIT):
    """What the judge would fail: Holm over the measures of the limit."""
    tested = [m for m in found.values() if m.name == "accuracy"]
    p = holm([p_value(m.estimate, limit=limit, exceeds="below") for m in tested])
    return {str(m.subject) for m, adjusted in zip(tested, p, strict=True) if adjusted <= 0.05}


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_cell_fails_alone(worlds, seed):
    evidence = world(worlds, seed=seed, accuracy=0.92, bad={("old", "dark"): 0.7})
    assert failing(worlds.measures(Intersections(), evidence)) == {"building=old,light=dark@test"}


@pytest.mark.parametrize("seed", range(6))
def test_a_fair_model_has_no_failing_cell(worlds, seed):
    evidence = world(worlds, seed=seed, accuracy=0.9)
    found = worlds.measures(Intersections(), evidence)
    assert len(found) == 6
    assert not failing(found)


def test_labelled_deployment_images_are_compared_too(worlds):
    evidence = world(worlds, seed=0, accuracy=0.9)
    world(
        worlds, seed=1, accuracy=0.92, bad={("old", "dark"): 0.7}, split="deployment",
        evidence=evidence,
    )  # fmt: skip
    found = worlds.measures(Intersections(), evidence)
    assert failing(found) == {"building=old,light=dark@deployment"}
    ranks = {split: sorted(m.facts["rank"] for m in found.values() if m.subject.split == split)
             for split in ("test", "deployment")}  # fmt: skip
    assert ranks == {"test": [*range(1, 7)], "deployment": [*range(1, 7)]}
    figures = [r.id for r in Intersections().run(evidence) if isinstance(r, Figure)]
    assert figures == ["bias/intersections:lowest", "bias/intersections:lowest-deployment"]


def test_a_measure_compares_the_cell_with_everyone_else(worlds):
    evidence = world(worlds, seed=1, accuracy=0.92, bad={("old", "dark"): 0.7})
    found = worlds.measures(Intersections(), evidence)["accuracy:building=old,light=dark@test"]
    outcomes = evidence.answers()
    inside = (outcomes.groups("building") == "old") & (outcomes.groups("light") == "dark")
    assert found.estimate == worlds.nearly(rate_difference(outcomes.correct, member=inside))
    assert value(found.sides[0].estimate) == pytest.approx(outcomes.correct[inside].mean())
    assert value(found.sides[1].estimate) == pytest.approx(outcomes.correct[~inside].mean())
    assert found.n == inside.sum() == found.sides[0].n
    assert found.facts["family"] == 6
    assert found.facts["rank"] == 1
    at = [list(outcomes.image_ids).index(i) for i in found.examples]
    assert inside[at].all()
    assert not outcomes.correct[at].any()
    assert list(outcomes.confidence[at]) == sorted(outcomes.confidence[at], reverse=True)


def test_the_sentence_says_what_its_groups_would_lead_one_to_expect(worlds):
    evidence = world(worlds, seed=1, accuracy=0.92, bad={("old", "dark"): 0.7})
    found = worlds.measures(Intersections(), evidence)["accuracy:building=old,light=dark@test"]
    right = evidence.answers().correct
    old = evidence.answers().groups("building") == "old"
    dark = evidence.answers().groups("light") == "dark"
    expected = right[old & ~dark].mean() + right[~old & dark].mean() - right[~old & ~dark].mean()
    assert found.facts["expected"] == pytest.approx(expected)
    beyond, low, high = found.facts["beyond_parents"]
    assert beyond == pytest.approx(right[old & dark].mean() - expected)
    assert low < beyond < high < 0
    said = worlds.sentence(Intersections, found)
    assert said.startswith("Accuracy, old (building), dark (light): ")
    assert (
        f"What old and dark, without all together, would lead one to expect is {expected:.0%}"
        in said
    )
    assert "points worse than that [" in said


def test_a_cell_that_only_adds_up_is_said_to_be_what_one_would_expect(worlds):
    bad = {("old", "dark"): 0.6, ("old", "day"): 0.75, ("new", "dark"): 0.75, ("mid", "dark"): 0.75}
    evidence = world(worlds, seed=2, accuracy=0.9, bad=bad, n=6000)
    found = worlds.measures(Intersections(), evidence)["accuracy:building=old,light=dark@test"]
    assert "building=old,light=dark@test" in failing({"it": found})
    _, low, high = found.facts["beyond_parents"]
    assert low < 0 < high
    assert found.facts["expected"] == pytest.approx(0.6, abs=0.05)
    said = worlds.sentence(Intersections, found)
    assert "the difference from that may be luck." in said


def _with_phones(worlds, *, seed, blamed, smallest=None):
    """Photos of old buildings in the dark mostly come from old phones; `blamed` is what is bad."""
    rng = np.random.default_rng(seed)
    n = 3000
    building, light = rng.choice(["old", "new"], n), rng.choice(["dark", "day"], n)
    cell = (building == "old") & (light == "dark")
    phone = np.where(rng.random(n) < np.where(cell, 0.85, 0.15), "old phone", "new phone")
    bad = cell if blamed == "cell" else phone == "old phone"
    labels = rng.integers(0, 2, n)
    answers = np.where(rng.random(n) < np.where(bad, 0.7, 0.93), labels, 1 - labels)
    named = {"building": building, "light": light, "phone": phone}
    dataset = worlds.dataset(labels, attributes={k: ("condition", v) for k, v in named.items()})
    if smallest is not None:
        every = {"test": np.ones(n, bool)}
        dataset = pool_small_groups({"test": dataset}, sound=every, smallest=smallest)["test"]
    return worlds.evidence().add(dataset, worlds.probabilities(answers))


def _by_cell(worlds, evidence):
    return {str(m.subject): m for m in worlds.measures(Intersections(), evidence).values()}


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_whose_gap_another_condition_explains_is_said_to_be_so(worlds, seed):
    evidence = _with_phones(worlds, seed=seed, blamed="phone")
    found = _by_cell(worlds, evidence)["building=old,light=dark@test"]
    assert [a.condition for a in found.adjusted] == ["phone"]
    assert found.adjusted[0].reading == "explained"
    assert "Explained by phone:" in worlds.sentence(Intersections, found)


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_whose_gap_stays_among_like_images_is_said_to_stay(worlds, seed):
    cells = _by_cell(worlds, _with_phones(worlds, seed=seed, blamed="cell"))
    found = cells["building=old,light=dark@test"]
    assert found.adjusted[0].reading == "remains"
    assert -0.29 < found.adjusted[0].value < -0.17
    assert "It stays so among images of the same phone" in worlds.sentence(Intersections, found)
    # Only what is shown to be worse is compared again.
    assert cells["building=new,light=day@test"].adjusted == ()


def test_where_small_cells_are_pooled_nothing_is_counted_by_three_attributes(worlds):
    evidence = _with_phones(worlds, seed=0, blamed="cell", smallest=10)
    cells = _by_cell(worlds, evidence)
    assert cells["building=old,light=dark@test"].adjusted == ()
    with pytest.raises(SpecError, match=r"order 3 beside data.smallest_cell, expected order 2"):
        worlds.measures(Intersections(order=3), evidence)


def test_units_are_what_counts(worlds):
    evidence = world(worlds, seed=3, accuracy=0.9, images_a_unit=5)
    found = worlds.measures(Intersections(), evidence)["accuracy:building=old,light=dark@test"]
    outcomes = evidence.answers()
    inside = (outcomes.groups("building") == "old") & (outcomes.groups("light") == "dark")
    assert found.n_units == len(set(outcomes.units[inside])) == found.n // 5
    assert found.estimate == worlds.nearly(
        rate_difference(outcomes.correct, member=inside, unit=outcomes.units.astype(str))
    )


def test_small_cells_share_one_reason_for_each_pair(worlds):
    building = ["old"] * 200 + ["new"] * 200 + ["rare"] * 9
    light = (["dark"] * 100 + ["day"] * 100) * 2 + ["day"] * 9
    device = ["x", "y"] * 204 + ["x"]
    dataset = worlds.dataset(
        np.zeros(409, int),
        attributes={"building": ("condition", building), "light": ("condition", light),
                    "device": ("nuisance", device)},
    )  # fmt: skip
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(409, int)))
    results = list(Intersections().run(evidence))
    reasons = {str(r.subject): r for r in results if isinstance(r, Unmeasured)}
    assert set(reasons) == {"crossing=building%20x%20light@test",
                            "crossing=building%20x%20device@test"}  # fmt: skip
    said = reasons["crossing=building%20x%20light@test"].reason
    assert said == (
        "2 of 6 combinations of building and light have fewer than 10 images (such as rare and "
        "day), 1 of them without any image: nothing can be said of them."
    )
    measured = {str(r.subject) for r in results if isinstance(r, Measure)}
    assert not any("rare" in subject for subject in measured)
    assert len(measured) == 4 + 4 + 4


def test_nine_rooms_with_many_photos_are_too_few(worlds):
    rooms = np.concatenate([np.repeat(np.arange(9), 20), 100 + np.arange(600)])
    a = ["few"] * 180 + ["many", "few", "other"] * 200
    b = ["dark"] * 180 + ["day"] * 300 + ["dark"] * 300
    b = [y if x != "few" or i < 180 else "day" for i, (x, y) in enumerate(zip(a, b, strict=True))]
    dataset = worlds.dataset(
        np.zeros(780, int), units=rooms, attributes={"a": ("condition", a), "b": ("condition", b)}
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(780, int)))
    results = list(Intersections().run(evidence))
    assert not any(r.subject.keys == (("a", "few"), ("b", "dark"))
                   for r in results if isinstance(r, Measure))  # fmt: skip
    (reason,) = [r for r in results if isinstance(r, Unmeasured)]
    assert reason.reason.startswith("1 of 6 combinations of a and b have fewer than 10 units")


def test_a_cell_that_is_a_whole_group_is_left_to_the_group(worlds):
    """All old rooms are dark: "old and dark" is "old"."""
    light = ["dark"] * 100 + ["dark", "day"] * 100
    building = ["old"] * 100 + ["new"] * 200
    dataset = worlds.dataset(
        np.zeros(300, int),
        attributes={"building": ("condition", building), "light": ("condition", light)},
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(300, int)))
    assert set(worlds.measures(Intersections(), evidence)) == {
        "accuracy:building=new,light=dark@test"
    }


def test_triples_on_demand_find_what_pairs_do_not(worlds):
    rng = np.random.default_rng(0)
    n = 6000
    groups = {name: rng.choice(["x", "y"], n) for name in "abc"}
    bad = (groups["a"] == "x") & (groups["b"] == "x") & (groups["c"] == "x")
    labels = np.zeros(n, int)
    answers = (rng.random(n) < np.where(bad, 0.4, 0.08)).astype(int)
    dataset = worlds.dataset(labels, attributes={k: ("condition", g) for k, g in groups.items()})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(answers))
    pairs = worlds.measures(Intersections(), evidence)
    triples = worlds.measures(Intersections(order=3), evidence)
    assert len(pairs) == 12
    assert len(triples) == 12 + 8
    found = triples["accuracy:a=x,b=x,c=x@test"]
    assert found.facts["rank"] == 1
    assert found.facts["family"] == 20
    assert found.facts["beyond_parents"][2] < -0.15
    said = worlds.sentence(Intersections, found)
    assert "What x, x and x, without all together, would lead one to expect is" in said


def test_only_the_attributes_asked_for_are_combined(worlds):
    rng = np.random.default_rng(0)
    attributes = {k: ("condition", rng.choice(["x", "y"], 400)) for k in "abc"}
    dataset = worlds.dataset(np.zeros(400, int), attributes=attributes)
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(400, int)))
    found = worlds.measures(Intersections(attributes=("a", "c")), evidence)
    assert {tuple(k for k, _ in m.subject.keys) for m in found.values()} == {("a", "c")}
    with pytest.raises(SpecError, match="found attribute 'z', expected one of a, b, c"):
        list(Intersections(attributes=("z",)).run(evidence))
    with pytest.raises(SpecError, match="found order 4, expected 2 or 3"):
        list(Intersections(order=4).run(evidence))


def test_images_without_a_value_are_in_neither_side(worlds):
    evidence = world(worlds, seed=4, accuracy=0.9)
    frame = evidence.dataset("test").frame
    frame["attribute:light"] = frame["attribute:light"].astype(object)
    frame.loc[:299, "attribute:light"] = ""
    frame["attribute:light"] = frame["attribute:light"].astype("category")
    found = worlds.measures(Intersections(), evidence)
    assert all(m.sides[0].n + m.sides[1].n == 1700 for m in found.values())


def test_without_two_attributes_the_check_says_what_to_declare(worlds):
    dataset = worlds.dataset(np.zeros(50, int), attributes={"g": ("sensitive", ["a", "b"] * 25)})
    unmet = TwoAttributes().unmet(Available(worlds.spec(), worlds.facts(), {"test": dataset}))
    assert (
        unmet.reason == "The test data declare only one attribute, g: there are no two to combine."
    )
    assert "data.attributes" in unmet.remedy
    none = TwoAttributes().unmet(Available(worlds.spec(), worlds.facts(), {}))
    assert none.reason.startswith("The test data declare no attribute")


def test_table_and_figure_rank_by_drawn_in_rates(worlds):
    evidence = world(worlds, seed=5, accuracy=0.9, bad={("mid", "day"): 0.6})
    results = list(Intersections().run(evidence))
    (table,) = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[0][2] == "building=mid, light=day"
    drawn = [row[-1] for row in table.rows]
    assert drawn == sorted(drawn)
    assert next(row["label"] for row in figure.rows) == "mid, day"
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    assert "mid (building) and day (light)" in figure.alt


def test_ranking_is_not_led_by_the_smallest_cell(worlds):
    """Two of twelve right, by luck, must not outrank a large cell that is shown to be bad."""
    rng = np.random.default_rng(0)
    a = ["x"] * 12 + ["y"] * 4000
    b = ["u"] * 12 + list(rng.choice(["u", "v", "w", "t"], 3988)) + ["v"] * 0
    a, b = np.array(a[: len(b)]), np.array(b)
    a[12:] = rng.choice(["y", "z"], len(a) - 12)
    b[12:24], a[12:24] = "v", "x"
    right = rng.random(len(a)) < np.where((a == "y") & (b == "w"), 0.72, 0.9)
    right[:12] = np.arange(12) < 8
    dataset = worlds.dataset(
        np.zeros(len(a), int), attributes={"a": ("condition", a), "b": ("condition", b)}
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.where(right, 0, 1)))
    found = worlds.measures(Intersections(), evidence)
    tiny, large = found["accuracy:a=x,b=u@test"], found["accuracy:a=y,b=w@test"]
    assert value(tiny.sides[0].estimate) < value(large.sides[0].estimate)
    assert large.facts["rank"] < tiny.facts["rank"]
    assert value(tiny.estimate) == pytest.approx(8 / 12 - right[12:].mean())


@pytest.mark.parametrize("size", [10, 100])
def test_shrinking_halves_the_error_of_the_ranking(size):
    """Over 24 cells with a spread of 3 points: RMSE and the bias of the worst cell."""
    rng = np.random.default_rng(size)
    truth = np.clip(rng.normal(0.87, 0.03, (400, 24)), 0, 1)
    x = rng.binomial(size, truth)
    drawn = np.array([[s.value for s in shrunk(row, n=np.full(24, size))] for row in x])
    raw = x / size

    def worst_bias(rates):
        worst = rates.argmin(axis=1)[:, None]
        return (np.take_along_axis(rates, worst, 1) - np.take_along_axis(truth, worst, 1)).mean()

    def rmse(rates):
        return np.sqrt(((rates - truth) ** 2).mean())

    assert rmse(drawn) < (0.5 if size == 10 else 0.8) * rmse(raw)
    assert abs(worst_bias(drawn)) < 0.25 * abs(worst_bias(raw))


def test_the_fit_agrees_with_maximum_likelihood():
    rng = np.random.default_rng(1)
    n = rng.integers(20, 400, 200)
    x = rng.binomial(n, rng.beta(18, 2, 200))
    prior = fitted(x, n=n)
    assert prior.mean == pytest.approx(0.9, abs=0.01)

    def loss(p):
        a, b = np.exp(p)
        return -scipy.stats.betabinom.logpmf(x, n, a, b).sum()

    a, b = np.exp(scipy.optimize.minimize(loss, [1.0, 1.0], method="Nelder-Mead").x)
    expected = (x + a) / (n + a + b)
    drawn = np.array([s.value for s in shrunk(x, n=n)])
    assert np.abs(drawn - expected).max() < 0.02
    assert prior.weight == pytest.approx(a + b, rel=0.35)


def test_cells_alike_are_taken_as_one_and_not_as_certain():
    drawn = shrunk([9, 90, 45], n=[10, 100, 50])
    assert all(s.value == pytest.approx(0.9, abs=0.01) for s in drawn)
    assert all(s.high - s.low > 0.05 for s in drawn)
    everything = shrunk([10, 100], n=[10, 100])
    assert all(0.98 < s.value < 1 and s.low < 1 for s in everything)


def test_a_given_prior_is_used():
    (one,) = shrunk(
        [0], n=[10], prior=dataclasses.replace(fitted([5], n=[10]), mean=0.5, weight=10)
    )
    assert one.value == pytest.approx(0.25)


@pytest.mark.parametrize("rate", [0.9, 0.6])
def test_the_interval_of_the_interaction_covers(rate):
    """Four parts of 40 or 80 images without interaction: covers 0 at least 93% of the time."""
    rng = np.random.default_rng(7)
    covered, repetitions = 0, 500
    a = np.repeat([True, True, False, False], [40, 80, 80, 80])
    b = np.repeat([True, False, True, False], [40, 80, 80, 80])
    truth = rate - 0.1 * a - 0.1 * b
    for _ in range(repetitions):
        right = rng.random(len(a)) < truth
        found = beyond_parents(right, members=[a, b], unit=None)
        covered += found.low <= 0 <= found.high
    assert covered / repetitions >= 0.93


def test_the_interval_of_the_interaction_respects_units():
    rng = np.random.default_rng(8)
    a = np.repeat([True, True, False, False], 100)
    b = np.repeat([True, False, True, False], 100)
    rooms = np.repeat(np.arange(80), 5)
    covered = {"rooms": 0, "photos": 0}
    for _ in range(300):
        right = (rng.random(80) < 0.8)[rooms]
        for name, unit in (("rooms", rooms), ("photos", None)):
            found = beyond_parents(right, members=[a, b], unit=unit)
            covered[name] += found.low <= 0 <= found.high
    assert covered["rooms"] / 300 >= 0.92
    assert covered["photos"] / 300 < 0.75


def test_the_interaction_is_the_coefficient_of_a_saturated_model():
    statsmodels = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    a, b = rng.random(900) < 0.4, rng.random(900) < 0.5
    right = rng.random(900) < 0.9 - 0.1 * a - 0.3 * (a & b)
    design = np.column_stack([np.ones(900), a, b, a & b]).astype(float)
    fit = statsmodels.OLS(right.astype(float), design).fit(cov_type="HC0")
    found = beyond_parents(right, members=[a, b], unit=None)
    assert found.beyond == pytest.approx(fit.params[3])
    low, high = fit.conf_int()[3]
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_the_interval_is_that_of_zou_from_wilson_intervals():
    """The four parts' intervals by statsmodels; a part that is always right is one-sided."""
    confint = pytest.importorskip("statsmodels.stats.proportion").proportion_confint
    counts = {(True, True): (20, 40), (True, False): (60, 60), (False, True): (45, 50),
              (False, False): (78, 80)}  # fmt: skip
    a = np.repeat([k[0] for k in counts], [n for _, n in counts.values()])
    b = np.repeat([k[1] for k in counts], [n for _, n in counts.values()])
    right = np.concatenate([np.arange(n) < x for x, n in counts.values()])
    found = beyond_parents(right, members=[a, b], unit=None)
    assert found.expected == pytest.approx(1 + 45 / 50 - 78 / 80)
    p = {k: x / n for k, (x, n) in counts.items()}
    ends = {k: confint(x, n, method="wilson") for k, (x, n) in counts.items()}
    down = {k: p[k] - ends[k][0] for k in counts}
    up = {k: ends[k][1] - p[k] for k in counts}
    plus, minus = [(True, True), (False, False)], [(True, False), (False, True)]
    point = sum(p[k] for k in plus) - sum(p[k] for k in minus)
    below = sum(down[k] ** 2 for k in plus) + sum(up[k] ** 2 for k in minus)
    above = sum(up[k] ** 2 for k in plus) + sum(down[k] ** 2 for k in minus)
    assert found.beyond == pytest.approx(point)
    assert found.low == pytest.approx(point - below**0.5)
    assert found.high == pytest.approx(point + above**0.5)


def test_an_interaction_with_a_part_of_nine_is_not_told():
    a = np.array([True] * 100 + [False] * 109)
    b = np.array([True] * 50 + [False] * 50 + [True] * 9 + [False] * 100)
    assert beyond_parents(np.ones(209, bool), members=[a, b], unit=None) is None


@pytest.mark.parametrize("size", [30, 100])
def test_forty_cells_of_a_fair_model_fail_rarely(size):
    """Any Holm-adjusted FAIL at the limit of 5 points: at most 6% of fair models."""
    repetitions, failed = 300, 0
    cell = np.repeat(np.arange(40), size)
    for seed in range(repetitions):
        right = np.random.default_rng([seed, size]).random(len(cell)) < 0.9
        p = [
            p_value(rate_difference(right, member=cell == c), limit=LIMIT, exceeds="below")
            for c in range(40)
        ]
        failed += min(holm(p)) <= 0.05
    assert failed / repetitions <= 0.06
