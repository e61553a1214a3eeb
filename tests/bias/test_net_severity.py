import numpy as np
import pytest

from auditor.bias.net_severity import net_difference, scale_of
from auditor.stats import interval, p_value

LIMIT = 0.05
GRADES = ("compliant", "minor", "serious")


def test_other_true_grades_are_no_severity():
    """Errors alike everywhere: without the expert's grades as strata, groups would differ."""
    rng = np.random.default_rng(1)
    stratified, plain = [], []
    for _ in range(60):
        member = rng.random(800) < 0.4
        truth = np.where(member, rng.random(800) < 0.15, rng.random(800) < 0.85) * 2
        wrong = rng.random(800) < 0.2
        up, down = wrong & (truth == 0), wrong & (truth == 2)
        for strata, out in ((truth, stratified), (np.zeros(800, int), plain)):
            found = net_difference(
                up.astype(float), down.astype(float), member=member, stratum=strata, unit=None
            )
            out.append(found.estimate.value)
    assert abs(np.mean(stratified)) < 0.01
    assert np.mean(plain) > 0.2


@pytest.mark.parametrize("n", [60, 250, 600])
def test_severity_at_the_limit_fails_rarely_and_holds_its_interval(n):
    """At most 6% wrong FAILs and wrong PASSes where the truth is the limit; coverage of .95."""
    rng = np.random.default_rng(n)
    failed = passed = held = 0
    worlds_run = 1200
    for _ in range(worlds_run):
        member = rng.permutation(n) < n // 4
        like = rng.integers(0, 2, n)
        up = rng.random(n) < 0.05 + LIMIT * member
        down = ~up & (rng.random(n) < 0.05)
        expected = LIMIT * (1 - 0.05)
        found = net_difference(
            up.astype(float), down.astype(float), member=member, stratum=like, unit=None
        ).estimate
        ends = interval(found)
        held += ends.low <= expected <= ends.high
        failed += p_value(found, limit=expected, exceeds="above") <= 0.05
        passed += p_value(found, limit=expected, exceeds="below") <= 0.05
    assert failed / worlds_run <= 0.06
    assert passed / worlds_run <= 0.06
    assert held / worlds_run >= 0.935


def test_units_widen_severity_and_cover():
    """Rooms of four photos graded alike; ignoring rooms would cover far too little."""
    rng = np.random.default_rng(2)
    held, ignored = 0, 0
    for _ in range(400):
        rooms = np.repeat(np.arange(60), 4)
        member = (np.arange(60) < 24)[rooms]
        steps = rng.choice(3, 60, p=(0.7, 0.2, 0.1))[rooms]
        shape = {"member": member, "stratum": np.zeros(240, int)}
        up, down = (steps == 1).astype(float), (steps == 2).astype(float)
        for unit, of in ((rooms, "held"), (None, "ignored")):
            ends = interval(net_difference(up, down, unit=unit, **shape).estimate)
            inside = ends.low <= 0 <= ends.high
            held += inside and of == "held"
            ignored += inside and of == "ignored"
    assert held / 400 >= 0.93
    assert ignored / 400 <= 0.85


def test_a_few_rooms_with_most_photos_count_for_what_they_are_worth():
    """By their number they would cover in 92% of samples."""
    rng, held, runs = np.random.default_rng(3), 0, 400
    sizes = np.r_[np.full(4, 30), np.full(20, 2)]
    rooms = np.repeat(np.arange(48), np.r_[sizes, sizes])
    member = rooms < 24
    for _ in range(runs):
        steps = rng.choice(3, 48, p=(0.5, 0.3, 0.2))[rooms]
        found = net_difference(
            (steps == 1).astype(float), (steps == 2).astype(float), member=member,
            stratum=np.zeros(len(rooms), int), unit=rooms,
        ).estimate  # fmt: skip
        ends = interval(found)
        held += ends.low <= 0 <= ends.high
    assert held / runs >= 0.93


def test_severity_is_the_stratified_difference_by_hand():
    rng = np.random.default_rng(5)
    n = 300
    member, like = rng.random(n) < 0.3, rng.integers(0, 3, n)
    step = rng.integers(-1, 2, n)
    found = net_difference(
        (step > 0).astype(float), (step < 0).astype(float), member=member, stratum=like, unit=None
    )
    total = weight = 0.0
    for stratum in range(3):
        a, b = step[member & (like == stratum)], step[~member & (like == stratum)]
        shared = len(a) * len(b) / (len(a) + len(b))
        total += shared * (a.mean() - b.mean())
        weight += shared
    assert found.estimate.value == pytest.approx(total / weight)
    assert found.taken.all()


def test_no_disagreement_is_not_certainty():
    member = np.arange(60) < 20
    none = np.zeros(60)
    found = net_difference(none, none, member=member, stratum=np.zeros(60, int), unit=None)
    assert found.estimate.value == 0
    assert interval(found.estimate).high > 0.1


def test_images_without_a_counterpart_are_left_out():
    member = np.array([True] * 20 + [False] * 20)
    like = np.array([0] * 10 + [1] * 10 + [0] * 20)
    up = np.array([0.0] * 10 + [1.0] * 10 + [0.0] * 20)
    found = net_difference(up, np.zeros(40), member=member, stratum=like, unit=None)
    assert found.estimate.value == 0
    assert found.taken.sum() == 30


@pytest.mark.parametrize(
    ("ordinal", "adverse", "severity"),
    [
        (True, ("serious",), [0, 1, 2]),
        (True, (), [0, 1, 2]),
        (True, ("minor", "serious"), [0, 1, 2]),
        (True, ("compliant",), [0, -1, -2]),
        (False, ("serious",), [0, 0, 1]),
        (False, ("minor", "serious"), [0, 1, 1]),
    ],
)
def test_what_is_severe(ordinal, adverse, severity):
    assert scale_of(GRADES, adverse=adverse, ordinal=ordinal).severity.tolist() == severity
