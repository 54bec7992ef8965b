from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from vmaf_train.evaluation.blocks import measure_blocks
from vmaf_train.map_figures import block_means


def test_overlap_counts_blocks_of_which_at_least_half_is_shown() -> None:
    truth = np.zeros((4, 8), dtype=np.bool_)
    truth[:, :2] = True  # half of the first of two blocks
    values = np.full((4, 8), 0.49, dtype=np.float32)
    assert measure_blocks(values, truth, 4).iou == 0.0
    values[:, 4:] = 0.5
    assert measure_blocks(values, truth, 4).iou == 0.0
    values[:, :4] = 0.5
    assert measure_blocks(values, truth, 4).iou == 0.5


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    truth = random.random((37, 50)) < 0.4
    truth[:16, :32] = False  # ties
    values = random.random((37, 50)).astype(np.float32)
    wanted = spearmanr(block_means(values, 16).ravel(), block_means(truth, 16).ravel()).statistic
    assert measure_blocks(values, truth, 16).rank == pytest.approx(wanted)


def test_maps_in_the_order_of_the_truth_correlate_fully_and_reversed_ones_inversely() -> None:
    truth = np.zeros((4, 12), dtype=np.bool_)
    truth[:, :3] = True
    truth[:, 4:6] = True
    values = np.repeat([[0.9, 0.5, 0.1]], 4, axis=1).repeat(4, axis=0).astype(np.float32)
    assert measure_blocks(values, truth, 4).rank == pytest.approx(1.0)
    assert measure_blocks(1 - values, truth, 4).rank == pytest.approx(-1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_truth_without_an_order_has_no_correlation(share: float) -> None:
    values = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    assert math.isnan(measure_blocks(values, np.full((8, 8), bool(share)), 4).rank)
