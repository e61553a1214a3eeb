import dataclasses
import json

import numpy as np
import pytest

from auditor.bias.coverage import Coverage
from auditor.bias.detectable_gap import GroupGap, group_gaps
from auditor.bias.group_cells import Wanted
from auditor.comparing.groups import groupings
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import RateDifference, bound, p_value, rate_difference, smallest_excess, value

LIMIT, GAP = 0.05, 0.20
CLASSES = ("fine", "minor", "serious")


def world(worlds, *, seed=0, sizes, images=1, buildings=("old", "new"), adverse=(), right=0.85):
    """Units of groups of the given sizes, all answered alike."""
    rng = np.random.default_rng(seed)
    household = np.repeat(np.repeat(list(sizes), list(sizes.values())), images)
    units = np.repeat(np.arange(sum(sizes.values())), images)
    labels = rng.choice(3, units.max() + 1, p=[0.5, 0.3, 0.2])[units]
    building = rng.choice(list(buildings), units.max() + 1)[units]
    answers = np.where(rng.random(len(units)) < right, labels, (labels + 1) % 3)
    dataset = worlds.dataset(
        labels,
        classes=CLASSES,
        units=units if images > 1 else None,
        attributes={
            "household": ("sensitive", list(household)),
            "building": ("condition", list(building)),
        },
    )
    evidence = worlds.evidence(spec=worlds.spec(consequences={"adverse": adverse}))
    return evidence.add(dataset, worlds.probabilities(answers, n_classes=3))


def table_of(evidence, **parameters):
    (table,) = [r for r in Coverage(**parameters).run(evidence) if isinstance(r, Table)]
    return table


# Planted and clean worlds: limits as a policy would set them


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("images", [1, 3])
def test_a_group_too_small_to_show_a_gap_is_told_and_large_ones_are_not(worlds, seed, images):
    sizes = {"single": 500, "family": 400, "accessible": 14}
    evidence = world(worlds, seed=seed, sizes=sizes, images=images)
    found = worlds.measures(Coverage(), evidence)
    gap = {g: value(found[f"smallest-gap:household={g}@test"].estimate) for g in sizes}
    assert gap["accessible"] > GAP > max(gap["single"], gap["family"])
    rows = [row for row in table_of(evidence).rows if row[2] is None]
    assert [row[1] for row in rows] == ["accessible (household)"]
    assert rows[0][3:5] == (14 * images, 14)
    assert rows[0][6] > 0


@pytest.mark.parametrize("seed", range(6))
def test_large_groups_leave_nothing_unsaid(worlds, seed):
    evidence = world(worlds, seed=seed, sizes={"single": 900, "family": 900})
    found = worlds.measures(Coverage(), evidence)
    assert all(value(m.estimate) < GAP for m in found.values() if m.name == "smallest-gap")
    for name in ("undecidable-cells:attribute=household@test", "undecidable-pairs:@test"):
        assert value(found[name].estimate) == 0
        assert found[name].facts["few"] == 0
    assert table_of(evidence).rows == ()


def test_an_empty_cell_of_label_and_group_is_found(worlds):
    evidence = world(worlds, sizes={"single": 900, "family": 900})
    dataset = evidence.dataset("test")
    labels = dataset.frame["label"].to_numpy().copy()
    labels[(dataset.groups("household") == "family") & (labels == 2)] = 1
    dataset.frame["label"] = labels
    found = worlds.measures(Coverage(), evidence)["undecidable-cells:attribute=household@test"]
    assert value(found.estimate) == 2
    assert (found.facts["all"], found.facts["empty"]) == (6, 1)
    rows = [row for row in table_of(evidence).rows if row[1] == "family (household)"]
    assert [(row[2], row[3], row[5]) for row in rows] == [("label serious", 0, "no image")]
    others = [row for row in table_of(evidence).rows if row[1] == "single (household)"]
    assert [(row[2], row[5], row[6]) for row in others] == [
        ("label serious", "too few others to compare with", None)
    ]


def test_pairs_that_never_meet_are_found(worlds):
    evidence = world(worlds, sizes={"single": 900, "family": 900})
    frame = evidence.dataset("test").frame
    frame.loc[frame["attribute:household"] == "family", "attribute:building"] = "new"
    found = worlds.measures(Coverage(), evidence)["undecidable-pairs:@test"]
    assert (value(found.estimate), found.facts["all"], found.facts["empty"]) == (1, 4, 1)
    assert worlds.sentence(Coverage, found) == (
        "Of 4 combinations of the groups of two attributes, 1 has too few test images to show "
        "even a gap of 20 points. 1 of them has none at all. Namely: family with old."
    )


