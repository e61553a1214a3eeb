"""YOLO's text files: a folder, one file an image, one line an object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from auditor.data.drawn import Corners, Drawn, DrawnObject, number, text_of
from auditor.errors import DataError


def read_yolo(folder: Path, *, names: Sequence[str]) -> Drawn:
    """The objects of a folder of text files: ``class x y width height`` in fractions of the image.

    x and y are the box's centre. Lines of more numbers are outlines: ``class x y x y x y ...``.
    `names` are the classes by number; a number beyond them stays one. A file without a line says
    that its image is empty, one with a line that cannot be read that nothing is known of it.
    ``classes.txt`` and ``labels.txt`` are no images.
    """
    objects: list[DrawnObject] = []
    images, empty, doubtful, unread = [], set(), set(), []
    paths = [p for p in sorted(folder.rglob("*.txt")) if p.stem not in ("classes", "labels")]
    if not paths:
        raise DataError(
            f"annotations: the folder {folder.name!r} holds no .txt file, expected one an image; "
            "correct `annotations` in the audit spec"
        )
    for path in paths:
        image = path.relative_to(folder).with_suffix("").as_posix()
        images.append(image)
        try:
            text = text_of(path)
        except DataError as error:
            unread.append(f"{image}.txt: {error}")
            doubtful.add(image)
            continue
        lines = [(n, line.split()) for n, line in enumerate(text.splitlines(), start=1)]
        written = [(n, words) for n, words in lines if words]
        for line, words in written:
            named = f"{image}.txt, line {line}"
            found = None if "," in words[0] else _object(words, image, names, named)
            if found is not None:
                objects.append(found)
                continue
            # Something is there that nobody can say: what finds it would be a false alarm.
            doubtful.add(image)
            if "," in words[0]:
                unread.append(f"{named} is separated by commas, expected spaces")
            else:
                unread.append(f"{named} has {len(words)} entries, expected 5, or 7 and more")
        if not written:
            empty.add(image)
    return Drawn(folder.name, tuple(objects), dict.fromkeys(images), frozenset(empty),
                 fractions=True, unread=tuple(unread), doubtful=frozenset(doubtful))  # fmt: skip


def _object(
    words: Sequence[str], image: str, names: Sequence[str], named: str
) -> DrawnObject | None:
    values = [number(word) for word in words[1:]]
    outline = None
    if len(values) == 4:
        corners = _from_centre(*values)
    elif len(values) >= 6 and len(values) % 2 == 0:
        xs, ys = values[::2], values[1::2]
        corners = (min(xs), min(ys), max(xs), max(ys))
        outline = [values]
    else:
        return None
    return DrawnObject(image, corners, _label(words[0], names), named, outline=outline)


def _from_centre(x: float, y: float, width: float, height: float) -> Corners:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _label(word: str, names: Sequence[str]) -> str:
    index = number(word)
    if math.isfinite(index) and index == int(index) and 0 <= index < len(names):
        return names[int(index)]
    return f"class {word}"
