"""The team's detector: a small anchor-free network with boxes at two strides.

Its output is that of YOLOX before decoding (Ge et al. 2021, arXiv:2107.08430): a row a cell, of
offsets, logarithms of sizes, objectness and class scores.
"""

from __future__ import annotations

import torch
from torch import nn

CLASSES = 4
STRIDES = (8, 16)


class Unit(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Block(nn.Module):
    """Half the resolution, then two convolutions around a link."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = Unit(inputs, outputs, stride=2)
        self.first = Unit(outputs, outputs)
        self.second = Unit(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(x)
        return x + self.second(self.first(x))


class Answers(nn.Module):
    """Boxes and scores of one stride, from its features: (n, cells, 5 + classes)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.box = Unit(inputs, width)
        self.score = Unit(inputs, width)
        self.to_box = nn.Conv2d(width, 4, 1)
        self.to_score = nn.Conv2d(width, 1 + CLASSES, 1)
        nn.init.constant_(self.to_score.bias, -4.0)  # objects are rare among cells

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        box, score = self.to_box(self.box(x)), self.to_score(self.score(x))
        if not self.training:
            score = torch.sigmoid(score)
        return torch.cat([box, score], 1).flatten(2).transpose(1, 2)


class PlateNet(nn.Module):
    """Photos as N x 3 x 144 x 192 in 0-1, less .5, over .25; gives N x 540 x 9.

    Scores are logits in training and shares after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, 16, stride=2)
        self.quarter = Block(16, 16)
        self.eighth = Block(16, 32)
        self.sixteenth = Block(32, 40)
        self.around = Unit(40, 40)
        self.lateral = Unit(40, 16, side=1)
        self.rise = nn.Upsample(scale_factor=2, mode="nearest")
        self.fine = Unit(48, 32)
        self.small = Answers(32, 32)
        self.large = Answers(40, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        eighth = self.eighth(self.quarter(self.stem(x)))
        coarse = self.sixteenth(eighth)
        coarse = coarse + self.around(coarse)
        fine = self.fine(torch.cat([eighth, self.rise(self.lateral(coarse))], 1))
        return torch.cat([self.small(fine), self.large(coarse)], 1)


def plate_net() -> PlateNet:
    """The network without its weights, as `architecture: network:plate_net` asks for it."""
    return PlateNet()
