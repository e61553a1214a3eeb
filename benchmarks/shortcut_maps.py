"""Occlusion maps in batches against one window after another, timed in one run on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from auditor.checks.attribution_targets import AnsweredClass
from auditor.checks.occlusion import filled, hidden, occlusion_map
from auditor.models.predictor import Prediction

GRID, IMAGES = 8, 6


class Probabilities:
    """A network as `occlusion_map` calls it."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def predict(self, frames: np.ndarray) -> Prediction:
        with torch.no_grad():
            given = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
            return Prediction(self.net(given).softmax(1).numpy())


def small(side: int) -> nn.Module:
    """Four convolutions, halving each time."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for before, after in ((3, 8), (8, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()


def batched(model: Probabilities, frames: np.ndarray) -> np.ndarray:
    maps = []
    for frame in frames:
        target = AnsweredClass.of(model.predict(frame[None]))
        maps.append(
            occlusion_map(model, frame, filled(frame, "mean"), grid=GRID, score=target.scores,  # type: ignore[arg-type]
                          before=target.before)
        )  # fmt: skip
    return np.stack(maps)


def window_by_window(model: Probabilities, frames: np.ndarray) -> np.ndarray:
    """One call of the network for each window of each image."""
    maps = []
    for frame in frames:
        target = AnsweredClass.of(model.predict(frame[None]))
        parts = [target.scores(model.predict(one[None]))[0]
                 for one in hidden(frame, filled(frame, "mean"), GRID)]  # fmt: skip
        maps.append(np.abs(target.before - np.array(parts)).reshape(GRID, GRID))
    return np.stack(maps)


def by_captum(model: Probabilities, frames: np.ndarray) -> np.ndarray | None:
    """Captum's `Occlusion` with its default of one perturbation a call; None without Captum."""
    try:
        from captum.attr import Occlusion
    except ImportError:
        return None
    side = frames.shape[1] // GRID

    def log_odds(given: torch.Tensor) -> torch.Tensor:
        p = model.net(given).softmax(1)
        return torch.log(p) - torch.log1p(-p)

    maps = []
    for frame in frames:
        given = torch.from_numpy(frame[None]).permute(0, 3, 1, 2).float() / 255
        fill = torch.from_numpy(filled(frame, "mean").copy()[None]).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            label = int(model.net(given).argmax())
            found = Occlusion(log_odds).attribute(
                given, sliding_window_shapes=(3, side, side), strides=(3, side, side),
                baselines=fill / 255, target=label,
            )  # fmt: skip
        maps.append(np.abs(found[0, 0, ::side, ::side].numpy()))
    return np.stack(maps)


def compare_maps() -> None:
    ways: dict[str, Callable[[Probabilities, np.ndarray], np.ndarray | None]] = {
        "batched": batched, "window by window": window_by_window, "Captum": by_captum
    }  # fmt: skip
    print(f"\nOcclusion maps of {GRID} x {GRID} windows, milliseconds an image on one core\n")
    print("| net | " + " | ".join(ways) + " | times as fast as the slower loops |")
    print("|---" * (len(ways) + 2) + "|")
    for side in (32, 64, 128, 224):
        frames = np.random.default_rng(1).integers(0, 256, (IMAGES, side, side, 3)).astype(np.uint8)
        model = Probabilities(small(side))
        took, maps = {}, {}
        with threadpool_limits(1):
            torch.set_num_threads(1)
            for name, way in ways.items():
                way(model, frames[:1])
                began = time.process_time()
                maps[name] = way(model, frames)
                took[name] = time.process_time() - began
        there = {name: took[name] for name, found in maps.items() if found is not None}
        for name in there:
            assert np.allclose(maps[name], maps["batched"], atol=1e-3), name
        told = [f"{1000 * took[n] / IMAGES:.1f}" if n in there else "not there" for n in ways]
        ratios = [f"{took[n] / took['batched']:.1f}" for n in there if n != "batched"]
        print(f"| {side} x {side} | " + " | ".join(told) + f" | {', '.join(ratios)} |", flush=True)
