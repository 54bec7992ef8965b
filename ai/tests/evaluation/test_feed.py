from __future__ import annotations

import numpy as np
import pytest

from pairs.made_files import photo
from vmaf_train.evaluation.feed import Feed
from vmaf_train.frames import Chroma, rgb_to_yuv, yuv_to_rgb

PICTURE = np.asarray(photo(3, 41, 63))


def test_the_plain_way_feeds_the_picture_itself() -> None:
    assert Feed().frame(PICTURE) is PICTURE
    assert (Feed().label, Feed().protocol) == ("", "fed at native size")


@pytest.mark.parametrize(("short_side", "size"), [(82, (82, 126)), (41, (41, 63)), (20, (20, 31))])
def test_a_short_side_scales_the_frame_and_the_map_comes_back(short_side: int, size: tuple[int, int]) -> None:
    feed = Feed(short_side)
    assert feed.frame(PICTURE).shape == (*size, 3)
    values = np.random.default_rng(0).random(size).astype(np.float32)
    native = feed.native(values, 41, 63)
    assert native.shape == (41, 63)
    assert native.dtype == np.float32
    assert 0 <= native.min() <= native.max() <= 1
    assert native.mean() == pytest.approx(values.mean(), abs=0.01)
    assert np.array_equal(feed.native(np.ones(size, dtype=np.float32), 41, 63), np.ones((41, 63)))


def test_a_map_of_native_size_is_not_touched() -> None:
    values = np.random.default_rng(0).random((41, 63)).astype(np.float32)
    assert Feed(1080).native(values, 41, 63) is values


def test_a_disc_comes_back_where_it_was() -> None:
    y, x = np.mgrid[:40, :60]
    disc = ((y - 15) ** 2 + (x - 40) ** 2 < 100).astype(np.float32)
    picture = np.repeat((disc * 255).astype(np.uint8)[..., None], 3, axis=2)
    feed = Feed(120)
    back = feed.native((feed.frame(picture)[..., 0] / 255).astype(np.float32), 40, 60)
    assert np.abs(back - disc).mean() < 0.02


@pytest.mark.parametrize("short_side", [None, 61])
def test_the_round_trip_is_that_of_the_frames_an_extractor_reads(short_side: int | None) -> None:
    plain = Feed(short_side).frame(PICTURE)  # odd height and width
    there_and_back = yuv_to_rgb(rgb_to_yuv(plain, Chroma.YUV420), Chroma.YUV420)
    feed = Feed(short_side, yuv=True)
    assert np.array_equal(feed.frame(PICTURE), there_and_back)
    assert not np.array_equal(there_and_back, plain)
    assert feed.label == "YUV"
    assert feed.protocol.endswith(", through 8-bit BT.709 limited range 4:2:0")


def test_grey_pictures_survive_the_round_trip_within_a_level() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None], 3, axis=2)
    back = Feed(yuv=True).frame(grey)
    assert np.abs(back.astype(int) - grey).max() <= 1
