"""performance/consequences and bias/harm where an image holds several objects, or none."""

import dataclasses

import numpy as np
import pytest
from detector_worlds import SEGMENTER, boxed, boxed_evidence, boxes, detections
from found_worlds import detector, segmenter

from auditor.bias.harm import Harm
from auditor.checks.performance_consequences import Consequences
from auditor.data.truth import BoxTruth
from auditor.errors import SpecError
from auditor.findings import Table
from auditor.scoring.cost import borne_costs, cost_matrix
from auditor.spec import AuditSpec, CostsSpec
from auditor.spec.spec_file import spec_problems
from auditor.stats import interval, p_value, value

MISS, ALARM = 500.0, 40.0
STATED = {
    "adverse": ("b",),
    "costs": {
        "unit": "EUR",
        "matrix": {"a": {"nothing": MISS}, "nothing": {"a": 10.0, "b": ALARM}},
    },
    "borne_by": {"nothing": "the rider", "b": "the road office"},
}
HOLES = {
    "adverse": ("hole",),
    "costs": {"unit": "EUR", "matrix": {"hole": {"nothing": MISS}, "nothing": {"hole": ALARM}}},
}
CLASSES = ("a", "b", "c")


def exceeds(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(3))
def test_a_group_whose_objects_are_missed_pays_more(worlds, seed):
    planted = detector(
        worlds, seed=seed, missed={"night": 0.5}, spec=worlds.spec(consequences=STATED)
    )
    found = worlds.measures(Harm(), planted)
    assert exceeds(found["cost-ratio:light=night@test"], 1.25)
    assert not exceeds(found["cost-ratio:light=day@test"], 1.25)
    clean = worlds.measures(
        Harm(), detector(worlds, seed=seed, spec=worlds.spec(consequences=STATED))
    )
    assert not any(exceeds(m, 1.25) for m in clean.values() if m.name == "cost-ratio")


def test_harm_is_the_cost_of_an_image_with_all_its_errors(worlds):
    evidence = detector(
        worlds, seed=1, missed={"night": 0.5}, spec=worlds.spec(consequences=STATED)
    )
    found = worlds.measures(Harm(), evidence)["cost:light=night@test"]
    objects, answers = (evidence.scored(of=of) for of in ("object", "answer"))
    lost = objects.present("a") & ~objects.right & (objects.groups("light") == "night")
    false = answers.called("b") & ~answers.right & (answers.groups("light") == "night")
    nights = (evidence.dataset("test").groups("light") == "night").sum()
    assert (found.of, found.n, found.unit) == ("image", nights, "EUR per image")
    assert value(found.estimate) == pytest.approx(
        (MISS * lost.sum() + ALARM * false.sum()) / nights
    )


@pytest.mark.parametrize("seed", range(2))
def test_a_segmenters_misses_and_false_alarms_cost_by_group(worlds, seed):
    spec = worlds.spec(consequences=HOLES)
    planted = segmenter(worlds, seed=seed, missed={"night": 0.6}, spec=spec)
    assert exceeds(worlds.measures(Harm(), planted)["cost-ratio:light=night@test"], 1.25)
    clean = worlds.measures(Harm(), segmenter(worlds, seed=seed, spec=spec))
    assert not any(exceeds(m, 1.25) for m in clean.values() if m.name == "cost-ratio")


