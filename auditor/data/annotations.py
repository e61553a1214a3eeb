"""Annotations beside the images and classes of an audit: what fits, and what does not and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from auditor.data.annotation_names import places
from auditor.data.boxes import Boxes
from auditor.data.drawn import Drawn, DrawnObject
from auditor.data.geometry import Affine, sampled, upright_affine
from auditor.data.masks import Mask
from auditor.errors import DataError

MAX_LISTED = 12
"""Names that a failing lists at most."""

_IMAGE_THERE = "its image is there"
_IN_NUMBERS = "its corners are numbers"

_OVERHANG = 1.0
"""Pixels by which a box may reach beyond its image without a word: coordinates were rounded."""


@dataclass(frozen=True)
class ImageHeader:
    """An image as stored: (width, height) in pixels, and its EXIF orientation (1 to 8)."""

    size: tuple[int, int]
    orientation: int = 1

    @property
    def to_displayed(self) -> Affine:
        return upright_affine(self.orientation, width=self.size[0], height=self.size[1])

    @property
    def displayed(self) -> tuple[int, int]:
        return self.size if self.orientation < 5 else (self.size[1], self.size[0])


@dataclass(frozen=True)
class Failing:
    """What of the annotations does not hold: a sentence's rule, how often, and names of some.

    `left_out` says that these are not used; else they are used as they are. `of_images` says that
    the names are of images and what is in them, not of classes.
    """

    rule: str
    count: int
    examples: tuple[str, ...]
    left_out: bool = True
    of_images: bool = True


@dataclass(frozen=True)
class Annotated:
    """The objects of a split's images, and which images are annotated at all.

    `known` (n,) bool is False for images of which nothing is said; `turned` counts images with an
    orientation. `unmapped` counts objects of classes that the model does not have, by name.
    """

    boxes: Boxes
    known: np.ndarray
    failings: tuple[Failing, ...]
    unmapped: Mapping[str, int]
    turned: int


@dataclass(frozen=True)
class Reading:
    """How annotations are to be read, as the audit spec says.

    `class_map` maps a name in the data to the model's, None to leave it out; names that it does
    not hold stay as they are. `boxes_in` says on which pixels boxes were drawn, `unannotated`
    what an image without annotation is; None where the spec is silent, which is refused where it
    matters.
    """

    class_map: Mapping[str, str | None]
    boxes_in: Literal["displayed", "stored"] | None = None
    unannotated: Literal["empty", "unlabelled"] | None = None


def annotated(
    drawn: Drawn,
    *,
    image_ids: Sequence[str],
    headers: Sequence[ImageHeader],
    classes: Sequence[str],
    reading: Reading,
) -> Annotated:
    """The objects drawn in the images `image_ids`, of the model's `classes`.

    Left out and listed: objects of images that are not there, of no known class, with corners that
    are no numbers, without width or height, or wholly outside their image; masks of another size;
    all objects of images whose stated size is another; stated areas that their boxes cannot have.
    Boxes that reach beyond their image by more than a pixel, and objects drawn twice, are listed
    and used.

    Raises DataError where nothing fits (no image, no class, no object), where images are turned
    and `boxes_in` is silent, and where images have no annotation and `unannotated` is.
    """
    turned = sum(header.orientation != 1 for header in headers)
    if turned and reading.boxes_in is None:
        raise DataError(
            f"annotations {drawn.source!r}: {turned} images are stored turned (EXIF orientation), "
            "and it is not said on which pixels boxes were drawn; write `boxes_in: displayed` or "
            "`boxes_in: stored` in the audit spec"
        )
    place_of = places(drawn, image_ids)
    sorting = _Sorting(drawn, headers, place_of, classes, reading)
    kept = [found for drawn_object in drawn.objects if (found := sorting.fitted(drawn_object))]
    sorting.require_classes()
    sorting.require_objects(len(kept))
    boxes = _boxes(kept)
    known = _known(drawn, place_of, boxes, sorting, n=len(image_ids), reading=reading)
    return Annotated(boxes, known, sorting.failings(boxes), dict(sorting.unmapped), turned)


@dataclass(frozen=True)
class _Fitted:
    drawn: DrawnObject
    place: int
    corners: np.ndarray
    label: int
    mask: Mask | None


class _MisfitError(Exception):
    """An object that is left out: the `rule` that it breaks, and what was `found` beside it."""

    def __init__(self, rule: str, found: str = "") -> None:
        super().__init__(rule)
        self.rule = rule
        self.found = found


class _Sorting:
    """Takes objects one by one, and keeps account of those that do not fit."""

    def __init__(
        self, drawn: Drawn, headers: Sequence[ImageHeader], place_of: Mapping[str, int],
        classes: Sequence[str], reading: Reading,
    ) -> None:  # fmt: skip
        self.drawn, self.headers, self.place_of, self.reading = drawn, headers, place_of, reading
        self.index_of = {name: index for index, name in enumerate(classes)}
        self.stored = reading.boxes_in == "stored"
        self.unmapped: Counter[str] = Counter()
        self.faults: dict[str, list[str]] = {}
        self.areas: list[str] = []
        # Images in which something is, and nobody can say where: what finds it is no false alarm.
        self.anywhere: set[int] = set()
        self.mistaken = {
            name: place for name, place in place_of.items() if self._other_size(name, place)
        }

    def fitted(self, one: DrawnObject) -> _Fitted | None:
        """The object among the audit's images and classes; None where it was told why not."""
        try:
            return self._fit(one)
        except _MisfitError as misfit:
            self.faults.setdefault(misfit.rule, []).append(f"{one.name}{misfit.found}")
            return None

    def _fit(self, one: DrawnObject) -> _Fitted | None:
        place = self.place_of.get(one.image)
        if place is None:
            raise _MisfitError(_IMAGE_THERE)
        label = self._label(one.label)
        if label is None or one.image in self.mistaken:
            return None
        corners = self._corners(one, place)
        rule = self._broken_rule(corners, self.headers[place].displayed)
        if rule == _IN_NUMBERS:
            self.anywhere.add(place)
        if rule is not None:
            raise _MisfitError(rule)
        try:
            mask = self._mask(one, place)
        except DataError as error:
            raise _MisfitError("its outline can be read", f": {error}") from error
        except (TypeError, ValueError) as error:
            found = ": it is neither a list of polygons x, y, x, y, ... nor run lengths"
            raise _MisfitError("its outline can be read", found) from error
        if one.area is not None and not _fits_box(one.area, corners):
            self.areas.append(one.name)
        return _Fitted(one, place, corners, label, mask)

    def _other_size(self, name: str, place: int) -> bool:
        stated, header = self.drawn.sizes[name], self.headers[place]
        allowed = header.size if self.stored else header.displayed
        return stated is not None and stated != allowed

    def _label(self, name: str) -> int | None:
        wanted = self.reading.class_map.get(name, name)
        index = None if wanted is None else self.index_of.get(wanted)
        if index is None:
            self.unmapped[name] += 1
        return index

    def _corners(self, one: DrawnObject, place: int) -> np.ndarray:
        header = self.headers[place]
        corners = np.array([one.corners])
        if self.drawn.fractions:
            width, height = header.size if self.stored else header.displayed
            corners = corners * (width, height, width, height)
        return np.asarray((header.to_displayed.boxes(corners) if self.stored else corners)[0])

    def _broken_rule(self, corners: np.ndarray, size: tuple[int, int]) -> str | None:
        x0, y0, x1, y1 = corners.tolist()
        if not all(map(math.isfinite, (x0, y0, x1, y1))):
            return _IN_NUMBERS
        if x1 <= x0 or y1 <= y0:
            return "it has a width and a height above 0"
        if not math.isfinite((x1 - x0) * (y1 - y0)):
            return "its area is a number"
        if x1 <= 0 or y1 <= 0 or x0 >= size[0] or y0 >= size[1]:
            return "it lies in its image"
        return None

    def _mask(self, one: DrawnObject, place: int) -> Mask | None:
        header = self.headers[place]
        width, height = header.size if self.stored else header.displayed
        if one.outline is None:
            return None
        if isinstance(one.outline, Mapping):
            stated = tuple(one.outline.get("size") or ())
            if stated != (height, width):
                raise DataError(f"it is of size {stated}, its image of {(height, width)}")
            mask = Mask.of_counts(one.outline.get("counts", ()), (height, width))
        else:
            scale = (width, height) if self.drawn.fractions else (1, 1)
            scaled = [(np.reshape(p, (-1, 2)) * scale).ravel() for p in one.outline]
            mask = Mask.of_polygons([p.tolist() for p in scaled], (height, width))
        return _turned(mask, header) if self.stored else mask

    def require_classes(self) -> None:
        """Raise DataError where there are objects and none is of the model's classes."""
        if self.unmapped and sum(self.unmapped.values()) == len(self.drawn.objects):
            shown = ", ".join(repr(name) for name in list(self.unmapped)[:5])
            known = ", ".join(list(self.index_of)[:5])
            raise DataError(
                f"annotations {self.drawn.source!r}: no object is of a class of the model. Found "
                f"{shown}; the classes are {known}. Map them under `classes: {{map: ...}}`"
            )

    def require_objects(self, n: int) -> None:
        """Raise DataError where `n`, the objects that fit, is 0, and some were left out."""
        faults = {rule: names for rule, names in self.faults.items() if rule != _IMAGE_THERE}
        if n or not faults:
            return
        told = "; ".join(
            f"of {len(names)} it does not hold that {rule} ({names[0]})"
            for rule, names in faults.items()
        )
        raise DataError(
            f"annotations {self.drawn.source!r}: none of its {len(self.drawn.objects)} objects can "
            f"be used: {told}. Correct the file, or `annotations` in the audit spec"
        )

    def failings(self, boxes: Boxes) -> tuple[Failing, ...]:
        found = [_failing(f"of an object, {rule}", names) for rule, names in self.faults.items()]
        absent = [name for name in self.drawn.sizes if name not in self.place_of]
        found += [
            _failing("an annotation can be read", self.drawn.unread),
            _failing("an image has the size that is stated", self.mistaken),
            _failing("an image that is named is there", absent),
            _failing("a stated area is above 0 and fits its box", self.areas),
            _failing("an image is listed once", self.drawn.repeated, left_out=False),
            _failing("an object is drawn once", _repeated(boxes), left_out=False),
            _failing("a box ends within its image", boxes.names[_overhanging(boxes, self.headers)],
                     left_out=False),
        ]  # fmt: skip
        return tuple(failing for failing in found if failing.count)


