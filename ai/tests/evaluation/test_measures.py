from __future__ import annotations

import sys

import numpy as np
import py_sod_metrics
import pytest

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.evaluation.measures import iou, measure

HALF = np.array([[True, True, False, False]] * 2)
STEPS = np.array([[1.0, 0.6, 0.4, 0.0]] * 2, dtype=np.float32)


def test_a_map_of_four_steps_has_the_values_that_a_hand_computes() -> None:
    found = measure(STEPS, HALF)
    assert found.iou == 1.0
    assert found.mae == pytest.approx((0.0 + 0.4 + 0.4 + 0.0) / 4)
    # Levels of the map: 255, 153, 102 and 0; at each threshold, what is at least that is shown.
    for level, precision, recall in ((0, 1 / 2, 1), (1, 2 / 3, 1), (102, 2 / 3, 1), (103, 1, 1)):
        assert found.precision[level] == pytest.approx(precision)
        assert found.recall[level] == pytest.approx(recall)
        assert found.f[level] == pytest.approx(1.3 * precision * recall / (0.3 * precision + recall))
    for level in (154, 255):
        assert (found.precision[level], found.recall[level]) == (1.0, 0.5)
        assert found.f[level] == pytest.approx(1.3 * 0.5 / (0.3 + 0.5))
    by_hand = (0.65 / 1.15 + 102 * (1.3 * 2 / 3) / 1.2 + 51 + 102 * 0.65 / 0.8) / 256
    assert found.f.mean() == pytest.approx(by_hand)
    # E divides by one pixel less than there are: full agreement is 8/7, an empty map a quarter of it.
    assert found.e[103] == pytest.approx(8 / 7)
    assert found.e[0] == pytest.approx(2 / 7)


def test_the_truth_itself_is_a_perfect_map() -> None:
    truth = np.zeros((20, 30), dtype=np.bool_)
    truth[5:14, 8:21] = True
    found = measure(truth.astype(np.float32), truth)
    assert (found.iou, found.mae, found.f[255], found.f[1]) == (1.0, 0.0, 1.0, 1.0)
    assert found.s == pytest.approx(1.0)
    assert found.f_weighted == pytest.approx(1.0)


def test_the_opposite_of_the_truth_is_the_worst_map() -> None:
    truth = np.zeros((20, 30), dtype=np.bool_)
    truth[:, :15] = True
    found = measure(1 - truth.astype(np.float32), truth)
    assert (found.iou, found.mae, found.f[128]) == (0.0, 1.0, 0.0)
    assert found.s == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(4))
def test_every_measure_is_what_the_library_gives_when_called_directly(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random((23 + seed, 31)) < 0.3
    values = np.clip(0.5 * truth + 0.6 * random.random(truth.shape), 0, 1).astype(np.float32)
    found = measure(values, truth)
    fed = values.astype(np.float64)
    with pytest.warns(UserWarning, match="please use FmeasureV2"):
        f = py_sod_metrics.Fmeasure(beta=0.3)
    overlap = py_sod_metrics.FmeasureV2(
        {
            "iou": py_sod_metrics.IOUHandler(
                with_dynamic=False, with_adaptive=False, with_binary=True, sample_based=True
            )
        }
    )
    s, e = py_sod_metrics.Smeasure(), py_sod_metrics.Emeasure()
    weighted, mae = py_sod_metrics.WeightedFmeasure(), py_sod_metrics.MAE()
    for judge in (f, overlap, s, e, weighted, mae):
        judge.step(fed, truth, normalize=False)
    assert not np.any(values == 0.5)  # there alone the two rules for IoU differ
    assert found.iou == pytest.approx(overlap.get_results()["iou"]["binary"])
    assert found.s == s.get_results()["sm"]
    assert found.f_weighted == weighted.get_results()["wfm"]
    assert found.mae == mae.get_results()["mae"]
    assert np.array_equal(found.e[::-1], e.get_results()["em"]["curve"])
    assert np.allclose(found.f[::-1], f.get_results()["fm"]["curve"], atol=1e-15)
    assert np.array_equal(found.precision[::-1], f.get_results()["pr"]["p"])
    assert np.array_equal(found.recall[::-1], f.get_results()["pr"]["r"])


def test_a_pixel_at_the_threshold_is_foreground_as_in_the_gate() -> None:
    assert measure(np.full((2, 4), 0.5, dtype=np.float32), HALF).iou == 0.5


def test_agreement_on_emptiness_is_full_overlap() -> None:
    empty = np.zeros((4, 4), dtype=np.bool_)
    assert iou(empty, empty) == 1.0
    found = measure(np.zeros((4, 4), dtype=np.float32), empty)
    assert (found.iou, found.f_weighted, found.s) == (1.0, 0.0, 1.0)
    assert found.f.max() == 0.0


@pytest.mark.parametrize("place", [(slice(None), -1), (-1, slice(None)), (-1, -1)])
def test_foreground_at_the_last_edge_alone_has_a_structure_measure(place: tuple[object, object]) -> None:
    truth = np.zeros((9, 7), dtype=np.bool_)
    truth[place] = True  # type: ignore[index]
    assert measure(truth.astype(np.float32), truth).s == pytest.approx(1.0, abs=0.01)
    random = np.random.default_rng(3).random(truth.shape).astype(np.float32)
    assert 0 <= measure(random, truth).s <= 1


@pytest.mark.parametrize("truth", [np.ones((1, 1), dtype=np.bool_), np.ones((2, 3), dtype=np.bool_)])
def test_a_single_pixel_and_another_size_are_refused(truth: np.ndarray[tuple[int, int], np.dtype]) -> None:
    shape = (1, 1) if truth.size == 1 else (3, 2)
    with pytest.raises(DataError, match="the same size, at least two pixels"):
        measure(np.zeros(shape, dtype=np.float32), truth)


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    with pytest.raises(ConfigError, match=r"^evaluation: expected the package pysodmetrics, .*\[eval\]"):
        measure(STEPS, HALF)
