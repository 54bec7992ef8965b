from __future__ import annotations

import numpy as np
import pytest

from vmaf_train import intervals
from vmaf_train.intervals import differences, figures

RANDOM = np.random.default_rng(1)
SCORES = RANDOM.random((400, 1))


def test_the_value_is_the_mean_and_the_interval_that_of_a_mean() -> None:
    figure = figures({"a": SCORES})["a"]
    assert figure.value == pytest.approx(SCORES.mean())
    wide = 1.96 * SCORES.std() / np.sqrt(len(SCORES))
    assert figure.low == pytest.approx(SCORES.mean() - wide, abs=0.005)
    assert figure.high == pytest.approx(SCORES.mean() + wide, abs=0.005)


def test_of_curves_it_is_the_largest_mean_and_each_draw_finds_its_own() -> None:
    curves = RANDOM.random((50, 7))
    figure = figures({"a": curves})["a"]
    assert figure.value == pytest.approx(curves.mean(axis=0).max())
    random = np.random.default_rng(intervals.SEED)
    largest = []
    for _ in range(intervals.DRAWS // 100):
        for weights in random.multinomial(50, np.full(50, 1 / 50), size=100):
            largest.append(np.repeat(curves, weights, axis=0).mean(axis=0).max())
    assert (figure.low, figure.high) == pytest.approx(tuple(np.percentile(largest, (2.5, 97.5))))


def test_the_same_numbers_give_the_same_interval() -> None:
    assert figures({"a": SCORES})["a"] == figures({"b": SCORES * 2, "a": SCORES.copy()})["a"]


def test_a_difference_is_paired_and_so_narrower_than_its_parts() -> None:
    better = SCORES + 0.01 + 0.001 * RANDOM.standard_normal(SCORES.shape)
    figure = differences({"a": better}, {"a": SCORES})["a"]
    alone = figures({"a": SCORES})["a"]
    assert figure.value == pytest.approx((better - SCORES).mean())
    assert figure.low is not None
    assert figure.high is not None
    assert 0.009 < figure.low < figure.high < 0.011
    assert alone.high is not None
    assert alone.low is not None
    assert alone.high - alone.low > 20 * (figure.high - figure.low)


def test_equal_columns_differ_by_nothing() -> None:
    figure = differences({"a": SCORES}, {"a": SCORES.copy()})["a"]
    assert (figure.value, figure.low, figure.high) == (0.0, 0.0, 0.0)


def test_one_picture_has_a_value_and_no_interval() -> None:
    figure = figures({"a": np.array([[0.25]])})["a"]
    assert (figure.value, figure.low, figure.high) == (0.25, None, None)


def test_a_picture_without_a_number_is_left_out_of_that_mean_alone() -> None:
    some = np.array([[0.2], [np.nan], [0.4], [0.6]])
    found = figures({"a": some, "b": np.ones((4, 1)), "none": np.full((4, 1), np.nan)})
    assert found["a"].value == pytest.approx(0.4)
    assert set(found) == {"a", "b"}
    assert found["a"].low is not None
    assert 0.2 <= found["a"].low < 0.4
    assert differences({"none": some}, {"none": np.full((4, 1), np.nan)}) == {}


def test_a_number_of_one_picture_among_others_without_any_has_no_interval() -> None:
    figure = figures({"x": np.array([[0.5], [np.nan], [np.nan], [np.nan]])})["x"]
    assert (figure.value, figure.low, figure.high) == (0.5, None, None)


def test_a_difference_is_of_the_pictures_that_both_have_a_number_for() -> None:
    nan = np.nan
    ours = {
        "x": np.array([[nan], [0.9], [nan], [0.9], [0.9]]),
        "other": np.array([[nan], [1.0], [nan], [nan], [nan]]),
    }
    base = {
        "x": np.array([[0.1], [0.95], [0.1], [0.95], [nan]]),
        "other": np.array([[1.0], [nan], [1.0], [1.0], [1.0]]),
    }
    found = differences(ours, base)
    assert found["x"].value == pytest.approx(-0.05)
    assert (found["x"].low, found["x"].high) == pytest.approx((-0.05, -0.05))
    assert "other" not in found
