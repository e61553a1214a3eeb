"""Train the team's segmenter.

    python examples/street/train.py [--seed N] [--epochs N] [--out FOLDER]

A few minutes on one core. Writes model.onnx and model.safetensors (the same weights) and prints
how the model does on the test set. The same seed gives the same weights on one machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from network import CLASSES, HazardNet  # noqa: E402

MEAN, SPREAD = 0.5, 0.25
VOID = 255
RATE, DECAY, BATCH = 6e-3, 0.02, 16
WEIGHTS = (0.6, 1.2, 1.2, 1.2)
"""Of the classes in the loss: most pixels are path."""


@dataclass(frozen=True)
class Frames:
    """Pixels N x 3 x 144 x 192 and class maps N x 144 x 192, both uint8."""

    pixels: torch.Tensor
    classes: torch.Tensor


def load(split: str, folder: Path = HERE) -> Frames:
    files = pd.read_csv(folder / f"{split}.csv")["file"]
    pixels = np.stack([np.asarray(Image.open(folder / "images" / split / f)) for f in files])
    maps = [folder / "masks" / split / Path(f).with_suffix(".png") for f in files]
    classes = np.stack([np.asarray(Image.open(path)) for path in maps])
    return Frames(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(classes)
    )


def prepared(pixels: torch.Tensor) -> torch.Tensor:
    x = pixels.float().div_(255).sub_(MEAN).div_(SPREAD)
    return x.contiguous(memory_format=torch.channels_last)


def fit(net: HazardNet, frames: Frames, *, epochs: int, seed: int) -> None:
    """AdamW with one cycle of the learning rate; frames mirrored, moved and a little recoloured."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    steps = epochs * -(-len(frames.pixels) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.2
    )
    net.train()
    for epoch in range(epochs):
        began, total = time.perf_counter(), 0.0
        for batch in torch.randperm(len(frames.pixels)).split(BATCH):
            pixels, classes = varied(frames.pixels[batch], frames.classes[batch], rng)
            loss = cost(net(prepared(pixels)), classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        took = time.perf_counter() - began
        mean = total / len(frames.pixels)
        print(f"  epoch {epoch + 1}: loss {mean:.4f}, {took:.0f} s", flush=True)
    net.eval()


def cost(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the enlarged logits; void pixels do not count."""
    full = functional.interpolate(logits, size=classes.shape[1:], mode="bilinear")
    return functional.cross_entropy(
        full, classes.long(), weight=torch.tensor(WEIGHTS), ignore_index=VOID
    )


def varied(
    pixels: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half of the frames mirrored; all moved by a few pixels, brighter or darker."""
    flip = torch.from_numpy(rng.random(len(pixels)) < 0.5)
    pixels = torch.where(flip[:, None, None, None], pixels.flip(3), pixels)
    classes = torch.where(flip[:, None, None], classes.flip(2), classes)
    down, right = (int(n) for n in rng.integers(-8, 9, 2))
    pixels, classes = (torch.roll(each, (down, right), (-2, -1)) for each in (pixels, classes))
    classes = _without_wrapped(classes, down, right)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(pixels), 1, 1, 1)).astype(np.float32))
    return (pixels * gain).clamp(0, 255), classes


def _without_wrapped(classes: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """What was rolled over an edge counts for nothing."""
    classes = classes.clone()
    if down:
        (classes[:, :down] if down > 0 else classes[:, down:]).fill_(VOID)
    if right:
        (classes[..., :right] if right > 0 else classes[..., right:]).fill_(VOID)
    return classes


def intersections(net: HazardNet, frames: Frames) -> list[float]:
    """IoU of each class over all frames."""
    found = []
    with torch.inference_mode():
        for pixels in frames.pixels.split(64):
            full = functional.interpolate(
                net(prepared(pixels)), size=frames.classes.shape[1:], mode="bilinear"
            )
            found.append(full.argmax(1))
    said = torch.cat(found)
    counted = frames.classes != VOID
    sides = [((said == k) & counted, (frames.classes == k) & counted) for k in range(len(CLASSES))]
    return [((a & b).sum() / (a | b).sum()).item() for a, b in sides]


def export(net: torch.nn.Module, path: Path) -> None:
    """ONNX with a free batch dimension, without the exporter's notes of this machine's paths."""
    import onnx

    torch.onnx.export(
        net.eval(),
        (torch.zeros(2, 3, 144, 192),),
        str(path),
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("n", min=1, max=4096)}},
        input_names=["frame"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
    onnx.save(model, path)


def main() -> None:
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # so small a net is no faster on two, and one always sums alike
    torch.manual_seed(arguments.seed)
    net = HazardNet().to(memory_format=torch.channels_last)
    fit(net, load("train"), epochs=arguments.epochs, seed=arguments.seed)
    export(net, arguments.out / "model.onnx")
    weights = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(weights, arguments.out / "model.safetensors")
    each = intersections(net, load("test"))
    shown = ", ".join(f"{name} {value:.3f}" for name, value in zip(CLASSES, each, strict=True))
    print(f"test set: IoU {shown}; mean {np.mean(each):.3f}")


if __name__ == "__main__":
    main()
