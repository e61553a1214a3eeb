import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from web_servers import cache_in, put_in_memory, serving

from auditor.data.image_files import ImageFiles
from auditor.data.manifest_places import read_manifest_at
from auditor.data.rows import locate, read_rows
from auditor.errors import DataError
from auditor.remote import objects
from auditor.spec import ColumnsSpec, DatasetSpec


@pytest.fixture
def partitioned(tmp_path):
    """A folder of Parquet files by site, whose images stand in the files."""
    folder = tmp_path / "photos"
    for site, start in (("a4", 0), ("b%2F1", 3), ("__HIVE_DEFAULT_PARTITION__", 6)):
        inside = folder / f"site={site}"
        inside.mkdir(parents=True)
        names = [f"{i}.png" for i in range(start, start + 3)]
        frame = pd.DataFrame({"image": [n.encode() * 5 for n in names], "label": ["red"] * 3})
        frame.to_parquet(inside / "part-0.parquet", row_group_size=2)
    (folder / "_SUCCESS").write_text("")
    (folder / "_metadata.parquet").write_text("not a part")
    return folder


def test_a_folder_of_parquet_files_is_one_table(partitioned):
    table = read_manifest_at(str(partitioned), named="data.test.manifest: 'photos'")
    sites = table.frame["site"].fillna("nowhere").tolist()
    assert sites == ["nowhere"] * 3 + ["a4"] * 3 + ["b/1"] * 3
    assert [n for _, n in table.parts] == [3, 3, 3]
    assert table.inside["image"].all()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_images_inside_a_folder_of_parquet_files_are_read_from_it(
    partitioned, monkeypatch, elsewhere
):
    place = put_in_memory(partitioned, "photos") if elsewhere else "photos"
    spec = DatasetSpec(manifest=place, where={"site": ("a4", "b/1")})
    with cache_in(partitioned.parent / "copies", monkeypatch):
        rows = read_rows("test", spec, folder=partitioned.parent, columns=ColumnsSpec())
        located = locate("test", rows, column="image")
        taken = np.flatnonzero(~rows.unplaced)
        read = [ImageFiles().read(path) for path in located.paths.take(taken)]
    assert read == [f"{i}.png".encode() * 5 for i in range(6)]


def test_files_of_other_columns_and_a_column_that_a_folder_names_are_refused(partitioned):
    odd = partitioned / "site=z" / "part-0.parquet"
    odd.parent.mkdir()
    pd.DataFrame({"image": [b"x"], "lable": ["red"]}).to_parquet(odd)
    with pytest.raises(DataError, match=r"site=z/part-0\.parquet and the first file of the folder "
                       "differ in the column 'label'"):  # fmt: skip
        read_manifest_at(str(partitioned), named="data.test.manifest: 'photos'")
    pd.DataFrame({"image": [b"x"], "label": ["red"], "site": ["z"]}).to_parquet(odd)
    with pytest.raises(DataError, match="has the column 'site', which its folder's name gives"):
        read_manifest_at(str(partitioned), named="data.test.manifest: 'photos'")


def test_files_that_name_the_numbers_of_classes_otherwise_are_refused(tmp_path):
    table = pa.table({"image": ["a.png"], "label": [0]})
    for i, names in enumerate((["cat", "dog"], ["dog", "cat"])):
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        told = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(table.replace_schema_metadata(told), tmp_path / f"part-{i}.parquet")
    with pytest.raises(DataError, match=r"part-1\.parquet .* the numbers of classes other names"):
        read_manifest_at(str(tmp_path), named="data.test.manifest: 'photos'")


def test_a_folder_without_parquet_files_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder without Parquet files, or is not there"):
        read_manifest_at(str(tmp_path), named="data.test.manifest: 'photos'")
    with pytest.raises(DataError, match="is a folder without Parquet files, or is not there"):
        read_manifest_at("memory://nowhere/photos", named="data.test.manifest")


def test_manifests_elsewhere_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    monkeypatch.setattr(objects, "_PAUSE", 0.0)
    (tmp_path / "half.csv").write_text("image,label\na.png,red\n")
    (tmp_path / "test.csv").write_text("image,label\na.png,red\n")
    pd.DataFrame({"image": ["a.png"]}).to_parquet(tmp_path / "test.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "test.parquet").read_bytes()[:-9])
    with serving(tmp_path) as (url, _), cache_in(tmp_path / "copies", monkeypatch):
        for name, says in {
            "403.csv": "cannot be read: the server refuses access (403). See to the rights",
            "404.csv": "is not there (404). Correct the URL",
            "half.csv": "cannot be read: the object ends before the size",
            "cut.parquet": "Give a Parquet file with one row an image, or a CSV",
            "test.docx": "a web server does not list its files",
        }.items():
            with pytest.raises(DataError) as refused:
                read_manifest_at(f"{url}/{name}", named=f"data.test.manifest: {name!r}")
            assert says in str(refused.value), name
        for name in ("test.csv", "test.parquet"):
            table = read_manifest_at(f"{url}/{name}", named="data.test.manifest")
            assert table.frame["image"].tolist() == ["a.png"]
