import dataclasses

import cue_worlds
import numpy as np
import pytest
from detector_worlds import DETECTOR, boxed_evidence, boxes, detections
from scipy.stats import chi2_contingency

from auditor.checks.association import (
    aligned_minus_conflicting,
    associated,
    depends_on_group,
)
from auditor.checks.shortcut_metadata import Metadata
from auditor.data.truth import BoxTruth
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import Rate, bound, interval, p_value, value

pytestmark = pytest.mark.slow

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


CLEARS = "That clears phone: "


def worth_and_words(worlds, **made):
    worth = worlds.measures(Metadata(), world(worlds, **made))[
        "accuracy-worth:attribute=phone@test"
    ]
    return worth, worlds.sentence(Metadata, worth)


@pytest.mark.parametrize("together", [0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_a_phone_that_is_not_used_is_cleared_by_name(worlds, seed, together):
    """Also where the data offer it."""
    worth, said = worth_and_words(worlds, seed=seed, together=together, n=6000)
    least = "it is not shown to be worth anything, and shown to be worth less than 5 points."
    assert CLEARS + least in said
    (told,) = {w.short for w in Metadata.words[worth.name] if "cleared" in w.short}
    assert told == "{attribute} cleared"


def test_what_hardly_goes_with_the_label_is_cleared_by_fewer_images(worlds):
    _, said = worth_and_words(worlds, seed=2, together=0.5, n=500)
    assert CLEARS + "no worth is shown, all of 10 points or more is ruled out" in said
    assert "it goes with the label by 0." in said


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("together", [0.5, 0.8])
def test_what_is_used_is_never_cleared(worlds, seed, together):
    """Nor where the test images do not offer it, and its worth may come out negative."""
    _, said = worth_and_words(worlds, seed=seed, together=together, reliance=0.3, n=4000)
    assert CLEARS not in said


def many_classes(worlds, *, seed, n=600):
    """Ten classes, five phones, three answers in ten by the phone: each draws to its own class."""
    rng = np.random.default_rng(seed)
    labels, phone = rng.integers(0, 10, n), rng.integers(0, 5, n)
    answers = np.where(rng.random(n) < 0.3, phone, labels)
    dataset = worlds.dataset(
        labels, classes=tuple("abcdefghij"),
        attributes={"phone": ("nuisance", [f"p{i}" for i in phone])},
    )  # fmt: skip
    confidence = rng.uniform(0.6, 0.95, n)
    probabilities = worlds.probabilities(answers, n_classes=10, confidence=confidence)
    return worlds.evidence().add(dataset, probabilities)


def in_one_class_only(worlds, *, seed, n=1500):
    """Of the rare third class one phone's photos are right, and the other's wrong."""
    rng = np.random.default_rng(seed)
    labels, phone = rng.choice(3, n, p=[0.48, 0.48, 0.04]), rng.integers(0, 2, n)
    right = np.where(labels == 2, phone == 1, rng.random(n) < 0.9)
    dataset = worlds.dataset(
        labels, classes=tuple("abc"), attributes={"phone": ("nuisance", [f"p{i}" for i in phone])}
    )
    answers = np.where(right, labels, (labels + 1) % 3)
    return worlds.evidence().add(dataset, worlds.probabilities(answers, n_classes=3))


def few_rooms(worlds, *, seed):
    """Twelve rooms with a hundred photos each, by both phones; half the answers are the phone's."""
    rng = np.random.default_rng(seed)
    rooms = np.repeat(np.arange(12), 100)
    labels, phone = rng.permutation(np.repeat([0, 1], 6))[rooms], rng.integers(0, 2, 1200)
    answers = np.where(rng.random(1200) < 0.5, phone, labels)
    dataset = worlds.dataset(
        labels, units=rooms, attributes={"phone": ("nuisance", [f"p{i}" for i in phone])}
    )
    return worlds.evidence().add(dataset, worlds.probabilities(answers))


@pytest.mark.parametrize("made", [many_classes, in_one_class_only, few_rooms])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_used_otherwise_than_the_data_offer_it_is_not_cleared(worlds, seed, made):
    found = worlds.measures(Metadata(), made(worlds, seed=seed))
    assert "cleared" not in found["accuracy-worth:attribute=phone@test"].facts


def test_what_a_named_artefact_is_carried_by_is_cleared_by_its_probe_alone(worlds):
    evidence = world(worlds, seed=0, n=6000)
    carried = {"name": "badge", "region": (0.0, 0.0, 0.1, 0.1), "carried_by": {"phone": "p"}}
    evidence.spec = worlds.spec(shortcuts=(carried,))
    worth = worlds.measures(Metadata(), evidence)["accuracy-worth:attribute=phone@test"]
    assert CLEARS not in worlds.sentence(Metadata, worth)


def test_nothing_is_cleared_of_objects_which_may_be_used_for_one_class():
    for name in ("found-worth", "presence-worth"):
        assert "cleared" not in str(Metadata.words[name])


def test_few_images_clear_nothing(worlds):
    _, said = worth_and_words(worlds, seed=1, together=0.75, n=120)
    assert CLEARS not in said


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
    (table,) = [r for r in results if isinstance(r, Table) and r.id.endswith(":cells")]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert [row[:3] for row in table.rows] == [
        ("phone", g, c) for g in ("p", "q") for c in ("a", "b")
    ]
    assert sum(row[3] for row in table.rows) == 1000
    by_group = [r["value"] for r in figure.rows if r["row"] == "p"]
    assert sum(by_group) == pytest.approx(1)


def test_the_worst_cell_is_told_with_an_interval_for_the_least_of_all(worlds):
    evidence = world(worlds, seed=1, reliance=0.6)
    worth = worlds.measures(Metadata(), evidence)["accuracy-worth:attribute=phone@test"]
    worst = worth.facts["worst"]
    # Phone q goes with label b: where it is of label a the model says b.
    assert (worst["group"], worst["label"], worth.facts["cells"]) in [("q", "a", 4), ("p", "b", 4)]
    assert worst["low"] < worst["share"] < worst["high"]
    known = rate_of(worst["share"], worst["n"])
    assert worst["high"] - worst["low"] > known.high - known.low
    said = worlds.sentence(Metadata, worth)
    assert "Lowest of 4 combinations: " in said
    assert f"of {worst['n']}." in said


def rate_of(share, n):
    return interval(Rate(share * n, n))


def grades(results):
    (table,) = [r for r in results if isinstance(r, Table) and r.id.endswith(":grades")]
    return {(row[0], row[1]): row[-1] for row in table.rows}


def test_grades_keep_what_is_offered_apart_from_what_is_used(worlds):
    leaning = list(Metadata().run(world(worlds, seed=0, reliance=0.6)))
    honest = list(Metadata().run(world(worlds, seed=0, n=2000)))
    assert grades(leaning) == {("phone", "all images"): "shortcut"}
    assert grades(honest) == {("phone", "all images"): "opportunity"}


def test_too_few_conflicting_images_are_inconclusive_in_the_table_and_no_pass(worlds):
    evidence = world(worlds, seed=0, together=0.99, n=600)
    assert grades(list(Metadata().run(evidence))) == {("phone", "all images"): "inconclusive"}
    assert verdict(worlds, evidence, "shortcut-attribute") not in ("PASS", "FAIL")


def verdict(worlds, evidence, limit):
    """The verdict of a limit of the built-in policy."""
    results = list(Metadata().run(evidence))
    limits = [x for x in load_policy("default").policy.limits if x.id == limit]
    measured = tuple(r for r in results if isinstance(r, Measure))
    unmeasured = tuple(r for r in results if isinstance(r, Unmeasured))
    checked = CheckResults(Metadata.id, measured, unmeasured)
    (result,) = worlds.record(checked, limits=limits, spec=evidence.spec).limit_results
    return result.verdict.name


def phones(how, rng):
    return {"phone": ("nuisance", np.where(how, "q", "p"))}


@pytest.mark.parametrize(("task", "photos"), [("detection", 1), ("segmentation", 4)])
def test_a_model_that_sees_a_class_by_the_phone_fails(worlds, task, photos):
    for seed in range(3):
        evidence = cue_worlds.world(
            worlds, task, seed=seed, reliance=0.6, photos=photos, attributes=phones
        )
        assert verdict(worlds, evidence, "shortcut-attribute-presence") == "FAIL"


@pytest.mark.parametrize(("task", "photos"), [("detection", 4), ("segmentation", 1)])
def test_a_phone_that_goes_with_a_class_unused_does_not_fail(worlds, task, photos):
    failed = 0
    for seed in range(12):
        evidence = cue_worlds.world(
            worlds, task, seed=seed, together=0.9, photos=photos, attributes=phones, n=400
        )
        failed += verdict(worlds, evidence, "shortcut-attribute-presence") == "FAIL"
    # At 5% more than 3 of 12 has probability 0.2%.
    assert failed <= 3


def objects_world(worlds, *, seed, reliance, together=0.9, n=300):
    """Images of one phone, each with two objects, whose class goes with the phone; an object of
    the other class is overlooked where the model goes by the phone."""
    rng = np.random.default_rng(seed)
    phone = rng.random(n) < 0.5
    image = np.repeat(np.arange(n), 2)
    labels = np.where(rng.random(2 * n) < together, phone[image], ~phone[image]).astype(int)
    found = rng.random(2 * n) < 0.9
    found &= ~((labels != phone[image]) & (rng.random(2 * n) < reliance))
    corners = np.tile([[0.0, 0, 20, 20], [40, 0, 60, 20]], (n, 1))
    data = worlds.dataset([-1] * n, attributes={"phone": ("nuisance", np.where(phone, "q", "p"))})
    truth = BoxTruth(boxes(image, corners, labels), np.ones(n, dtype=bool))
    data = dataclasses.replace(data, has_labels=True, truth=truth)
    spec = worlds.spec(model=DETECTOR | {"classes": ("a", "b")})
    evidence = boxed_evidence(worlds, spec, ("a", "b"))
    return evidence.add_found(
        data, detections(image[found], corners[found], labels[found], np.full(found.sum(), 0.9))
    )


@pytest.mark.parametrize("seed", range(3))
def test_objects_that_are_found_by_the_phone_are_shown(worlds, seed):
    leaning = objects_world(worlds, seed=seed, reliance=0.5)
    found = worlds.measures(Metadata(), leaning)
    assert value(found["association:attribute=phone@test"].estimate) > 0.6
    worth = found["found-worth:attribute=phone@test"]
    assert worth.of == "object"
    # Objects of one image are no independent ones: no more of them than effective counts.
    assert worth.estimate.n <= 600
    assert verdict(worlds, leaning, "shortcut-attribute-found") == "FAIL"
    honest = objects_world(worlds, seed=seed, reliance=0.0)
    assert verdict(worlds, honest, "shortcut-attribute-found") != "FAIL"


def test_few_conflicting_objects_are_told_as_objects(worlds):
    evidence = objects_world(worlds, seed=0, reliance=0.0, together=0.99)
    (few,) = [
        r for r in Metadata().run(evidence) if isinstance(r, Unmeasured) and r.name == "found-worth"
    ]
    assert "test objects show a label that is rare for their phone" in few.reason
    assert verdict(worlds, evidence, "shortcut-attribute-found") not in ("PASS", "FAIL")


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_all_is_told_in_words(worlds, task):
    evidence = cue_worlds.world(worlds, task, seed=0, attributes=phones)
    results = list(Metadata().run(evidence))
    assert worlds.unfilled(Metadata, results) == []
    said = [worlds.sentence(Metadata, r) for r in results if isinstance(r, Measure)]
    assert any("That is what the data offer, not what the model uses." in s for s in said)
    assert any("How often it is rightly said that b is in the image" in s for s in said)
