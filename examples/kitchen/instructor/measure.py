"""Measure the planted flaws and the sound things, beside the audit.

    python examples/kitchen/instructor/measure.py [--model FILE] [--write TRUTH]

Decodes with the project's heads and matches with its matching; groups, toggles, unit decisions and
intervals are plain NumPy here. Intervals are percentile bootstraps over dishes (2,000 draws).
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from auditor.data.annotation_files.coco import read_coco
from auditor.data.annotations import ImageHeader, Reading, annotated
from auditor.data.boxes import Boxes, Detections
from auditor.models.heads.registry import read_answers
from auditor.scoring.detection_errors import AnswerKind, Judged, OperatingPoint, judged
from auditor.scoring.matching import ranked
from auditor.spec import InputSpec
from auditor.spec.heads import YoloxHead

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # reads the line above

KITCHEN = Path(__file__).parent.parent
CLASSES = ("protein", "starch", "vegetable", "garnish")
GARNISH = CLASSES.index("garnish")
SHIPPED, MENDED = 0.8, 0.5
"""The suppression that the team ships, and a usual one."""
AT = OperatingPoint(confidence=0.3, iou=0.5)
INPUT = InputSpec(size=(144, 192), scale=255, mean=(0.5,), std=(0.25,))
LOGO_REGION = (126, 104, 144, 116)
"""Where the logo lies, x0, y0, x1, y1, when the plate is in the middle."""
SMALL_AREA = 32**2
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measured:
    """A number and its interval by dish."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, eq=False)
class Photos:
    """A split: the manifest's rows, pixels (n, 144, 192, 3), and the objects annotated."""

    rows: pd.DataFrame
    pixels: Pixels
    truth: Boxes

    @property
    def dish(self) -> npt.NDArray[np.object_]:
        return self.rows["dish"].to_numpy(object)

    def of_object(self, column: str) -> npt.NDArray[np.object_]:
        """A manifest column for each object."""
        return self.rows[column].to_numpy(object)[self.truth.image]

    def where(self, keep: npt.ArrayLike) -> Photos:
        """Only the photos under a mask."""
        mask = np.asarray(keep, dtype=bool)
        place = np.cumsum(mask) - 1
        kept = self.truth.take(mask[self.truth.image])
        return Photos(self.rows[mask].reset_index(drop=True), self.pixels[mask],
                      replace(kept, image=place[kept.image]))  # fmt: skip


def load(split: str) -> Photos:
    rows = pd.read_csv(KITCHEN / f"{split}.csv", keep_default_na=False, dtype=str)
    stack = [np.asarray(Image.open(KITCHEN / "images" / f)) for f in rows["file"]]
    found = annotated(
        read_coco(KITCHEN / f"{split}.json"),
        image_ids=list(rows["file"]),
        headers=[ImageHeader((p.shape[1], p.shape[0])) for p in stack],
        classes=CLASSES,
        reading=Reading({}, boxes_in="displayed", unannotated="empty"),
    )
    assert not found.failings, found.failings
    return Photos(rows, np.stack(stack), found.boxes)


def outputs(model: Path, pixels: Pixels) -> npt.NDArray[np.float32]:
    """What the network gives, (n, 540, 9)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    parts = []
    for start in range(0, len(pixels), 32):
        x = (pixels[start : start + 32].transpose(0, 3, 1, 2) / np.float32(255) - 0.5) / 0.25
        parts.append(session.run(None, {"photo": x.astype(np.float32)})[0])
    return np.concatenate(parts)


def answers(raw: npt.NDArray[np.float32], *, suppression: float) -> Detections:
    """The boxes of all photos, as the head ``yolox`` reads them."""
    head = YoloxHead(strides=(8, 16), suppression=suppression)
    found = read_answers({"answers": raw}, head, n_classes=len(CLASSES), size=(144, 192))
    image = np.repeat(np.arange(len(found)), [len(f) for f in found])
    boxes, scores, classes = (
        np.concatenate([getattr(f, name) for f in found]) for name in ("boxes", "scores", "classes")
    )
    return Detections(image, np.clip(boxes, 0, [192, 144, 192, 144]), classes, scores)


def said(model: Path, photos: Photos, *, suppression: float = SHIPPED) -> Judged:
    return judged(
        ranked(answers(outputs(model, photos.pixels), suppression=suppression)), photos.truth, at=AT
    )


def share(hit: npt.ArrayLike, dish: npt.ArrayLike, inside: npt.ArrayLike | None = None) -> Measured:
    """The share of hits; with `inside` that of the group minus the rest's."""
    rng = np.random.default_rng(0)
    codes, names = pd.factorize(np.asarray(dish))
    y = np.asarray(hit, dtype=float)
    member = np.ones(len(y), bool) if inside is None else np.asarray(inside, dtype=bool)

    def sums(mask: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return (
            np.bincount(codes, y * mask, len(names)),
            np.bincount(codes, mask.astype(float), len(names)),
        )

    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), 2000)
    weights = np.vstack([np.ones(len(names)), weights])
    (a, n), (b, m) = sums(member), sums(~member)
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = (weights @ a) / (weights @ n)
        if inside is not None:
            draws = draws - (weights @ b) / (weights @ m)
    low, high = np.nanquantile(draws[1:], [0.025, 0.975])
    return Measured(float(draws[0]), float(low), float(high))


