"""What may be opened: a regular file of a bounded size in its folder, and nothing else."""

import os
import socket
from pathlib import Path

import pytest

from auditor.errors import DataError
from auditor.opening import require_file, why_not

MOST = 1000


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.fixture
def plain(tmp_path) -> Path:
    path = tmp_path / "data" / "plain.csv"
    path.parent.mkdir()
    path.write_bytes(b"x" * MOST)
    return path


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def circle(folder):
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def listening(folder):
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(folder / "s"))
    return folder / "s"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (pipe, "is a pipe, expected a regular file"),
        (listening, "is a socket"),
        (lambda folder: folder, "is a folder"),
        (lambda folder: Path("/dev/zero"), "is a device"),
        (lambda folder: Path("/proc/self/environ"), "is a file of the system"),
        (lambda folder: Path("/proc/self/maps"), "is a file of the system"),
        (lambda folder: folder / "absent", "does not exist"),
        (lambda folder: folder / "a\0b", "cannot be opened (embedded null"),
        (lambda folder: folder / ("x" * 5000), "cannot be opened (File name too long)"),
        (circle, "cannot be opened (Too many levels"),
        (lambda folder: folder / "plain.csv" / "x", "cannot be opened (Not a directory)"),
        (lambda folder: sparse(folder / "big", 100 * 2**30), "has 107 GB, expected at most 1 kB"),
    ],
)
def test_what_would_hang_or_fill_the_memory_is_told(plain, made, says):
    found = why_not(made(plain.parent), at_most=MOST)
    assert found is not None
    assert says in found


def test_a_plain_file_is_opened_up_to_its_bound(plain):
    asked = {"what": "data.test", "error": DataError, "remedy": "Give a smaller one."}
    assert require_file(plain, at_most=MOST, **asked) == MOST
    with pytest.raises(DataError, match=r"data.test: .*plain.csv has 1 kB.*999.*Give a smaller"):
        require_file(plain, at_most=MOST - 1, **asked)


def test_links_are_followed_to_where_they_lead(plain):
    folder = plain.parent
    outside = folder.parent / "outside.csv"
    outside.write_text("x")
    (folder / "inner").symlink_to(plain)
    (folder / "out").symlink_to(outside)
    assert why_not(folder / "inner", at_most=MOST, within=folder) is None
    for leading_out in (folder / "out", folder / ".." / "outside.csv"):
        assert "lies outside of" in why_not(leading_out, at_most=MOST, within=folder)
        assert why_not(leading_out, at_most=MOST) is None
    # A folder is no prefix of a name.
    beside = folder.with_name("data-2")
    beside.mkdir()
    (beside / "x").write_text("x")
    assert "lies outside" in why_not(beside / "x", at_most=MOST, within=folder)


def test_a_message_shows_no_control_characters_and_no_endless_name(plain):
    with pytest.raises(DataError) as caught:
        require_file(plain.parent / ("\x1b[2J" + "y" * 5000), what="image", at_most=1,
                     error=DataError, remedy="Rename it.")  # fmt: skip
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400
