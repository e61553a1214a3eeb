"""COCO's JSON: boxes, crowds, outlines as polygons or run lengths (https://cocodataset.org)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.data.drawn import Drawn, DrawnObject, json_of, number, numbers, whole_size
from auditor.errors import DataError

_OWN = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation",
                  "attributes", "keypoints", "num_keypoints"})  # fmt: skip
"""Keys of an annotation that are no attributes of the object."""


def read_coco(path: Path) -> Drawn:
    """The objects of a COCO file; ids may be any, 0 too.

    Keys of an annotation that COCO does not have (``occluded``), and what stands under its
    ``attributes``, are the object's attributes. Raises DataError where the file is none of COCO's.
    """
    content = json_of(path)
    images = {_id(i, "id"): i for i in _list(content, "images", path)}
    names = {_id(c, "id"): str(c.get("name")) for c in _list(content, "categories", path)}
    objects, unread = [], []
    for place, annotation in enumerate(_list(content, "annotations", path)):
        image = images.get(_id(annotation, "image_id"))
        named = f"annotation {annotation.get('id', f'at place {place}')}"
        if image is None:
            unread.append(f"{named} is of image {annotation.get('image_id')}, which is not listed")
        else:
            objects.append(_object(annotation, str(image.get("file_name")), names, named))
    sizes = {
        str(image.get("file_name")): whole_size(image.get("width"), image.get("height"))
        for image in images.values()
    }
    return Drawn(path.name, tuple(objects), sizes, unread=tuple(unread))


def _object(
    annotation: Mapping[str, Any], image: str, names: Mapping[str, str], named: str
) -> DrawnObject:
    x, y, width, height = numbers(annotation.get("bbox"), 4)
    category = _id(annotation, "category_id")
    area = number(annotation.get("area"))
    own = annotation.get("attributes")
    further = {k: v for k, v in annotation.items() if k not in _OWN}
    attributes = {**further, **(own if isinstance(own, Mapping) else {})}
    return DrawnObject(
        image=image,
        corners=(x, y, x + width, y + height),
        label=names.get(category, f"category {category}"),
        name=named,
        crowd=bool(annotation.get("iscrowd", 0)),
        area=area if area >= 0 else None,
        outline=annotation.get("segmentation") or None,
        attributes={str(k): "" if v is None else str(v) for k, v in attributes.items()
                    if not isinstance(v, list | dict)},
    )  # fmt: skip


def _id(entry: Mapping[str, Any], key: str) -> str:
    return str(entry.get(key))


def _list(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DataError(
            f"annotations: {path.name!r} has no list of {key!r}, expected COCO's JSON with images, "
            "annotations and categories; correct `annotations` in the audit spec"
        )
    return found