def found(photos: Photos, result: Judged, keep: Mask | None = None) -> Measured:
    """Objects found, of all or of those under a mask."""
    mask = np.ones(len(photos.truth), bool) if keep is None else keep
    return share(result.found[mask], photos.dish[photos.truth.image[mask]])


def gap(photos: Photos, result: Judged, inside: Mask, among: Mask | None = None) -> Measured:
    """Objects found in a group, minus the rest of those `among`."""
    mask = np.ones(len(photos.truth), bool) if among is None else among
    return share(result.found[mask], photos.dish[photos.truth.image[mask]], inside[mask])


def decided(photos: Photos, result: Judged) -> pd.DataFrame:
    """Go where all four components are said in most shots (half is not most); a row a dish."""
    called = np.zeros((len(photos.rows), len(CLASSES)), bool)
    called[result.answers.image, result.answers.classes] = True
    table = photos.rows.assign(go=called.all(1).astype(float))
    of_dish = table.groupby("dish").agg(go=("go", "mean"), expo=("expo", "first"),
                                        plate=("plate", "first"), logo=("logo", "first"),
                                        kitchen=("kitchen", "first")).reset_index()  # fmt: skip
    of_dish["go"] = of_dish["go"] > 0.5
    of_dish["right"] = of_dish["go"] == (of_dish["expo"] == "go")
    return of_dish


def false_garnish(photos: Photos, result: Judged) -> Mask:
    """Photos in which a garnish is said upon the logo's place and none is there."""
    given = result.answers
    wrong = (given.classes == GARNISH) & (result.kinds != AnswerKind.RIGHT)
    wrong &= result.kinds != AnswerKind.DUPLICATE
    middle = (given.corners[:, :2] + given.corners[:, 2:]) / 2
    x0, y0, x1, y1 = LOGO_REGION
    at = (middle > [x0 - 12, y0 - 10]).all(1) & (middle < [x1 + 8, y1 + 8]).all(1)
    flagged = np.zeros(len(photos.rows), bool)
    flagged[given.image[wrong & at]] = True
    return flagged


def with_logo(pixels: Pixels) -> Pixels:
    """The photos with the logo pasted where it lies on plates that have it."""
    x0, y0, x1, y1 = LOGO_REGION
    logo = Image.open(KITCHEN / "logo.png").resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS)
    paint = np.asarray(logo, dtype=float)
    opaque = paint[..., 3:] / 255
    changed = pixels.copy()
    window = changed[:, y0:y1, x0:x1]
    changed[:, y0:y1, x0:x1] = np.round(window * (1 - opaque) + paint[..., :3] * opaque)
    return changed


def without_garnish(photos: Photos) -> Mask:
    empty = np.ones(len(photos.rows), bool)
    empty[photos.truth.image[photos.truth.classes == GARNISH]] = False
    return empty


Lines = dict[str, Measured | float]


def claims(photos: Photos, result: Judged) -> Lines:
    lines: Lines = {"objects found, as shipped": found(photos, result)}
    dishes = decided(photos, result)
    lines["dishes decided rightly"] = share(dishes["right"], dishes["dish"])
    for name in CLASSES:
        mine = photos.truth.classes == CLASSES.index(name)
        lines[f"found: {name}"] = found(photos, result, mine)
    return lines


def dark_plates(photos: Photos, result: Judged) -> Lines:
    dark = photos.of_object("plate") == "dark"
    garnish = photos.truth.classes == GARNISH
    dishes = decided(photos, result)
    good = dishes[dishes["expo"] == "go"]
    return {
        "1 dark plates: garnish found": found(photos, result, garnish & dark),
        "1 other plates: garnish found": found(photos, result, garnish & ~dark),
        "1 dark minus other plates, garnish": gap(photos, result, dark, garnish),
        "1 dark minus other plates, other components": gap(photos, result, dark, ~garnish),
        "1 dark plates: right dishes sent back": share(~good["go"][good["plate"] == "dark"],
                                                good["dish"][good["plate"] == "dark"]),
        "1 other plates: right dishes sent back": share(~good["go"][good["plate"] != "dark"],
                           good["dish"][good["plate"] != "dark"]),
    }  # fmt: skip


def lamp(there: Photos, result: Judged) -> Lines:
    kitchen = there.of_object("kitchen")
    return {
        "2 harbour: objects found": found(there, result, kitchen == "harbour"),
        "2 other kitchens of deployment: objects found": found(there, result, kitchen != "harbour"),
        "2 harbour minus the others": gap(there, result, kitchen == "harbour"),
        "sound: mill (new, same lamp) minus north and south": gap(
            there, result, kitchen == "mill", kitchen != "harbour"
        ),
    }