def test_what_training_never_showed_is_counted(worlds):
    evidence = world(worlds, sizes={"single": 300, "family": 300})
    labels = np.array([0] * 50 + [1] * 47 + [2] * 3 + [0] * 40 + [-1] * 20)
    group = ["single"] * 100 + ["family"] * 60
    train = worlds.dataset(
        labels, split="train", classes=CLASSES, attributes={"household": ("sensitive", group)}
    )
    evidence.add(train)
    found = worlds.measures(Coverage(), evidence)["empty-cells:attribute=household@train"]
    assert value(found.estimate) == 2
    assert found.n == 140
    assert worlds.sentence(Coverage, found) == (
        "Of 6 combinations of household and label, 2 have no training image. Namely: family with "
        "minor and family with serious."
    )


# The smallest gap is what it says


@pytest.mark.parametrize(("n", "n_rest", "images"), [(40, 400, 1), (150, 1500, 1), (60, 400, 3)])
def test_a_gap_of_that_size_is_shown_four_times_in_five(worlds, n, n_rest, images):
    evidence = world(worlds, sizes={"x": n, "y": n_rest}, images=images, buildings=("one",))
    found = [g for g in group_gaps(groupings(evidence.scored()), limit=LIMIT, gap=GAP)
             if isinstance(g, GroupGap) and g.group == "x"]  # fmt: skip
    (group,) = found
    rng = np.random.default_rng(1)
    rest = group.estimate.x_rest / group.estimate.n_rest
    size, size_rest = round(group.estimate.n), round(group.estimate.n_rest)
    assert (size, size_rest) == pytest.approx((n * images, n_rest * images), rel=0.12)
    shown = 0
    for _ in range(600):
        x, x_rest = rng.binomial(size, rest - group.gap), rng.binomial(size_rest, rest)
        seen = RateDifference(x, size, x_rest, size_rest, group.estimate.df)
        shown += p_value(seen, limit=-LIMIT, exceeds="below") <= 0.05 / group.comparisons
    assert 0.72 <= shown / 600 <= 0.9


def test_the_gap_pays_for_every_comparison(worlds):
    evidence = world(worlds, sizes={"x": 60, "y": 60, "z": 60})
    (household, _) = groupings(evidence.scored())
    gaps = group_gaps([household], limit=LIMIT, gap=GAP)
    for each in gaps:
        inside = household.members(each.group)
        gap = rate_difference(household.rows.right[household.at], member=inside)
        alone = smallest_excess(gap, limit=-LIMIT, exceeds="below", alpha=0.05 / 3)
        assert each.comparisons == 3
        assert each.gap == pytest.approx(LIMIT + alone)


def test_units_are_what_counts(worlds):
    """Five photos of a room, all alike, show no smaller gap than one."""
    rng = np.random.default_rng(2)
    rooms = np.repeat(np.arange(200), 5)
    right = (rng.random(200) < 0.85)[rooms]
    group = np.where(rooms % 4 == 0, "x", "y")
    one = np.arange(0, 1000, 5)
    labels = np.zeros(1000, dtype=int)
    found = {}
    for name, keep, unit in (("all", np.arange(1000), rooms), ("one", one, None)):
        dataset = worlds.dataset(
            labels[keep], units=unit, attributes={"g": ("sensitive", list(group[keep]))}
        )
        evidence = worlds.evidence().add(dataset, worlds.probabilities(np.where(right[keep], 0, 1)))
        measures = worlds.measures(Coverage(), evidence)
        found[name] = measures["smallest-gap:g=x@test"]
    assert found["all"].n == 250
    assert found["all"].n_units == found["one"].n == 50
    assert value(found["all"].estimate) == pytest.approx(value(found["one"].estimate), rel=0.06)
    assert value(found["all"].estimate) > 0.15


def test_units_said_are_rooms_not_photos(worlds):
    """Three independent photos a room: a third as many rooms as photos would show the gap."""
    evidence = world(worlds, sizes={"x": 30, "y": 800}, images=3)
    (household, _) = groupings(evidence.scored())
    each = next(g for g in group_gaps([household], limit=LIMIT, gap=GAP) if g.group == "x")
    wanted = Wanted(LIMIT, GAP, (each.estimate.x_rest + 0.5) / (each.estimate.n_rest + 1), 2)
    rest, df = np.array([each.estimate.n_rest]), np.array([each.estimate.df / each.estimate.n])
    photos = float(wanted.least(rest, df_each=df)[0])
    assert each.units_to_show == pytest.approx(photos * 30 / each.estimate.n, abs=1)
    assert each.units_to_show < photos / 2


