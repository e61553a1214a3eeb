import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from web_servers import cache_in, put_in_memory

from auditor.data.image_files import ImageFiles, manifest_of, remote_of
from auditor.data.rows import locate, read_rows
from auditor.data.tar_shards import read_shards, shard_places
from auditor.errors import DataError
from auditor.spec import ColumnsSpec, DatasetSpec


def picture(i):
    pixels = np.full((6, 5, 3), i, dtype=np.uint8)
    found = io.BytesIO()
    Image.fromarray(pixels).save(found, "png")
    return found.getvalue()


def write_tar(path, files, **how):
    with tarfile.open(path, "w", **how) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def sample(i, label):
    return {
        f"{i:04d}.png": picture(i),
        f"{i:04d}.cls": f"{label}\n".encode(),
        f"{i:04d}.json": f'{{"room": "r{i // 2}", "kept": null}}'.encode(),
    }


@pytest.fixture
def shards(tmp_path):
    for number in range(2):
        files = {}
        for i in range(number * 3, number * 3 + 3):
            files |= sample(i, "red" if i % 2 else "blue")
        write_tar(tmp_path / f"shard-{number:03d}.tar", files)
    return tmp_path


COLUMNS = ColumnsSpec(unit="room")


def rows_of(folder, images, **more):
    return read_rows("test", DatasetSpec(images=images, **more), folder=folder, columns=COLUMNS)


def test_samples_of_shards_are_rows_and_images_are_read_from_the_tar(shards):
    rows = rows_of(shards, "shard-{000..001}.tar")
    assert rows.frame["image"].tolist() == [f"{i:04d}.png" for i in range(6)]
    assert rows.frame["label"].tolist() == ["blue", "red"] * 3
    assert rows.frame["room"].tolist() == ["r0", "r0", "r1", "r1", "r2", "r2"]
    located = locate("test", rows, column="image")
    files = ImageFiles()
    assert [files.read(path) for path in located.paths] == [picture(i) for i in range(6)]
    assert manifest_of(located.paths[0]) == str(shards / "shard-000.tar")
    assert remote_of(located.paths[0]) is None
    assert sorted(path.name for path in shards.iterdir()) == ["shard-000.tar", "shard-001.tar"]


def test_a_manifest_names_members_and_what_is_not_there_is_left_out(shards):
    (shards / "test.csv").write_text(
        "image,label,room\n0005.png,red,a\nabsent.png,red,a\n0001,red,b\n"
    )
    rows = rows_of(shards, "shard-{000..001}.tar", manifest="test.csv")
    located = locate("test", rows, column="image")
    assert located.there.tolist() == [True, False, True]
    assert located.ids.tolist() == ["0005.png", "absent.png", "0001.png"]
    assert ImageFiles().read(located.paths[2]) == picture(1)


@pytest.mark.parametrize("gigabytes", ["1", "0.000001"])
def test_shards_elsewhere_are_read_with_and_without_a_copy(shards, monkeypatch, gigabytes):
    place = put_in_memory(shards, f"shards-{gigabytes}")
    with cache_in(shards / "copies", monkeypatch, gigabytes=gigabytes):
        rows = rows_of(shards, f"{place}/shard-{{000..001}}.tar")
        located = locate("test", rows, column="image")
        files = ImageFiles()
        assert [files.read(path) for path in located.paths] == [picture(i) for i in range(6)]
        assert remote_of(located.paths[5]).url == f"{place}/shard-001.tar"


def test_labels_may_be_folders(tmp_path):
    write_tar(tmp_path / "a.tar", {"red/1.png": picture(1), "./blue/2.png": picture(2)})
    rows = rows_of(tmp_path, "a.tar")
    assert rows.frame["label"].tolist() == ["red", "blue"]


def test_numbers_in_braces_are_shards():
    named = "data.test.images"
    assert shard_places("s3://b/{08..10}.tar", named=named) == tuple(
        f"s3://b/{n}.tar" for n in ("08", "09", "10")
    )
    with pytest.raises(DataError, match="two numbers that rise"):
        shard_places("{5..1}.tar", named=named)
    with pytest.raises(DataError, match="is compressed, so that no image can be read"):
        shard_places("a.tar.gz", named=named)


def refused(path):
    with pytest.raises(DataError) as found:
        read_shards(str(path), named="data.test.images")
    return str(found.value)


