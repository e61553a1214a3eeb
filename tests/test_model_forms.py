"""Models in the forms that people have, through the commands that a user types."""

import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

import auditor
from auditor.data.images import UnreadableImageError, decode
from auditor.models.load import load_model
from auditor.spec.spec_file import read_spec

pytestmark = pytest.mark.slow

COLOURS = {"apple": 0, "lime": 1, "plum": 2}
"""Class -> the channel that is bright; the model of `colour_model` gives them in another order."""

MODEL_ORDER = ("plum", "apple", "lime")


def photos(folder, *, n=60, size=(16, 16), save=None, levels=(200, 40), deep=False):
    """A manifest of images with one bright channel, labelled by it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        label = list(COLOURS)[i % 3]
        pixels = rng.integers(0, levels[1], (*size, 3))
        pixels[..., COLOURS[label]] += levels[0]
        name = f"{i:03}.png"
        if save is None:
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
        else:
            save(pixels, folder / name, i)
        rows.append({"image": name, "label": label})
    pd.DataFrame(rows).to_csv(folder / "test.csv", index=False)
    return folder / "test.csv"


def colour_model(path, *, size=16, metadata=None, ending=None, scale=6.0, flatten=False):
    """Mean of each channel, given in `MODEL_ORDER`; `size` None leaves height and width free."""
    weight = np.zeros((3, 3), np.float32)
    for out, name in enumerate(MODEL_ORDER):
        weight[out, COLOURS[name]] = scale
    sides = ["h", "w"] if size is None else [size, size]
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["pooled"])]
    if flatten:  # a graph that runs with images of one size alone
        weight = np.repeat(weight, flatten * flatten, axis=1) / flatten**2
        nodes = [helper.make_node("Identity", ["x"], ["pooled"])]
    nodes += [helper.make_node("Flatten", ["pooled"], ["flat"]),
              helper.make_node("Gemm", ["flat", "w"], ["scores"], transB=1)]  # fmt: skip
    at = "scores"
    if ending:
        nodes.append(helper.make_node(ending, [at], ["ended"]))
        at = "ended"
    graph = helper.make_graph(
        nodes, "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, *sides])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["n", 3])],
        initializer=[numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def audited(folder, *, only=("performance/overall", "model/preprocessing")):
    return auditor.run(folder / "audit.yaml", out=folder / "out", only=only)


def accuracy(record):
    return next(m for r in record.results for m in r.measures if m.name == "accuracy")


ULTRALYTICS = {
    "author": "Ultralytics", "task": "classify", "imgsz": "[16, 16]", "stride": "1",
    "names": str(dict(enumerate(MODEL_ORDER))),
}  # fmt: skip


def test_the_classes_of_the_metadata_are_taken_and_the_images_are_right(command, tmp_path):
    photos(tmp_path)
    colour_model(tmp_path / "m.onnx", metadata=ULTRALYTICS, ending="Softmax")
    code, out, _ = command("init", tmp_path / "m.onnx", tmp_path / "test.csv",
                           "--out", tmp_path / "audit.yaml")  # fmt: skip
    assert code == 0
    assert "The metadata of m.onnx (names) lists 3 classes" in out
    spec = read_spec(tmp_path / "audit.yaml").spec
    assert spec.model.classes == MODEL_ORDER
    assert (spec.model.input.mean, spec.model.input.resize) == ((0.0, 0.0, 0.0), "shortest")
    assert spec.model.output.kind == "probabilities"
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 60
    assert record.model.notes == ()


def test_classes_in_another_order_than_the_metadata_are_told(command, tmp_path):
    photos(tmp_path)
    colour_model(tmp_path / "m.onnx", metadata=ULTRALYTICS, ending="Softmax")
    command("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    text = (tmp_path / "audit.yaml").read_text()
    (tmp_path / "audit.yaml").write_text(text.replace("[plum, apple, lime]", "[apple, lime, plum]"))
    _, out, _ = command("run", tmp_path / "audit.yaml", "--out", tmp_path / "out",
                        "--only", "performance/overall")  # fmt: skip
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 0
    assert "lists the classes in another order than the spec: plum, apple, lime" in out
    assert record.model.listed_classes == MODEL_ORDER
    (fit,) = [m for r in record.results for m in r.measures if m.facts.get("fits")]
    assert fit.subject.keys == (("classes", "as-the-file-lists-them"),)
    _, planned, _ = command("plan", tmp_path / "audit.yaml")
    assert "in another order than the spec" in planned


@pytest.mark.parametrize("written", [{"0": "Plum", "1": "Apple", "2": "Lime"},
                                     {0: "plum", 1: "apple", 2: "lime"}])  # fmt: skip
def test_hugging_face_files_beside_the_model_are_read(command, tmp_path, written):
    photos(tmp_path)
    colour_model(tmp_path / "m.onnx")
    (tmp_path / "config.json").write_text(json.dumps({"id2label": written}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25],
        "do_rescale": True, "rescale_factor": 1 / 255, "resample": 3,
        "size": {"height": 16, "width": 16},
    }))  # fmt: skip
    command("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    model = read_spec(tmp_path / "audit.yaml").spec.model
    assert model.classes == MODEL_ORDER
    assert (model.input.mean, model.input.std) == ((0.5,) * 3, (0.25,) * 3)
    assert (model.input.interpolation, model.input.scale) == ("bicubic", 255)
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 60


@pytest.mark.parametrize(
    ("metadata", "flatten", "wanted"),
    [({}, False, (24, 24)), ({"imgsz": "[48, 48]"}, False, (48, 48)), ({}, 32, (32, 32))],
)
def test_a_free_size_is_the_one_that_data_and_metadata_suggest(
    command, tmp_path, metadata, flatten, wanted
):
    photos(tmp_path, size=(24, 24))
    names = {"names": json.dumps(MODEL_ORDER)}
    colour_model(tmp_path / "m.onnx", size=None, metadata={**names, **metadata}, flatten=flatten)
    command("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    assert read_spec(tmp_path / "audit.yaml").spec.model.input.size == wanted
    record = audited(tmp_path, only=("performance/overall",))
    assert accuracy(record).estimate.x == 60


def deep_png(values, path, _index):
    """A 16-bit PNG of (h, w, 3) values, which Pillow cannot write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts
    ))  # fmt: skip


