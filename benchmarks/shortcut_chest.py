"""Chest X-rays, covid or not, by a small net trained here: what it leans on beside the lungs.

Patients are dealt to three parts; each image is answered by a net that has seen no image of its
patient. Nothing of the data enters the project. No diagnostic claim is made or tested.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from shortcut_worlds import FrameEvidence, spec_of
from threadpoolctl import threadpool_limits
from torch import nn

from auditor.checks.shortcut_metadata import Metadata
from auditor.contract import check_classes
from auditor.contract.numbers import percent, points
from auditor.data.dataset import Attribute, Dataset
from auditor.findings import Measure, Unmeasured
from auditor.spec import AuditSpec
from auditor.stats import interval, value

SIDE, FOLDS, EPOCHS = 64, 3, 12
CLASSES = ("covid", "other_pneumonia_or_normal")
ASKED = {"view": "view", "site": "site", "image mode": "orig_mode", "file type": "file_ext"}


def folder() -> Path | None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    found = Path(os.environ.get("AUDITOR_TEST_DATA", beside)) / "chest-xray"
    return found if (found / "manifest.csv").is_file() else None


def read(place: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Frames (n, 64, 64, 3) uint8 of the images with a label, and their rows."""
    rows = pd.read_csv(place / "manifest.csv", dtype=str, keep_default_na=False)
    rows = rows[rows["label"].isin(CLASSES)].reset_index(drop=True)
    frames = [
        np.asarray(Image.open(place / path).convert("L").resize((SIDE, SIDE)).convert("RGB"))
        for path in rows["path"]
    ]
    return np.stack(frames), rows


def dataset(rows: pd.DataFrame) -> Dataset:
    n = len(rows)
    frame = pd.DataFrame(
        {
            "image_id": rows["path"],
            "path": rows["path"],
            "label": [CLASSES.index(name) for name in rows["label"]],
            "unit": rows["patient_id"],
            "annotator": [""] * n,
            "time": pd.Series([pd.NaT] * n, dtype="datetime64[ns]"),
        }
    )
    declared = []
    for name, column in ASKED.items():
        frame[f"attribute:{name}"] = rows[column].replace("?", "")
        groups = tuple(sorted(set(frame[f"attribute:{name}"]) - {""}))
        declared.append(Attribute(name=name, role="nuisance", groups=groups))
    return Dataset(
        split="test", table=frame, classes=CLASSES, attributes=tuple(declared), digest="0" * 64,
        has_labels=True, has_units=True,
    )  # fmt: skip


def _tensor(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames[..., :1])).permute(0, 3, 1, 2) / 64 - 2


def _trained(frames: np.ndarray, labels: np.ndarray, seed: int) -> nn.Module:
    """Both classes weigh the same, so that answering the commoner one earns nothing."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in ((1, 8), (8, 16), (16, 24)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 64, 2))
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3, weight_decay=1e-3)
    weights = torch.from_numpy(len(labels) / (2 * np.bincount(labels, minlength=2))).float()
    given, wanted = _tensor(frames), torch.from_numpy(labels.astype(np.int64))
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for at in np.array_split(order.permutation(len(given)), max(1, len(given) // 32)):
            loss = nn.functional.cross_entropy(module(given[at]), wanted[at], weight=weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return module.eval()


def crossed_net(
    frames: np.ndarray, labels: np.ndarray, patients: np.ndarray, *, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Probabilities of all images in order, each by the net that never saw its patient."""
    names = np.random.default_rng(seed).permutation(np.unique(patients))
    part = {name: i % FOLDS for i, name in enumerate(names)}
    fold = np.array([part[p] for p in patients])
    nets = [_trained(frames[fold != f], labels[fold != f], seed + f) for f in range(FOLDS)]

    def answer(shown: np.ndarray) -> np.ndarray:
        found = np.empty((len(shown), 2), dtype=np.float32)
        with torch.no_grad():
            for f, net in enumerate(nets):
                found[fold == f] = net(_tensor(shown[fold == f])).softmax(1).numpy()
        return found

    return answer


def spec(seed: int) -> AuditSpec:
    given = spec_of(seed)
    input = given.model.input.model_copy(update={"size": (SIDE, SIDE)})
    model = given.model.model_copy(update={"classes": CLASSES, "input": input})
    return given.model_copy(update={"model": model})


def told(measure: Measure, *, scale: Callable[[float], str]) -> str:
    ends = interval(measure.estimate)
    return f"{scale(value(measure.estimate))} [{scale(ends.low)}, {scale(ends.high)}]"


def lean_of_chest() -> None:
    place = folder()
    if place is None:
        print("\nChest X-rays: skipped, there is no folder shared/data/chest-xray beside the "
              "project; set AUDITOR_TEST_DATA to the folder that holds it")  # fmt: skip
        return
    frames, rows = read(place)
    data = dataset(rows)
    print(f"\nChest X-rays: {len(rows)} images of {rows['patient_id'].nunique()} patients\n")
    with threadpool_limits(1):
        net = crossed_net(frames, data.labels, rows["patient_id"].to_numpy(), seed=5)
        evidence = FrameEvidence(spec(5), frames, data, net)
        right = evidence.answers().correct
        recalls = [percent(right[data.labels == c].mean()) for c in (0, 1)]
        print(f"Right: {percent(right.mean())}%; covid {recalls[0]}%, other {recalls[1]}%\n")
        _metadata(evidence)
        _donor_swap(evidence)


def _metadata(evidence: FrameEvidence) -> None:
    asked = dataclasses.replace(evidence, check_id="shortcut/metadata")
    print("| attribute | goes with the label (V) | worth, points | scores depend on it given the "
          "label, p |\n|---|---|---|---|")  # fmt: skip
    results = list(Metadata().run(asked))  # type: ignore[arg-type]
    for name in ASKED:
        mine = {r.name: r for r in results if isinstance(r, Measure | Unmeasured)
                and r.subject.get("attribute") == name}  # fmt: skip
        strength, worth = mine.get("association"), mine.get("accuracy-worth")
        said = "-" if not isinstance(strength, Measure) else told(strength, scale="{:.2f}".format)
        if isinstance(worth, Measure):
            p = worth.facts.get("dependence_p")
            shown = told(worth, scale=points)
            print(f"| {name} | {said} | {shown} | {p if p is None else format(p, '.3f')} |")
        else:
            print(f"| {name} | {said} | {worth.reason if worth else '-'} | - |")


def _donor_swap(evidence: FrameEvidence) -> None:
    found = check_classes().get("shortcut/donor-swap")
    if found is None:
        return
    asked = dataclasses.replace(evidence, check_id="shortcut/donor-swap")
    worths = [m for m in found().run(asked)  # type: ignore[arg-type]
              if isinstance(m, Measure) and m.name == "accuracy-worth"]  # fmt: skip
    worths.sort(key=lambda m: -value(m.estimate))
    print("\n| component exchanged | worth, points |\n|---|---|")
    for one in worths[:6]:
        print(f"| {one.subject.get('component')} | {told(one, scale=points)} |")


if __name__ == "__main__":
    lean_of_chest()