def test_costs_of_a_detector_are_counted_by_object_and_image(worlds):
    evidence = detector(
        worlds, seed=1, missed={"night": 0.4}, alarms={"day": 0.3},
        spec=worlds.spec(consequences=STATED),
    )  # fmt: skip
    objects, answers = (evidence.scored(of=of) for of in ("object", "answer"))
    n = len(evidence.dataset("test"))
    lost = (objects.present("a") & ~objects.right).sum()
    false = {c: (answers.called(c) & ~answers.right).sum() for c in "ab"}
    found = worlds.measures(Consequences(), evidence)
    said = {key: value(m.estimate) for key, m in found.items()}
    assert said["missed-cost:class=a@test"] == pytest.approx(MISS * lost / n)
    assert said["false-alarm-cost:class=b@test"] == pytest.approx(ALARM * false["b"] / n)
    assert said["expected-cost:@test"] == pytest.approx(
        (MISS * lost + 10 * false["a"] + ALARM * false["b"]) / n
    )
    assert said["cost-borne:by=the%20rider@test"] == pytest.approx(MISS * lost / n)
    assert said["cost-borne:by=the%20road%20office@test"] == pytest.approx(ALARM * false["b"] / n)
    assert "missed-cost:class=b@test" not in said  # Costs nothing by the spec.
    missed = found["missed-adverse-rate:class=b@test"]
    assert (missed.of, missed.n) == ("object", objects.present("b").sum())
    seen = found["false-adverse-rate:class=b@test"]
    assert (seen.of, seen.n) == ("image", n - evidence.scored(of="image").present("b").sum())
    assert worlds.unfilled(Consequences, [*found.values()]) == []
    assert worlds.sentence(Consequences, seen).startswith("“b” seen in images without it, test")


def test_groups_of_objects_have_misses_and_no_cost(worlds):
    evidence = detector(worlds, seed=1, spec=worlds.spec(consequences=STATED))
    (table,) = (r for r in Consequences().run(evidence) if isinstance(r, Table))
    lines = {(row[0], row[5]) for row in table.rows}
    assert lines == {
        ("light", "cost"), ("light", "wrongly called b"), ("light", "b missed"),
        ("occlusion", "b missed"),
    }  # fmt: skip


def hand_made(worlds, answers, *, of=((0, 0), (40, 1))):
    """Twelve images; in the first objects of the given places and classes, and the answers."""
    dataset = boxed(worlds, CLASSES, np.zeros((12, 3), dtype=bool))
    corners = [[x, 0, x + 20, 20] for x, _ in of]
    truth = boxes([0] * len(of), corners, [label for _, label in of])
    dataset = dataclasses.replace(dataset, truth=BoxTruth(truth, np.ones(12, dtype=bool)))
    said = detections([0] * len(answers), [[x, 0, x + 20, 20] for x, _ in answers],
                      [c for _, c in answers], np.linspace(0.9, 0.6, len(answers)))  # fmt: skip
    return boxed_evidence(worlds, worlds.spec(), CLASSES).add_found(dataset, said)


@pytest.mark.parametrize(
    ("answers", "cost"),
    [
        ([(0, 0), (40, 1)], 0),
        ([(0, 0)], 20),  # b missed
        ([], 30),
        ([(0, 0), (40, 1), (80, 2)], 3),  # c where nothing is
        ([(0, 0), (1, 0), (40, 1)], 1),  # a said again
        ([(0, 1), (40, 1)], 10 + 2),  # a called b: missed, and b falsely alarmed, once
        ([(0, 2), (40, 1)], 7),  # a called c, which has a cost of its own
        ([(0, 2), (1, 2), (40, 1)], 7 + 3),  # again: the second is a false alarm
        ([(15, 0), (40, 1)], 10 + 1),  # a poor box finds nothing
    ],
)
def test_each_error_is_counted_once(worlds, answers, cost):
    stated = CostsSpec(
        unit="EUR",
        matrix={"a": {"nothing": 10.0, "c": 7.0}, "b": {"nothing": 20.0},
                "nothing": {"a": 1.0, "b": 2.0, "c": 3.0}},
    )  # fmt: skip
    rows = hand_made(worlds, answers).scored(of="image")
    spent = rows.presence.costs(cost_matrix(stated, classes=CLASSES))
    assert spent.tolist() == [cost, *[0] * 11]
    turned = rows.take(np.arange(12)[::-1])
    assert turned.presence.costs(cost_matrix(stated, classes=CLASSES)).tolist()[-1] == cost


