import dataclasses

import numpy as np
import pytest

from auditor.bias.threshold import ThresholdGaps
from auditor.bias.threshold_tables import MOVES_HARM
from auditor.bias.thresholds import Cutoffs
from auditor.comparing.groups import groupings
from auditor.errors import SpecError
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import interval, p_value, value

LIMIT = 0.05
NAME = "best-gap:attribute=building,class=serious@test"


def evidence_of(worlds, labels, score, groups, *, units=None, name="building"):
    classes = ("fine", "serious")
    spec = worlds.spec(
        model={"path": "m.onnx", "classes": classes, "input": {"size": (8, 8)}},
        consequences={"adverse": ("serious",)},
    )
    dataset = worlds.dataset(
        labels, classes=classes, units=units, attributes={name: ("condition", list(groups))}
    )
    probabilities = np.column_stack([1 - score, score]).astype(np.float32)
    return worlds.evidence(spec=spec).add(dataset, probabilities)


def world(worlds, *, seed, n=3000, shift=0.0, names=("old", "new"), images_a_unit=1):
    """Scores of two classes; those of harmless old rooms lie `shift` nearer to serious."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    units = of.max() + 1
    groups = np.array(names)[rng.integers(0, len(names), units)][of]
    labels = (rng.random(units) < 0.3).astype(int)[of]
    evidence = rng.normal(2.2 * labels - 1.1, 1) + shift * ((groups == "old") & (labels == 0))
    score = 1 / (1 + np.exp(-2.2 * evidence))
    return evidence_of(worlds, labels, score, groups, units=of if images_a_unit > 1 else None)


def mendable(worlds, *, seed, n=4000):
    """Harmless old rooms are often scored 0.5 to 0.7, serious ones nearly always above."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(["old", "new"], n)
    labels = (rng.random(n) < 0.4).astype(int)
    score = np.where(labels == 1, rng.uniform(0.72, 1, n), rng.uniform(0, 0.49, n))
    doubtful = (labels == 0) & (groups == "old") & (rng.random(n) < 0.3)
    score[doubtful] = rng.uniform(0.51, 0.7, doubtful.sum())
    alike = (labels == 0) & (rng.random(n) < 0.06)
    score[alike] = rng.uniform(0.72, 0.9, alike.sum())
    return evidence_of(worlds, labels, score, groups)


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_gap_that_no_threshold_helps(worlds, seed):
    found = worlds.measures(ThresholdGaps(), world(worlds, seed=seed, shift=0.9))[NAME]
    assert exceeds(found)
    assert found.facts["worst_group"] == "old"
    assert found.facts["no_threshold_helps"]
    assert "No threshold helps: each of 2" in worlds.sentence(ThresholdGaps, found)


