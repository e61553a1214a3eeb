"""Names of many images are read like an array of them, whatever letters they hold."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapped_memory import mapped_kb

from auditor.data.image_names import ImageNames

# A file system may hold halves of surrogate pairs: names that are no text.
NAMES = st.lists(st.text(st.characters(codec=None), max_size=6), max_size=40)


@given(NAMES, st.data())
def test_they_are_the_strings_that_they_were_made_of(names, data):
    found = ImageNames.of(names)
    assert found.tolist() == names
    assert len(found) == len(names)
    assert [found[at] for at in range(len(names))] == names
    places = st.lists(st.integers(0, len(names) - 1), max_size=9) if names else st.just([])
    rows = np.array(data.draw(places), dtype=int)
    assert found[rows].tolist() == found.take(rows).tolist() == [names[row] for row in rows]
    assert found.take(rows)[1:].tolist() == [names[row] for row in rows][1:]


@given(NAMES, st.data())
def test_names_in_a_file_are_the_same(names, data):
    whole = ImageNames.of(["before", *names, "after"])
    kept = np.array(data.draw(st.lists(st.integers(0, len(names) + 1), max_size=9)), dtype=int)
    for given_names in (whole, whole.take(kept), ImageNames(whole.texts[1:-1])):
        held = given_names.in_file()
        assert held.tolist() == given_names.tolist()
        held.let_go()
        assert held[::-1].tolist() == given_names[::-1].tolist()
        assert held[held.places_of(given_names)].tolist() == given_names.tolist()
        assert (held.digest(), held) == (given_names.digest(), given_names)


def test_without_room_for_a_file_names_stay_in_memory(monkeypatch):
    def refused():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert ImageNames.of(["a", "b"]).in_file().tolist() == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what of files is in memory")
def test_names_in_a_file_take_no_memory_once_they_are_let_go_of():
    held = ImageNames.of([f"{i:050}" for i in range(200_000)]).in_file()
    parts = held.take(np.arange(0, len(held), 2))
    held.let_go()
    before = mapped_kb()
    assert parts[-1] == f"{199_998:050}"
    assert len(parts.distinct()) == len(parts)
    # All of them are 11,500 kB.
    assert mapped_kb() - before > 8_000
    held.let_go()
    assert mapped_kb() - before < 1_000


@given(NAMES, NAMES)
def test_places_are_those_of_the_first_of_equal_names(names, others):
    found, place = ImageNames.of(names), {}
    for at, name in enumerate(names):
        place.setdefault(name, at)
    wanted = [place.get(name, -1) for name in others]
    assert found.places_of(others).tolist() == wanted
    assert found.places_of(ImageNames.of(others)).tolist() == wanted
    # Of parts of the same names, which share their texts.
    back = np.arange(len(names))[::-1]
    assert found.places_of(found.take(back)).tolist() == back.tolist() or len(place) < len(names)
    half = found.take(back[: len(names) // 2])
    there = half.places_of(found)
    kept = np.flatnonzero(there >= 0)
    assert len(kept) == len(half)
    assert half[there[kept]].tolist() == found[kept].tolist()


@given(NAMES, NAMES)
def test_places_of_few_among_many_are_the_same(names, others):
    many = [*names, *(f"{i}.png" for i in range(200)), *names]
    place = {name: at for at, name in reversed(list(enumerate(many)))}
    some = [*others[:20], *names[:2], "7.png", "7.png"]
    wanted = [place.get(name, -1) for name in some]
    assert ImageNames.of(many).places_of(some).tolist() == wanted
    back = np.arange(len(many))[::-1]
    turned = ImageNames.of(many).take(back).places_of(some)
    last = {name: len(many) - 1 - at for at, name in enumerate(many)}
    assert turned.tolist() == [last.get(name, -1) for name in some]


@given(NAMES)
def test_they_are_sorted_and_numbered_as_strings_are(names):
    found = ImageNames.of(names)
    assert found.take(found.order()).tolist() == sorted(names)
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    assert found.codes().tolist() == [rank[name] for name in names]
    assert found.distinct().tolist() == sorted(set(names))
    back = found.take(np.arange(len(names))[::-1])
    assert back.distinct().tolist() == sorted(set(names))
    assert back.codes().tolist() == [rank[name] for name in names[::-1]]


def test_other_names_have_another_digest_however_they_are_cut():
    digests = {ImageNames.of(n).digest() for n in (["ab", "c"], ["a", "bc"], ["c", "ab"], [], [""])}
    assert len(digests) == 5
    whole = ImageNames.of(["x", "ab", "c"])
    assert whole.take(np.array([1, 2])).digest() == ImageNames.of(["ab", "c"]).digest()


def test_numpy_and_pandas_take_them_for_an_array_of_objects():
    found = ImageNames.of(["b", "ü", "a"])
    assert np.asarray(found).dtype == object
    assert np.asarray(found).tolist() == ["b", "ü", "a"]
    assert pd.Index(found).tolist() == found.column().tolist() == ["b", "ü", "a"]
    assert found[np.array([True, False, True])].tolist() == ["b", "a"]
    assert found[-1] == "a"
    assert "ü" in found
    assert "u" not in found
    assert 3 not in found
    with pytest.raises(IndexError):
        found[3]


def test_many_names_are_handed_out_some_at_a_time():
    names = [f"rooms/{at:06}.jpg" for at in range(150_000)]
    found = ImageNames.of(iter(names))
    assert list(found) == names
    assert found.take(np.arange(0, 150_000, 2)).tolist() == names[::2]


def test_names_in_a_file_can_be_copied_and_sent_to_another_process():
    names = ["a.png", "", "b\udcff.png", "ü"]
    found = ImageNames.of(names).in_file()
    found.let_go()
    some = found.take(np.array([3, 2]))
    for one, meant in ((found, names), (some, names[:1:-1])):
        assert copy.deepcopy(one).tolist() == pickle.loads(pickle.dumps(one)).tolist() == meant
