"""Manifests: what is read, what is set apart and told, and what every error says."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.data.attributes import group_images
from auditor.data.dataset import MISSING_GROUP
from auditor.data.manifest import read_dataset, read_datasets
from auditor.data.model_classes import load_classes
from auditor.data.parquet_manifest import read_parquet
from auditor.errors import DataError, SpecError
from auditor.spec import AttributeSpec, ClassCount, DataSpec

CLASSES = ("cat", "dog")


class Folder:
    """A spec's folder with images and manifests; images are empty files, for none is opened."""

    def __init__(self, path):
        self.path = path

    def images(self, names, *, folder="images"):
        for name in names:
            (self.path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / folder / name).touch()

    def rows(self, *, n=4, split="test", **columns) -> pd.DataFrame:
        names = [f"{split}{i}.png" for i in range(n)]
        self.images(names)
        labels = [CLASSES[i % 2] for i in range(n)]
        table = pd.DataFrame({"image": names, "label": labels} | columns)
        table.to_csv(self.path / f"{split}.csv", index=False)
        return table

    def spec(self, *splits, **keys) -> DataSpec:
        found = {r: {"manifest": f"{r}.csv", "images": "images"} for r in splits or ("test",)}
        return DataSpec.model_validate(found | keys)

    def read(self, *splits, classes=CLASSES, **keys):
        return read_datasets(self.spec(*splits, **keys), folder=self.path, classes=classes)

    def error(self, *splits, classes=CLASSES, kind=DataError, **keys) -> str:
        with pytest.raises(kind) as caught:
            self.read(*splits, classes=classes, **keys)
        said = str(caught.value)
        assert str(self.path) not in said, "an error names a path of this machine"
        return said


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


def test_a_plain_manifest(folder):
    folder.rows(room=["r1", "r1", "r2", ""], when=["2024-01-02", "", "2024-01-02T03:04", None])
    read = folder.read(columns={"unit": "room", "time": "when"})["test"]
    dataset = read.dataset
    assert dataset.image_ids.tolist() == [f"test{i}.png" for i in range(4)]
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.units.tolist() == ["r1", "r1", "r2", "image:test3.png"]
    assert dataset.frame["time"].isna().tolist() == [False, True, False, True]
    assert list(dataset.paths) == [str(folder.path / "images" / name) for name in dataset.image_ids]
    assert dataset.has_labels
    assert dataset.has_units
    failed = {(r.column, r.n_failing) for r in read.report.results if not r.success}
    assert failed == {("room", 1)}


def test_a_sound_manifest_has_no_failing_row(folder):
    folder.rows(room=["r1", "r1", "r2", "r3"], light=["day", "night", "day", "day"])
    read = folder.read(columns={"unit": "room"}, attributes={"light": {"role": "condition"}})
    report = read["test"].report
    assert all(r.success for r in report.results)
    assert len(report.results) >= 6
    assert report.n_failing_rows == report.n_set_apart == len(report.failing) == 0


def test_each_bad_row_is_set_apart_and_told(folder):
    folder.rows(n=9)
    table = pd.read_csv(folder.path / "test.csv")
    table.loc[1, "image"] = "gone.png"
    table.loc[2, "label"] = "cow"
    table.loc[4, "image"] = "test3.png"  # listed twice, with another label
    table.loc[6, "image"], table.loc[6, "label"] = "test5.png", "dog"  # twice, with the same
    table.loc[7, "image"] = ""
    table.loc[8, "label"] = ""  # kept, without a label
    table.to_csv(folder.path / "test.csv", index=False)
    read = folder.read()["test"]
    assert read.dataset.image_ids.tolist() == ["test0.png", "test5.png", "test8.png"]
    assert read.dataset.labels.tolist() == [0, 1, -1]
    told = read.report.failing.groupby("row")["expectation"].apply(list).to_dict()
    assert {row: len(reasons) for row, reasons in told.items()} == {
        2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1,
    }  # fmt: skip
    assert told[2] == ["the file is there"]
    assert told[8] == ["an image is named"]
    assert told[9] == ["a label is given"]
    assert read.report.n_set_apart == 6
    apart = read.report.failing.set_index("row")["set_apart"]
    assert not apart[6]
    assert not apart[9]
    cow = read.report.failing[read.report.failing["row"] == 3].iloc[0]
    assert (cow["column"], cow["value"], cow["image"]) == ("label", "cow", "test2.png")