@pytest.mark.parametrize("seed", range(6))
def test_a_fair_model_has_nothing_to_mend(worlds, seed):
    found = worlds.measures(ThresholdGaps(), world(worlds, seed=seed))[NAME]
    assert not exceeds(found)
    assert not found.facts["no_threshold_helps"]
    assert found.facts["own_rule_stands"]
    assert "The model’s own rule is not shown to leave any group" in worlds.sentence(
        ThresholdGaps, found
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_gap_that_a_threshold_mends(worlds, seed):
    found = worlds.measures(ThresholdGaps(), mendable(worlds, seed=seed))[NAME]
    assert not exceeds(found)
    assert found.facts["own_gap"][1] > 0.2
    assert found.facts["own_worst_group"] == "old"
    assert 0.69 < found.facts["threshold"] < 0.95
    assert not found.facts["own_rule_stands"]
    assert not found.facts["no_threshold_helps"]
    assert all(0.69 < t < 0.95 for t in found.facts["not_ruled_out"])
    assert found.facts["recall"] >= 0.9
    assert "may help; the others are shown to leave a group" in worlds.sentence(
        ThresholdGaps, found
    )


def test_the_price_is_respected(worlds):
    """Above every score of a harmless room there is no gap, and most serious rooms are missed."""
    evidence = world(worlds, seed=3, shift=0.9)
    strict = worlds.measures(ThresholdGaps(), evidence)[NAME]
    free = worlds.measures(ThresholdGaps(recall_lost=1.0), evidence)[NAME]
    assert free.facts["threshold"] > strict.facts["threshold"]
    assert value(free.estimate) < 0.4 * value(strict.estimate)
    assert free.facts["recall"] < 0.6
    assert strict.facts["recall"] > strict.facts["recall_own_rule"] - 0.1
    assert strict.facts["no_threshold_helps"]


def test_calling_everyone_serious_does_not_mend(worlds):
    """At threshold 0 all groups are wrongly called alike: equal, and worse for all."""
    evidence = world(worlds, seed=3, shift=0.9)
    strict = worlds.measures(ThresholdGaps(), evidence)[NAME]
    free = worlds.measures(ThresholdGaps(false_calls_added=1.0), evidence)[NAME]
    assert free.facts["threshold"] < 0.1
    assert not free.facts["no_threshold_helps"]
    assert value(free.sides[1].estimate) > 0.5
    assert value(strict.sides[1].estimate) < 0.3


def test_what_is_measured_was_not_seen_by_what_chose(worlds):
    evidence = world(worlds, seed=5, shift=0.5, names=("old", "new", "mid"))
    found = worlds.measures(ThresholdGaps(), evidence)[NAME]
    (grouping,) = groupings(evidence.scored())
    cutoffs = Cutoffs.of(
        grouping, "serious", evidence.answers().probabilities[:, 1], rng=evidence.rng
    )
    half = ~cutoffs.first & ~cutoffs.of_class
    called = cutoffs.score >= found.facts["threshold"]
    inside = grouping.members(found.facts["worst_group"])
    assert found.n == (half & inside).sum()
    assert value(found.sides[0].estimate) == pytest.approx(called[half & inside].mean())
    assert value(found.sides[1].estimate) == pytest.approx(called[half & ~inside].mean())
    at = [list(evidence.answers().image_ids).index(i) for i in found.examples]
    assert (half & inside & called)[at].all()
    assert list(cutoffs.score[at]) == sorted(cutoffs.score[at], reverse=True)
    # Other scores on the measuring half change the measure, not what was chosen.
    score = np.where(half & (np.arange(len(half)) % 2 == 0), 0.999, cutoffs.score)
    labels, groups = evidence.answers().labels, np.array(grouping.groups)[grouping.of]
    other = worlds.measures(ThresholdGaps(), evidence_of(worlds, labels, score, groups))[NAME]
    assert other.facts["threshold"] == found.facts["threshold"]
    assert other.facts["worst_group"] == found.facts["worst_group"]
    assert value(other.sides[0].estimate) > value(found.sides[0].estimate) + 0.2


def test_the_same_seed_gives_the_same_and_one_attribute_more_changes_nothing(worlds):
    evidence = world(worlds, seed=2, shift=0.5)
    first = worlds.measures(ThresholdGaps(), evidence)
    assert first == worlds.measures(ThresholdGaps(), evidence)
    outcomes = evidence.answers()
    rng = np.random.default_rng(0)
    more = worlds.dataset(
        outcomes.labels,
        classes=outcomes.classes,
        attributes={"light": ("condition", list(rng.choice(["dark", "day"], len(outcomes)))),
                    "building": ("condition", list(outcomes.groups("building")))},
    )  # fmt: skip
    both = worlds.evidence(spec=evidence.spec).add(more, outcomes.probabilities)
    assert worlds.measures(ThresholdGaps(), both)[NAME] == worlds.nearly(first[NAME])


def test_units_are_what_counts(worlds):
    evidence = world(worlds, seed=3, shift=0.5, images_a_unit=5)
    found = worlds.measures(ThresholdGaps(), evidence)[NAME]
    assert found.n_units == found.n // 5
    assert found.estimate.df is not None
    assert found.estimate.n <= found.n


def test_ruling_out_counts_rooms_and_not_photos(worlds):
    """Rooms of ten alike photos, two groups alike: photos would rule out half of the time."""
    check, ruled_out = ThresholdGaps(steps=2, largest_ratio=1.0), 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 3])
        of = np.repeat(np.arange(160), 10)
        labels = (np.arange(160) % 4 == 0).astype(int)[of]
        score = np.clip(rng.beta(2, 3, 160) + 0.3 * (np.arange(160) % 4 == 0), 0, 0.99)[of]
        groups = rng.permutation(np.repeat(["old", "new"], 80))[of]
        evidence = evidence_of(worlds, labels, score, groups, units=of)
        ruled_out += not worlds.measures(check, evidence)[NAME].facts["own_rule_stands"]
    assert ruled_out / 40 <= 0.15


def test_sentence_and_details_say_what_a_user_needs(worlds):
    found = worlds.measures(ThresholdGaps(), mendable(worlds, seed=1))[NAME]
    said = worlds.sentence(ThresholdGaps, found)
    assert said.startswith(f"From {found.facts['threshold']:g} on, where groups are treated ")
    assert "is wrongly called serious " in said
    assert "by the model’s own rule " in said
    assert "The share of serious found goes from 100% to 9" in said
    assert said.endswith(MOVES_HARM)
    assert "points higher" not in said


