"""What is annotated in the images of a split, beside one label an image: boxes, or class maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from auditor.data.annotations import ImageHeader
from auditor.data.boxes import Boxes
from auditor.data.class_maps import PixelClasses, read_class_map
from auditor.data.image_files import ImageFiles


class Truth(Protocol):
    """Annotations of images, in their order."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images are annotated, (n,)."""
        ...

    def take(self, positions: np.ndarray) -> Self:
        """Those of the images at `positions`, in that order, none of them twice."""
        ...

    def key(self) -> list[Any]:
        """What scores depend on, as JSON has it."""
        ...


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

    def key(self) -> list[Any]:
        boxes = self.boxes
        masks = [] if boxes.masks is None else [mask.ends.tolist() for mask in boxes.masks]
        columns = (boxes.image, boxes.corners, boxes.classes, boxes.crowd, boxes.areas, self.known)
        return [*(column.tolist() for column in columns), masks]


@dataclass(frozen=True, eq=False)
class MapTruth:
    """The file of each image's class map, "" for none, read when it is asked for."""

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

    def key(self) -> list[Any]:
        digests = [ImageFiles().digest(file) if file else "" for file in self.files]
        return [digests, sorted(self.meaning.index_of.items()), self.drawn_on]

    def maps(self) -> Iterator[NDArray[np.int16] | None]:
        """The classes of every pixel of each image; None of one without a map.

        Raises DataError where a file is not what `read_class_map` asks for.
        """
        for file, header in zip(self.files, self.headers, strict=True):
            if not file or header is None:
                yield None
            else:
                yield read_class_map(
                    Path(file), self.meaning, header=header, drawn_on=self.drawn_on
                )
