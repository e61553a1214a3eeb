from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.shift import sides as compared
from auditor.shift.accuracy import AccuracyLost
from auditor.shift.domain_classifier import area_of, cross_fitted_scores
from auditor.shift.predictions import PredictionShift
from auditor.shift.properties import Properties
from auditor.shift.sides import Sampled, Sides
from auditor.shift.two_sample import shifted
from auditor.stats import auc, p_value, value
from auditor.stats import rank_features as rank_features_of_many
from auditor.stats.rank_features import RankFeatures, rank_features


def scan(rng, units, *, copies=1, shift=None):
    """Properties of `units` bursts of nearly equal images."""
    base = np.repeat(rng.normal(size=(units, len(PROPERTY_NAMES))), copies, axis=0)
    frame = pd.DataFrame(base + 0.05 * rng.normal(size=base.shape), columns=list(PROPERTY_NAMES))
    for name, amount in (shift or {}).items():
        frame[name] += amount
    frame["width"] = 640.0
    return frame


def world(worlds, *, seed, n=150, n_deployment=None, copies=1, shift=None, units=True):
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split, size, moved in (("test", n, None), ("deployment", n_deployment or n, shift)):
        owners = np.repeat(np.arange(size), copies) if units else None
        evidence.add(worlds.dataset(np.full(size * copies, -1), split=split, units=owners))
        evidence.scans[split, "sound"] = scan(rng, size, copies=copies, shift=moved)
        evidence.embeddings[split] = np.random.default_rng(seed).normal(size=(size * copies, 4))
    return evidence


def sides_of(n, copies=1):
    unit = np.repeat(np.arange(n), copies)
    first = np.zeros(n * copies, dtype=bool)
    first[::copies] = True
    one = Sampled("test", unit, copies > 1, first)
    return Sides(one, one)


@pytest.mark.parametrize("seed", range(6))
def test_darker_deployment_images_are_shown(worlds, seed):
    evidence = world(worlds, seed=seed, shift={"mean": -1.0})
    found = worlds.measures(Properties(), evidence)
    darker = found["auc:property=mean@deployment"]
    assert p_value(darker.estimate, limit=0.4, exceeds="below") <= 0.05
    assert darker.facts["ks_p_adjusted"] <= 0.01
    assert darker.facts["robust_shift"] == pytest.approx(-1.0, abs=0.6)
    combined = found["any:@deployment"]
    assert p_value(combined.estimate, limit=0.55, exceeds="above") <= 0.05
    assert combined.facts["shifted"][0] == "brightness"


@pytest.mark.parametrize("copies", [1, 4])
def test_one_source_is_rarely_told_apart(worlds, copies):
    """Bursts of copies must not count as many: without units this fails in nearly every world."""
    combined = tested = 0
    for seed in range(40):
        found = worlds.measures(Properties(), world(worlds, seed=seed, n=60, copies=copies))
        combined += p_value(found["any:@deployment"].estimate, limit=0.5, exceeds="above") <= 0.05
        tested += found["any:@deployment"].facts["p"] <= 0.05
    # 5% of 40 is 2; more than 6 has probability 1%.
    assert combined <= 6
    assert tested <= 6


def test_bursts_without_units_show_what_units_are_for(worlds):
    naive = [
        worlds.measures(Properties(), world(worlds, seed=seed, n=40, copies=6, units=False))
        for seed in range(5)
    ]
    assert sum(found["any:@deployment"].facts["p"] <= 0.05 for found in naive) >= 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("known", [True, False])
