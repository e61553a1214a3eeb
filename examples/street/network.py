"""The team's network: a small U-shaped segmenter for frames of 192x144 pixels."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CLASSES = ("path", "pothole", "crack", "debris")


def _step(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


class HazardNet(nn.Module):
    """Frames as N x 3 x 144 x 192 in 0-1, less .5, over .25; logits N x 4 x 72 x 96.

    Four halvings down, three doublings up with links across, so that a logit stands for four
    pixels (stride 2).
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 16, 32, 48)
        self.down = nn.ModuleList(
            nn.Sequential(_step(a, b, 2), _step(b, b))
            for a, b in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            _step(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = []
        for stage in self.down:
            x = stage(x)
            seen.append(x)
        for stage, link in zip(self.up, seen[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(torch.cat([x, link], dim=1))
        return self.head(x)


def hazard_net() -> HazardNet:
    """The network without its weights, as `architecture: network:hazard_net` asks for it."""
    return HazardNet()
