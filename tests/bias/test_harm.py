import numpy as np
import pytest

from auditor.bias.harm import NAMES, Harm
from auditor.comparing.two_sides import two_means
from auditor.errors import SpecError
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import Draws, Normal, bound, holm, interval, p_value, value

CLASSES = ("fine", "serious")
COSTS = {"unit": "EUR", "matrix": {"fine": {"serious": 4000.0}, "serious": {"fine": 50000.0}}}
STATED = {"costs": COSTS, "borne_by": {"serious": "the tenant", "fine": "the neighbours"}}


FALSE_ONLY = {"costs": {"unit": "EUR", "matrix": {"fine": {"serious": 4000.0}}}}


def lines(table):
    """A table's rows by the names of its columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def world(
    worlds, *, seed, false_of, missed=0.05, n=2400, images_a_unit=1, stated=STATED, split="test",
    evidence=None,
):  # fmt: skip
    """Wrongly called "serious" with the group's rate; missed alike in all groups."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(false_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]
    labels = (rng.random(units.max() + 1) < 0.2).astype(int)[units]
    rates = np.where(labels == 1, missed, [false_of[g] for g in group])
    wrong = rng.random(len(units)) < rates
    dataset = worlds.dataset(
        labels,
        split=split,
        classes=CLASSES,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences=stated))
    return evidence.add(dataset, worlds.probabilities(np.where(wrong, 1 - labels, labels)))


