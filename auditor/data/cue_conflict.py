"""Cue-conflict images: the shape of one class, the texture of another, and what may be answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.data.frames import to_frame
from auditor.data.image_files import ImageFiles
from auditor.data.image_paths import ImagePaths
from auditor.data.images import UnreadableImageError, decode
from auditor.data.rows import Rows, locate, missing_column, read_rows
from auditor.errors import DataError
from auditor.spec import AuditSpec, ColumnsSpec, DatasetSpec
from auditor.spec.cue_conflict_spec import CueConflictSpec

_DOGS = [i for i in range(152, 269) if i not in {192, 204, 227, 242, 251, 258, 260, 264}]
_BIRDS = [8, *range(10, 17), *range(18, 21), *range(22, 25), *range(80, 84), *range(87, 97),
          *range(98, 101), *range(127, 134), *range(135, 146)]  # fmt: skip

IMAGENET_16: Mapping[str, Sequence[int]] = {
    "airplane": [404], "bear": range(294, 298), "bicycle": [444, 671], "bird": _BIRDS,
    "boat": [472, 554, 625, 814, 914], "bottle": [440, 720, 737, 898, 899, 901, 907],
    "car": [436, 511, 817], "cat": range(281, 287), "chair": [423, 559, 765, 857],
    "clock": [409, 530, 892], "dog": _DOGS, "elephant": [385, 386], "keyboard": [508, 878],
    "knife": [499], "oven": [766], "truck": [555, 569, 656, 675, 717, 734, 864, 867],
}  # fmt: skip
"""Positions of ImageNet's 1,000 classes in each of the 16 categories of Geirhos et al. (2019)."""

_BATCH = 32


@dataclass(frozen=True)
class CueConflicts:
    """Images by row: ids, the categories of shape and texture, units or None, (n,) each.

    `categories` maps the name of each to the positions of its classes.
    """

    ids: NDArray[np.object_]
    shapes: NDArray[np.object_]
    textures: NDArray[np.object_]
    units: NDArray[np.object_] | None
    categories: Mapping[str, Sequence[int]]
    paths: ImagePaths

    def __len__(self) -> int:
        return len(self.ids)

    def frames(self, spec: AuditSpec) -> Iterator[NDArray[np.uint8]]:
        """Frames at the size of the model's input, some at a time, in order.

        Raises DataError where an image cannot be read.
        """
        files = ImageFiles()
        for start in range(0, len(self), _BATCH):
            some = slice(start, start + _BATCH)
            found = zip(self.ids[some], self.paths[some], strict=True)
            yield np.stack([_frame(spec, files, str(name), str(path)) for name, path in found])

    def answered(self, probabilities: np.ndarray) -> NDArray[np.object_]:
        """The category answered for each image, (n,), from probabilities (n, classes).

        The one whose classes have the largest mean probability; the first of equals.
        """
        means = [probabilities[:, list(at)].mean(axis=1) for at in self.categories.values()]
        names = np.array(list(self.categories), dtype=object)
        return np.asarray(names[np.argmax(np.stack(means, axis=1), axis=1)])


def read_cue_conflicts(spec: AuditSpec, classes: tuple[str, ...]) -> CueConflicts:
    """What `data.cue_conflict` names, for a model of `classes`.

    Images whose shape and texture are of one category are left out: no cues conflict there.
    Raises DataError where manifest, columns or images are absent, or a category is unknown.
    """
    given = spec.data.cue_conflict
    assert given is not None
    categories = _categories(given, classes)
    source = DatasetSpec(manifest=given.manifest, images=given.images)
    columns = given.columns
    rows = read_rows(
        "cue_conflict", source, folder=spec.folder,
        columns=ColumnsSpec(image=columns.image, label=None),
    )  # fmt: skip
    for column in filter(None, (columns.image, columns.shape, columns.texture, columns.unit)):
        if column not in rows.frame:
            raise missing_column("cue_conflict", rows, column, key="data.cue_conflict.columns")
    located = locate("cue_conflict", rows, column=columns.image)
    shapes, textures = (_named(rows, c, categories) for c in (columns.shape, columns.texture))
    keep = located.there & (shapes != textures)
    units = None if columns.unit is None else rows.frame[columns.unit].fillna("").to_numpy(object)
    return CueConflicts(
        ids=located.ids[keep],
        shapes=shapes[keep],
        textures=textures[keep],
        units=None if units is None else units[keep],
        categories=categories,
        paths=located.paths.take(keep),
    )


def _categories(given: CueConflictSpec, classes: tuple[str, ...]) -> Mapping[str, Sequence[int]]:
    if given.categories is None:
        return {name: [at] for at, name in enumerate(classes)}
    if given.categories == "imagenet-16":
        if len(classes) != 1000:
            raise DataError(
                f"data.cue_conflict.categories: imagenet-16 is of a model of the 1,000 ImageNet "
                f"classes; this one has {len(classes)}. Name your categories and their classes."
            )
        return IMAGENET_16
    assert isinstance(given.categories, dict)
    place = {name: at for at, name in enumerate(classes)}
    for category, members in given.categories.items():
        strange = [name for name in members if name not in place]
        if strange:
            raise DataError(
                f"data.cue_conflict.categories: {category!r} names the class {strange[0]!r}, which "
                "the model does not have. Name classes of `model.classes`."
            )
    return {c: [place[name] for name in members] for c, members in given.categories.items()}


def _named(rows: Rows, column: str, known: Mapping[str, object]) -> NDArray[np.object_]:
    found = rows.frame[column].fillna("").to_numpy(dtype=object)
    for number, name in zip(rows.numbers, found, strict=True):
        if name not in known:
            some = ", ".join(repr(k) for k in list(known)[:6])
            raise DataError(
                f"data.cue_conflict: row {number} of {rows.source!r} has {name!r} in the column "
                f"{column!r}, which is no category ({some}, ...). Correct it, or add the category "
                "under `data.cue_conflict.categories`."
            )
    return found


def _frame(spec: AuditSpec, files: ImageFiles, name: str, path: str) -> NDArray[np.uint8]:
    given = spec.model.input
    try:
        decoded = decode(
            files.read(path), max_pixels=spec.data.limits.max_pixels, white=given.range,
            dicom=spec.data.dicom,
        )  # fmt: skip
    except (UnreadableImageError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(
            f"data.cue_conflict: the image {name!r} cannot be read ({reason}). Replace it, or take "
            "its row out of the manifest."
        ) from error
    return to_frame(decoded.as_fed(given), given)
