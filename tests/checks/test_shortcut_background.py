import dataclasses

import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxes, detections

from auditor.checks.shortcut_background import Background, ObjectPlaces
from auditor.contract import Available
from auditor.data.truth import BoxTruth
from auditor.findings import Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import interval, value

PAINTED, LOST = "found-painted-out:@test", "lost-on-other-backgrounds:@test"
MAPS = ("path", "hole", "leaf")


def detector(worlds, *, seed, painted, elsewhere, n=200):
    """Two objects an image; `painted` and `elsewhere` are the shares found under either fill."""
    rng = np.random.default_rng(seed)
    image, place = np.repeat(np.arange(n), 2), np.tile([0.0, 60.0], n)
    corners = np.stack([place, place, place + 30, place + 30], axis=1)
    truth = BoxTruth(boxes(image, corners, np.zeros(2 * n)), np.ones(n, dtype=bool))
    dataset = dataclasses.replace(worlds.dataset([-1] * n), truth=truth, has_labels=True)
    evidence = worlds.evidence(
        model=worlds.facts(task="detection"),
        spec=worlds.spec(model=DETECTOR | {"classes": ("a", "b")}),
    )
    luck = rng.random((2, 2 * n))

    def add(share, **view):
        found = luck[0] < share
        kept = detections(
            image[found], corners[found], np.zeros(found.sum()), luck[1][found] / 9 + 0.8
        )
        evidence.add_found(dataset, kept, **view)

    add(0.95)
    for view, share in zip(views(evidence), (*painted, *elsewhere), strict=True):
        add(share, view=view)
    return evidence


def views(evidence):
    return Background().views(evidence.model.classes, evidence.spec)


def segmenter(worlds, *, seed, painted, n=120):
    """Half of the maps hold a hole, which is seen under both fills in a share `painted`."""
    rng = np.random.default_rng(seed)
    hole = rng.random(n) < 0.5
    truth = [np.zeros((20, 20), dtype=np.int16) for _ in range(n)]
    for drawn in (t for t, h in zip(truth, hole, strict=True) if h):
        drawn[5:10, 5:10] = 1
    dataset = dataclasses.replace(worlds.dataset([-1] * n, classes=MAPS), has_labels=True)
    evidence = worlds.evidence(
        model=worlds.facts(task="segmentation", classes=MAPS),
        spec=worlds.spec(model=SEGMENTER | {"classes": MAPS}),
    )
    seen = rng.random(n) < painted
    evidence.add_maps(dataset, truth, truth)
    for i, view in enumerate(views(evidence)):
        said = [t if i >= 2 or s else np.zeros_like(t) for t, s in zip(truth, seen, strict=True)]
        evidence.add_maps(dataset, said, truth, view=view)
    return evidence


def verdict(worlds, found):
    limits = [x for x in load_policy("default").policy.limits if x.check == Background.id]
    results = CheckResults(Background.id, tuple(found.values()))
    (result,) = worlds.record(results, limits=limits).limit_results
    return result.verdict.name


@pytest.mark.parametrize("seed", range(3))
def test_objects_found_where_nothing_is_left_of_them_are_a_fault(worlds, seed):
    found = worlds.measures(
        Background(), detector(worlds, seed=seed, painted=(0.8, 0.7), elsewhere=(0.4, 0.5))
    )
    assert value(found[PAINTED].estimate) == pytest.approx(0.7 / 0.95, abs=0.06)
    assert verdict(worlds, found) == "FAIL"
    assert "objects found" in worlds.sentence(Background, found[PAINTED])
    assert value(found[LOST].estimate) == pytest.approx(0.45, abs=0.06)


@pytest.mark.parametrize("seed", range(3))
def test_one_fill_alone_is_no_proof(worlds, seed):
    """A grey box may be taken for a thing; the object is not found where its surroundings go on."""
    evidence = detector(worlds, seed=seed, painted=(0.8, 0.0), elsewhere=(0.9, 0.2))
    found = worlds.measures(Background(), evidence)
    assert value(found[PAINTED].estimate) == 0
    assert found[PAINTED].facts["by_mean"] > 0.7
    assert verdict(worlds, found) == "PASS"
    assert value(found[LOST].estimate) < 0.1


@pytest.mark.parametrize("seed", range(2))
def test_a_class_that_is_seen_where_it_is_painted_over_is_named(worlds, seed):
    found = worlds.measures(Background(), segmenter(worlds, seed=seed, painted=0.9))
    name = "found-painted-out:class=hole@test"
    assert value(found[name].estimate) > 0.7
    assert verdict(worlds, found) == "FAIL"
    told = worlds.sentence(Background, found[name])
    assert "in which hole was seen" in told
    assert told.endswith("Of the images that hold none it is seen in 0%.")
    clean = worlds.measures(Background(), segmenter(worlds, seed=seed, painted=0.0))
    assert verdict(worlds, clean) == "PASS"
    assert interval(clean[name].estimate).high > 0


def test_table_has_a_grade_for_each(worlds):
    results = list(
        Background().run(detector(worlds, seed=1, painted=(0.0, 0.0), elsewhere=(0.9, 0.9)))
    )
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row[-1] for row in table.rows] == ["not shown", "inconclusive"] or table.rows[0][
        -1
    ] == "not shown"
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert not worlds.unfilled(Background, results)


def test_few_objects_are_told(worlds):
    results = list(
        Background().run(detector(worlds, seed=1, painted=(0, 0), elsewhere=(0, 0), n=4))
    )
    assert len([r for r in results if isinstance(r, Unmeasured)]) == 2


def test_four_passes_and_none_for_a_classifier(worlds):
    spec = worlds.spec(model=SEGMENTER | {"classes": MAPS})
    facts = worlds.facts(task="segmentation", classes=MAPS)
    data = {"test": dataclasses.replace(worlds.dataset([-1] * 4, classes=MAPS), has_labels=True)}
    passes = ObjectPlaces().passes(Available(spec, facts, data))
    assert len({p.view.name for p in passes}) == 4
    assert [p.view.classes for p in passes] == [(1, 2)] * 4
    assert {p.sample for p in passes} == {600}
    classifier = Available(worlds.spec(), worlds.facts(), {"test": worlds.dataset([0, 1])})
    assert "one label each" in ObjectPlaces().unmet(classifier).reason
