import numpy as np
import pytest
from scipy.stats import chi2_contingency

from auditor.checks.association import (
    aligned_minus_conflicting,
    associated,
    depends_on_group,
)
from auditor.checks.shortcut_metadata import Metadata
from auditor.findings import Figure, Table, Unmeasured
from auditor.stats import bound, p_value, value

LIMIT, GATE = 0.05, 0.1


def world(
    worlds,
    *,
    seed,
    together=0.8,
    reliance=0.0,
    accuracy=(0.88, 0.88),
    hard_group=0.0,
    n=1000,
    photos=1,
    missing=0.0,
):
    """Labels and phones that agree with probability `together`.

    With probability `reliance` the answer is the phone's label; else it is right with the
    label's accuracy, less `hard_group` for images of phone "q".
    """
    rng = np.random.default_rng(seed)
    rooms = np.repeat(np.arange(n // photos), photos)
    labels = rng.integers(0, 2, rooms.max() + 1)[rooms]
    agree = (rng.random(rooms.max() + 1) < together)[rooms]
    phone = np.where(agree, labels, 1 - labels)
    chance = np.array(accuracy)[labels] - hard_group * (phone == 1)
    right = rng.random(len(rooms)) < chance
    by_phone = rng.random(len(rooms)) < reliance
    answers = np.where(by_phone, phone, np.where(right, labels, 1 - labels))
    names = np.where(rng.random(len(rooms)) < missing, "", np.array(["p", "q"])[phone])
    dataset = worlds.dataset(
        labels,
        units=rooms if photos > 1 else None,
        attributes={"phone": ("nuisance", list(names)), "city": ("condition", ["x"] * len(rooms))},
    )
    confidence = rng.uniform(0.6, 0.95, len(rooms))
    return worlds.evidence().add(dataset, worlds.probabilities(answers, confidence=confidence))


def fails(found):
    """As the policy judges: association shown above its gate, and worth beyond its limit."""
    worth = found.get("accuracy-worth:attribute=phone@test")
    gate = bound(found["association:attribute=phone@test"].estimate, side="low") > GATE
    beyond = worth is not None and p_value(worth.estimate, limit=LIMIT, exceeds="above") <= 0.05
    return gate and beyond


@pytest.mark.parametrize("photos", [1, 4])
@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_reads_the_phone_is_shown(worlds, seed, photos):
    evidence = world(worlds, seed=seed, reliance=0.5, photos=photos)
    assert fails(worlds.measures(Metadata(), evidence))


@pytest.mark.parametrize("photos", [1, 4])
@pytest.mark.parametrize("accuracy", [(0.88, 0.88), (0.97, 0.75), (0.7, 0.98)])
def test_an_attribute_that_goes_along_unused_does_not_fail(worlds, accuracy, photos):
    """The hard null: a marginal test of answers by phone would alarm every time."""
    failed = 0
    for seed in range(20):
        evidence = world(worlds, seed=seed, accuracy=accuracy, photos=photos, n=800)
        found = worlds.measures(Metadata(), evidence)
        assert value(found["association:attribute=phone@test"].estimate) > 0.4
        failed += fails(found)
    assert failed <= 1


@pytest.mark.parametrize("seed", range(5))
def test_an_easy_label_does_not_pass_for_a_shortcut(worlds, seed):
    """Phone q is half of label a and hardly any of label b: the sides differ in their labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(2000) < 0.5).astype(int)
    phone = rng.random(2000) < np.where(labels == 0, 0.5, 0.05)
    right = rng.random(2000) < np.where(labels == 0, 0.7, 0.97)
    names = np.where(phone, "q", "p")
    dataset = worlds.dataset(labels, attributes={"phone": ("nuisance", list(names))})
    evidence = worlds.evidence().add(
        dataset, worlds.probabilities(np.where(right, labels, 1 - labels))
    )
    found = worlds.measures(Metadata(), evidence)
    worth = found["accuracy-worth:attribute=phone@test"]
    sides = abs(value(worth.sides[0].estimate) - value(worth.sides[1].estimate))
    assert sides > 0.1
    assert abs(value(worth.estimate)) < 0.06
    assert not fails(found)


@pytest.mark.parametrize("seed", range(6))
def test_a_phone_with_harder_photos_is_no_shortcut(worlds, seed):
    evidence = world(worlds, seed=seed, accuracy=(0.95, 0.95), hard_group=0.15, n=2000)
    found = worlds.measures(Metadata(), evidence)
    assert not fails(found)
    assert found["accuracy-worth:attribute=phone@test"].facts["dependence_p"] <= 0.05


def test_an_unrelated_phone_keeps_the_gate_shut(worlds):
    opened = 0
    for seed in range(60):
        evidence = world(worlds, seed=seed, together=0.5, reliance=0.5, n=300, photos=3)
        found = worlds.measures(Metadata(), evidence)
        strength = found["association:attribute=phone@test"]
        opened += bound(strength.estimate, side="low") > 0
        assert value(strength.estimate) < 0.45
    assert opened <= 3


def test_nearly_complete_association_is_not_measured_and_says_what_to_ask_for(worlds):
    evidence = world(worlds, seed=0, together=0.99, reliance=1.0)
    results = list(Metadata().run(evidence))
    (reason,) = [r for r in results if isinstance(r, Unmeasured)]
    assert reason.name == "accuracy-worth"
    assert "phone and the label disagree" in reason.remedy
    found = worlds.measures(Metadata(), evidence)
    assert value(found["association:attribute=phone@test"].estimate) > 0.9


def test_only_nuisance_attributes_are_asked_about(worlds):
    found = worlds.measures(Metadata(), world(worlds, seed=0))
    assert {m.subject.get("attribute") for m in found.values()} == {"phone"}


def test_images_without_a_phone_are_left_out(worlds):
    evidence = world(worlds, seed=0, missing=0.3)
    found = worlds.measures(Metadata(), evidence)
    known = (evidence.answers().groups("phone") != "").sum()
    assert found["association:attribute=phone@test"].n == known < 1000


def test_one_phone_cannot_go_with_anything(worlds):
    dataset = worlds.dataset([0, 1] * 50, attributes={"phone": ("nuisance", ["p"] * 100)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities([0, 1] * 50))
    (result,) = Metadata().run(evidence)
    assert isinstance(result, Unmeasured)
    assert result.name == "accuracy-worth"
    assert "fewer than two groups" in result.reason


def test_one_label_cannot_go_with_anything(worlds):
    dataset = worlds.dataset([0] * 100, attributes={"phone": ("nuisance", ["p", "q"] * 50)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities([0] * 100))
    (result,) = Metadata().run(evidence)
    assert "fewer than two labels" in result.reason


def test_worth_is_measured_among_images_of_the_same_label(worlds):
    evidence = world(worlds, seed=2, reliance=0.3)
    worth = worlds.measures(Metadata(), evidence)["accuracy-worth:attribute=phone@test"]
    outcomes = evidence.answers()
    labels, correct = outcomes.labels, outcomes.correct
    agree = (outcomes.groups("phone") == "q") == (labels == 1)
    gaps, weights = [], []
    for label in (0, 1):
        a, c = correct[(labels == label) & agree], correct[(labels == label) & ~agree]
        gaps.append(a.mean() - c.mean())
        weights.append(len(a) * len(c) / (len(a) + len(c)))
    assert value(worth.estimate) == pytest.approx(np.average(gaps, weights=weights))
    assert worth.facts["n_conflicting"] == (~agree).sum()
    wrong = set(outcomes.image_ids[~agree & ~correct])
    assert worth.examples
    assert set(worth.examples) <= wrong


def test_three_labels_and_four_phones(worlds):
    """Each phone is over-represented in one label; the model answers that label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    home = np.array([0, 1, 2, 0])
    phone = rng.integers(0, 4, 3000)
    for i in np.flatnonzero(rng.random(3000) < 0.6):
        phone[i] = rng.choice(np.flatnonzero(home == labels[i]))
    answers = np.where(rng.random(3000) < 0.4, home[phone], labels)
    names = [f"phone {p}" for p in phone]
    dataset = worlds.dataset(
        labels, classes=("a", "b", "c"), attributes={"phone": ("nuisance", names)}
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(answers, n_classes=3))
    assert fails(worlds.measures(Metadata(), evidence))
    honest = worlds.evidence().add(dataset, worlds.probabilities(labels, n_classes=3))
    assert not fails(worlds.measures(Metadata(), honest))


def test_strength_is_bergsmas_for_independent_images():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 400)
    groups = np.where(rng.random(400) < 0.4, labels, rng.integers(0, 4, 400)).astype(str)
    found = associated(labels, groups.astype(object), unit=None, rng=rng)
    table = np.array([[((groups == g) & (labels == c)).sum() for c in range(3)] for g in "0123"])
    chi2 = chi2_contingency(table, correction=False)
    r, k, n = 4, 3, 400
    phi2 = max(0, chi2.statistic / n - (r - 1) * (k - 1) / (n - 1))
    shrunk = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    assert value(found.strength) == pytest.approx(np.sqrt(phi2 / shrunk), abs=0.02)
    assert found.expected == pytest.approx(chi2.expected_freq)
    assert found.p < 1e-6


@pytest.mark.parametrize("photos", [1, 5])
def test_p_of_an_association_that_is_not_there_is_uniform(photos):
    p = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        rooms = np.repeat(np.arange(80), photos)
        labels = rng.integers(0, 2, 80)[rooms]
        groups = rng.integers(0, 3, 80)[rooms].astype(str).astype(object)
        unit = rooms.astype(object) if photos > 1 else None
        p.append(associated(labels, groups, unit=unit, rng=rng).p)
    # 5% of 150 is 7.5; more than 14 has probability 1%.
    assert np.sum(np.array(p) <= 0.05) <= 14
    assert 0.4 < np.mean(p) < 0.6


def test_many_classes_are_pooled_beyond_the_commonest():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(19), 50), np.arange(19, 100)])
    groups = rng.choice(["p", "q"], len(labels)).astype(object)
    found = associated(labels, groups, unit=None, rng=rng)
    assert len(found.label_names) == 20
    assert found.label_names[-1] == -1
    assert (found.labels == 19).sum() == 81
    assert found.expected.sum() == pytest.approx(len(labels))