def _failing(rule: str, names: Iterable[str], *, left_out: bool = True) -> Failing:
    listed = [str(name) for name in names]
    return Failing(rule, len(listed), tuple(listed[:MAX_LISTED]), left_out)


def _fits_box(area: float, corners: np.ndarray) -> bool:
    """Whether an object of that area, in pixels, can lie in its box; drawings are rounded."""
    width, height = corners[2:] - corners[:2]
    return bool(0 < area <= (width + 2) * (height + 2))


def _repeated(boxes: Boxes) -> np.ndarray:
    """Names of objects whose image has another of the same class with the same corners."""
    drawn = np.column_stack([boxes.image, boxes.classes, boxes.corners])
    first = np.zeros(len(drawn), dtype=bool)
    first[np.unique(drawn, axis=0, return_index=True)[1]] = True
    return np.asarray(boxes.names[~first])


def _overhanging(boxes: Boxes, headers: Sequence[ImageHeader]) -> np.ndarray:
    """Which boxes reach beyond their images, (b,) bool; these are used all the same."""
    sizes = np.array([header.displayed for header in headers]).reshape(-1, 2)[boxes.image]
    before, after = boxes.corners[:, :2] < -_OVERHANG, boxes.corners[:, 2:] > sizes + _OVERHANG
    return np.asarray((before | after).any(axis=1))


