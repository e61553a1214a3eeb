"""Agreement against Krippendorff's own worked examples, brute force, and simulated worlds."""

import itertools

import numpy as np
import pytest

from auditor.bias.krippendorff import alpha, alpha_draws, pairs
from auditor.stats import interval, value


def coded(*rows):
    """Rows of one annotator each, "." where there is no rating, as (items, annotators)."""
    known = sorted({c for row in rows for c in row.split()} - {"."})
    return np.array([[known.index(c) if c != "." else -1 for c in row.split()] for row in rows]).T


BINARY = coded("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
NOMINAL = coded("a a b b d c c c e d d a", "b a b b b c c c e d d d")
FOUR = coded(
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


@pytest.mark.parametrize(
    ("ratings", "ordinal", "published"),
    [
        (BINARY, False, 0.095),
        (NOMINAL, False, 0.692),
        (FOUR, False, 0.743),
        (FOUR, True, 0.815),
    ],
)
def test_it_is_krippendorffs_own_number(ratings, ordinal, published):
    """Krippendorff (2011), sections A to D."""
    assert alpha(ratings, ordinal=ordinal) == pytest.approx(published, abs=5e-4)


def brute_force(ratings, *, ordinal):
    """Alpha by its definition: disagreement within images over that of any two ratings."""
    within = [
        (given[i], given[j], 1 / (len(given) - 1))
        for given in ([r for r in row if r >= 0] for row in ratings)
        for i, j in itertools.permutations(range(len(given)), 2)
    ]
    paired = [r for row in ratings if (row >= 0).sum() > 1 for r in row if r >= 0]
    count = np.bincount(paired, minlength=9)

    def distance(c, k):
        if not ordinal:
            return float(c != k)
        low, high = min(c, k), max(c, k)
        return float(count[low : high + 1].sum() - (count[c] + count[k]) / 2) ** 2

    observed = sum(w * distance(c, k) for c, k, w in within) / len(paired)
    drawn = [distance(c, k) for c, k in itertools.permutations(paired, 2)]
    return 1 - observed / np.mean(drawn)


@pytest.mark.parametrize("ordinal", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_definition_with_ratings_missing(seed, ordinal):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 25)
    ratings = np.clip(truth[:, None] + rng.integers(-1, 2, (25, 4)), 0, 3)
    ratings[rng.random((25, 4)) < 0.4] = -1
    assert alpha(ratings, ordinal=ordinal) == pytest.approx(brute_force(ratings, ordinal=ordinal))


def test_every_pair_of_annotators_counts_on_its_image():
    ratings = np.array([[0, 0, 1], [2, -1, 2], [1, -1, -1]])
    found = pairs(ratings)
    assert sorted(zip(found.row.tolist(), found.agree.tolist(), strict=True)) == [
        (0, False), (0, False), (0, True), (1, True),
    ]  # fmt: skip
    assert len(pairs(np.zeros((3, 1), dtype=int)).row) == 0


def agreeing(rng, *, n, noise, images_a_unit=1, units_share_noise=False):
    """Two annotators of three classes; each errs with probability `noise`."""
    truth = rng.choice(3, n, p=(0.5, 0.3, 0.2))
    unit = np.repeat(np.arange(-(-n // images_a_unit)), images_a_unit)[:n]
    errs = rng.random((n, 2)) < noise
    if units_share_noise:
        errs = (rng.random((n, 2)) < noise)[unit]
        truth = truth[unit]
    return np.where(errs, (truth[:, None] + 1) % 3, truth[:, None]), unit


def covered(*, n, noise, repetitions=300, **shape):
    rng = np.random.default_rng(5)
    big, _ = agreeing(np.random.default_rng(1), n=200_000, noise=noise)
    truth, inside = alpha(big), 0
    for _ in range(repetitions):
        ratings, unit = agreeing(rng, n=n, noise=noise, **shape)
        found = alpha_draws(ratings, unit=unit, ordinal=False, rng=rng)
        ends = interval(found)
        inside += ends.low <= truth <= ends.high
    return inside / repetitions


def test_intervals_hold_the_truth():
    assert covered(n=120, noise=0.15) >= 0.92
    assert covered(n=40, noise=0.15) >= 0.90


def test_units_are_resampled_whole():
    shape = {"images_a_unit": 5, "units_share_noise": True}
    assert covered(n=300, noise=0.15, **shape) >= 0.89
    rng = np.random.default_rng(0)
    ratings, unit = agreeing(rng, n=300, noise=0.15, **shape)
    by_unit = interval(alpha_draws(ratings, unit=unit, ordinal=False, rng=rng))
    by_image = interval(alpha_draws(ratings, unit=None, ordinal=False, rng=rng))
    assert by_unit.high - by_unit.low > 1.7 * (by_image.high - by_image.low)


def test_agreement_on_everything_is_not_certainty():
    rng = np.random.default_rng(0)
    few = np.repeat(np.array([[0, 0], [1, 1]]), 10, axis=0)
    found = alpha_draws(few, unit=None, ordinal=False, rng=rng)
    assert value(found) == 1
    assert 0.6 < interval(found).low < 0.9
    many = np.repeat(few, 50, axis=0)
    assert interval(alpha_draws(many, unit=None, ordinal=False, rng=rng)).low > 0.99


def test_one_class_only_has_no_alpha():
    rng = np.random.default_rng(0)
    same = np.zeros((30, 2), dtype=int)
    assert np.isnan(alpha(same))
    assert alpha_draws(same, unit=None, ordinal=False, rng=rng) is None
    nearly = same.copy()
    nearly[0, 0] = 1
    assert alpha_draws(nearly, unit=None, ordinal=False, rng=rng) is None


@pytest.mark.parametrize("ordinal", [False, True])
def test_without_a_rating_there_is_no_alpha(ordinal):
    assert np.isnan(alpha(np.full((3, 2), -1), ordinal=ordinal))


def test_the_bootstrap_of_patterns_is_that_of_units():
    """Resampling units one by one gives the same quantiles as resampling their patterns."""
    rng = np.random.default_rng(3)
    ratings, unit = agreeing(rng, n=90, noise=0.2, images_a_unit=3)
    found = alpha_draws(ratings, unit=unit, ordinal=True, rng=rng)
    drawn = []
    for _ in range(1000):
        picked = rng.integers(0, 30, 30)
        drawn.append(alpha(np.concatenate([ratings[unit == u] for u in picked]), ordinal=True))
    ends = interval(found)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([ends.low, ends.high], abs=0.03)
