"""What is annotated in the images of a split, beside one label an image: boxes, or class maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from auditor.data.annotations import ImageHeader
from auditor.data.boxes import Boxes
from auditor.data.class_maps import VOID, PixelClasses, read_class_map
from auditor.data.geometry import Shown, sampled
from auditor.data.image_files import ImageFiles
from auditor.data.masks import Mask


class Truth(Protocol):
    """Annotations of images, in their order."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images are annotated, (n,)."""
        ...

    def take(self, positions: np.ndarray) -> Self:
        """Those of the images at `positions`, in that order, none of them twice."""
        ...

    def of_classes(self, images: NDArray[np.bool_], *, n_classes: int) -> NDArray[np.int64]:
        """What of each class `images` (n,) may hold, (classes,): objects, or class maps."""
        ...

    def key(self) -> list[Any]:
        """What scores depend on, as JSON has it."""
        ...

    def moved(self, shown: Sequence[Shown]) -> Truth:
        """As it lies in what is shown of each image, as far as it is seen there."""
        ...


LEAST_SEEN = 0.5
"""Share of an object that must be seen of it after a move for it to count."""


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """The objects in each image; `boxes.image` are the images' places."""

    boxes: Boxes
    known: NDArray[np.bool_]

    def take(self, positions: np.ndarray) -> BoxTruth:
        place = np.full(len(self.known), -1)
        place[positions] = np.arange(len(positions))
        moved = replace(self.boxes, image=place[self.boxes.image])
        order = np.argsort(moved.image, kind="stable")
        return BoxTruth(moved.take(order[moved.image[order] >= 0]), self.known[positions])

    def moved(self, shown: Sequence[Shown]) -> BoxTruth:
        """Boxes around the moved objects, cut where nothing is seen of them.

        Objects of which less than `LEAST_SEEN` is left count no more: they are made crowds, so
        that all others keep their places.
        """
        corners, left = self.boxes.corners.copy(), np.ones(len(self.boxes))
        masks = None if self.boxes.masks is None else list(self.boxes.masks)
        for image, one in enumerate(shown):
            for at in np.flatnonzero(self.boxes.image == image):
                if masks is None:
                    corners[at], left[at] = _moved_box(self.boxes.corners[at], one)
                else:
                    masks[at], left[at] = _moved_mask(masks[at], one)
                    corners[at] = masks[at].corners
        boxes = replace(
            self.boxes,
            corners=corners,
            crowd=self.boxes.crowd | (left < LEAST_SEEN),
            areas=self.boxes.areas * left,
            masks=None if masks is None else tuple(masks),
        )
        return replace(self, boxes=boxes)

    def of_classes(self, images: NDArray[np.bool_], *, n_classes: int) -> NDArray[np.int64]:
        """Objects in `images` (n,) of each class, (classes,)."""
        return np.bincount(self.boxes.classes[images[self.boxes.image]], minlength=n_classes)

    def key(self) -> list[Any]:
        boxes = self.boxes
        masks = [] if boxes.masks is None else [mask.ends.tolist() for mask in boxes.masks]
        columns = (boxes.image, boxes.corners, boxes.classes, boxes.crowd, boxes.areas, self.known)
        return [*(column.tolist() for column in columns), masks]


def _moved_box(corners: np.ndarray, shown: Shown) -> tuple[np.ndarray, float]:
    """A box where it is seen, and which share of its area is."""
    (there,) = shown.to.ellipses(corners[None])
    low, high = np.array(shown.within[:2]), np.array(shown.within[2:])
    seen = np.concatenate([np.clip(there[:2], low, high), np.clip(there[2:], low, high)])
    sides, whole = seen[2:] - seen[:2], there[2:] - there[:2]
    return seen, float(sides.prod() / max(whole.prod(), 1e-12))


def _moved_mask(mask: Mask, shown: Shown) -> tuple[Mask, float]:
    """A mask where it is seen, and which share of its pixels is."""
    found = Mask.of_pixels(_moved_pixels(mask.pixels, shown, outside=0))
    linear = shown.to.points(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    (a, b), (c, d) = linear[1] - linear[0], linear[2] - linear[0]
    return found, found.area / max(mask.area * abs(a * d - b * c), 1e-12)


def _moved_pixels(pixels: np.ndarray, shown: Shown, *, outside: int) -> np.ndarray:
    found = sampled(pixels, shown.to.inverse, size=shown.size, outside=outside)
    x0, y0, x1, y1 = shown.within
    rows, columns = (np.arange(side) + 0.5 for side in shown.size)
    found[(rows < y0) | (rows > y1)] = outside
    found[:, (columns < x0) | (columns > x1)] = outside
    return found


@dataclass(frozen=True, eq=False)
class MapTruth:
    """The file of each image's class map, "" for none, read when it is asked for.

    `files` are paths as `ImageFiles` reads them.
    """

    files: tuple[str, ...]
    headers: tuple[ImageHeader | None, ...]
    meaning: PixelClasses
    drawn_on: Literal["displayed", "stored"]

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.array([file != "" for file in self.files], dtype=bool)

    def take(self, positions: np.ndarray) -> MapTruth:
        at = positions.tolist()
        files, headers = tuple(self.files[i] for i in at), tuple(self.headers[i] for i in at)
        return replace(self, files=files, headers=headers)

    def of_classes(self, images: NDArray[np.bool_], *, n_classes: int) -> NDArray[np.int64]:
        """Maps of `images` (n,) for each class that has a number in them, 0 for others."""
        numbered = np.isin(np.arange(n_classes), list(self.meaning.index_of.values()))
        return numbered * int((images & self.known).sum())

    def key(self) -> list[Any]:
        digests = [ImageFiles().digest(file) if file else "" for file in self.files]
        return [digests, sorted(self.meaning.index_of.items()), self.drawn_on]

    def moved(self, shown: Sequence[Shown]) -> MovedMaps:
        return MovedMaps(self, tuple(shown))

    def maps(self) -> Iterator[NDArray[np.int16] | None]:
        """The classes of every pixel of each image; None of one without a map.

        Raises DataError where a file is not what `read_class_map` asks for.
        """
        for file, header in zip(self.files, self.headers, strict=True):
            if not file or header is None:
                yield None
            else:
                yield read_class_map(file, self.meaning, header=header, drawn_on=self.drawn_on)


@dataclass(frozen=True, eq=False)
class MovedMaps:
    """Class maps moved with their images; pixels that nothing is seen of do not count."""

    truth: MapTruth
    shown: tuple[Shown, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.truth.known

    def take(self, positions: np.ndarray) -> MovedMaps:
        shown = tuple(self.shown[i] for i in positions.tolist())
        return MovedMaps(self.truth.take(positions), shown)

    def of_classes(self, images: NDArray[np.bool_], *, n_classes: int) -> NDArray[np.int64]:
        return self.truth.of_classes(images, n_classes=n_classes)

    def key(self) -> list[Any]:
        return [self.truth.key(), [[vars(s.to), s.size, s.within] for s in self.shown]]

    def moved(self, shown: Sequence[Shown]) -> MovedMaps:
        """As `MapTruth.moved`; ValueError, since maps are moved once."""
        raise ValueError("class maps: found maps that are moved already, expected those as drawn")

    def maps(self) -> Iterator[NDArray[np.int16] | None]:
        for drawn, shown in zip(self.truth.maps(), self.shown, strict=True):
            yield None if drawn is None else _moved_pixels(drawn, shown, outside=VOID)
