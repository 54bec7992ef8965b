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


def test_a_hard_slice_is_judged_apart() -> None:
    metric = SaliencyMetric(0.5, "hard_iou", hard_slice=True)
    logits = torch.cat((picture(9, -9), picture(-9, 9), picture(-9, 9)))
    truth = torch.cat((picture(1, 0), picture(1, 0), picture(0, 1)))
    flags = torch.tensor([0.0, 1.0, 1.0])[:, None, None, None].expand_as(truth)
    metric.update(logits, torch.cat((truth, flags), dim=1))
    assert metric.primary == "hard_iou"
    assert metric.compute()["iou"] == 1.0
    assert metric.compute()["hard_iou"] == pytest.approx(0.5)
    assert metric.per_sample()["iou"] == [1.0]
    assert metric.per_sample()["hard_iou"] == [0.0, 1.0]


def test_a_slice_without_an_image_is_nan() -> None:
    metric = SaliencyMetric(0.5, "hard_iou", hard_slice=True)
    metric.update(picture(9, -9), torch.cat((picture(1, 0), picture(0, 0)), dim=1))
    assert math.isnan(metric.compute()["hard_iou"])
