import numpy as np
import pytest

from auditor.bias.amplification import Amplification, amplified
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.stats import bound, interval, mean_difference, p_value, value

LIMIT = 0.05
ADVERSE = {"adverse": ("b",)}


def world(
    worlds, *, seed, labelled_of, false_of, missed_of, n=1500, images_a_unit=1, split="test",
    evidence=None,
):  # fmt: skip
    """Labels "b" with the group's rate; answers wrong with the group's two error rates."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(labelled_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]

    def of(rates):
        return np.array([rates[g] for g in group])

    labels = (rng.random(units.max() + 1)[units] < of(labelled_of)).astype(int)
    wrong = rng.random(len(units)) < np.where(labels == 1, of(missed_of), of(false_of))
    dataset = worlds.dataset(
        labels,
        split=split,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences=ADVERSE))
    answers = np.where(wrong, 1 - labels, labels)
    return evidence.add(dataset, worlds.probabilities(answers))


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("images_a_unit", [1, 3])
def test_a_model_that_enlarges_the_gap_of_the_labels_is_shown(worlds, seed, images_a_unit):
    evidence = world(
        worlds, seed=seed, labelled_of={"x": 0.4, "y": 0.2}, false_of={"x": 0.25, "y": 0.02},
        missed_of={"x": 0.02, "y": 0.2}, images_a_unit=images_a_unit,
    )  # fmt: skip
    found = worlds.measures(Amplification(), evidence)
    assert exceeds(found["widening:class=b,household=x@test"])


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_repeats_the_gap_of_the_labels_is_not(worlds, seed):
    evidence = world(
        worlds, seed=seed, labelled_of={"x": 0.5, "y": 0.2}, false_of={"x": 0.05, "y": 0.05},
        missed_of={"x": 0.1, "y": 0.1},
    )  # fmt: skip
    found = worlds.measures(Amplification(), evidence)
    assert len(found) == 2
    assert not any(exceeds(m) for m in found.values())
    # The labels are 30 points apart, which alone is no widening.
    assert found["widening:class=b,household=x@test"].facts["labels_gap"][0] > 0.15


@pytest.mark.parametrize("seed", range(6))
def test_where_labels_show_no_gap_the_group_that_is_harmed_is_shown(worlds, seed):
    evidence = world(
        worlds, seed=seed, labelled_of=dict.fromkeys("xyz", 0.2),
        false_of={"x": 0.25, "y": 0.03, "z": 0.03}, missed_of=dict.fromkeys("xyz", 0.1),
    )  # fmt: skip
    found = worlds.measures(Amplification(), evidence)
    assert exceeds(found["widening:class=b,household=x@test"])


def test_labelled_deployment_images_are_compared_too(worlds):
    rates = {"labelled_of": {"x": 0.4, "y": 0.2}, "missed_of": {"x": 0.02, "y": 0.02}}
    evidence = world(worlds, seed=0, false_of={"x": 0.02, "y": 0.02}, **rates)
    world(
        worlds, seed=1, false_of={"x": 0.3, "y": 0.02}, **rates, split="deployment",
        evidence=evidence,
    )  # fmt: skip
    found = worlds.measures(Amplification(), evidence)
    assert {name: exceeds(m) for name, m in found.items() if "household=x" in name} == {
        "widening:class=b,household=x@test": False,
        "widening:class=b,household=x@deployment": True,
    }


def gaps(*, labelled, called, n=1000):
    """A group and a rest of n images each with exact shares, the classes overlapping most."""
    member = np.repeat([True, False], n)
    place = np.tile(np.arange(n), 2) / n
    return amplified(
        place < np.where(member, *called), labelled=place < np.where(member, *labelled),
        member=member,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labelled", "called", "expected"),
    [
        ((0.3, 0.2), (0.4, 0.2), 0.1),  # a gap against the group, wider
        ((0.3, 0.2), (0.25, 0.2), -0.05),  # narrower
        ((0.2, 0.3), (0.2, 0.4), 0.1),  # a gap in the group's favour, wider
        ((0.2, 0.3), (0.25, 0.3), -0.05),
        ((0.2, 0.2), (0.35, 0.2), 0.15),  # none in the labels, one in the answers
        ((0.2, 0.2), (0.05, 0.2), 0.15),
        ((0.3, 0.2), (0.1, 0.4), 0.2),  # turned round: 10 points one way, 30 the other
        ((0.2, 0.3), (0.4, 0.1), 0.2),
        ((0.3, 0.2), (0.2, 0.26), -0.04),  # turned round and smaller
        ((0.2, 0.2), (0.21, 0.2), 0.01),  # none shown in either: towards "more often"
        ((0.2, 0.2), (0.19, 0.2), -0.01),
    ],
)
def test_the_sign_of_a_amplified(labelled, called, expected):
    found = gaps(labelled=labelled, called=called)
    assert found.estimate.value == pytest.approx(expected)
    size = abs(called[0] - called[1]) - abs(labelled[0] - labelled[1])
    if expected != -0.01:
        assert found.estimate.value == pytest.approx(size)


def test_swapping_group_and_rest_gives_the_same_widening_of_a_shown_gap():
    there = gaps(labelled=(0.4, 0.2), called=(0.5, 0.2))
    back = gaps(labelled=(0.2, 0.4), called=(0.2, 0.5))
    assert there.estimate.value == pytest.approx(back.estimate.value)
    assert there.estimate.se == pytest.approx(back.estimate.se)


def test_it_is_wang_and_russakovskys_directional_amplification():
    """Their formula for one attribute value, written out from the counts."""
    rng = np.random.default_rng(0)
    member = rng.random(4000) < 0.4
    labelled = rng.random(4000) < np.where(member, 0.5, 0.2)
    called = rng.random(4000) < np.where(member, 0.6, 0.15)
    together = (member & labelled).mean() > member.mean() * labelled.mean()
    terms = [
        called[side].mean() - labelled[side].mean() if correlated else
        labelled[side].mean() - called[side].mean()
        for side, correlated in ((member, together), (~member, not together))
    ]  # fmt: skip
    found = amplified(called, labelled=labelled, member=member)
    assert found.estimate.value == pytest.approx(sum(terms))


def test_the_standard_error_is_that_of_paired_images():
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(300), 4)
    member = unit < 120
    labelled = (rng.random(300) < 0.4)[unit] & (rng.random(1200) < 0.8)
    called = labelled ^ (rng.random(1200) < 0.1)
    found = amplified(called, labelled=labelled, member=member, unit=unit)
    plain = mean_difference(called.astype(float) - labelled, member=member, unit=unit)
    assert found.estimate.value == pytest.approx(plain.value)
    assert found.estimate.se == pytest.approx(plain.se, rel=0.05)
    unpaired = mean_difference(called.astype(float), member=member, unit=unit).se
    assert found.estimate.se < unpaired


def test_units_widen_the_interval():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(80), 10)
    member, labelled = unit < 40, (rng.random(80) < 0.3)[unit]
    called = labelled | (member & (rng.random(80) < 0.8)[unit])
    by_room = amplified(called, labelled=labelled, member=member, unit=unit).estimate
    by_photo = amplified(called, labelled=labelled, member=member).estimate
    assert by_room.value == pytest.approx(by_photo.value)
    assert by_room.se > 2.5 * by_photo.se


def simulate(*, n, labelled, false, missed, images_a_unit=1, worlds_run=300):
    """Shares of worlds that FAIL and PASS at the limit; units share half of their chance."""
    failed = passed = 0
    rng = np.random.default_rng([n, images_a_unit])
    unit = np.repeat(np.arange(4 * n // images_a_unit), images_a_unit)
    member = unit < n // images_a_unit
    for _ in range(worlds_run):
        chances = []
        for _ in range(2):
            shared = rng.random(len(unit)) < (0.55 if images_a_unit > 1 else 0)
            alone = rng.random(len(unit))
            chances.append(np.where(shared, rng.random(unit.max() + 1)[unit], alone))
        labels = chances[0] < np.where(member, *labelled)
        flips = chances[1] < np.where(labels, np.where(member, *missed), np.where(member, *false))
        units = unit if images_a_unit > 1 else None
        found = amplified(labels ^ flips, labelled=labels, member=member, unit=units).estimate
        failed += p_value(found, limit=LIMIT, exceeds="above") <= 0.05
        passed += bound(found, side="high") <= LIMIT
    return failed / worlds_run, passed / worlds_run


@pytest.mark.parametrize(
    "case",
    [
        {"n": 100, "labelled": (0.2, 0.2), "false": (0.1125, 0.05), "missed": (0.2, 0.2)},
        {"n": 300, "labelled": (0.4, 0.2), "false": (0.15, 0.05), "missed": (0.1, 0.2)},
        {"n": 300, "labelled": (0.1, 0.3), "false": (0.02, 0.05), "missed": (0.63, 0.1)},
        {"n": 300, "labelled": (0.1, 0.1), "false": (0.0556, 0.0), "missed": (0.0, 0.0)},
        {"n": 180, "labelled": (0.2, 0.2), "false": (0.1125, 0.05), "missed": (0.2, 0.2),
         "images_a_unit": 3},
        {"n": 200, "labelled": (0.1, 0.1), "false": (0.0556, 0.0), "missed": (0.0, 0.0),
         "images_a_unit": 10},
    ],
)  # fmt: skip
def test_a_widening_of_the_limit_is_rarely_called_either_way(case):
    failed, passed = simulate(**case)
    assert failed <= 0.075
    assert passed <= 0.095


@pytest.mark.parametrize("n", [30, 300])
def test_no_widening_fails_in_hardly_any_world(n):
    failed, _ = simulate(n=n, labelled=(0.2, 0.2), false=(0.05, 0.05), missed=(0.2, 0.2))
    assert failed <= 0.01


def test_a_faultless_small_group_claims_no_certainty(worlds):
    labels = np.arange(220) % 5 == 0
    group = ["few"] * 20 + ["many"] * 200
    dataset = worlds.dataset(labels.astype(int), attributes={"g": ("sensitive", group)})
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(labels.astype(int))
    )
    found = worlds.measures(Amplification(), evidence)["widening:class=b,g=few@test"]
    assert value(found.estimate) == 0
    assert bound(found.estimate, side="high") > 0.05


def sentence(*, labelled, called, worlds):
    place = np.tile(np.arange(1000), 2) / 1000
    member = np.repeat([True, False], 1000)
    labels = (place < np.where(member, *labelled)).astype(int)
    answers = (place < np.where(member, *called)).astype(int)
    group = np.where(member, "accessible", "single")
    dataset = worlds.dataset(labels, attributes={"household": ("sensitive", list(group))})
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(answers)
    )
    found = worlds.measures(Amplification(), evidence)
    return found["widening:class=b,household=accessible@test"]


@pytest.mark.parametrize(
    ("labelled", "called", "said"),
    [
        ((0.3, 0.2), (0.4, 0.2),
         "labelled b 10 points more often [6, 14], called so by the model 20 points more often "
         "[16, 24]; the gap is 10 points wider [8, 12]."),
        ((0.3, 0.2), (0.25, 0.2),
         "labelled b 10 points more often [6, 14], called so by the model 5 points more often "
         "[1.3, 9]; the gap is 5 points narrower [4, 6]."),
        ((0.2, 0.2), (0.35, 0.2),
         "labelled b as often, called so by the model 15 points more often [11, 19]; the gap is "
         "15 points wider [13, 17]."),
        ((0.3, 0.2), (0.1, 0.4),
         "labelled b 10 points more often [6, 14], called so by the model 30 points less often "
         "[26, 34]; the gap is turned round and 20 points wider"),
        ((0.21, 0.2), (0.05, 0.2),
         "labelled b 1.0 points more often [−3, 5], called so by the model 15 points less often "
         "[12, 18]; next to all others the model says so 16 points less often [14, 18] than the "
         "labels do."),
        ((0.21, 0.2), (0.19, 0.2),
         "labelled b 1.0 points more often [−3, 5], called so by the model 1.0 points less often "
         "[−2, 4]; next to all others the model says so 2 points less often [1.1, 3] than the "
         "labels do."),
    ],
)  # fmt: skip
def test_the_sentence_says_who_is_called_so_more_often(worlds, labelled, called, said):
    measure = sentence(labelled=labelled, called=called, worlds=worlds)
    assert worlds.sentence(Amplification, measure).startswith(
        f"accessible (household), against all others: {said}"
    )


def test_details_hold_both_shares_on_both_sides(worlds):
    measure = sentence(labelled=(0.3, 0.2), called=(0.4, 0.25), worlds=worlds)
    shares = [measure.facts[k] for k in ("labelled", "labelled_rest")]
    shares += [value(side.estimate) for side in measure.sides]
    assert shares == pytest.approx([0.3, 0.2, 0.4, 0.25])
    assert measure.scale == "difference"
    assert measure.better == "lower"


def test_examples_are_the_answers_that_widen_the_gap(worlds):
    evidence = world(
        worlds, seed=0, labelled_of={"x": 0.4, "y": 0.1}, false_of={"x": 0.25, "y": 0.02},
        missed_of={"x": 0.1, "y": 0.4},
    )  # fmt: skip
    found = worlds.measures(Amplification(), evidence)
    outcomes = evidence.answers()
    ids = list(outcomes.image_ids)
    more = [ids.index(i) for i in found["widening:class=b,household=x@test"].examples]
    less = [ids.index(i) for i in found["widening:class=b,household=y@test"].examples]
    assert len(more) == len(less) == 12
    assert set(outcomes.groups("household")[more]) == {"x"}
    assert (outcomes.labels[more] == 0).all()
    assert (outcomes.predicted[more] == 1).all()
    # The group that is spared is shown by what it was spared.
    assert set(outcomes.groups("household")[less]) == {"y"}
    assert (outcomes.labels[less] == 1).all()
    assert (outcomes.predicted[less] == 0).all()


def test_figure_and_table_set_labels_beside_answers(worlds):
    evidence = world(
        worlds, seed=0, labelled_of={"x": 0.4, "y": 0.2}, false_of={"x": 0.1, "y": 0.1},
        missed_of={"x": 0.1, "y": 0.1},
    )  # fmt: skip
    results = list(Amplification().run(evidence))
    (figure,) = [r for r in results if isinstance(r, Figure)]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row["series"] for row in figure.rows] == ["labelled b"] * 3 + ["called b"] * 3
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    assert all(len(row) == len(table.columns) for row in table.rows)
    (_, _, x, _) = table.rows
    measure = worlds.measures(Amplification(), evidence)["widening:class=b,household=x@test"]
    ends = interval(measure.estimate)
    assert x[-3:] == worlds.nearly((value(measure.estimate), ends.low, ends.high))


def test_few_units_one_group_and_unknown_classes(worlds):
    rooms = np.concatenate([np.repeat(np.arange(9), 20), 100 + np.arange(200)])
    dataset = worlds.dataset(
        np.zeros(380, int), units=rooms,
        attributes={"g": ("sensitive", ["few"] * 180 + ["many"] * 200),
                    "h": ("sensitive", ["one"] * 380)},
    )  # fmt: skip
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(np.zeros(380, int))
    )
    reasons = [r for r in Amplification().run(evidence) if isinstance(r, Unmeasured)]
    assert any("9 units of few (g)" in r.reason and "1 more unit" in r.remedy for r in reasons)
    assert any("one group, one (h)" in r.reason for r in reasons)
    evidence.spec = worlds.spec(consequences={"adverse": ("bb",)})
    with pytest.raises(SpecError, match="Did you mean 'b'"):
        list(Amplification().run(evidence))