def test_alike_photos_leave_as_many_cells_unsaid_as_one_photo(worlds):
    rng = np.random.default_rng(9)
    labels, right = rng.integers(0, 2, 240), rng.random(240) < 0.85
    group = np.where(np.arange(240) % 4 == 0, "x", "y")
    found = []
    for images in (1, 8):
        room = np.repeat(np.arange(240), images)
        dataset = worlds.dataset(
            labels[room], units=room, attributes={"g": ("sensitive", list(group[room]))}
        )
        answers = np.where(right, labels, 1 - labels)[room]
        evidence = worlds.evidence().add(dataset, worlds.probabilities(answers))
        found.append(worlds.measures(Coverage(), evidence)["undecidable-cells:attribute=g@test"])
    assert value(found[0].estimate) == value(found[1].estimate) == 4


def test_the_smallest_come_first_in_the_table(worlds):
    evidence = world(worlds, sizes={"a": 17, "b": 11, "c": 600})
    rows = [row for row in table_of(evidence).rows if row[2] is None]
    assert [(row[1], row[4]) for row in rows] == [
        ("b (household)", 11),
        ("a (household)", 17),
        ("c (household)", 600),
    ]


def test_as_many_units_as_said_would_show_the_gap(worlds):
    evidence = world(worlds, sizes={"x": 25, "y": 800})
    (household, _) = groupings(evidence.scored())
    each = next(g for g in group_gaps([household], limit=LIMIT, gap=GAP) if g.group == "x")
    assert each.gap > GAP
    assert each.units_to_show > 25
    p = (each.estimate.x_rest + 0.5) / (each.estimate.n_rest + 1)
    for n, enough in ((each.units_to_show, True), (each.units_to_show - 1, False)):
        grown = RateDifference(p * n, n, each.estimate.x_rest, each.estimate.n_rest)
        excess = smallest_excess(grown, limit=-LIMIT, exceeds="below", alpha=0.05 / 2)
        assert (LIMIT + excess <= GAP) == enough


def test_as_many_units_as_said_would_pass(worlds):
    """With that many, a group answered as all others passes about four times in five."""
    evidence = world(worlds, sizes={"x": 100, "y": 900})
    (household, _) = groupings(evidence.scored())
    each = next(g for g in group_gaps([household], limit=LIMIT, gap=GAP) if g.group == "x")
    n = each.units_to_pass
    assert n > 100
    n_rest = round(each.estimate.n_rest * n / 100)
    rng = np.random.default_rng(3)
    p = each.estimate.x_rest / each.estimate.n_rest
    passed = sum(
        bound(RateDifference(rng.binomial(n, p), n, rng.binomial(n_rest, p), n_rest), side="low")
        > -LIMIT
        for _ in range(300)
    )
    assert 0.7 <= passed / 300 <= 0.9


# Where nothing can be said


def test_nine_units_have_a_reason_and_a_row_in_the_table(worlds):
    evidence = world(worlds, sizes={"single": 500, "accessible": 9})
    reasons = [r for r in Coverage().run(evidence) if isinstance(r, Unmeasured)]
    assert {str(r.subject) for r in reasons} == {
        "household=accessible@test",
        "household=single@test",
    }
    assert "9 images of accessible (household)" in reasons[0].reason
    rows = {row[1]: row for row in table_of(evidence).rows if row[2] is None}
    assert rows["accessible (household)"][3:6] == (9, 9, "fewer than 10 units")
    assert rows["accessible (household)"][6] > 10
    assert rows["single (household)"][5:7] == ("too few others to compare with", None)


def test_ten_units_among_many_comparisons_may_show_no_gap_at_all(worlds):
    sizes = {"few": 10, "many": 500}
    evidence = world(worlds, sizes=sizes, images=2, right=0.3)
    reasons = [r for r in Coverage().run(evidence)
               if isinstance(r, Unmeasured) and r.subject.get("household") == "few"]  # fmt: skip
    (reason,) = reasons
    assert reason.reason == (
        "No gap in accuracy, however large, would have been shown for few (household): there are "
        "10 units."
    )
    assert reason.remedy.startswith("About ")


def test_one_attribute_has_no_pairs(worlds):
    evidence = world(worlds, sizes={"single": 200, "family": 200})
    dataset = evidence.dataset("test")
    alone = dataclasses.replace(dataset, attributes=dataset.attributes[:1])
    evidence.add(alone, evidence.answers().probabilities)
    found = worlds.measures(Coverage(), evidence)
    assert not any(m.name == "undecidable-pairs" for m in found.values())


def test_no_labelled_image_is_a_reason(worlds):
    evidence = world(worlds, sizes={"single": 30, "family": 30})
    evidence.dataset("test").frame["label"] = -1
    results = list(Coverage().run(evidence))
    assert results
    assert all(isinstance(r, Unmeasured) for r in results)


