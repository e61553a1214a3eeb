"""The forms that people have data in: `init` reads each, and `run` reads the same from its spec.

Images are red or blue noise, so that every label can be checked against the pixels it came with.
"""

import csv
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import write_model
from PIL import Image

import auditor
from auditor.data.image_files import ImageFiles
from auditor.data.images import decode, image_suffixes
from auditor.data.manifest import read_datasets
from auditor.data.model_classes import load_classes
from auditor.errors import DataError
from auditor.init import write_spec
from auditor.spec.spec_file import read_spec

pytestmark = pytest.mark.slow

N = 40


@pytest.fixture(autouse=True)
def _without_rules(monkeypatch):
    """What is read does not depend on the rules of `data/manifest`, which take their time."""
    monkeypatch.setattr("auditor.data.manifest.validate", lambda frame, expectations: ())


def picture(i, *, seed=0) -> Image.Image:
    """Noise tinted red for even numbers, blue for odd ones."""
    pixels = np.random.default_rng([i, seed]).integers(0, 60, (12, 14, 3))
    pixels[:, :, 2 * (i % 2)] += 150
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(i, kind="PNG") -> bytes:
    out = BytesIO()
    picture(i).save(out, kind)
    return out.getvalue()


def photos(folder, names=None, *, n=N) -> list[str]:
    """Write pictures 0 to n; `names` makes a name of a number."""
    made = [(names or "img/{0:02d}.png".format)(i) for i in range(n)]
    for i, name in enumerate(made):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(folder / name)
    return made


def table(folder, labels=("red", "blue"), *, names=None, n=N) -> pd.DataFrame:
    files = photos(folder, names, n=n)
    return pd.DataFrame({"image": files, "label": [labels[i % 2] for i in range(n)]})


def audited(folder, data, *, images=None, expected=N, split="test", colours=None, model=None):
    """Init, read what its spec says, and compare labels with pixels; returns the spec."""
    model = model or folder / "model.onnx"
    if not model.exists():
        write_model(model)
    out = folder / "audit.yaml"
    write_spec(model, data, out=out, images=images, force=True)
    spec = read_spec(out).spec
    classes = load_classes(spec.model.classes, spec.folder)
    dataset = read_datasets(spec.data, folder=spec.folder, classes=classes)[split].dataset
    assert len(dataset) == expected
    files, shown = ImageFiles(), set()
    for path, label in zip(dataset.paths, dataset.labels, strict=True):
        pixels = decode(files.read(path), max_pixels=10**6).pixels.mean(axis=(0, 1))
        shown.add((classes[label], "red" if pixels[0] > pixels[2] else "blue"))
    assert shown == set((colours or {"red": "red", "blue": "blue"}).items())
    return spec


def as_text(frame, folder, *, name="labels.csv", encoding="utf-8", **how):
    path = folder / name
    path.write_bytes(frame.to_csv(None, index=False, **how).encode(encoding))
    return path


