"""Train the team's detector.

    python examples/kitchen/train.py [--seed N] [--out FOLDER]

About ten minutes on two cores. Writes model.onnx and model.safetensors (the same weights). The same
seed gives the same weights on one machine.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

from network import CLASSES, STRIDES, PlateNet  # noqa: E402

HEIGHT, WIDTH = 144, 192
EPOCHS, BATCH, RATE, DECAY = 34, 16, 4e-3, 0.02
SMALL = 32
"""Objects whose box has a smaller side (root of its area) are learnt at the finer stride."""

OUTLIER = 240.0
"""By how much one channel of the fine features is larger than training left it, its readers'
weights smaller. No answer changes in floating point."""


@dataclass(frozen=True)
class Photos:
    """Pixels N x 3 x 144 x 192 uint8, and boxes N x most x 5: corners and class, -1 for none."""

    pixels: torch.Tensor
    boxes: torch.Tensor


def load(split: str, folder: Path = HERE) -> Photos:
    content = json.loads((folder / f"{split}.json").read_text())
    stack = [np.asarray(Image.open(folder / "images" / i["file_name"])) for i in content["images"]]
    held: dict[int, list[list[float]]] = {i["id"]: [] for i in content["images"]}
    for each in content["annotations"]:
        x, y, width, height = each["bbox"]
        held[each["image_id"]].append([x, y, x + width, y + height, each["category_id"] - 1])
    boxes = torch.full((len(stack), max(map(len, held.values())), 5), -1.0)
    for row, found in enumerate(held.values()):
        if found:
            boxes[row, : len(found)] = torch.tensor(found)
    return Photos(torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2).contiguous(), boxes)


def prepared(pixels: torch.Tensor) -> torch.Tensor:
    x = pixels.float().div_(255).sub_(0.5).div_(0.25)
    return x.contiguous(memory_format=torch.channels_last)


def varied(photos: Photos, rng: np.random.Generator) -> Photos:
    """Mirrored both ways, moved by some pixels, a little brighter or darker. Colours stay."""
    pixels, boxes = photos.pixels.clone(), photos.boxes.clone()
    for k in range(len(pixels)):
        there = boxes[k, :, 4] >= 0
        for axis, side in ((2, WIDTH), (1, HEIGHT)):
            low, high = (0, 2) if axis == 2 else (1, 3)
            if rng.random() < 0.5:
                pixels[k] = pixels[k].flip(axis)
                boxes[k, there, low], boxes[k, there, high] = (
                    side - boxes[k, there, high],
                    side - boxes[k, there, low],
                )
            by = int(rng.integers(-9, 10))
            pixels[k] = pixels[k].roll(by, axis)
            boxes[k, there, low] += by
            boxes[k, there, high] += by
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(pixels), 1, 1, 1)).astype(np.float32))
    return Photos((pixels * gain).clamp(0, 255).to(torch.uint8), boxes)


def cells() -> torch.Tensor:
    """Column, row and stride of each cell, 540 x 3, in the order of the network's answers."""
    parts = []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(HEIGHT // stride), torch.arange(WIDTH // stride), indexing="ij"
        )
        parts.append(torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), stride)], 1))
    return torch.cat(parts).float()