def test_parquet_and_csv_give_the_same_dataset(folder):
    table = folder.rows(
        n=4,
        floor=[1, 2, 3, 1],
        damp=[True, False, True, True],
        age=[18.0, np.nan, 40.0, 7.5],
        when=pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", None]),
    )
    attributes = {name: {"role": "condition"} for name in ("floor", "damp", "age")}
    keys = {"columns": {"time": "when"}, "attributes": attributes, "missing_share": 0.5}
    from_csv = folder.read(**keys)["test"].dataset
    table.to_parquet(folder.path / "test.parquet")
    spec = DataSpec.model_validate(
        {"test": {"manifest": "test.parquet", "images": "images"}} | keys
    )
    from_parquet = read_dataset("test", spec, folder=folder.path, classes=CLASSES).dataset
    assert from_parquet.groups("floor").tolist() == ["1", "2", "3", "1"]
    assert from_parquet.groups("damp").tolist() == ["True", "False", "True", "True"]
    for name in ("floor", "damp"):
        assert from_csv.groups(name).tolist() == from_parquet.groups(name).tolist()
    assert from_csv.frame["time"].tolist()[:3] == from_parquet.frame["time"].tolist()[:3]


def test_numbers_of_classes_have_the_names_that_their_own_file_gives_them(folder):
    files = {"test": ["dog", "cat"], "train": ["cat", "dog"], "deployment": ["Katze", "Hund"]}
    for split, names in files.items():
        table = folder.rows(n=4, split=split, house=[0, 0, 1, 1]).assign(label=[0, 1, 1, -1])
        features = {name: {"names": names, "_type": "ClassLabel"} for name in ("label", "house")}
        told = {"huggingface": json.dumps({"info": {"features": features}})}
        made = pa.Table.from_pandas(table).replace_schema_metadata(told)
        pq.write_table(made, folder.path / f"{split}.parquet")
    where = {s: {"manifest": f"{s}.parquet", "images": "images"} for s in files}
    spec = DataSpec.model_validate(where | {"attributes": {"house": {"role": "condition"}}})
    for split, labels in (("test", [1, 0, 0, -1]), ("train", [0, 1, 1, -1])):
        read = read_dataset(split, spec, folder=folder.path, classes=CLASSES).dataset
        assert read.labels.tolist() == labels
        assert read.groups("house").tolist() == [files[split][i] for i in (0, 0, 1, 1)]
    # Names that are none of the model's say nothing of its order.
    counted = read_dataset("deployment", spec, folder=folder.path, classes=("0", "1")).dataset
    assert counted.labels.tolist()[:3] == [0, 1, 1]


def test_words_that_pandas_takes_for_missing_are_groups(folder):
    folder.rows(household=["None", "NA", "null", ""])
    read = folder.read(attributes={"household": {"role": "sensitive"}}, missing_share=0.3)
    assert read["test"].dataset.groups("household").tolist() == ["None", "NA", "null", ""]
    assert read["test"].dataset.attributes[0].groups == ("NA", "None", "null")


def test_integer_labels(folder):
    folder.rows(n=3, label=[2, 0, 1])
    assert folder.read(classes=("x", "y", "z"))["test"].dataset.labels.tolist() == [2, 0, 1]
    counted = load_classes(ClassCount(count=3), folder.path)
    assert folder.read(classes=counted)["test"].dataset.labels.tolist() == [2, 0, 1]
    # Names win over positions.
    assert folder.read(classes=("2", "1", "0"))["test"].dataset.labels.tolist() == [0, 2, 1]
    # With gaps pandas writes 2.0.
    folder.rows(n=3, label=[2, None, 1])
    assert folder.read(classes=counted)["test"].dataset.labels.tolist() == [2, -1, 1]


def test_an_index_out_of_range_is_no_label(folder):
    folder.rows(n=3, label=[2, 0, 7])
    said = folder.error(classes=("x", "y", "z"))
    assert "'7'" in said
    assert "model.classes" in said


def test_bins_are_closed_on_the_left_and_the_last_on_both_sides(folder):
    folder.rows(n=8, age=["0", "17.9", "18", "40", "120", "121", "old", ""])
    attribute = {"role": "sensitive", "bins": (0, 18, 40, 120), "population": {"0-18": 1.0}}
    read = folder.read(attributes={"age": attribute}, missing_share=0.2)["test"]
    assert read.dataset.groups("age").tolist() == [
        "0-18", "0-18", "18-40", "40-120", "40-120", "", "", "",
    ]  # fmt: skip
    assert read.dataset.attributes[0].groups == ("0-18", "18-40", "40-120")
    assert read.dataset.attributes[0].numeric
    failing = read.report.failing
    assert failing["value"].tolist() == ["121", "old"]
    assert not failing["set_apart"].any()


@pytest.mark.parametrize("bins", [(20260101, 20260102, 20260103), (0.0, 1e-7, 2e-7)])
def test_bins_of_many_digits_have_names_of_their_own(folder, bins):
    folder.rows(n=4, day=[bins[0], bins[0], bins[1], bins[2]])
    attribute = {"role": "condition", "bins": bins}
    grouped = folder.read(attributes={"day": attribute})["test"].dataset
    first, second = grouped.attributes[0].groups
    assert first != second
    assert grouped.groups("day").tolist() == [first, first, second, second]


