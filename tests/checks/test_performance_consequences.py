import numpy as np
import pytest

from auditor.checks.performance_consequences import Consequences
from auditor.errors import SpecError
from auditor.findings import Table, Unmeasured
from auditor.stats import interval, p_value, value

CLASSES = ("fine", "serious")
COSTS = {"unit": "EUR", "matrix": {"fine": {"serious": 4000.0}, "serious": {"fine": 50000.0}}}
DECLARED = {
    "adverse": ("serious",),
    "costs": COSTS,
    "borne_by": {"serious": "the tenant", "fine": "the neighbours"},
}


def world(worlds, *, seed=0, false=0.04, missed=0.1, consequences=DECLARED, n=1000, groups=None):
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 5 == 0).astype(int)
    wrong = rng.random(n) < np.where(labels == 1, missed, false)
    attributes = None if groups is None else {"kind": ("sensitive", groups)}
    dataset = worlds.dataset(labels, classes=CLASSES, attributes=attributes)
    answers = np.where(wrong, 1 - labels, labels)
    return worlds.evidence(spec=worlds.spec(consequences=consequences)).add(
        dataset, worlds.probabilities(answers)
    )


def exceeds(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_errors_above_a_limit_are_found(worlds, seed):
    found = worlds.measures(Consequences(), world(worlds, seed=seed, false=0.12, missed=0.4))
    assert exceeds(found["false-adverse-rate:class=serious@test"], 0.05)
    assert exceeds(found["missed-adverse-rate:class=serious@test"], 0.2)
    assert exceeds(found["expected-cost:@test"], 2000)


@pytest.mark.parametrize("seed", range(6))
def test_errors_below_a_limit_are_not(worlds, seed):
    found = worlds.measures(Consequences(), world(worlds, seed=seed, false=0.03, missed=0.1))
    assert not exceeds(found["false-adverse-rate:class=serious@test"], 0.05)
    assert not exceeds(found["missed-adverse-rate:class=serious@test"], 0.2)
    assert not exceeds(found["expected-cost:@test"], 2000)


def test_rates_and_costs_are_those_of_their_definition(worlds):
    evidence = world(worlds, seed=1)
    o = evidence.answers("test")
    found = worlds.measures(Consequences(), evidence)
    called, serious = o.predicted == 1, o.labels == 1
    false = found["false-adverse-rate:class=serious@test"]
    missed = found["missed-adverse-rate:class=serious@test"]
    assert value(false.estimate) == pytest.approx(called[~serious].mean())
    assert value(missed.estimate) == pytest.approx((~called)[serious].mean())
    tenant = 4000 * (called & ~serious).mean()
    neighbours = 50000 * (~called & serious).mean()
    borne = {k: value(m.estimate) for k, m in found.items() if m.name == "cost-borne"}
    assert borne == {
        "cost-borne:by=the%20tenant@test": pytest.approx(tenant),
        "cost-borne:by=the%20neighbours@test": pytest.approx(neighbours),
    }
    assert value(found["expected-cost:@test"].estimate) == pytest.approx(tenant + neighbours)
    assert found["expected-cost:@test"].unit == "EUR per image"


def test_the_sentence_counts_images(worlds):
    labels = np.array([1] * 80 + [0] * 100)
    answers = np.array([0] * 22 + [1] * 58 + [0] * 100)
    evidence = worlds.evidence(spec=worlds.spec(consequences=DECLARED)).add(
        worlds.dataset(labels, classes=CLASSES), worlds.probabilities(answers)
    )
    found = worlds.measures(Consequences(), evidence)
    said = worlds.sentence(Consequences, found["missed-adverse-rate:class=serious@test"])
    assert said == "“serious” missed, test data: 22 of 80 = 28% [19, 38]."


def test_costs_that_nobody_is_named_for_are_shown_as_such(worlds):
    stated = {**DECLARED, "borne_by": {"serious": "the tenant"}}
    found = worlds.measures(Consequences(), world(worlds, consequences=stated))
    assert "cost-borne:by=not%20stated@test" in found


def test_what_is_not_declared_is_a_reason_with_a_remedy(worlds):
    found = list(Consequences().run(world(worlds, consequences={})))
    assert [r.name for r in found] == ["false-adverse-rate", "expected-cost"]
    assert all(isinstance(r, Unmeasured) and "consequences." in r.remedy for r in found)


def test_a_model_without_errors_claims_no_certainty(worlds):
    evidence = world(worlds, false=0, missed=0, n=100)
    for measure in worlds.measures(Consequences(), evidence).values():
        assert value(measure.estimate) == 0
        assert interval(measure.estimate).high > 0


def test_unknown_classes_are_the_users_to_mend(worlds):
    for part in ({"adverse": ("seriuos",)}, {"costs": COSTS, "borne_by": {"seriuos": "x"}}):
        with pytest.raises(SpecError, match="Did you mean 'serious'"):
            list(Consequences().run(world(worlds, consequences=part)))


def test_the_table_attributes_costs_to_groups_and_gives_small_ones_no_range(worlds):
    groups = np.array(["family"] * 700 + ["single"] * 292 + ["other"] * 8)
    groups[::10] = ""
    evidence = world(worlds, seed=2, groups=groups)
    (table,) = (r for r in Consequences().run(evidence) if isinstance(r, Table))
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert {row["group"] for row in rows} == {"family", "single", "other"}

    def row_of(group, quantity):
        (found,) = (r for r in rows if (r["group"], r["quantity"]) == (group, quantity))
        return found

    o = evidence.answers("test")
    inside = groups == "single"
    cost = np.where(o.correct, 0, np.where(o.labels == 1, 50000, 4000))[inside].mean()
    single = row_of("single", "cost")
    assert single["value"] == pytest.approx(cost)
    assert single["value low"] < cost < single["value high"]
    assert row_of("other", "cost")["value"] is None
    assert row_of("other", "serious missed")["value low"] is None
    missed = row_of("single", "serious missed")
    assert missed["value"] == pytest.approx((~o.correct)[inside & (o.labels == 1)].mean())
    assert row_of("family", "cost")["images"] == int((groups == "family").sum())
