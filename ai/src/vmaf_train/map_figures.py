"""What a map is reduced to beside its mean: the means of its blocks, and its change between frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["block_means", "map_change"]


def block_means(values: NDArray[np.generic], block: int) -> NDArray[np.float64]:
    """Return the mean of each block of a map, from the top left.

    Args:
        values: numbers or bools ``[H, W]``.
        block: side of a square block in pixels.

    Returns:
        float64 ``[ceil(H / block), ceil(W / block)]``; a block that the frame's edge cuts counts the
        pixels that are there.
    """
    height, width = values.shape
    tops, lefts = np.arange(0, height, block), np.arange(0, width, block)
    sums = np.add.reduceat(values.astype(np.float64), tops, axis=0)
    sums = np.add.reduceat(sums, lefts, axis=1)
    tall = np.minimum(block, height - tops)
    wide = np.minimum(block, width - lefts)
    means: NDArray[np.float64] = sums / (tall[:, None] * wide[None, :])
    return means


def map_change(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the mean absolute difference of two maps of one shape, 0..1, summed in double.

    Raises:
        ValueError: the shapes differ.
    """
    if before.shape != after.shape:
        raise ValueError(f"maps of shapes {before.shape} and {after.shape}")
    return float(np.abs(after - before).mean(dtype=np.float64))
