"""The task's metrics over samples that the network was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from vmaf_train.errors import ContractError
from vmaf_train.hardware import Hardware
from vmaf_train.intervals import figures
from vmaf_train.loader import VALIDATION_EPOCH, BatchLoader
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.run_record import Figure
from vmaf_train.task import MergingMetric, Metric, SampledMetric, Samples, Task
from vmaf_train.task_checks import checked_metrics

__all__ = ["sample_counts", "validate", "validate_with_intervals"]


def validate_with_intervals(
    network: nn.Module, task: Task, samples: Samples, batch_size: int, hardware: Hardware
) -> tuple[dict[str, float], dict[str, Figure], dict[str, int]]:
    """Return what :func:`validate` does, with 95 % intervals and the number of samples of each metric.

    A metric has an interval if it is a finite number and none of its samples is infinite.

    Raises:
        ContractError: the values of the samples are not those that the metric is the mean of.
    """
    metric, finite = _accumulated(network, task, samples, batch_size, hardware, ALONE)
    metrics = _computed(metric, finite)
    intervals: dict[str, Figure] = {}
    for key, values in metric.per_sample().items() if isinstance(metric, SampledMetric) else ():
        _require_its_mean(key, values, metrics.get(key, math.nan), len(samples))
        if math.isfinite(metrics.get(key, math.nan)) and not np.isinf(values).any():
            intervals |= figures({key: np.asarray(values, np.float64)[:, None]})
    return metrics, intervals, sample_counts(metric)


def _require_its_mean(key: str, values: Sequence[float], metric: float, count: int) -> None:
    """Refuse values of which the card would tell another figure than the gate saw."""
    each = np.asarray(values, np.float64)
    mean = float(np.nanmean(each)) if each.ndim == 1 and not np.isnan(each).all() else math.nan
    same = math.isclose(mean, metric, rel_tol=1e-3, abs_tol=1e-6) or not math.isfinite(metric)
    if each.ndim != 1 or len(each) > count or not same:
        raise ContractError(
            f"the task's metric {key}",
            expected=f"per_sample() to return values of the {count} samples whose mean is {metric:.6g}",
            found=f"{list(each.shape)} values, mean {mean:.6g}",
            next_step="correct per_sample(), or leave out what is no mean over samples",
        )


def sample_counts(metric: Metric) -> dict[str, int]:
    """Return how many samples have a value for each metric, of those metrics that tell it."""
    if not isinstance(metric, SampledMetric):
        return {}
    return {key: int(np.count_nonzero(~np.isnan(values))) for key, values in metric.per_sample().items()}


def validate(
    network: nn.Module,
    task: Task,
    samples: Samples,
    batch_size: int,
    hardware: Hardware,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Return the task's metrics over all ``samples``, each counted once, in the given precision.

    Several processes each measure a part and merge their accumulators, in the order of the samples.

    A non-finite output makes every metric NaN: a comparison with NaN is false and would
    otherwise count as an ordinary wrong answer.
    """
    return _computed(*_accumulated(network, task, samples, batch_size, hardware, ranks))


def _accumulated(
    network: nn.Module, task: Task, samples: Samples, batch_size: int, hardware: Hardware, ranks: Ranks
) -> tuple[Metric, bool]:
    """The task's metric with all samples in it, and whether every output was finite."""
    loader = BatchLoader(samples, batch_size, 0, train=False, ranks=ranks)
    metric = task.metric()
    network.eval()
    finite = True
    with torch.inference_mode():
        for batch, target in loader.epoch(VALIDATION_EPOCH):
            with hardware.autocast():
                output = network(hardware.place(batch))
            output = output.float()
            finite = finite and bool(torch.isfinite(output).all())
            metric.update(output, target.to(hardware.device))
    finite = all(ranks.gather(finite))
    metric, *others = ranks.gather(metric)
    for other in others:
        cast("MergingMetric", metric).merge(other)
    return metric, finite


def _computed(metric: Metric, finite: bool) -> dict[str, float]:
    computed = checked_metrics(metric.primary, metric.compute())
    return computed if finite else dict.fromkeys(computed, math.nan)
