"""Per-image IoU and MAE, accumulated over images and not over batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["SaliencyMetric"]


class SaliencyMetric:
    """Mean over images of IoU at a threshold, and of the absolute error of the map.

    An image of empty truth and empty prediction has IoU 1: both say that nothing stands out.

    Args:
        threshold: map value from which a pixel counts as salient.
        primary: the metric that picks the best epoch, ``iou`` or ``hard_iou``.
        hard_slice: whether targets have a second channel, 1 for images of the hard slice; these
            count for ``hard_iou`` alone.
    """

    def __init__(self, threshold: float, primary: str = "iou", *, hard_slice: bool = False) -> None:
        self.threshold = threshold
        self.primary = primary
        self.hard_slice = hard_slice
        self._iou: list[Tensor] = []
        self._mae: list[Tensor] = []
        self._hard: list[Tensor] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        """Add logits ``[N, 1, H, W]`` and targets in [0, 1], ``[N, 1, H, W]`` or with the slice's channel."""
        truth_map = target[:, :1]
        probability = torch.sigmoid(output.float())
        salient, truth = probability >= self.threshold, truth_map > 0.5
        overlap = (salient & truth).sum(dim=(1, 2, 3)).double()
        union = (salient | truth).sum(dim=(1, 2, 3)).double()
        # 0/0 is the agreement on emptiness.
        self._iou.append(torch.where(union > 0, overlap / union.clamp(min=1), 1.0).cpu())
        self._mae.append((probability - truth_map.float()).abs().mean(dim=(1, 2, 3)).double().cpu())
        hard = target[:, 1, 0, 0] > 0.5 if self.hard_slice else torch.zeros(len(target), dtype=torch.bool)
        self._hard.append(hard.cpu())

    def merge(self, other: SaliencyMetric) -> None:
        """Add the images of ``other`` after these."""
        self._iou += other._iou
        self._mae += other._mae
        self._hard += other._hard

    def compute(self) -> dict[str, float]:
        """Return ``iou`` and ``mae``, with a hard slice also ``hard_iou``; NaN over no image."""
        return {key: _mean(values) for key, values in self._values().items()}

    def per_sample(self) -> dict[str, list[float]]:
        """Return the values of each image behind every key of :meth:`compute`."""
        return {key: values.tolist() for key, values in self._values().items()}

    def _values(self) -> dict[str, Tensor]:
        hard = torch.cat(self._hard) if self._hard else torch.zeros(0, dtype=torch.bool)
        iou = torch.cat(self._iou) if self._iou else torch.zeros(0, dtype=torch.double)
        mae = torch.cat(self._mae) if self._mae else torch.zeros(0, dtype=torch.double)
        found = {"iou": iou[~hard], "mae": mae[~hard]}
        if self.hard_slice:
            found["hard_iou"] = iou[hard]
        return found


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else math.nan