@pytest.mark.parametrize("none", ["0001-01-01", "9999-12-31T23:59:59Z", "1024"])
def test_a_time_that_stands_for_none_is_missing_and_told(folder, none):
    folder.rows(n=4, when=["2026-03-01", none, "2261-12-31", "1678-01-01"])
    read = folder.read(columns={"time": "when"})["test"]
    assert read.dataset.frame["time"].isna().tolist() == [False, True, False, False]
    assert read.report.failing["value"].tolist() == [none]


ZONED = ["2026-03-01T10:00Z", "2026-03-01 10:00:00+02:00", "20260301T100000-0500", None, "no time"]


def test_times_without_a_zone_among_others_are_told_with_an_example(folder):
    folder.rows(n=7, when=[*ZONED, "2026-03-02T10:00", "2026-03-03"])
    read = folder.read(columns={"time": "when"})["test"]
    (note,) = read.report.notes
    assert "Column when: 2 of 5 times name no time zone" in note
    assert "as “2026-03-02T10:00”, where others do, as “2026-03-01T10:00Z”" in note
    assert "they were read as UTC" in note
    assert read.report.failing["value"].tolist() == ["no time"]
    assert str(read.dataset.frame["time"][5]) == "2026-03-02 10:00:00"


def test_one_time_without_a_zone_is_told_as_one(folder):
    folder.rows(n=3, when=["2026-03-01T10:00Z", "2026-03-02T10:00", "2026-03-03T10:00Z"])
    (note,) = folder.read(columns={"time": "when"})["test"].report.notes
    assert "1 of 3 times names no time zone" in note
    assert "it was read as UTC" in note


@pytest.mark.parametrize("when", [ZONED, ["2026-03-01", "2026-03-01T10:00", None, "x", "2026-01"]])
def test_times_of_one_kind_are_no_news(folder, when):
    folder.rows(n=5, when=when)
    assert folder.read(columns={"time": "when"})["test"].report.notes == ()


@pytest.mark.parametrize("other", ["Day", "d\u0430y", "DAY", "da\u200by"])
def test_a_group_in_two_spellings_is_refused_and_capitals_tell_units_apart(folder, other):
    keys = {"columns": {"unit": "room"}, "attributes": {"light": {"role": "condition"}}}
    folder.rows(room=["a", "A", "b", "B"], light=["day", "day", "dusk", "dawn"])
    folder.read("test", **keys)
    folder.rows(room=["a", "A", "b", "B"], light=["day", "dusk", other, "dawn"])
    said = folder.error("test", **keys)
    assert "data.test: the group of light " in said
    assert "looks like 'D" in said or "looks like 'd" in said


@pytest.mark.parametrize("there", ["01", "1.0", "1\u200b", "a\u0308"])
def test_a_name_written_in_two_ways_is_refused(folder, there):
    here = "\xe4" if there.startswith("a") else "1"
    folder.rows(room=[here, here, "2", "1.1"], light=["day", "day", "dusk", "dawn"])
    folder.rows(split="train", room=[there, "3", "4", "1.10"], light="day")
    said = folder.error("test", "train", columns={"unit": "room"})
    assert f"data.train: the unit {there!a} looks like {here!a} of the test data" in said
    as_group = {"room": {"role": "condition"}}
    assert "the group of room" in folder.error("test", "train", attributes=as_group)
    light = {"light": {"role": "condition"}}
    assert folder.read("test", "train", attributes=light)["test"].dataset.attributes[0].groups


def test_quantiles_are_cut_at_the_test_images(folder):
    folder.rows(n=8, size=[1, 2, 3, 4, 5, 6, 7, 8])
    folder.rows(n=3, split="deployment", size=[-5, 4, 100])
    spec = {"size": {"role": "condition", "quantiles": 4}}
    read = folder.read("test", "deployment", attributes=spec)
    assert read["test"].dataset.groups("size").tolist() == [
        f"q{i}of4" for i in (1, 1, 2, 2, 3, 3, 4, 4)
    ]
    assert read["deployment"].dataset.groups("size").tolist() == ["q1of4", "q2of4", "q4of4"]
    assert read["deployment"].edges == read["test"].edges


