import dataclasses

import cue_worlds
import numpy as np
import pytest

from auditor.checks.shortcut_leave_one_source_out import LeaveOneSourceOut, Sources
from auditor.contract import Available
from auditor.findings import Measure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.spec import AttributeSpec
from auditor.stats import bound, value

TASKS = ["classification", "detection", "segmentation"]
CHECK = LeaveOneSourceOut()


def world(worlds, task, *, seed, marked, photos=1, n=480, together=0.5):
    """Three sites; where `marked`, site z shows the label by a mark of its own, and no other way.

    Its images look, in all other directions, like those of the other label.
    """
    sites = None

    def attributes(how, rng):
        nonlocal sites
        sites = np.repeat(rng.choice(["x", "y", "z"], len(how) // photos), photos)
        return {"site": ("condition", sites)}

    evidence = cue_worlds.world(
        worlds, task, seed=seed, together=together, photos=photos, n=n, attributes=attributes
    )
    truth = evidence.scored("test", of="image").present("b")
    rng = np.random.default_rng([seed, 2])
    seen = cue_worlds.embedding(rng, truth, truth, sees=0.0)
    if marked:
        away = sites == "z"
        seen[away, 0] -= 3.0 * truth[away]
        seen[away, 2] += 4.0 * truth[away]
    evidence.embeddings["test"] = seen
    return declared(evidence)


def declared(evidence):
    """The same with all attributes declared as sources."""
    for key, data in list(evidence.datasets.items()):
        sources = tuple(dataclasses.replace(a, source=True) for a in data.attributes)
        told = dataclasses.replace(data, attributes=sources)
        evidence.datasets[key] = told
        for at, found in list(evidence.passes.items()):
            evidence.passes[at] = (
                (told, found[1])
                if isinstance(found, tuple)
                else dataclasses.replace(found, dataset=told)
            )
    return evidence


def lost(worlds, evidence):
    """Measures by their site."""
    return {m.subject.get("site"): m for m in worlds.measures(CHECK, evidence).values()}


def verdict(worlds, evidence, task):
    results = CHECK.run(evidence)
    wanted = "source-left-out" + ("" if task == "classification" else "-presence")
    limits = [x for x in load_policy("default").policy.limits if x.id == wanted]
    measured = tuple(r for r in results if isinstance(r, Measure))
    checked = CheckResults(CHECK.id, measured, ())
    (result,) = worlds.record(checked, limits=limits, spec=evidence.spec).limit_results
    return result.verdict.name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("photos", [1, 4])
def test_a_site_that_shows_the_label_its_own_way_is_lost(worlds, task, photos):
    evidence = world(worlds, task, seed=0, marked=True, photos=photos, n=960)
    found = lost(worlds, evidence)
    assert bound(found["z"].estimate, side="low") > 0.1
    assert value(found["x"].estimate) < 0.1
    assert verdict(worlds, evidence, task) == "FAIL"


@pytest.mark.parametrize("photos", [1, 4])
def test_sites_that_are_alike_lose_nothing(worlds, photos):
    above, all_told = 0, 0
    for seed in range(20):
        found = lost(
            worlds, world(worlds, "classification", seed=seed, marked=False, photos=photos)
        )
        above += sum(bound(m.estimate, side="low") > 0 for m in found.values())
        all_told += len(found)
    # At 5% more than 8 of 60 has probability 0.3%.
    assert all_told == 60
    assert above <= 8


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_sites_that_are_alike_do_not_fail(worlds, task):
    for seed in range(4):
        evidence = world(worlds, task, seed=seed, marked=False)
        assert verdict(worlds, evidence, task) != "FAIL"


def test_both_classifiers_learn_from_as_many_images(worlds, monkeypatch):
    from auditor.checks import shortcut_leave_one_source_out as module

    seen = []
    right = module.Task.right

    def watched(self, features, *, trained, judged, weight):
        seen.append((len(trained), set(trained) & set(judged)))
        return right(self, features, trained=trained, judged=judged, weight=weight)

    monkeypatch.setattr(module.Task, "right", watched)
    list(CHECK.run(world(worlds, "classification", seed=0, marked=False)))
    # A fold and a site: one without the site, then four of all sites.
    sizes = np.array([size for size, _ in seen]).reshape(-1, 5)
    assert (sizes == sizes[:, :1]).all()
    assert not any(both for _, both in seen)


def test_it_speaks_of_the_data_and_not_of_the_model(worlds):
    results = list(CHECK.run(world(worlds, "detection", seed=0, marked=True)))
    assert worlds.unfilled(LeaveOneSourceOut, results) == []
    said = [worlds.sentence(LeaveOneSourceOut, r) for r in results if isinstance(r, Measure)]
    assert all(
        "This is about the data and their features, not about the model's" in s for s in said
    )
    (table,) = [r for r in results if isinstance(r, Table)]
    assert {row[1] for row in table.rows} == {"x", "y", "z"}


def test_a_small_site_is_said(worlds):
    evidence = world(worlds, "classification", seed=0, marked=False)
    sites = evidence.dataset("test").groups("site").copy()
    sites[np.flatnonzero(sites == "z")[8:]] = "x"
    data = evidence.dataset("test")
    changed = dataclasses.replace(data, table=data.frame.assign(**{"attribute:site": sites}))
    evidence.add(changed, evidence.answers("test").probabilities)
    few = {r.subject.get("site"): r for r in CHECK.run(evidence) if isinstance(r, Unmeasured)}
    assert "8 images of this source" in few["z"].reason


def test_without_a_declared_source_it_says_how_to_declare_one(worlds):
    data = worlds.dataset([0, 1], attributes={"site": ("condition", ["x", "y"])})
    unmet = Sources().unmet(Available(worlds.spec(), worlds.facts(), {"test": data}))
    assert "No attribute is declared to be a source" in unmet.reason
    assert "`source: true`" in unmet.remedy


@pytest.mark.parametrize("wrong", [{"role": "sensitive"}, {"role": "condition", "of": "object"}])
def test_people_and_objects_are_no_sources(wrong):
    with pytest.raises(ValueError, match="only an attribute of images"):
        AttributeSpec.model_validate(wrong | {"source": True})
