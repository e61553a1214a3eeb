"""Which head a graph's outputs look like, for `auditor init` to write down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from auditor.findings import TensorFacts
from auditor.models.heads.boxes import Size
from auditor.spec import heads as specs

_STRIDES = (8, 16, 32)
_MANY = 1000
"""No detector that suppresses itself, and no set of queries, is longer."""

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
_TENSORFLOW = ("boxes", "classes", "scores", "count")
"""The order of TFLite's detection post-processing, whose outputs have no telling names."""


@dataclass(frozen=True)
class RecognisedHead:
    """A head that fits, the classes it would have (None: unknown), and what is only a guess."""

    head: specs.HeadSpec
    n_classes: int | None
    reason: str
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outputs:
    facts: tuple[TensorFacts, ...]
    size: Size
    n_classes: int | None

    @property
    def ranks(self) -> list[int]:
        return [len(each.shape) for each in self.facts]

    @property
    def names(self) -> list[str]:
        return [each.name.lower() for each in self.facts]

    def cells(self, strides: tuple[int, ...] = _STRIDES) -> int:
        rows, columns = self.size
        return sum(-(-rows // s) * -(-columns // s) for s in strides)


def recognise(
    outputs: Sequence[TensorFacts], *, size: Size, n_classes: int | None
) -> RecognisedHead | None:
    """The head that `outputs` look like at a frame of `size` (height, width); None: none does.

    `n_classes` from elsewhere (a list of classes, the metadata) settles what shapes leave
    open; what stays open is named in `guesses`.
    """
    seen = _Outputs(tuple(outputs), size, n_classes)
    found = (each for rule in _RULES for each in rule(seen))
    # A classifier's scores may have more axes; no head of fewer classes than one fits.
    return next((each for each in found if each.n_classes is None or each.n_classes >= 1), None)


Found = Iterator[RecognisedHead]


def _yunet(seen: _Outputs) -> Found:
    strides = [int(n[4:]) for n in seen.names if n.startswith("cls_") and n[4:].isdigit()]
    wanted = {f"{part}_{s}" for s in strides for part in ("cls", "obj", "bbox", "kps")}
    if strides and wanted <= set(seen.names):
        head = specs.YunetHead(strides=tuple(sorted(strides)))
        width = seen.facts[seen.names.index(f"cls_{strides[0]}")].shape[-1]
        yield RecognisedHead(head, width, "outputs cls, obj, bbox and kps at each stride")


def _torchvision(seen: _Outputs) -> Found:
    corners = [f for f in seen.facts if f.shape[-1:] == (4,) and len(f.shape) == 2]
    labels = [f for f in seen.facts if len(f.shape) == 1 and f.dtype == "tensor(int64)"]
    scores = [f for f in seen.facts if len(f.shape) == 1 and f.dtype in _FLOATS]
    masks = [f for f in seen.facts if len(f.shape) == 4 and f.shape[1] == 1]
    if not (len(corners) == len(labels) == len(scores) == 1) or len(seen.facts) > 3 + len(masks):
        return
    roles = {"boxes": corners[0].name, "labels": labels[0].name, "scores": scores[0].name}
    if len(masks) == 1:
        head: specs.HeadSpec = specs.MaskRcnnHead(tensors={**roles, "masks": masks[0].name})
    else:
        head = specs.TorchvisionHead(tensors=roles)
    yield RecognisedHead(
        head, None, "boxes, whole labels and scores of one image", ("first_class",)
    )


def _ssd(seen: _Outputs) -> Found:
    """Boxes (n, k, 4), classes and scores (n, k), and perhaps a count."""
    boxes = [f for f in seen.facts if len(f.shape) == 3 and f.shape[2] == 4]
    flat = [f for f in seen.facts if len(f.shape) == 2 and f.shape[1] != 1]
    if len(boxes) != 1 and not any("detection_boxes" in name for name in seen.names):
        return
    first_only = [f.shape[-1:] == (4,) for f in seen.facts] == [True, False, False, False]
    if first_only and not any("score" in name for name in seen.names):
        told = dict(zip(_TENSORFLOW, (f.name for f in seen.facts), strict=True))
        yield RecognisedHead(
            specs.SsdHead(tensors=told, first_class=0),
            seen.n_classes,
            "four outputs in the order of TFLite's post-processing",
            ("tensors", "first_class"),
        )
    if len(flat) >= 2 and all(any(w in n for n in seen.names) for w in ("box", "class", "score")):
        pixels = any("det_boxes" in name for name in seen.names)
        head = (
            specs.SsdHead(corners="xyxy", units="pixels", first_class=0)
            if pixels
            else specs.SsdHead()
        )
        guesses = ("corners", "units", "first_class")
        yield RecognisedHead(head, seen.n_classes, "boxes, classes and scores", guesses)


def _two(seen: _Outputs) -> Found:
    """Boxes beside a score a class, beside labels, or beside prototypes."""
    if len(seen.facts) != 2:
        return
    if sorted(seen.ranks) == [3, 4]:
        yield from _prototypes(seen)
    if sorted(seen.ranks) == [2, 3]:
        rows = seen.facts[seen.ranks.index(3)]
        labels = seen.facts[seen.ranks.index(2)]
        if rows.shape[2] == 5:
            told = {"dets": rows.name, "labels": labels.name}
            head = specs.EndToEndHead(tensors=told)
            yield RecognisedHead(head, seen.n_classes, "rows of corners and score beside labels")
    if seen.ranks == [3, 3]:
        yield from _scores_and_boxes(seen)


def _scores_and_boxes(seen: _Outputs) -> Found:
    corners = [f for f in seen.facts if f.shape[2] == 4]
    named = [f for f in corners if "box" in f.name.lower() or "loc" in f.name.lower()]
    if len(corners) == 2:
        corners = named
    if len(corners) != 1:
        return
    boxes = corners[0]
    scores = next(f for f in seen.facts if f is not boxes)
    width, n = scores.shape[2], boxes.shape[1]
    if "logit" in scores.name.lower() or (n is not None and n <= _MANY):
        sigmoid = width is not None and width == seen.n_classes
        head: specs.HeadSpec = specs.DetrHead(
            scores="sigmoid" if sigmoid else "softmax",
            tensors={"logits": scores.name, "boxes": boxes.name},
        )
        count = width if sigmoid or width is None else width - 1
        guesses = () if seen.n_classes is not None else ("scores",)
        yield RecognisedHead(head, count, "logits and boxes of a set of queries", guesses)
        return
    head = specs.SsdSoftmaxHead(tensors={"scores": scores.name, "boxes": boxes.name})
    count = None if width is None else width - 1
    yield RecognisedHead(head, count, "scores and boxes of every prior", ("background", "units"))


def _prototypes(seen: _Outputs) -> Found:
    rows, planes = (seen.facts[seen.ranks.index(rank)] for rank in (3, 4))
    k, (_, a, b) = planes.shape[1], rows.shape
    if k is None or a is None:
        return
    if b is None:
        head = specs.YoloSegHead(rows="yolov8")
        yield RecognisedHead(head, a - 4 - k, "boxes with coefficients, and prototypes")
    elif b == 6 + k and a <= _MANY:
        head = specs.YoloSegHead(rows="end-to-end")
        yield RecognisedHead(head, seen.n_classes, "detections with coefficients, and prototypes")
    elif a == 3 * seen.cells() or a > b:
        head = specs.YoloSegHead(rows="yolov5")
        yield RecognisedHead(head, b - 5 - k, "boxes with coefficients, and prototypes")
    else:
        head = specs.YoloSegHead(rows="yolov8")
        yield RecognisedHead(head, a - 4 - k, "boxes with coefficients, and prototypes")


def _one_of_three_axes(seen: _Outputs) -> Found:
    if len(seen.facts) != 1 or seen.ranks != [3] or seen.facts[0].dtype not in _FLOATS:
        return
    _, a, b = seen.facts[0].shape
    if b == 6 and (a is None or a <= _MANY):
        yield RecognisedHead(specs.EndToEndHead(), seen.n_classes, f"{a or 'some'} rows of six")
    elif a is not None and (b is None or a < b):
        yield RecognisedHead(specs.Yolov8Head(), a - 4, f"{a} numbers for each of {b} boxes")
    elif b is not None:
        yield from _rows(a, b, seen)


def _rows(a: int | None, b: int, seen: _Outputs) -> Found:
    told = f"{a} rows of {b} numbers"
    if a == seen.cells() and b - 4 == seen.n_classes:
        yield RecognisedHead(specs.Yolov8Head(transposed=True), b - 4, told)
    elif a == seen.cells():
        # Decoded or not cannot be seen; reading one as the other is refused with a sentence.
        yield RecognisedHead(specs.YoloxHead(), b - 5, f"{told}, one a cell", ("kind",))
    else:
        settled = a is not None and a == 3 * seen.cells()
        yield RecognisedHead(specs.Yolov5Head(), b - 5, told, () if settled else ("kind",))


def _planes(seen: _Outputs) -> Found:
    """A score a class, or the class itself, for each pixel or cell."""
    main = [f for f in seen.facts if "aux" not in f.name.lower()]
    if len(main) != 1 or len(main[0].shape) not in (3, 4):
        return
    only = main[0]
    if only.dtype not in _FLOATS:
        reason = "whole numbers for each pixel"
        yield RecognisedHead(specs.SemanticHead(values="classes"), seen.n_classes, reason)
    elif len(only.shape) == 4 and 1 not in only.shape[2:3]:
        yield from _score_planes(only.shape, seen)


def _score_planes(shape: tuple[int | None, ...], seen: _Outputs) -> Found:
    _, a, b, c = shape
    cell = tuple(-(-side // 16) for side in seen.size)
    nhwc = c is not None and (c == seen.n_classes or (a != seen.n_classes and _first(a, b, seen)))
    fast = (b, c) == cell and a is not None and a > 5 and seen.n_classes in (None, a - 5)
    if fast and a is not None:
        guesses = ("kind",) if seen.n_classes is None else ()
        reason = f"a grid of stride 16 with {a} numbers a cell"
        yield RecognisedHead(specs.FastestDetHead(), a - 5, reason, guesses)
        return
    channels = c if nhwc else a
    count = 2 if channels == 1 else channels
    head = specs.SemanticHead(layout="nhwc" if nhwc else "nchw")
    yield RecognisedHead(head, count, f"{channels} scores for each pixel")


def _first(a: int | None, b: int | None, seen: _Outputs) -> bool:
    """Whether the axes beside the images' look like rows and columns of the frame."""
    if a is None or b is None or b > seen.size[1]:
        return False
    return a * seen.size[1] == b * seen.size[0] and a > 1


_RULES: tuple[Callable[[_Outputs], Found], ...] = (
    _yunet,
    _torchvision,
    _ssd,
    _two,
    _one_of_three_axes,
    _planes,
)