def test_comparable_images_are_of_labels_with_both_sides():
    labels = np.array([0] * 50 + [1] * 50 + [2] * 20)
    groups = np.array(["p"] * 40 + ["q"] * 10 + ["q"] * 40 + ["p"] * 10 + ["q"] * 20, dtype=object)
    found = associated(labels, groups, unit=None, rng=np.random.default_rng(0))
    assert found.comparable[:100].all()
    assert not found.comparable[100:].any()


def test_units_widen_the_difference():
    rng = np.random.default_rng(0)
    rooms = np.repeat(np.arange(60), 10)
    labels = np.zeros(600, dtype=int)
    aligned = rooms % 2 == 0
    right = (rng.random(60) < 0.8)[rooms]
    sides = {"aligned": aligned, "conflicting": ~aligned}
    alone = aligned_minus_conflicting(right, labels, **sides)
    by_room = aligned_minus_conflicting(right, labels, **sides, unit=rooms.astype(object))
    assert value(by_room) == pytest.approx(value(alone))
    assert by_room.n == pytest.approx(30, rel=0.1)
    assert alone.n == pytest.approx(300)
    assert by_room.df == 29


def test_dependence_is_uniform_when_scores_follow_the_label_only():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 200)
        phone = np.where(rng.random(200) < 0.9, labels, 1 - labels).astype(str).astype(object)
        found = associated(labels, phone, unit=None, rng=rng)
        score = labels + rng.normal(size=200)
        p.append(depends_on_group(score, found, unit=None, rng=rng))
    # 5% of 60 is 3; more than 7 has probability 1%.
    assert np.sum(np.array(p) <= 0.05) <= 7


def test_table_and_heat_map_hold_every_cell(worlds):
    results = list(Metadata().run(world(worlds, seed=0)))
    (table,) = [r for r in results if isinstance(r, Table)]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert [row[:3] for row in table.rows] == [
        ("phone", g, c) for g in ("p", "q") for c in ("a", "b")
    ]
    assert sum(row[3] for row in table.rows) == 1000
    by_group = [r["value"] for r in figure.rows if r["row"] == "p"]
    assert sum(by_group) == pytest.approx(1)
