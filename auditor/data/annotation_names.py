"""Which image an annotation means: by its whole name, or by the first shorter one that fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from auditor.data.drawn import Drawn
from auditor.errors import DataError


def places(drawn: Drawn, image_ids: Sequence[str]) -> Mapping[str, int]:
    """The place of each image that the file lists and that is there."""
    found = places_of(tuple(drawn.sizes), image_ids)
    if found:
        return found
    none = "; ".join(["no image", *drawn.unread[:1]])
    shown = ", ".join(repr(name) for name in list(drawn.sizes)[:3]) or none
    there = ", ".join(repr(name) for name in image_ids[:3])
    raise DataError(
        f"annotations {drawn.source!r}: none of the images that it names is there. Found {shown}; "
        f"the images are {there}. Correct `annotations` or the manifest"
    )


def places_of(listed: Sequence[str], image_ids: Sequence[str]) -> Mapping[str, int]:
    """The place of the image of each name that is `listed`, as far as there is one.

    By the whole name; where none fits so, by the first of `SHORTER_NAMES` by which one does.
    """
    keys: tuple[Callable[[str], str], ...] = (str, *SHORTER_NAMES)
    for key in keys:
        counts = Counter(map(key, image_ids))
        # Two images of one short name could not be told apart.
        at = {key(i): n for n, i in enumerate(image_ids) if counts[key(i)] == 1}
        named = Counter(map(key, listed))
        found = {n: at[key(n)] for n in listed if key(n) in at and named[key(n)] == 1}
        if found:
            return found
    return {}


def _without_ending(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _without_kind(name: str) -> str:
    """Without its ending and without folders that say what lies in them, as ``images``."""
    path = PurePosixPath(name).with_suffix("")
    kept = [part for part in path.parts[:-1] if part.lower() not in _KINDS]
    return "/".join([*kept, path.name])


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


IMAGE_FOLDERS = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "photos", "frames", "rgb", "leftimg8bit"}
)
DRAWN_FOLDERS = frozenset(
    {"annotations", "annotation", "labels", "label", "masks", "mask", "gt", "gtfine",
     "segmentation", "segmentationclass"}
)  # fmt: skip
"""What folders of images, and of annotations, are called in data sets, in lower case."""

_KINDS = IMAGE_FOLDERS | DRAWN_FOLDERS

SHORTER_NAMES: tuple[Callable[[str], str], ...] = (_without_ending, _without_kind, _stem)
"""By what a file goes with an image where names differ, as scene1/labels/7.txt for images."""
