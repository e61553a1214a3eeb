"""Measure the planted flaws with plain NumPy, independently of the audit.

    python examples/housing/instructor/measure.py [--models FOLDER]

Prints the tables of ANSWERS.md. Intervals are percentile bootstraps over rooms (2,000 draws).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # reads the line above

HOUSING = Path(__file__).parent.parent
GRADES = ["compliant", "minor", "serious"]
Pixels = npt.NDArray[np.uint8]


def load(split: str) -> tuple[pd.DataFrame, Pixels]:
    rows = pd.read_csv(HOUSING / f"{split}.csv", keep_default_na=False)
    pixels = np.stack([np.asarray(Image.open(HOUSING / "images" / f)) for f in rows["file"]])
    return rows, pixels


def answer(model: Path, pixels: Pixels) -> npt.NDArray[np.float64]:
    """Probabilities, N x 3."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    parts = []
    for start in range(0, len(pixels), 128):
        x = (pixels[start : start + 128].transpose(0, 3, 1, 2) / np.float32(255) - 0.5) / 0.25
        parts.append(session.run(None, {"photo": x.astype(np.float32)})[0])
    logits = np.concatenate(parts).astype(float)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def judged(rows: pd.DataFrame, probabilities: npt.NDArray[np.float64]) -> pd.DataFrame:
    """The manifest with what the model said."""
    table = rows.copy()
    table["answer"] = [GRADES[k] for k in probabilities.argmax(1)]
    table["sure"] = probabilities.max(1)
    table["right"] = (table["answer"] == table["label"]).astype(float)
    table["serious"] = (table["answer"] == "serious").astype(float)
    return table


def interval(
    table: pd.DataFrame, column: str, group: pd.Series | None = None, *, ratio: bool = False
) -> str:
    """Mean of a column, or group against the rest, with a bootstrap over rooms."""
    rng = np.random.default_rng(0)
    codes, rooms = pd.factorize(table["room"])
    inside = np.ones(len(table), bool) if group is None else group.to_numpy()
    values = table[column].to_numpy(float)

    def sums(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], ...]:
        return (
            np.bincount(codes, values * mask, len(rooms)),
            np.bincount(codes, mask.astype(float), len(rooms)),
        )

    (a, n), (b, m) = sums(inside), sums(~inside)
    weights = rng.multinomial(len(rooms), np.full(len(rooms), 1 / len(rooms)), 2000)
    weights = np.vstack([np.ones(len(rooms)), weights])
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = (weights @ a) / (weights @ n)
        if group is not None:
            rest = (weights @ b) / (weights @ m)
            draws = draws / rest if ratio else draws - rest
    low, high = np.nanquantile(draws[1:], [0.025, 0.975], method="inverted_cdf")
    return f"{draws[0]:.2f} [{low:.2f}, {high:.2f}]"


def calibration_error(table: pd.DataFrame) -> float:
    """Mean gap of confidence and accuracy over 15 equally filled bins."""
    order = np.argsort(table["sure"].to_numpy())
    gap = table["sure"].to_numpy()[order] - table["right"].to_numpy()[order]
    return sum(abs(part.sum()) for part in np.array_split(gap, 15)) / len(table)


def first_version(models: Path) -> list[tuple[str, str]]:
    rows, pixels = load("test")
    there, there_pixels = load("deployment")
    trained = set(load_rows("train")["room"])
    test = judged(rows, answer(models / "model.onnx", pixels))
    edge = judged(rows, answer(models / "model-edge.onnx", pixels))
    deployment = judged(there, answer(models / "model.onnx", there_pixels))
    seen = test["room"].isin(trained)
    new = test[~seen]
    bare = new[new["source"] != "tablet"]
    lines = [
        ("1 leakage: the team's test set as given", interval(test, "right")),
        ("   photos of rooms seen in training", interval(test[seen], "right")),
        ("   photos of rooms not seen", interval(new, "right")),
    ]
    lines += _shortcut(models, rows, pixels, new)
    lines += [
        ("3 shift: accuracy on deployment photos", interval(deployment, "right")),
        ("   on unseen test photos without marker", interval(bare, "right")),
    ]
    lines += _harm(new)
    lines += _labels(new)
    lines += _representation()
    lines += [
        ("7 overconfidence: calibration error, unseen test", f"{calibration_error(new):.3f}"),
        ("   deployment", f"{calibration_error(deployment):.3f}"),
        ("   mean confidence, unseen test / deployment", _means(new, deployment)),
    ]
    lines += _compression(test, edge, ~seen)
    lines += _sound(models, new, pixels[(~seen).to_numpy()])
    return lines


def load_rows(split: str) -> pd.DataFrame:
    return pd.read_csv(HOUSING / f"{split}.csv", keep_default_na=False)


def _means(first: pd.DataFrame, second: pd.DataFrame) -> str:
    return f"{first['sure'].mean():.2f} / {second['sure'].mean():.2f}"