def test_copies_of_test_images_in_deployment_are_kept_in_one_fold(worlds, seed, known, monkeypatch):
    """Not known as copies, a model learns each image as the other side's: an area far below .5."""
    monkeypatch.setattr(compared, "MOST_COPIES", 1.0)
    evidence = world(worlds, seed=seed, units=False)
    test = evidence.scans["test", "sound"]
    noise = 1e-3 * np.random.default_rng(seed).normal(size=test.shape)
    evidence.scans["deployment", "sound"] = test + noise * (test.columns != "width")
    numbers = np.arange(len(test))
    evidence.sound = SimpleNamespace(
        summary=evidence.soundness().summary,
        photographs={"test": numbers, "deployment": numbers + (0 if known else len(test))},
        keep=lambda split: np.ones(len(test), dtype=bool),
    )
    found = value(worlds.measures(Properties(), evidence)["any:@deployment"].estimate)
    assert found == pytest.approx(0.5, abs=0.05) if known else found < 0.4


@pytest.mark.parametrize("share", [0.04, 0.06, 1.0])
def test_changed_copies_of_test_images_are_not_compared(worlds, share):
    evidence = world(worlds, seed=0, units=False)
    n = len(evidence.scans["test", "sound"])
    numbers = np.arange(n)
    evidence.sound = SimpleNamespace(
        summary=evidence.soundness().summary,
        photographs={"test": numbers, "deployment": numbers + n * (numbers >= share * n)},
        keep=lambda split: np.ones(n, dtype=bool),
    )
    results = list(Properties().run(evidence))
    if share < compared.MOST_COPIES:
        assert not isinstance(results[0], Unmeasured)
    else:
        (only,) = results
        assert "changed copies of test images" in only.reason


def test_a_wider_spread_is_found_though_no_property_is_higher(worlds):
    evidence = world(worlds, seed=0, n=300)
    evidence.scans["deployment", "sound"]["noise"] *= 3
    found = worlds.measures(Properties(), evidence)
    assert value(found["auc:property=noise@deployment"].estimate) == pytest.approx(0.5, abs=0.1)
    assert found["auc:property=noise@deployment"].facts["ks_p_adjusted"] <= 0.01
    assert p_value(found["any:@deployment"].estimate, limit=0.5, exceeds="above") <= 0.05


def test_the_direction_is_that_of_deployment(worlds):
    found = worlds.measures(Properties(), world(worlds, seed=0, shift={"sharpness": 2.0}))
    sharper = found["auc:property=sharpness@deployment"]
    assert value(sharper.estimate) > 0.85
    assert worlds.sentence(Properties, sharper).startswith(
        "The sharpness of a deployment image is higher"
    )


def test_constant_properties_are_skipped_and_named(worlds):
    found = worlds.measures(Properties(), world(worlds, seed=0))
    assert "auc:property=width@deployment" not in found
    assert found["any:@deployment"].facts["constant"] == ["width"]


def test_twenty_nine_units_are_too_few(worlds):
    evidence = world(worlds, seed=0, n=100, n_deployment=29, copies=5)
    (result,) = Properties().run(evidence)
    assert isinstance(result, Unmeasured)
    assert "29 deployment units" in result.reason
    assert "1 more deployment units" in result.remedy


def test_a_property_with_few_values_has_a_reason(worlds):
    evidence = world(worlds, seed=0, n=60)
    evidence.scans["deployment", "sound"].loc[20:, "blockiness"] = np.nan
    results = list(Properties().run(evidence))
    (lacking,) = [r for r in results if isinstance(r, Unmeasured)]
    assert lacking.subject.get("property") == "blockiness"
    assert "auc:property=blockiness@deployment" not in worlds.measures(Properties(), evidence)


def test_all_equal_images_are_not_measured(worlds):
    evidence = world(worlds, seed=0)
    for split in ("test", "deployment"):
        evidence.scans[split, "sound"].loc[:, list(PROPERTY_NAMES)] = 1.0
    (result,) = Properties().run(evidence)
    assert "the same in all" in result.reason


