"""Some rows of a table are positions in it: what is read of them is what copies would hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.data import parquet_manifest
from auditor.data.columns import Columns
from auditor.stats.codes import codes_of

FRAME = pd.DataFrame(
    {
        "label": [0, 1, -1, 1, 0, 2],
        "unit": ["v", "", "u", "v", "u", "w"],
        "attribute:light": ["b", "", "a", "b", "a", "c"],
        "time": pd.date_range("2026-01-01", periods=6, freq="D"),
    }
)
SOME = [np.array([5, 0, 0, 3]), np.array([], dtype=np.int32), np.arange(6)[::-1]]


@pytest.mark.parametrize("first", SOME)
@pytest.mark.parametrize("then", [slice(None), slice(1), slice(None, None, -1)])
def test_rows_of_rows_are_those_that_copies_would_hold(first, then):
    at = np.arange(len(first))[then]
    copied = Columns.of(FRAME).held.iloc[first].iloc[at].reset_index(drop=True)
    found = Columns.of(FRAME).take(first).take(at)
    assert len(found) == len(copied)
    assert list(found) == list(FRAME)
    pd.testing.assert_frame_equal(found.whole(), copied)
    for name in FRAME:
        pd.testing.assert_series_equal(found[name], copied[name])


def test_nothing_is_copied_until_it_is_asked_for():
    whole = Columns.of(FRAME)
    part = whole.take(np.array([4, 1]))
    assert part.held is whole.held
    assert whole.whole() is whole.held


def test_a_name_is_changed_in_every_row_that_has_it():
    part = Columns.of(FRAME).take(np.array([0, 2, 5]))
    found = part.renamed("attribute:light", lambda name: "a or b" if name in "ab" else name)
    assert found["attribute:light"].tolist() == ["a or b", "a or b", "c"]
    assert part["attribute:light"].tolist() == ["b", "a", "c"]
    assert found["label"].tolist() == [0, -1, 2]


@pytest.mark.parametrize("units", [list("cabcab"), ["c", "", "b", "c", "", "a"]])
def test_codes_of_units_rise_with_their_names_without_gaps(worlds, units):
    dataset = worlds.dataset([0, 1, 0, 1, 0, 1], units=units)
    for part in (dataset, dataset.take(np.array([5, 0, 3])), dataset.take(np.array([2, 2]))):
        assert part.unit_codes.tolist() == codes_of(part.units).tolist()
        assert part.unit_codes.dtype == np.int64
    assert worlds.dataset([0, 1]).unit_codes is None


def test_many_different_texts_are_made_some_at_a_time(monkeypatch):
    monkeypatch.setattr(parquet_manifest, "_AT_ONCE", 3)
    given = pd.Series([*" ab  cdefg", None, "a"], dtype="str")
    found = parquet_manifest._as_text(given)
    assert found.fillna("-").tolist() == ["-", *"ab", "-", "-", *"cdefg", "-", "a"]
    assert parquet_manifest._as_text(given[:0]).tolist() == []
