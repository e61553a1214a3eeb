import cue_worlds
import numpy as np
import pytest

from auditor.checks.shortcut_trivial_features import TrivialFeatures
from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import bound, value

TASKS = ["classification", "detection", "segmentation"]
FEW = TrivialFeatures(permutations=199)


def grades(results):
    (table,) = [r for r in results if isinstance(r, Table) and r.id.endswith(":grades")]
    return {row[0]: row[-1] for row in table.rows}


def measured(results, name):
    """Measures of a name by their cue."""
    return {r.subject.get("cue"): r for r in results if isinstance(r, Measure) and r.name == name}


def worth_of(task):
    return "accuracy-worth" if task == "classification" else "presence-worth"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cue", ["brightness", "corners", "file type"])
def test_a_cue_that_is_offered_and_followed_is_told(worlds, task, cue):
    results = list(FEW.run(cue_worlds.world(worlds, task, seed=0, cue=cue, reliance=0.6)))
    told = measured(results, "label-auc")[cue]
    assert told.facts["offered"]
    assert value(told.estimate) > 0.65
    worth = measured(results, worth_of(task))[cue]
    assert bound(worth.estimate, side="low") > 0.05
    # What a picture shows may rightly differ in light; a file's type never belongs to it.
    assert grades(results)[cue] == ("shortcut" if cue == "file type" else "reliance")


@pytest.mark.parametrize("task", TASKS)
def test_a_cue_that_is_offered_and_not_followed_is_an_opportunity(worlds, task):
    evidence = cue_worlds.world(
        worlds, task, seed=1, cue="file type", accuracy=0.97, together=0.9, n=1500
    )
    results = list(FEW.run(evidence))
    assert measured(results, "label-auc")["file type"].facts["offered"]
    assert grades(results)["file type"] == "opportunity"


def test_the_hard_null_is_no_shortcut(worlds):
    """The cue goes with the label in nine of ten images, and the model never saw it."""
    alarms = 0
    for seed in range(10):
        evidence = cue_worlds.world(
            worlds, "classification", seed=seed, cue="file type", together=0.95
        )
        alarms += grades(list(FEW.run(evidence)))["file type"] in ("shortcut", "reliance")
    assert alarms <= 1


@pytest.mark.parametrize("photos", [1, 5])
def test_where_nothing_goes_with_the_label_nothing_is_said_to_be_offered(worlds, photos):
    offered = shown = 0
    for seed in range(12):
        evidence = cue_worlds.world(
            worlds, "classification", seed=seed, cue=None, photos=photos, n=300
        )
        told = measured(list(FEW.run(evidence)), "label-auc").values()
        offered += any(m.facts["offered"] for m in told)
        shown += any(m.facts["p"] <= 0.05 for m in told)
    # At 5% for all cues together more than 3 of 12 has probability 0.2%.
    assert shown <= 3
    assert offered <= shown


def test_photos_of_a_room_do_not_pass_for_many(worlds):
    """Each room has a look and a label of its own: five photos of it are one look."""
    shown = 0
    for seed in range(10):
        evidence = cue_worlds.world(worlds, "classification", seed=seed, cue=None, photos=5, n=300)
        frame = evidence.scans["test", "sound"]
        rng = np.random.default_rng(seed)
        looks = np.repeat(rng.normal(size=(60, len(PROPERTY_NAMES))), 5, axis=0)
        frame[list(PROPERTY_NAMES)] = 100 + 10 * looks
        told = measured(list(FEW.run(evidence)), "label-auc").values()
        shown += any(m.facts["p"] <= 0.05 for m in told)
    assert shown <= 3


def test_too_few_disagree_is_said_and_inconclusive(worlds):
    evidence = cue_worlds.world(
        worlds, "classification", seed=0, cue="file type", together=1.0, reliance=1.0, n=200
    )
    results = list(FEW.run(evidence))
    (few,) = [
        r for r in results if isinstance(r, Unmeasured) and r.subject.get("cue") == "file type"
    ]
    assert "For only 0 test images would the file type suggest another label" in few.reason
    assert "at least 20 more" in few.remedy
    assert grades(results)["file type"] == "inconclusive"


def test_more_images_are_sampled_in_whole_units(worlds):
    evidence = cue_worlds.world(worlds, "classification", seed=0, photos=5)
    results = list(TrivialFeatures(permutations=199, most_images=300).run(evidence))
    told = measured(results, "label-auc")["brightness"]
    assert (told.n, told.n_units, told.facts["of_all"]) == (300, 60, 500)
    assert "Looked at were 300 of 500 images" in worlds.sentence(TrivialFeatures, told)


def test_images_that_are_all_alike_offer_nothing(worlds):
    evidence = cue_worlds.world(worlds, "classification", seed=0, cue=None)
    frame = evidence.scans["test", "sound"]
    frame[list(PROPERTY_NAMES)] = 1.0
    frame["thumbnail"] = [frame["thumbnail"][0]] * len(frame)
    (nothing,) = FEW.run(evidence)
    assert "all alike in brightness, colour" in nothing.reason


def test_a_single_class_is_said(worlds):
    evidence = worlds.evidence()
    data = worlds.dataset(np.zeros(50, dtype=int))
    evidence.add(data, worlds.probabilities(np.zeros(50, dtype=int)))
    rng = np.random.default_rng(0)
    evidence.scans["test", "sound"] = cue_worlds.scan_of(data, rng)
    (nothing,) = FEW.run(evidence)
    assert "No class is in 10 test units or more" in nothing.reason


@pytest.mark.parametrize("task", TASKS)
def test_offered_and_used_are_two_sentences(worlds, task):
    results = list(FEW.run(cue_worlds.world(worlds, task, seed=0, reliance=0.5)))
    assert worlds.unfilled(TrivialFeatures, results) == []
    offered = worlds.sentence(TrivialFeatures, measured(results, "label-auc")["brightness"])
    used = worlds.sentence(TrivialFeatures, measured(results, worth_of(task))["brightness"])
    assert "The data offer it" in offered
    assert "That says nothing of whether this model does." in offered
    assert "The data offer" not in used
    assert "That is an association" in used
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert len(figure.rows) == len(measured(results, "label-auc"))


def test_three_classes_are_told_one_by_one(worlds):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    data = worlds.dataset(labels, classes=("a", "b", "c"))
    evidence = worlds.evidence()
    evidence.add(data, worlds.probabilities(labels, n_classes=3))
    evidence.scans["test", "sound"] = cue_worlds.scan_of(
        data, rng, cue="file type", how=labels == 2
    )
    results = list(FEW.run(evidence))
    told = measured(results, "label-auc")["file type"]
    assert (told.facts["best"], told.facts["n_classes"]) == ("c", 3)
    (table,) = [r for r in results if isinstance(r, Table) and r.id.endswith(":classes")]
    shares = {row[1]: row[2] for row in table.rows if row[0] == "file type"}
    assert shares["c"] == pytest.approx(1.0)
    assert shares["a"] == pytest.approx(0.75, abs=0.05)