def logo(model: Path, photos: Photos, result: Judged) -> Lines:
    bare = without_garnish(photos)
    branded = photos.rows["logo"].to_numpy() == "yes"
    before = photos.where(bare & ~branded)
    after = replace(before, pixels=with_logo(before.pixels))
    flagged = false_garnish(photos, result)
    pasted = false_garnish(after, said(model, after))
    plain = false_garnish(before, said(model, before))
    dark = before.rows["plate"].to_numpy() == "dark"
    return {
        "3 logo, no garnish: garnish said upon it": share(
            flagged[bare & branded], photos.dish[bare & branded]
        ),
        "3 no logo, no garnish: garnish said there": share(
            flagged[bare & ~branded], photos.dish[bare & ~branded]
        ),
        "3 the same with the logo pasted in": share(pasted, before.dish),
        "3 the same, light plates alone": share(pasted[~dark], before.dish[~dark]),
        "3 with the logo pasted in, minus without": share(
            np.concatenate([pasted, plain]), np.tile(before.dish, 2),
            np.repeat([True, False], len(pasted)),
        ),
    }  # fmt: skip


def duplicates(model: Path, photos: Photos, result: Judged) -> Lines:
    mended = said(model, photos, suppression=MENDED)
    lines: Lines = {}
    for name, each in (("4 duplicates among answers, as shipped", result),
                       ("4 duplicates among answers, suppressed at 0.5", mended)):  # fmt: skip
        twice = each.kinds == AnswerKind.DUPLICATE
        lines[name] = share(twice, photos.dish[each.answers.image])
    lines["4 objects found, suppressed at 0.5"] = found(photos, mended)
    right = mended.kinds == AnswerKind.RIGHT
    lines["4 answers that are right, suppressed at 0.5"] = share(
        right, photos.dish[mended.answers.image]
    )
    return lines


def compression(int8: Path, photos: Photos, result: Judged) -> Lines:
    small = photos.truth.areas < SMALL_AREA
    coarse = said(int8, photos)
    lost = result.found.astype(float) - coarse.found
    dish = photos.dish[photos.truth.image]
    return {
        "5 INT8: of all objects, lost": share(lost, dish),
        "5 INT8: of small objects, lost": share(lost[small], dish[small]),
        "5 INT8: of other objects, lost": share(lost[~small], dish[~small]),
        "5 small objects found, float": found(photos, result, small),
        "5 INT8: small objects found": found(photos, coarse, small),
    }


def sound(photos: Photos, result: Judged) -> Lines:
    lines: Lines = {}
    among = photos.of_object("plate") != "dark"
    for column, groups in (
        ("kitchen", ["south"]), ("cook", ["ana", "bo", "chi", "dev"]), ("service", ["dinner"]),
        ("portion", ["small"]), ("plate", ["stone"]),
    ):  # fmt: skip
        for name in groups:
            inside = photos.of_object(column) == name
            where = among if column == "plate" else None
            lines[f"sound: {column} {name} minus the rest"] = gap(photos, result, inside, where)
    return lines


def milliseconds(model: Path, photos: Photos) -> float:
    """Median of one photo through network and decoding, one thread."""
    taken = []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for k in range(60):
        began = time.perf_counter()
        x = (photos.pixels[k : k + 1].transpose(0, 3, 1, 2) / np.float32(255) - 0.5) / 0.25
        answers(session.run(None, {"photo": x.astype(np.float32)})[0], suppression=SHIPPED)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken[10:]) * 1000)


def measure(model: Path) -> Lines:
    """All of it but the time it takes: names as in ANSWERS.md."""
    test, there = load("test"), load("deployment")
    result = said(model, test)
    lines = claims(test, result)
    lines |= dark_plates(test, result)
    lines |= lamp(there, said(model, there))
    lines |= logo(model, test, result)
    lines |= duplicates(model, test, result)
    lines |= compression(KITCHEN / "model-int8.onnx", test, result)
    return lines | sound(test, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=KITCHEN / "model.onnx")
    parser.add_argument("--write", type=Path, help="a truth.yaml whose numbers to write anew")
    arguments = parser.parse_args()
    lines = measure(arguments.model)
    lines["sound: median of one photo, one thread, ms"] = milliseconds(
        arguments.model, load("test")
    )
    print("| | measured |\n|---|---|")
    for name, number in lines.items():
        shown = f"{number:.1f}" if isinstance(number, float) else str(number)
        print(f"| {name} | {shown} |")
    if arguments.write:
        write(arguments.write, lines)


def write(path: Path, lines: Lines) -> None:
    """Replace the last part of truth.yaml, its numbers; what is above was written by hand."""
    above = path.read_text().split("\nmeasured:\n")[0]
    rows = [
        f'  "{name}": {number:.1f}'
        if isinstance(number, float)
        else f'  "{name}": {{value: {number.value:.3f}, low: {number.low:.3f}, '
        f"high: {number.high:.3f}}}"
        for name, number in lines.items()
    ]
    path.write_text(above + "\nmeasured:\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
