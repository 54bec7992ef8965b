from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from toy import Agreement, ToyConfig, ToySamples, ToyTask
from vmaf_train.config_files import load_config
from vmaf_train.hardware import choose_hardware
from vmaf_train.loader import VALIDATION_EPOCH, sample_stream
from vmaf_train.validation import sample_counts, validate, validate_with_intervals

SAMPLES = ToySamples(40)


class Sampled(Agreement):
    """Agreement as a mean over pictures; ``rare`` has a value for few of them, ``peak`` an infinite one."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        super().update(output, target)
        self.values += ((output > 0) == (target > 0.5)).double().mean(dim=(1, 2, 3)).tolist()

    def per_sample(self) -> Mapping[str, list[float]]:
        peak, never = [1.0, math.inf], [math.nan] * 3
        return {"agreement": self.values, "rare": self.values[:2], "peak": peak, "never": never, "none": []}

    def compute(self) -> dict[str, float]:
        rare = sum(self.values[:2]) / 2
        return {**super().compute(), "rare": rare, "peak": math.inf, "never": math.nan, "none": math.nan}


class SampledTask(ToyTask):
    def metric(self) -> Agreement:
        return Sampled()


class Guess(nn.Module):
    """Says that bright is where the red channel is; with a fault, NaN."""

    def __init__(self, fault: float = 0.0) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, batch: Tensor) -> Tensor:
        return batch[:, :1] - 0.5 + self.fault


def measured(task: ToyTask, network: nn.Module) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    hardware = choose_hardware(load_config(ToyConfig).fit)
    metrics, intervals, _ = validate_with_intervals(network, task, SAMPLES, 7, hardware)
    assert metrics == pytest.approx(validate(network, task, SAMPLES, 7, hardware), nan_ok=True)
    assert all(item.low is not None and item.high is not None for item in intervals.values())
    return metrics, {key: (item.low or 0.0, item.high or 0.0) for key, item in intervals.items()}


def test_a_mean_over_samples_comes_with_the_interval_that_other_samples_would_give() -> None:
    metrics, intervals = measured(SampledTask(load_config(ToyConfig)), Guess())
    assert set(intervals) == {"agreement", "rare"}
    low, high = intervals["agreement"]
    assert low < metrics["agreement"] < high
    values = Sampled()
    batch, target = SAMPLES.batch(range(40), [sample_stream(0, VALIDATION_EPOCH, item) for item in range(40)])
    values.update(Guess()(batch), target)
    spread = torch.tensor(values.values).std().item() / math.sqrt(40)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_a_metric_without_values_per_sample_has_neither_interval_nor_count() -> None:
    assert measured(ToyTask(load_config(ToyConfig)), Guess())[1] == {}
    assert sample_counts(Agreement()) == {}


def test_each_metric_is_told_with_the_number_of_samples_that_it_counts() -> None:
    hardware = choose_hardware(load_config(ToyConfig).fit)
    task = SampledTask(load_config(ToyConfig))
    counts = validate_with_intervals(Guess(), task, SAMPLES, 7, hardware)[2]
    assert counts == {"agreement": 40, "rare": 2, "peak": 2, "never": 0, "none": 0}


def test_an_output_that_is_no_number_leaves_neither_metric_nor_interval() -> None:
    metrics, intervals = measured(SampledTask(load_config(ToyConfig)), Guess(math.nan))
    assert math.isnan(metrics["agreement"])
    assert intervals == {}