def test_own_rule_and_thresholds_have_sentences_of_their_own(worlds):
    fair = worlds.sentence(ThresholdGaps, next(iter(
        worlds.measures(ThresholdGaps(), world(worlds, seed=0)).values()
    )))  # fmt: skip
    assert ("No threshold tried" in fair) != ("From 0." in fair)
    assert "may help" not in fair
    assert "{" not in fair


def test_labelled_deployment_images_are_measured_too(worlds):
    evidence = mendable(worlds, seed=1)
    test = worlds.measures(ThresholdGaps(), evidence)
    there = dataclasses.replace(evidence.dataset("test"), split="deployment")
    evidence.add(there, evidence.answers().probabilities)
    both = worlds.measures(ThresholdGaps(), evidence)
    assert both.keys() == {*test, NAME.replace("@test", "@deployment")}
    assert both[NAME] == test[NAME]
    figures = {r.id for r in ThresholdGaps().run(evidence) if isinstance(r, Figure)}
    assert len(figures) == 2


def test_small_groups_have_a_reason_and_a_remedy(worlds):
    rng = np.random.default_rng(0)
    groups = ["old"] * 19 + ["new"] * 500
    labels = np.concatenate([np.zeros(19, int), rng.integers(0, 2, 500)])
    evidence = evidence_of(worlds, labels, rng.random(519), groups)
    (reason,) = ThresholdGaps().run(evidence)
    assert isinstance(reason, Unmeasured)
    assert reason.reason == (
        "No group of building and its rest have 10 images that are not serious in each half of "
        "the test data: nothing can be chosen on one half and measured on the other."
    )
    assert "at least 20 images that are not serious of two groups of building" in reason.remedy


def test_without_enough_of_the_class_there_is_no_price(worlds):
    rng = np.random.default_rng(0)
    labels = np.array([1] * 18 + [0] * 600)
    evidence = evidence_of(worlds, labels, rng.random(618), rng.choice(["old", "new"], 618))
    (reason,) = ThresholdGaps().run(evidence)
    assert "fewer than 10 images of class serious: what a threshold costs" in reason.reason


def test_a_small_group_is_left_out_and_named(worlds):
    evidence = world(worlds, seed=3, shift=0.9)
    frame = evidence.dataset("test").frame
    frame["attribute:building"] = frame["attribute:building"].astype(object)
    frame.loc[frame.index[:12], "attribute:building"] = "rare"
    frame["attribute:building"] = frame["attribute:building"].astype("category")
    found = worlds.measures(ThresholdGaps(), evidence)[NAME]
    assert found.facts["left_out"] == ["rare"]


def test_an_unknown_class_is_an_error_that_names_the_key(worlds):
    evidence = world(worlds, seed=0)
    spec = worlds.spec(
        model={"path": "m.onnx", "classes": ("fine", "serious"), "input": {"size": (8, 8)}}
    )
    consequences = spec.consequences.model_copy(update={"adverse": ("seroius",)})
    evidence.spec = spec.model_copy(update={"consequences": consequences})
    with pytest.raises(SpecError, match=r"consequences\.adverse: found class 'seroius'"):
        list(ThresholdGaps().run(evidence))


def test_one_group_alone_is_not_compared(worlds):
    evidence = world(worlds, seed=0, names=("old",))
    (reason,) = ThresholdGaps().run(evidence)
    assert "no other group" in reason.reason