@pytest.mark.parametrize(
    ("size", "parts", "groups"),
    [
        ([0] * 8 + [1, 2], 4, {"q1-3of4": [0] * 8, "q4of4": [1, 2]}),
        ([0] * 6 + [1, 2, 3, 4], 4, {"q1-2of4": [0] * 6, "q3of4": [1], "q4of4": [2, 3, 4]}),
        ([0] * 2 + [1] * 8, 4, {"q1of4": [0] * 2, "q2-4of4": [1] * 8}),
        ([0, 1, 2, 3, 5, 5, 5, 5, 5, 5], 5,
         {"q1of5": [0, 1], "q2of5": [2, 3], "q3-5of5": [5] * 6}),
        ([0] * 8 + [-3, 7], 4, {"q1of4": [-3], "q2-4of4": [0] * 8 + [7]}),
        ([0, 0, 1], 20, {"q1-10of20": [0, 0], "q11-20of20": [1]}),
    ],
)  # fmt: skip
def test_quantile_groups_that_ties_leave_empty_are_joined_and_told(folder, size, parts, groups):
    folder.rows(n=len(size), size=size)
    folder.rows(n=2, split="deployment", size=[-100, 100])
    spec = {"size": {"role": "condition", "quantiles": parts}}
    read = folder.read("test", "deployment", attributes=spec)
    found = read["test"].dataset
    assert found.attributes[0].groups == tuple(groups)
    held = {name: [size[i] for i in np.flatnonzero(found.groups("size") == name)]
            for name in groups}  # fmt: skip
    assert {name: sorted(got) for name, got in held.items()} == {
        name: sorted(wanted) for name, wanted in groups.items()
    }
    first, *_, last = groups
    assert read["deployment"].dataset.groups("size").tolist() == [first, last]
    (note,) = read["test"].report.notes
    assert f"{parts} quantile groups were asked for and {len(groups)} stand" in note
    assert all(f"{name} (" in note for name in groups)
    assert read["deployment"].report.notes == ()


def test_groups_that_ties_join_are_told_with_their_numbers():
    text = pd.Series(["0"] * 6 + ["1", "2", "3", "4"])
    found = group_images(text, name="age", spec=AttributeSpec(role="condition", quantiles=4))
    assert found.note.endswith("q1-2of4 (below 1), q3of4 (1 to below 1.75), q4of4 (1.75 and more).")
    assert found.note.startswith("Attribute age: 4 quantile groups were asked for and 3 stand")


def test_quantiles_of_one_number_are_refused(folder):
    folder.rows(size=[7, 7, None, 7])
    said = folder.error(attributes={"size": {"role": "condition", "quantiles": 4}})
    assert "every number of the test images is 7" in said
    assert "Drop `quantiles`" in said


@pytest.mark.parametrize("seed", range(20))
def test_no_quantile_group_of_the_test_images_is_empty(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, rng.integers(2, 12), size=rng.integers(4, 60)).astype(str)
    values[:2] = ["0", "1"]
    spec = AttributeSpec(role="condition", quantiles=int(rng.integers(2, 12)))
    found = group_images(pd.Series(values), name="n", spec=spec)
    assert set(found.groups) == set(found.attribute.groups)
    assert len(found.attribute.groups) >= 2


def test_small_groups_that_are_declared_are_expected_though_they_are_together():
    text = pd.Series(["a", "a", "b", "c", "typo", None])
    spec = AttributeSpec(role="condition", largest=1, values=("a", "b", "c"))
    found = group_images(text, name="city", spec=spec)
    assert found.groups.tolist() == ["a", "a", "other", "other", "other", MISSING_GROUP]
    assert found.expected.tolist() == [True, True, True, True, False, True]


def test_the_largest_groups_are_those_of_the_test_images_and_the_rest_are_together(folder):
    folder.rows(n=8, city=["a", "b", "c", "a", "b", "c", "d", None])
    folder.rows(n=4, split="deployment", city=["d", "d", "e", "b"])
    spec = {"city": {"role": "condition", "largest": 2}}
    read = folder.read("test", "deployment", attributes=spec)
    # Of equally large groups the first by name.
    grouped = read["test"].dataset.groups("city").tolist()
    assert grouped == ["a", "b", "other", "a", "b", "other", "other", ""]
    assert read["deployment"].dataset.groups("city").tolist() == ["other", "other", "other", "b"]
    with pytest.raises(ValueError, match="both quantiles and largest"):
        AttributeSpec(role="condition", quantiles=2, largest=2)


def test_what_is_called_other_is_among_the_others():
    text = pd.Series(["other"] * 3 + ["a", "a", "b", "c", None])
    found = group_images(text, name="city", spec=AttributeSpec(role="condition", largest=2))
    assert found.groups.tolist() == ["other"] * 3 + ["a", "a", "b", "other", MISSING_GROUP]
    assert found.edges == ("a", "b")


def test_declared_values_and_population_are_groups_although_unseen(folder):
    folder.rows(light=["day", "night", "day", "fog"])
    attribute = {
        "role": "condition", "values": ("day", "night", "dusk"), "population": {"day": 0.5,
        "snow": 0.5},
    }  # fmt: skip
    read = folder.read(attributes={"light": attribute})["test"]
    assert read.dataset.attributes[0].groups == ("day", "night", "dusk", "fog", "snow")
    assert read.dataset.groups("light")[3] == "fog"
    assert read.report.failing["value"].tolist() == ["fog"]


def test_groups_that_are_numbers_are_in_their_order(folder):
    folder.rows(floor=["10", "9", "1", "2"])
    read = folder.read(attributes={"floor": {"role": "condition"}})["test"]
    assert read.dataset.attributes[0].groups == ("1", "2", "9", "10")


