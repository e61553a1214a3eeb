"""Build the digits world: real handwritten digits, a small trained net, a simulated scanner.

The digits are scikit-learn's bundled copy of the UCI "Optical Recognition of Handwritten
Digits" test set (E. Alpaydin, C. Kaynak, 1998): 1,797 images that lie in the order in which
they were collected, writer after writer. That order gives the groups (five runs of writers) and
the units (sheets of ten consecutive digits).

Run: python examples/digits/build.py      (about 20 seconds; writes examples/digits/world/)
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
WORLD = HERE / "world"
SEED = 7
SIDE = 32
SHEET = 10
WRITERS = 5


def rows() -> pd.DataFrame:
    """One row a digit: its sheet, its run of writers, and the split its sheet is given."""
    digits = load_digits()
    n = len(digits.target)
    table = pd.DataFrame({"digit": digits.target, "sheet": np.arange(n) // SHEET})
    table["writers"] = np.minimum(np.arange(n) * WRITERS // n, WRITERS - 1)
    rng = np.random.default_rng(SEED)
    sheets = rng.permutation(table["sheet"].max() + 1)
    cuts = {"train": sheets[:80], "test": sheets[80:145], "deployment": sheets[145:]}
    split_of = {int(sheet): split for split, members in cuts.items() for sheet in members}
    table["split"] = table["sheet"].map(split_of)
    trays = rng.choice(["left", "right"], size=len(sheets))
    table["tray"] = trays[table["sheet"]]
    return table


def picture(pixels: np.ndarray) -> Image.Image:
    """A digit as ink on paper, 32x32."""
    paper = 255 - (pixels / 16 * 235).astype(np.uint8)
    return Image.fromarray(paper, mode="L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def scanned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same digit from a worn flatbed scanner: skewed, soft, grey, noisy."""
    skewed = image.rotate(rng.normal(0, 18), resample=Image.Resampling.BICUBIC, fillcolor=250)
    soft = skewed.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 2.0)))
    pixels = np.asarray(soft, dtype=float) * rng.uniform(0.4, 0.65) + rng.uniform(20, 60)
    pixels += rng.normal(0, 20, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), mode="L")


def write_images(table: pd.DataFrame) -> None:
    """Images and one manifest a split."""
    pixels = load_digits().images
    rng = np.random.default_rng(SEED)
    files = []
    for i, row in enumerate(table.itertuples()):
        image = picture(pixels[i])
        if row.split == "deployment":
            image = scanned(image, rng)
        name = f"{row.split}/{i:04d}.png"
        path = WORLD / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        files.append(name)
    table = table.assign(
        file=files,
        label=table["digit"].astype(str),
        sheet="sheet-" + table["sheet"].astype(str).str.zfill(3),
        writers="run-" + (table["writers"] + 1).astype(str),
    )
    for split, part in table.groupby("split"):
        columns = ["file", "label", "sheet", "writers", "tray"]
        part[columns].to_csv(WORLD / f"{split}.csv", index=False)


class DigitNet(torch.nn.Module):
    """Three convolutions, one residual link, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.second = torch.nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.third = torch.nn.Conv2d(32, 32, 3, padding=1)
        self.pool = torch.nn.AdaptiveAvgPool2d(4)
        self.last = torch.nn.Linear(32 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x))
        x = x + torch.relu(self.third(x))
        return self.last(torch.flatten(self.pool(x), 1))


def load_split(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the spec feeds them (grey, 0-1) and labels."""
    manifest = pd.read_csv(WORLD / f"{split}.csv")
    stack = [np.asarray(Image.open(WORLD / "images" / f), np.float32) for f in manifest["file"]]
    return torch.from_numpy(np.stack(stack)[:, None] / 255), torch.tensor(manifest["label"])


def train() -> DigitNet:
    """Train for 30 epochs; the same seed gives the same weights on the same machine."""
    torch.manual_seed(SEED)
    images, labels = load_split("train")
    net = DigitNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=30 * 13)
    for _ in range(30):
        for batch in torch.randperm(len(labels)).split(64):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                net(images[batch]), labels[batch], label_smoothing=0.02
            )
            loss.backward()
            optimiser.step()
            if schedule.last_epoch < schedule.total_steps - 1:
                schedule.step()
    return net.eval()


def export(net: DigitNet) -> None:
    """The net as ONNX, with a free batch dimension."""
    from torch.export import Dim

    torch.onnx.export(
        net,
        (torch.zeros(2, 1, SIDE, SIDE),),
        str(WORLD / "model.onnx"),
        dynamo=True,
        dynamic_shapes={"x": {0: Dim("n", min=1, max=4096)}},
        input_names=["x"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )


def main() -> None:
    shutil.rmtree(WORLD, ignore_errors=True)
    WORLD.mkdir(parents=True)
    write_images(rows())
    net = train()
    for split in ("train", "test", "deployment"):
        images, labels = load_split(split)
        with torch.inference_mode():
            accuracy = (net(images).argmax(1) == labels).float().mean().item()
        print(f"{split}: accuracy {accuracy:.3f} on {len(labels)} images")
    export(net)
    for name in ("audit.yaml", "declarations.yaml"):
        if (HERE / name).exists():
            shutil.copy(HERE / name, WORLD / name)


if __name__ == "__main__":
    main()
