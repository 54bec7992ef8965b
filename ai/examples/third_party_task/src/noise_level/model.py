"""What to learn, and how good an answer is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from noise_level.data import STRONGEST

__all__ = ["NoiseMetric", "NoiseNet"]


class NoiseNet(nn.Module):
    """Fine detail, its mean strength around each pixel, and a reading of it: logits of the map."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.smooth = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.filters = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.around = nn.AvgPool2d(9, stride=1, padding=4, count_include_pad=False)
        self.reading = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, luma: Tensor) -> Tensor:
        """Turn luma ``[N, 1, H, W]`` in 0..1 into logits of the same shape."""
        detail = 10.0 * (luma - self.smooth(luma))
        logits: Tensor = self.reading(self.around(self.filters(detail)))
        return logits


class NoiseMetric:
    """Over all frames, the mean of the found map against the mean of the true one.

    ``r2``: share of the truth's variance that is explained; 1 is perfect, a constant guess 0.
    ``error``: mean absolute error in 8-bit steps of the noise's standard deviation.
    """

    primary = "r2"

    def __init__(self) -> None:
        self._found: list[Tensor] = []
        self._truth: list[Tensor] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        """Add a batch of logits and of true maps, both ``[N, 1, H, W]``."""
        self._found.append(torch.sigmoid(output).mean(dim=(1, 2, 3)).double().cpu())
        self._truth.append(target.mean(dim=(1, 2, 3)).double().cpu())

    def merge(self, other: NoiseMetric) -> None:
        """Add the frames of ``other`` after these; needed by a run of several processes alone."""
        self._found += other._found
        self._truth += other._truth

    def compute(self) -> dict[str, float]:
        """Return both figures; NaN where there is nothing to measure."""
        if not self._truth:
            return {"r2": math.nan, "error": math.nan}
        found, truth = torch.cat(self._found), torch.cat(self._truth)
        spread = (truth - truth.mean()).square().sum()
        unexplained = (truth - found).square().sum()
        error = (truth - found).abs().mean() * STRONGEST
        return {"r2": float(1.0 - unexplained / spread), "error": float(error)}
