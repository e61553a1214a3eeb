import dataclasses
import json

import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.stats.proportion import confint_proportions_2indep

from auditor.bias.representation import Representation
from auditor.comparing.composition import compositions
from auditor.comparing.goodness_of_fit import fit_of_splits, fit_to_shares
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.judging.needed import what_would_decide
from auditor.judging.policy_file import load_policy
from auditor.reports.telling import Telling
from auditor.stats import bound, interval, p_value, value

LIMIT = 0.5
PEOPLE = {"single": 0.6, "family": 0.3, "accessible": 0.1}


def data(
    worlds, split, *, rng, shares, units=400, images=3, population=None, spread=False, missing=0.0
):
    """Rooms of the groups' shares; with `spread`, each image has its own group."""
    names = np.array(list(shares))
    unit = np.repeat(np.arange(units), images)
    drawn = rng.choice(len(names), len(unit) if spread else units, p=list(shares.values()))
    group = names[drawn if spread else drawn[unit]]
    group = np.where(rng.random(len(group)) < missing, "", group)
    dataset = worlds.dataset(
        np.zeros(len(unit), dtype=int),
        split=split,
        units=[f"{split} {u}" for u in unit],
        attributes={"household": ("sensitive", list(group))},
    )
    return declare(dataset, population)


def declare(dataset, population):
    """The dataset with a declared population of its only attribute."""
    (attribute,) = dataset.attributes
    groups = tuple(sorted({*attribute.groups, *(population or {})}))
    stated = dataclasses.replace(attribute, population=population, groups=groups)
    return dataclasses.replace(dataset, attributes=(stated,))


def world(worlds, *, seed, train, test=PEOPLE, deployment=None, population=PEOPLE, **how):
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    splits = {"train": train, "test": test, "deployment": deployment}
    for split, shares in splits.items():
        if shares is not None:
            stated = population
            evidence.add(data(worlds, split, rng=rng, shares=shares, population=stated, **how))
    return evidence


def grouped(worlds, groups, *, split="test", units=None, population=None):
    dataset = worlds.dataset(
        np.zeros(len(groups), dtype=int),
        split=split,
        units=units,
        attributes={"household": ("sensitive", list(groups))},
    )
    return declare(dataset, population)


def composed(worlds, groups, **how):
    (found,) = compositions([grouped(worlds, groups, **how)], attribute="household")
    return found