def test_scores_at_both_ends_still_give_thresholds(worlds):
    """A network that is sure of everything: evenly spaced thresholds would be one and the same."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000)
    score = 1 / (1 + np.exp(-rng.normal(24 * labels - 12, 5)))
    evidence = evidence_of(worlds, labels, score, rng.choice(["old", "new"], 2000))
    results = list(ThresholdGaps().run(evidence))
    (found,) = [r for r in results if isinstance(r, Measure)]
    assert found.facts["thresholds"] >= 18
    (table,) = [r for r in results if isinstance(r, Table)]
    shares = {row[-3] for row in table.rows}
    assert len([s for s in shares if 0.02 < s < 0.98]) >= 8


def test_many_classes_answer_the_likeliest_other_class_below_the_threshold(worlds):
    rng = np.random.default_rng(0)
    n, classes = 3000, ("a", "b", "c")
    labels = rng.integers(0, 3, n)
    probabilities = rng.dirichlet([1, 1, 1], n)
    probabilities[np.arange(n), labels] += 0.6
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    spec = worlds.spec(
        model={"path": "m.onnx", "classes": classes, "input": {"size": (8, 8)}},
        consequences={"adverse": ("c", "a")},
    )
    dataset = worlds.dataset(
        labels, classes=classes, attributes={"g": ("condition", list(rng.choice(["x", "y"], n)))}
    )
    evidence = worlds.evidence(spec=spec).add(dataset, probabilities)
    found = worlds.measures(ThresholdGaps(), evidence)
    assert set(found) == {f"best-gap:attribute=g,class={c}@test" for c in "ac"}
    assert all(m.facts["recall_own_rule"] > 0.6 for m in found.values())


def test_table_and_figure_hold_what_the_threshold_does(worlds):
    evidence = world(worlds, seed=5, shift=0.5, names=("old", "new", "mid"))
    results = list(ThresholdGaps().run(evidence))
    (table,) = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    outcomes = evidence.answers()
    old, serious = outcomes.groups("building") == "old", outcomes.labels == 1
    row = next(r for r in table.rows if r[2] == "likeliest class" and r[3] == "old")
    wrong, missed = outcomes.predicted == 1, outcomes.predicted == 0
    assert row[4:10] == pytest.approx((
        (old & ~serious).sum(), wrong[old & ~serious].mean(),
        wrong[old & ~serious].mean() - wrong[~old & ~serious].mean(),
        (old & serious).sum(), missed[old & serious].mean(),
        missed[old & serious].mean() - missed[~old & serious].mean(),
    ))  # fmt: skip
    series = {row["series"] for row in figure.rows}
    assert series == {
        f"{g}, {k}" for g in ("old", "new", "mid") for k in ("wrongly called", "missed")
    }
    assert all(row["low"] <= row["y"] <= row["high"] for row in figure.rows)
    old_missed = [r for r in figure.rows if r["series"] == "old, missed"]
    at = old_missed[len(old_missed) // 2]
    gone = outcomes.probabilities[:, 1] < at["x"]
    assert at["y"] == pytest.approx(gone[old & serious].mean() - gone[~old & serious].mean())


def test_of_two_groups_one_is_drawn(worlds):
    (figure,) = [r for r in ThresholdGaps().run(world(worlds, seed=5, shift=0.5))
                 if isinstance(r, Figure)]  # fmt: skip
    assert {row["series"] for row in figure.rows} == {"old, wrongly called", "old, missed"}


def test_choosing_does_not_bias_what_is_measured(worlds):
    """Eight groups alike: the largest gap of the same images is large, the measured one is not."""
    check, repetitions = ThresholdGaps(steps=3, largest_ratio=1.0), 80
    measured, naive, covered, failed, ruled_out = [], [], 0, 0, 0
    for seed in range(repetitions):
        evidence = world(worlds, seed=seed, n=1600, names=tuple("abcdefgh"))
        found = worlds.measures(check, evidence)[NAME]
        (grouping,) = groupings(evidence.scored())
        cutoffs = Cutoffs.of(
            grouping, "serious", evidence.answers().probabilities[:, 1], rng=evidence.rng
        )
        naive.append(max(cutoffs.others.gaps_seen(None).values()))
        measured.append(value(found.estimate))
        ends = interval(found.estimate)
        covered += ends.low <= 0 <= ends.high
        failed += exceeds(found, limit=0.0)
        ruled_out += not found.facts["own_rule_stands"]
    assert np.mean(naive) > 0.03
    assert abs(np.mean(measured)) < 0.012
    assert covered / repetitions >= 0.9
    assert failed / repetitions <= 0.1
    # Eight groups are tested: without a correction a third of these would be ruled out.
    assert ruled_out / repetitions <= 0.1


def test_ruling_all_out_is_rarely_wrong_at_the_limit(worlds):
    """Old rooms wrongly called exactly 1.25 times as often, whatever the threshold."""
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 9])
        n = 1500
        groups = rng.choice(["old", "new"], n)
        labels = (rng.random(n) < 0.4).astype(int)
        high = rng.random(n) < np.where(labels == 1, 0.95, np.where(groups == "old", 0.25, 0.2))
        score = np.where(high, rng.uniform(0.51, 1, n), rng.uniform(0, 0.49, n))
        found = worlds.measures(ThresholdGaps(steps=2), evidence_of(worlds, labels, score, groups))
        wrong += not found[NAME].facts["own_rule_stands"]
    assert wrong / 100 <= 0.09
