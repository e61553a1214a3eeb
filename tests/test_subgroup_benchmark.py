"""benchmarks/subgroups.py still runs, says what the audit says, and resamples as fairlearn does."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from auditor.findings import Verdict
from auditor.judging.judge import judge
from auditor.stats import GRID, RateDifference, RateRatio, interval

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
REPETITIONS = 12


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import subgroup_clusters
    import subgroup_readings
    import subgroup_rules
    import subgroup_speed
    import subgroup_worlds
    import subgroups

    return SimpleNamespace(
        clusters=subgroup_clusters,
        readings=subgroup_readings,
        rules=subgroup_rules,
        speed=subgroup_speed,
        worlds=subgroup_worlds,
        main=subgroups,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def _right(n, shares):
    """Rows of 0 and 1 with `n` a group, and their groups."""
    outcome = np.concatenate([np.arange(n) < round(share * n) for share in shares])
    return outcome.astype(int), np.repeat([f"g{i}" for i in range(len(shares))], n)


def test_bootstrap_has_the_distribution_of_fairlearns(bench, rng):
    """Each quantile of fairlearn's draws lies near that share of ours (Kolmogorov's distance)."""
    from fairlearn.metrics import MetricFrame

    right, group = _right(25, (0.92, 0.8, 0.64))
    asked, draws = [0.05, 0.25, 0.5, 0.75, 0.95], 300
    frame = MetricFrame(
        metrics=_accuracy, y_true=np.ones_like(right), y_pred=right,
        sensitive_features=group, n_boot=draws, ci_quantiles=asked, random_state=3,
    )  # fmt: skip
    cells = bench.rules.cells([23, 20, 16], [25, 25, 25])
    kept = []

    def rates(drawn):
        kept.append(drawn)
        return bench.rules.rates(drawn)[:, 0]

    bench.rules.fairlearn_bootstrap(cells, statistic=rates, rng=rng, draws=4000)
    ours = kept[0]
    difference = bench.rules.largest_difference(ours)
    apart = [_distance(difference, frame.difference_ci(), asked)]
    for i in range(3):
        theirs = [by_group[f"g{i}"] for by_group in frame.by_group_ci]
        apart.append(_distance(bench.rules.rates(ours)[:, i], theirs, asked))
    allowed = 1.63 / np.sqrt(draws) + 0.02
    assert max(apart) < allowed
    assert _distance(difference + 0.05, frame.difference_ci(), asked) > allowed


def _accuracy(truth, answers):
    # Not scikit-learn's, which takes twenty times as long.
    return float(np.mean(np.asarray(truth) == np.asarray(answers)))


def _distance(draws, quantiles, shares):
    """How far a quantile's place among the draws is from its share, ties counted either way."""
    below = np.array([(draws < q - 1e-9).mean() for q in quantiles])
    up_to = np.array([(draws <= q + 1e-9).mean() for q in quantiles])
    asked = np.array(shares)
    return float(np.maximum(np.maximum(below - asked, asked - up_to), 0).max())


def test_bootstrap_by_group_does_not_depend_on_the_order_of_rows(bench):
    rows = bench.speed.Rows.generated(5000, np.random.default_rng(1))
    shuffled = np.random.default_rng(2).permutation(5000)
    other = bench.speed.Rows(rows.group[shuffled], rows.right[shuffled])
    first, second = (
        bench.speed.bootstrap(r, rng=np.random.default_rng(3), draws=1000) for r in (rows, other)
    )
    assert first == second
    for code, drawn in enumerate(first.by_group):
        assert drawn.value == pytest.approx(rows.right[rows.group == code].mean())
        assert drawn.quantiles[0] < drawn.value < drawn.quantiles[-1]


@pytest.mark.parametrize("name", ["GAP", "RATIO"])
def test_verdicts_are_those_of_judge(bench, rng, name):
    """Working each table of counts out once, and without sentences, changes no verdict."""
    comparison = getattr(bench.worlds, name)
    rate, tested = (0.9, 0.7) if name == "GAP" else (0.08, 0.3)
    world = bench.worlds.alike("planted", 150, rate, tested=tested)
    counts = world.draw(rng, 8)
    found = bench.worlds.verdicts(comparison, counts, world)
    for i, row in enumerate(counts):
        family = _family(name, row, world.sizes)
        said = judge(
            [bench.worlds.results(comparison, family, world.sizes)],
            limits=[comparison.policy_limit],
            as_of=date(2000, 1, 1),
        ).findings
        assert found.failed[i].tolist() == [f.verdict is Verdict.FAIL for f in said]
        assert found.passed[i].tolist() == [f.verdict is Verdict.PASS for f in said]
        leans = [f.verdict is Verdict.FAIL or f.leaning == "worse" for f in said]
        assert found.worse[i].tolist() == leans
    assert found.failed[:, 0].any()
    assert not found.failed[:, 1:].any()


def _family(name, row, sizes):
    make = RateDifference if name == "GAP" else RateRatio
    total, images = int(row.sum()), sum(sizes)
    return [make(int(x), n, total - int(x), images - n) for x, n in zip(row, sizes, strict=True)]


def test_groups_far_inside_the_limit_do_not_hide_one_beyond_it(bench):
    """Twenty groups: the worst has p = .016, too much for Holm's twentieth of 5%."""
    world = bench.worlds.World("planted", (0.83,) + (0.95,) * 19, (100,) * 20)
    found = bench.worlds.verdicts(bench.worlds.GAP, np.array([[83] + [95] * 19]), world)
    assert found.failed[0].tolist() == [True] + [False] * 19