def test_what_is_called_another_class_is_borne_as_a_miss_and_as_a_false_alarm(worlds):
    evidence = hand_made(worlds, [(0, 1), (40, 1)])  # a called b
    evidence.spec = worlds.spec(consequences=STATED)
    found = worlds.measures(Consequences(), evidence)
    borne = {m.subject.get("by"): 12 * value(m.estimate) for m in found.values()
             if m.name == "cost-borne"}  # fmt: skip
    assert borne == pytest.approx({"the rider": MISS, "the road office": ALARM, "not stated": 0})
    parts = borne_costs(evidence.spec.consequences, classes=CLASSES)
    whole = cost_matrix(evidence.spec.consequences.costs, classes=CLASSES)
    np.testing.assert_allclose(sum(parts.values()), whole)
    # Nobody but who is named for "nothing" bears that a is called c, which costs no false alarm.
    assert [party for party, own in parts.items() if own[0, 2]] == ["the rider"]


def test_costs_that_do_not_name_nothing_are_those_of_confusions(worlds):
    stated = CostsSpec(unit="EUR", matrix={"a": {"b": 5.0}})
    matrix = cost_matrix(stated, classes=CLASSES)
    assert matrix.shape == (3, 3)
    rows = hand_made(worlds, [(0, 1)]).scored(of="image")
    assert rows.presence.costs(matrix).sum() == 5
    objects = hand_made(worlds, [(0, 1)]).scored(of="object")
    assert objects.presence.costs(matrix).tolist() == [5, 0]


def test_a_detector_without_errors_claims_no_certainty(worlds):
    none = {"night": 0, "day": 0}
    evidence = detector(worlds, seed=0, missed=none, alarms=none,
                        n=40, spec=worlds.spec(consequences=STATED))  # fmt: skip
    found = worlds.measures(Consequences(), evidence)["expected-cost:@test"]
    assert value(found.estimate) == 0
    assert interval(found.estimate).high > 0


def spec_of(task, matrix, classes=("hole", "leaf")):
    model = SEGMENTER | {"classes": classes}
    if task == "detection":
        model |= {"task": "detection", "output": "yolov8"}
    if task == "classification":
        model = {key: model[key] for key in ("path", "classes", "input")}
    data = {
        "test": {"manifest": "m.csv"} | ({} if task == "classification" else {"annotations": "a"})
    }
    costs = {"unit": "EUR", "matrix": matrix}
    return AuditSpec.model_validate(
        {"audit": {"title": "t"}, "model": model, "data": data, "consequences": {"costs": costs}}
    )


@pytest.mark.parametrize(
    ("task", "matrix", "classes", "said"),
    [
        ("detection", {"hole": {"nothing": 1.0}}, ("hole", "leaf"), ""),
        ("segmentation", {"nothing": {"hole": 1.0}}, ("hole", "leaf"), ""),
        ("detection", {"hole": {"leaf": 1.0}}, ("hole", "leaf"), ""),
        ("detection", {"hole": {"nothin": 1.0}}, ("hole", "leaf"), "Did you mean 'nothing'?"),
        ("classification", {"hole": {"nothing": 1.0}}, ("hole", "leaf"), "there is no class"),
        ("detection", {"nothing": {"nothing": 1.0}}, ("hole", "leaf"), "is no error; drop it."),
        ("segmentation", {"hole": {"leaf": 1.0}}, ("hole", "leaf"),
         "state {hole: {nothing: ...}} and {nothing: {leaf: ...}}."),
        ("detection", {"hole": {"nothing": 1.0}}, ("hole", "nothing"),
         "give it another name under data.classes.map."),
    ],
)  # fmt: skip
def test_nothing_is_named_in_costs_of_what_may_be_absent(task, matrix, classes, said):
    found = [problem.text for problem in spec_problems(spec_of(task, matrix, classes))]
    assert len(found) == bool(said)
    assert not said or said in found[0]


def test_a_matrix_that_names_a_class_there_is_not_is_refused(worlds):
    costs = CostsSpec(unit="EUR", matrix={"nothing": {"d": 1.0}})
    with pytest.raises(SpecError, match="found class 'd'"):
        cost_matrix(costs, classes=CLASSES)
