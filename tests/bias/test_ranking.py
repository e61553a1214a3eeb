import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from auditor.bias.ranking import ranking
from auditor.stats import auc, bound, interval, p_value


def sample(rng, *, n=200, n_rest=400, images_a_unit=1, areas=(0.85, 0.9), mixed=False, span=False):
    """Binormal scores; `mixed` units hold both labels and make both harder, `span` both sides."""
    unit = np.repeat(np.arange((n + n_rest) // images_a_unit), images_a_unit)
    member = rng.random(len(unit)) < n / (n + n_rest) if span else unit < n // images_a_unit
    of_class = rng.random(len(unit)) < 0.3 if mixed else (rng.random(unit.max() + 1) < 0.3)[unit]
    room = rng.normal(0, np.sqrt(0.3), unit.max() + 1)[unit]
    noise = (np.where(of_class, 1, -1) if mixed else 1) * room
    noise = noise + rng.normal(0, np.sqrt(0.7), len(unit))
    distance = np.where(member, *(norm.ppf(a) * np.sqrt(2) for a in areas))
    return noise + of_class * distance, of_class, member, unit if images_a_unit > 1 else None


def test_areas_are_sklearns_in_each_side_alone():
    scores, of_class, member, _ = sample(np.random.default_rng(0))
    sides = ranking(scores, of_class=of_class, member=member)
    for side, found in ((member, sides.group), (~member, sides.rest)):
        assert found.value == pytest.approx(roc_auc_score(of_class[side], scores[side]))
    gap = sides.difference()
    assert gap.value == pytest.approx(sides.group.value - sides.rest.value)


def test_a_higher_score_for_a_whole_group_changes_nothing():
    scores, of_class, member, _ = sample(np.random.default_rng(1))
    moved = ranking(scores + 5 * member, of_class=of_class, member=member)
    still = ranking(scores, of_class=of_class, member=member)
    assert moved.difference().value == pytest.approx(still.difference().value)


def test_the_standard_error_is_delongs_with_a_little_for_luck():
    scores, of_class, member, _ = sample(np.random.default_rng(2), n=1000, n_rest=1000)
    sides = ranking(scores, of_class=of_class, member=member)
    plain = auc(scores[member & ~of_class], scores[member & of_class])
    assert plain.se < sides.group.se < 1.05 * plain.se
    few, of_few, member, _ = sample(np.random.default_rng(2), n=60, n_rest=100)
    small = ranking(few, of_class=of_few, member=member).group
    assert small.se > 1.05 * auc(few[member & ~of_few], few[member & of_few]).se


@pytest.mark.parametrize(("mixed", "span"), [(False, False), (True, False), (True, True)])
def test_the_standard_error_is_that_of_a_bootstrap_of_rooms(mixed, span):
    rng = np.random.default_rng(5)
    drawn = sample(rng, n=600, n_rest=600, images_a_unit=6, mixed=mixed, span=span)
    scores, of_class, member, unit = drawn
    gap = ranking(scores, of_class=of_class, member=member, unit=unit).difference()
    rooms = int(unit.max()) + 1
    images = np.arange(len(unit)).reshape(rooms, 6)
    points = []
    for _ in range(200):
        at = images[rng.integers(0, rooms, rooms)].ravel()
        s, c, m = scores[at], of_class[at], member[at]
        points.append(roc_auc_score(c[m], s[m]) - roc_auc_score(c[~m], s[~m]))
    assert 0.9 < gap.se / np.std(points) < 1.25


def test_rooms_on_both_sides_are_not_independent():
    rng = np.random.default_rng(6)
    for mixed in (True, False):
        drawn = sample(rng, n=600, n_rest=600, images_a_unit=6, mixed=mixed, span=True)
        scores, of_class, member, unit = drawn
        sides = ranking(scores, of_class=of_class, member=member, unit=unit)
        assert sides.covariance > 0
        assert sides.difference().se ** 2 < sides.group.se**2 + sides.rest.se**2


def test_perfect_ranking_of_few_images_claims_no_certainty():
    of_class = np.tile([True, False], 40)
    member = np.arange(80) < 30
    gap = ranking(of_class.astype(float), of_class=of_class, member=member).difference()
    assert gap.value == 0
    assert bound(gap, side="low") < -0.05


def test_perfect_ranking_in_few_rooms_claims_less_than_in_as_many_photos():
    unit = np.repeat(np.arange(60), 10)
    of_class, member = unit % 2 == 0, unit < 24
    by_room, by_photo = (
        ranking(of_class.astype(float), of_class=of_class, member=member, unit=u).difference()
        for u in (unit, None)
    )
    assert by_room.se > 2.5 * by_photo.se > 0


@pytest.mark.parametrize(
    "case",
    [
        {"n": 100, "n_rest": 500},
        {"n": 300, "n_rest": 600, "images_a_unit": 10, "mixed": True},
        {"n": 400, "n_rest": 400, "images_a_unit": 10, "mixed": True, "span": True},
    ],
)
def test_at_the_limit_ranking_is_rarely_called_either_way(case):
    hit = failed = passed = 0
    rng = np.random.default_rng(7)
    for _ in range(300):
        scores, of_class, member, unit = sample(rng, **case)
        gap = ranking(scores, of_class=of_class, member=member, unit=unit).difference()
        ends = interval(gap)
        hit += ends.low <= -0.05 <= ends.high
        failed += p_value(gap, limit=-0.05, exceeds="below") <= 0.05
        passed += bound(gap, side="low") >= -0.05
    assert hit / 300 >= 0.93
    assert failed / 300 <= 0.075
    assert passed / 300 <= 0.095
