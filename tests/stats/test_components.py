"""Components of rows taken in blocks are those of all rows at once, whatever is read of them."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.stats.classifier_test import classifier_test
from auditor.stats.components import Components, components
from auditor.stats.two_samples import TwoSamples, pooled_components


@pytest.fixture
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.normal(size=(60_000, 24)) * rng.uniform(0.5, 4, 24) + rng.normal(size=24)
    found[:, 3] = 7.0
    found[5, 9] = np.nan
    return found.astype(np.float32)


def test_they_are_those_of_all_rows_but_for_their_signs(values):
    found = components(values, most=10)
    assert isinstance(found, Components)
    whole = pooled_components(np.delete(values, 9, axis=1), most=10)
    assert found.shape == whole.shape
    some = np.arange(7, 60_000, 13)
    signs = np.sign((found[:] * whole).sum(axis=0))
    np.testing.assert_allclose(found[some] * signs, whole[some], rtol=0, atol=1e-8)


def test_a_classifier_scores_by_them_as_by_all_rows(values):
    unit = np.arange(len(values)) // 3
    samples = TwoSamples.of(unit[:30_000], unit[30_000:])
    values[30_000:, 0] += 0.3
    whole = pooled_components(np.delete(values, 9, axis=1))
    rng = np.random.default_rng
    ours = classifier_test(components(values), samples, rng=rng(1), permutations=0)
    theirs = classifier_test(whole, samples, rng=rng(1), permutations=0)
    assert ours.area == pytest.approx(theirs.area, abs=1e-9)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=1e-9)


def test_of_few_rows_they_are_an_array(values):
    few, finite = values[:200].astype(np.float64), np.arange(24) != 9
    np.testing.assert_array_equal(components(few), pooled_components(few[:, finite]))


def test_there_are_none_where_nothing_varies_or_is_a_number():
    assert components(np.full((60_000, 24), 2.0)) is None
    assert components(np.full((60_000, 24), np.nan)) is None
