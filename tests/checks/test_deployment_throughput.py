"""deployment/throughput on planted sweeps: the best setting, its roofline, and what is refused."""

import numpy as np
import pytest
from timed_worlds import elsewhere, plant, result, stretch, world

from auditor.checks.deployment_throughput import Throughput
from auditor.findings import Table, TensorFacts, Unmeasured
from auditor.stats import interval, value


def swept(rates, *, seed=0, rounds=24, noise=0.05, **counted):
    """A sweep of settings (batch, threads) -> images a second; batch 0 is the product's GFLOP/s."""
    rng = np.random.default_rng(seed)
    settings = [
        {"batch": batch, "threads": threads,
         "per_second": list(rate * rng.lognormal(sigma=noise, size=rounds))}
        for (batch, threads), rate in rates.items()
    ]  # fmt: skip
    return stretch([], settings=settings, **counted)


RATES = {(1, 1): 40.0, (8, 1): 50.0, (1, 2): 70.0, (8, 2): 90.0, (0, 1): 1.0, (0, 2): 2.0}


@pytest.fixture
def run(worlds, tmp_path, monkeypatch):
    def told(part, **facts):
        asked = plant(monkeypatch, lambda _: result(sweep=part))
        found = list(Throughput().run(world(worlds, tmp_path, **facts)))
        return {getattr(r, "name", "table"): r for r in found}, asked

    return told


def test_the_best_setting_is_found_and_told(worlds, run):
    found, asked = run(swept(RATES), flops=10_000_000)
    best = found["images-per-second"]
    assert value(best.estimate) == pytest.approx(90, rel=0.05)
    assert (best.facts["batch"], best.facts["best_threads"], best.n) == (8, 2, 12)
    assert worlds.unfilled(Throughput, [best, found["roofline-share"]]) == []
    assert "batches of 8 on 2 thread(s)" in worlds.sentence(Throughput, best)
    assert (asked[0].parts, asked[0].sweep_batches) == (("sweep",), (1, 8, 32))
    # 90 images a second of 10 MFLOP each, of 2 GFLOP a second.
    assert value(found["roofline-share"].estimate) == pytest.approx(0.45, rel=0.1)
    assert isinstance(found["table"], Table)
    assert len(found["table"].rows) == 4


def test_the_best_of_equal_settings_does_not_look_better_than_it_is(run):
    """Chosen by one half of the rounds and measured by the other, its interval keeps its level."""
    equal = {(2**i, 1): 100.0 for i in range(6)} | {(0, 1): 1.0}
    held = 0
    for seed in range(200):
        found, _ = run(swept(equal, seed=seed, noise=0.2))
        ends = interval(found["images-per-second"].estimate)
        held += ends.low <= 100 * np.exp(0.02) <= ends.high
    assert held / 200 > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


def test_a_fixed_batch_is_the_only_one(run):
    shape = TensorFacts("x", (4, 3, 8, 8), "tensor(float)")
    _, asked = run(swept({(4, 1): 9.0, (0, 1): 1.0}), inputs=(shape,))
    assert asked[0].sweep_batches == (4,)


@pytest.mark.parametrize("facts", [{"flops": None}, {"quantised": True}])
def test_no_roofline_where_the_product_is_no_bound(run, facts):
    found, _ = run(swept(RATES), **facts)
    assert set(found) == {"images-per-second", "table"}


@pytest.mark.parametrize(
    ("part", "why"),
    [(swept(RATES, switches=900), "contended"), (swept(RATES, rounds=9), "takes 10")],
)
def test_disturbed_or_few_rounds_give_no_number(run, part, why):
    found, _ = run(part)
    assert list(found) == ["images-per-second"]
    assert isinstance(found["images-per-second"], Unmeasured)
    assert why in found["images-per-second"].reason


def test_another_machine_is_not_even_timed(worlds, tmp_path, monkeypatch):
    asked = plant(monkeypatch, lambda _: result())
    (found,) = Throughput().run(elsewhere(world(worlds, tmp_path)))
    assert isinstance(found, Unmeasured)
    assert not asked
