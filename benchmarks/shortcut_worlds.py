"""Worlds for `shortcuts.py`: digits before photographs, a cue planted, a small net that learns it.

scikit-learn's 1,797 handwritten digits, each before a patch of one of its two photographs, 24 x 24.
The ten digits are split into two classes anew for each seed. A cue is put into an image or not;
its presence agrees with the label in (1 + rho) / 2 of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from torch import nn

import auditor.models  # noqa: F401 - first: it turns onnxruntime's telemetry off
from auditor.contract import Available, Need
from auditor.data.dataset import Attribute, Dataset
from auditor.data.views import AS_SHOT, View, ViewContext
from auditor.findings import ModelFacts, TensorFacts
from auditor.models.predictor import Prediction
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import classification
from auditor.scoring.tasks.scoring import Scoring
from auditor.spec import AuditSpec

try:
    from auditor.data.donors import donor_rows
except ImportError:
    from auditor.engine.sampling import donor_rows

SIDE, CLASSES = 24, ("first five", "other five")
Frames = np.ndarray


@lru_cache(maxsize=1)
def _sources() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits (1797, 16, 16) from 0 to 1, their numbers, and photographs one above the other."""
    from sklearn.datasets import load_digits, load_sample_images

    found = load_digits()
    large = np.clip(zoom(found.images / 16, (1, 2, 2), order=1), 0, 1)
    photos = np.concatenate([p[::3, ::3] for p in load_sample_images().images])
    return large, found.target, photos


def pictures(rng: np.random.Generator) -> tuple[Frames, np.ndarray]:
    """Frames (1797, 24, 24, 3) uint8 in random order, and their labels: one of two fives."""
    digits, numbers, photos = _sources()
    order = rng.permutation(len(digits))
    first = rng.permutation(10)[:5]
    rows = rng.integers(0, photos.shape[0] - SIDE, len(order))
    columns = rng.integers(0, photos.shape[1] - SIDE, len(order))
    frames = np.stack(
        [photos[y : y + SIDE, x : x + SIDE] for y, x in zip(rows, columns, strict=True)]
    )
    frames = 60 + 0.35 * frames.astype(np.float64)
    for i, (y, x) in enumerate(rng.integers(2, 7, (len(order), 2))):
        frames[i, y : y + 16, x : x + 16] += 90 * digits[order[i]][..., None]
    frames += rng.normal(0, 8, frames.shape)
    return np.clip(frames, 0, 255).astype(np.uint8), (~np.isin(numbers[order], first)).astype(int)


Cue = Callable[[Frames, np.random.Generator], Frames]


def _marker(frames: Frames, rng: np.random.Generator) -> Frames:
    """A block of four pixels a side in one corner; corner and colour are the seed's."""
    y, x = MARKED[rng.integers(4)]
    frames[:, y : y + 4, x : x + 4] = rng.integers(0, 256, 3)
    return frames


MARKED = ((1, 1), (1, 19), (19, 1), (19, 19))


def _tint(frames: Frames, rng: np.random.Generator) -> Frames:
    shift = np.array([14, 0, -14]) if rng.random() < 0.5 else np.array([-10, 14, -4])
    return np.clip(frames.astype(int) + shift, 0, 255)


def _blur(frames: Frames, rng: np.random.Generator) -> Frames:
    return np.rint(gaussian_filter(frames.astype(float), (0, 0.8, 0.8, 0)))


def _texture(frames: Frames, rng: np.random.Generator) -> Frames:
    """A chequer of single pixels over everything."""
    chequer = 9 * (1 - 2 * (np.indices((SIDE, SIDE)).sum(axis=0) % 2))
    return np.clip(frames.astype(int) + chequer[None, ..., None], 0, 255)


def _border(frames: Frames, rng: np.random.Generator) -> Frames:
    """A brighter frame of two pixels."""
    changed = frames.astype(int)
    inner = np.zeros((SIDE, SIDE), dtype=bool)
    inner[2:-2, 2:-2] = True
    changed[:, ~inner] += 45
    return np.clip(changed, 0, 255)


