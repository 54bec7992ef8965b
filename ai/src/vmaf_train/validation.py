"""The task's metrics over samples that the network was not trained on."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from vmaf_train.hardware import Hardware
from vmaf_train.loader import VALIDATION_EPOCH, BatchLoader
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.task import MergingMetric, Samples, Task

__all__ = ["validate"]


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
    computed = {key: float(value) for key, value in metric.compute().items()}
    return computed if finite else dict.fromkeys(computed, math.nan)
