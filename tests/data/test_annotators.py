"""What several annotators drew of the same images: read, left out where it does not fit, told."""

import json

import numpy as np
import pytest
from PIL import Image

from auditor.data.annotate import AnnotatedTask, read_annotated
from auditor.data.annotators import with_annotators
from auditor.errors import DataError
from auditor.spec import AuditSpec
from auditor.spec.spec_file import spec_problems

N = 4


def coco(path, *, listed, boxes):
    images = [{"id": i, "file_name": f"{i}.png", "width": 20, "height": 10} for i in listed]
    drawn = [
        {"id": k, "image_id": i, "category_id": 1, "bbox": list(box)}
        for k, (i, box) in enumerate(boxes)
    ]
    categories = [{"id": 1, "name": "hole"}]
    path.write_text(json.dumps({"images": images, "annotations": drawn, "categories": categories}))


def spec_of(task, test):
    detects = task == "detection"
    model = {
        "path": "m.onnx", "task": task, "input": {"size": (8, 8)},
        "classes": ("hole",) if detects else ("path", "hole"),
        "output": "yolov8" if detects else "semantic",
    }  # fmt: skip
    data = {"test": {"manifest": "m.csv"} | test, "columns": {"image": "file"}}
    data |= {"unannotated": "empty"} if detects else {}
    return AuditSpec.model_validate({"audit": {"title": "t"}, "model": model, "data": data})


def read(folder, spec):
    (folder / "m.csv").write_text("\n".join(["file", *(f"{i}.png" for i in range(N))]) + "\n")
    for i in range(N):
        Image.new("RGB", (20, 10)).save(folder / f"{i}.png")
    task = AnnotatedTask(spec.model, spec.model.classes, folder)
    return with_annotators(read_annotated(spec.data, task), spec.data, task)["test"]


def test_boxes_of_annotators_are_known_of_the_images_that_their_files_list(tmp_path):
    box = (2, 2, 5, 5)
    coco(tmp_path / "all.json", listed=range(N), boxes=[(i, box) for i in range(N)])
    coco(tmp_path / "ida.json", listed=[0, 1, 2], boxes=[(0, box), (0, (8, 2, 4, 4)), (2, box)])
    coco(tmp_path / "gold.json", listed=[1], boxes=[(1, box)])
    found = read(tmp_path, spec_of("detection", {
        "annotations": "all.json", "annotations_by": {"ida": "ida.json"},
        "annotations_gold": "gold.json",
    }))  # fmt: skip
    ida, gold = found.dataset.drawn_by["ida"], found.dataset.drawn_gold
    # The second image was looked at and holds nothing; the last is not in the file.
    assert ida.known.tolist() == [True, True, True, False]
    assert ida.boxes.image.tolist() == [0, 0, 2]
    assert gold.known.tolist() == [False, True, False, False]
    turned = found.dataset.take(np.array([2, 0]))
    assert turned.drawn_by["ida"].boxes.image.tolist() == [0, 1, 1]
    assert turned.drawn_gold.known.tolist() == [False, False]


def maps(folder, name, *, size=(20, 10), images=range(N)):
    (folder / name).mkdir()
    for i in images:
        Image.fromarray(np.ones(size[::-1], dtype=np.uint8)).save(folder / name / f"{i}.png")


def test_maps_of_another_size_are_left_out_and_told(tmp_path):
    maps(tmp_path, "all")
    maps(tmp_path, "ida", images=[1, 2])
    Image.fromarray(np.ones((3, 3), dtype=np.uint8)).save(tmp_path / "ida" / "2.png")
    found = read(tmp_path, spec_of("segmentation", {
        "annotations": "all", "annotations_by": {"ida": "ida"},
    }))  # fmt: skip
    assert found.dataset.drawn_by["ida"].known.tolist() == [False, True, False, False]
    told = [r.sentence for r in found.report.results if not r.success]
    assert any("of annotations_by.ida; 1 fails it and is left out" in sentence for sentence in told)
    assert any("found 3 x 3 pixels" in sentence for sentence in told)


def test_maps_with_a_number_of_no_class_are_refused_before_any_work(tmp_path):
    maps(tmp_path, "all")
    maps(tmp_path, "ida")
    Image.fromarray(np.full((10, 20), 9, dtype=np.uint8)).save(tmp_path / "ida" / "2.png")
    spec = spec_of("segmentation", {"annotations": "all", "annotations_by": {"ida": "ida"}})
    with pytest.raises(DataError, match=r"annotations_by\.ida: 1 class maps hold numbers"):
        read(tmp_path, spec)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "data.test.annotations_by.ida: there is nothing called 'nowhere'"),
        ("empty", "nothing in 'empty' goes with an image of the test data by name"),
    ],
)
def test_a_folder_that_says_nothing_is_refused(tmp_path, place, said):
    maps(tmp_path, "all")
    (tmp_path / "empty").mkdir()
    spec = spec_of("segmentation", {"annotations": "all", "annotations_by": {"ida": place}})
    with pytest.raises(DataError, match=said):
        read(tmp_path, spec)


def test_two_annotators_do_not_share_a_place():
    twice = {"annotations": "all", "annotations_by": {"ida": "x"}, "annotations_gold": "x"}
    with pytest.raises(
        ValueError, match=r"annotations_by\.ida and annotations_gold are the same 'x'"
    ):
        spec_of("segmentation", twice)


def test_a_classifier_has_columns_of_ratings_instead():
    spec = AuditSpec.model_validate({
        "audit": {"title": "t"},
        "model": {"path": "m.onnx", "classes": ("a", "b"), "input": {"size": (8, 8)}},
        "data": {"test": {"manifest": "m.csv", "annotations_by": {"ida": "x"}}},
    })  # fmt: skip
    (problem,) = spec_problems(spec)
    assert problem.path == ("data", "test", "annotations_by", "ida")
    assert "name columns under data.columns.ratings or gold instead" in problem.text