def test_twelve_bits_in_sixteen_are_found_guessed_and_read(command, tmp_path):
    photos(tmp_path, save=deep_png, levels=(3000, 1095))
    metadata = {"names": json.dumps(MODEL_ORDER)}
    colour_model(tmp_path / "m.onnx", metadata=metadata)
    _, out, _ = command("init", tmp_path / "m.onnx", tmp_path / "test.csv",
                        "--out", tmp_path / "audit.yaml")  # fmt: skip
    assert "4095 is white" in out
    text = (tmp_path / "audit.yaml").read_text()
    assert read_spec(tmp_path / "audit.yaml").spec.model.input.range == 4095
    (tmp_path / "audit.yaml").write_text(text.replace("    range: 4095   # guess\n", ""))
    record = audited(tmp_path, only=("data/images",))
    (found,) = [f for f in record.findings if f.id.startswith("data/images:unused-bits")
                and f.limit]  # fmt: skip
    assert found.verdict == "FAIL"
    (tmp_path / "audit.yaml").write_text(text)
    record = audited(tmp_path, only=("data/images", "performance/overall"))
    assert not [f for f in record.findings if "unused-bits" in f.id and f.verdict == "FAIL"]
    assert accuracy(record).estimate.x == 60


def grey_file(values, *, mode):
    out = io.BytesIO()
    Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])).save(
        out, "TIFF"
    )
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "white"), [("I;16", 4095), ("I;16", 255), ("I", 255), ("I", 100_000), ("F", 1.0)]
)
def test_a_stated_white_scales_every_container(mode, white):
    shares = np.linspace(0, 1, 256).reshape(16, 16)
    content = grey_file(shares * white if mode == "F" else np.rint(shares * white), mode=mode)
    found = decode(content, max_pixels=10_000, white=white).pixels[..., 0]
    assert np.abs(found.astype(int) - np.arange(256).reshape(16, 16)).max() <= 1
    with pytest.raises(UnreadableImageError, match="exceed input"):
        decode(content, max_pixels=10_000, white=white / 2)


