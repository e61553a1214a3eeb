"""benchmarks/slices.py runs, and the audit finds in a few of its worlds what it finds in many."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import slices

    return slices


@pytest.mark.parametrize("answers", ["drawn", "head", "mistaken"])
@pytest.mark.parametrize("classes", [2, 10])
def test_planted_slices_are_found_and_no_others(bench, answers, classes):
    """Taking out the directions that tell the answer, none of ten classes was found."""
    planted, null = bench.rates(bench.Kind(answers), classes, worlds=3, seed=1000)
    assert planted >= 0.6
    assert null <= 0.4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_rectifying_net_has_the_planted_slice_and_none_of_images_it_is_unsure_of(bench):
    """Subtracting what is linear in its scores alone, a third of clean worlds had one.

    Looking along all excess errors, not along surprising ones, three in five planted were found.
    """
    planted, null = bench.rates(bench.Kind("net"), 2, worlds=4, seed=1000)
    assert planted >= 0.75
    assert null <= 0.25
