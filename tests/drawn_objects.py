"""Small files of annotations of three images, and what is made of them."""

import json
from types import MappingProxyType

from auditor.data.annotation_files.coco import read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotations import ImageHeader, Reading, annotated

IMAGES = ("a.jpg", "b.jpg", "c.jpg")
CLASSES = ("cat", "dog")
SIZE = (40, 30)


def coco(tmp_path, annotations, *, images=None, categories=None):
    images = images or [
        {"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(IMAGES)
    ]
    named = [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 9, "name": "cow"}]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations,
                                "categories": categories or named}))  # fmt: skip
    return read_coco(path)


def box(image=0, category=0, bbox=(2, 3, 10, 5), **further):
    return {"id": 1, "image_id": image, "category_id": category, "bbox": list(bbox), **further}


def fitted(drawn, *, class_map=MappingProxyType({}), boxes_in=None, unannotated="empty",
           headers=None):  # fmt: skip
    return annotated(
        drawn,
        image_ids=IMAGES,
        headers=headers or [ImageHeader(SIZE)] * 3,
        classes=CLASSES,
        reading=Reading(class_map, boxes_in, unannotated),
    )


def rules(found):
    return {f.rule: f.count for f in found.failings}


def voc(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.xml").write_text(text)
    return read_pascal_voc(tmp_path)
