"""Per-image IoU and MAE, accumulated over images and not over batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["SaliencyMetric"]


class SaliencyMetric:
    """Mean over images of IoU at a threshold, and of the absolute error of the map.

    An image of empty truth and empty prediction has IoU 1: both say that nothing stands out.
    """

    primary = "iou"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._iou: list[Tensor] = []
        self._mae: list[Tensor] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        """Add logits and targets in [0, 1], both ``[N, 1, H, W]``."""
        probability = torch.sigmoid(output.float())
        salient, truth = probability >= self.threshold, target > 0.5
        overlap = (salient & truth).sum(dim=(1, 2, 3)).double()
        union = (salient | truth).sum(dim=(1, 2, 3)).double()
        # 0/0 is the agreement on emptiness.
        self._iou.append(torch.where(union > 0, overlap / union.clamp(min=1), 1.0).cpu())
        self._mae.append((probability - target.float()).abs().mean(dim=(1, 2, 3)).double().cpu())

    def compute(self) -> dict[str, float]:
        """Return ``iou`` and ``mae``, each in [0, 1]; NaN when nothing was added."""
        if not self._iou:
            return {"iou": math.nan, "mae": math.nan}
        return {"iou": float(torch.cat(self._iou).mean()), "mae": float(torch.cat(self._mae).mean())}