def test_every_kind_of_world_can_be_read(bench):
    """One small world of each section; shares are shares and every aim is of a known reading."""
    sections = {job.section: job for job in bench.main.jobs()}
    assert set(sections) | {"speed"} == set(bench.main.SECTIONS)
    for job in sections.values():
        found = job.run(REPETITIONS)
        assert found
        assert all(0 <= reading.value <= 1 for reading in found)
        assert job.run(REPETITIONS) == found


def test_every_number_of_the_issue_has_its_aim(bench):
    aims = [aim for _, aims in bench.main._gap_worlds() for aim in aims.items()]
    aims += [aim for _, aims in bench.main._ratio_worlds() for aim in aims.items()]
    floors = [
        (n, aim.at_least) for _, aims in bench.main._floor_worlds() for n, aim in aims.items()
    ]
    readings = bench.readings
    assert floors == [(readings.PASS, 0.9)] * 4 + [(readings.FAIL, 0.95)]
    assert [(what, aim.at_least) for what, aim in aims] == [
        (readings.PASS, 0.9),
        (readings.WORSE, 0.9),
        (readings.FAIL, 0.85),
        (readings.FAIL, 0.65),
        (readings.FAIL, 0.95),
    ]
    assert all(aim.at_most == 0.06 for aim in bench.main.ALWAYS.values())
    assert readings.COVERS.at_least == 0.94
    assert bench.clusters.COVERS.at_least == 0.92


def test_a_missed_aim_is_marked(bench):
    Reading, Aim = bench.readings.Reading, bench.readings.Aim
    met = Reading("w", "10", "r", 0.94, Aim(at_least=0.94))
    missed = Reading("w", "10", "r", 0.0601, Aim(at_most=0.06), {"fairlearn": 0.5})
    assert [met.missed, missed.missed, Reading("w", "10", "r", 0.0).missed] == [False, True, False]
    table = bench.main.table([met, missed])
    assert "| at least 0.94 | 0.940 |" in table
    assert "| at most 0.06 **missed** | 0.060 | 0.500 |" in table


def test_a_world_close_to_its_aim_is_drawn_again_with_more_repetitions(bench):
    Reading, Aim = bench.readings.Reading, bench.readings.Aim
    asked = []

    def read(*, repetitions, rng):
        asked.append(repetitions)
        yield Reading("w", "10", "r", values.pop(0), Aim(at_most=0.06))

    values = [0.055, 0.058]
    assert bench.main.Job("s", "n", read).run(100)[0].value == 0.058
    assert asked == [100, 500]
    values = [0.005]
    assert bench.main.Job("s", "n", read).run(100)[0].value == 0.005
    assert asked == [100, 500, 100]


def test_a_group_at_the_limit_does_not_break_it(bench):
    GAP, RATIO, alike = bench.worlds.GAP, bench.worlds.RATIO, bench.worlds.alike
    at_limit, beyond = alike("", 30, 0.9, tested=0.85), alike("", 30, 0.9, tested=0.8499)
    assert not GAP.breaks(at_limit).any()
    assert GAP.is_at_limit(at_limit).tolist() == [True] + [False] * 9
    assert GAP.breaks(beyond).tolist() == [True] + [False] * 9
    three_times = alike("", 30, 0.05, tested=0.15)
    assert RATIO.truth(three_times)[0] == pytest.approx(3)
    assert RATIO.is_at_limit(alike("", 30, 0.05, tested=0.0625))[0]


def test_a_ratio_with_a_floor_is_at_its_limit_on_either_bound(bench):
    floored, alike = bench.worlds.FLOORED, bench.worlds.alike
    few, many = alike("", 30, 0.05, tested=0.0625), alike("", 30, 0.05, tested=0.075)
    assert bench.worlds.RATIO.is_at_limit(few)[0]
    assert not floored.is_at_limit(few).any()
    assert not floored.breaks(many).any()
    assert floored.is_at_limit(many).tolist() == [True] + [False] * 9
    assert floored.is_at_limit(alike("", 30, 0.2, tested=0.25))[0]
    assert floored.breaks(alike("", 30, 0.05, tested=0.0751))[0]
    assert not floored.breaks(alike("", 30, 0.2, tested=0.24)).any()


def test_units_of_a_clustered_world_resemble_each_other(bench, rng):
    """The correlation of two images of a unit is the one asked for, and widens the interval."""
    world = bench.clusters.Clustered((4,) * 2000, 0.3)
    first = world.draw(rng)[0].reshape(2000, 4)
    pairs = np.corrcoef(first[:, 0], first[:, 1])[0, 1]
    assert pairs == pytest.approx(0.3, abs=0.1)
    small = bench.clusters.Clustered((10,) * 20, 0.3)
    sample, unit = small.draw(rng), bench.clusters._units(small, groups=10)
    respected = interval(bench.clusters._compared(bench.worlds.GAP, sample, 0, unit))
    alone = interval(bench.clusters._compared(bench.worlds.GAP, sample, 0, np.arange(len(unit))))
    assert respected.high - respected.low > alone.high - alone.low


def test_the_usual_rules_say_what_they_say(bench):
    counts, sizes = np.array([[90, 80], [90, 79], [90, 71]]), (100, 100)
    assert bench.rules.ten_points(counts, sizes).failed.tolist() == [False, True, True]
    assert bench.rules.four_fifths(counts, sizes).failed.tolist() == [False, False, True]
    nothing = bench.rules.four_fifths(np.zeros((1, 2)), sizes)
    assert nothing.passed.tolist() == [True]
    ends = np.array([[0.01, 0.04], [0.02, 0.09], [0.06, 0.2]])
    rule = bench.rules.difference_rule(ends, limit=0.05)
    assert rule.failed.tolist() == [False, False, True]
    assert rule.passed.tolist() == [True, False, False]
    assert GRID.index(0.025) < GRID.index(0.975)
