from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmaf_train.errors import ConfigError
from vmaf_train.prediction.blocks import OffsetRange, parse_offset_range


def test_the_average_block_keeps_its_quantiser_and_one_above_it_gets_a_finer_one() -> None:
    means = np.array([0.2, 0.4, 0.7, 0.0, 1.0])
    assert OffsetRange(-10, 10).offsets(means, 0.4).tolist() == [4, 0, -6, 8, -10]


def test_a_map_without_contrast_moves_nothing() -> None:
    assert OffsetRange(-51, 51).offsets(np.full((3, 3), 0.3), 0.3).tolist() == [[0] * 3] * 3


def test_a_half_goes_towards_no_change_and_steps_keep_zero_and_the_range() -> None:
    means = np.array([0.5 - 1 / 16, 0.5 + 1 / 16, 0.5 + 1 / 15])
    assert OffsetRange(-4, 4).offsets(means, 0.5).tolist() == [0, 0, -1]
    assert OffsetRange(-7, 5, 2).offsets(np.array([0.0, 1.0]), 0.5).tolist() == [4, -6]


bounds = st.tuples(st.integers(-51, 0), st.integers(0, 51)).filter(lambda pair: pair[0] != pair[1])


@given(bounds, st.integers(1, 8), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_offsets_fall_as_means_rise_and_have_few_levels_within_the_range(
    pair: tuple[int, int], levels: int, means: list[float]
) -> None:
    within = OffsetRange(*pair).with_levels(levels)
    array = np.array(sorted(means))
    offsets = within.offsets(array, float(array.mean()))
    assert np.all(np.diff(offsets) <= 0)
    assert offsets.min() >= pair[0]
    assert offsets.max() <= pair[1]
    assert np.all(offsets % within.step == 0)
    everything = within.offsets(np.linspace(-3, 3, 2001), 0.0)
    assert len(set(everything.tolist())) <= levels
    assert within.step == 1 or len(set(OffsetRange(*pair).offsets(np.linspace(-3, 3, 2001), 0.0))) > levels


def test_a_range_is_read_or_refused() -> None:
    assert parse_offset_range("-6:6") == OffsetRange(-6, 6)
    assert parse_offset_range("-51:0") == OffsetRange(-51, 0)
    for text in (
        "",
        "6",
        "-6",
        "-6:",
        ":6",
        "6:-6",
        "0:0",
        "1:6",
        "-6:-1",
        "-52:6",
        "-6:52",
        "-1.5:1",
        "a:b",
    ):
        with pytest.raises(ConfigError, match="--roi-range"):
            parse_offset_range(text)
