"""From a map to encoder offsets: means over blocks, and one mapping for every encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError

__all__ = ["OffsetRange", "parse_offset_range"]

MAX_OFFSET = 51
"""Steps that H.264 and HEVC count their quantiser in."""


@dataclass(frozen=True)
class OffsetRange:
    """The least and the greatest offset, in quantiser steps of H.264 (0 to 51): low <= 0 <= high.

    Below 0 is finer, above 0 coarser. Offsets are whole multiples of ``step``.
    """

    low: int = -6
    high: int = 6
    step: int = 1

    def offsets(self, means: NDArray[np.float64], centre: float) -> NDArray[np.int64]:
        """Map means, 0 to 1, to offsets of the same shape.

        ``-(mean - centre) * (high - low)``, to the nearest multiple of ``step`` with a half towards
        0, and clipped to the greatest multiple within the range. Where nothing is clipped, the
        offsets average to 0 before rounding, if ``centre`` is the average of the means.
        """
        exact = -(means - centre) * (self.high - self.low) / self.step
        whole = np.sign(exact) * np.ceil(np.abs(exact) - 0.5)
        most, least = math.floor(self.high / self.step), math.ceil(self.low / self.step)
        clipped: NDArray[np.int64] = np.clip(whole, least, most).astype(np.int64) * self.step
        return clipped

    def with_levels(self, levels: int) -> OffsetRange:
        """Return this range with the least step that leaves at most ``levels`` different offsets."""
        step = next(
            step
            for step in range(self.step, MAX_OFFSET * 2 + 1)
            if math.floor(self.high / step) - math.ceil(self.low / step) < levels
        )
        return OffsetRange(self.low, self.high, step)


def parse_offset_range(text: str) -> OffsetRange:
    """Return the range of a text such as ``-6:6``.

    Raises:
        ConfigError: it is no such text, or not -51 <= low <= 0 <= high <= 51 with low below high.
    """
    low, _, high = text.partition(":")
    try:
        found = OffsetRange(int(low), int(high))
    except ValueError:
        found = OffsetRange(1, 0)
    if not -MAX_OFFSET <= found.low <= 0 <= found.high <= MAX_OFFSET or found.low == found.high:
        raise ConfigError(
            "--roi-range",
            expected=f"LOW:HIGH, whole numbers with -{MAX_OFFSET} <= LOW <= 0 <= HIGH <= {MAX_OFFSET}",
            found=repr(text),
            next_step="give for instance -6:6",
        )
    return found
