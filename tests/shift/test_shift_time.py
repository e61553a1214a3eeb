"""Later images against earlier ones: what is lost, what they look like, and what is no change."""

import numpy as np
import pandas as pd
import pytest
from found_worlds import detector, segmenter

from auditor.contract import Available
from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.shift.time import OverTime, Times
from auditor.stats import p_value, value

DAY = pd.Timestamp("2026-01-01")


def properties(rng, units, photos):
    base = np.repeat(rng.normal(size=(units, len(PROPERTY_NAMES))), photos, axis=0)
    return pd.DataFrame(base + 0.05 * rng.normal(size=base.shape), columns=list(PROPERTY_NAMES))


def world(worlds, *, seed, units=400, photos=1, lost=0.0, darker=0.0, days=None, split="test"):
    """One unit a day; the later half is answered worse by `lost`, and is darker."""
    rng = np.random.default_rng(seed)
    days = np.arange(units) if days is None else np.asarray(days)
    late = days >= np.median(days)
    right = np.repeat(rng.random(units) < 0.9 - lost * late, photos)
    scan = properties(rng, units, photos)
    scan["mean"] -= darker * np.repeat(late, photos)
    times = pd.Series(DAY + pd.to_timedelta(np.repeat(days, photos), unit="D"))
    mixed = rng.permutation(units * photos)
    dataset = worlds.dataset(
        np.zeros(units * photos, int),
        split=split,
        units=np.repeat(np.arange(units), photos)[mixed] if photos > 1 else None,
        extra={"time": times.to_numpy()[mixed]},
    )
    evidence = worlds.evidence()
    evidence.add(dataset, worlds.probabilities(np.where(right, 0, 1)[mixed]))
    evidence.scans[split, "sound"] = scan.iloc[mixed].reset_index(drop=True)
    return evidence


def ran(evidence):
    return list(OverTime().run(evidence))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("photos", [1, 3])
def test_what_is_lost_and_what_grows_darker_is_shown(worlds, seed, photos):
    evidence = world(worlds, seed=seed, photos=photos, lost=0.2, darker=1.0)
    found = worlds.measures(OverTime(), evidence)
    assert p_value(found["lost:@test"].estimate, limit=0.05, exceeds="above") <= 0.05
    darker = found["auc:property=mean@test"]
    assert darker.facts["p_holm"] <= 0.05
    assert value(darker.estimate) < 0.4
    said = worlds.sentence(OverTime, found["lost:@test"])
    assert said.startswith("Accuracy on test images: earlier half ")


@pytest.mark.parametrize("photos", [1, 4])
def test_what_stays_is_rarely_called_a_change(worlds, photos):
    lost = darker = 0
    for seed in range(20):
        found = worlds.measures(OverTime(), world(worlds, seed=seed, units=120, photos=photos))
        lost += p_value(found["lost:@test"].estimate, limit=0.0, exceeds="above") <= 0.05
        darker += min(m.facts["p_holm"] for m in found.values() if m.name == "auc") <= 0.05
    # 5% of 20 is 1; more than 4 has probability 0.3%.
    assert lost <= 4
    assert darker <= 4


def test_value_is_the_earlier_half_minus_the_later(worlds):
    evidence = world(worlds, seed=0, lost=0.2)
    rows = evidence.scored("test")
    late = rows.dataset.frame["time"] >= DAY + pd.Timedelta(days=200)
    measure = worlds.measures(OverTime(), evidence)["lost:@test"]
    expected = rows.right[~late].mean() - rows.right[late].mean()
    assert value(measure.estimate) == pytest.approx(expected)
    assert measure.n == 400


def test_the_limit_tells_a_loss_from_none(worlds):
    (limit,) = (x for x in load_policy("default").policy.limits if x.id == "accuracy-over-time")
    found = [
        worlds.measures(OverTime(), world(worlds, seed=1, units=1000, lost=lost))["lost:@test"]
        for lost in (0.0, 0.2)
    ]
    assert [limit.is_met_by(value(m.estimate)) for m in found] == [True, False]
    assert str(limit.severity) == "advisory"


def test_a_table_tells_the_course(worlds):
    tables = [r for r in ran(world(worlds, seed=0, lost=0.2)) if isinstance(r, Table)]
    course = next(t for t in tables if "course" in t.id)
    assert len(course.rows) == 6
    assert course.rows[0][0] == "2026-01-01 to 2026-03-08"
    assert sum(row[2] for row in course.rows) == 400


def test_images_without_a_time_are_left_out(worlds):
    evidence = world(worlds, seed=0)
    dataset = evidence.datasets["test", "sound"]
    dataset.frame.loc[:99, "time"] = pd.NaT
    found = worlds.measures(OverTime(), evidence)
    assert found["auc:property=mean@test"].n == 300


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (np.zeros(80), "all 80 images that have a time of capture were taken at the same one"),
        (np.arange(40), "only 20 images are of an earlier or of a later time"),
        (np.repeat([0, 1], [75, 5]), "only 5 images are of an earlier or of a later time"),
    ],
)
def test_too_few_times_are_said(worlds, days, said):
    (result,) = ran(world(worlds, seed=0, units=len(days), days=days))
    assert isinstance(result, Unmeasured)
    assert said in result.reason
    assert "more times" in result.remedy


def test_no_time_is_said(worlds):
    evidence = worlds.evidence().add(worlds.dataset([0, 1]), worlds.probabilities([0, 1]))
    unmet = Times().unmet(
        Available(worlds.spec(), worlds.facts(), {"test": evidence.dataset("test")})
    )
    assert unmet is not None
    assert "data.columns.time" in unmet.remedy


@pytest.mark.parametrize("seed", range(3))
def test_objects_of_later_images_are_found_less(worlds, seed):
    # Of the units, one an image, the last hundred are taken at night.
    evidence = detector(worlds, seed=seed, missed={"night": 0.5}, n=240)
    dataset = evidence.datasets["test", "sound"]
    night = dataset.frame["attribute:light"] == "night"
    days = np.where(night, 1000, 0) + np.arange(240)
    dataset.frame["time"] = DAY + pd.to_timedelta(days, unit="D")
    evidence.scans["test", "sound"] = properties(np.random.default_rng(seed), 240, 1)
    measure = worlds.measures(OverTime(), evidence)["lost:@test"]
    assert measure.of == "object"
    assert p_value(measure.estimate, limit=0.05, exceeds="above") <= 0.05
    assert worlds.sentence(OverTime, measure).startswith("Objects found in test images: earlier ")


def test_maps_of_later_images_overlap_less(worlds):
    evidence = segmenter(worlds, seed=0)
    dataset = evidence.datasets["test", "sound"]
    n = len(dataset)
    dataset.frame["time"] = DAY + pd.to_timedelta(np.arange(n), unit="D")
    evidence.scans["test", "sound"] = properties(np.random.default_rng(0), n, 1)
    measure = worlds.measures(OverTime(), evidence)["image-iou-lost:@test"]
    overlap = evidence.scored("test").amounts["image-iou"].values
    expected = overlap[: n // 2].mean() - overlap[n // 2 :].mean()
    assert value(measure.estimate) == pytest.approx(expected)
