"""The team's network: a small residual net for photos of 160x120 pixels."""

from __future__ import annotations

import itertools

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions with a residual link."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.link = nn.Conv2d(channels, out, 1, stride, bias=False)
        self.norm3 = nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm1(self.first(x)))
        return torch.relu(self.norm2(self.second(y)) + self.norm3(self.link(x)))


class RoomNet(nn.Module):
    """Photos as N x 3 x 120 x 160 in 0-1, less .5, over .25; gives three logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(24)
        widths = (24, 40, 72, 112, 160)
        self.blocks = nn.Sequential(*(Block(a, b, 2) for a, b in itertools.pairwise(widths)))
        self.head = nn.Linear(160, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = self.blocks(x)
        return self.head(torch.amax(x, dim=(2, 3)) * 0.5 + torch.mean(x, dim=(2, 3)))


def room_net() -> RoomNet:
    """The network without its weights, as `architecture: network:room_net` asks for it."""
    return RoomNet()