def test_a_column_that_only_deployment_lacks_is_told_not_raised(folder):
    folder.rows(room=list("abcd"), light=["day"] * 4)
    folder.rows(split="deployment").drop(columns="label").to_csv(
        folder.path / "deployment.csv", index=False
    )
    keys = {"columns": {"unit": "room"}, "attributes": {"light": {"role": "condition"}}}
    read = folder.read("test", "deployment", **keys)["deployment"]
    assert not read.dataset.has_labels
    assert not read.dataset.has_units
    assert read.dataset.units is None
    assert read.dataset.attributes == ()
    missing = [r for r in read.report.results if not r.success]
    assert [r.column for r in missing] == ["room", "light"]
    assert missing[0].sentence == "room: a column of this name; it is missing."


def test_a_split_may_name_columns_of_its_own(folder):
    folder.rows(room=list("abcd"))
    folder.rows(split="train").rename(columns={"image": "file"}).assign(room=list("efgh")).to_csv(
        folder.path / "train.csv", index=False
    )
    spec = DataSpec.model_validate(
        {
            "test": {"manifest": "test.csv", "images": "images"},
            "train": {"manifest": "train.csv", "images": "images", "columns": {"image": "file"}},
            "columns": {"unit": "room"},
        }
    )
    train = read_datasets(spec, folder=folder.path, classes=CLASSES)["train"].dataset
    assert train.image_ids[0] == "train0.png"
    assert train.units.tolist() == list("efgh")


def test_folders_named_after_classes(folder):
    folder.images(["cat/1.jpg", "cat/deep/2.PNG", "dog/3.jpg", "cow/4.jpg", "cat/notes.txt"])
    spec = DataSpec.model_validate({"test": {"images": "images"}})
    read = read_dataset("test", spec, folder=folder.path, classes=CLASSES)
    assert read.dataset.image_ids.tolist() == ["cat/1.jpg", "cat/deep/2.PNG", "dog/3.jpg"]
    assert read.dataset.labels.tolist() == [0, 0, 1]
    assert read.report.failing["value"].tolist() == ["cow"]


def test_a_flat_folder_is_unlabelled_deployment_data(folder):
    folder.rows()
    folder.images(["1.jpg", "2.jpg"], folder="live")
    spec = DataSpec.model_validate(
        {"test": {"manifest": "test.csv", "images": "images"}, "deployment": {"images": "live"}}
    )
    read = read_datasets(spec, folder=folder.path, classes=CLASSES)["deployment"]
    assert len(read.dataset) == 2
    assert not read.dataset.has_labels
    flat = DataSpec.model_validate({"test": {"images": "live"}})
    with pytest.raises(DataError, match="one subfolder a class"):
        read_dataset("test", flat, folder=folder.path, classes=CLASSES)


def test_digest_depends_on_used_values_only(folder):
    table = folder.rows(remark=["a", "b", "c", "d"])
    first = folder.read()["test"].dataset.digest
    assert re.fullmatch("[0-9a-f]{64}", first)
    table.assign(remark="other").to_csv(folder.path / "test.csv", index=False)
    assert folder.read()["test"].dataset.digest == first
    table.assign(label=["dog", "cat", "cat", "dog"]).to_csv(folder.path / "test.csv", index=False)
    assert folder.read()["test"].dataset.digest != first


def test_names_below_the_folder_are_made_plain(folder):
    folder.rows(n=3)
    inside = str(folder.path / "images" / "test2.png")
    pd.DataFrame({"image": ["./test0.png", "x/../test1.png", inside], "label": "cat"}).to_csv(
        folder.path / "test.csv", index=False
    )
    assert folder.read()["test"].dataset.image_ids.tolist() == [f"test{i}.png" for i in range(3)]


@pytest.mark.parametrize("name", ["../secret.png", "a/../../secret.png", "/etc/passwd"])
def test_a_name_that_leads_outside_is_refused(folder, name):
    folder.rows()
    (folder.path / "secret.png").touch()
    pd.DataFrame({"image": ["test0.png", name], "label": "cat"}).to_csv(
        folder.path / "test.csv", index=False
    )
    said = folder.error()
    assert "row 2" in said
    assert "outside" in said


def test_missing_files_name_close_ones(folder):
    folder.rows()
    said = folder.error(test={"manifest": "tset.csv", "images": "images"})
    assert "data.test.manifest" in said
    assert "Did you mean 'test.csv'?" in said
    said = folder.error(test={"manifest": "test.csv", "images": "image"})
    assert "data.test.images" in said
    assert "Did you mean 'images'?" in said


def test_a_missing_column_names_a_close_one(folder):
    folder.rows(Building=["old"] * 4)
    said = folder.error(attributes={"building": {"role": "condition"}})
    assert "Did you mean 'Building'?" in said
    assert "data.attributes.building.column" in said
    said = folder.error(columns={"label": "lable"})
    assert "Did you mean 'label'?" in said
    said = folder.error(columns={"image": "file"})
    assert "data.columns.image" in said