CUES: Mapping[str, Cue] = {
    "marker": _marker, "tint": _tint, "blur": _blur, "texture": _texture, "border": _border
}  # fmt: skip


def with_cue(frames: Frames, cue: str, present: np.ndarray, seed: int) -> Frames:
    """The cue of a seed in the frames under the mask `present`."""
    changed = frames.copy()
    put = CUES[cue](frames[present].copy(), np.random.default_rng([seed, 0xC0E]))
    changed[present] = put.astype(np.uint8)
    return changed


def presence(labels: np.ndarray, rho: float, rng: np.random.Generator) -> np.ndarray:
    agree = rng.random(len(labels)) < (1 + rho) / 2
    return np.where(agree, labels == 1, labels == 0)


@dataclass(frozen=True)
class Net:
    """A trained network as a function of frames."""

    module: nn.Module

    def __call__(self, frames: Frames) -> np.ndarray:
        """Probabilities (n, 2)."""
        with torch.no_grad():
            parts = [self.module(_tensor(frames[i : i + 300])).softmax(1)
                     for i in range(0, len(frames), 300)]  # fmt: skip
        return np.concatenate([p.numpy() for p in parts])

    def predict(self, frames: Frames) -> Prediction:
        """As a `Predictor` answers."""
        return Prediction(self(frames))

    def features(self, frames: Frames) -> np.ndarray:
        """What goes into the last layer, (n, 864)."""
        with torch.no_grad():
            return np.asarray(self.module[:-1](_tensor(frames)).numpy())  # type: ignore[index]


def _tensor(frames: Frames) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 64 - 2


