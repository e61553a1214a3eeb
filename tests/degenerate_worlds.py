"""Small worlds in which nothing varies: all right, all wrong, one answer, or scores all equal."""

import numpy as np
import pandas as pd

from auditor.data.scan import PROPERTY_NAMES

CLASSES = ("a", "b", "c")
SPEC = {
    "model": {"path": "model.onnx", "classes": CLASSES, "ordinal": True, "input": {"size": (8, 8)}},
    "claims": (
        {"measure": "accuracy", "at_least": 0.9, "source": "the team"},
        {"measure": "recall", "label": "a", "at_least": 0.9, "source": "the team"},
        {"measure": "precision", "label": "a", "at_least": 0.9, "source": "the team"},
    ),
    "consequences": {
        "adverse": ("c",),
        "borne_by": {"c": "the tenant"},
        "costs": {"unit": "EUR", "matrix": {"a": {"c": 4000.0}, "c": {"a": 9000.0, "b": 10.0}}},
    },
}


def answers(kind: str, labels: np.ndarray) -> np.ndarray:
    """Probabilities (n, 3) of a model of that kind, from labels (n,)."""
    match kind:
        case "all right":
            return np.eye(3, dtype=np.float32)[labels]
        case "all right, unsure":
            return (0.1 + 0.7 * np.eye(3, dtype=np.float32))[labels]
        case "all wrong":
            return np.eye(3, dtype=np.float32)[(labels + 1) % 3]
        case "one answer":
            return np.eye(3, dtype=np.float32)[0 * labels]
        case _:
            return np.full((len(labels), 3), 1 / 3, dtype=np.float32)


def degenerate(worlds, kind: str, *, n: int, units: bool):
    """Evidence of three splits of `n` units: one image each, or three where there are `units`.

    Labels, groups and ratings come in all combinations; properties of images and embeddings are
    all alike.
    """
    evidence = worlds.evidence(spec=worlds.spec(**SPEC), model=worlds.facts(classes=CLASSES))
    images = 3 * n if units else n
    unit = np.arange(images) // (3 if units else 1)
    labels = unit % 3
    for split in ("test", "train", "deployment"):
        dataset = worlds.dataset(
            labels,
            split=split,
            classes=CLASSES,
            units=[f"{split}-{u}" for u in unit] if units else None,
            attributes={
                "building": ("condition", np.where(unit // 3 % 2, "old", "new")),
                "phone": ("nuisance", np.where(labels == 0, "p1", "p2")),
                "light": ("condition", np.where(unit // 6 % 2, "day", "night")),
            },
            annotator=np.where(unit % 2, "ann", "bo"),
            ratings={"ann": labels, "bo": labels},
            gold=labels,
        )
        evidence.add(dataset, answers(kind, labels))
        evidence.embeddings[split] = np.ones((images, 4), dtype=np.float32)
        evidence.scans[split, "sound"] = pd.DataFrame(
            {
                "image_id": dataset.image_ids,
                "readable": True,
                **dict.fromkeys(("bits", "frames"), 8),
                **dict.fromkeys(("exif_rotated", "has_alpha"), False),
                **dict.fromkeys(("error", "format", "mode", "sha256", "pixel_sha256"), ""),
                **dict.fromkeys(PROPERTY_NAMES, 1.0),
            }
        )
    return evidence
