import numpy as np

from auditor.bias.split_half import first_half


def test_halves_are_of_units_and_even_in_every_stratum():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(60), 4)
    stratum = np.repeat(["few"] * 7 + ["many"] * 53, 4)
    first = first_half(240, unit=unit, stratum=stratum, rng=rng)
    assert all(len(set(first[unit == u])) == 1 for u in range(60))
    assert first[stratum == "few"].sum() in (3 * 4, 4 * 4)
    assert first.sum() == 120
    again = first_half(240, unit=unit, stratum=stratum, rng=np.random.default_rng(1))
    assert (first != again).any()