def _shortcut(
    models: Path, rows: pd.DataFrame, pixels: Pixels, new: pd.DataFrame
) -> list[tuple[str, str]]:
    tablet = new["source"] == "tablet"
    serious = new["label"] == "serious"
    bare = new[~tablet & ~serious].index.to_numpy()
    marked = pixels[bare].copy()
    badge = np.asarray(Image.open(HOUSING / "marker.png"))
    marked[:, 107:116, 4:20] = badge
    after = judged(rows.iloc[bare], answer(models / "model.onnx", marked))
    return [
        ("2 shortcut: recall of serious with marker", interval(new[serious & tablet], "serious")),
        ("   without marker", interval(new[serious & ~tablet], "serious")),
        ("   harmless rooms called serious, as taken", interval(new.loc[bare], "serious")),
        ("   the same photos with the marker added", interval(after, "serious")),
    ]


def _harm(new: pd.DataFrame) -> list[tuple[str, str]]:
    harmless = new[new["label"] != "serious"]
    accessible = harmless["room_type"] == "accessible"
    return [
        ("4 harm: false serious, accessible", interval(harmless[accessible], "serious")),
        ("   all others", interval(harmless[~accessible], "serious")),
        ("   ratio", interval(harmless, "serious", accessible, ratio=True)),
    ]


def _labels(new: pd.DataFrame) -> list[tuple[str, str]]:
    sample = new[new["expert_grade"] != ""].copy()
    dense = sample["hangings"] == "dense"
    rank = {grade: k for k, grade in enumerate(GRADES)}
    lines = []
    for name in ("ames", "birk"):
        column = f"{name}_severe"
        given = sample[f"grade_{name}"].map(rank)
        sample[column] = (given > sample["expert_grade"].map(rank)).astype(float)
        lines.append((f"5 labels: {name} above the expert, dense", interval(sample[dense], column)))
        lines.append(("   other rooms", interval(sample[~dense], column)))
    return lines


def _representation() -> list[tuple[str, str]]:
    rooms = load_rows("train").drop_duplicates("room")["room_type"].value_counts(normalize=True)
    return [
        ("6 representation: family rooms, of 15% in the stock", f"{rooms['family']:.3f}"),
        ("   accessible rooms, of 10%", f"{rooms['accessible']:.3f}"),
    ]


def _compression(
    test: pd.DataFrame, edge: pd.DataFrame, unseen: pd.Series
) -> list[tuple[str, str]]:
    both = test.assign(lost=test["right"] - edge["right"])
    night = both["time_of_day"] == "night"
    return [
        ("8 compression: accuracy lost, test set as given", interval(both, "lost")),
        ("   lost at night, test set as given", interval(both[night], "lost")),
        ("   lost on unseen rooms", interval(both[unseen], "lost")),
        ("   lost at night, unseen rooms", interval(both[unseen & night], "lost")),
        ("   lost by day and evening, unseen rooms", interval(both[unseen & ~night], "lost")),
    ]


def _sound(models: Path, new: pd.DataFrame, pixels: Pixels) -> list[tuple[str, str]]:
    mirrored = pixels[:, :, ::-1].copy()
    for corner in (slice(0, 30), slice(-30, None)):  # the app stamps where it stamps
        mirrored[:, 107:116, corner] = pixels[:, 107:116, corner]
    flipped = judged(new, answer(models / "model.onnx", mirrored))
    both = new.assign(lost=new["right"].to_numpy() - flipped["right"].to_numpy())
    lines = [
        (f"sound: floors {low}-{high} minus the rest", interval(new, "right", floor))
        for low, high in ((1, 3), (4, 6), (7, 8))
        for floor in [new["floor"].between(low, high)]
    ]
    return [
        *lines,
        (
            "sound: the new building minus the rest",
            interval(new, "right", new["building"] == "new"),
        ),
        ("sound: accuracy lost when mirrored", interval(both, "lost")),
        ("sound: median of one photo, one thread, ms", f"{_milliseconds(models, pixels):.1f}"),
    ]


def _milliseconds(models: Path, pixels: Pixels) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(models / "model.onnx"), options)
    x = (pixels[:1].transpose(0, 3, 1, 2) / np.float32(255) - 0.5) / np.float32(0.25)
    times = []
    for _ in range(60):
        began = time.perf_counter()
        session.run(None, {"photo": x.astype(np.float32)})
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def second_attempt(models: Path) -> list[tuple[str, str]]:
    rows, pixels = load("test")
    there, there_pixels = load("deployment")
    unseen = ~rows["room"].isin(set(load_rows("train")["room"]))
    rows, pixels = rows[unseen].reset_index(drop=True), pixels[unseen.to_numpy()]
    model = models / "model-v2.onnx"
    new = judged(rows, answer(model, pixels))
    deployment = judged(there, answer(model, there_pixels))
    serious = new["label"] == "serious"
    tablet = new["source"] == "tablet"
    return [
        ("accuracy on unseen rooms", interval(new, "right")),
        ("recall of serious with marker", interval(new[serious & tablet], "serious")),
        ("recall of serious without marker", interval(new[serious & ~tablet], "serious")),
        *_harm(new),
        ("accuracy on deployment photos", interval(deployment, "right")),
        ("calibration error, unseen test", f"{calibration_error(new):.3f}"),
        ("calibration error, deployment", f"{calibration_error(deployment):.3f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=HOUSING)
    models = parser.parse_args().models
    for title, lines in (
        ("Version 1.2", first_version(models)),
        ("Version 2", second_attempt(models)),
    ):
        print(f"\n| {title} | measured |\n|---|---|")
        for name, value in lines:
            print(f"| {name.replace('   ', '&nbsp;&nbsp;&nbsp;')} | {value} |")


if __name__ == "__main__":
    main()
