"""The map as an encoder's blocks see it: block means against block truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmaf_train.evaluation.measures import IOU_THRESHOLD, iou
from vmaf_train.map_figures import block_means

__all__ = ["BLOCK_SIZES", "BlockMeasures", "measure_blocks"]

BLOCK_SIZES = (16, 64)
"""Sides of the macroblock of H.264 and of the largest coding unit of HEVC."""


@dataclass(frozen=True)
class BlockMeasures:
    """The measures of one frame.

    Attributes:
        iou: of the blocks whose mean is at least 0.5, in the map and in the truth.
        rank: Spearman's correlation of the means, -1..1; NaN where either has one value only, and
            so no order.
    """

    iou: float
    rank: float


def measure_blocks(values: NDArray[np.floating], truth: NDArray[np.bool_], side: int) -> BlockMeasures:
    """Compare the block means of a map ``[H, W]`` of 0..1 with those of its truth ``[H, W]``."""
    from scipy.stats import rankdata

    shown, wanted = block_means(values, side), block_means(truth, side)
    rank = math.nan
    if np.ptp(shown) > 0 and np.ptp(wanted) > 0:
        # Spearman's correlation is Pearson's of the ranks, ties at their mean rank.
        ranks = [rankdata(means, axis=None) for means in (shown, wanted)]
        rank = float(np.corrcoef(*ranks)[0, 1])
    return BlockMeasures(iou(shown >= IOU_THRESHOLD, wanted >= IOU_THRESHOLD), rank)
