import cue_worlds
import numpy as np
import pytest

from auditor.checks.shortcut_decodability import Decodability
from auditor.findings import Measure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.stats import value

TASKS = ["classification", "detection", "segmentation"]
FEW = Decodability(permutations=99)
PHONE = "group-auc:attribute=phone@test"
SITE = "group-auc:attribute=site@test"


def attributes(how, rng):
    sites = rng.choice(["x", "y", "z"], len(how))
    return {"phone": ("nuisance", np.where(how, "q", "p")), "site": ("condition", sites)}


def world(worlds, task, *, seed, sees, photos=1, together=0.9, n=400):
    """Phones that go with the label; the embedding holds them where `sees` is above 0."""
    evidence = cue_worlds.world(
        worlds, task, seed=seed, together=together, photos=photos, n=n, attributes=attributes
    )
    rows = evidence.scored("test", of="image")
    truth, how = rows.present("b"), rows.groups("phone") == "q"
    rng = np.random.default_rng([seed, 1])
    evidence.embeddings["test"] = cue_worlds.embedding(rng, truth, how, sees=sees)
    return evidence


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("photos", [1, 4])
def test_what_the_embedding_holds_is_read(worlds, task, photos):
    found = worlds.measures(FEW, world(worlds, task, seed=1, sees=2.0, photos=photos))
    assert value(found[PHONE].estimate) > 0.8
    assert found[PHONE].facts["readable"]
    assert not found[SITE].facts["readable"]


@pytest.mark.parametrize("photos", [1, 4])
def test_what_goes_with_the_label_alone_is_not_read(worlds, photos):
    """The label is in the embedding and the phone goes with it: that is not reading the phone."""
    readable = 0
    for seed in range(20):
        evidence = world(worlds, "classification", seed=seed, sees=0.0, photos=photos)
        readable += worlds.measures(FEW, evidence)[PHONE].facts["p"] <= 0.05
    # At 5% more than 4 of 20 has probability 0.3%.
    assert readable <= 4


def test_units_are_not_read_as_attributes(worlds):
    """Rooms have looks and phones of their own; two photos of a room are no two rooms."""
    readable = 0
    for seed in range(20):
        evidence = world(worlds, "classification", seed=seed, sees=0.0, photos=5, together=0.5)
        rng = np.random.default_rng(seed)
        evidence.embeddings["test"] = np.repeat(rng.normal(size=(80, 6)), 5, axis=0)
        readable += worlds.measures(FEW, evidence)[PHONE].facts["p"] <= 0.05
    assert readable <= 4


def test_no_policy_judges_it():
    for name in ("default", "strict"):
        limits = load_policy(name).policy.limits
        assert not [x for x in limits if x.measure.startswith("shortcut/decodability")]


def test_a_readable_attribute_is_said_not_to_be_a_used_one(worlds):
    results = list(FEW.run(world(worlds, "detection", seed=0, sees=2.0)))
    assert worlds.unfilled(Decodability, results) == []
    said = [worlds.sentence(Decodability, r) for r in results if isinstance(r, Measure)]
    assert all("A readable attribute is not a used one" in s for s in said)
    assert "It can be read (p = 0.02)." in said[0]
    assert "It is not shown that it can be read" in said[1]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row[0] for row in table.rows] == ["phone", "site", "site", "site"]


def test_an_attribute_of_one_group_and_an_empty_embedding_are_said(worlds):
    evidence = world(worlds, "classification", seed=0, sees=1.0, together=1.0)
    found = {r.subject.get("attribute"): r for r in FEW.run(evidence) if isinstance(r, Unmeasured)}
    # Each class has one phone: nothing is left to compare within a class.
    assert "among test images of the same class" in found["phone"].reason
    evidence.embeddings["test"] = np.ones((400, 3), dtype=np.float32)
    (nothing,) = FEW.run(evidence)
    assert "The embedding is the same for all labelled test images" in nothing.reason


def test_more_images_are_sampled(worlds):
    evidence = world(worlds, "classification", seed=0, sees=1.0, photos=4, together=0.7)
    found = worlds.measures(Decodability(permutations=99, most_images=240), evidence)[PHONE]
    assert (found.n, found.n_units, found.facts["of_all"]) == (240, 60, 400)