@pytest.mark.parametrize("cut", [700, 512 * 3, 512 * 4, 512 * 6 + 100])
def test_a_truncated_tar_is_refused_wherever_it_ends(shards, cut):
    whole = shards / "shard-000.tar"
    (shards / "cut.tar").write_bytes(whole.read_bytes()[:cut])
    said = refused(shards / "cut.tar")
    assert "cut.tar' is no whole tar file" in said
    assert "Copy it again; nothing of it was used." in said


def test_a_tar_that_is_damaged_inside_is_not_taken_for_a_short_one(shards):
    content = bytearray((shards / "shard-000.tar").read_bytes())
    second = content.index(b"0001.png")
    content[second : second + 600] = b"\xff" * 600
    (shards / "damaged.tar").write_bytes(content)
    assert "is no whole tar file" in refused(shards / "damaged.tar")


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a/../../out.png"])
def test_names_that_lead_out_of_a_tar_are_refused(tmp_path, name):
    write_tar(tmp_path / "a.tar", {"1.png": picture(1), name: picture(2)})
    said = refused(tmp_path / "a.tar")
    assert name in said
    assert "leads out of it" in said
    assert "nothing of it was unpacked" in said


def test_what_is_no_tar_or_not_there_is_told(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"not a tar file" * 200)
    assert "is no whole tar file" in refused(tmp_path / "a.tar")
    (tmp_path / "empty.tar").write_bytes(b"")
    assert "is no whole tar file" in refused(tmp_path / "empty.tar")
    assert "does not exist" in refused(tmp_path / "absent.tar")
    assert "is not there" in refused("memory://nowhere/a.tar")


def test_one_name_in_two_shards_and_endless_headers_are_refused(tmp_path):
    write_tar(tmp_path / "0.tar", {"1.png": picture(1)})
    write_tar(tmp_path / "1.tar", {"1.png": picture(2)})
    assert "holds '1.png', as shard 1 does" in refused(tmp_path / "{0..1}.tar")
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "bomb.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "a header of 1,099,511,627,776 bytes" in refused(tmp_path / "bomb.tar")


def test_links_in_a_tar_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("secret.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert read_shards(str(tmp_path / "a.tar"), named="n").members == {}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"1.png": b"x", "1.json": b"[1]"}, "'1.json' of shard 1 is not a JSON object"),
        ({"1.png": b"x", "1.cls": b"\xff\xfe\xfd"}, "'1.cls' of shard 1 is not UTF-8"),
        ({"1.png": b"x", "1.cls": b"a" * (1 << 21)}, "expected a short text"),
    ],
)
def test_what_stands_beside_an_image_is_a_label_and_an_object(tmp_path, files, says):
    write_tar(tmp_path / "a.tar", files)
    with pytest.raises(DataError, match=says):
        rows_of(tmp_path, "a.tar")


def header(name, *, kind=tarfile.REGTYPE, size=0):
    """A header, also of a size that `tarfile` writes for nobody."""
    told = tarfile.TarInfo(name)
    told.type = kind
    content = bytearray(told.tobuf(tarfile.GNU_FORMAT))
    content[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 else b"%011o\0" % size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    return bytes(content)


def extended(key, value):
    said = f" {key}={value}\n"
    length = len(said) + len(str(len(said) + 3))
    said = f"{length}{said}".encode()
    return header("x", kind=tarfile.XHDTYPE, size=len(said)) + said.ljust(512, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        header("a", kind=b"Z", size=-512),
        extended("size", -1536) + header("a", kind=b"Z"),
        header("a", kind=tarfile.DIRTYPE, size=-512),
        header("long", kind=tarfile.GNUTYPE_LONGNAME, size=-512) + header("2.png"),
        extended("size", 10**30) + header("2.png"),
        extended("GNU.sparse.map", "1,x") + header("2.png"),
        header("long", kind=tarfile.GNUTYPE_LONGNAME) * 2000 + header("2.png"),
    ],
    ids=["back to itself", "extended", "folder", "name", "endless", "sparse", "nested"],
)
def test_headers_that_lead_back_or_nowhere_are_refused_and_come_to_an_end(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(header("1.png") + content + bytes(1024))
    assert "is no whole tar file" in refused(tmp_path / "a.tar")
