import numpy as np
import pytest

from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.shift.metadata import MetadataShift
from auditor.stats import interval, p_value, value

PHONES = ("new", "mid", "old")


def world(worlds, *, seed=0, n=400, old=0.06, copies=1, light=True, train=True):
    """Rooms photographed by phones; where it will run a share `old` is by old ones."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    shares = {"test": 0.06, "deployment": old, "train": 0.02}
    for split, share in shares.items():
        if split == "train" and not train:
            continue
        rest = (1 - share) / 2
        phone = np.repeat(rng.choice(PHONES, size=n, p=[rest, rest, share]), copies)
        attributes = {"phone": ("nuisance", phone)}
        if light or split == "test":
            hours = rng.choice(["day", "night"], size=n, p=[0.8, 0.2])
            attributes["light"] = ("condition", np.repeat(hours, copies))
        units = np.repeat(np.arange(n), copies)
        labels = np.zeros(n * copies, dtype=int)
        evidence.add(worlds.dataset(labels, split=split, attributes=attributes, units=units))
    return evidence


def judged(worlds, evidence, policy="default"):
    found = CheckResults(
        MetadataShift.id, tuple(worlds.measures(MetadataShift(), evidence).values())
    )
    record = worlds.record(found, limits=load_policy(policy).policy.limits)
    return {f.id.partition(":")[2]: f for f in record.findings if f.check == MetadataShift.id}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_that_is_commoner_there_is_found_and_told_in_counts(worlds, seed):
    evidence = world(worlds, seed=seed, old=0.61)
    found = worlds.measures(MetadataShift(), evidence)["share:phone=old@deployment"]
    assert value(found.estimate) == pytest.approx(0.55, abs=0.1)
    assert p_value(found.estimate, limit=0.4, exceeds="above") <= 0.05
    findings = judged(worlds, evidence)
    assert findings["share:phone=old@deployment"].verdict.name == "FAIL"
    assert findings["share:phone=old@deployment"].severity == "advisory"
    assert findings["share:light=night@deployment"].verdict.name != "FAIL"


def test_one_source_hardly_ever_fails(worlds):
    failed = 0
    for seed in range(40):
        found = worlds.measures(MetadataShift(), world(worlds, seed=seed, train=False))
        shares = [m.estimate for m in found.values() if m.name == "share"]
        least = min(p_value(e, limit=0.1, exceeds="above") for e in shares)
        failed += len(shares) * least <= 0.05
    assert failed == 0


def test_a_burst_counts_as_one(worlds):
    one, four = (world(worlds, seed=1, old=0.3, copies=c) for c in (1, 4))
    ends = [
        interval(worlds.measures(MetadataShift(), e)["share:phone=old@deployment"].estimate)
        for e in (one, four)
    ]
    assert ends[0].low == pytest.approx(ends[1].low)
    found = worlds.measures(MetadataShift(), four)["share:phone=old@deployment"]
    assert (found.n, found.n_units, found.facts["counted"]) == (1600, 400, "units")


def test_a_group_that_the_test_lacks_is_counted_by_name(worlds):
    evidence = world(worlds, old=0.3)
    test = evidence.datasets["test", "sound"]
    test.frame["attribute:phone"] = test.frame["attribute:phone"].replace("old", "mid")
    found = worlds.measures(MetadataShift(), evidence)
    unseen = found["unseen-share:attribute=phone@deployment"]
    assert value(unseen.estimate) == pytest.approx(0.3, abs=0.07)
    assert unseen.facts["groups"] == ["old"]
    assert "the test data do not have: old." in worlds.sentence(MetadataShift, unseen)
    share = found["share:phone=old@deployment"]
    assert share.facts["absent"]
    assert "The test data have none." in worlds.sentence(MetadataShift, share)
    assert value(found["unseen-share:attribute=light@deployment"].estimate) == pytest.approx(0)
    assert value(found["untrained-share:attribute=phone@deployment"].estimate) == pytest.approx(0)
    assert (
        judged(worlds, evidence)["unseen-share:attribute=phone@deployment"].verdict.name == "FAIL"
    )


def test_without_training_data_only_test_and_deployment_are_compared(worlds):
    evidence = world(worlds, train=False)
    results = list(MetadataShift().run(evidence))
    names = {r.name for r in results if isinstance(r, Measure)}
    assert names == {"share", "unseen-share"}
    assert not any("train_share" in r.facts for r in results if isinstance(r, Measure))


def test_a_column_that_deployment_lacks_has_a_remedy(worlds):
    results = list(MetadataShift().run(world(worlds, light=False)))
    (lacking,) = [r for r in results if isinstance(r, Unmeasured)]
    assert lacking.reason == "The deployment manifest has no column for light."
    assert "data.attributes.light.column" in lacking.remedy


def test_few_values_have_a_reason(worlds):
    evidence = world(worlds, n=9)
    results = list(MetadataShift().run(evidence))
    assert {r.name for r in results} == {"share"}
    assert all("9 test units have a value of" in r.reason for r in results)


def test_tables_hold_every_group_and_the_test_of_the_whole(worlds):
    results = list(MetadataShift().run(world(worlds, old=0.61)))
    groups, wholes = (r for r in results if isinstance(r, Table))
    assert [row[:2] for row in groups.rows] == [
        ("phone", "mid"), ("phone", "new"), ("phone", "old"), ("light", "day"), ("light", "night")
    ]  # fmt: skip
    p = {row[0]: row[3] for row in wholes.rows}
    assert p["phone"] < 1e-6
    assert p["light"] > 0.01
    assert all(len(row) == len(t.columns) for t in (groups, wholes) for row in t.rows)
    figures = [r for r in results if isinstance(r, Figure)]
    assert [f.id for f in figures] == ["shift/metadata:phone", "shift/metadata:light"]
    assert "farthest apart: old" in figures[0].alt


def test_all_that_it_yields_has_words(worlds):
    evidence = world(worlds, old=0.61)
    assert worlds.unfilled(MetadataShift, list(MetadataShift().run(evidence))) == []
    found = worlds.measures(MetadataShift(), evidence)
    seen = found["unseen-share:attribute=phone@deployment"]
    assert worlds.sentence(MetadataShift, seen).startswith("The test data have every group of")
    rarer = found["share:phone=new@deployment"]
    assert "lower [" in worlds.sentence(MetadataShift, rarer)