def test_pictures_and_tables_name_properties_in_words(worlds):
    results = list(Properties().run(world(worlds, seed=0, shift={"p1": 0.9})))
    areas = [r for r in results if isinstance(r, Figure) and r.kind == "forest"]
    labels = {str(row["label"]) for figure in areas for row in figure.rows}
    cells = {str(row[0]) for r in results if isinstance(r, Table) for row in r.rows}
    assert {"brightness of dark parts", "overexposure", "share of red"} <= labels == cells
    assert not any("_" in said or said in ("p1", "p99", "std") for said in labels)
    assert all("_" not in figure.y.label for figure in areas)


def test_histograms_of_the_most_shifted_and_a_table_of_all(worlds):
    evidence = world(worlds, seed=0, shift={"mean": -2.0, "noise": 1.0, "std": 1.5, "p1": 0.9})
    results = list(Properties().run(evidence))
    histograms = [r for r in results if isinstance(r, Figure) and r.kind == "histogram"]
    assert [f.id for f in histograms][:2] == ["shift/properties:mean", "shift/properties:std"]
    assert len(histograms) == 3
    for figure in histograms:
        for series in ("test", "deployment"):
            shares = [r["value"] for r in figure.rows if r["series"] == series]
            assert sum(shares) == pytest.approx(1)
    (table,) = [r for r in results if isinstance(r, Table)]
    assert len(table.rows) == len(PROPERTY_NAMES) - 1
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_examples_are_the_images_most_unlike_the_test(worlds):
    evidence = world(worlds, seed=0, n=100)
    evidence.scans["deployment", "sound"].loc[:39, "mean"] += 50.0
    evidence.scans["deployment", "sound"].loc[:39, "std"] += 50.0
    found = worlds.measures(Properties(), evidence)["any:@deployment"]
    odd = {f"deployment/{i:05d}.png" for i in range(40)}
    assert len(odd & set(found.examples)) >= 10


