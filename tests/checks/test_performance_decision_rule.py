import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, detections, each_box

from auditor.checks.performance_decision_rule import DecisionRule, ThresholdClass, _Rule
from auditor.contract import Available
from auditor.findings import Figure, Table
from auditor.scoring import cost
from auditor.scoring.outcomes import Outcomes
from auditor.stats import p_value, value

LIMIT = 0.05


def world(worlds, *, seed, skew=0.0, n=1000, consequences=None, photos=None):
    """A binary model whose probability of b is `skew` lower than the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.02, 0.98, n)
    labels = (rng.random(n) < truth).astype(int)
    p = np.clip(truth - skew, 0.001, 0.999)
    units = None if photos is None else np.arange(n) // photos
    spec = worlds.spec(consequences=consequences or {})
    return worlds.evidence(spec=spec).add(
        worlds.dataset(labels, units=units), np.column_stack([1 - p, p]).astype(np.float32)
    )


def gain(worlds, **settings):
    return worlds.measures(DecisionRule(), world(worlds, **settings))["accuracy-gain:class=b@test"]


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("photos", [None, 2])
def test_a_threshold_that_is_badly_set_is_found(worlds, seed, photos):
    found = gain(worlds, seed=seed, skew=0.4, n=2000, photos=photos)
    assert exceeds(found)
    assert 0.03 <= found.facts["threshold"] <= 0.25


@pytest.mark.parametrize("seed", range(6))
def test_a_threshold_that_is_well_set_is_left_alone(worlds, seed):
    assert not exceeds(gain(worlds, seed=seed))


def test_picking_on_one_half_does_not_make_gains_on_the_other(worlds):
    found = [gain(worlds, seed=seed, n=200) for seed in range(150)]
    assert np.mean([value(m.estimate) for m in found]) < 0.01
    assert sum(exceeds(m, 0.0) for m in found) / 150 <= 0.08


def test_half_of_the_units_judge_whole_units(worlds):
    found = gain(worlds, seed=1, skew=0.4, photos=4)
    assert (found.n, found.n_units) == (500, 125)


COSTS = {"unit": "EUR", "matrix": {"a": {"b": 1.0}, "b": {"a": 10.0}}}


@pytest.mark.parametrize("seed", range(6))
def test_an_eye_on_costs_saves_what_it_should(worlds, seed):
    evidence = world(worlds, seed=seed, consequences={"costs": COSTS, "adverse": ("b",)})
    found = worlds.measures(DecisionRule(), evidence)["cost-saved:@test"]
    o = evidence.answers("test")
    cheap = o.probabilities[:, 1] >= 1 / 11
    costs = np.array([[0, 1], [10, 0]])
    saved = costs[o.labels, o.predicted].mean() - costs[o.labels, cheap.astype(int)].mean()
    assert value(found.estimate) == pytest.approx(saved)
    assert exceeds(found, 0.0)
    even = {"unit": "EUR", "matrix": {"a": {"b": 1.0}, "b": {"a": 1.0}}}
    same = worlds.measures(DecisionRule(), world(worlds, seed=seed, consequences={"costs": even}))
    assert value(same["cost-saved:@test"].estimate) == 0
    assert not exceeds(same["cost-saved:@test"], 0.0)


def test_figure_and_table_move_along_the_thresholds(worlds):
    check = DecisionRule(thresholds=(0.1, 0.5, 0.9))
    evidence = world(worlds, seed=2, consequences={"costs": COSTS})
    found = list(check.run(evidence))
    (figure,) = (r for r in found if isinstance(r, Figure))
    (table,) = (r for r in found if isinstance(r, Table))
    caught = [row["y"] for row in figure.rows if row["series"] == "b found"]
    assert caught == sorted(caught, reverse=True)
    assert [row[0] for row in table.rows] == [
        "likeliest class", "cheapest by its probabilities", "from 0.1", "from 0.5", "from 0.9",
    ]  # fmt: skip
    assert table.rows[0][1:] == worlds.nearly(table.rows[3][1:])
    assert table.rows[1][4] < table.rows[0][4] < table.rows[4][4]


def test_of_many_classes_adverse_ones_get_thresholds(worlds):
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(3), size=300).astype(np.float32)
    classes = ("fine", "minor", "serious")
    spec = worlds.spec(consequences={"adverse": ("serious", "minor")})
    evidence = worlds.evidence(spec=spec, model=worlds.facts(classes=classes)).add(
        worlds.dataset(probabilities.argmax(axis=1), classes=classes), probabilities
    )
    found = worlds.measures(DecisionRule(), evidence)
    assert set(found) == {f"accuracy-gain:class={c}@test" for c in ("serious", "minor")}
    assert all(value(m.estimate) == 0 for m in found.values())


def test_without_adverse_class_only_two_classes_have_a_threshold(worlds):
    need = ThresholdClass()
    two = Available(worlds.spec(), worlds.facts(), {})
    three = Available(worlds.spec(), worlds.facts(classes=("a", "b", "c")), {})
    assert need.unmet(two) is None
    assert "consequences.adverse" in need.unmet(three).remedy


PARTS = ("cup", "plate")


def boxes_of(worlds, *, seed, declared, n=150, holds_from=0.5):
    """Boxes that are right from one score on and made up below it."""
    rng = np.random.default_rng(seed)
    holds = rng.random((n, 2)) < 0.6
    spec = worlds.spec(
        model={**DETECTOR, "classes": PARTS, "operating_point": {"confidence": declared}}
    )
    evidence = boxed_evidence(worlds, spec, PARTS)
    right = each_box(detections, holds, rng.uniform(holds_from, 1, int(holds.sum())))
    made_up = rng.random((n, 2)) < 0.5
    wrong = each_box(detections, made_up, rng.uniform(0.05, holds_from, int(made_up.sum())))
    image = np.concatenate([right.image, wrong.image])
    order = np.argsort(image, kind="stable")
    answers = detections(
        image[order],
        np.concatenate([right.corners, wrong.corners + 200])[order],
        np.concatenate([right.classes, wrong.classes])[order],
        np.concatenate([right.scores, wrong.scores])[order],
    )
    return evidence.add_found(boxed(worlds, PARTS, holds), answers, confidence=declared)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("declared", [0.1, 0.9])
def test_a_confidence_threshold_that_is_badly_set_is_found(worlds, seed, declared):
    evidence = boxes_of(worlds, seed=seed, declared=declared)
    found = worlds.measures(DecisionRule(), evidence)["errors-saved:@test"]
    assert p_value(found.estimate, limit=0.2, exceeds="above") <= 0.05
    assert found.facts["threshold"] == 0.5
    assert worlds.sentence(DecisionRule, found).startswith(
        f"Boxes from 0.5 on instead of {declared}"
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_confidence_threshold_that_is_well_set_is_left_alone(worlds, seed):
    evidence = boxes_of(worlds, seed=seed, declared=0.5)
    results = list(DecisionRule().run(evidence))
    assert worlds.unfilled(DecisionRule, results) == []
    found = results[0]
    assert value(found.estimate) == 0
    assert worlds.sentence(DecisionRule, found).startswith("No threshold has fewer")


def test_the_table_of_thresholds_counts_as_rows_do(worlds):
    evidence = boxes_of(worlds, seed=1, declared=0.3)
    table = [r for r in DecisionRule().run(evidence) if isinstance(r, Table)][-1]
    (used,) = [row for row in table.rows if "in use" in row[0]]
    objects, answers, images = (
        evidence.scored("test", of=k) for k in ("object", "answer", "image")
    )
    alarms = images.amounts["false-alarms"].values.mean()
    missed = images.amounts["not-found"].values.mean()
    assert used[1:] == pytest.approx(
        (objects.right.mean(), answers.right.mean(), alarms, alarms + missed)
    )


def test_class_maps_have_no_threshold(worlds):
    spec = worlds.spec(model={**SEGMENTER, "classes": PARTS})
    facts = worlds.facts(task="segmentation", classes=PARTS)
    unmet = ThresholdClass().unmet(Available(spec, facts, {}))
    assert "no scores to put a threshold on" in unmet.reason


def test_the_last_of_many_classes_is_answered_from_a_threshold_on(worlds):
    """Answers are held in as few bytes as classes need, not as few as were answered."""
    classes = tuple(f"c{i}" for i in range(200))
    probabilities = np.full((3, 200), 0.001, dtype=np.float32)
    probabilities[[0, 1, 2], [5, 5, 199]] = 0.6
    probabilities[1, 199] = 0.3
    dataset = worlds.dataset([5, 199, 199], classes=classes)
    rule = _Rule.of(Outcomes(dataset, probabilities), "c199")
    assert rule.answers(0.25).tolist() == [5, 199, 199]
    assert rule.answers(0.9).tolist()[:2] == [5, 5]


def test_answers_of_many_images_are_those_of_each(monkeypatch):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], size=11).astype(np.float32)
    matrix = np.array([[0.0, 4, 60], [2, 0, 9], [90, 30, 0]])
    whole = cost.cheapest_answers(probabilities, matrix)
    monkeypatch.setattr(cost, "_AT_ONCE", 4)
    assert cost.cheapest_answers(probabilities, matrix).tolist() == whole.tolist()
    assert len(set(whole.tolist())) > 1
