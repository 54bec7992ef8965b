from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.made_models import Answers, opened, toy_pairs
from pairs.made_files import put_pair
from vmaf_train.errors import ContractError
from vmaf_train.evaluation.feed import Feed
from vmaf_train.evaluation.steadiness import PAN_FRAMES, highest_flat_frames, steadiness
from vmaf_train.frames import rgb_to_tensor
from vmaf_train.map_figures import map_change
from vmaf_train.pairs import decode_image, find_pairs


def test_a_model_of_single_pixels_keeps_still_under_a_pan_and_not_under_noise(tmp_path: Path) -> None:
    found = steadiness(opened(tmp_path), Feed(), toy_pairs(tmp_path, 3))
    assert list(found) == [
        "change under noise of 1 level: map",
        "change under noise of 1 level: mean",
        "change under pan by 1 pixel: map",
        "change under pan by 1 pixel: mean",
    ]
    assert all(values.shape == (3, 1) for values in found.values())
    noise, _, pan, _ = found.values()
    assert (pan == 0).all()
    assert ((noise > 0) & (noise < 0.02)).all()


def test_the_figures_are_those_of_the_frames_by_hand(tmp_path: Path) -> None:
    model, pairs = opened(tmp_path), toy_pairs(tmp_path, 2)
    found = steadiness(model, Feed(), pairs)
    rgb = decode_image(pairs[1].image)
    noise = np.random.default_rng((42, 1)).choice((-1, 1), rgb.shape)
    noisy = np.clip(rgb.astype(int) + noise, 0, 255).astype(np.uint8)
    maps = [model.run(rgb_to_tensor(frame))[0, 0] for frame in (rgb, noisy)]
    assert found["change under noise of 1 level: map"][1, 0] == map_change(*maps)
    width = rgb.shape[1] - PAN_FRAMES + 1
    means = [model.run(rgb_to_tensor(rgb[:, i : i + width])).mean() for i in range(PAN_FRAMES)]
    wanted = np.abs(np.diff(np.array(means, dtype=np.float64))).mean()
    assert found["change under pan by 1 pixel: mean"][1, 0] == pytest.approx(wanted)


def test_equal_frames_with_different_maps_are_refused(tmp_path: Path) -> None:
    moody = replace(opened(tmp_path), session=Answers(0.5, 0.6))
    with pytest.raises(ContractError, match=r"0000\.jpg twice: expected equal maps for equal frames"):
        steadiness(moody, Feed(), toy_pairs(tmp_path, 2))


def test_a_picture_too_narrow_to_pan_has_no_such_figure(tmp_path: Path) -> None:
    put_pair(tmp_path, "narrow", 1, h=40, w=PAN_FRAMES)
    found = steadiness(opened(tmp_path), Feed(), find_pairs(tmp_path).pairs)
    assert np.isnan(found["change under pan by 1 pixel: map"]).all()
    assert not np.isnan(found["change under noise of 1 level: map"]).any()


def test_the_flat_frames_that_are_read_as_most_salient_are_found(tmp_path: Path) -> None:
    redder, darker = opened(tmp_path, "first", "1.0, -0.5, -0.25"), opened(tmp_path, "second", "-1, -1, -1")
    (grey, of_grey), (colour, of_colour) = highest_flat_frames(redder)
    assert (grey, colour) == ("#ffffff", "#ff0000")
    red = redder.run(rgb_to_tensor(np.full((4, 4, 3), (255, 0, 0), np.uint8)))
    assert of_grey < of_colour == pytest.approx(float(red.mean()))
    assert {name for name, _ in highest_flat_frames(darker)} == {"#000000"}