def exceeds(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("images_a_unit", [1, 3])
def test_a_group_that_pays_several_times_as_much_is_shown(worlds, seed, images_a_unit):
    evidence = world(
        worlds, seed=seed, false_of={"x": 0.4, "y": 0.02}, missed=0.01,
        images_a_unit=images_a_unit,
    )  # fmt: skip
    found = worlds.measures(Harm(), evidence)
    assert exceeds(found["cost-ratio:household=x@test"], 1.25)
    assert exceeds(found["cost-difference:household=x@test"], 500)
    assert exceeds(found["cost:household=x@test"], 500)
    assert not exceeds(found["cost-ratio:household=y@test"], 1.25)
    assert not exceeds(found["cost-difference:household=y@test"], 0)


def test_labelled_deployment_images_are_compared_too(worlds):
    evidence = world(worlds, seed=0, false_of={"x": 0.05, "y": 0.05})
    world(
        worlds, seed=1, false_of={"x": 0.4, "y": 0.02}, missed=0.01, split="deployment",
        evidence=evidence,
    )  # fmt: skip
    found = worlds.measures(Harm(), evidence)
    assert exceeds(found["cost-ratio:household=x@deployment"], 1.25)
    assert not exceeds(found["cost-ratio:household=x@test"], 1.25)
    sentence = worlds.sentence(Harm, found["cost:household=x@deployment"])
    assert sentence.startswith("Cost of errors in deployment data, x (household): ")


@pytest.mark.parametrize("images_a_unit", [1, 4])
def test_equal_groups_fail_in_few_worlds(worlds, images_a_unit):
    failed = 0
    for seed in range(40):
        evidence = world(
            worlds, seed=seed, false_of=dict.fromkeys("wxyz", 0.1), images_a_unit=images_a_unit
        )
        ratios = [
            m for m in worlds.measures(Harm(), evidence).values() if m.name == "cost-ratio"
        ]  # fmt: skip
        assert len(ratios) == 4
        p = holm([p_value(m.estimate, limit=1.25, exceeds="above") for m in ratios])
        failed += min(p) <= 0.05
    assert failed <= 5


def test_costs_are_those_of_the_matrix(worlds):
    evidence = world(worlds, seed=1, false_of={"x": 0.3, "y": 0.1, "z": 0.05})
    found = worlds.measures(Harm(), evidence)
    o = evidence.answers()
    spent = np.where(o.correct, 0, np.where(o.labels == 1, 50000, 4000))
    x = o.groups("household") == "x"
    cost, difference, ratio = (
        found[f"{name}:household=x@test"] for name in ("cost", "cost-difference", "cost-ratio")
    )
    assert value(cost.estimate) == pytest.approx(spent[x].mean())
    assert value(difference.estimate) == pytest.approx(spent[x].mean() - spent[~x].mean())
    assert value(ratio.estimate) == pytest.approx(spent[x].mean() / spent[~x].mean())
    for measure in (cost, difference, ratio):
        assert value(measure.sides[0].estimate) == pytest.approx(spent[x].mean())
        assert value(measure.sides[1].estimate) == pytest.approx(spent[~x].mean())
        assert measure.sides[1].n == (~x).sum()
        assert measure.better == "lower"
    assert (cost.unit, ratio.unit, ratio.scale) == ("EUR per image", "", "ratio")
    assert ratio.weight == pytest.approx(1 / 27_000)
    assert isinstance(ratio.estimate, Draws)
    assert isinstance(difference.estimate, Normal)


def test_who_bears_the_costs_of_a_group(worlds):
    evidence = world(worlds, seed=1, false_of={"x": 0.3, "y": 0.1})
    o = evidence.answers()
    x = o.groups("household") == "x"
    tenant = 4000 * ((o.labels == 0) & (o.predicted == 1))
    neighbours = 50000 * ((o.labels == 1) & (o.predicted == 0))
    measure = worlds.measures(Harm(), evidence)["cost:household=x@test"]
    borne = {party: numbers[0] for party, numbers in measure.facts["borne_by"].items()}
    assert borne == {
        "the tenant": pytest.approx(tenant[x].mean()),
        "the neighbours": pytest.approx(neighbours[x].mean()),
    }
    assert sum(borne.values()) == pytest.approx(value(measure.estimate))
    table = next(
        r for r in Harm().run(evidence) if isinstance(r, Table) and r.id == "bias/harm:bearers"
    )  # fmt: skip
    rows = {(row["group"], row["borne by"]): row for row in lines(table)}
    assert rows["x", "the tenant"]["cost"] == pytest.approx(tenant[x].mean())
    assert rows["x", "the tenant"]["low"] < rows["x", "the tenant"]["cost"]
    assert rows["y", "the neighbours"]["cost"] == pytest.approx(neighbours[~x].mean())
    assert {c.unit for c in table.columns if c.name in ("cost", "low")} == {"EUR per image"}


def test_costs_that_nobody_is_named_for_are_shown_as_such(worlds):
    stated = {**STATED, "borne_by": {"serious": "the tenant"}}
    evidence = world(worlds, seed=1, false_of={"x": 0.3, "y": 0.1}, stated=stated)
    measure = worlds.measures(Harm(), evidence)["cost:household=x@test"]
    assert set(measure.facts["borne_by"]) == {"the tenant", "not stated"}


def test_rooms_count_and_not_their_photos(worlds):
    rng = np.random.default_rng(3)
    rooms = np.repeat(np.arange(200), 6)
    wrong = (rng.random(200) < 0.15)[rooms]
    group = np.where(rooms % 2 == 0, "x", "y")
    evidences = []
    for units in (rooms, None):
        dataset = worlds.dataset(
            np.zeros(1200, int), classes=CLASSES, units=units,
            attributes={"g": ("sensitive", list(group))},
        )  # fmt: skip
        evidence = worlds.evidence(spec=worlds.spec(consequences=FALSE_ONLY))
        evidences.append(evidence.add(dataset, worlds.probabilities(wrong.astype(int))))
    by_room, by_photo = (worlds.measures(Harm(), e) for e in evidences)
    for name in ("cost", "cost-difference"):
        key = f"{name}:g=x@test"
        assert by_room[key].estimate.se > 2 * by_photo[key].estimate.se
    assert by_room["cost:g=x@test"].n_units == 100
    ends = [interval(f["cost-ratio:g=x@test"].estimate) for f in (by_room, by_photo)]
    assert ends[0].low < ends[1].low < ends[1].high < ends[0].high


@pytest.mark.parametrize(
    ("size", "images_a_unit", "factor"),
    [(100, 1, 1.25), (300, 1, 1.25), (300, 1, 3.0), (180, 3, 3.0), (200, 10, 1.25)],
)
def test_at_the_limit_costs_are_rarely_called_either_way(size, images_a_unit, factor):
    """Two kinds of error, one dear and one cheap, both `factor` times as often in the group."""
    rng = np.random.default_rng([size, images_a_unit])
    unit = np.repeat(np.arange(4 * size // images_a_unit), images_a_unit)
    member = unit < size // images_a_unit
    excess = (factor - 1) * (4000 * 0.8 * 0.05 + 50000 * 0.2 * 0.1)
    counts = np.zeros(4)
    for _ in range(300):
        labels = (rng.random(unit.max() + 1) < 0.2)[unit]
        shared = rng.random(len(unit)) < (0.55 if images_a_unit > 1 else 0)
        chance = np.where(shared, rng.random(unit.max() + 1)[unit], rng.random(len(unit)))
        wrong = chance < np.where(labels, 0.1, 0.05) * np.where(member, factor, 1)
        spent = wrong * np.where(labels, 50000.0, 4000.0)
        units = unit if images_a_unit > 1 else None
        sides = two_means(spent, member=member, unit=units, span=(0.0, 50000.0))
        for i, (estimate, limit) in enumerate(
            ((sides.ratio(), factor), (sides.difference(), excess))
        ):
            counts[i] += p_value(estimate, limit=limit, exceeds="above") <= 0.05
            counts[2 + i] += bound(estimate, side="high") <= limit
    assert (counts[:2] / 300 <= 0.075).all()
    assert (counts[2:] / 300 <= 0.09).all()


def exact(worlds, *, wrong, wrong_rest, stated=STATED, n=200, n_rest=400):
    """Fine rooms only, of which exactly so many are called serious."""
    called = np.concatenate([np.arange(n) < wrong, np.arange(n_rest) < wrong_rest]).astype(int)
    group = ["accessible"] * n + ["single"] * n_rest
    dataset = worlds.dataset(
        np.zeros(n + n_rest, int), classes=CLASSES, attributes={"household": ("sensitive", group)}
    )
    evidence = worlds.evidence(spec=worlds.spec(consequences=stated))
    return evidence.add(dataset, worlds.probabilities(called))


def test_sentences_can_be_repeated(worlds):
    evidence = exact(worlds, wrong=60, wrong_rest=40, stated=FALSE_ONLY)
    found = worlds.measures(Harm(), evidence)
    both = (
        "Cost of errors, accessible (household): 1,200 EUR per image [944, 1,456] of 200; all "
        "others 400 EUR per image [282, 518] of 400"
    )
    key = "household=accessible@test"
    said = {name: worlds.sentence(Harm, found[f"{name}:{key}"]) for name in NAMES}
    assert said["cost"] == f"{both}."
    assert said["cost-difference"] == f"{both}; 800 EUR per image more [518, 1,082]."
    assert said["cost-ratio"] == f"{both}; 3.0 times as much [2.1, 4.5]."
    less = worlds.sentence(Harm, found["cost-difference:household=single@test"])
    assert less.endswith("; 800 EUR per image less [518, 1,082].")


def test_a_rest_without_cost_has_a_difference_and_no_ratio(worlds):
    results = list(Harm().run(exact(worlds, wrong=60, wrong_rest=0, stated=FALSE_ONLY)))
    (reason,) = [r for r in results if isinstance(r, Unmeasured)]
    assert (reason.name, str(reason.subject)) == ("cost-ratio", "household=accessible@test")
    assert "No image of the others cost anything" in reason.reason
    ratio = next(r for r in results if isinstance(r, Measure) and r.name == "cost-ratio")
    assert ratio.estimate.value == 0
    table = next(r for r in results if isinstance(r, Table))
    assert lines(table)[0]["cost-ratio"] is None


def test_a_ratio_that_may_be_anything_is_a_reason(worlds):
    results = list(Harm().run(exact(worlds, wrong=2, wrong_rest=1)))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert [r.name for r in reasons] == ["cost-ratio"] * 2
    assert all("anything from 0.0 without end" in r.reason for r in reasons)
    assert all("more images" in r.remedy for r in reasons)


def test_a_ratio_without_end_says_so(worlds):
    found = worlds.measures(Harm(), exact(worlds, wrong=60, wrong_rest=1, stated=FALSE_ONLY))
    measure = found["cost-ratio:household=accessible@test"]
    assert worlds.sentence(Harm, measure).endswith("no end].")
    assert exceeds(measure, 1.25)
    table = next(
        r for r in Harm().run(exact(worlds, wrong=60, wrong_rest=1, stated=FALSE_ONLY))
        if isinstance(r, Table)
    )  # fmt: skip
    assert lines(table)[0]["cost-ratio high"] is None
    assert lines(table)[0]["cost-ratio low"] is not None


def test_no_error_at_all_claims_no_certainty(worlds):
    found = worlds.measures(Harm(), exact(worlds, wrong=0, wrong_rest=0))
    assert {m.name for m in found.values()} == {"cost", "cost-difference"}
    for measure in found.values():
        assert value(measure.estimate) == 0
        assert bound(measure.estimate, side="high") > 0


def test_gains_have_differences_and_no_ratio(worlds):
    gains = {"fine": {"serious": 4000.0, "fine": -100.0}}
    stated = {"costs": {"unit": "EUR", "matrix": gains}}
    results = list(Harm().run(exact(worlds, wrong=60, wrong_rest=40, stated=stated)))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert {r.name for r in reasons} == {"cost-ratio"}
    assert all("costs below 0" in r.reason for r in reasons)


def test_costs_of_nothing_are_a_reason(worlds):
    stated = {"costs": {"unit": "EUR", "matrix": {"fine": {"serious": 0.0}}}}
    results = list(Harm().run(exact(worlds, wrong=60, wrong_rest=40, stated=stated)))
    assert [r.name for r in results] == ["cost", "cost-difference", "cost-ratio"]
    assert all("No wrong answer costs more than 0" in r.reason for r in results)


def test_examples_are_the_dearest_errors_of_the_group(worlds):
    evidence = world(worlds, seed=2, false_of={"x": 0.3, "y": 0.1})
    measure = worlds.measures(Harm(), evidence)["cost-ratio:household=x@test"]
    o = evidence.answers()
    at = [list(o.image_ids).index(i) for i in measure.examples]
    assert len(at) == 12
    assert set(o.groups("household")[at]) == {"x"}
    assert not o.correct[at].any()
    assert list(o.labels[at]) == sorted(o.labels[at], reverse=True)


def test_small_groups_single_groups_and_unknown_classes(worlds):
    dataset = worlds.dataset(
        np.zeros(220, int), classes=CLASSES,
        attributes={"g": ("sensitive", ["few"] * 9 + ["many"] * 211),
                    "h": ("sensitive", ["one"] * 220)},
    )  # fmt: skip
    evidence = worlds.evidence(spec=worlds.spec(consequences=STATED)).add(
        dataset, worlds.probabilities(np.zeros(220, int))
    )
    results = list(Harm().run(evidence))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    names = ["cost", "cost-difference", "cost-ratio"]
    assert not any(isinstance(r, Measure) for r in results)
    assert [r.name for r in reasons if r.subject.get("h")] == names
    assert [r.name for r in reasons if r.subject.get("g") == "few"] == names
    assert all("1 more image of" in r.remedy for r in reasons if r.subject.get("g"))
    table = next(r for r in results if isinstance(r, Table))
    assert all(len(row) == len(table.columns) for row in table.rows)
    for part in ({"costs": COSTS, "borne_by": {"seriuos": "x"}},
                 {"costs": {"unit": "EUR", "matrix": {"seriuos": {"fine": 1.0}}}}):  # fmt: skip
        evidence.spec = worlds.spec(consequences=part)
        with pytest.raises(SpecError, match="Did you mean 'serious'"):
            list(Harm().run(evidence))


def test_the_figure_is_in_the_currency(worlds):
    evidence = world(worlds, seed=2, false_of={"x": 0.3, "y": 0.1})
    (figure,) = [r for r in Harm().run(evidence) if isinstance(r, Figure)]
    assert (figure.x.unit, [row["label"] for row in figure.rows]) == (
        "EUR per image", ["all images", "x", "y"],
    )  # fmt: skip
    assert all(0 <= row["low"] <= row["value"] <= row["high"] for row in figure.rows)