def fails(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


# Planted and clean worlds


@pytest.mark.parametrize("seed", range(8))
def test_a_group_with_a_fifth_of_its_share_is_shown_and_no_other_is_blamed(worlds, seed):
    train = {"single": 0.66, "family": 0.32, "accessible": 0.02}
    found = worlds.measures(Representation(), world(worlds, seed=seed, train=train))
    assert fails(found["share-ratio:household=accessible@train"])
    assert not fails(found["share-ratio:household=single@train"])
    assert not fails(found["share-ratio:household=family@train"])
    assert not fails(found["share-ratio:household=accessible@test"])


@pytest.mark.parametrize("spread", [False, True])
def test_clean_data_fail_in_no_world(worlds, spread):
    for seed in range(20):
        evidence = world(worlds, seed=seed, train=PEOPLE, deployment=PEOPLE, spread=spread)
        found = worlds.measures(Representation(), evidence)
        ratios = [m for m in found.values() if m.name == "share-ratio"]
        assert len(ratios) == 9
        assert not any(fails(m) for m in ratios)


def test_clean_data_pass_with_enough_rooms(worlds):
    evidence = world(worlds, seed=3, train=PEOPLE, units=1500, images=1)
    found = worlds.measures(Representation(), evidence)
    low = bound(found["share-ratio:household=accessible@train"].estimate, side="low")
    assert low > LIMIT


@pytest.mark.parametrize("seed", range(4))
def test_without_a_population_the_deployment_data_are_the_reference(worlds, seed):
    train = {"single": 0.67, "family": 0.3, "accessible": 0.03}
    deployment = {"single": 0.5, "family": 0.3, "accessible": 0.2}
    evidence = world(
        worlds, seed=seed, train=train, test=deployment, deployment=deployment, population=None
    )
    found = worlds.measures(Representation(), evidence)
    scarce = found["share-ratio:household=accessible@train"]
    assert fails(scarce)
    assert scarce.facts["reference"] == "the deployment data"
    assert "(the deployment data)" in worlds.sentence(Representation, scarce)
    assert not fails(found["share-ratio:household=accessible@test"])
    assert not any(m.name == "share-ratio" and m.subject.split == "deployment"
                   for m in found.values())  # fmt: skip


def test_a_group_without_any_image_has_ratio_zero_and_an_exact_bound(worlds):
    train = {"single": 0.7, "family": 0.3}
    evidence = world(worlds, seed=0, train=train, units=200)
    measure = worlds.measures(Representation(), evidence)["share-ratio:household=accessible@train"]
    assert value(measure.estimate) == 0
    assert bound(measure.estimate, side="high") == pytest.approx((1 - 0.05 ** (1 / 200)) / 0.1)
    assert fails(measure)
    assert measure.facts["missing_units"] == 23
    assert measure.facts["missing_images"] == 69
    assert worlds.sentence(Representation, measure).startswith(
        "accessible (household): 0% [0, 2] of 200 training units; due: 10% (the declared "
    )


def test_groups_that_the_population_does_not_name_are_told(worlds):
    train = {"single": 0.55, "family": 0.3, "accessible": 0.1, "shared flat": 0.05}
    found = worlds.measures(Representation(), world(worlds, seed=1, train=train))
    measure = found["unnamed-share:attribute=household@train"]
    assert measure.facts["groups"] == ["shared flat"]
    assert value(measure.estimate) == pytest.approx(0.05, abs=0.03)
    sentence = worlds.sentence(Representation, measure)
    assert "that the declared population does not have: shared flat." in sentence
    assert not any("shared flat" in key and key.startswith("share-ratio") for key in found)
    assert "unnamed-share:attribute=household@test" not in found


# What is counted


def test_rooms_are_counted_not_photos(worlds):
    """Accessible rooms were photographed ten times as often: that does not make more rooms."""
    photos = np.array([1] * 90 + [10] * 10)
    units = np.repeat(np.arange(100), photos)
    groups = np.where(units >= 90, "accessible", "single")
    train = grouped(worlds, groups, split="train", units=units,
                    population={"single": 0.8, "accessible": 0.2})  # fmt: skip
    test = grouped(worlds, groups, units=units, population={"single": 0.8, "accessible": 0.2})
    found = worlds.measures(Representation(), worlds.evidence().add(train).add(test))
    measure = found["share-ratio:household=accessible@train"]
    assert value(measure.estimate) == pytest.approx(0.5)
    assert (measure.n, measure.n_units) == (190, 100)
    assert measure.facts["missing_units"] == 13
    assert measure.facts["missing_images"] == 25


def test_images_are_counted_where_a_unit_has_several_groups(worlds):
    rng = np.random.default_rng(0)
    evidence = world(worlds, seed=0, train=PEOPLE, spread=True)
    found = worlds.measures(Representation(), evidence)["share-ratio:household=single@train"]
    assert found.facts["counted"] == "images"
    assert "training images" in worlds.sentence(Representation, found)
    (_, wholes) = tables(Representation(), evidence)
    assert cells(wholes, "units of several groups")[0] > 0
    alone = composed(worlds, rng.choice(["a", "b"], 50))
    assert not alone.by_unit
    assert alone.independent == 50


def test_alike_photos_of_a_room_do_not_narrow_the_interval(worlds):
    rng = np.random.default_rng(5)
    rooms = rng.choice(["a", "b"], 60, p=[0.3, 0.7])
    units = np.repeat(np.arange(60), 20)
    groups = rooms[units].copy()
    groups[0] = "b" if groups[0] == "a" else "a"
    images = composed(worlds, groups, units=units)
    assert not images.by_unit
    ends, by_room = interval(images.share("a")), interval(composed(worlds, rooms).share("a"))
    assert ends.high - ends.low == pytest.approx(by_room.high - by_room.low, rel=0.1)


def test_images_without_a_value_are_left_out_and_counted(worlds):
    evidence = world(worlds, seed=2, train=PEOPLE, missing=0.2)
    found = worlds.measures(Representation(), evidence)["share-ratio:household=single@train"]
    groups = evidence.dataset("train").groups("household")
    (_, wholes) = tables(Representation(), evidence)
    assert cells(wholes, "images without")[0] == (groups == "").sum() > 0
    assert found.n == (groups != "").sum()


def test_examples_are_images_of_the_group(worlds):
    evidence = world(worlds, seed=2, train=PEOPLE)
    found = worlds.measures(Representation(), evidence)["share-ratio:household=accessible@train"]
    dataset = evidence.dataset("train")
    at = [list(dataset.image_ids).index(i) for i in found.examples]
    assert len(at) == 12
    assert set(dataset.groups("household")[at]) == {"accessible"}


# Between splits


def test_splits_are_compared_with_each_other(worlds):
    deployment = {"single": 0.4, "family": 0.3, "accessible": 0.3}
    evidence = world(worlds, seed=4, train=PEOPLE, deployment=deployment)
    found = worlds.measures(Representation(), evidence)
    gap = found["share-against-deployment:household=accessible@train"]
    groups = {r: evidence.dataset(r).groups("household") for r in ("train", "deployment")}
    own, there = ((groups[r] == "accessible").mean() for r in groups)
    assert value(gap.estimate) == pytest.approx(own - there)
    assert interval(gap.estimate).high < 0
    assert gap.better == "higher"
    assert found["share-against-test:household=accessible@train"].better == "none"
    sentence = worlds.sentence(Representation, gap)
    assert "points lower" in sentence
    assert sentence.endswith("in the training data.")


def test_the_ratio_of_two_splits_is_that_of_statsmodels(worlds):
    here = ["a"] * 12 + ["b"] * 188
    there = ["a"] * 40 + ["b"] * 160
    evidence = worlds.evidence()
    for split, groups in (("train", here), ("test", there), ("deployment", there)):
        evidence.add(grouped(worlds, groups, split=split))
    found = worlds.measures(Representation(), evidence)["share-ratio:household=a@train"]
    low, high = confint_proportions_2indep(12, 200, 40, 200, compare="ratio", method="score")
    ends = interval(found.estimate)
    assert value(found.estimate) == pytest.approx(0.3)
    assert (ends.low, ends.high) == pytest.approx((low, high), rel=0.01)


# The whole composition


def test_the_g_test_is_that_of_scipy(worlds):
    groups = ["single"] * 130 + ["family"] * 60 + ["accessible"] * 10 + ["other"] * 7
    here = composed(worlds, groups)
    found = fit_to_shares(here, PEOPLE)
    expected = reference.power_divergence(
        [130, 60, 10], 200 * np.array([0.6, 0.3, 0.1]), lambda_="log-likelihood"
    )
    assert (found.statistic, found.df) == (pytest.approx(expected.statistic), 2)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_the_g_test_of_two_splits_is_that_of_scipy(worlds):
    a = grouped(worlds, ["x"] * 50 + ["y"] * 30 + ["z"] * 20, split="train")
    b = grouped(worlds, ["x"] * 20 + ["y"] * 40 + ["z"] * 15)
    found = fit_of_splits(*compositions([a, b], attribute="household"))
    expected = reference.chi2_contingency(
        [[50, 30, 20], [20, 40, 15]], correction=False, lambda_="log-likelihood"
    )
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_the_g_test_of_images_holds_its_level_with_clusters(worlds, alike):
    """Each image its room's group with probability `alike`, else its own: 60 rooms of 8."""
    rng = np.random.default_rng(7)
    names, shares = np.array(list(PEOPLE)), list(PEOPLE.values())
    unit = np.repeat(np.arange(60), 8)
    template = composed(worlds, ["single", "family"] + ["accessible"] * 478, units=unit)
    order = np.array([template.groups.index(name) for name in names])
    wrong = 0
    for _ in range(400):
        room = rng.choice(3, 60, p=shares)[unit]
        own = rng.choice(3, 480, p=shares)
        codes = order[np.where(rng.random(480) < alike, room, own)]
        here = dataclasses.replace(template, codes=codes)
        wrong += fit_to_shares(here, PEOPLE).p_value <= 0.05
    assert 0.005 <= wrong / 400 <= 0.085


def test_two_splits_of_alike_images_depart_no_more_than_luck(worlds):
    rng = np.random.default_rng(8)
    unit = np.repeat(np.arange(50), 6)
    splits = [
        grouped(worlds, ["a", "b"] + ["c"] * 298, split=split, units=unit)
        for split in ("train", "test")
    ]
    templates = compositions(splits, attribute="household")
    wrong = 0
    for _ in range(300):
        codes = []
        for _ in templates:
            room, own = rng.integers(0, 3, 50)[unit], rng.integers(0, 3, 300)
            codes.append(np.where(rng.random(300) < 0.6, room, own))
        pair = [dataclasses.replace(t, codes=c) for t, c in zip(templates, codes, strict=True)]
        wrong += fit_of_splits(*pair).p_value <= 0.05
    assert 0.005 <= wrong / 300 <= 0.09


# Where nothing can be said


def tables(check, evidence):
    return [r for r in check.run(evidence) if isinstance(r, Table)]


def cells(table, name):
    """A column of a table."""
    at = [column.name for column in table.columns].index(name)
    return [row[at] for row in table.rows]


def reasons(check, evidence):
    return [r for r in check.run(evidence) if isinstance(r, Unmeasured)]


def test_an_attribute_with_nothing_to_compare_with_says_what_to_declare(worlds):
    evidence = world(worlds, seed=0, train=PEOPLE, population=None)
    found = reasons(Representation(), evidence)
    assert {str(r.subject) for r in found} == {
        "attribute=household@train",
        "attribute=household@test",
    }
    assert all(r.name == "share-ratio" for r in found)
    assert "data.attributes.household.population" in found[0].remedy
    assert any(isinstance(r, Measure) for r in Representation().run(evidence))


def test_nine_rooms_say_nothing(worlds):
    evidence = world(worlds, seed=0, train=PEOPLE, units=9, images=40)
    found = reasons(Representation(), evidence)
    assert len([r for r in found if r.name == "share-ratio"]) == 2
    assert "9 train units have a value of household" in found[0].reason
    assert not any(isinstance(r, Measure) for r in Representation().run(evidence))


def test_few_deployment_images_are_no_reference(worlds):
    evidence = world(worlds, seed=0, train=PEOPLE, population=None)
    evidence.add(grouped(worlds, ["single"] * 5, split="deployment"))
    names = {r.name for r in reasons(Representation(), evidence)}
    assert names == {"share-ratio", "share-against-deployment"}
    assert not any(
        isinstance(r, Measure) and r.name == "share-ratio" for r in Representation().run(evidence)
    )


def test_training_without_the_column_is_told(worlds):
    evidence = world(worlds, seed=0, train=PEOPLE)
    bare = dataclasses.replace(evidence.dataset("train"), attributes=())
    evidence.add(bare)
    (found,) = reasons(Representation(), evidence)
    assert found.reason == "The train manifest has no column for household."


def test_a_split_where_no_image_has_a_value(worlds):
    evidence = world(worlds, seed=0, train=PEOPLE)
    evidence.add(grouped(worlds, [""] * 40, split="train", population=PEOPLE))
    results = list(Representation().run(evidence))
    assert any(isinstance(r, Unmeasured) and "0 train images" in r.reason for r in results)
    (table, _) = [r for r in results if isinstance(r, Table)]
    assert any(row[2] == "train" and row[6] is None for row in table.rows)


def test_test_data_alone_are_enough(worlds):
    evidence = world(worlds, seed=0, train=None)
    found = worlds.measures(Representation(), evidence)
    assert {m.subject.split for m in found.values()} == {"test"}


# What a reader sees


def test_sentences_and_remedies_can_be_repeated(worlds):
    groups = ["single"] * 120 + ["family"] * 70 + ["accessible"] * 10
    train = grouped(worlds, groups, split="train", population=PEOPLE)
    test = grouped(worlds, groups, population=PEOPLE)
    found = worlds.measures(Representation(), worlds.evidence().add(train).add(test))
    scarce = found["share-ratio:household=accessible@train"]
    assert worlds.sentence(Representation, scarce) == (
        "accessible (household): 5.0% [3, 9] of 200 training images; due: 10% (the declared "
        "population); its share is 0.50 times [0.24, 0.90] what it should be. 12 images more "
        "would bring it there, if the declared population is right."
    )
    assert scarce.of_all
    plenty = found["share-ratio:household=family@train"]
    assert worlds.sentence(Representation, plenty).endswith(
        "its share is 1.2 times [0.95, 1.4] what it should be."
    )


def test_too_few_and_too_many_have_words_of_their_own(worlds):
    groups = ["single"] * 120 + ["family"] * 70 + ["accessible"] * 10
    train = grouped(worlds, groups, split="train", population=PEOPLE)
    test = grouped(worlds, groups, population=PEOPLE)
    found = worlds.measures(Representation(), worlds.evidence().add(train).add(test))
    told = Telling({Representation.id: Representation}, attributes=frozenset({"household"}))
    few, many = (found[f"share-ratio:household={g}@train"] for g in ("accessible", "family"))
    for group, measure in (("accessible", few), ("family", many)):
        said = told.short(Representation.id, measure)
        assert said == f"{group} (household): share in training data against the share due"
    assert told.words(Representation.id, few).action.startswith("collect images of {group}")
    assert told.words(Representation.id, many).action.startswith("collect images of others")


def test_table_and_figure_hold_every_group_of_every_split(worlds):
    evidence = world(worlds, seed=1, train=PEOPLE, deployment=PEOPLE)
    results = list(Representation().run(evidence))
    groups, wholes = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert len(groups.rows) == 9
    assert len(wholes.rows) == 6
    for table in (groups, wholes):
        assert all(len(row) == len(table.columns) for row in table.rows)
        json.dumps(table.rows, allow_nan=False)
    assert {row["series"] for row in figure.rows} == {"population", "train", "test", "deployment"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    assert "scarcest in train: " in figure.alt
    tested = dict(zip(cells(wholes, "held against"), cells(wholes, "p"), strict=True))
    assert 0 < tested["the declared population"] < 1


def test_facts_are_json_and_sentences_whole(worlds):
    evidence = world(worlds, seed=1, train=PEOPLE, deployment={"single": 0.5, "other": 0.5})
    for measure in worlds.measures(Representation(), evidence).values():
        json.dumps(dict(measure.facts), allow_nan=False)
        sentence = worlds.sentence(Representation, measure)
        assert sentence.endswith(".")
        assert not any(word in sentence for word in ("nan", "inf ", "inf]", "{", "None"))


def test_what_would_decide_a_share_is_more_units_of_all_and_not_of_the_group(worlds):
    """More accessible rooms alone would change the very share that is asked for."""
    (limit,) = (
        one
        for one in load_policy("default").policy.limits
        if (one.check, one.name) == ("bias/representation", "share-ratio")
    )
    shares = {"single": 0.66, "family": 0.295, "accessible": 0.045}
    found = worlds.measures(Representation(), world(worlds, seed=3, train=shares, units=150))
    scarce = found["share-ratio:household=accessible@train"]
    needed = what_would_decide(limit, scarce, compared=1)
    assert needed.of_all
    assert needed.counted == "units"
