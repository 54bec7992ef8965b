"""IoU and MAE are means over images, whatever the batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vmaf_train.tasks.saliency_student.metrics import SaliencyMetric


def picture(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def measured(*pairs: tuple[Tensor, Tensor]) -> dict[str, float]:
    metric = SaliencyMetric(0.5)
    for logits, target in pairs:
        metric.update(logits, target)
    return metric.compute()


def test_iou_by_hand() -> None:
    assert measured((picture(9, 9, -9, -9), picture(1, 0, 1, 0)))["iou"] == pytest.approx(1 / 3)


def test_a_pixel_at_the_threshold_counts_as_salient() -> None:
    assert measured((picture(0.0), picture(1.0)))["iou"] == 1.0


def test_the_mean_is_over_images_and_not_over_batches() -> None:
    good, bad = (picture(9, -9), picture(1, 0)), (picture(-9, 9), picture(1, 0))
    joined = (torch.cat((good[0], good[0], bad[0])), torch.cat((good[1], good[1], bad[1])))
    assert measured(joined)["iou"] == pytest.approx(2 / 3)
    assert measured(good, (joined[0][1:], joined[1][1:]))["iou"] == pytest.approx(2 / 3)


def test_nothing_found_where_nothing_is_agrees_and_something_does_not() -> None:
    assert measured((picture(-9, -9), picture(0, 0)))["iou"] == 1.0
    assert measured((picture(9, -9), picture(0, 0)))["iou"] == 0.0
    assert measured((picture(-9, -9), picture(1, 0)))["iou"] == 0.0


def test_mae_is_the_mean_distance_of_the_map() -> None:
    assert measured((picture(0.0, 0.0), picture(1, 0)))["mae"] == pytest.approx(0.5)


def test_nothing_measured_is_nan_and_no_perfect_score() -> None:
    assert all(math.isnan(value) for value in measured().values())
