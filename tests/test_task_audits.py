"""Whole audits of small detectors and segmenters: answers lie where they are, no check crashes."""

import json

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import auditor
from auditor.stats import value

pytestmark = pytest.mark.slow

N = 12
SIZES = ((64, 40), (40, 64), (48, 48))
RESIZES = {
    "stretch": {"resize": "stretch"},
    "letterbox": {"resize": "letterbox"},
    "letterbox top-left": {"resize": "letterbox", "align": "top-left"},
    "shortest": {"resize": "shortest", "shortest": 32},
}


def saved(nodes, outputs, constants, path):
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def detector(path):
    """One row of corners, score and class: the box around all that is red."""
    nodes = [
        helper.make_node("Slice", ["image", "0", "1", "one"], ["red"]),
        helper.make_node("Greater", ["red", "half"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["bright"], to=TensorProto.FLOAT),
    ]
    for axis, (low, high) in {2: ("x0", "x1"), 3: ("y0", "y1")}.items():
        nodes += [
            helper.make_node("ReduceMax", ["bright"], [f"line{axis}"], axes=[axis], keepdims=0),
            helper.make_node("ArgMax", [f"line{axis}"], [f"{low}-at"], axis=2, keepdims=1),
            helper.make_node("ArgMax", [f"line{axis}"], [f"{high}-last"], axis=2, keepdims=1,
                             select_last_index=1),
            helper.make_node("Add", [f"{high}-last", "1"], [f"{high}-at"]),
        ]  # fmt: skip
    for name in ("x0", "y0", "x1", "y1"):
        nodes.append(helper.make_node("Cast", [f"{name}-at"], [name], to=TensorProto.FLOAT))
    nodes += [
        helper.make_node("ReduceMax", ["bright"], ["most"], axes=[2, 3], keepdims=0),
        helper.make_node("Reshape", ["most", "shape"], ["score"]),
        helper.make_node("Mul", ["score", "zero"], ["class"]),
        helper.make_node("Concat", ["x0", "y0", "x1", "y1", "score", "class"], ["found"], axis=2),
    ]
    constants = {
        "0": np.array([0]), "1": np.array([1]), "one": np.array([1]),
        "half": np.float32(0.5), "zero": np.float32(0), "shape": np.array([-1, 1, 1]),
    }  # fmt: skip
    saved(nodes, [("found", ["n", 1, 6])], constants, path)


def segmenter(path):
    """Scores of ground and of red, a pixel each."""
    nodes = [
        helper.make_node("Slice", ["image", "0", "1", "one"], ["red"]),
        helper.make_node("Sub", ["unit", "red"], ["ground"]),
        helper.make_node("Concat", ["ground", "red"], ["scores"], axis=1),
    ]
    constants = {
        "0": np.array([0]), "1": np.array([1]), "one": np.array([1]), "unit": np.float32(1),
    }  # fmt: skip
    saved(nodes, [("scores", ["n", 2, 32, 32])], constants, path)


def shown(i):
    """An image as displayed, and the box of its one red thing, near the middle."""
    width, height = SIZES[i % len(SIZES)]
    rng = np.random.default_rng(i)
    x0, y0 = (int(rng.integers(side // 2 - 12, side // 2 - 4)) for side in (width, height))
    x1, y1 = x0 + int(rng.integers(8, 16)), y0 + int(rng.integers(8, 16))
    pixels = np.full((height, width, 3), 20, dtype=np.uint8)
    pixels[..., 1] = rng.integers(0, 60, size=(height, width))
    pixels[y0:y1, x0:x1, 0] = 250
    return pixels, (x0, y0, x1, y1)


def stored_turned(pixels, path):
    """Saved as a camera held upright stores it: turned, with orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(path, exif=exif)


def stored_box(box, width):
    """Where a box of an image `width` wide lies once the image is turned to the left."""
    x0, y0, x1, y1 = box
    return y0, width - x1, y1, width - x0


def world(folder, task, *, n=N, turned=False, boxes_in="displayed"):
    images, objects = [], []
    (folder / "masks").mkdir()
    for i in range(n):
        pixels, box = shown(i)
        height, width = pixels.shape[:2]
        (stored_turned if turned else save)(pixels, folder / f"{i:02}.png")
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[box[1] : box[3], box[0] : box[2]] = 1
        size = (width, height)
        if boxes_in == "stored":
            box, size, mask = stored_box(box, width), (height, width), np.rot90(mask)
        Image.fromarray(np.ascontiguousarray(mask)).save(folder / "masks" / f"{i:02}.png")
        x0, y0, x1, y1 = box
        # Ids from 0: that of the first object means nothing in particular.
        objects.append({"id": i, "image_id": i, "category_id": 7,
                        "bbox": [x0, y0, x1 - x0, y1 - y0]})  # fmt: skip
        images.append({"id": i, "file_name": f"{i:02}.png", "width": size[0], "height": size[1]})
    categories = [{"id": 7, "name": "red"}]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(coco))
    splits = ["test"] * (n // 2) + ["train", "deployment"] * n
    lines = [f"{i:02}.png,{splits[i]},{('day', 'night')[i % 2]},r{i // 2}" for i in range(n)]
    (folder / "photos.csv").write_text("\n".join(["file,split,light,room", *lines]) + "\n")
    (detector if task == "detection" else segmenter)(folder / "net.onnx")


def save(pixels, path):
    Image.fromarray(pixels).save(path)


def spec_of(task, *, input, boxes_in=None):
    is_detector = task == "detection"
    return {
        "audit": {"title": "Red things"},
        "model": {
            "path": "net.onnx", "task": task,
            "classes": ["red"] if is_detector else ["ground", "red"],
            "input": {"size": [32, 32], "interpolation": "nearest", **input},
            "output": "end-to-end" if is_detector else "semantic",
        },
        "data": {
            "test": {"manifest": "photos.csv",
                     "annotations": "boxes.json" if is_detector else "masks"},
            "columns": {"image": "file"},
            # Of drawn things many look alike: comparing them would take most of the time.
            "duplicates": {"near": "off"},
        } | ({} if boxes_in is None else {"boxes_in": boxes_in}),
    }  # fmt: skip


def audited(folder, task, *, input, boxes_in=None):
    spec = spec_of(task, input=input, boxes_in=boxes_in)
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    record = auditor.run(path, out=folder / "out", only=("performance/overall",))
    return {
        finding.id.removeprefix("performance/overall:").removesuffix("@test"): value(
            record.measure(finding).estimate
        )
        for finding in record.findings
        if finding.check == "performance/overall" and record.measure(finding) is not None
    }


@pytest.mark.parametrize("way", RESIZES)
def test_boxes_are_found_where_they_lie_in_the_image(tmp_path, way):
    world(tmp_path, "detection")
    found = audited(tmp_path, "detection", input=RESIZES[way])
    assert found["objects-found"] == 1
    assert found["false-alarms"] == 0
    assert found["ap-50"] == pytest.approx(1)


@pytest.mark.parametrize("boxes_in", ["displayed", "stored"])
@pytest.mark.parametrize("exif", ["apply", "ignore"])
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_turned_image_is_turned_for_answers_and_annotations_alike(tmp_path, task, exif, boxes_in):
    world(tmp_path, task, turned=True, boxes_in=boxes_in)
    found = audited(tmp_path, task, input={"resize": "letterbox", "exif": exif}, boxes_in=boxes_in)
    if task == "detection":
        assert found["objects-found"] == 1
        assert found["ap-50"] == pytest.approx(1)
    else:
        assert found["mean-iou"] > 0.8


@pytest.mark.parametrize("way", ["stretch", "letterbox", "letterbox top-left"])
def test_class_maps_lie_over_the_image(tmp_path, way):
    world(tmp_path, "segmentation")
    assert audited(tmp_path, "segmentation", input=RESIZES[way])["mean-iou"] > 0.8


def test_of_class_maps_drawn_half_as_wide_the_overlap_is_half(tmp_path):
    world(tmp_path, "segmentation")
    for i in range(N):
        path = tmp_path / "masks" / f"{i:02}.png"
        Image.fromarray(np.asarray(Image.open(path)) * 0 + _half(i)).save(path)
    pixels = [shown(i)[0] for i in range(N)]
    red = [p[..., 0] > 127 for p in pixels]
    true = [_half(i) > 0 for i in range(N)]
    hits, both = (sum(int(op(r, t).sum()) for r, t in zip(red, true, strict=True))
                  for op in (np.logical_and, np.logical_or))  # fmt: skip
    ground = [sum(int(op(~r, ~t).sum()) for r, t in zip(red, true, strict=True))
              for op in (np.logical_and, np.logical_or)]  # fmt: skip
    found = audited(tmp_path, "segmentation", input=RESIZES["stretch"])
    expected = (hits / both + ground[0] / ground[1]) / 2
    assert found["mean-iou"] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("written", "map", "lost", "named"),
    [
        ("Blues", {}, "blue, written Blues", "Blues"),
        ("green", {}, "", "green"),
        ("green", {"green": None}, "", ""),
    ],
)
def test_annotated_classes_that_the_model_lacks_are_no_news_of_the_manifest_alone(
    tmp_path, written, map, lost, named
):
    world(tmp_path, "detection")
    path = tmp_path / "boxes.json"
    coco = json.loads(path.read_text())
    coco["categories"].append({"id": 8, "name": written})
    blue = {"id": 9, "name": "blue"} if written == "green" else None
    coco["categories"] += [blue] if blue else []
    for i, one in enumerate(coco["annotations"][: N // 2]):
        one["category_id"] = (7, 8, 9 if blue else 8)[i % 3]
    path.write_text(json.dumps(coco))
    spec = spec_of("detection", input=RESIZES["stretch"])
    spec["model"]["classes"] = ["red", "blue"]
    spec["data"]["classes"] = {"map": map}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(spec))
    record = auditor.run(tmp_path / "audit.yaml", out=tmp_path / "out", only=("data/manifest",))
    finding = next(f for f in record.findings if f.id == "data/left-out:lost-classes@test")
    facts = record.measure(finding).facts
    assert (facts["names"], facts["unknown"]) == (lost, named)
    assert str(finding.verdict) == ("FAIL" if lost else "PASS")


def _half(i):
    """The left half of the red thing alone, as (h, w) uint8."""
    pixels, (x0, y0, x1, y1) = shown(i)
    mask = np.zeros(pixels.shape[:2], dtype=np.uint8)
    mask[y0:y1, x0 : (x0 + x1) // 2] = 1
    return mask


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_no_check_crashes_for_want_of_what_a_task_does_not_have(tmp_path, task):
    world(tmp_path, task, n=60)
    is_detector = task == "detection"
    one = {"manifest": "photos.csv", "annotations": "boxes.json" if is_detector else "masks"}
    attributes = {"light": {"role": "condition"}}
    attributes |= {"size": {"role": "condition", "of": "object"}} if is_detector else {}
    spec = {
        "audit": {"title": "Red things", "system": {"decision": "locate"}},
        "model": {
            "path": "net.onnx", "task": task,
            "classes": ["red"] if is_detector else ["ground", "red"],
            "input": {"size": [32, 32]}, "output": "end-to-end" if is_detector else "semantic",
        },
        "data": {
            **{s: one | {"where": {"split": s}} for s in ("test", "train", "deployment")},
            "columns": {"image": "file", "unit": "room"},
            "attributes": attributes,
            "unannotated": "empty" if is_detector else "unlabelled",
            "duplicates": {"near": "off"},
        },
        "consequences": {"adverse": ["red"]},
    }  # fmt: skip
    path = tmp_path / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    record = auditor.run(path, out=tmp_path / "out")
    crashed = {r.check: r.traceback.splitlines()[-1] for r in record.results if r.traceback}
    assert crashed == {}
    # What a task does not have is said in a sentence, not left out.
    not_run = {entry.check: entry.reason for entry in record.plan.not_run}
    assert "label-errors" in " ".join(not_run)
    assert all(reason.endswith(".") for reason in not_run.values())


@pytest.mark.parametrize(("task", "way"), [("detection", "letterbox"), ("segmentation", "stretch")])
def test_things_are_found_where_a_move_takes_them(tmp_path, task, way):
    """The nets read every pixel for itself: whatever moves, they find where it goes."""
    world(tmp_path, task)
    spec = spec_of(task, input=RESIZES[way])
    spec["checks"] = {"shift/geometry": {"moves": ["shift", "turn", "smaller", "crop", "mirror"]}}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(spec))
    record = auditor.run(tmp_path / "audit.yaml", out=tmp_path / "out", only=("shift/geometry",))
    lost = {
        dict(measure.subject.keys)["moved"]: value(measure.estimate)
        for finding in record.findings
        if (measure := record.measure(finding)) is not None and measure.name == "lost"
    }
    assert len(lost) == 6
    assert max(lost.values()) < 0.08, lost
