"""Pooling: groups that are too small are never told apart, and no sum gives them away."""

import dataclasses
import itertools

import numpy as np
import pytest

from auditor.data.pooling import (
    Members,
    by_label,
    crossed,
    merged_names,
    pool_small_groups,
    pooled_places,
)

HOUSEHOLDS = ("single", "family", "shared", "accessible", "elder")
SHARES = (0.6, 0.2, 0.1, 0.07, 0.03)
SMALLEST = 10


def members_of(table):
    """One unit an image; `table` (groups, contexts) holds how many."""
    table = np.asarray(table)
    rows, columns = (a.ravel() for a in np.indices(table.shape))
    group, context = (np.repeat(codes, table.ravel()) for codes in (rows, columns))
    return Members(group, context, np.arange(len(group)))


def pooled_table(table, place):
    out = np.zeros_like(table)
    np.add.at(out, place, table)
    return out


def world(worlds, seed, *, n=(300, 120, 90), p=SHARES, units=False):
    rng = np.random.default_rng(seed)
    found = {}
    for split, size in zip(("test", "train", "deployment"), n, strict=True):
        found[split] = worlds.dataset(
            rng.integers(0, 2, size),
            split=split,
            units=np.arange(size) // 3 if units else None,
            attributes={
                "household": ("sensitive", rng.choice(HOUSEHOLDS, size, p=p)),
                "building": ("condition", rng.choice(["old", "new", "tower"], size)),
            },
        )
    return found


def pooled_world(datasets, *, smallest=SMALLEST, sound=None):
    everything = {split: np.ones(len(d), bool) for split, d in datasets.items()}
    return pool_small_groups(datasets, sound=everything | (sound or {}), smallest=smallest)


def cells_of(dataset, *columns):
    """Units of every cell that has any."""
    units = dataset.image_ids if dataset.units is None else dataset.units
    frame = dataset.frame.assign(of=units)
    return frame.groupby(list(columns))["of"].nunique()


def test_a_small_group_is_pooled_with_the_next_smallest_and_no_other():
    place = pooled_places(members_of([[100], [40], [30], [4]]), groups=4, smallest=10)
    assert place.tolist() == [0, 1, 2, 2]


def test_pooling_goes_on_until_what_is_pooled_is_large_enough():
    place = pooled_places(members_of([[100], [40], [3], [3], [3]]), groups=5, smallest=10)
    assert place.tolist() == [0, 1, 1, 1, 1]


def test_groups_that_are_large_enough_stay_as_they_are():
    place = pooled_places(members_of([[10, 10], [12, 0], [30, 11]]), groups=3, smallest=10)
    assert place.tolist() == [0, 1, 2]


def test_two_groups_of_which_one_is_small_become_one():
    place = pooled_places(members_of([[50], [3]]), groups=2, smallest=10)
    assert place.tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(40))
def test_every_published_cell_is_empty_or_large_or_all_there_is(seed):
    rng = np.random.default_rng(seed)
    table = rng.poisson(rng.choice([1, 4, 12, 40], (6, 1)), (6, 4))
    place = pooled_places(members_of(table), groups=6, smallest=SMALLEST)
    published = pooled_table(table, place)
    whole = published == table.sum(axis=0)
    assert ((published == 0) | (published >= SMALLEST) | whole).all()


def consistent_tables(row_sums, published, place):
    """Every table of counts with these row sums and these pooled cells, by brute force."""
    rows, columns = len(row_sums), published.shape[1]
    choices = []
    for g in range(rows):
        room = [range(int(published[place[g], c]) + 1) for c in range(columns - 1)]
        fits = []
        for first in itertools.product(*room):
            last = int(row_sums[g]) - sum(first)
            if 0 <= last <= published[place[g], -1]:
                fits.append((*first, last))
        choices.append(fits)
    for chosen in itertools.product(*choices):
        if (pooled_table(np.array(chosen), place) == published).all():
            yield chosen


