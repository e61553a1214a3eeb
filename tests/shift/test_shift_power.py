"""shift/power: what would have been noticed with few images, and with many."""

import numpy as np
import pandas as pd
import pytest

from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Table, Unmeasured
from auditor.shift.corruptions import Corruptions
from auditor.shift.power import Power
from auditor.stats import value
from auditor.stats.noticed import noticed

CHECK = Power()
NAME = "noticed-in-tenth:@deployment"


def scan(rng, units, copies):
    """Photos of about 120 grey levels; a burst is of one room."""
    base = np.repeat(rng.normal(size=(units, len(PROPERTY_NAMES))), copies, axis=0)
    frame = pd.DataFrame(base, columns=list(PROPERTY_NAMES))
    scales = {
        "mean": (120, 20), "std": (50, 8), "p1": (20, 8), "p99": (220, 15), "noise": (4, 1),
        "sharpness": (300, 80), "red_ratio": (0.35, 0.02), "bytes": (90_000, 20_000),
    }  # fmt: skip
    for name, (middle, spread) in scales.items():
        frame[name] = middle + spread * frame[name]
    return frame


def world(worlds, *, seed=0, n=(400, 200), copies=1, lost=0.3):
    """Corrupted images are answered less surely by `lost` at the highest severity."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    evidence.check_id = f"seed {seed}"
    for split, units in zip(("test", "deployment"), n, strict=True):
        size = units * copies
        labels = rng.integers(0, 2, size)
        data = worlds.dataset(labels, split=split, units=np.repeat(np.arange(units), copies))
        sure = np.repeat(np.clip(rng.normal(0.8, 0.08, units), 0.51, 0.99), copies)
        for view in Corruptions().views if split == "test" else ():
            part = data.take(np.arange(min(200, size)))
            less = np.clip(sure - lost * view.severity / 5, 0.5, 0.99)[: len(part)]
            given = worlds.probabilities(labels[: len(part)], confidence=less)
            evidence.add(part, given, view=view)
        evidence.add(data, worlds.probabilities(labels, confidence=sure))
        evidence.scans[split, "sound"] = scan(rng, units, copies)
        seen = rng.normal(size=(size, 6)).astype(np.float32)
        seen[:, 0] += 3 * labels
        evidence.embeddings[split] = seen
    return evidence


def lines(evidence):
    (table,) = [r for r in CHECK.run(evidence) if isinstance(r, Table)]
    return {row[1]: row[2:] for row in table.rows}


def test_more_images_notice_more(worlds):
    few, many = (worlds.measures(CHECK, world(worlds, n=n))[NAME] for n in ((60, 40), (900, 900)))
    assert value(many.estimate) > value(few.estimate) + 0.1
    change = "darker by 13 of 255 levels"
    assert change in few.facts["missed"]
    said = worlds.sentence(Power, few)
    assert f"mostly have been missed: {change}" in said
    assert "With 60 units of the test data and 40 units from where it will run" in said


def test_a_change_of_all_images_is_noticed_where_it_is_large(worlds):
    found = lines(world(worlds, lost=0.9))
    assert found["half as sharp"][2] == pytest.approx(1.0)
    tenth, half, everything = found["gaussian noise of severity 1"]
    assert tenth <= half <= everything
    assert everything > 0.9


def test_scores_that_no_corruption_moves_alarm_as_rarely_as_of_one_source(worlds):
    found = lines(world(worlds, lost=0.0))
    assert max(found["jpeg of severity 1"]) <= 0.1


def test_more_of_a_class_is_seen_by_scores_and_embedding(worlds):
    found = lines(world(worlds))
    for look in ("scores", "embedding"):
        tenth, _, everything = found[f"more of class “a” ({look})"]
        assert tenth < 0.6
        assert everything > 0.95


def test_bursts_count_as_one(worlds):
    one, four = (lines(world(worlds, n=(120, 60), copies=c)) for c in (1, 4))
    change = "darker by 13 of 255 levels"
    assert one[change][1] == pytest.approx(four[change][1], abs=0.2)


def test_too_few_units_have_a_reason(worlds):
    (few,) = CHECK.run(world(worlds, n=(400, 12)))
    assert isinstance(few, Unmeasured)
    assert "Only 12 deployment units" in few.reason


@pytest.mark.parametrize("sizes", [(60, 40), (500, 200)])
def test_samples_of_one_source_alarm_in_at_most_five_of_a_hundred(sizes):
    """Ten numbers, one of them of few values; the tests' own error is what power is read beside."""
    rng = np.random.default_rng(1)
    pool = np.column_stack([rng.normal(size=(300, 9)), rng.integers(0, 4, 300)])
    times = noticed(pool, pool, sizes=sizes, shares=(0.5,), level=0.05, draws=600, rng=rng)
    assert times[0] / 600 <= 0.065


def test_as_often_as_a_test_of_the_same_samples_says():
    """scipy's test of one number, of samples drawn one by one, as reference."""
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(2)
    pool = rng.normal(size=(250, 1))
    said = noticed(
        pool, pool + 0.6, sizes=(150, 100), shares=(0.5,), level=0.05, draws=300, rng=rng
    )
    seen = 0
    for _ in range(300):
        there = rng.choice(pool[:, 0], 100) + 0.6 * (rng.random(100) < 0.5)
        seen += ks_2samp(rng.choice(pool[:, 0], 150), there, method="asymp").pvalue <= 0.05
    assert said[0] / 300 == pytest.approx(seen / 300, abs=0.11)