def test_many_classes_count_the_adverse_ones_only(worlds):
    classes = tuple(f"c{i}" for i in range(12))
    labels = np.arange(2400) % 12
    group = np.where(np.arange(2400) % 5 < 2, "x", "y")
    dataset = worlds.dataset(labels, classes=classes, attributes={"g": ("sensitive", list(group))})
    spec = worlds.spec(consequences={"adverse": ("c3", "misspelt")})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(labels, n_classes=12))
    found = worlds.measures(Coverage(), evidence)
    assert found["undecidable-cells:attribute=g@test"].facts["all"] == 2
    none = worlds.evidence().add(dataset, worlds.probabilities(labels, n_classes=12))
    assert not any(
        m.name == "undecidable-cells" for m in worlds.measures(Coverage(), none).values()
    )


@pytest.mark.parametrize("wrong", [{"limit": 0.3}, {"gap": 0.02}, {"limit": -0.1}, {"gap": 1.0}])
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected 0 <= limit < gap < 1"):
        Coverage(**wrong)


def test_a_stricter_limit_leaves_more_unsaid(worlds):
    evidence = world(worlds, sizes={"single": 200, "family": 150, "accessible": 40})
    assert len(table_of(evidence, gap=0.10).rows) > len(table_of(evidence, gap=0.30).rows)


# What a reader sees


def test_the_sentence_can_be_repeated(worlds):
    evidence = world(worlds, sizes={"single": 800, "accessible": 40}, right=1.0)
    found = worlds.measures(Coverage(), evidence)["smallest-gap:household=accessible@test"]
    at = round(100 * value(found.estimate))
    assert worlds.sentence(Coverage, found).startswith(
        f"accessible (household): with 40 images, accuracy would have to be {at} points below "
        "all others’ to be shown to be more than 5 points below."
    )
    assert value(found.sides[0].estimate) == 1.0
    assert found.sides[1].n == 800


def test_the_remedy_says_how_many_more(worlds):
    evidence = world(worlds, sizes={"single": 500, "accessible": 14})
    found = worlds.measures(Coverage(), evidence)
    scarce = found["smallest-gap:household=accessible@test"]
    more = scarce.facts["units_to_show"] - 14
    assert worlds.sentence(Coverage, scarce).endswith(
        f"About {more} images more would show a gap of 20 points."
    )
    assert found["smallest-gap:building=old@test"].facts["more"] is None


def test_labelled_deployment_images_are_measured_too(worlds):
    evidence = world(worlds, sizes={"single": 500, "accessible": 14})
    test = worlds.measures(Coverage(), evidence)
    there = dataclasses.replace(evidence.dataset("test"), split="deployment")
    evidence.add(there, evidence.answers().probabilities)
    both = worlds.measures(Coverage(), evidence)
    deployed = {m.subject.split for m in both.values()} - {"test"}
    assert deployed == {"deployment"}
    assert len(both) == 2 * len(test)
    for key, measure in test.items():
        assert both[key] == measure
        assert both[key.replace("@test", "@deployment")].estimate == worlds.nearly(measure.estimate)
    assert {row[-1] for row in table_of(evidence).rows} == {"test", "deployment"}
    figures = [r.id for r in Coverage().run(evidence) if isinstance(r, Figure)]
    assert len(set(figures)) == len(figures) == 6


def test_figures_and_details_are_whole(worlds):
    evidence = world(worlds, sizes={"single": 300, "family": 200, "accessible": 12}, images=2)
    results = list(Coverage().run(evidence))
    figures = {f.id: f for f in results if isinstance(f, Figure)}
    assert set(figures) == {
        "bias/coverage:smallest-gap",
        "bias/coverage:household",
        "bias/coverage:building",
    }
    assert all(0 <= row["value"] <= 1 for f in figures.values() for row in f.rows)
    assert sum(int(r["text"]) for r in figures["bias/coverage:household"].rows) == 1024
    for measure in (r for r in results if isinstance(r, Measure)):
        json.dumps(dict(measure.facts), allow_nan=False)
    (table,) = [r for r in results if isinstance(r, Table)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    json.dumps(table.rows, allow_nan=False)


def test_ten_attributes_of_ten_groups_are_cheap(worlds, monkeypatch):
    """Cells are judged together: the costly search runs once a group, not once a cell."""
    rng = np.random.default_rng(6)
    n = 5000
    attributes = {
        f"a{k}": ("condition", [f"g{g}" for g in rng.integers(0, 10, n)]) for k in range(10)
    }
    labels = rng.integers(0, 2, n)
    dataset = worlds.dataset(labels, attributes=attributes)
    answers = np.where(rng.random(n) < 0.9, labels, 1 - labels)
    evidence = worlds.evidence().add(dataset, worlds.probabilities(answers))
    searched = []

    def counted(*args, **kwargs):
        searched.append(args)
        return smallest_excess(*args, **kwargs)

    monkeypatch.setattr("auditor.bias.detectable_gap.smallest_excess", counted)
    found = worlds.measures(Coverage(), evidence)
    assert found["undecidable-pairs:@test"].facts["all"] == 4500
    assert len(searched) == 100