def test_same_seed_same_numbers(worlds):
    runs = [list(Properties().run(world(worlds, seed=3, copies=2))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert any(isinstance(r, Measure) for r in runs[0])


def test_area_agrees_with_pair_counting():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 10, 70).astype(float), rng.integers(2, 12, 50).astype(float)
    sides = Sides(sides_of(70).here, sides_of(50).here)
    by_hand = (a[:, None] < b).mean() + (a[:, None] == b).mean() / 2
    found = shifted({"x": a}, {"x": b}, sides=sides, looks=1, rng=rng)["x"]
    assert value(found.area) == pytest.approx(by_hand)
    assert found.p == pytest.approx(found.adjusted)


def test_scores_are_of_models_that_never_saw_the_image():
    """Pure noise with as many columns as images is fitted perfectly, but not out of fold."""
    rng = np.random.default_rng(0)
    test, deployment = rng.normal(size=(60, 60)), rng.normal(size=(60, 60))
    features, sides = RankFeatures.of(np.concatenate([test, deployment]).T), sides_of(60)
    scores = cross_fitted_scores(
        features, sides=sides, rng=rng, photographs=np.arange(len(features))
    )
    assert 0.3 < value(area_of(*scores, sides=sides)) < 0.7


def test_images_of_a_unit_stay_in_one_fold():
    """Were they apart, a copy in training would give its twin away."""
    rng = np.random.default_rng(0)
    test = np.repeat(rng.normal(size=(40, 30)), 5, axis=0)
    deployment = np.repeat(rng.normal(size=(40, 30)), 5, axis=0)
    features = RankFeatures.of(np.concatenate([test, deployment]).T)
    sides = sides_of(40, copies=5)
    scores = cross_fitted_scores(
        features, sides=sides, rng=rng, photographs=np.arange(len(features))
    )
    assert value(area_of(*scores, sides=sides)) < 0.7
    leaky = Sides(sides_of(200).here, sides_of(200).here)
    scores = cross_fitted_scores(
        features, sides=leaky, rng=rng, photographs=np.arange(len(features))
    )
    assert value(area_of(*scores, sides=leaky)) > 0.8


def test_rank_features_give_missing_values_the_middle():
    features = rank_features(np.array([[1.0], [2.0], [3.0], [np.nan]]))
    assert features.shape == (4, 2)
    assert features[3, 0] == pytest.approx(features[1, 0])
    assert np.isfinite(features).all()


def test_rank_features_are_those_of_all_rows_whatever_rows_are_asked_for(monkeypatch):
    values = np.random.default_rng(0).normal(size=(70_000, 3))
    values[::7, 1] = np.nan
    features = RankFeatures.of(values.T)
    ranks = np.where(np.isfinite(values), rankdata(values, axis=0, nan_policy="omit"), 0.0)
    known = np.isfinite(values).sum(axis=0)
    ranks = np.where(np.isfinite(values), (2 * ranks - 1) / known - 1, 0.0)
    raw = np.stack([ranks, ranks**2], axis=2).reshape(len(values), 6)
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    some = np.arange(3, 60_000, 11)
    assert features.shape == expected.shape
    np.testing.assert_allclose(features[:], expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(features[some], features[:][some])
    monkeypatch.setattr(rank_features_of_many, "_MANY", 1)
    held = RankFeatures.of(values.T)
    assert len(held.files) == 3
    np.testing.assert_array_equal(held[some], features[some])
    np.testing.assert_array_equal(held[::-7], features[::-7])


def with_answers(worlds, evidence, *, accuracy, labelled=True):
    """Test answers nine of ten right; deployment answers right as stated, if labelled."""
    rng = np.random.default_rng(0)
    for split, share in (("test", 0.9), ("deployment", accuracy)):
        n = len(evidence.dataset(split))
        labels = np.zeros(n, dtype=int) if labelled or split == "test" else np.full(n, -1)
        right = rng.permutation(np.arange(n) < round(share * n))
        dataset = worlds.dataset(labels, split=split)
        evidence.add(dataset, worlds.probabilities(np.where(right, 0, 1), confidence=0.8))
    return evidence


COSTS = [
    (0.6, True, "It is right less often there: 90% on test images, 60% on deployment images."),
    (0.9, True, "That it is right less often there is not shown: 90% on test images, 90% on "
     "deployment images."),
    (0.6, False, "What it costs is not known: too few deployment images have labels."),
]  # fmt: skip


@pytest.mark.parametrize(("accuracy", "labelled", "said"), COSTS)
def test_a_difference_is_told_beside_what_it_costs(worlds, accuracy, labelled, said):
    evidence = world(worlds, seed=0, n=600, shift={"blockiness": 3.0}, units=False)
    with_answers(worlds, evidence, accuracy=accuracy, labelled=labelled)
    found = worlds.measures(Properties(), evidence)["any:@deployment"]
    assert value(found.estimate) > 0.9
    assert worlds.sentence(Properties, found).endswith(
        f"(50% is guessing). Farthest apart: strength of compression. {said}"
    )


@pytest.mark.parametrize("policy", ["default", "strict"])
@pytest.mark.parametrize(
    ("accuracy", "labelled", "verdict"),
    [(0.6, True, "FAIL"), (0.9, True, "PASS"), (0.6, False, "INCONCLUSIVE")],
)
def test_a_difference_is_material_only_where_accuracy_is_lost(
    worlds, policy, accuracy, labelled, verdict
):
    """The same difference, told at sight, of properties and of scores: harm decides."""
    evidence = world(worlds, seed=0, n=3000, shift={"blockiness": 3.0}, units=False)
    with_answers(worlds, evidence, accuracy=accuracy, labelled=labelled)
    there = evidence.answers("deployment")
    sure = np.random.default_rng(1).normal(0.65, 0.08, len(there)).clip(0.51, 0.99)
    evidence.add(there.dataset, worlds.probabilities(there.predicted, confidence=sure))
    evidence.add(evidence.dataset("test"), worlds.probabilities(
        evidence.answers("test").predicted,
        confidence=np.random.default_rng(2).normal(0.7, 0.08, 3000).clip(0.51, 0.99),
    ))  # fmt: skip
    checks = [Properties(), PredictionShift(), *([AccuracyLost()] if labelled else [])]
    results = [CheckResults(c.id, tuple(worlds.measures(c, evidence).values())) for c in checks]
    limits = load_policy(policy).policy.limits
    record = worlds.record(*results, limits=limits)
    found = {f.id: f.verdict.name for f in record.findings if f.verdict}
    about = {f.limit for f in record.findings if f.check.startswith("shift/")}
    assert found["shift/properties:any@deployment"] == verdict
    assert {"deployment-scores-higher", "deployment-scores-lower"} <= about
    by_limit = {r.limit["id"]: r.verdict.name for r in record.limit_results}
    assert by_limit["deployment-scores-lower"] == verdict
    assert (verdict == "FAIL") == ("FAIL" in found.values())


def with_training(evidence, worlds, *, seed, n=150, moved=None):
    rng = np.random.default_rng(1000 + seed)
    evidence.add(worlds.dataset(np.zeros(n, int), split="train", units=np.arange(n)))
    evidence.scans["train", "sound"] = scan(rng, n, shift=moved)
    return evidence


@pytest.mark.parametrize("seed", range(3))
def test_training_images_unlike_the_test_are_shown_as_such(worlds, seed):
    evidence = with_training(world(worlds, seed=seed), worlds, seed=seed, moved={"noise": 1.5})
    results = list(Properties().run(evidence))
    found = worlds.measures(Properties(), evidence)
    grainier = found["train-auc:property=noise@train"]
    assert p_value(grainier.estimate, limit=0.6, exceeds="above") <= 0.05
    assert grainier.facts["ks_p_adjusted"] <= 0.01
    whole = found["train-any:@train"]
    assert whole.facts["most_shifted"][0] == "grain"
    assert "lost" not in whole.facts
    assert worlds.sentence(Properties, whole).endswith("Farthest apart: grain.")
    assert not found["any:@deployment"].facts["shifted"]
    tables = [r.id for r in results if isinstance(r, Table)]
    assert tables == ["shift/properties:properties", "shift/properties:properties@train"]


def test_training_images_are_compared_where_deployment_is_too_small(worlds):
    evidence = with_training(world(worlds, seed=0, n_deployment=20), worlds, seed=0)
    results = list(Properties().run(evidence))
    assert isinstance(results[0], Unmeasured)
    assert any(isinstance(r, Measure) and r.name == "train-any" for r in results)


def test_deployment_images_that_were_all_test_images_are_said_to_have_been_set_apart(worlds):
    evidence = world(worlds, seed=0, n=120)
    there = evidence.dataset("deployment")
    summary = evidence.soundness().summary
    counts = {**summary()["deployment"], "images": 120, "in_test": 110, "sound": 10}
    evidence.sound = SimpleNamespace(
        photographs={"test": np.arange(120), "deployment": 200 + np.arange(10)},
        keep=lambda split: np.ones(120 if split == "test" else 10, dtype=bool),
        summary=lambda: {**summary(), "deployment": counts},
    )
    evidence.add(there.take(np.arange(10)))
    few = next(iter(Properties().run(evidence)))
    assert few.reason == (
        "Only 10 deployment units (110 of 120 images were set apart: 110 copies of test "
        "images): "
        "fewer than 30 differ from any others by luck."
    )


def test_the_area_of_few_units_is_less_sure_than_that_of_given_scores():
    widened = []
    for n in (20, 2000):
        rng, one = np.random.default_rng(n), np.ones(n, dtype=bool)
        sides = Sides(*(Sampled(s, np.arange(n), False, one) for s in ("test", "deployment")))
        here, there = rng.normal(size=n), rng.normal(0.5, 1, n)
        widened.append(area_of(here, there, sides=sides).se / auc(here, there).se)
    assert widened[0] > 1.2 * widened[1]
    assert widened[1] == pytest.approx(np.sqrt(2), rel=0.02)
