"""Data that cannot be audited: one sentence and exit code 2 from `init` and `run`, no traceback."""

import json
import os
import subprocess

import numpy as np
import onnx
import pytest
from coloured_rooms import write_model
from onnx import TensorProto, helper
from test_init_forms import as_text, encoded, hugging_face, photos, picture, table, write

import auditor
from auditor.data.looking import look_at_data
from auditor.spec.bounds import MOST_ATTRIBUTES, MOST_SPEC_BYTES

pytestmark = pytest.mark.slow

SPEC = """
audit: {{title: t}}
model: {{path: model.onnx, classes: {classes}, input: {{size: [16, 16]}}}}
data:
  test: {test}
  columns: {{image: {image}, label: {label}}}
"""


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "model.onnx")
    return tmp_path


def spec(folder, *, classes="[red, blue]", test=None, image="image", label="label", more=""):
    test = test or "{manifest: labels.csv, images: .}"
    text = SPEC.format(classes=classes, test=test, image=image, label=label) + more
    return write(folder, text, name="audit.yaml")


def refused(result, *says):
    code, out, err = result
    assert code == 2, out + err
    assert "Traceback" not in err
    for words in says:
        assert words in err, err
    assert len(err) < 2000
    assert "\0" not in err


def wide_model(path, n):
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", n])],
        [onnx.numpy_helper.from_array(np.ones((3, n), dtype=np.float32), "weights")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


NESTED = "[" * 5000 + "]" * 5000
FILES = {
    "Latin-1": ("labels.csv", "image,label,note\na.png,été,x\n".encode("latin-1"), "not UTF-8"),
    "damaged UTF-16": ("labels.csv", b"\xff\xfea\x00,\x00b\xd8c\xd8", "UTF-16"),
    "UTF-16 without mark": ("labels.csv", "image,label\na.png,x\n".encode("utf-16-le"), "NUL"),
    "NUL": ("labels.csv", b"image,label\na\x00.png,red\n", "NUL character"),
    "NUL in JSON": ("labels.jsonl", b'{"image": "a\\u0000.png", "label": "x"}', "NUL character"),
    "an open quote": ("labels.csv", b'image,label\na.png,"red\nb.png,blue\n', "double quote"),
    "more values": ("labels.csv", b"image,label\na.png,red,round,big\n", "line 2: found 4 values"),
    "two columns": ("labels.csv", b"image,label,label\na.png,red,blue\n", "two columns 'label'"),
    "an endless value": ("labels.csv", b"image,label\n" + b"a" * 200_000, "cannot be read"),
    "empty": ("labels.csv", b"", "no rows"),
    "a header alone": ("labels.csv", b"image,label\n", "no rows"),
    "white space": ("labels.csv", b" \n\t\n", "no rows"),
    "no JSON": ("labels.jsonl", b'{"image": "a.png"\n', "line 1: this is not JSON"),
    "no object": ("labels.jsonl", b'{"image": "a.png"}\n3\n', "line 2: found int"),
    "nested JSON": ("labels.jsonl", NESTED.encode(), "line 1"),
    "half a pair": ("labels.jsonl", b'{"image": "\\ud800.png", "label": "x"}', "cannot be read"),
    "a long number": ("labels.jsonl", b'{"image": ' + b"1" * 9999 + b"}", "not JSON"),
    "damaged Parquet": ("labels.parquet", b"PAR1" + b"\x00" * 50 + b"PAR1", "cannot be read"),
    "no Parquet": ("labels.parquet", encoded(0), "cannot be read"),
    "a spreadsheet": ("labels.xlsx", b"PK\x03\x04", "Save it as CSV"),
    "an archive": ("labels.csv.gz", b"\x1f\x8b", "a manifest"),
}


@pytest.mark.parametrize("form", FILES)
def test_files_that_are_no_manifest(command, folder, form):
    name, content, says = FILES[form]
    (folder / name).write_bytes(content)
    photos(folder, lambda i: "a.png", n=1)
    init = command("init", folder / "model.onnx", folder / name, "--out", folder / "a.yaml")
    refused(init, says if form != "a spreadsheet" else "neither a folder nor a manifest")
    assert not (folder / "a.yaml").exists()
    path = spec(folder, test=f"{{manifest: {name}, images: .}}")
    refused(command("run", path, "--out", folder / "out"), says)


def several(t, f):
    path = f / "labels.parquet"
    t.assign(label=[["red", "blue"]] * len(t)).to_parquet(path)
    return path


def hot(rows, names):
    return rows[["image"]].assign(**{n: (np.arange(len(rows)) % 2 == 0) * 1 for n in names})


SEVERAL = {
    "joined by bars": lambda t, f: as_text(
        t.assign(label=["red", "blue", "red|blue", "red"] * 10), f
    ),
    "joined by commas": lambda t, f: as_text(
        t.assign(label=["red", "blue", "red, blue", "red"] * 10), f
    ),
    "lists in text": lambda t, f: as_text(
        t.assign(label=["red", "blue", "['red', 'blue']", "red"] * 10), f
    ),
    "JSON lists": lambda t, f: write(
        f, t.assign(label=[["red", "blue"]] * len(t)).to_json(orient="records", lines=True),
        name="labels.jsonl",
    ),
    "Parquet lists": several,
    "lists in text, all of them": lambda t, f: as_text(
        t.assign(label=["['red']", "['blue']", "['red', 'blue']", "['red']"] * 10), f
    ),
    "columns of 0 and 1": lambda t, f: as_text(hot(t, ("red", "blue")), f),
    "columns of 1 and -1": lambda t, f: as_text(
        hot(t, ("red", "blue", "warm")).replace({0: -1}), f
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", SEVERAL)
def test_several_labels_an_image_are_named(command, folder, form):
    path = SEVERAL[form](table(folder), folder)
    init = command("init", folder / "model.onnx", path, "--out", folder / "a.yaml")
    refused(init, "several labels each (multi-hot)")
    label = "[red, blue]" if "columns" in form else "label"
    given = spec(folder, test=f"{{manifest: {path.name}, images: .}}", label=label)
    says = "one-hot column 'red'" if form == "columns of 1 and -1" else "(multi-hot)"
    refused(command("run", given, "--out", folder / "out"), says)


CLASSES = {
    "one class": (2, ["red"] * 40, "cannot be told"),
    "one class by number": (2, [7] * 40, "cannot be told"),
    "fewer names": (9, ["red", "blue"] * 20, "names of all outputs"),
    "more names": (2, ["red", "blue", "green", "grey"] * 10, "4 labels"),
    "more numbers": (2, [0, 1, 2, 3] * 10, "4 labels"),
    "upper and lower case": (2, ["red", "blue", "Red", "blue"] * 10, "only in case"),
    "unseen letters": (2, ["red", "blue", "red\u200b", "blue"] * 10, "'red' and 'red\\u200b'"),
    "accents stored apart": (2, ["é", "o", "e\u0301", "o"] * 10, "'\\xe9' differ only in"),
    "a misspelling": (2, ["red", "yellow", "yelow", "red"] * 10, "a misspelling of 'yelow'"),
    "labels by spaces": (2, ["red", "blue", "red blue", "red"] * 10, "several of the others"),
    "each its own": (2, [f"a{i}" for i in range(40)], "40 labels"),
    "no label": (2, [""] * 40, "no column holds labels"),
}


@pytest.mark.parametrize("form", CLASSES)
def test_classes_that_no_output_could_be(command, folder, form):
    n, labels, says = CLASSES[form]
    wide_model(folder / "model.onnx", n)
    rows = table(folder).assign(label=labels)
    path = as_text(rows, folder)
    refused(command("init", folder / "model.onnx", path, "--out", folder / "a.yaml"), says)
    names = sorted({str(label) for label in labels if label}) or ["a", "b"]
    given = spec(folder, classes=json.dumps(names[:100]))
    refused(command("run", given, "--out", folder / "out"), "")


def test_the_splits_of_a_dataset_are_no_classes(command, folder):
    for split in ("test", "train"):
        photos(folder / "flat" / split, "{0}.png".format, n=6)
        photos(folder / "mixed" / split, lambda i: f"{i % 2}/{i}.png", n=6)
    photos(folder / "mixed" / "extra", lambda i: f"{i % 2}/{i}.png", n=6)
    photos(folder / "only" / "train", lambda i: f"{i % 2}/{i}.png", n=6)
    photos(folder / "below", lambda i: f"{i % 2}/{('test', 'train')[i // 6]}/{i}.png", n=12)
    for data, says in (("flat", "splits, and not classes"), ("mixed", "beside other folders"),
                       ("only", "none to test with"),
                       ("below", "in them the splits test and train")):  # fmt: skip
        refused(command("init", folder / "model.onnx", folder / data, "--out", folder / "a"), says)
    given = spec(folder, classes="[test, train]", test="{images: flat}")
    refused(command("run", given, "--out", folder / "out"), "splits of a dataset")
    (folder / "names.txt").write_text("Train\nvalidation\nTEST\n")
    refused(command("run", spec(folder, classes="names.txt"), "--out", folder / "out"), "splits")


def test_what_where_names_must_be_there(command, folder):
    as_text(table(folder).assign(split=["train", "test"] * 20), folder)
    cases = (("{split: tset}", "Did you mean 'test'?"), ("{spilt: test}", "Did you mean 'split'?"),
             ("{split: test, label: red}", "all of the values"),
             ("{split: 3}", "expected text, or a list"), ("test", "a mapping"))  # fmt: skip
    for where, says in cases:
        given = spec(folder, test=f"{{manifest: labels.csv, where: {where}}}")
        refused(command("run", given, "--out", folder / "out"), says)
    refused(command("run", spec(folder, test="{images: ., where: {a: b}}")), "name it, or drop")
    refused(command("run", spec(folder, test="{}")), "neither manifest nor images")


def test_names_that_lead_nowhere(command, folder):
    rows = table(folder)
    for image, says in (
        ("https://example.org/" + rows["image"], "nothing is fetched"),
        ("s3://bucket/" + rows["image"], "nothing is fetched"),
        ("C:\\Users\\me\\" + rows["image"], "none of the 40 images of"),
        ("../" + rows["image"], "outside the image folder"),
        ("..\\..\\" + rows["image"], "outside the image folder"),
        ("/etc/" + rows["image"], "outside the image folder"),
        ("a" * 5000 + rows["image"], "none of the 40 images of"),
        (("a/" * 3000) + rows["image"], "none of the 40 images of"),
    ):
        path = as_text(rows.assign(image=image), folder)
        init = command("init", folder / "model.onnx", path, "--out", folder / "a", "--force")
        # A folder beside the manifest may hold what `..` leads back into.
        assert init[0] == 0 if image[0].startswith("../img") else not refused(init, "--images")
        refused(command("run", spec(folder), "--out", folder / "out"), says)


def test_a_name_without_suffix_that_two_files_have(command, folder):
    rows = table(folder)
    picture(1).save(folder / "img" / "03.jpg")
    path = as_text(rows.assign(image=rows["image"].str.removesuffix(".png")), folder)
    says = ("row 4", "'03.jpg' and '03.png'", "Write the suffix")
    refused(command("init", folder / "model.onnx", path, "--out", folder / "a.yaml"), *says)
    refused(command("run", spec(folder), "--out", folder / "out"), *says)


def test_links(command, folder):
    """Links in circles, out of the folder, to devices; a pipe called as an image."""
    photos(folder / "d", lambda i: f"{('red', 'blue')[i % 2]}/{i}.png")
    for name, target in (("circle", "circle"), ("out", "/etc/passwd"), ("zero", "/dev/zero")):
        (folder / "d" / "red" / f"{name}.png").symlink_to(target)
    os.mkfifo(folder / "d" / "blue" / "pipe.png")
    for split in ("red", "blue"):
        (folder / "d" / split / "again.png").symlink_to(
            folder / "d" / split / f"{'01'[split == 'blue']}.png"
        )
    code, out, err = command(
        "init", folder / "model.onnx", folder / "d", "--out", folder / "a.yaml"
    )
    assert code == 0, out + err
    record = auditor.run(folder / "a.yaml", out=folder / "out", only=("data/manifest",))
    assert record.dataset("test").n == 42
    assert "root:" not in (folder / "out" / "audit.json").read_text()
    (folder / "d" / "loop").symlink_to(folder / "d")
    refused(command("init", folder / "model.onnx", folder / "d", "--force"), "'loop' is a link")
    refused(command("run", folder / "a.yaml", "--out", folder / "out"), "'loop' is a link")
    (folder / "self").symlink_to("self")
    refused(command("init", folder / "model.onnx", folder / "self"), "does not exist")
    refused(command("run", spec(folder, test="{images: self}")), "no folder 'self'")


def test_a_name_that_is_no_utf8(command, folder):
    photos(folder / "d", lambda i: f"{('red', 'blue')[i % 2]}/{i}.png")
    with open(os.fsencode(folder / "d" / "red") + b"/\xe9.png", "wb") as file:
        file.write(encoded(0))
    refused(command("init", folder / "model.onnx", folder / "d"), "not UTF-8", "\\udce9")
    refused(command("run", spec(folder, test="{images: d}")), "not UTF-8")


def test_deep_folders(folder):
    photos(folder / "d", lambda i: f"{('red', 'blue')[i % 2]}/{i}.png", n=4)
    here = os.getcwd()
    try:
        os.chdir(folder / "d" / "red")
        for _ in range(1100):
            os.mkdir("a")
            os.chdir("a")
        os.chdir(here)
        found = look_at_data(folder / "d")
    finally:
        os.chdir(here)
        # pytest's own way of removing it runs out of stack.
        subprocess.run(["rm", "-rf", str(folder / "d")], check=True)
    assert found.classes == ("blue", "red")


@pytest.mark.parametrize("make", [
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/proc/self/environ"),
    lambda path: path.mkdir(),
    lambda path: os.truncate(path, 10**11) if path.touch() is None else None,
])  # fmt: skip
def test_files_that_must_not_be_opened(command, folder, make):
    table(folder).to_csv(folder / "good.csv", index=False)
    for name in ("labels.csv", "labels.parquet", "labels.jsonl", "names.txt", "audit.yaml"):
        path = folder / name
        path.unlink(missing_ok=True)
        make(path)
        if name == "names.txt":
            given = spec(folder, test="{manifest: good.csv, images: .}", classes="names.txt")
        elif name == "audit.yaml":
            given = path
        else:
            given = spec(folder, test=f"{{manifest: {name}, images: .}}")
            if not path.is_dir():
                refused(command("init", folder / "model.onnx", path, "--out", folder / "a.yaml"))
        refused(command("run", given, "--out", folder / "out"))
        assert not (folder / "out").exists()
        path.rmdir() if path.is_dir() else path.unlink()


def test_what_a_spec_says_is_bounded(command, folder):
    as_text(table(folder), folder)
    many = "\n".join(f"    a{i}: {{role: condition}}" for i in range(20_000))
    for given, says in (
        ({"classes": "{count: 1e9}"}, "at most 100000"),
        ({"classes": "{count: 1000000000}"}, "at most 100000"),
        ({"more": "  attributes:\n" + many}, f"at most {MOST_ATTRIBUTES} items"),
        ({"more": "# " + "x" * 20_000_000}, f"at most {MOST_SPEC_BYTES // 10**6} MB"),
        ({"test": '{manifest: "a\\0b.csv", images: .}'}, "NUL"),
        ({"test": "{images: " + "a" * 5000 + "}"}, "at most 4,095"),
        ({"test": "{images: " + "a" * 300 + "}"}, "255 in one name"),
        ({"more": "target: {name: t, threads: 1000000000}"}, "at most 1024"),
        ({"more": "policy: " + "p" * 5000}, "4,095"),
        ({"more": "declarations: " + "p" * 5000}, "4,095"),
    ):
        refused(command("run", spec(folder, **given), "--out", folder / "out"), says)
    spec(folder)
    text = (folder / "audit.yaml").read_text().replace("[16, 16]", "[1000000, 1000000]")
    refused(command("run", write(folder, text, name="audit.yaml")), "from 1 to 4,096")
    (folder / "names.txt").write_text("x\n" * 9_000_000)
    refused(command("run", spec(folder, classes="names.txt")), "at most 10 MB")


def test_paths_on_the_command_line_are_bounded(command, folder):
    as_text(table(folder), folder)
    model, data = folder / "model.onnx", folder / "labels.csv"
    for name in ("a" * 5000, "a" * 300, "b/" * 4000, "nul\0", ""):
        for arguments in (
            ("init", name, data), ("init", model, name), ("init", model, data, "--out", name),
            ("init", model, data, "--images", name), ("run", name), ("plan", name),
            ("run", spec(folder), "--out", name), ("report", name),
            ("judge", name, "--policy", "x"),
        ):  # fmt: skip
            refused(command(*arguments))


@pytest.mark.parametrize(
    "content", [b"", b"no image", encoded(0)[:60], None], ids=["empty", "text", "cut", "none"]
)
def test_bad_bytes_inside_parquet_are_set_apart_and_not_printed(command, folder, content):
    images = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(40)]
    images[3] = {"bytes": content, "path": "3.png"}
    path = hugging_face(folder / "d.parquet", images=images, labels=["red", "blue"] * 20)
    code, out, err = command("init", folder / "model.onnx", path, "--out", folder / "a.yaml")
    assert code == 0, out + err
    record = auditor.run(folder / "a.yaml", out=folder / "out", only=("data/images",))
    apart = {each.reason: each.n for each in record.dataset("test").set_apart}
    assert (record.dataset("test").n, apart["unreadable"]) == ((40, 1) if content else (39, 0))


def test_a_parquet_file_of_broken_images_prints_none_of_them(command, folder):
    images = [{"bytes": b"SECRET" * 100, "path": f"{i}.png"} for i in range(40)]
    path = hugging_face(folder / "d.parquet", images=images, labels=["red", "blue"] * 20)
    command("init", folder / "model.onnx", path, "--out", folder / "a.yaml")
    result = command("run", folder / "a.yaml", "--out", folder / "out")
    refused(result, "40 of 40 test images cannot be read")
    assert "SECRETSECRETSECRET" not in result[2]


def test_images_too_large_in_one_row_group_are_refused(command, folder, monkeypatch):
    images = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(40)]
    path = hugging_face(folder / "d.parquet", images=images, labels=["red", "blue"] * 20)
    monkeypatch.setattr("auditor.data.parquet_manifest.MOST_GROUP_BYTES", 1000)
    refused(command("init", folder / "model.onnx", path), "row_group_size=100")


def test_rows_without_a_split_are_listed(command, folder):
    rows = table(folder).assign(split=["test"] * 30 + ["train"] * 8 + [""] * 2)
    path = as_text(rows, folder)
    code, out, err = command("init", folder / "model.onnx", path, "--out", folder / "a.yaml")
    assert code == 0, out + err
    record = auditor.run(folder / "a.yaml", out=folder / "out", only=("data/manifest",))
    found = [t for r in record.results for t in r.tables if t.id == "data-manifest-failing-test"]
    assert [row[0] for row in found[0].rows] == [39, 40]
    assert {row[4] for row in found[0].rows} == {"a value says which split the row is of"}


@pytest.mark.parametrize("which", ["model", "data", "--out", "--train"])
def test_a_url_is_told_to_be_none_of_this_disk(command, folder, which):
    photos(folder)
    given = {"model": folder / "model.onnx", "data": folder, "--out": folder / "audit.yaml"}
    given[which] = "s3://bucket/photos/part?key=secret"
    model, data = given.pop("model"), given.pop("data")
    options = [text for name, value in given.items() for text in (name, value)]
    result = command("init", model, data, *options)
    refused(result, "takes files on this disk, but s3://bucket/photos/part is a URL",
            "write the URLs into audit.yaml")  # fmt: skip
    assert "secret" not in result[2]


def test_a_folder_may_be_called_as_a_url_begins(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    photos(folder / "s3:", lambda i: f"photos/{('red', 'blue')[i % 2]}/{i:02}.png")
    code, _, err = command("init", "model.onnx", "s3:/photos", "--out", "audit.yaml")
    assert code == 0, err
