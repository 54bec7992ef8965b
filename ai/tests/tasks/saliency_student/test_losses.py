"""BCE plus Dice by hand, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from vmaf_train.errors import DataError
from vmaf_train.tasks.saliency_student.config import LossConfig
from vmaf_train.tasks.saliency_student.losses import saliency_loss


def test_two_pixels_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    # BCE ln 2; Dice (2 * 0.5 + 1) / (1 + 1 + 1) = 2/3.
    expected = math.log(2.0) + (1.0 - 2.0 / 3.0)
    assert float(saliency_loss(logits, target, LossConfig())) == pytest.approx(expected, rel=1e-6)


def test_dice_is_a_mean_over_images_and_not_over_the_batch() -> None:
    good, bad = torch.full((1, 1, 2, 2), 20.0), torch.full((1, 1, 2, 2), -20.0)
    target = torch.ones(1, 1, 2, 2)
    config = LossConfig(bce_weight=0.0)
    both = saliency_loss(torch.cat((good, bad)), torch.cat((target, target)), config)
    each = [float(saliency_loss(logits, target, config)) for logits in (good, bad)]
    assert float(both) == pytest.approx(sum(each) / 2)
    assert each == pytest.approx([0.0, 1.0 - 1.0 / 5.0], abs=1e-6)


def test_an_empty_mask_that_is_found_empty_costs_nothing() -> None:
    logits = torch.full((1, 1, 4, 4), -30.0)
    assert float(saliency_loss(logits, torch.zeros(1, 1, 4, 4), LossConfig())) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("worst", [255.0, -1.0, math.nan])
def test_a_target_that_leaves_0_to_1_is_refused(worst: float) -> None:
    target = torch.tensor([0.0, worst]).reshape(1, 1, 1, 2)
    with pytest.raises(DataError, match=r"the loss's target: expected values in \[0, 1\]"):
        saliency_loss(torch.zeros(1, 1, 1, 2), target, LossConfig())


def test_sharp_logits_in_half_precision_give_a_finite_float32_loss_and_gradient() -> None:
    logits = torch.tensor([120.0, -120.0]).reshape(1, 1, 1, 2).to(torch.bfloat16).requires_grad_()
    loss = saliency_loss(logits, torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2), LossConfig())
    assert loss.dtype == torch.float32
    loss.backward()  # type: ignore[no-untyped-call]
    assert math.isfinite(float(loss.detach()))
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_soft_iou_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    config = LossConfig(bce_weight=0.0, dice_weight=0.0, iou_weight=2.0)
    # Overlap 0.5, union 1.5, smoothing 1.
    assert float(saliency_loss(logits, target, config)) == pytest.approx(2.0 * (1.0 - 1.5 / 2.5))


def test_further_channels_cost_what_the_map_costs_times_their_weight() -> None:
    good, bad = torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), -3.0)
    target = torch.ones(1, 1, 2, 2)
    alone = [float(saliency_loss(logits, target, LossConfig())) for logits in (good, bad)]
    both = torch.cat((good, bad), dim=1)
    assert float(saliency_loss(both, target, LossConfig())) == pytest.approx(alone[0])
    weighted = float(saliency_loss(both, target, LossConfig(deep_weight=0.5)))
    assert weighted == pytest.approx(alone[0] + 0.5 * alone[1])
