from types import SimpleNamespace

import numpy as np
import pytest

from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.shift.embeddings import EmbeddingShift
from auditor.stats import p_value, value

QUICK = EmbeddingShift(permutations=199)


def world(worlds, *, seed, n=(120, 90), copies=1, shift=0.0, units=True, d=24, odd=0):
    """Rectified embeddings of bursts; deployment is moved along one of `d` directions."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    evidence.check_id = f"seed {seed}"
    for split, size, moved in zip(("test", "deployment"), n, (0.0, shift), strict=True):
        owners = np.repeat(np.arange(size), copies) if units else None
        evidence.add(worlds.dataset(np.full(size * copies, -1), split=split, units=owners))
        base = np.repeat(rng.normal(size=(size, d)), copies, axis=0)
        base[:, 0] += moved
        if split == "deployment":
            base[: odd * copies, 1:4] += 4
        noisy = base + 0.05 * rng.normal(size=base.shape)
        evidence.embeddings[split] = np.maximum(noisy, 0).astype(np.float32)
    return evidence


def told(worlds, evidence, check=QUICK) -> Measure:
    return worlds.measures(check, evidence)["any:@deployment"]


@pytest.mark.parametrize("seed", range(5))
def test_images_that_the_model_sees_otherwise_are_found(worlds, seed):
    found = told(worlds, world(worlds, seed=seed, shift=1.5))
    assert found.facts["shown"]
    assert found.facts["p"] <= 0.05
    assert p_value(found.estimate, limit=0.55, exceeds="above") <= 0.05


@pytest.mark.parametrize("copies", [1, 4])
def test_one_source_is_rarely_told_apart(worlds, copies):
    shown = 0
    for seed in range(40):
        n = (40, 32)
        shown += told(worlds, world(worlds, seed=seed, n=n, copies=copies)).facts["shown"]
    # At most 5% of 40 are expected; more than 6 has probability 1%.
    assert shown <= 6


def test_bursts_without_units_show_what_units_are_for(worlds):
    naive = [
        told(worlds, world(worlds, seed=seed, n=(40, 40), copies=5, units=False))
        for seed in range(4)
    ]
    assert sum(found.facts["shown"] for found in naive) >= 3


@pytest.mark.parametrize("seed", range(2))
def test_bursts_known_as_copies_count_once_though_no_unit_is_named(worlds, seed):
    evidence = world(worlds, seed=seed, n=(40, 40), copies=5, units=False)
    bursts = np.arange(200) // 5
    evidence.sound = SimpleNamespace(
        summary=evidence.soundness().summary,
        photographs={"test": bursts, "deployment": bursts + 40},
        keep=lambda split: np.ones(200, dtype=bool),
    )
    found = told(worlds, evidence)
    assert not found.facts["shown"]
    assert found.n_units == 40


def test_the_images_least_like_test_images_are_named(worlds):
    evidence = world(worlds, seed=1, odd=15, d=8)
    found = told(worlds, evidence)
    odd = {f"deployment/{i:05d}.png" for i in range(15)}
    assert len(odd & set(found.examples)) >= 10
    (table,) = [r for r in QUICK.run(evidence) if isinstance(r, Table)]
    assert len(table.rows) == 90
    assert [row[0] for row in table.rows[:12]] == list(found.examples)
    shares = [row[1] for row in table.rows]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.97


def test_few_copies_of_test_images_are_left_out_and_many_refused(worlds):
    evidence = world(worlds, seed=0)
    numbers = {"test": np.arange(120), "deployment": np.arange(200, 290)}
    numbers["deployment"][:3] = [5, 6, 7]
    evidence.sound = SimpleNamespace(
        summary=evidence.soundness().summary,
        photographs=numbers,
        keep=lambda split: np.ones(len(numbers[split]), dtype=bool),
    )
    found = told(worlds, evidence)
    assert (found.n, found.facts["copies"]) == (87, 3)
    numbers["deployment"][:90] = np.arange(90)
    (only,) = QUICK.run(evidence)
    assert "90 of 90 deployment images are changed copies of test images" in only.reason


def test_many_images_are_drawn_in_whole_units(worlds):
    evidence = world(worlds, seed=0, n=(60, 60), copies=3)
    found = told(worlds, evidence, EmbeddingShift(permutations=99, most_images=100))
    assert (found.n, found.n_units, found.facts["n_test"]) == (99, 33, 99)


def test_too_few_units_and_an_embedding_of_nothing_have_reasons(worlds):
    (few,) = QUICK.run(world(worlds, seed=0, n=(60, 29), copies=2))
    assert isinstance(few, Unmeasured)
    assert "29 deployment units" in few.reason
    evidence = world(worlds, seed=0)
    for split, rows in evidence.embeddings.items():
        evidence.embeddings[split] = np.full_like(rows, np.nan)
    (nothing,) = QUICK.run(evidence)
    assert "holds no numbers" in nothing.reason
    assert "`model.embedding`" in nothing.remedy


def test_what_is_said(worlds):
    evidence = world(worlds, seed=0, shift=2.0)
    results = list(QUICK.run(evidence))
    assert worlds.unfilled(EmbeddingShift, results) == []
    sentence = worlds.sentence(EmbeddingShift, results[0])
    assert "images were told apart as well in 0 deals" in sentence
    assert "show a difference (p = 0.03)" in sentence
    assert "What it costs is not known" in sentence
    same = told(worlds, world(worlds, seed=0))
    assert "show no difference (p = " in worlds.sentence(EmbeddingShift, same)
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert {row["series"] for row in figure.rows} == {"test", "deployment"}
    assert value(results[0].estimate) > 0.8


def test_p_values_are_for_three_looks_and_never_0(worlds):
    facts = told(worlds, world(worlds, seed=0, shift=5.0)).facts
    assert facts["classifier_p"] == pytest.approx(1 / 200)
    assert facts["p"] == pytest.approx(3 * 2 / 200)


def test_same_seed_same_numbers(worlds):
    one, other = (list(QUICK.run(world(worlds, seed=3, copies=2))) for _ in range(2))
    assert one == other
