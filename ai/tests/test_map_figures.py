from __future__ import annotations

import numpy as np
import pytest

from vmaf_train.map_figures import block_means, map_change


def test_a_block_is_the_mean_of_its_pixels_and_one_cut_off_of_those_it_has() -> None:
    values = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
    means = block_means(values, 4)
    assert means.shape == (2, 2)
    assert means[0, 0] == values[:4, :4].mean()
    assert means[0, 1] == values[:4, 4:].mean()
    assert means[1, 0] == values[4:, :4].mean()
    assert means[1, 1] == values[4:, 4:].mean()


def test_a_frame_smaller_than_a_block_is_one_block() -> None:
    assert block_means(np.ones((3, 5), dtype=np.bool_), 64).tolist() == [[1.0]]


def test_a_change_is_the_mean_absolute_difference() -> None:
    before = np.array([[0, 1], [0.5, 0.5]], dtype=np.float32)
    after = np.array([[0, 0.5], [0.5, 1]], dtype=np.float32)
    assert map_change(before, after) == 0.25
    assert map_change(before, before) == 0.0
    with pytest.raises(ValueError, match="shapes"):
        map_change(before, after[:1])