def test_an_attribute_needs_a_manifest(folder):
    folder.images(["cat/1.jpg", "dog/2.jpg"])
    said = folder.error(test={"images": "images"}, attributes={"light": {"role": "condition"}})
    assert "without a manifest" in said
    assert "data.test.manifest" in said


@pytest.mark.parametrize("content", ["", "image,label\n"])
def test_an_empty_manifest(folder, content):
    folder.rows()
    (folder.path / "test.csv").write_text(content)
    assert "no rows" in folder.error()


def test_text_that_is_no_utf8(folder):
    folder.rows()
    (folder.path / "test.csv").write_bytes("image,label\nä.png,cat\n".encode("latin-1"))
    assert "not UTF-8" in folder.error()


def test_a_byte_order_mark_is_no_part_of_a_column(folder):
    table = folder.rows()
    table.to_csv(folder.path / "test.csv", index=False, encoding="utf-8-sig")
    assert len(folder.read()["test"].dataset) == 4


def test_a_text_that_a_parquet_file_holds_once_counts_wherever_it_stands(folder, monkeypatch):
    table = folder.rows(n=40)
    table["note"] = "a" * 50_000
    table.to_parquet(folder.path / "test.parquet")
    assert (folder.path / "test.parquet").stat().st_size < 50_000
    split = {"manifest": "test.parquet", "images": "images"}
    monkeypatch.setattr("auditor.data.parquet_manifest.MOST_TEXT_BYTES", 2_000_000)
    said = folder.error(test=split)
    assert "bytes of text or more; a manifest holds at most 2,000,000" in said
    assert "Leave out columns that the audit spec does not name." in said


_NOTE = "a" * 50_000
_UNFOLDING = {
    "a list": [["a", _NOTE]] * 40,
    "a list of lists": [[[_NOTE], ["b"]]] * 40,
    "a field": [{"said": [_NOTE], "by": 1}] * 40,
    "a map": pa.array([[("k", _NOTE)]] * 40, pa.map_(pa.string(), pa.string())),
    "a list of numbers": [[0.0] * 50_000] * 40,
    "a list of bytes": [[_NOTE.encode(), b""]] * 40,
    "what images are called": [{"bytes": bytes([i]), "path": _NOTE} for i in range(40)],
}


@pytest.mark.parametrize("column", _UNFOLDING.values(), ids=_UNFOLDING)
def test_what_a_parquet_file_holds_once_counts_however_deep_it_lies(folder, monkeypatch, column):
    table = pa.table({"image": [f"test{i}.png" for i in range(40)], "note": column})
    path = folder.path / "test.parquet"
    pq.write_table(table, path)
    assert path.stat().st_size < 150_000
    assert len(read_parquet(path, named="test.parquet").frame) == 40
    monkeypatch.setattr("auditor.data.parquet_manifest.MOST_TEXT_BYTES", 1_900_000)
    with pytest.raises(DataError, match="bytes of text or more; a manifest holds at most 1,900,0"):
        read_parquet(path, named="test.parquet")


@pytest.mark.parametrize("image", [
    {"bytes": _NOTE.encode(), "path": None}, {"bytes": b"a", "path": None, "said": [_NOTE]},
])  # fmt: skip
def test_an_image_that_a_parquet_file_holds_once_counts_in_every_row(folder, monkeypatch, image):
    path = folder.path / "test.parquet"
    pq.write_table(pa.table({"image": [image] * 40}), path)
    assert read_parquet(path, named="test.parquet").inside["image"].all()
    monkeypatch.setattr("auditor.data.parquet_manifest.MOST_GROUP_BYTES", 1_900_000)
    with pytest.raises(DataError, match="bytes of images or more in one row group; at most 1,900"):
        read_parquet(path, named="test.parquet")


@pytest.mark.parametrize(("kind", "bound"), [(pa.string(), "TEXT"), (pa.binary(), "GROUP")])
def test_values_stored_by_their_beginnings_are_bounded(folder, monkeypatch, kind, bound):
    values = pa.array([f"{_NOTE}{i}" for i in range(40)]).cast(kind)
    path = folder.path / "test.parquet"
    pq.write_table(pa.table({"note": values}), path, use_dictionary=False,
                   column_encoding={"note": "DELTA_BYTE_ARRAY"})  # fmt: skip
    assert path.stat().st_size < 60_000
    assert len(read_parquet(path, named="test.parquet").frame) == 40
    monkeypatch.setattr(f"auditor.data.parquet_manifest.MOST_{bound}_BYTES", 1_900_000)
    with pytest.raises(DataError, match="stores 'note' as DELTA_BYTE_ARRAY, of which more than 1,"):
        read_parquet(path, named="test.parquet")


def test_a_broken_parquet_file(folder):
    folder.rows()
    (folder.path / "test.parquet").write_bytes(b"PAR1 no")
    assert "cannot be read" in folder.error(test={"manifest": "test.parquet", "images": "images"})


