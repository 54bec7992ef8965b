"""The learning rate of each step."""

from __future__ import annotations

import math
from itertools import pairwise

from vmaf_train.config import OptimiserConfig, ScheduleConfig

__all__ = ["learning_rate"]


def learning_rate(
    optimiser: OptimiserConfig, schedule: ScheduleConfig, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """Return the rate of the step with index ``step`` (0 is the first of the run)."""
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return optimiser.lr * (step + 1) / (warmup + 1)
    if schedule.name == "constant":
        return optimiser.lr
    bounds = [epoch * steps_per_epoch for epoch in (0, *schedule.ends(epochs))]
    start, end = next((pair for pair in pairwise(bounds) if step < pair[1]), (bounds[-2], bounds[-1]))
    begin = start or warmup
    progress = (step - begin) / max(end - begin, 1)
    fraction = schedule.final_fraction
    return optimiser.lr * (fraction + (1.0 - fraction) * 0.5 * (1.0 + math.cos(math.pi * progress)))
