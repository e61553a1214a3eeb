"""Rows of a run, kept and read again: any kind of presence, and of their own record only."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from auditor.contract import Pass
from auditor.data.image_digests import ImageDigests
from auditor.engine.row_files import read_rows, write_rows
from auditor.engine.store import Store
from auditor.record import DatasetSummary
from auditor.scoring.presence import OneHot, Placed, Several
from auditor.scoring.rows import Amount, Rows

DIGESTS = [64 * digit for digit in "abcd"]
ONE_HOT = OneHot(("a", "b"), np.array([0, 1, 0, -1]), np.array([0, 0, 1, 1]))
PLACED = Placed(("a", "b"), np.array([0, 1, 0, 1]), np.array([0, -1, 1, 1]))
SEVERAL = Several(
    ("a", "b"),
    np.array([[1, 0], [0, 2], [1, 1], [0, 0]]),
    np.array([[1, 0], [0, 0], [1, 3], [0, 1]]),
)


def rows_of(worlds, presence, *, of="image", known=None):
    dataset = worlds.dataset(
        [0, 1, 0, 1], units=["r1", "r1", "r2", "r3"],
        attributes={"phone": ("condition", ["old", "new", "", "old"])},
    )  # fmt: skip
    return Rows(
        dataset=dataset,
        right=np.array([True, False, True, False]),
        known=np.ones(4, dtype=bool) if known is None else known,
        confidence=np.full(4, 0.5),
        presence=presence,
        amounts={"cost": Amount(np.array([0.5, 1, 2, 3]), "lower", "EUR", (0.0, np.inf))},
        flags={"odd": np.array([False, True, False, False])},
        of=of,
        numbers=None if of == "image" else np.array([4, 5, 6, 7]),
    )


def record_of(worlds):
    summary = DatasetSummary("test", 4, 4, 3, True, (), (), (), "0" * 64)
    return worlds.record(datasets=(summary,))


def kept(worlds, tmp_path, rows, *, wanted=None, part="sound"):
    record = record_of(worlds)
    digests = ImageDigests.of(DIGESTS, none="")
    gathered = SimpleNamespace(
        store=Store(tmp_path / "store"),
        scored={(wanted or Pass("test"), part, rows.of): rows},
        available=SimpleNamespace(datasets={"test": rows.dataset}),
        splits={"test": SimpleNamespace(digests=digests)},
    )
    write_rows(record, gathered)
    return record, read_rows(record, tmp_path)


@pytest.mark.parametrize("at_once", [3, 1000])
@pytest.mark.parametrize(
    ("presence", "of"), [(ONE_HOT, "image"), (PLACED, "object"), (SEVERAL, "image")]
)
def test_what_is_kept_is_read_again(worlds, tmp_path, monkeypatch, presence, of, at_once):
    monkeypatch.setattr("auditor.engine.row_files._AT_ONCE", at_once)
    rows = rows_of(worlds, presence, of=of)
    _, found = kept(worlds, tmp_path, rows)
    again = found["test", of].rows
    assert type(again.presence) is type(presence)
    for label in ("a", "b"):
        assert (again.present(label) == rows.present(label)).all()
        assert (again.called(label) == rows.called(label)).all()
    assert (again.right == rows.right).all()
    assert list(again.keys) == list(rows.keys)
    assert (again.unit_codes == rows.unit_codes).all()
    assert list(again.groups("phone")) == ["old", "new", "", "old"]
    assert again.amounts["cost"].values.tolist() == [0.5, 1, 2, 3]
    assert again.amounts["cost"].span == (0.0, np.inf)
    assert again.flags["odd"].tolist() == [False, True, False, False]
    assert found["test", of].digests.tolist() == DIGESTS
    assert (again.headline, again.of) == (rows.headline, of)


def test_some_of_what_was_read_can_be_taken(worlds, tmp_path):
    # As two audits compared take the images that both have; of these rows nobody has the paths.
    _, found = kept(worlds, tmp_path, rows_of(worlds, ONE_HOT))
    some = found["test", "image"].rows.take(np.array([True, False, True, True]))
    last = some.take(np.array([False, True, True]))
    assert list(some.groups("phone")) == ["old", "", "old"]
    assert list(last.groups("phone")) == ["", "old"]
    assert last.right.tolist() == [True, False]


def test_groups_of_special_categories_are_not_kept(worlds, tmp_path):
    rows = rows_of(worlds, ONE_HOT)
    (attribute,) = rows.dataset.attributes
    special = dataclasses.replace(attribute, special_category=True)
    dataset = dataclasses.replace(rows.dataset, attributes=(special,))
    _, found = kept(worlds, tmp_path, dataclasses.replace(rows, dataset=dataset))
    assert found["test", "image"].rows.attributes == ()
    (file,) = (tmp_path / "store" / "rows").glob("*.parquet")
    assert b"old" not in file.read_bytes()


def test_rows_of_unknown_truth_are_left_out(worlds, tmp_path):
    known = np.array([True, False, True, True])
    _, found = kept(worlds, tmp_path, rows_of(worlds, ONE_HOT, known=known))
    assert found["test", "image"].digests.tolist() == [DIGESTS[0], *DIGESTS[2:]]


@pytest.mark.parametrize(
    ("wanted", "part"), [(Pass("test", variant="int8"), "sound"), (Pass("test"), "as-given")]
)
def test_rows_of_other_passes_are_not_kept(worlds, tmp_path, wanted, part):
    _, found = kept(worlds, tmp_path, rows_of(worlds, ONE_HOT), wanted=wanted, part=part)
    assert found == {}


def test_another_record_finds_none_and_a_changed_file_is_none(worlds, tmp_path):
    record, found = kept(worlds, tmp_path, rows_of(worlds, ONE_HOT))
    assert found
    come_from = dataclasses.replace(record.provenance, inputs={"model": "another"})
    assert read_rows(dataclasses.replace(record, provenance=come_from), tmp_path) == {}
    assert read_rows(record, tmp_path / "elsewhere") == {}
    (file,) = (tmp_path / "store" / "rows").glob("*.parquet")
    file.write_bytes(file.read_bytes() + b" ")
    assert read_rows(record, tmp_path) == {}