def test_no_image_is_there(folder):
    folder.rows()
    (folder.path / "elsewhere").mkdir()
    said = folder.error(test={"manifest": "test.csv", "images": "elsewhere"})
    assert "none of the 4 images" in said
    assert "'test0.png'" in said


def test_no_label_is_a_class(folder):
    folder.rows(label=["Katze", "Hund", "Katze", "Hund"])
    said = folder.error()
    assert "'Hund'" in said
    assert "cat, dog" in said


def test_attributes_that_cannot_be(folder):
    folder.rows(age=["young"] * 4)
    quantiles = {"age": {"role": "sensitive", "quantiles": 4}}
    assert "need numbers" in folder.error(attributes=quantiles)
    population = {"age": {"role": "sensitive", "bins": (0, 9), "population": {"0 to 9": 1.0}}}
    assert "'0 to 9'" in folder.error(attributes=population, kind=SpecError)


def test_classes_from_a_file(folder):
    (folder.path / "classes.txt").write_text("cat\n\n dog \n", encoding="utf-8")
    assert load_classes("classes.txt", folder.path) == CLASSES
    assert load_classes(CLASSES, folder.path) == CLASSES
    assert load_classes(ClassCount(count=2), folder.path) == ("0", "1")


def test_classes_that_cannot_be(folder):
    with pytest.raises(SpecError, match=r"no\.txt"):
        load_classes("no.txt", folder.path)
    with pytest.raises(SpecError, match=r"'cat' more than once \(positions 1, 3\)"):
        load_classes(("cat", "dog", "cat"), folder.path)
    with pytest.raises(SpecError, match="names 1 classes; expected 2 or more"):
        load_classes(("cat",), folder.path)


RATED = {"ratings": {"ames": "by_ames", "birk": "by_birk"}, "gold": "expert"}


def rated(folder, **changes):
    columns = {
        "by_ames": ["cat", "dog", "", "cat"],
        "by_birk": ["dog", "", "", "cat"],
        "expert": ["", "dog", "cat", ""],
        "who": ["ames", "ames", "birk", ""],
    }
    return folder.rows(**(columns | changes))


def test_labels_of_several_hands_are_read(folder):
    rated(folder)
    read = folder.read(columns={**RATED, "annotator": "who"})["test"]
    dataset = read.dataset
    assert dataset.annotators == ("ames", "birk")
    assert dataset.rating("ames").tolist() == [0, 1, -1, 0]
    assert dataset.rating("birk").tolist() == [1, -1, -1, 0]
    assert dataset.gold.tolist() == [-1, 1, 0, -1]
    assert dataset.has_gold
    assert dataset.frame["annotator"].tolist() == ["ames", "ames", "birk", ""]
    assert all(r.success for r in read.report.results)
    assert dataset.take(np.array([1, 3])).rating("ames").tolist() == [1, 0]


def test_without_such_columns_there_is_one_hand(folder):
    folder.rows()
    dataset = folder.read()["test"].dataset
    assert dataset.annotators == ()
    assert not dataset.has_gold
    assert dataset.gold.tolist() == [-1] * 4
    assert not [c for c in dataset.frame if c.startswith("rating:") or c == "gold"]


def test_an_expert_who_labelled_nothing_is_no_gold(folder):
    rated(folder, expert=[""] * 4)
    assert not folder.read(columns=RATED)["test"].dataset.has_gold


def test_numbered_ratings_are_class_indices(folder):
    rated(folder, by_ames=["0", "1", "", "1"], by_birk=[1.0, None, None, 0.0])
    dataset = folder.read(columns=RATED)["test"].dataset
    assert dataset.rating("ames").tolist() == [0, 1, -1, 1]


def test_a_rating_that_is_no_class_is_told_and_the_image_kept(folder):
    rated(folder, by_birk=["dog", "cow", "", "cat"], expert=["", "dgo", "cat", ""])
    read = folder.read(columns=RATED)["test"]
    assert len(read.dataset) == 4
    assert read.dataset.rating("birk").tolist() == [1, -1, -1, 0]
    assert read.dataset.gold.tolist() == [-1, -1, 0, -1]
    told = read.report.failing
    assert set(zip(told["row"], told["column"], told["value"], strict=True)) == {
        (2, "by_birk", "cow"),
        (2, "expert", "dgo"),
    }
    assert set(told["expectation"]) == {"a label is one of the 2 classes"}
    assert not told["set_apart"].any()


def test_a_column_without_any_class_is_the_wrong_column(folder):
    rated(folder, by_birk=["5", "3", "", "1"], expert=["", "yes", "no", ""])
    said = folder.error(columns={"ratings": {"birk": "by_birk"}})
    assert said == (
        "data.test: no value of 'by_birk' in 'test.csv' is a class. Found '5' in row 1, '3' in "
        "row 2, '1' in row 4; the classes are cat, dog. Name the column of labels under "
        "`data.columns.ratings.birk`, or write its values as the classes are written."
    )
    assert "`data.columns.gold`" in folder.error(columns={"gold": "expert"})