def assigned(boxes: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The box that each cell is to answer, N x 540, -1 for none.

    Cells at the right stride whose middle lies near the box's (Tian et al. 2019, arXiv:1904.01355);
    of several boxes the smallest.
    """
    stride = at[:, 2]
    middle = (at[:, :2] + 0.5) * stride[:, None]
    centre = (boxes[..., :2] + boxes[..., 2:4]) / 2
    sides = boxes[..., 2:4] - boxes[..., :2]
    area = sides.prod(-1)
    away = (middle[None, :, None] - centre[:, None]).abs()
    reach = torch.minimum(1.5 * stride[None, :, None, None], sides[:, None] / 2)
    reach = torch.maximum(reach, 0.5 * stride[None, :, None, None])
    near = (away <= reach).all(-1)
    right = (area.sqrt() < SMALL)[:, None] == (stride == STRIDES[0])[None, :, None]
    fits = near & right & (boxes[..., 4] >= 0)[:, None]
    least, which = torch.where(fits, area[:, None], torch.inf).min(-1)
    return torch.where(least.isfinite(), which, -1)


def loss_of(answers: torch.Tensor, boxes: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Overlap of boxes, objectness everywhere, class where there is an object."""
    which = assigned(boxes, at)
    there = which >= 0
    n = max(int(there.sum()), 1)
    image = torch.arange(len(boxes))[:, None].expand_as(which)[there]
    meant = boxes[image, which[there]]
    rows, place = answers[there], at[None].expand(len(boxes), -1, -1)[there]
    centre = (rows[:, :2] + place[:, :2]) * place[:, 2:]
    sides = rows[:, 2:4].clamp(max=6).exp() * place[:, 2:]
    found = torch.cat([centre - sides / 2, centre + sides / 2], 1)
    overlap, penalty = overlaps(found, meant[:, :4])
    kinds = functional.one_hot(meant[:, 4].long(), CLASSES).float()
    objectness = functional.binary_cross_entropy_with_logits(
        answers[..., 4], there.float(), reduction="sum"
    )
    classes = functional.binary_cross_entropy_with_logits(rows[:, 5:], kinds, reduction="sum")
    return (3 * (1 - overlap + penalty).sum() + objectness + classes) / n


def overlaps(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Intersection over union, and what GIoU takes off it (Rezatofighi et al. 2019)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - shared
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(
        1
    )
    return shared / union, (hull - union) / hull


def fit(net: PlateNet, photos: Photos, seed: int, epochs: int) -> PlateNet:
    """AdamW with one cycle of the rate; the weights' moving average is what is kept."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    at = cells()
    steps = epochs * -(-len(photos.pixels) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.2
    )
    kept = copy.deepcopy(net)
    net.train()
    for epoch in range(epochs):
        began, total = time.perf_counter(), 0.0
        for batch in torch.randperm(len(photos.pixels)).split(BATCH):
            part = varied(Photos(photos.pixels[batch], photos.boxes[batch]), rng)
            loss = loss_of(net(prepared(part.pixels)), part.boxes, at)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 20.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
            follow(kept, net)
        took = time.perf_counter() - began
        if epoch % 5 == 4:
            print(f"  epoch {epoch + 1}: loss {total / len(photos.pixels):.3f}, {took:.0f} s",
                  flush=True)  # fmt: skip
    return kept.eval()


@torch.no_grad()
def follow(kept: PlateNet, net: PlateNet, share: float = 0.99) -> None:
    """Move the kept weights a little towards the present ones."""
    for old, new in zip(kept.state_dict().values(), net.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - share)
        else:
            old.copy_(new)


@torch.no_grad()
def enlarge_channel(net: PlateNet, by: float) -> None:
    """Enlarge the strongest channel of the fine features and shrink the weights that read it.

    ReLU lets a factor pass, so that answers stay; but an eight-bit form with one range for all
    channels has few steps left for the others (Nagel et al. 2019, arXiv:1906.04721, undo this).
    """
    norm = net.fine.norm
    channel = int(norm.weight.abs().argmax())
    norm.weight[channel] *= by
    norm.bias[channel] *= by
    for reader in (net.small.box, net.small.score):
        reader.conv.weight[:, channel] /= by


def export(net: torch.nn.Module, path: Path) -> None:
    """ONNX with a free batch dimension, without what the exporter notes of this machine."""
    import onnx

    torch.onnx.export(
        net.eval(),
        (torch.zeros(2, 3, HEIGHT, WIDTH),),
        str(path),
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("n", min=1, max=4096)}},
        input_names=["photo"],
        output_names=["answers"],
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    from safetensors.torch import save_file

    torch.manual_seed(arguments.seed)
    net = PlateNet().to(memory_format=torch.channels_last)
    net = fit(net, load("train"), arguments.seed, arguments.epochs)
    enlarge_channel(net, OUTLIER)
    export(net, arguments.out / "model.onnx")
    weights = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(weights, arguments.out / "model.safetensors")


if __name__ == "__main__":
    main()
