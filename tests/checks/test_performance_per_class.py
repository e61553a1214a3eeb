import time

import numpy as np
import pytest
from sklearn import metrics

from auditor.checks.performance_per_class import PerClass
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import holm, p_value, value

LIMIT = 0.8


def world(worlds, *, seed, recalls, n=150, units=None):
    rng = np.random.default_rng(seed)
    classes = len(recalls)
    labels = np.repeat(np.arange(classes), n)
    answers = np.where(
        rng.random(len(labels)) < np.array(recalls)[labels], labels, (labels + 1) % classes
    )
    names = tuple(f"class {i}" for i in range(classes))
    return worlds.evidence().add(
        worlds.dataset(labels, classes=names, units=units),
        worlds.probabilities(answers, n_classes=classes),
    )


def failing(found):
    recalls = {k: m for k, m in found.items() if m.name == "recall"}
    p = holm([p_value(m.estimate, limit=LIMIT, exceeds="below") for m in recalls.values()])
    return {k for k, adjusted in zip(recalls, p, strict=True) if adjusted <= 0.05}


@pytest.mark.parametrize("seed", range(6))
def test_the_class_that_is_missed_is_found_and_no_other(worlds, seed):
    evidence = world(worlds, seed=seed, recalls=[0.9, 0.55, 0.92, 0.9])
    assert failing(worlds.measures(PerClass(), evidence)) == {"recall:class=class%201@test"}


@pytest.mark.parametrize("seed", range(6))
def test_classes_above_the_limit_do_not_fail(worlds, seed):
    assert not failing(worlds.measures(PerClass(), world(worlds, seed=seed, recalls=[0.85] * 6)))


def test_numbers_are_scikit_learns(worlds):
    evidence = world(worlds, seed=1, recalls=[0.9, 0.6, 0.8])
    found = worlds.measures(PerClass(), evidence)
    o = evidence.answers("test")
    for kind in ("recall", "precision"):
        score = getattr(metrics, f"{kind}_score")(o.labels, o.predicted, average=None)
        ours = [value(found[f"{kind}:class=class%20{i}@test"].estimate) for i in range(3)]
        np.testing.assert_allclose(ours, score)
    (table,) = (r for r in PerClass().run(evidence) if isinstance(r, Table))
    f1 = metrics.f1_score(o.labels, o.predicted, average=None)
    np.testing.assert_allclose([row[9] for row in table.rows], f1)
    assert [row[10] for row in table.rows] == ["class 1", "class 2", "class 0"]


def test_few_rare_classes_are_named_one_by_one(worlds):
    labels = np.array([0] * 40 + [1] * 9)
    evidence = worlds.evidence().add(worlds.dataset(labels), worlds.probabilities(labels))
    found = [r for r in PerClass().run(evidence) if isinstance(r, Unmeasured)]
    assert [(r.name, str(r.subject)) for r in found] == [
        ("recall", "class=b@test"),
        ("precision", "class=b@test"),
    ]


def test_many_rare_classes_share_one_reason_and_the_table_has_all(worlds):
    labels = np.concatenate([np.repeat(np.arange(40), 5), np.repeat(np.arange(40, 60), 20)])
    names = tuple(str(i) for i in range(60))
    evidence = worlds.evidence().add(
        worlds.dataset(labels, classes=names), worlds.probabilities(labels, n_classes=60)
    )
    found = list(PerClass().run(evidence))
    reasons = [r for r in found if isinstance(r, Unmeasured)]
    assert [r.name for r in reasons] == ["recall", "precision"]
    assert reasons[0].subject.get("classes") == "40 classes with fewer than 10 units"
    assert len([r for r in found if isinstance(r, Measure)]) == 40
    (table,) = (r for r in found if isinstance(r, Table))
    assert len(table.rows) == 60


def test_units_are_counted_not_images(worlds):
    evidence = world(worlds, seed=2, recalls=[0.9, 0.9], units=np.repeat(np.arange(16), 19)[:300])
    found = list(PerClass().run(evidence))
    reasons = [r.reason for r in found if isinstance(r, Unmeasured) and r.name == "recall"]
    assert [f"{n} units" in r for n, r in zip((8, 9), reasons, strict=True)] == [True, True]


def test_the_figure_shows_the_lowest(worlds):
    evidence = world(worlds, seed=3, recalls=[0.9, 0.5, 0.7])
    (figure,) = (r for r in PerClass(drawn=2).run(evidence) if isinstance(r, Figure))
    assert [row["label"] for row in figure.rows] == ["class 1", "class 2"]
    assert "Lowest is class 1" in figure.alt


def test_a_thousand_classes_stay_quick(worlds):
    evidence = world(worlds, seed=4, recalls=[0.8] * 1000, n=12)
    start = time.process_time()
    found = list(PerClass().run(evidence))
    spent = time.process_time() - start
    assert len([r for r in found if isinstance(r, Measure)]) > 1500
    print(f"1,000 classes, 12,000 images: {spent:.1f} s of CPU")