def _turned(mask: Mask, header: ImageHeader) -> Mask:
    size = header.displayed[::-1]
    return Mask.of_pixels(
        sampled(mask.pixels, header.to_displayed.inverse, size=size, outside=False)
    )


def _boxes(kept: Sequence[_Fitted]) -> Boxes:
    attributes = sorted({name for one in kept for name in one.drawn.attributes})
    corners = np.array([one.corners for one in kept], dtype=np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    stated = np.array([
        math.nan if o.drawn.area is None or not _fits_box(o.drawn.area, o.corners) else o.drawn.area
        for o in kept
    ])  # fmt: skip
    masked = np.array([math.nan if o.mask is None else o.mask.area for o in kept])
    areas = np.where(
        np.isfinite(stated), stated, np.where(np.isfinite(masked), masked, sides.prod(1))
    )
    masks = tuple(one.mask for one in kept if one.mask is not None)
    return Boxes(
        image=np.array([one.place for one in kept], dtype=np.int64),
        corners=corners,
        classes=np.array([one.label for one in kept], dtype=np.int64),
        crowd=np.array([one.drawn.crowd for one in kept], dtype=bool),
        areas=areas,
        names=np.array([one.drawn.name for one in kept], dtype=object),
        attributes={
            name: np.array([one.drawn.attributes.get(name, "") for one in kept], dtype=object)
            for name in attributes
        },
        masks=masks if masks and len(masks) == len(kept) else None,
    )


def _known(
    drawn: Drawn, place_of: Mapping[str, int], boxes: Boxes, sorting: _Sorting,
    *, n: int, reading: Reading,
) -> np.ndarray:  # fmt: skip
    """Which images are annotated, (n,); those without a word are what the spec says they are."""
    said = np.zeros(n, dtype=bool)
    # An image whose objects were all left out is annotated, though nothing of it is used.
    said[[place_of[o.image] for o in drawn.objects if o.image in place_of]] = True
    said[[place_of[name] for name in drawn.empty if name in place_of]] = True
    silent = int((~said).sum())
    if silent and reading.unannotated is None:
        raise DataError(
            f"annotations {drawn.source!r}: {silent} of {n} images have no annotation, and it is "
            "not said whether they hold nothing or were not looked at; write `unannotated: empty` "
            "or `unannotated: unlabelled` in the audit spec"
        )
    known = said | (reading.unannotated == "empty")
    known[[*sorting.mistaken.values(), *sorting.anywhere]] = False
    known[[place_of[name] for name in drawn.doubtful if name in place_of]] = False
    return known