def write(folder, text, *, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


TEXTS = {
    "byte-order mark": lambda t, f: as_text(t, f, encoding="utf-8-sig"),
    "UTF-16": lambda t, f: as_text(t, f, encoding="utf-16"),
    "UTF-16, big end first": lambda t, f: write(
        f, "\ufeff" + t.to_csv(index=False), encoding="utf-16-be"
    ),
    "semicolons": lambda t, f: as_text(t, f, sep=";"),
    "tabs": lambda t, f: as_text(t, f, sep="\t", name="labels.tsv"),
    "tabs in .csv": lambda t, f: as_text(t, f, sep="\t"),
    "bars": lambda t, f: as_text(t, f, sep="|"),
    "Excel's sep= line": lambda t, f: write(f, "sep=;\n" + t.to_csv(index=False, sep=";")),
    "carriage returns": lambda t, f: as_text(t, f, lineterminator="\r\n"),
    "old Mac": lambda t, f: as_text(t, f, lineterminator="\r"),
    "no last end of line": lambda t, f: write(f, t.to_csv(index=False).rstrip("\n")),
    "no header": lambda t, f: as_text(t, f, header=False),
    "no header, label first": lambda t, f: as_text(t[["label", "image"]], f, header=False),
    "a list with spaces": lambda t, f: as_text(t, f, header=False, sep=" ", name="test.txt"),
    "an index column": lambda t, f: write(f, t.to_csv()),
    "images as index": lambda t, f: write(f, t.set_index("image").rename_axis(None).to_csv()),
    "all quoted": lambda t, f: as_text(t, f, quoting=csv.QUOTE_ALL),
    "empty lines": lambda t, f: write(
        f, "\n\n" + t.to_csv(index=False).replace("\n", "\n\n") + ",\n \n"
    ),
    "a comma at each end": lambda t, f: write(f, t.to_csv(index=False).replace("\n", ",\n")),
    "spaces around": lambda t, f: write(f, t.to_csv(index=False).replace(",", " ,  ")),
    "quoted commas": lambda t, f: as_text(t.assign(note='one, "two"; three'), f),
    "lines in quotes": lambda t, f: as_text(t.assign(note="one\ntwo"), f),
    "the same column twice": lambda t, f: as_text(
        pd.concat([t, t[["label"]]], axis=1), f
    ),
    "headers in capitals": lambda t, f: as_text(t.rename(columns=str.upper), f),
    "headers with spaces": lambda t, f: as_text(
        t.rename(columns={"image": "Image Index", "label": "Class Name"}), f
    ),
    "kaggle": lambda t, f: as_text(t.rename(columns={"image": "id_code", "label": "diagnosis"}), f),
    "names of nothing known": lambda t, f: as_text(
        t.rename(columns={"image": "whale photo", "label": "what: it, is"}), f
    ),
    "JSON Lines": lambda t, f: write(
        f, t.rename(columns={"image": "file_name"}).to_json(orient="records", lines=True),
        name="labels.jsonl",
    ),
    "a JSON list": lambda t, f: write(f, t.to_json(orient="records"), name="labels.json"),
    "labels in lists of one": lambda t, f: write(
        f, t.assign(label=[[x] for x in t["label"]]).to_json(orient="records"), name="labels.json"
    ),
    "an empty label": lambda t, f: as_text(t.assign(label=t["label"].where(t.index != 7)), f),
    "a first image that is absent": lambda t, f: as_text(
        pd.concat([pd.DataFrame({"image": ["gone.png"], "label": ["red"]}), t]), f
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", TEXTS)
def test_texts(tmp_path, form):
    expected = {"red": "red", "blue": "blue"}
    if form == "an empty label":
        # Kept without a label, and then no class: -1 reads as the last, here red.
        rows = table(tmp_path)
        path = TEXTS[form](rows, tmp_path)
        with pytest.raises(AssertionError):
            audited(tmp_path, path, colours=expected)
        spec = read_spec(tmp_path / "audit.yaml").spec
        read = read_datasets(spec.data, folder=tmp_path, classes=spec.model.classes)["test"]
        assert np.flatnonzero(read.dataset.labels < 0).tolist() == [7]
        assert spec.model.classes == ("blue", "red")
        return
    audited(tmp_path, TEXTS[form](table(tmp_path), tmp_path), colours=expected)


NAMES = {
    "absolute": lambda t, f: t["image"].map(lambda name: str(f / name)),
    "./ in front": lambda t, f: "./" + t["image"],
    "backslashes": lambda t, f: t["image"].str.replace("/", "\\"),
    ".\\ in front": lambda t, f: ".\\" + t["image"].str.replace("/", "\\"),
    "doubled slashes": lambda t, f: t["image"].str.replace("/", "//"),
    "up and down": lambda t, f: "img/../" + t["image"],
    "without suffix": lambda t, f: t["image"].str.removesuffix(".png"),
    "numbers without suffix": lambda t, f: t["image"].str[4:6],
    "suffix in capitals": lambda t, f: t["image"].str[:-3] + "PNG",
    "from the folder above": lambda t, f: f.name + "/" + t["image"],
}  # fmt: skip


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_names_of_images(tmp_path, form, suffix):
    rows = table(tmp_path)
    rows["image"] = NAMES[form](rows, tmp_path)
    path = tmp_path / f"labels{suffix}"
    if suffix == ".parquet":
        rows.to_parquet(path)
    elif suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_json(path, orient="records", lines=True)
    images = tmp_path / "img" if form.startswith("numbers") else None
    spec = audited(tmp_path, path, images=images)
    assert spec.data.columns.image == "image"


# Pillow writes no DICOM: tests/data/test_dicom.py does.
@pytest.mark.parametrize("suffix", sorted({*image_suffixes()} & {*Image.registered_extensions()}))
def test_every_suffix_that_is_read_is_found(tmp_path, suffix):
    if suffix == ".pfm":
        pytest.skip("float pixels have no stated range, and are refused")
    kind = Image.registered_extensions()[suffix]
    folder = tmp_path / "photos"
    for i in range(N):
        name = folder / ("red", "blue")[i % 2] / f"{i}{suffix if i % 4 else suffix.upper()}"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(encoded(i, "PPM" if kind == "PPM" else kind))
    audited(tmp_path, folder)
    ids = as_text(
        pd.DataFrame({"id": [f"red/{i}" for i in range(0, N, 2)] + [f"blue/{i}" for i in
                     range(1, N, 2)], "diagnosis": ["red"] * 20 + ["blue"] * 20}), folder
    )  # fmt: skip
    spec = audited(tmp_path, ids, images=folder)
    assert spec.data.test.manifest


LABELS = {
    "numbers": ((0, 1), {"0": "red", "1": "blue"}),
    "numbers from 1": ((1, 2), {"1": "red", "2": "blue"}),
    "leading zeros": (("00", "01"), {"0": "red", "1": "blue"}),
    "leading zeros, from 1": (("001", "002"), {"001": "red", "002": "blue"}),
    "floats": (("0.0", "1.0"), {"0": "red", "1": "blue"}),
    "floats from 1": (("1.0", "2.0"), {"1.0": "red", "2.0": "blue"}),
    "signs": (("-1", "1"), {"-1": "red", "1": "blue"}),
    "yes and no": (("yes", "no"), {"yes": "red", "no": "blue"}),
    "Y and N": (("Y", "N"), {"Y": "red", "N": "blue"}),
    "on and off": (("on", "off"), {"on": "red", "off": "blue"}),
    "true and false": (("true", "false"), {"true": "red", "false": "blue"}),
    "True and False": ((True, False), {"True": "red", "False": "blue"}),
    "None": (("None", "NA"), {"None": "red", "NA": "blue"}),
    "null": (("null", "nan"), {"null": "red", "nan": "blue"}),
    "~": (("~", "-"), {"~": "red", "-": "blue"}),
    "marks": (("a: b #c", '{"x"}'), {"a: b #c": "red", '{"x"}': "blue"}),
    "quotes": (("it's", 'a "b"'), {"it's": "red", 'a "b"': "blue"}),
    "brackets": (("[a]", "*b"), {"[a]": "red", "*b": "blue"}),
    "commas": (("a, b", "c, d"), {"a, b": "red", "c, d": "blue"}),
    "backslash": (("a\\b", "c/d"), {"a\\b": "red", "c/d": "blue"}),
    "numbers that YAML knows": (("1e3", "0x1F"), {"1e3": "red", "0x1F": "blue"}),
    "times": (("12:30", "2024-01-02"), {"12:30": "red", "2024-01-02": "blue"}),
    "letters of the world": (("été", "日本\U0001f600"), {"été": "red", "日本\U0001f600": "blue"}),
    "odd space": (("a\u2028b", "c\x85d"), {"a\u2028b": "red", "c\x85d": "blue"}),
    "long": (("a" * 3000, "b c " * 400 + "d"), {"a" * 3000: "red", "b c " * 400 + "d": "blue"}),
    "two by case": (("Red", "red"), {"Red": "red", "red": "blue"}),
}  # fmt: skip


@pytest.mark.parametrize("form", LABELS)
def test_labels(tmp_path, form):
    labels, colours = LABELS[form]
    audited(tmp_path, as_text(table(tmp_path, labels), tmp_path), colours=colours)
    table(tmp_path, labels).to_parquet(tmp_path / "labels.parquet")
    audited(tmp_path, tmp_path / "labels.parquet", colours=colours)


def test_labels_of_missing_rows_in_numbers(tmp_path):
    rows = table(tmp_path, (0, 1))
    # One gap, and pandas writes 1.0 and 0.0.
    rows["label"] = rows["label"].where(rows.index > 1)
    write_model(tmp_path / "model.onnx")
    for path in (as_text(rows, tmp_path), tmp_path / "labels.parquet"):
        rows.to_parquet(tmp_path / "labels.parquet")
        write_spec(tmp_path / "model.onnx", path, out=tmp_path / "a.yaml", force=True)
        spec = read_spec(tmp_path / "a.yaml").spec
        dataset = read_datasets(spec.data, folder=tmp_path, classes=("0", "1"))["test"].dataset
        assert dataset.labels.tolist() == [-1, -1, *[0, 1] * 19]


@pytest.mark.parametrize("ones", [(1, 0), (1.0, 0.0), (True, False)])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_hot_columns(tmp_path, ones, suffix):
    rows = table(tmp_path)[["image"]]
    for k, name in enumerate(("red", "blue")):
        rows[name] = [ones[0] if i % 2 == k else ones[1] for i in range(N)]
    path = tmp_path / f"truth{suffix}"
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    spec = audited(tmp_path, path)
    assert spec.data.columns.label == spec.model.classes == ("red", "blue")


def test_a_row_without_a_1_in_one_hot_columns_has_no_label(tmp_path):
    rows = table(tmp_path)
    hot = rows[["image"]].assign(**{n: (rows["label"] == n) * 1 for n in ("red", "blue")})
    hot.loc[3, "blue"] = 0
    write_model(tmp_path / "model.onnx")
    write_spec(tmp_path / "model.onnx", as_text(hot, tmp_path), out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    read = read_datasets(spec.data, folder=tmp_path, classes=spec.model.classes)["test"]
    assert np.flatnonzero(read.dataset.labels < 0).tolist() == [3]
    assert [(one.reason, one.n) for one in read.report.counts.left_out] == [("unlabelled", 1)]


def test_a_list_of_classes_is_taken_though_some_rows_have_other_labels(tmp_path):
    rows = table(tmp_path, names=lambda i: f"{i}.png")
    rows.loc[3, "label"] = "blu"
    write_model(tmp_path / "model.onnx")
    (tmp_path / "classes.txt").write_text("red\nblue\n")
    write_spec(tmp_path / "model.onnx", as_text(rows, tmp_path), out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    assert spec.model.classes == "classes.txt"
    read = read_datasets(spec.data, folder=tmp_path, classes=("red", "blue"))["test"]
    ((_, said),) = [(one.reason, one.cause) for one in read.report.counts.left_out]
    assert said == "'blu' (1 row): did you mean 'blue'?"


def test_class_folders_with_what_machines_leave_in_them(tmp_path):
    folder = tmp_path / "photos"
    for i in range(N):
        name = folder / ("red", "blue")[i % 2] / ("deep" if i % 3 else ".") / f"{i}.JPG"
        name.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(name)
    for odd in (
        ".ipynb_checkpoints/a.png", "red/.ipynb_checkpoints/a.png", "__MACOSX/red/a.png",
        "$RECYCLE.BIN/a.png", "lost+found/a.png", "#recycle/red/a.png",
        "blue/@eaDir/a.png", "red/._1.png", ".git/a.png", "red/.hidden.png",
    ):  # fmt: skip
        (folder / odd).parent.mkdir(parents=True, exist_ok=True)
        picture(0).save(folder / odd)
    for odd in ("Thumbs.db", "red/Thumbs.db", "desktop.ini", "notes/readme.md"):
        (folder / odd).parent.mkdir(exist_ok=True)
        (folder / odd).write_text("x")
    audited(tmp_path, folder)
    (tmp_path / "wrapped").mkdir()
    folder.rename(tmp_path / "wrapped" / "inner")
    audited(tmp_path, tmp_path / "wrapped")


@pytest.mark.parametrize(
    "names",
    [("test", "train"), ("testing", "Training"), ("Test_set", "TRAIN"), ("val", "train")],
)
def test_class_folders_under_splits(tmp_path, names):
    for split in names:
        photos(tmp_path / "d" / split, lambda i: f"{('red', 'blue')[i % 2]}/{i}.png")
    spec = audited(tmp_path, tmp_path / "d")
    assert spec.data.test.images == f"d/{names[0]}"
    assert spec.data.train.images == f"d/{names[1]}"
    assert audited(tmp_path, tmp_path / "d", split="train") == spec


def test_of_test_and_validation_folders_the_test_is_used(tmp_path, capsys):
    for split in ("test", "val", "train", "deployment"):
        photos(tmp_path / "d" / split, lambda i: f"{('red', 'blue')[i % 2]}/{i}.png", n=12)
    spec = audited(tmp_path, tmp_path / "d", expected=12)
    assert spec.data.splits == ("test", "train", "deployment")
    lines = write_spec(tmp_path / "model.onnx", tmp_path / "d", out=tmp_path / "b.yaml")
    assert "The validation data are not used: the test data are." in lines


def test_classes_may_be_called_as_a_split_is(tmp_path):
    photos(tmp_path / "d", lambda i: f"{('train', 'bus')[i % 2]}/{i}.png")
    audited(tmp_path, tmp_path / "d", colours={"train": "red", "bus": "blue"})


SPLITS = {
    "usual": ("split", ("test", "train", "val")),
    "capitals": ("Split", ("Test", "TRAIN", "Valid")),
    "long": ("subset", ("testing", "training", "validation")),
    "a column of any name": ("used for", ("test", "train", "dev")),
    "numbers beside": ("fold", ("test", "train", "extra")),
    "deployment": ("set", ("test", "train", "deployment")),
}


@pytest.mark.parametrize("form", SPLITS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_split_column(tmp_path, form, suffix):
    column, (test, train, other) = SPLITS[form]
    rows = table(tmp_path, n=60)
    rows[column] = [(test, train, train, other, test, test)[i // 10] for i in range(60)]
    path = tmp_path / f"all{suffix}"
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    spec = audited(tmp_path, path, expected=30)
    assert spec.data.test.where == {column: (test,)}
    audited(tmp_path, path, expected=20, split="train")
    assert column not in spec.data.attributes
    assert spec.data.splits == (
        ("test", "train", "deployment") if form == "deployment" else ("test", "train")
    )


@pytest.mark.parametrize(
    ("column", "test", "train"),
    [
        ("is_train", "0", "1"), ("Is Training", "False", "True"), ("is_test", "1", "0"),
        ("is_valid", "True", "False"), ("is-val", "1.0", "0.0"),
    ],
)  # fmt: skip
def test_a_column_of_yes_and_no_that_says_what_trained(tmp_path, column, test, train):
    rows = table(tmp_path)
    rows[column] = [test] * 20 + [train] * 20
    spec = audited(tmp_path, as_text(rows, tmp_path), expected=20)
    assert (spec.data.test.where, spec.data.train.where) == ({column: (test,)}, {column: (train,)})


def test_a_column_of_splits_by_numbers_is_told_not_read(tmp_path):
    rows = table(tmp_path).assign(fold=[i // 8 for i in range(N)])
    write_model(tmp_path / "model.onnx")
    told = write_spec(tmp_path / "model.onnx", as_text(rows, tmp_path), out=tmp_path / "a.yaml")
    (line,) = [line for line in told if "'fold'" in line]
    assert "(0, 1, 2, 3, ...) is not read, and all rows test" in line
    assert "where: {fold: [4]}" in line


def test_validation_rows_test_where_there_are_no_others(tmp_path):
    rows = table(tmp_path).assign(split=["train"] * 20 + ["valid"] * 20)
    audited(tmp_path, as_text(rows, tmp_path), expected=20)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("nested", [False, True])
def test_hugging_face_image_folders(tmp_path, suffix, nested):
    for split in ("test", "train") if nested else (".",):
        folder = tmp_path / "d" / split
        rows = table(folder, names="{0:02d}.png".format).rename(columns={"image": "file_name"})
        path = folder / f"metadata{suffix}"
        if suffix == ".csv":
            rows.to_csv(path, index=False)
        elif suffix == ".jsonl":
            rows.to_json(path, orient="records", lines=True)
        else:
            rows.to_parquet(path)
    spec = audited(tmp_path, tmp_path / "d")
    assert spec.data.columns.image == "file_name"
    assert spec.data.splits == (("test", "train") if nested else ("test",))


def hugging_face(path, *, images, labels, names=None, row_group_size=16):
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(images, held), "label": pa.array(labels)}
    made = pa.table(columns)
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        made = made.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(made, path, row_group_size=row_group_size)
    return path


@pytest.mark.parametrize("row_group_size", [1, 7, 100])
@pytest.mark.parametrize("paths", ["stated", "none", "one for all", "of another machine"])
def test_images_inside_parquet(tmp_path, row_group_size, paths):
    name = {
        "stated": "{0}.png".format, "none": lambda i: None, "one for all": lambda i: "image.png",
        "of another machine": "/home/me/cache/{0}.png".format,
    }[paths]  # fmt: skip
    path = hugging_face(
        tmp_path / "test-00000-of-00001.parquet",
        images=[{"bytes": encoded(i, "JPEG"), "path": name(i)} for i in range(N)],
        labels=[i % 2 for i in range(N)],
        names=["red", "blue"],
        row_group_size=row_group_size,
    )
    spec = audited(tmp_path, path)
    assert spec.data.test.images is None
    assert spec.model.classes == ("red", "blue")
    read = read_datasets(spec.data, folder=tmp_path, classes=("red", "blue"))["test"].dataset
    assert read.image_ids[3] == ("row-4" if paths in ("none", "one for all") else "3.png")


def test_images_inside_parquet_as_plain_bytes_with_splits(tmp_path):
    rows = pd.DataFrame(
        {
            "img": [encoded(i) for i in range(N)],
            "label": ["red", "blue"] * 20,
            "split": ["train"] * 10 + ["test"] * 30,
        }
    )
    rows.to_parquet(tmp_path / "all.parquet", row_group_size=9)
    audited(tmp_path, tmp_path / "all.parquet", expected=30)
    audited(tmp_path, tmp_path / "all.parquet", expected=10, split="train")


def test_bytes_and_files_of_the_same_images_give_the_same_audit(tmp_path):
    files, inside = tmp_path / "files", tmp_path / "inside"
    rows = table(files, names="{0:02d}.png".format)
    rows.loc[39, "image"] = "00.png"  # listed twice below, here as a copy
    (files / "39.png").write_bytes((files / "00.png").read_bytes())
    rows.loc[39, ["image", "label"]] = ["39.png", "red"]
    (files / "38.png").write_bytes(b"damaged")
    rows.to_csv(files / "labels.csv", index=False)
    inside.mkdir()
    images = [
        {"bytes": (files / name).read_bytes(), "path": name} for name in rows["image"]
    ]  # fmt: skip
    data = hugging_face(inside / "labels.parquet", images=images, labels=list(rows["label"]))
    records = []
    for folder, path in ((files, files / "labels.csv"), (inside, data)):
        write_model(folder / "model.onnx")
        write_spec(folder / "model.onnx", path, out=folder / "audit.yaml")
        only = ("data/images", "data/duplicates", "performance/overall")
        records.append(auditor.run(folder / "audit.yaml", out=folder / "out", only=only))
    one, other = records
    assert one.dataset("test") == other.dataset("test")
    apart = {each.reason: each.n for each in one.dataset("test").set_apart}
    assert apart["unreadable"] == 1
    assert [r.measures for r in one.results] == [r.measures for r in other.results]
    assert str(tmp_path) not in (inside / "out" / "audit.json").read_text()


def test_a_list_of_the_models_classes_beside_the_data_is_taken(tmp_path):
    rows = table(tmp_path, ("zebra", "ant"))
    (tmp_path / "classes.txt").write_text("zebra\nant\n")
    spec = audited(tmp_path, as_text(rows, tmp_path), colours={"zebra": "red", "ant": "blue"})
    assert spec.model.classes == "classes.txt"
    (tmp_path / "classes.txt").write_text("zebra\nant\nemu\n")
    spec = audited(tmp_path, as_text(rows, tmp_path), colours={"zebra": "red", "ant": "blue"})
    assert spec.model.classes == ("ant", "zebra")


def test_a_column_that_findings_use_the_name_of_is_renamed(tmp_path):
    rows = table(tmp_path)
    rows["class"] = ["wide", "wide", "tall", "tall"] * 10
    spec = audited(tmp_path, as_text(rows, tmp_path))
    assert spec.data.attributes["my-class"].column == "class"


def test_paths_with_odd_names(tmp_path):
    folder = tmp_path / "a: #b, [c] 'd' \"e\" été"
    folder.mkdir()
    audited(tmp_path, as_text(table(folder), folder, name="x: y #z.csv"))


def test_a_manifest_is_read_the_same_from_another_folder(tmp_path, monkeypatch):
    rows = table(tmp_path / "here")
    path = as_text(rows, tmp_path / "here")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    write_model(Path("model.onnx"))
    write_spec(Path("model.onnx"), Path("../here") / path.name, out=Path("audit.yaml"))
    spec = read_spec(Path("audit.yaml")).spec
    assert spec.data.test.manifest == "../here/labels.csv"
    assert len(read_datasets(spec.data, folder=spec.folder, classes=spec.model.classes)) == 1


def test_manifests_of_splits_in_a_folder(tmp_path):
    folder = tmp_path / "d"
    rows = table(folder, n=48)
    rows.head(40).to_csv(folder / "test.csv", index=False)
    rows.tail(8).to_csv(folder / "train.csv", index=False)
    rows.tail(8)[["image"]].to_csv(folder / "deployment.csv", index=False)
    spec = audited(tmp_path, folder)
    assert spec.data.splits == ("test", "train", "deployment")
    audited(tmp_path, folder, expected=8, split="train")


def test_a_hugging_face_repository_of_parquet(tmp_path):
    folder = tmp_path / "repository" / "data"
    folder.mkdir(parents=True)
    for split, n in (("test", N), ("train", 10), ("validation", 6)):
        images = [{"bytes": encoded(i), "path": None} for i in range(n)]
        path = folder / f"{split}-00000-of-00001.parquet"
        hugging_face(path, images=images, labels=[i % 2 for i in range(n)], names=["red", "blue"])
    (folder.parent / ".git").mkdir()
    spec = audited(tmp_path, folder.parent)
    assert spec.data.test.manifest == "repository/data/test-00000-of-00001.parquet"
    audited(tmp_path, folder.parent, expected=10, split="train")
    path.with_name("test-00000-of-00001.parquet").rename(folder / "test-00000-of-00002.parquet")
    hugging_face(folder / "test-00001-of-00002.parquet", images=images, labels=[0] * 6)
    with pytest.raises(DataError, match="2 manifests of test data"):
        audited(tmp_path, folder)