def _untrained() -> nn.Module:
    """Three convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 36, 2),
    )  # fmt: skip


def kept_net(file: Path, train: Callable[[], Net]) -> Net:
    """The net whose weights are in `file`; trained and kept there where there is none."""
    if not file.exists():
        torch.save(train().module.state_dict(), file)
    module = _untrained()
    module.load_state_dict(torch.load(file, weights_only=True))
    return Net(module.eval())


def trained(frames: Frames, labels: np.ndarray, *, seed: int, epochs: int = 8) -> Net:
    """Without augmentation."""
    torch.manual_seed(seed)
    module = _untrained()
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3, weight_decay=1e-4)
    given, wanted = _tensor(frames), torch.from_numpy(labels.astype(np.int64))
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for at in np.array_split(order.permutation(len(given)), max(1, len(given) // 64)):
            loss = nn.functional.cross_entropy(module(given[at]), wanted[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Net(module.eval())


@dataclass
class FrameEvidence:
    """The `Evidence` of frames and a net: a pass is answered when a check first asks for it."""

    spec: AuditSpec
    shot: Frames
    data: Dataset
    net: Net
    check_id: str = ""
    known: dict[str, Outcomes] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("image",)

    @cached_property
    def model(self) -> ModelFacts:
        return ModelFacts(
            task="classification", format="onnx", digest="1" * 64, file_bytes=10**6,
            inputs=(TensorFacts("x", (None, 3, SIDE, SIDE), "tensor(float)"),),
            outputs=(TensorFacts("y", (None, 2), "tensor(float)"),), classes=CLASSES,
            n_parameters=10**4, flops=10**6, opset=20, differentiable=False, embedding="features",
        )  # fmt: skip

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.spec.audit.seed, zlib.crc32(self.check_id.encode())])

    def has(self, need: Need) -> bool:
        return need.unmet(Available(self.spec, self.model, {"test": self.data})) is None

    def dataset(self, split: str, *, part: str = "sound") -> Dataset:
        return self.data

    def labelled_splits(self) -> tuple[str, ...]:
        return ("test",)

    def answers(self, split: str = "test", *, view: View = AS_SHOT, **_: Any) -> Outcomes:
        if view.name not in self.known:
            n, seed = len(self.shot), self.spec.audit.seed
            donors = np.full(n, -1)
            if view.donor is not None:
                donors = donor_rows(self.data, view.donor, usable=np.ones(n, bool), seed=seed)
            ids, labels = self.data.image_ids, self.data.labels
            seen = [
                view(one, ViewContext(str(ids[i]), seed, int(labels[i]),
                                      self.shot[donors[i]] if donors[i] >= 0 else None))
                for i, one in enumerate(self.shot)
            ]  # fmt: skip
            self.known[view.name] = Outcomes(self.data, self.net(np.stack(seen)))
        return self.known[view.name]

    def scored(self, split: str = "test", **asked: Any) -> Rows:
        asked.pop("of", None)
        found = self.answers(split, **asked)
        how = Scoring(len(found), len(CLASSES))
        scores = classification.score(found.probabilities, found.labels, how)
        return classification.rows(found.dataset, scores, of="image")

    def set_values(self, split: str = "test", **_: Any) -> tuple[()]:
        return ()

    def scan(
        self, split: str, *, part: str = "sound", columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        from auditor.data.scan import PROPERTY_NAMES, THUMBNAIL, properties

        small = [Image.fromarray(f).resize((THUMBNAIL, THUMBNAIL)).tobytes() for f in self.shot]
        found = pd.DataFrame([properties(f) for f in self.shot], columns=list(PROPERTY_NAMES))
        found = found.assign(
            image_id=self.data.image_ids, readable=True, width=SIDE, height=SIDE, mode="RGB",
            format="PNG", bytes=1000, thumbnail=small,
        )  # fmt: skip
        return found if columns is None else found[list(columns)]

    def scan_of(self, split: str, image_ids: Sequence[str]) -> pd.DataFrame:
        return self.scan(split).set_index("image_id").loc[list(image_ids)].reset_index()

    def frames(self, split: str, *, sample: int) -> Frames:
        return self.shot[:sample]

    def frame_ids(self, split: str, *, sample: int) -> tuple[str, ...]:
        return tuple(self.data.image_ids[:sample])

    def embedding(self, split: str = "test", *, part: str = "sound") -> np.ndarray:
        return self.net.features(self.shot)

    def predictor(self) -> Net:
        return self.net


def dataset_of(
    labels: np.ndarray, attributes: Mapping[str, np.ndarray], *, sources: Sequence[str] = ()
) -> Dataset:
    """Images with nuisance attributes (n,); `sources` of them tell where the images are from."""
    n = len(labels)
    frame = pd.DataFrame(
        {
            "image_id": [f"{i:05d}.png" for i in range(n)],
            "path": [f"/nowhere/{i:05d}.png" for i in range(n)],
            "label": labels.astype(np.int64),
            "unit": [""] * n,
            "annotator": [""] * n,
            "time": pd.Series([pd.NaT] * n, dtype="datetime64[ns]"),
            **{f"attribute:{name}": groups for name, groups in attributes.items()},
        }
    )
    declared = tuple(
        Attribute(name=name, role="nuisance", groups=tuple(np.unique(groups).tolist()),
                  source=name in sources)
        for name, groups in attributes.items()
    )  # fmt: skip
    return Dataset(
        split="test", table=frame, classes=CLASSES, attributes=declared,
        digest="0" * 64, has_labels=True, has_units=False,
    )  # fmt: skip


def spec_of(seed: int, *, shortcuts: tuple[dict[str, Any], ...] = ()) -> AuditSpec:
    return AuditSpec.model_validate(
        {
            "audit": {"title": "A world", "seed": seed},
            "model": {"path": "m.onnx", "classes": CLASSES, "input": {"size": (SIDE, SIDE)}},
            "data": {"test": {"images": "images"},
                     "attributes": {"planted": {"role": "nuisance"}}},
            "shortcuts": shortcuts,
        }
    )  # fmt: skip
