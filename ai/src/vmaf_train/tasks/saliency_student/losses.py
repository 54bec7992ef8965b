"""Binary cross entropy plus Dice, from logits, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vmaf_train.errors import DataError
from vmaf_train.tasks.saliency_student.config import LossConfig

__all__ = ["bce_dice_loss"]


def bce_dice_loss(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return the scalar float32 loss of ``logits`` against ``target``, both ``[N, 1, H, W]``.

    ``bce_weight * mean BCE + dice_weight * mean over images of (1 - Dice)``, where
    ``Dice = (2 sum(p t) + s) / (sum(p) + sum(t) + s)`` over each image's pixels
    (Milletari et al., "V-Net", 3DV 2016) and ``s`` is ``dice_smoothing``.

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
    bce = functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum(dim=(1, 2, 3))  # [N]
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    dice = (2.0 * overlap + config.dice_smoothing) / (total + config.dice_smoothing)
    return config.bce_weight * bce + config.dice_weight * (1.0 - dice).mean()
