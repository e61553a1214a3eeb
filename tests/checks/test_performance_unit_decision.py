import dataclasses

import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, said
from pydantic import ValidationError

from auditor.checks.performance_unit_decision import UnitDecision
from auditor.findings import Table, Unmeasured
from auditor.scoring.outcomes import Outcomes
from auditor.spec.audit_spec import UnitAcceptsSpec
from auditor.stats import interval, p_value, value


def world(
    worlds,
    *,
    seed,
    rule="mean",
    rooms=120,
    photos=5,
    right=0.75,
    adverse=(),
    alike=0.0,
    accepts=None,
):
    """Rooms of two classes; photos err alone, or (in a share `alike` of rooms) all together."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(2, size=rooms), photos)
    wrong = rng.random(len(labels)) > right
    together = np.repeat(rng.random(rooms) < alike, photos)
    answers = np.where(wrong | together, 1 - labels, labels)
    spec = worlds.spec(
        data={"test": {"images": "images"}, "unit_rule": rule, "unit_accepts": accepts},
        consequences={"adverse": adverse},
    )
    dataset = worlds.dataset(
        labels, classes=("fine", "serious"), units=np.repeat(np.arange(rooms), photos)
    )
    confidence = rng.uniform(0.6, 0.95, len(labels))
    return worlds.evidence(spec=spec).add(
        dataset, worlds.probabilities(answers, confidence=confidence)
    )


def falls_below(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_votes_mend_photos_that_err_alone(worlds, seed):
    found = worlds.measures(UnitDecision(), world(worlds, seed=seed))
    assert not falls_below(found["unit-accuracy:@test"], 0.8)
    gained = found["unit-minus-image:@test"]
    assert p_value(gained.estimate, limit=0.0, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_one_photo_that_decides_ruins_rooms(worlds, seed):
    evidence = world(worlds, seed=seed, rule="worst", right=0.85)
    found = worlds.measures(UnitDecision(), evidence)
    assert falls_below(found["unit-accuracy:@test"], 0.85)
    lost = found["unit-minus-image:@test"]
    assert p_value(lost.estimate, limit=0.0, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_photos_that_err_together_are_not_mended(worlds, seed):
    evidence = world(worlds, seed=seed, right=1.0, alike=0.3)
    found = worlds.measures(UnitDecision(), evidence)
    assert falls_below(found["unit-accuracy:@test"], 0.85)
    assert value(found["unit-minus-image:@test"].estimate) == pytest.approx(0)


def test_the_difference_has_the_standard_error_of_a_jackknife_over_rooms(worlds):
    evidence = world(worlds, seed=7)
    o = evidence.answers("test")
    estimate = worlds.measures(UnitDecision(), evidence)["unit-minus-image:@test"].estimate
    rooms = np.unique(o.units)
    means = np.array([o.probabilities[o.units == r].mean(axis=0) for r in rooms])
    right = means.argmax(axis=1) == [o.labels[o.units == r][0] for r in rooms]
    left_out = [
        np.delete(right, i).mean() - o.correct[o.units != r].mean() for i, r in enumerate(rooms)
    ]
    jackknife = np.sqrt((len(rooms) - 1) ** 2 / len(rooms) * np.var(left_out, ddof=1))
    assert value(estimate) == pytest.approx(right.mean() - o.correct.mean())
    # Few rooms differ by much, so that it may be larger, as the exact law of such has it.
    assert 0.98 * jackknife <= estimate.se <= 1.4 * jackknife


def test_tables_compare_the_rules_and_count_adverse_errors(worlds):
    evidence = world(worlds, seed=8, adverse=("serious",))
    rules, adverse = (r for r in UnitDecision().run(evidence) if isinstance(r, Table))
    assert [row[0] for row in rules.rows] == ["mean", "majority", "worst"]
    assert rules.rows[0][2] > rules.rows[2][2]
    assert [row[:2] for row in adverse.rows] == [
        ("serious", "missed"),
        ("serious", "wrongly called so"),
    ]
    assert adverse.rows[0][2] + adverse.rows[1][2] == 120


def test_examples_are_photos_of_wrong_rooms_one_each(worlds):
    evidence = world(worlds, seed=9, right=1.0, alike=0.4)
    examples = worlds.measures(UnitDecision(), evidence)["unit-accuracy:@test"].examples
    o = evidence.answers("test")
    rows = o.image_ids.places_of(examples).tolist()
    assert len({o.units[r] for r in rows}) == 12
    assert not o.correct[rows].any()


def test_conflicting_labels_are_counted(worlds):
    evidence = world(worlds, seed=10)
    o = evidence.answers("test")
    labels = o.labels.copy()
    labels[0] = 1 - labels[0]
    o.dataset.frame["label"] = labels
    found = worlds.measures(UnitDecision(), evidence)["unit-accuracy:@test"]
    assert found.facts["conflicting_labels"] == 1


def test_all_right_is_not_certain(worlds):
    found = worlds.measures(UnitDecision(), world(worlds, seed=11, right=1.0, rooms=20))
    for measure in found.values():
        ends = interval(measure.estimate)
        assert ends.high > ends.low


def test_few_rooms_are_a_reason(worlds):
    evidence = world(worlds, seed=12, rooms=9)
    assert isinstance(evidence.answers("test"), Outcomes)
    found = list(UnitDecision().run(evidence))
    assert [r.name for r in found] == ["unit-accuracy", "unit-minus-image"]
    assert all(isinstance(r, Unmeasured) for r in found)


def test_units_of_several_labels_are_not_decided_on_as_a_whole(worlds):
    labels = np.tile([0, 1], 60)
    dataset = worlds.dataset(labels, units=np.repeat(np.arange(30), 4))
    evidence = worlds.evidence().add(dataset, worlds.probabilities(labels))
    found = list(UnitDecision().run(evidence))
    assert [type(each) for each in found] == [Unmeasured, Unmeasured]
    assert "30 of 30 units hold images with different labels" in found[0].reason


DISHES = ("protein", "garnish")


def dishes(worlds, *, seed, forgets=0.0, invents=0.0, rule="worst", shots=3, n=90, accepts=None):
    """Photos of dishes with boxes; a garnish is forgotten in a share of dishes, or made up."""
    rng = np.random.default_rng(seed)
    holds = np.column_stack([np.ones(n, dtype=bool), rng.random(n) < 0.6])
    says = holds.copy()
    says[:, 1] = np.where(holds[:, 1], rng.random(n) >= forgets, rng.random(n) < invents)
    spec = worlds.spec(
        model={**DETECTOR, "classes": DISHES},
        data={"test": {"images": "images"}, "unit_rule": rule, "unannotated": "empty",
              "unit_accepts": accepts},
    )  # fmt: skip
    return spec, *(np.repeat(each, shots, axis=0) for each in (holds, says))


def found_on(worlds, spec, holds, says, *, shots=3, known=None):
    data = boxed(worlds, DISHES, holds, known=known, units=np.arange(len(holds)) // shots)
    return boxed_evidence(worlds, spec, DISHES).add_found(data, said(says))


def of_dishes(worlds, **given):
    return worlds.measures(UnitDecision(), found_on(worlds, *dishes(worlds, **given)))


@pytest.mark.parametrize("seed", range(4))
def test_dishes_whose_garnish_is_forgotten_fail_and_others_do_not(worlds, seed):
    poor = of_dishes(worlds, seed=seed, forgets=0.5)
    assert falls_below(poor["unit-accuracy:@test"], 0.9)
    assert falls_below(poor["unit-recall:class=garnish@test"], 0.9)
    assert not falls_below(poor["unit-recall:class=protein@test"], 0.9)
    good = of_dishes(worlds, seed=seed, forgets=0.02, invents=0.02)
    assert not [m for m in good.values() if m.better == "higher" and falls_below(m, 0.9)
                and m.name != "unit-minus-image"]  # fmt: skip


def test_a_garnish_that_is_made_up_is_a_false_alarm_of_the_dish(worlds):
    found = of_dishes(worlds, seed=1, invents=0.6)
    alarms = found["unit-false-alarms:class=garnish@test"]
    assert p_value(alarms.estimate, limit=0.1, exceeds="above") <= 0.05
    assert value(found["unit-recall:class=garnish@test"].estimate) == 1


@pytest.mark.parametrize(("rule", "right"), [("worst", 0.0), ("majority", 1.0), ("mean", 1.0)])
def test_the_rule_says_how_many_photos_make_a_class_of_the_dish(worlds, rule, right):
    spec, holds, says = dishes(worlds, seed=2, rule=rule)
    holds[:, 1] = False
    says[:, 1] = np.arange(len(says)) % 3 == 0  # garnish is made up in one photo of three
    found = worlds.measures(UnitDecision(), found_on(worlds, spec, holds, says))
    assert value(found["unit-accuracy:@test"].estimate) == pytest.approx(right)


def test_of_two_photos_one_is_no_majority(worlds):
    spec, holds, _ = dishes(worlds, seed=2, rule="majority", shots=2)
    says = holds.copy()
    says[1::2, 1] = False
    found = worlds.measures(UnitDecision(), found_on(worlds, spec, holds, says, shots=2))
    garnish = found["unit-recall:class=garnish@test"]
    assert value(garnish.estimate) == 0


def test_photos_without_annotation_have_no_say(worlds):
    spec, holds, _ = dishes(worlds, seed=3, rule="worst")
    says = holds.copy()
    known = np.arange(len(says)) % 3 > 0
    known[:3] = False
    says[~known] = True
    found = worlds.measures(
        UnitDecision(), found_on(worlds, spec, holds & known[:, None], says, known=known)
    )
    accuracy = found["unit-accuracy:@test"]
    assert (value(accuracy.estimate), accuracy.n, accuracy.facts["left_out"]) == (1, 89, 1)


def test_examples_are_photos_of_wrong_dishes_and_words_fit(worlds):
    evidence = found_on(worlds, *dishes(worlds, seed=4, forgets=0.5))
    results = list(UnitDecision().run(evidence))
    assert worlds.unfilled(UnitDecision, results) == []
    accuracy = next(r for r in results if r.name == "unit-accuracy")
    rows = evidence.scored("test", of="image")
    wrong = set(rows.image_ids[~rows.presence.exact()])
    assert accuracy.examples
    assert set(accuracy.examples) <= wrong
    table = [r for r in results if isinstance(r, Table)][-1]
    assert {row[0] for row in table.rows} == set(DISHES)


WHOLE = {"all_of": DISHES}


@pytest.mark.parametrize("seed", range(4))
def test_dishes_that_go_out_or_back_wrongly_are_found(worlds, seed):
    """Garnish made up lets dishes out, garnish forgotten sends them back; neither does both."""
    clean = of_dishes(worlds, seed=seed, accepts=WHOLE)
    for name, fault in (("wrongly-accepted", "invents"), ("wrongly-refused", "forgets")):
        assert value(clean[f"{name}:@test"].estimate) == 0
        other = "wrongly-refused" if fault == "invents" else "wrongly-accepted"
        found = of_dishes(worlds, seed=seed, accepts=WHOLE, **{fault: 0.5})
        assert p_value(found[f"{name}:@test"].estimate, limit=0.2, exceeds="above") <= 0.05
        assert value(found[f"{other}:@test"].estimate) == 0


def test_dishes_to_refuse_are_counted_by_hand_and_named(worlds):
    spec, holds, says = dishes(worlds, seed=5, forgets=0.3, invents=0.3,
                               accepts={"all_of": DISHES[:1], "none_of": DISHES[1:]})  # fmt: skip
    evidence = found_on(worlds, spec, holds, says)
    found = worlds.measures(UnitDecision(), evidence)
    refuse, called = holds[::3, 1], says[::3, 1]
    accepted, refused = found["wrongly-accepted:@test"], found["wrongly-refused:@test"]
    assert (accepted.n, accepted.facts["count"]) == (refuse.sum(), (refuse & ~called).sum())
    assert (refused.n, refused.facts["count"]) == ((~refuse).sum(), (~refuse & called).sum())
    assert len(accepted.examples) == min(12, accepted.facts["count"])
    assert worlds.unfilled(UnitDecision, list(UnitDecision().run(evidence))) == []


def test_without_dishes_to_refuse_there_is_a_reason(worlds):
    found = list(UnitDecision().run(found_on(worlds, *dishes(
        worlds, seed=6, accepts={"all_of": ("protein",)}))))  # fmt: skip
    reasons = [r.reason for r in found if isinstance(r, Unmeasured)]
    assert any("units to refuse" in reason for reason in reasons)
    assert "wrongly-refused" in [r.name for r in found if not isinstance(r, Table)]


def test_rooms_of_one_class_are_accepted_by_it(worlds):
    evidence = world(worlds, seed=3, accepts={"none_of": ("serious",)})
    found = worlds.measures(UnitDecision(), evidence)
    o, counted = evidence.answers("test"), found["wrongly-accepted:@test"]
    assert counted.n == len(set(o.units[o.labels == 1]))


@pytest.mark.parametrize(
    ("accepts", "says"),
    [({}, "every unit would be accepted"), ({"all_of": ("a",), "none_of": ("a",)}, "keep one")],
)
def test_what_accepts_all_or_none_is_refused(accepts, says):
    with pytest.raises(ValidationError, match=says):
        UnitAcceptsSpec.model_validate(accepts)


@pytest.mark.parametrize("crack", [0.05, 0.5])
def test_stretches_of_a_path_are_decided_by_their_class_maps(worlds, crack):
    rng = np.random.default_rng(5)
    n, classes = 60, ("path", "crack")
    holds = np.repeat(rng.random(n) < 0.5, 2)
    truth = [np.eye(8, dtype=int) * int(h) for h in holds]
    missed = np.repeat(rng.random(n) < crack, 2)
    answers = [t * (not m) for t, m in zip(truth, missed, strict=True)]
    data = worlds.dataset([-1] * 2 * n, classes=classes, units=np.arange(2 * n) // 2)
    data = dataclasses.replace(data, has_labels=True)
    spec = worlds.spec(
        model={**SEGMENTER, "classes": classes},
        data={"test": {"images": "images"}, "unit_rule": "worst", "unannotated": "empty"},
    )
    facts = worlds.facts(task="segmentation", classes=classes)
    evidence = worlds.evidence(model=facts, spec=spec).add_maps(data, answers, truth)
    found = worlds.measures(UnitDecision(), evidence)
    assert falls_below(found["unit-recall:class=crack@test"], 0.8) == (crack == 0.5)
    assert "unit-false-alarms:class=path@test" not in found
