"""Measure what was planted and what is sound, from the files as they are.

    python examples/street/measure.py [--model FILE] [--write]

The model's answers are decoded and scored as the audit decodes and scores them; intervals (95%) are
percentile bootstraps over stretches (500 draws) and not the audit's. Prints the tables of
instructor/ANSWERS.md; `--write` puts the numbers into instructor/truth.yaml.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from PIL import Image

from auditor.data.annotations import ImageHeader
from auditor.data.class_maps import PixelClasses, read_class_map
from auditor.models.heads import semantic
from auditor.scoring.pixels import iou, iou_of_class, pixel_confusion
from auditor.scoring.tasks.segmentation import LEAST_SHARE
from auditor.spec.heads import SemanticHead

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # reads the line above

STREET = Path(__file__).parent
CLASSES = ("path", "pothole", "crack", "debris")
PATH, POTHOLE, CRACK, DEBRIS = range(4)
SIZE = (144, 192)
MEANING = PixelClasses.of(dict(enumerate(CLASSES)), classes=CLASSES, class_map={}, void=(255,))
REPAIR_ABOVE = 0.01
"""A stretch is sent for repair above this share of pothole pixels, the mean of its frames."""
DRAWS = 500

Maps = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float64]
Statistic = Callable[[npt.NDArray[np.int64]], float]
"""Of confusion counts (images, classes, classes + 1), rows the true class."""


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Reading:
    """A manifest, its class maps and the model's, in the manifest's order."""

    rows: pd.DataFrame
    truth: Maps
    answers: Maps

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        pairs = zip(self.answers, self.truth, strict=True)
        return np.stack([pixel_confusion(a, t, n_classes=len(CLASSES)) for a, t in pairs])

    def where(self, mask: npt.ArrayLike) -> Reading:
        keep = np.asarray(mask, dtype=bool)
        rows = self.rows[keep].reset_index(drop=True)
        return Reading(rows, self.truth[keep], self.answers[keep])


def manifest(split: str) -> pd.DataFrame:
    return pd.read_csv(STREET / f"{split}.csv")


def class_maps(folder: Path, files: pd.Series) -> Maps:
    """As the audit reads them; void pixels are negative."""
    header = ImageHeader((SIZE[1], SIZE[0]))
    paths = [folder / Path(file).with_suffix(".png") for file in files]
    return np.stack([read_class_map(path, MEANING, header=header) for path in paths])


def answered(model: Path, split: str, files: pd.Series) -> Maps:
    """The model's class of every pixel."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    found: list[Maps] = []
    for start in range(0, len(files), 32):
        paths = [STREET / "images" / split / file for file in files[start : start + 32]]
        pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
        x = (pixels.transpose(0, 3, 1, 2) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
        raw = {"logits": session.run(None, {"frame": x})[0]}
        maps = semantic.read(raw, SemanticHead(), n_classes=len(CLASSES), size=SIZE)
        found += [each.classes for each in maps]
    return np.stack(found)


def reading(split: str, model: Path) -> Reading:
    rows = manifest(split)
    truth = class_maps(STREET / "masks" / split, rows["file"])
    return Reading(rows, truth, answered(model, split, rows["file"]))


def mean_iou(confusion: npt.NDArray[np.int64]) -> float:
    return iou(confusion).value


def class_iou(confusion: npt.NDArray[np.int64], label: int) -> float:
    return iou_of_class(confusion, label=label).value


def called(confusion: npt.NDArray[np.int64], true: int, said: int) -> float:
    """The share of the pixels of class `true` that are answered `said`."""
    whole = confusion.sum(axis=0)[true]
    return float(whole[said] / whole.sum()) if whole.sum() else float("nan")


def over_stretches(
    read: Reading, statistic: Statistic, *, group: npt.ArrayLike | None = None
) -> Interval:
    """A statistic of all frames, or of the group's less that of the rest."""
    codes, names = pd.factorize(read.rows["stretch"])
    member = np.ones(len(codes), bool) if group is None else np.asarray(group, dtype=bool)
    sides = [_by_stretch(read, codes, len(names), member)]
    if group is not None:
        sides.append(_by_stretch(read, codes, len(names), ~member))

    def at(weights: npt.NDArray[np.int64]) -> float:
        values = [statistic(np.tensordot(weights, side, axes=1)[None]) for side in sides]
        return values[0] - values[1] if group is not None else values[0]

    return bootstrap(at, len(names))


def _by_stretch(
    read: Reading, codes: npt.NDArray[np.int64], count: int, member: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    found = np.zeros((count, *read.confusion.shape[1:]), dtype=np.int64)
    np.add.at(found, codes[member], read.confusion[member])
    return found


def bootstrap(at: Callable[[npt.NDArray[np.int64]], float], count: int) -> Interval:
    """Of a number that `at` finds from how often each of `count` stretches was drawn."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
    values = np.array([at(weights) for weights in draws])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(at(np.ones(count, dtype=np.int64)), float(low), float(high))


@dataclass(frozen=True)
class Decisions:
    """One row a stretch: its attributes, whether it is due by the maps and sent by the model."""

    rows: pd.DataFrame
    due: npt.NDArray[np.bool_]
    sent: npt.NDArray[np.bool_]

    def rate(self, among: npt.ArrayLike) -> Interval:
        """The share that is sent, of the stretches in `among`."""
        sent = self.sent[np.asarray(among, dtype=bool)].astype(float)
        return bootstrap(lambda w: float((w * sent).sum() / w.sum()), len(sent))


def pothole_share(maps: Maps) -> Floats:
    """By image, of the pixels that count."""
    return (maps == POTHOLE).sum(axis=(1, 2)) / (maps >= 0).sum(axis=(1, 2))


def decisions(read: Reading) -> Decisions:
    table = read.rows.assign(
        due_share=pothole_share(read.truth),
        sent_share=pothole_share(np.where(read.truth < 0, read.truth, read.answers)),
        debris=(read.truth == DEBRIS).any(axis=(1, 2)),
    )
    first = {name: "first" for name in read.rows.columns if name not in ("file", "stretch")}
    how = {**first, "due_share": "mean", "sent_share": "mean", "debris": "any"}
    rows = table.groupby("stretch").agg(how).reset_index()
    due = (rows["due_share"] > REPAIR_ABOVE).to_numpy()
    return Decisions(rows, due, (rows["sent_share"] > REPAIR_ABOVE).to_numpy())


Figures = dict[str, Interval]


def claims(test: Reading) -> Figures:
    rows = test.rows
    best = test.where((rows["surface"] == "dry") & (rows["light"] == "day"))
    stretches, of_best = decisions(test), decisions(best)
    return {
        "claim/mean-iou-dry-day": over_stretches(best, mean_iou),
        "claim/mean-iou-as-given": over_stretches(test, mean_iou),
        "claim/repairs-found-dry-day": of_best.rate(of_best.due),
        "claim/repairs-found-as-given": stretches.rate(stretches.due),
        "claim/repairs-too-many-as-given": stretches.rate(~stretches.due),
        **{
            f"claim/iou-{name}": over_stretches(test, partial(class_iou, label=label))
            for label, name in enumerate(CLASSES)
        },
    }


def frames_called(read: Reading, label: int, *, shown: bool, among: npt.ArrayLike) -> Interval:
    """The share of frames on which the class is answered, where the map shows it or shows none."""
    least = LEAST_SHARE * (read.truth >= 0).sum(axis=(1, 2))
    true = (read.truth == label).sum(axis=(1, 2))
    said = ((read.answers == label) & (read.truth >= 0)).sum(axis=(1, 2)) >= least
    counted = np.asarray(among, dtype=bool) & (true >= least if shown else true == 0)
    codes, names = pd.factorize(read.rows["stretch"])
    hits = np.bincount(codes, said & counted, len(names))
    frames = np.bincount(codes, counted, len(names))
    return bootstrap(lambda w: float((w * hits).sum() / (w * frames).sum()), len(names))


def wet(test: Reading) -> Figures:
    """Potholes under water, by the pixels that are found and by the stretches that are."""
    group = test.rows["surface"] == "wet"
    pixels = partial(called, true=POTHOLE, said=POTHOLE)
    stretches = decisions(test)
    is_wet = (stretches.rows["surface"] == "wet").to_numpy()
    found = {
        "wet/pothole-pixels-found-wet": over_stretches(test.where(group), pixels),
        "wet/pothole-pixels-found-dry": over_stretches(test.where(~group), pixels),
        "wet/frames-found-wet": frames_called(test, POTHOLE, shown=True, among=group),
        "wet/frames-found-dry": frames_called(test, POTHOLE, shown=True, among=~group),
        "wet/repairs-found-wet": stretches.rate(stretches.due & is_wet),
        "wet/repairs-found-dry": stretches.rate(stretches.due & ~is_wet),
    }
    for label, name in enumerate(CLASSES):
        gap = over_stretches(test, partial(class_iou, label=label), group=group)
        found[f"wet/iou-gap-{name}"] = gap
    return found


def night(test: Reading) -> Figures:
    """Debris by lamp light, and what its confusion costs."""
    group = test.rows["light"] == "night"
    mistaken, as_crack, pixels = (
        partial(called, true=DEBRIS, said=label) for label in (POTHOLE, CRACK, DEBRIS)
    )
    stretches = decisions(test)
    dark = (stretches.rows["light"] == "night").to_numpy()
    idle = ~stretches.due & stretches.rows["debris"].to_numpy()
    found = {
        "night/debris-called-pothole-night": over_stretches(test.where(group), mistaken),
        "night/debris-called-pothole-day": over_stretches(test.where(~group), mistaken),
        "night/debris-called-crack-night": over_stretches(test.where(group), as_crack),
        "night/debris-called-crack-day": over_stretches(test.where(~group), as_crack),
        "night/debris-pixels-found-night": over_stretches(test.where(group), pixels),
        "night/debris-pixels-found-day": over_stretches(test.where(~group), pixels),
        "night/debris-frames-found-night": frames_called(test, DEBRIS, shown=True, among=group),
        "night/debris-frames-found-day": frames_called(test, DEBRIS, shown=True, among=~group),
        "night/false-pothole-frames-night": frames_called(test, POTHOLE, shown=False, among=group),
        "night/false-pothole-frames-day": frames_called(test, POTHOLE, shown=False, among=~group),
        "night/repairs-too-many-night": stretches.rate(idle & dark),
        "night/repairs-too-many-day": stretches.rate(idle & ~dark),
    }
    for label, name in enumerate(CLASSES):
        gap = over_stretches(test, partial(class_iou, label=label), group=group)
        found[f"night/iou-gap-{name}"] = gap
    return found


def annotators(test: Reading) -> Figures:
    """Both annotators against the survey, where both drew; and the model against each."""
    files = pd.Series(sorted(path.name for path in (STREET / "masks" / "survey").iterdir()))
    stretch = files.str.split("-").str[0]
    survey = class_maps(STREET / "masks" / "survey", files)
    found: Figures = {}
    for name in ("ida", "tom"):
        own = class_maps(STREET / "masks" / name, files)
        compared = Reading(pd.DataFrame({"stretch": stretch}), survey, own)
        found[f"annotator/area-factor-{name}"] = _area_factor(compared)
        for label in (POTHOLE, CRACK, DEBRIS):
            found[f"annotator/iou-with-survey-{name}-{CLASSES[label]}"] = over_stretches(
                _where_both_count(compared), partial(class_iou, label=label)
            )
    group = test.rows["annotator"] == "tom"
    found["annotator/model-mean-iou-gap-tom"] = over_stretches(test, mean_iou, group=group)
    good = (test.rows["surface"] == "dry") & (test.rows["light"] == "day")
    found["annotator/area-factor-model-dry-day"] = _area_factor(against_truth(test).where(good))
    return {**found, **_due_by_drawing(test)}


def _due_by_drawing(test: Reading) -> Figures:
    """Of the stretches that are not due by what is there, the share that is due as drawn."""
    drawn, there = decisions(test), decisions(against_truth(test))
    found: Figures = {}
    for name in ("ida", "tom"):
        own = (drawn.rows["annotator"] == name).to_numpy() & ~there.due
        as_drawn = Decisions(drawn.rows, there.due, drawn.due)
        found[f"annotator/due-only-as-drawn-{name}"] = as_drawn.rate(own)
    return found


def against_truth(test: Reading) -> Reading:
    """The test frames with what is there in place of what was drawn."""
    there = class_maps(STREET / "instructor" / "truth", test.rows["file"])
    return Reading(test.rows, there, test.answers)


def _where_both_count(compared: Reading) -> Reading:
    """The survey's void is not tom's: a pixel that he calls pothole is wrong or right, not void."""
    truth = np.where(compared.truth < 0, np.int16(PATH), compared.truth)
    answers = np.where(compared.answers < 0, np.int16(PATH), compared.answers)
    return Reading(compared.rows, truth, answers)


def _area_factor(compared: Reading) -> Interval:
    """Pixels that are called pothole, over those that are."""
    codes, names = pd.factorize(compared.rows["stretch"])
    drawn, true = (
        np.bincount(codes, (maps == POTHOLE).sum(axis=(1, 2)), len(names))
        for maps in (compared.answers, compared.truth)
    )
    return bootstrap(lambda w: float((w * drawn).sum() / (w * true).sum()), len(names))


def shift(deployment: Reading) -> Figures:
    stretches = decisions(deployment)
    return {
        "deployment/mean-iou": over_stretches(deployment, mean_iou),
        "deployment/repairs-found": stretches.rate(stretches.due),
        "deployment/repairs-too-many": stretches.rate(~stretches.due),
    }


def sound(test: Reading) -> Figures:
    """Groups that should be served alike, each against the rest; Tom's frames by what is there."""
    found: Figures = {}
    for attribute in ("district", "camera"):
        for value in sorted(test.rows[attribute].unique()):
            group = test.rows[attribute] == value
            found[f"sound/mean-iou-gap-{value}"] = over_stretches(test, mean_iou, group=group)
    group = test.rows["annotator"] == "tom"
    gap = over_stretches(against_truth(test), mean_iou, group=group)
    return {**found, "sound/mean-iou-gap-tom-by-the-truth": gap}


def figures(test: Reading, deployment: Reading) -> Figures:
    """Everything that truth.yaml holds."""
    return {
        **claims(test),
        **wet(test),
        **night(test),
        **annotators(test),
        **shift(deployment),
        **sound(test),
    }


def written(found: Mapping[str, Interval]) -> str:
    """The numbers as the `measured` part of truth.yaml."""
    lines = {
        name: {k: round(v, 4) for k, v in vars(figure).items()} for name, figure in found.items()
    }
    return yaml.safe_dump({"measured": lines}, sort_keys=False, default_flow_style=None)


def table(found: Mapping[str, Interval]) -> Iterator[str]:
    family = ""
    for name, figure in found.items():
        start, rest = name.split("/")
        if start != family:
            yield f"\n| {start} | measured |\n|---|---|"
            family = start
        yield f"| {rest.replace('-', ' ')} | {figure} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=STREET / "model.onnx")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    model = arguments.model
    found = figures(reading("test", model), reading("deployment", model))
    for line in table(found):
        print(line)
    if arguments.write:
        path = STREET / "instructor" / "truth.yaml"
        kept = path.read_text().split("measured:")[0] if path.exists() else ""
        path.write_text(kept + written(found))


if __name__ == "__main__":
    main()
