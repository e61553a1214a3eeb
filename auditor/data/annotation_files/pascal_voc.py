"""Pascal VOC: a folder of XML files, one an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from auditor.data.drawn import Corners, Drawn, DrawnObject, number, text_of, whole_size
from auditor.errors import DataError

_OWN = frozenset({"name", "bndbox", "part", "polygon", "actions", "point"})
"""Children of an object that are no attributes of it."""


def read_pascal_voc(folder: Path, *, first_pixel: int = 1) -> Drawn:
    """The objects of a folder of XML files; an image has the name of its file, without ending.

    The name inside a file is often one that it had once, and is not used. VOC numbers pixels from
    1, and its box holds the pixels that it ends at; for files of programs that number from 0, pass
    `first_pixel` 0, and boxes are taken as continuous. A file without an object says that its
    image is empty. ``truncated``, ``difficult``, ``pose`` and what else an object has are its
    attributes.

    A file with a document type or an entity is refused (`unread`): it could read other files; so
    is one whose root is no ``annotation``. Names of namespaces are taken off.
    """
    objects: list[DrawnObject] = []
    sizes: dict[str, tuple[int, int] | None] = {}
    empty, doubtful, unread = set(), set(), []
    paths = sorted(folder.rglob("*.xml"))
    if not paths:
        raise DataError(
            f"annotations: the folder {folder.name!r} holds no .xml file, expected one an image; "
            "correct `annotations` in the audit spec"
        )
    for path in paths:
        image = path.relative_to(folder).with_suffix("").as_posix()
        try:
            root = _safe_root(text_of(path))
        except (DataError, ElementTree.ParseError, expat.ExpatError) as error:
            unread.append(f"{image}.xml: {error}")
            doubtful.add(image)
            sizes[image] = None
            continue
        found = list(_objects(root, image, first_pixel))
        unread += [f"{one.name} has no name of a class" for one in found if not one.label]
        sizes[image] = whole_size(root.findtext("size/width"), root.findtext("size/height"))
        objects += [one for one in found if one.label]
        if not found:
            empty.add(image)
    return Drawn(folder.name, tuple(objects), sizes, frozenset(empty), unread=tuple(unread),
                 doubtful=frozenset(doubtful))  # fmt: skip


def _safe_root(text: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError("it declares a document type, expected plain XML; write it without")
    root = ElementTree.fromstring(text)
    for node in root.iter():
        node.tag = str(node.tag).rpartition("}")[2]
    if root.tag != "annotation":
        raise DataError(f"its root is {root.tag!r}, expected 'annotation'; write it anew")
    return root


def _objects(root: ElementTree.Element, image: str, first_pixel: int) -> Iterator[DrawnObject]:
    for place, node in enumerate(root.iter("object")):
        attributes = {
            child.tag: (child.text or "").strip()
            for child in node
            if child.tag not in _OWN and not len(child)
        }
        yield DrawnObject(
            image=image,
            corners=_corners(node, first_pixel),
            label=(node.findtext("name") or "").strip(),
            name=f"{image}.xml, object {place + 1}",
            attributes=attributes,
        )


def _corners(node: ElementTree.Element, first_pixel: int) -> Corners:
    x0, y0, x1, y1 = (
        number(node.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return (x0 - first_pixel, y0 - first_pixel, x1, y1)
