"""Digests held in 32 bytes are those that were given, in their order."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from auditor.data.image_digests import ImageDigests


def some(n: int, *, seed: int = 0) -> list[str]:
    return [hashlib.sha256(f"{seed} {i}".encode()).hexdigest() for i in range(n)]


def test_they_are_given_back():
    texts = [*some(5), "unreadable", *some(2, seed=1)]
    held = ImageDigests.of(texts, none="unreadable")
    assert list(held) == texts
    assert [held[i] for i in range(8)] == texts
    assert list(held.take(np.array([7, 5]))) == [texts[7], "unreadable"]
    assert list(ImageDigests.joined([held, held], none="unreadable")) == 2 * texts
    assert held == ImageDigests.of(texts, none="unreadable")
    assert held != ImageDigests.of(texts[::-1], none="unreadable")
    assert not ImageDigests.of([], none="")


def test_their_numbers_are_equal_and_rise_where_they_do():
    # The last ends with zeros, which text of a fixed width would lose.
    texts = [*some(60), *some(30), "", f"{'f' * 62}00", f"{'f' * 60}0000"]
    codes = ImageDigests.of(texts, none="").codes()
    ranks = pd.Series(texts).rank(method="dense").to_numpy().astype(int) - 2
    assert codes.tolist() == ranks.tolist()
    assert codes[90] == -1


@pytest.mark.parametrize("text", ["a", "f" * 63, "g" * 64])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match=r"digest|hexadecimal"):
        ImageDigests.of([text], none="")


def test_a_column_of_them_reads_back_also_where_tables_were_put_together():
    texts = [*some(7), ""]
    columns = [ImageDigests.of(part, none="").column() for part in (texts, texts[:3])]
    assert list(ImageDigests.of_column(pd.concat(columns))) == [*texts, *texts[:3]]
    assert list(ImageDigests.of_column(columns[0].iloc[2:5])) == texts[2:5]
    assert list(ImageDigests.of_column(pd.Series([*texts, None], dtype="str"))) == [*texts, ""]
