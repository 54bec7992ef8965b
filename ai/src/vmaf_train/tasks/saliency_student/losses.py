"""Binary cross entropy, Dice and soft IoU, from logits, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vmaf_train.errors import DataError
from vmaf_train.tasks.saliency_student.config import LossConfig

__all__ = ["map_loss", "saliency_loss"]


def saliency_loss(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return the scalar float32 loss of ``logits [N, C, H, W]`` against ``target [N, 1, H, W]``.

    The first channel is the map; each further one, which a network may give while it trains,
    adds ``deep_weight`` times the same loss.

    Raises:
        DataError: the target leaves [0, 1], as a mask on the scale 0..255 does; the loss would
            then be negative or NaN.
    """
    if target.numel() and not (float(target.min()) >= 0.0 and float(target.max()) <= 1.0):
        raise DataError(
            "the loss's target",
            expected="values in [0, 1]",
            found=f"{float(target.min()):g} to {float(target.max()):g}",
            next_step="threshold the mask before the loss",
        )
    logits, target = logits.float(), target.float()
    loss = map_loss(logits[:, :1], target, config)
    if config.deep_weight:
        for channel in range(1, logits.shape[1]):
            loss = loss + config.deep_weight * map_loss(logits[:, channel : channel + 1], target, config)
    return loss


def map_loss(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return the scalar loss of one map, float32 logits and target both ``[N, 1, H, W]``.

    ``bce_weight * mean BCE + dice_weight * mean (1 - Dice) + iou_weight * mean (1 - IoU)``, the
    latter two means over images, where ``Dice = (2 sum(p t) + s) / (sum(p) + sum(t) + s)`` over
    each image's pixels (Milletari et al., "V-Net", 3DV 2016), ``IoU = (sum(p t) + s) /
    (sum(p) + sum(t) - sum(p t) + s)`` (Rahman and Wang, ISVC 2016), and ``s`` is
    ``dice_smoothing``.
    """
    bce = functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum(dim=(1, 2, 3))  # [N]
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    smoothing = config.dice_smoothing
    dice = (2.0 * overlap + smoothing) / (total + smoothing)
    loss = config.bce_weight * bce + config.dice_weight * (1.0 - dice).mean()
    if config.iou_weight:
        loss = loss + config.iou_weight * (1.0 - (overlap + smoothing) / (total - overlap + smoothing)).mean()
    return loss