@pytest.mark.parametrize("seed", range(25))
def test_no_small_cell_follows_from_row_sums_and_the_published_table(seed):
    """The attacker knows every group's total (they are published) and the pooled cross table."""
    rng = np.random.default_rng(seed)
    table = rng.poisson(rng.choice([1, 3, 6], (4, 1)), (4, 2))
    smallest = 4
    place = pooled_places(members_of(table), groups=4, smallest=smallest)
    row_sums = table.sum(axis=1)
    allowed = row_sums >= smallest
    published = pooled_table(table, place)
    found = np.array(list(consistent_tables(row_sums, published, place)))
    for g, c in zip(*np.nonzero((table > 0) & (table < smallest)), strict=True):
        if not allowed[g] or table[g, c] == row_sums[g]:
            continue
        assert len(set(found[:, g, c].tolist())) > 1, (table, place)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("units", [False, True])
def test_no_check_sees_a_small_group_in_any_split_or_in_the_sound_part(worlds, seed, units):
    datasets = world(worlds, seed, units=units)
    sound = {"train": np.arange(len(datasets["train"])) % 4 > 0}
    pooled = pooled_world(datasets, sound=sound)
    seen = {r: set(d.attribute("household").groups) for r, d in pooled.items()}
    assert seen["test"] == seen["train"] == seen["deployment"]
    for split, dataset in pooled.items():
        for part in (dataset, dataset.take(sound.get(split, np.ones(len(dataset), bool)))):
            sizes = cells_of(part, "attribute:household")
            assert len(sizes) > 1
            assert sizes.min() >= SMALLEST, (split, sizes)
        labelled = cells_of(by_label(part), "attribute:household", "label")
        assert labelled.min() >= SMALLEST, (split, labelled)


@pytest.mark.parametrize("seed", range(5))
def test_cells_of_two_attributes_are_pooled_too(worlds, seed):
    test = pooled_world(world(worlds, seed))["test"]
    pair = crossed(test, ("household", "building"))
    sizes = cells_of(pair, "attribute:household", "attribute:building")
    assert sizes.min() >= SMALLEST, sizes


def test_groups_are_pooled_under_a_name_that_says_so_and_lists_them(worlds):
    pooled = pooled_world(world(worlds, 0))["test"].attribute("household")
    (name,) = pooled.pooled
    assert pooled.smallest == SMALLEST
    assert name in pooled.groups
    assert " or " in name
    assert {"elder", "accessible"} <= set(pooled.pooled[name])
    assert not {"elder", "accessible"} & set(pooled.groups)


def test_labels_are_counted_in_coarser_groups_than_images_only_where_they_must_be(worlds):
    n = 200
    group = ["a"] * 100 + ["b"] * 60 + ["c"] * 40
    labels = [i % 2 for i in range(160)] + [0] * 36 + [1] * 4
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", group)})
    test = pool_small_groups({"test": dataset}, sound={"test": np.ones(n, bool)}, smallest=10)
    assert test["test"].attribute("g").groups == ("a", "b", "c")
    assert by_label(test["test"]).attribute("g").groups == ("a", "b or c")
    assert set(by_label(test["test"]).groups("g")) == {"a", "b or c"}


def test_shares_of_the_population_are_summed(worlds):
    group = ["a"] * 100 + ["b"] * 15 + ["c"] * 5
    dataset = worlds.dataset([0, 1] * 60, attributes={"g": ("sensitive", group)})
    shares = {"a": 0.7, "b": 0.2, "c": 0.1}
    declared = dataclasses.replace(dataset.attribute("g"), population=shares)
    dataset = dataclasses.replace(dataset, attributes=(declared,))
    pooled = pool_small_groups({"test": dataset}, sound={"test": np.ones(120, bool)}, smallest=10)
    assert pooled["test"].attribute("g").population == pytest.approx({"a": 0.7, "b or c": 0.3})


def test_without_a_declared_size_nothing_is_pooled(worlds):
    datasets = world(worlds, 1)
    assert pooled_world(datasets, smallest=None) == datasets


@pytest.mark.parametrize("seed", range(3))
def test_large_groups_are_left_alone(worlds, seed):
    datasets = world(worlds, seed, n=(900, 900, 900), p=(0.2,) * 5)
    pooled = pooled_world(datasets)
    for split, dataset in datasets.items():
        assert pooled[split].attribute("household").groups == dataset.attribute("household").groups
        assert not pooled[split].attribute("household").pooled
        assert (by_label(pooled[split]).groups("household") == dataset.groups("household")).all()


def test_a_pooled_name_never_falls_together_with_a_groups_own():
    names = merged_names(("a", "b", "a or b"), np.array([0, 0, 2]))
    assert names == {"a": "a or b (pooled)", "b": "a or b (pooled)", "a or b": "a or b"}