def test_a_missing_column_of_ratings_is_an_error_in_test_and_told_in_train(folder):
    folder.rows(by_ames=["cat"] * 4)
    said = folder.error(columns={"ratings": {"birk": "by_ame"}})
    assert "no column 'by_ame' (data.columns.ratings.birk)" in said
    assert "Did you mean 'by_ames'?" in said
    assert "data.columns.gold" in folder.error(columns={"gold": "expert"})
    folder.rows(split="train")
    read = folder.read("test", "train", columns={"ratings": {"ames": "by_ames"}})
    assert read["train"].dataset.annotators == ()
    missing = [r.column for r in read["train"].report.results if not r.success]
    assert missing == ["by_ames"]


def test_ratings_of_one_split_only(folder):
    folder.rows()
    folder.rows(split="train", by_ames=["cat"] * 4)
    spec = {
        "test": {"manifest": "test.csv", "images": "images"},
        "train": {
            "manifest": "train.csv",
            "images": "images",
            "columns": {"ratings": {"ames": "by_ames"}},
        },
    }
    read = read_datasets(DataSpec.model_validate(spec), folder=folder.path, classes=CLASSES)
    assert read["test"].dataset.annotators == ()
    assert read["train"].dataset.annotators == ("ames",)


def test_the_digest_covers_the_labels_of_every_hand(folder):
    rated(folder)
    before = folder.read(columns=RATED)["test"].dataset.digest
    unnamed = folder.read()["test"].dataset.digest
    rated(folder, expert=["", "cat", "cat", ""])
    assert folder.read(columns=RATED)["test"].dataset.digest != before
    assert folder.read()["test"].dataset.digest == unnamed


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"ratings": {"ames": "a", "birk": "a"}}, "'ames' and 'birk' both have the column 'a'"),
        ({"ratings": {"ames": "a"}, "gold": "a"}, "gold and ratings.ames are the same column 'a'"),
        ({"gold": "label"}, "gold and label are the same column 'label'"),
    ],
)
def test_hands_must_differ(columns, said):
    data = {"test": {"images": "images"}, "columns": columns}
    with pytest.raises(ValueError, match=said):
        DataSpec.model_validate(data)


def test_an_attribute_may_not_take_the_annotators_key():
    data = {"test": {"images": "images"}, "attributes": {"annotator": {"role": "nuisance"}}}
    with pytest.raises(ValueError, match=r"`my-annotator: {column: annotator, ...}`"):
        DataSpec.model_validate(data)


@pytest.mark.parametrize("split", ["test", "train", "deployment"])
@pytest.mark.parametrize(
    "spelled",
    ["./{0}.png", "x/../{0}.png", ".//{0}.png", ".\\{0}.png", "{0}", "{0}.PNG", " {0}.png "],
)
def test_rows_in_are_rows_kept_or_told_however_a_path_is_spelled(folder, spelled, split):
    splits = tuple(dict.fromkeys(["test", split]))
    for each in splits:
        folder.rows(n=9, split=each)
    table = pd.read_csv(folder.path / f"{split}.csv")
    table.loc[4, "image"] = spelled.format(f"{split}3")
    table.to_csv(folder.path / f"{split}.csv", index=False)
    read = folder.read(*splits)[split]
    apart = read.report.failing[read.report.failing["set_apart"].astype(bool)]
    assert len(read.dataset) + apart["row"].nunique() == read.report.n_rows == 9
    assert set(apart["expectation"]) == {"no image is listed twice"}


def test_a_name_with_its_accents_written_apart_is_the_file(folder):
    composed, parted = "\u00e9.png", "e\u0301.png"
    for on_disk, written in ((composed, parted), (parted, composed)):
        folder.images([on_disk])
        pd.DataFrame({"image": [written], "label": CLASSES[0]}).to_csv(
            folder.path / "test.csv", index=False
        )
        read = folder.read()["test"]
        assert read.dataset.image_ids.tolist() == [on_disk]
        assert not read.report.failing["set_apart"].any()
        (folder.path / "images" / on_disk).unlink()


def test_units_of_one_row_each_are_told(folder):
    folder.rows(n=12, room=[f"r{i}" for i in range(12)])
    (note,) = folder.read(columns={"unit": "room"})["test"].report.notes
    assert note.startswith("Column room: each of 12 rows is a unit of its own.")
    assert "intervals are narrower than they should be" in note


@pytest.mark.parametrize(
    "rooms", [["r0", "r0", *(f"r{i}" for i in range(2, 12))], [f"r{i}" for i in range(9)]]
)
def test_units_of_several_rows_or_of_few_in_all_are_no_news(folder, rooms):
    folder.rows(n=len(rooms), room=rooms)
    assert folder.read(columns={"unit": "room"})["test"].report.notes == ()
