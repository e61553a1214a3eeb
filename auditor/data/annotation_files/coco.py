"""COCO's JSON: boxes, crowds, outlines as polygons or run lengths (https://cocodataset.org)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.data.drawn import Drawn, DrawnObject, json_of, number, numbers, whole_size
from auditor.errors import DataError

_OWN = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation",
                  "attributes", "keypoints", "num_keypoints"})  # fmt: skip
"""Keys of an annotation that are no attributes of the object."""

_CROWD = {"0": False, "false": False, "0.0": False, "": False, "1": True, "true": True,
          "1.0": True}  # fmt: skip


def read_coco(path: Path) -> Drawn:
    """The objects of a COCO file; ids may be any, 0 too.

    Keys of an annotation that COCO does not have (``occluded``), and what stands under its
    ``attributes``, are the object's attributes. Raises DataError where the file is none of COCO's.
    """
    content = json_of(path)
    listed = _list(content, "images", path)
    unread = [f"image at place {place} has no id or no file_name"
              for place, image in enumerate(listed) if not _is_named(image)]  # fmt: skip
    listed = [image for image in listed if _is_named(image)]
    images = _by_id(listed)
    names = {i: _category(i, found) for i, found in
             _by_id(_list(content, "categories", path)).items()}  # fmt: skip
    objects = []
    for place, annotation in enumerate(_list(content, "annotations", path)):
        named = f"annotation {annotation.get('id', f'at place {place}')}"
        of = images.get(_id(annotation, "image_id"), ())
        fault = _fault(annotation, len(of))
        if fault:
            unread.append(f"{named} {fault}")
        else:
            objects.append(_object(annotation, image_name(of[0]), names, named))
    sizes = {image_name(i): whole_size(i.get("width"), i.get("height")) for i in listed}
    doubtful = {image_name(i) for several in images.values() if len(several) > 1 for i in several}
    times = Counter(map(image_name, listed))
    return Drawn(path.name, tuple(objects), sizes, unread=tuple(unread),
                 doubtful=frozenset(doubtful),
                 repeated=tuple(name for name, n in times.items() if n > 1))  # fmt: skip


def image_name(image: Mapping[str, Any]) -> str:
    """The file of an image as listed, with the separators of this system's paths."""
    return str(image.get("file_name")).replace("\\", "/")


def _is_named(image: Mapping[str, Any]) -> bool:
    return _id(image, "id") is not None and isinstance(image.get("file_name"), str)


def _fault(annotation: Mapping[str, Any], n_images: int) -> str | None:
    """Why an annotation cannot be taken, where `n_images` have the id that it names."""
    if n_images == 0:
        return f"is of image {annotation.get('image_id')}, which is not listed"
    if n_images > 1:
        return f"is of image {annotation.get('image_id')}, an id that {n_images} images have"
    if _crowd(annotation) is None:
        return f"has iscrowd {annotation.get('iscrowd')!r}, expected 0 or 1"
    return None


def _crowd(annotation: Mapping[str, Any]) -> bool | None:
    """Whether it is a box around many; None where what is written says neither."""
    stated = annotation.get("iscrowd")
    return _CROWD.get(str(0 if stated is None else stated).strip().lower())


def _category(number: str | None, found: Sequence[Mapping[str, Any]]) -> str:
    names = {str(one["name"]) for one in found if one.get("name") not in (None, "")}
    if len(names) > 1:
        return f"category {number}, which is {' and '.join(sorted(names))}"
    return names.pop() if names else f"category {number}"


def _object(
    annotation: Mapping[str, Any], image: str, names: Mapping[str | None, str], named: str
) -> DrawnObject:
    x, y, width, height = numbers(annotation.get("bbox"), 4)
    category = _id(annotation, "category_id")
    area = number(annotation.get("area"))
    own, outline = annotation.get("attributes"), annotation.get("segmentation") or None
    if isinstance(outline, list) and not isinstance(outline[0], list):
        outline = [outline]  # one polygon, without the list that it belongs in
    further = {k: v for k, v in annotation.items() if k not in _OWN}
    attributes = {**further, **(own if isinstance(own, Mapping) else {})}
    return DrawnObject(
        image=image,
        corners=(x, y, x + width, y + height),
        label=names.get(category, f"category {category}"),
        name=named,
        crowd=bool(_crowd(annotation)),
        area=None if math.isnan(area) else area,
        outline=outline,
        attributes={str(k): "" if v is None else str(v) for k, v in attributes.items()
                    if not isinstance(v, list | dict)},
    )  # fmt: skip


def _id(entry: Mapping[str, Any], key: str) -> str | None:
    """An id as text, None for none; tables write whole numbers as 5.0, too."""
    stated = entry.get(key)
    if isinstance(stated, float) and stated.is_integer():
        stated = int(stated)
    return None if stated is None else str(stated)


def _by_id(
    entries: Sequence[Mapping[str, Any]],
) -> Mapping[str | None, Sequence[Mapping[str, Any]]]:
    found: dict[str | None, list[Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault(_id(entry, "id"), []).append(entry)
    return found


def _list(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DataError(
            f"annotations: {path.name!r} has no list of {key!r}, expected COCO's JSON with images, "
            "annotations and categories; correct `annotations` in the audit spec"
        )
    return found
