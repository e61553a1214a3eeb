"""Groups of objects: cut at quantiles of the test data, and told where there are fewer."""

from __future__ import annotations

import json

from PIL import Image

from auditor.data.annotate import AnnotatedTask, read_annotated
from auditor.spec import AuditSpec

SIDES = [4, 4, 4, 4, 5, 8]


def read(folder):
    images, drawn = [], []
    for i, side in enumerate(SIDES):
        Image.new("RGB", (20, 10)).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 20, "height": 10})
        drawn.append({"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, side, 2]})
    said = {"images": images, "annotations": drawn, "categories": [{"id": 1, "name": "hole"}]}
    (folder / "all.json").write_text(json.dumps(said))
    (folder / "m.csv").write_text("\n".join(["file", *(i["file_name"] for i in images)]))
    model = {"path": "m.onnx", "task": "detection", "input": {"size": (8, 8)},
             "classes": ("hole",), "output": "yolov8"}  # fmt: skip
    split = {"manifest": "m.csv", "annotations": "all.json"}
    wide = {"role": "condition", "of": "object", "column": "area", "quantiles": 4}
    data = {"test": split, "deployment": split, "columns": {"image": "file"},
            "attributes": {"area": wide}, "unannotated": "empty"}  # fmt: skip
    spec = AuditSpec.model_validate({"audit": {"title": "t"}, "model": model, "data": data})
    return read_annotated(spec.data, AnnotatedTask(spec.model, spec.model.classes, folder))


def test_groups_of_objects_that_ties_join_are_told(tmp_path):
    found = read(tmp_path)
    (attribute,) = found["test"].dataset.object_attributes
    assert attribute.groups == ("q1-2of4", "q3-4of4")
    (note,) = found["test"].report.notes
    assert note.startswith("Attribute area: 4 quantile groups were asked for and 2 stand")
    assert found["deployment"].dataset.object_attributes == (attribute,)
    assert found["deployment"].report.notes == ()
