"""`auditor init` of detectors and segmenters: what it finds, and that `run` takes it as it is."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import auditor
from auditor.data.annotate import AnnotatedTask, read_annotated
from auditor.data.annotated_looking import look_at_annotated
from auditor.errors import DataError, ModelError
from auditor.init import write_spec
from auditor.models.guess import guess_model_spec
from auditor.spec.spec_file import read_spec

SIDE, N = 32, 24
NAMES = ["cup", "fork"]


def model(path, metadata=None, **outputs):
    """A graph that gives the same outputs for every image."""
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
             helper.make_node("Mul", ["mean", "nought"], ["none"])]  # fmt: skip
    constants = [numpy_helper.from_array(np.float32(0), "nought")]
    told = []
    for name, value in outputs.items():
        constants.append(numpy_helper.from_array(value.astype(np.float32), f"{name}-is"))
        nodes.append(helper.make_node("Add", [f"{name}-is", "none"], [name]))
        told.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIDE, SIDE))
    graph = helper.make_graph(nodes, "g", [image], told, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(made, path)
    return path


def yolox(path, metadata=None):
    cells = 16 + 4 + 1
    rows = np.zeros((1, cells, 7))
    rows[0, 0] = (0.5, 0.5, np.log(1.0), np.log(1.0), 0.9, 0.9, 0.1)
    return model(path, metadata, output=rows)


def yolov8(path, names, **more):
    boxes = np.zeros((1, 4 + len(names), 21))
    boxes[0, :, 3] = (8, 8, 8, 8, 0.9, *[0.1] * (len(names) - 1))
    written = {"task": "detect", "names": str(dict(enumerate(names))), "imgsz": "[32, 32]",
               "stride": "32", "author": "Ultralytics"}  # fmt: skip
    return model(path, written | more, output0=boxes)


def photos(folder, n=N):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    for i in range(n):
        pixels = rng.integers(0, 255, size=(SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i:02}.png")
    return folder


def coco(path, n=N, names=NAMES, empty=2):
    images = [{"id": i, "file_name": f"p{i:02}.png", "width": SIDE, "height": SIDE}
              for i in range(n)]  # fmt: skip
    boxes = [{"id": i, "image_id": i, "category_id": 5 + i % len(names), "bbox": [4, 4, 8, 8],
              "iscrowd": 0, "occluded": i % 4 // 2} for i in range(n - empty)]  # fmt: skip
    categories = [{"id": 5 + i, "name": name} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def xml(folder):
    folder.mkdir()
    for i in range(N):
        box = "<xmin>5</xmin><ymin>5</ymin><xmax>12</xmax><ymax>12</ymax>"
        (folder / f"p{i:02}.xml").write_text(
            f"<annotation><object><name>{NAMES[i % 2]}</name><truncated>{i % 2}</truncated>"
            f"<bndbox>{box}</bndbox></object></annotation>"
        )


def txt(folder):
    folder.mkdir(parents=True)
    for i in range(N - 1):
        (folder / f"p{i:02}.txt").write_text(f"{i % 2} 0.25 0.25 0.25 0.25\n")


def run_as_written(spec, tmp_path):
    record = auditor.run(spec, out=tmp_path / "out", only=("performance/overall",))
    found = [r for r in record.results if r.check == "performance/overall"]
    assert len(found) == 1
    assert found[0].measures
    assert not record.dataset("test").left_out
    return record


def test_a_yolox_with_a_coco_file_gives_a_spec_that_runs(tmp_path):
    photos(tmp_path / "data" / "images")
    coco(tmp_path / "data" / "annotations.json")
    lines = write_spec(yolox(tmp_path / "m.onnx"), tmp_path / "data", out=tmp_path / "a.yaml")
    assert any("annotated by a COCO file" in line for line in lines)
    spec = read_spec(tmp_path / "a.yaml").spec
    assert (spec.model.task, spec.model.output.kind) == ("detection", "yolox")
    assert spec.model.classes == ("cup", "fork")
    assert (spec.model.input.resize, spec.model.input.channels) == ("letterbox", "bgr")
    assert spec.data.unannotated == "empty"
    assert {n: a.of for n, a in spec.data.attributes.items()} == {
        "size": "object", "occluded": "object"}  # fmt: skip
    text = (tmp_path / "a.yaml").read_text()
    assert "output: yolox   # guess" in text
    assert "operating_point" in text
    run_as_written(tmp_path / "a.yaml", tmp_path)
    told = auditor.plan(tmp_path / "a.yaml")
    assert any("yolox" in line and "suppression: 0.65" in line for line in told)
    assert any("score of 0.5" in line for line in told)


@pytest.mark.parametrize("names", [NAMES, ["cup"]])
def test_metadata_of_ultralytics_are_read_and_one_class_is_enough(tmp_path, names):
    photos(tmp_path / "data" / "images")
    coco(tmp_path / "data" / "annotations.json", names=names)
    write_spec(yolov8(tmp_path / "m.onnx", names), tmp_path / "data", out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    assert (spec.model.output.kind, spec.model.classes) == ("yolov8", tuple(names))
    assert (spec.model.input.resize, spec.model.input.pad) == ("letterbox", 114)
    assert "# guess" not in next(
        line for line in (tmp_path / "a.yaml").read_text().splitlines() if "classes: [" in line
    )
    if len(names) == 1:
        run_as_written(tmp_path / "a.yaml", tmp_path)


def test_voc_files_and_yolo_files_are_found_beside_the_images(tmp_path):
    photos(tmp_path / "voc" / "JPEGImages")
    xml(tmp_path / "voc" / "Annotations")
    found = look_at_annotated(tmp_path / "voc", maps=False).splits["test"]
    assert (found.annotations.kind, found.annotations.labels) == ("voc", ("cup", "fork"))
    assert (found.images.name, found.annotations.unannotated) == ("JPEGImages", None)
    assert [a.column for a in found.annotations.objects] == []  # it renames the class

    for split in ("train", "val"):
        photos(tmp_path / "yolo" / "images" / split)
        txt(tmp_path / "yolo" / "labels" / split)
    (tmp_path / "yolo" / "data.yaml").write_text("nc: 2\nnames: {0: cup, 1: fork}\n")
    write_spec(yolov8(tmp_path / "m.onnx", ["fork", "cup"]), tmp_path / "yolo",
               out=tmp_path / "b.yaml")  # fmt: skip
    spec = read_spec(tmp_path / "b.yaml").spec
    assert spec.data.splits == ("test", "train")
    assert spec.data.test.annotations == "yolo/labels/val"
    assert spec.data.train.annotations == "yolo/labels/train"
    assert spec.data.classes.names == {0: "cup", 1: "fork"}
    assert spec.data.unannotated == "empty"
    record = run_as_written(tmp_path / "b.yaml", tmp_path)
    assert record.dataset("test").n == N


def masks(folder, values):
    folder.mkdir(parents=True)
    for i in range(N):
        drawn = np.full((SIDE, SIDE), values[0], dtype=np.uint8)
        drawn[: 4 + i % 8] = values[i % len(values)]
        Image.fromarray(drawn).save(folder / f"p{i:02}.png")


def test_a_segmenter_with_a_folder_of_masks_gives_a_spec_that_runs(tmp_path):
    photos(tmp_path / "data" / "images")
    masks(tmp_path / "data" / "masks", [0, 1, 9])
    (tmp_path / "data" / "classes.json").write_text(
        json.dumps({"0": "road", "1": "crack", "9": "void"})
    )
    planes = np.zeros((1, 2, SIDE, SIDE))
    planes[:, 1, :4] = 1
    write_spec(model(tmp_path / "m.onnx", out=planes), tmp_path / "data", out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    assert (spec.model.task, spec.model.classes) == ("segmentation", ("road", "crack"))
    assert spec.data.classes.void == (9, 255)
    assert spec.data.classes.names == "data/classes.json"
    run_as_written(tmp_path / "a.yaml", tmp_path)


def test_masks_of_0_and_255_are_two_classes_and_255_is_not_void(tmp_path):
    photos(tmp_path / "data" / "images")
    masks(tmp_path / "data" / "masks", [0, 255])
    planes = np.zeros((1, 1, SIDE, SIDE))
    write_spec(model(tmp_path / "m.onnx", out=planes), tmp_path / "data", out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    assert spec.data.classes.void == ()
    assert set(spec.data.classes.names) == {0, 255}
    run_as_written(tmp_path / "a.yaml", tmp_path)


def scenes(images, drawn, write):
    """Three scenes whose files are called alike, in folders that have a ``{}`` for the scene."""
    for scene in ("s0", "s1", "s2"):
        for i in range(4):
            photo, other = (
                folder.parent / folder.name.format(scene) if "{}" in folder.name
                else folder.parent.parent / folder.parent.name.format(scene) / folder.name
                for folder in (images, drawn)
            )  # fmt: skip
            for folder in (photo, other):
                folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (i, 0, 0)).save(photo / f"{i}.png")
            write(other, i)


def class_map(folder, i):
    Image.fromarray(np.full((SIDE, SIDE), i % 2, dtype=np.uint8)).save(folder / f"{i}.png")


def yolo_line(folder, i):
    (folder / f"{i}.txt").write_text(f"{i % 2} 0.25 0.25 0.25 0.25\n")


def test_files_called_alike_in_folders_of_scenes_go_with_their_own_scene(tmp_path):
    """Folders of one scene named as many images by their bare names as the folder of all."""
    scenes(tmp_path / "a" / "images" / "{}", tmp_path / "a" / "masks" / "{}", class_map)
    (found,) = look_at_annotated(tmp_path / "a", maps=True).splits.values()
    assert (found.images, found.annotations.place) == (
        tmp_path / "a" / "images",
        tmp_path / "a" / "masks",
    )
    assert found.annotations.unannotated is None
    scenes(tmp_path / "b" / "images" / "{}", tmp_path / "b" / "labels" / "{}", yolo_line)
    scenes(tmp_path / "c" / "{}", tmp_path / "c" / "{}", yolo_line)
    scenes(tmp_path / "d" / "{}" / "images", tmp_path / "d" / "{}" / "labels", yolo_line)
    for name, place in (("b", "labels"), ("c", ""), ("d", "")):
        (found,) = look_at_annotated(tmp_path / name, maps=False).splits.values()
        assert found.annotations.place == tmp_path / name / place
        assert found.annotations.unannotated is None
    planes = np.zeros((1, 2, SIDE, SIDE))
    write_spec(model(tmp_path / "m.onnx", out=planes), tmp_path / "a", out=tmp_path / "a.yaml")
    maps = read_annotated_spec(tmp_path / "a.yaml").truth.maps()
    assert [one.max() for one in maps] == [0, 1, 0, 1] * 3
    write_spec(yolov8(tmp_path / "n.onnx", NAMES), tmp_path / "d", out=tmp_path / "d.yaml")
    dataset = read_annotated_spec(tmp_path / "d.yaml")
    assert dataset.truth.known.all()
    # Of each scene the second and the fourth image hold a fork.
    assert dataset.truth.boxes.classes.tolist() == [0, 1, 0, 1] * 3


def read_annotated_spec(path):
    spec = read_spec(path).spec
    task = AnnotatedTask(spec.model, spec.model.classes, path.parent)
    return read_annotated(spec.data, task)["test"].dataset


@pytest.mark.parametrize("drawn", ["masks/{}", "{}_masks"])
def test_photos_of_another_split_are_no_class_maps(tmp_path, drawn):
    for split in ("train", "val"):
        inner = "images/" if drawn.startswith("masks") else ""
        scenes(tmp_path / inner / split / "{}", tmp_path / drawn.format(split) / "{}", class_map)
    found = look_at_annotated(tmp_path, maps=True).splits
    assert found["test"].annotations.place == tmp_path / drawn.format("val")
    assert found["train"].annotations.place == tmp_path / drawn.format("train")


def test_folders_of_splits_with_longer_names_go_with_those_called_alike(tmp_path):
    for split in ("test set", "train_set"):
        scenes(tmp_path / "images" / split / "{}", tmp_path / "labels" / split / "{}", yolo_line)
    found = look_at_annotated(tmp_path, maps=False).splits
    places = {name: one.annotations.place.name for name, one in found.items()}
    assert places == {"test": "test set", "train": "train_set"}


def test_class_maps_among_the_images_are_refused(tmp_path):
    scenes(tmp_path / "d" / "{}" / "images", tmp_path / "d" / "{}" / "masks", class_map)
    with pytest.raises(DataError, match=r"class maps among its images \(s0/masks\)"):
        look_at_annotated(tmp_path / "d", maps=True)


@pytest.mark.parametrize(
    ("image", "drawn"),
    [("p{}.jpg", "p{}.png"), ("p{}.jpg", "p{}_mask.png"), ("p{}.png", "p{}_gtFine_labelIds.png"),
     ("p{}.png", "mask-p{}.png")],
)  # fmt: skip
def test_class_maps_beside_their_images_are_refused(tmp_path, image, drawn):
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / image.format(i))
        Image.new("P", (8, 8)).save(tmp_path / drawn.format(i))
    says = rf"class maps among its images \({drawn.format(0)} beside {image.format(0)}\)"
    with pytest.raises(DataError, match=says):
        look_at_annotated(tmp_path, maps=True)


def test_images_of_two_formats_are_no_class_maps(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / f"p{i}.jpg")
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / f"q{i}.png")
    with pytest.raises(DataError, match="holds no class maps"):
        look_at_annotated(tmp_path / "data", maps=True)


def test_the_pixels_that_were_drawn_on_are_read_from_stated_sizes(tmp_path):
    folder = photos(tmp_path / "data" / "images", n=3)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 40)).save(folder / "turned.jpg", exif=exif)
    coco(tmp_path / "data" / "a.json", n=3)
    content = json.loads((tmp_path / "data" / "a.json").read_text())
    for size, wanted in (((20, 40), "stored"), ((40, 20), "displayed")):
        content["images"] = [*content["images"][:3], {
            "id": 9, "file_name": "turned.jpg", "width": size[0], "height": size[1]}]  # fmt: skip
        (tmp_path / "data" / "a.json").write_text(json.dumps(content))
        found = look_at_annotated(tmp_path / "data", maps=False).splits["test"].annotations
        assert found.boxes_in == wanted


def test_what_is_missing_is_said(tmp_path):
    photos(tmp_path / "data" / "images")
    with pytest.raises(DataError, match=r"holds no boxes .* Put them beside the images"):
        write_spec(yolox(tmp_path / "m.onnx"), tmp_path / "data", out=tmp_path / "a.yaml")
    coco(tmp_path / "data" / "annotations.json", names=list("abcd"))
    with pytest.raises(DataError, match=r"classes\.txt"):
        write_spec(yolox(tmp_path / "m.onnx"), tmp_path / "data", out=tmp_path / "a.yaml")
    (tmp_path / "data" / "classes.txt").write_text("a\nz\n")
    lines = write_spec(yolox(tmp_path / "m.onnx"), tmp_path / "data", out=tmp_path / "a.yaml")
    assert any("`data.classes.map`" in line for line in lines)
    assert read_spec(tmp_path / "a.yaml").spec.model.classes == "data/classes.txt"
    odd = yolov8(tmp_path / "odd.onnx", NAMES, task="pose")
    with pytest.raises(ModelError, match="not audited"):
        guess_model_spec(odd)


@pytest.mark.parametrize("shape", [(1, 10, 1, 1), (1, 1, 10), (1, 10, 1), (1, 10)])
def test_a_classifier_s_scores_are_no_boxes(tmp_path, shape):
    path = model(tmp_path / "m.onnx", out=np.zeros(shape))
    assert guess_model_spec(path, n_classes=10).task == "classification"


def test_one_command_names_all_that_is_wrong_with_a_coco_file(tmp_path, command):
    photos(tmp_path / "data" / "images")
    place = tmp_path / "data" / "annotations.json"
    coco(place)
    content = json.loads(place.read_text())
    boxes = content["annotations"]
    boxes[0]["bbox"], boxes[1]["bbox"] = [900, 900, 4, 4], [4, 4, -8, 8]
    boxes[2]["bbox"], boxes[3]["category_id"] = [4, 4, "nan", 8], 77
    boxes[4]["iscrowd"], boxes[5]["image_id"] = "0", 999
    boxes[6]["segmentation"] = {"size": [SIDE, SIDE], "counts": "o" * 50_000}
    content["images"].append({"id": 900, "file_name": "gone.png"})
    place.write_text(json.dumps(content))
    spec = tmp_path / "a.yaml"
    assert command("init", yolov8(tmp_path / "m.onnx", NAMES), place.parent, "--out", spec)[0] == 0
    record = auditor.run(spec, out=tmp_path / "out", only=("data/manifest",))
    text = (tmp_path / "out" / "audit.json").read_text()
    for rule in ("it lies in its image", "it has a width and a height above 0", "its corners are",
                 "a class of the objects is one of the model", "its outline can be read",
                 "an annotation can be read", "an image that is named is there"):  # fmt: skip
        assert rule in text
    assert record.dataset("test").n == N
    boxes[:] = boxes[:3]
    place.write_text(json.dumps(content))
    code, _, err = command("plan", spec)
    assert code == 2
    assert "none of its 3 objects can be used" in err
    assert "Traceback" not in err


def test_one_command_refuses_class_maps_before_any_image_is_looked_at(tmp_path, command):
    photos(tmp_path / "data" / "images")
    masks(tmp_path / "data" / "masks", [0, 1, 9])
    spec, model_file = tmp_path / "a.yaml", tmp_path / "m.onnx"
    model(model_file, out=np.zeros((1, 2, SIDE, SIDE)))
    assert command("init", model_file, tmp_path / "data", "--out", spec)[0] == 0
    code, _, err = command("plan", spec)
    assert code == 2
    assert "8 class maps hold numbers that stand for no class (9; the first is 'p02.png')" in err
