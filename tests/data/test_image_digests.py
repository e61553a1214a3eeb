"""Digests held in 32 bytes are those that were given, in their order."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from auditor.data.image_digests import DigestParts, ImageDigests


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


@pytest.mark.parametrize("cuts", [[], [40], [0, 25, 90]])
def test_their_numbers_are_equal_and_rise_where_they_do(cuts):
    # Some begin alike; the last end with zeros, which text of a fixed width would lose.
    alike = [f"{'a' * 16}{text[16:]}" for text in some(5, seed=2)]
    texts = [*some(60), *some(30), "", *alike, *alike[:2], f"{'f' * 62}00", f"{'f' * 60}0000", ""]
    ends = [*cuts, len(texts)]
    parts = [texts[start:stop] for start, stop in zip([0, *cuts], ends, strict=True)]
    held = DigestParts([ImageDigests.of(part, none="") for part in parts])
    ranks = pd.Series(texts).rank(method="dense").to_numpy().astype(int) - 2
    assert held.codes().tolist() == ranks.tolist()
    assert held.codes()[90] == -1
    assert [held[i] for i in range(len(held))] == texts


@pytest.mark.parametrize("texts", [[], [""], ["", ""], some(1), 2 * some(1)])
def test_numbers_of_few(texts):
    codes = DigestParts([ImageDigests.of(texts, none="")]).codes()
    assert codes.tolist() == [0 if text else -1 for text in texts]


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
