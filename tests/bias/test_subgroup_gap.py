import dataclasses

import fairlearn.metrics as fairlearn
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, recall_score

from auditor.bias.subgroup_gap import SubgroupGap
from auditor.comparing.groups import errors_by_group, groupings
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import holm, mean_difference, p_value, rate_difference, value

LIMIT = -0.05


def world(worlds, *, seed, accuracy_of, n=1200, images_a_unit=1, missing=0.0, role="condition"):
    """Images of groups with their own accuracy; a unit's images share group and label."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(accuracy_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]
    labels = rng.integers(0, 2, units.max() + 1)[units]
    right = rng.random(len(units)) < np.array([accuracy_of[g] for g in group])
    answers = np.where(right, labels, 1 - labels)
    group = np.where(rng.random(len(units)) < missing, "", group)
    dataset = worlds.dataset(
        labels,
        units=units if images_a_unit > 1 else None,
        attributes={"building": (role, list(group))},
    )
    confidence = rng.uniform(0.55, 0.99, len(units))
    probabilities = worlds.probabilities(answers, confidence=confidence)
    return worlds.evidence().add(dataset, probabilities)


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_gap_is_shown_and_the_other_group_is_not_blamed(worlds, seed):
    evidence = world(worlds, seed=seed, accuracy_of={"old": 0.75, "new": 0.93})
    found = worlds.measures(SubgroupGap(), evidence)
    assert exceeds(found["accuracy:building=old@test"])
    assert not exceeds(found["accuracy:building=new@test"])


@pytest.mark.parametrize("seed", range(6))
def test_a_fair_model_does_not_exceed_the_limit(worlds, seed):
    evidence = world(worlds, seed=seed, accuracy_of={"old": 0.9, "new": 0.9, "mid": 0.9})
    found = worlds.measures(SubgroupGap(), evidence)
    accuracies = [m for m in found.values() if m.name == "accuracy"]
    assert len(accuracies) == 3
    assert not any(exceeds(m) for m in accuracies)


def test_measure_says_what_it_compared(worlds):
    evidence = world(worlds, seed=1, accuracy_of={"old": 0.7, "new": 0.95}, missing=0.1)
    found = worlds.measures(SubgroupGap(), evidence)["accuracy:building=old@test"]
    outcomes = evidence.answers()
    group = outcomes.groups("building")
    own, rest = outcomes.correct[group == "old"], outcomes.correct[group == "new"]
    assert value(found.sides[0].estimate) == pytest.approx(own.mean())
    assert value(found.sides[1].estimate) == pytest.approx(rest.mean())
    assert found.sides[1].n == len(rest)
    assert (group == "").sum() > 0
    assert value(found.estimate) == pytest.approx(own.mean() - rest.mean())
    sentence = worlds.sentence(SubgroupGap, found)
    assert sentence.startswith("Accuracy, old (building): ")
    assert "points lower" in sentence


def test_examples_are_errors_of_the_group_the_most_confident_first(worlds):
    evidence = world(worlds, seed=1, accuracy_of={"old": 0.7, "new": 0.95})
    found = worlds.measures(SubgroupGap(), evidence)["accuracy:building=old@test"]
    outcomes = evidence.answers()
    at = [list(outcomes.image_ids).index(i) for i in found.examples]
    assert len(at) == 12
    assert not outcomes.correct[at].any()
    assert set(outcomes.groups("building")[at]) == {"old"}
    assert list(outcomes.confidence[at]) == sorted(outcomes.confidence[at], reverse=True)


def test_recall_of_one_class_is_compared(worlds):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    group = np.where(rng.random(1000) < 0.4, "x", "y")
    missed = (labels == 1) & (group == "x") & (rng.random(1000) < 0.4)
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", list(group))})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.where(missed, 0, labels)))
    found = worlds.measures(SubgroupGap(), evidence)
    assert exceeds(found["recall:class=b,g=x@test"])
    assert not exceeds(found["recall:class=a,g=x@test"])
    sentence = worlds.sentence(SubgroupGap, found["recall:class=b,g=x@test"])
    assert "Share of b that is found" in sentence


def test_many_classes_compare_recall_of_the_adverse_ones_only(worlds):
    classes = tuple(f"c{i}" for i in range(12))
    labels = np.arange(1200) % 12
    group = np.where(np.arange(1200) % 5 < 2, "x", "y")
    dataset = worlds.dataset(labels, classes=classes, attributes={"g": ("sensitive", list(group))})
    spec = worlds.spec(consequences={"adverse": ("c3",)})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(labels, n_classes=12))
    recalls = {m.subject.get("class") for m in worlds.measures(SubgroupGap(), evidence).values()
               if m.name == "recall"}  # fmt: skip
    assert recalls == {"c3"}


def test_units_are_what_counts(worlds):
    """Alternating rooms of five alike photos: the interval is that of rooms, not of photos."""
    rng = np.random.default_rng(3)
    rooms = np.repeat(np.arange(80), 5)
    right = (rng.random(80) < 0.8)[rooms]
    group = np.where(rooms % 2 == 0, "x", "y")
    labels = np.zeros(400, dtype=int)
    dataset = worlds.dataset(labels, units=rooms, attributes={"g": ("condition", list(group))})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.where(right, 0, 1)))
    found = worlds.measures(SubgroupGap(), evidence)["accuracy:g=x@test"]
    assert found.n == 200
    assert found.n_units == 40
    expected = rate_difference(right, member=group == "x", unit=rooms)
    assert found.estimate == worlds.nearly(expected)
    assert found.estimate.n == pytest.approx(40, rel=0.1)


def test_a_group_of_nine_has_a_reason_and_a_remedy_in_place_of_a_number(worlds):
    group = ["few"] * 9 + ["many"] * 200
    dataset = worlds.dataset(np.zeros(209, int), attributes={"g": ("sensitive", group)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(209, int)))
    results = list(SubgroupGap().run(evidence))
    reasons = [r for r in results if isinstance(r, Unmeasured) and r.name == "accuracy"]
    assert {str(r.subject) for r in reasons} == {"g=few@test", "g=many@test"}
    assert all("1 more image of few (g)" in r.remedy or "the rest" in r.remedy for r in reasons)
    assert not any(isinstance(r, Measure) for r in results)


def test_nine_rooms_with_many_photos_are_too_few(worlds):
    rooms = np.concatenate([np.repeat(np.arange(9), 20), 100 + np.arange(200)])
    group = ["few"] * 180 + ["many"] * 200
    dataset = worlds.dataset(
        np.zeros(380, int), units=rooms, attributes={"g": ("sensitive", group)}
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(380, int)))
    reasons = [r for r in SubgroupGap().run(evidence) if isinstance(r, Unmeasured)]
    assert any("9 units of few (g)" in r.reason for r in reasons)


def test_an_attribute_with_one_group_is_not_compared(worlds):
    dataset = worlds.dataset(np.zeros(50, int), attributes={"g": ("sensitive", ["only"] * 50)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(50, int)))
    results = list(SubgroupGap().run(evidence))
    assert [type(r) for r in results] == [Unmeasured, Unmeasured]
    assert [r.name for r in results] == ["accuracy", "log-loss"]
    assert "no other group" in results[0].reason


def test_an_attribute_without_a_value_is_not_compared(worlds):
    dataset = worlds.dataset(np.zeros(50, int), attributes={"g": ("sensitive", [""] * 50)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(np.zeros(50, int)))
    result, _ = SubgroupGap().run(evidence)
    assert result.reason.startswith(
        "No labelled test image is in a group of g: its values are missing."
    )


def test_a_declared_group_without_images_is_reported(worlds):
    evidence = world(worlds, seed=0, accuracy_of={"old": 0.9, "new": 0.9})
    dataset = evidence.dataset("test")
    declared = dataset.attributes[0].__class__("building", "condition", ("new", "old", "unbuilt"))
    evidence.add(
        dataclasses.replace(dataset, attributes=(declared,)),
        evidence.answers().probabilities,
    )
    reasons = [r for r in SubgroupGap().run(evidence) if isinstance(r, Unmeasured)]
    assert any(r.subject.get("building") == "unbuilt" for r in reasons)


def test_table_and_figure_hold_every_group(worlds):
    evidence = world(worlds, seed=5, accuracy_of={"a": 0.6, "b": 0.8, "c": 0.95})
    results = list(SubgroupGap().run(evidence))
    (table,) = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert [row[4] for row in table.rows if row[5] == "accuracy"] == ["a", "b", "c"]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [row["label"] for row in figure.rows] == ["all images", "a", "b", "c"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    assert "; a " in figure.alt


def test_unlabelled_images_are_left_out(worlds):
    evidence = world(worlds, seed=2, accuracy_of={"old": 0.9, "new": 0.9}, n=600)
    dataset, probabilities = evidence.dataset("test"), evidence.answers().probabilities
    frame = dataset.frame.copy()
    frame.loc[:199, "label"] = -1
    unlabelled = dataclasses.replace(dataset, table=frame)
    found = worlds.measures(SubgroupGap(), worlds.evidence().add(unlabelled, probabilities))
    kept = dataset.take(np.arange(200, 600))
    fewer = worlds.measures(SubgroupGap(), worlds.evidence().add(kept, probabilities[200:]))
    found, fewer = (m["accuracy:building=old@test"] for m in (found, fewer))
    assert found.n == fewer.n
    assert found.estimate == worlds.nearly(fewer.estimate)


@pytest.mark.parametrize("seed", range(4))
def test_a_group_that_it_is_sure_and_wrong_about_has_a_larger_log_loss(worlds, seed):
    """Equal accuracy; errors about old buildings are made with confidence."""
    rng = np.random.default_rng(seed)
    labels, right = rng.integers(0, 2, 1200), rng.random(1200) < 0.9
    group = np.where(rng.random(1200) < 0.4, "old", "new")
    confidence = np.where((group == "old") & ~right, 0.99, 0.7)
    dataset = worlds.dataset(labels, attributes={"building": ("condition", list(group))})
    answers = np.where(right, labels, 1 - labels)
    evidence = worlds.evidence().add(dataset, worlds.probabilities(answers, confidence=confidence))
    found = worlds.measures(SubgroupGap(), evidence)
    assert not exceeds(found["accuracy:building=old@test"])
    loss = found["log-loss:building=old@test"]
    assert p_value(loss.estimate, limit=0.1, exceeds="above") <= 0.05
    assert loss.better == "lower"
    at = [list(evidence.answers().image_ids).index(i) for i in loss.examples]
    assert set(group[at]) == {"old"}
    assert not right[at].any()


def test_log_loss_is_that_of_sklearn_with_units(worlds):
    evidence = world(worlds, seed=3, accuracy_of={"old": 0.7, "new": 0.9}, images_a_unit=4)
    measure = worlds.measures(SubgroupGap(), evidence)["log-loss:building=old@test"]
    outcomes = evidence.answers()
    old = outcomes.groups("building") == "old"
    table = np.asarray(outcomes.probabilities, dtype=float)
    table /= table.sum(axis=1, keepdims=True)
    own, rest = (log_loss(outcomes.labels[s], table[s], labels=[0, 1]) for s in (old, ~old))
    assert value(measure.sides[0].estimate) == pytest.approx(own, rel=1e-5)
    assert value(measure.sides[1].estimate) == pytest.approx(rest, rel=1e-5)
    assert value(measure.estimate) == pytest.approx(own - rest, rel=1e-4)
    losses = -np.log(outcomes.true_probability)
    expected = mean_difference(losses, member=old, unit=outcomes.units.astype(str))
    assert measure.estimate.se == pytest.approx(expected.se, rel=1e-5)
    assert measure.n_units == len(set(outcomes.units[old]))
    sentence = worlds.sentence(SubgroupGap, measure)
    assert sentence.startswith(
        "Log-loss (how sure it was of wrong answers; lower is better), old (building): "
    )
    assert " higher [" in sentence


def test_log_loss_of_equal_groups_is_rarely_called_apart(worlds):
    apart = 0
    for seed in range(60):
        evidence = world(
            worlds, seed=seed, accuracy_of={"old": 0.9, "new": 0.9}, n=400, images_a_unit=4
        )
        measure = worlds.measures(SubgroupGap(), evidence)["log-loss:building=old@test"]
        apart += p_value(measure.estimate, limit=0.0, exceeds="above") <= 0.05
    assert apart <= 8


@pytest.mark.parametrize("groups", [2, 5, 24])
def test_points_equal_those_of_fairlearn(worlds, groups):
    names = [f"g{i:02}" for i in range(groups)]
    evidence = world(
        worlds, seed=groups, accuracy_of=dict.fromkeys(names, 0.8), n=200 * groups, missing=0.05
    )
    outcomes = evidence.answers()
    keep = outcomes.groups("building") != ""
    frame = fairlearn.MetricFrame(
        metrics={
            "accuracy": accuracy_score,
            "recall": lambda t, p: recall_score(t, p, pos_label=1),
        },
        y_true=outcomes.labels[keep],
        y_pred=outcomes.predicted[keep],
        sensitive_features=outcomes.groups("building")[keep].astype(str),
    )
    found = worlds.measures(SubgroupGap(), evidence)
    for name in names:
        accuracy = found[f"accuracy:building={name}@test"]
        recall = found[f"recall:building={name},class=b@test"]
        assert value(accuracy.sides[0].estimate) == pytest.approx(frame.by_group["accuracy"][name])
        assert value(recall.sides[0].estimate) == pytest.approx(frame.by_group["recall"][name])


def test_error_rates_of_a_group_without_such_images_are_no_rates(worlds):
    """fairlearn gives 0 where a group has no image that could suffer the error."""
    labels = np.r_[np.zeros(20, int), np.arange(20) % 2]
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", ["x"] * 20 + ["y"] * 20)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(1 - labels))
    (grouping,) = groupings(evidence.scored())
    found = errors_by_group(grouping, label="b")
    assert np.isnan(found["false-negative"]["x"])
    assert found["false-positive"]["x"] == found["false-negative"]["y"] == 1.0


@pytest.mark.parametrize(("size", "worlds_run"), [(30, 1000), (100, 1000), (300, 1000)])
def test_ten_groups_of_a_fair_model_fail_rarely(size, worlds_run):
    """Any group's Holm-adjusted FAIL at the limit of 5 points: at most 6% of fair models."""
    failed = 0
    for seed in range(worlds_run):
        rng = np.random.default_rng([seed, size])
        right = rng.random((10, size)) < 0.9
        member = np.repeat(np.arange(10), size)
        p = [
            p_value(
                rate_difference(right.ravel(), member=member == g), limit=LIMIT, exceeds="below"
            )
            for g in range(10)
        ]
        failed += min(holm(p)) <= 0.05
    assert failed / worlds_run <= 0.06