def turned(pixels, path, index):
    """A photo stored on its side, with the turn in its EXIF; lossless."""
    image = Image.fromarray(pixels.astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6 if index % 2 else 1
    image.save(path, exif=exif)


def test_a_model_of_stored_pixels_is_told_so_and_no_order_of_classes(command, tmp_path):
    """The bright quarter of the stored frame is the class; a turn moves it to the next."""

    def quarter(_pixels, path, index):
        pixels = np.random.default_rng(index).integers(0, 60, (16, 16, 3))
        rows, columns = ((0, 0), (0, 8), (8, 8), (8, 0))[index % 3]
        pixels[rows : rows + 8, columns : columns + 8] += 150
        turned(pixels, path, 1)

    photos(tmp_path, save=quarter)
    weight = np.zeros((3, 3, 16, 16), np.float32)
    for i, (row, column) in enumerate(((0, 0), (0, 8), (8, 8))):
        weight[i, :, row : row + 8, column : column + 8] = 0.1
    model = onnx.load(colour_model(tmp_path / "m.onnx", flatten=16))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight.reshape(3, -1), "w"))
    onnx.save(model, tmp_path / "m.onnx")
    command("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    record = audited(tmp_path)
    gains = [m for r in record.results for m in r.measures if m.name == "accuracy-gain"]
    (fit,) = [m for m in gains if m.facts["fits"]]
    assert fit.subject.keys == (("input", "exif-ignore"),)
    assert all(m.subject.keys[0][0] == "input" for m in gains)
    text = (tmp_path / "audit.yaml").read_text()
    (tmp_path / "audit.yaml").write_text(text.replace("  input:\n", "  input:\n    exif: ignore\n"))
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 60


class Colours(nn.Module):
    """`colour_model` with a normalisation that changes nothing, so that it has counters."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, num_classes)
        with torch.no_grad():
            self.fc.weight.zero_()
            self.fc.bias.zero_()
            for out in range(num_classes):
                self.fc.weight[out, COLOURS[MODEL_ORDER[out % 3]]] = 6

    def forward(self, x):
        return self.fc(self.norm(x).mean((2, 3)))


CODE = """
from torch import nn


class Colours(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.fc(self.norm(x).mean((2, 3)))


def build(num_classes):
    return Colours(num_classes)
"""


def prefixed(prefix, state=None):
    return {prefix + k: v for k, v in (state or Colours().state_dict()).items()}


def broken(prefix=""):
    return {prefix + k: torch.zeros_like(v) for k, v in Colours().state_dict().items()}


FORMS = {
    "module": (prefixed("module."), "'module.'"),
    "compiled": (prefixed("_orig_mod.module."), "'_orig_mod.'"),
    "lightning": (
        {"state_dict": {**prefixed("model."), "loss.weight": torch.ones(3)}, "epoch": 3,
         "optimizer_states": []},
        "Left in the file as no part of the network: 'loss.weight'",
    ),
    "compiled in lightning": ({"state_dict": prefixed("net._orig_mod.")}, "'net.'"),
    "model_state_dict": (
        {"model_state_dict": Colours().state_dict(), "best": torch.tensor(0.9)},
        "under 'model_state_dict'",
    ),
    "with ema": (
        {"model": Colours().state_dict(), "model_ema": broken()},
        "also holds weights under 'model_ema'",
    ),
    "ema in lightning": ({"state_dict": prefixed("model.") | broken("ema_model.")}, "'model.'"),
    "no counters": (
        {k: v for k, v in Colours().state_dict().items() if "num_batches" not in k},
        "no num_batches_tracked for 1 layer",
    ),
}  # fmt: skip


def torch_spec(folder, *, classes=MODEL_ORDER, more=""):
    (folder / "net.py").write_text(CODE)
    (folder / "audit.yaml").write_text(
        "audit: {title: t}\nmodel:\n  path: m.pt\n  architecture: net:build\n"
        f"  classes: [{', '.join(classes)}]\n  input: {{size: [16, 16]}}\n{more}"
        "data:\n  test: {manifest: test.csv, images: .}\n"
    )


@pytest.fixture(scope="module")
def few_photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    photos(folder, n=12)
    return folder


def loaded(folder, state, **spec):
    from auditor.engine.gather import load

    torch.save(state, folder / "m.pt")
    torch_spec(folder, **spec)
    return load(read_spec(folder / "audit.yaml").spec, trust_code=True).predictor


def frames(folder):
    return np.stack([np.asarray(Image.open(p)) for p in sorted(folder.glob("*.png"))])


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_in_what_scripts_save_and_a_line_says_how(few_photos, form):
    state, said = FORMS[form]
    model = loaded(few_photos, state)
    answers = model.predict(frames(few_photos)).probabilities.argmax(axis=1)
    names = [list(COLOURS)[i % 3] for i in range(12)]
    assert [MODEL_ORDER[a] for a in answers] == names
    assert said in " ".join(model.facts.notes)


@pytest.mark.parametrize(
    ("state", "weights"),
    [
        ({"model": broken(), "ema": Colours().state_dict()}, "ema"),
        ({"state_dict": broken("model.") | prefixed("ema_model.module.")}, "ema_model"),
    ],
)
def test_an_average_is_taken_where_the_spec_names_it_only(few_photos, state, weights):
    images = frames(few_photos)
    plain = loaded(few_photos, state)
    assert np.ptp(plain.predict(images).probabilities) < 1e-6
    named = loaded(few_photos, state, more=f"  weights: {weights}\n")
    assert named.predict(images).probabilities.max() > 0.9
    assert named.digest != plain.digest


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"ema": Colours().state_dict()}, "model.weights: ema"),
        ({"gen": Colours().state_dict(), "disc": broken()}, "model.weights: gen"),
        (prefixed("student.") | prefixed("teacher."), "model.weights: student"),
        ({"optimizer": {"state": broken()}}, "holds no weights"),
        ({"gen": Colours().state_dict(), "disc": broken()}, r"model.weights: gen`\.$"),
    ],
)
def test_only_the_spec_can_choose_among_several_weights(few_photos, state, says):
    with pytest.raises(auditor.errors.ModelError, match=says):
        loaded(few_photos, state)


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_score_for_two_classes(command, tmp_path, squeezed):
    table = pd.read_csv(photos(tmp_path, n=60))
    table["label"] = np.where(table.index % 3 == 2, "plum", "other")
    table.to_csv(tmp_path / "test.csv", index=False)

    model = onnx.load(colour_model(tmp_path / "m.onnx"))
    weight = numpy_helper.from_array(np.array([[-10, -10, 20]], np.float32), "w")
    model.graph.initializer[0].CopyFrom(weight)
    shape = ["n", 1]
    if squeezed:
        model.graph.node.append(helper.make_node("Squeeze", ["scores"], ["score"]))
        shape = ["n"]
    name = "score" if squeezed else "scores"
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    onnx.save(model, tmp_path / "m.onnx")
    command("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    text = (tmp_path / "audit.yaml").read_text()
    assert "output: sigmoid" in text
    plain = text.replace("mean: [0.485, 0.456, 0.406]", "mean: [0, 0, 0]")
    (tmp_path / "audit.yaml").write_text(plain.replace("[0.229, 0.224, 0.225]", "[1, 1, 1]"))
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 60


def test_two_outputs_of_scores_are_asked_for_by_name(command, tmp_path):
    photos(tmp_path)
    model = onnx.load(colour_model(tmp_path / "m.onnx", metadata=ULTRALYTICS))
    model.graph.node.append(helper.make_node("Neg", ["scores"], ["against"]))
    model.graph.output.insert(
        0, helper.make_tensor_value_info("against", TensorProto.FLOAT, ["n", 3])
    )
    onnx.save(model, tmp_path / "m.onnx")
    init = ("init", tmp_path / "m.onnx", tmp_path / "test.csv", "--out", tmp_path / "audit.yaml")
    code, _, err = command(*init)
    assert code == 2
    assert "2 outputs: 'against' (3), 'scores' (3)" in err
    assert not (tmp_path / "audit.yaml").exists()
    code, _, err = command(*init, "--output-name", "score")
    assert code == 2
    assert "'against', 'scores'" in err
    assert command(*init, "--output-name", "scores")[0] == 0
    text = (tmp_path / "audit.yaml").read_text()
    (tmp_path / "audit.yaml").write_text(text.replace("  output_name: scores\n", ""))
    code, _, err = command("run", tmp_path / "audit.yaml", "--out", tmp_path / "out")
    assert code == 2
    assert "model.output_name: against" in err
    (tmp_path / "audit.yaml").write_text(text)
    record = audited(tmp_path)
    assert accuracy(record).estimate.x == 60


class Flat(nn.Module):
    """`colour_model` of one size alone; `others` are given beside the scores."""

    def __init__(self, side, *, channels=3, others=()):
        super().__init__()
        self.others = others
        self.fc = nn.Linear(channels * side * side, 3)

    def forward(self, x):
        scores = self.fc(x.flatten(1))
        return {"logits": scores, **dict.fromkeys(self.others, -scores)} if self.others else (
            scores
        )  # fmt: skip


def scripted(module, path, *, side=16, channels=3, dtype=torch.float32):
    example = torch.zeros(1, channels, side, side, dtype=dtype)
    torch.jit.trace(module.to(dtype).eval(), example, strict=False).save(str(path))


def refused_by_run(folder, **input):
    given = ", ".join(f"{k}: {v}" for k, v in ({"size": [16, 16]} | input).items())
    (folder / "audit.yaml").write_text(
        f"audit: {{title: t}}\nmodel:\n  path: m.pt\n  classes: [a, b, c]\n  input: {{{given}}}\n"
        "data:\n  test: {manifest: test.csv, images: .}\n"
    )
    with pytest.raises(auditor.errors.ModelError) as caught:
        load_model(read_spec(folder / "audit.yaml").spec, classes=("a", "b", "c"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("made", "input", "cure"),
    [
        ({"side": 32}, {}, "`model.input.size: [32, 32]`"),
        ({"side": 16, "channels": 1}, {}, "`model.input.channels: grey`"),
        ({"side": 16, "dtype": torch.float64}, {}, "`model.input.dtype: float64`"),
        ({"side": 28, "channels": 1}, {}, "`model.input.size: [28, 28]`, `model.input.channels"),
        ({"side": 17}, {}, "mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_what_a_model_takes_is_named_in_place_of_the_runtimes_text(tmp_path, made, input, cure):
    net = Flat(made["side"], channels=made.get("channels", 3))
    scripted(net, tmp_path / "m.pt", **made)
    said = refused_by_run(tmp_path, **input)
    assert cure in said
    assert "TorchScript interpreter" not in said


def test_a_usual_name_does_not_choose_among_outputs_of_class_width(tmp_path):
    scripted(Flat(16, others=("aux_logits",)), tmp_path / "m.pt")
    assert "2 outputs ('logits', 'aux_logits')" in refused_by_run(tmp_path)


def test_torchscript_and_doubles_from_a_process_that_has_imported_nothing(tmp_path):
    """In the contained process little can be imported: what counting needs was not there."""
    photos(tmp_path, n=12)
    scripted(Colours(), tmp_path / "m.pt", dtype=torch.float64)
    (tmp_path / "audit.yaml").write_text(
        f"audit: {{title: t}}\nmodel:\n  path: m.pt\n  classes: [{', '.join(MODEL_ORDER)}]\n"
        "  input: {size: [16, 16], dtype: float64}\ndata:\n"
        "  test: {manifest: test.csv, images: .}\n"
    )
    command = [sys.executable, "-m", "auditor.cli", "plan", str(tmp_path / "audit.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = audited(tmp_path, only=("performance/overall",))
    assert accuracy(record).estimate.x == 12
