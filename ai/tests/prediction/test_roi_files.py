"""Each form byte for byte, against text written by hand from the encoder's documentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError
from vmaf_train.prediction.blocks import OffsetRange
from vmaf_train.prediction.roi_files import RoiForm, RoiTarget, RoiWriter, parse_roi_target

TEN = OffsetRange(-10, 10)


def painted(width: int, height: int, *boxes: tuple[int, int, int, int, float]) -> NDArray[np.float32]:
    """A map of 0.5 with rectangles (left, top, right, bottom, value)."""
    values = np.full((height, width), 0.5, np.float32)
    for left, top, right, bottom, value in boxes:
        values[top:bottom, left:right] = value
    return values


def text(form: RoiForm, block: int, within: OffsetRange, *frames: tuple[NDArray[np.float32], float]) -> str:
    writer = RoiWriter(form, block, within)
    for values, mean in frames:
        writer.add(values, mean)
    return writer.text()


def test_svt_av1_gets_a_line_per_frame_of_qindex_offsets_in_raster_order() -> None:
    # 130x100 pixels are three columns and two rows of 64; steps of 3, five times as many of qindex.
    first = painted(130, 100, (0, 0, 64, 64, 0.95), (128, 64, 130, 100, 0.2))
    second = painted(130, 100, (64, 0, 128, 64, 0.1))
    assert text(RoiForm.SVT_AV1, 64, TEN, (first, 0.5), (second, 0.5)) == (
        "0 -45 0 0 0 0 30\n1 0 45 0 0 0 0\n"
    )


def test_svt_av1_never_gets_more_levels_than_av1_has_segments() -> None:
    rng = np.random.default_rng(1)
    values = np.kron(rng.random((10, 10)), np.ones((64, 64))).astype(np.float32)
    line = text(RoiForm.SVT_AV1, 64, OffsetRange(-51, 51), (values, 0.5)).split()
    assert len(line) == 101
    levels = {int(word) for word in line[1:]}
    assert 4 <= len(levels) <= 8
    assert min(levels) >= -255
    assert max(levels) <= 255


def test_kvazaar_gets_columns_and_rows_before_each_frames_offsets() -> None:
    first = painted(130, 100, (0, 0, 64, 64, 0.9), (128, 64, 130, 100, 0.2))
    assert text(RoiForm.KVAZAAR, 64, TEN, (first, 0.5), (painted(130, 100), 0.5)) == (
        "3 2\n-8 0 0\n0 0 6\n3 2\n0 0 0\n0 0 0\n"
    )


def test_addroi_gets_the_clips_average_as_disjoint_rectangles_within_the_frame() -> None:
    # The two frames differ; their average is 0.9 in a square of two blocks and 0.2 in the cut corner.
    one = painted(40, 40, (0, 0, 32, 32, 1.0), (32, 32, 40, 40, 0.2))
    two = painted(40, 40, (0, 0, 32, 32, 0.8), (32, 32, 40, 40, 0.2))
    assert text(RoiForm.ADDROI, 16, TEN, (one, 0.5), (two, 0.5)) == (
        "addroi=x=0:y=0:w=32:h=32:qoffset=-8/51,addroi=x=32:y=32:w=8:h=8:qoffset=6/51\n"
    )


def test_addroi_without_contrast_is_a_filter_that_does_nothing() -> None:
    assert text(RoiForm.ADDROI, 16, TEN, (painted(40, 40), 0.5)) == "null\n"


def test_addroi_covers_every_block_once_with_its_own_offset() -> None:
    rng = np.random.default_rng(2)
    values = np.kron(rng.integers(0, 3, (6, 9)) / 2, np.ones((16, 16))).astype(np.float32)[:90, :140]
    covered = np.zeros((90, 140), int)
    seen = np.zeros((90, 140), int)
    for item in text(RoiForm.ADDROI, 16, TEN, (values, 0.5)).strip().split(","):
        parts = dict(part.split("=") for part in item.removeprefix("addroi=").split(":"))
        x, y, w, h = (int(parts[key]) for key in "xywh")
        covered[y : y + h, x : x + w] += 1
        seen[y : y + h, x : x + w] = int(parts["qoffset"].removesuffix("/51"))
    np.testing.assert_array_equal(seen, np.rint(-(values - 0.5) * 20).astype(int))
    np.testing.assert_array_equal(covered, (seen != 0).astype(int))


def test_zones_give_runs_of_frames_a_factor_of_bits_around_the_clips_mean() -> None:
    # Means 0.8, 0.8, 0.5, 0.2, 0.5 have 0.56 as theirs: -4.8 is 5 steps finer, 7.2 is 7 coarser.
    still = painted(16, 16)
    frames = [(still, mean) for mean in (0.8, 0.8, 0.5, 0.2, 0.5)]
    assert text(RoiForm.X264_ZONES, 64, TEN, *frames) == (
        "0,1,b=1.7818/2,2,b=0.8909/3,3,b=0.4454/4,4,b=0.8909\n"
    )
    assert text(RoiForm.X265_ZONES, 64, TEN, *frames) == (
        "1,2,b=1.7818/3,3,b=0.8909/4,4,b=0.4454/5,5,b=0.8909\n"
    )


def test_zones_of_a_steady_clip_change_nothing() -> None:
    frames = [(painted(16, 16), 0.4)] * 3
    assert text(RoiForm.X264_ZONES, 16, TEN, *frames) == "0,2,b=1.0000\n"
    assert text(RoiForm.X265_ZONES, 16, TEN, *frames) == "1,3,b=1.0000\n"


def test_a_clip_whose_size_changes_has_no_region_file() -> None:
    writer = RoiWriter(RoiForm.SVT_AV1, 64, TEN)
    writer.add(painted(64, 64), 0.5)
    with pytest.raises(ConfigError, match="64x64, found 64x32 at frame 1"):
        writer.add(painted(64, 32), 0.5)


@pytest.mark.parametrize(
    ("written", "block", "form", "file"),
    [
        ("roi.txt", 64, RoiForm.SVT_AV1, "roi.txt"),
        ("roi.txt", 16, RoiForm.ADDROI, "roi.txt"),
        ("kvazaar:a/b.txt", 64, RoiForm.KVAZAAR, "a/b.txt"),
        ("x265-zones:z", 16, RoiForm.X265_ZONES, "z"),
        ("addroi:a:b", 64, RoiForm.ADDROI, "a:b"),
    ],
)
def test_a_target_names_its_form_or_takes_the_blocks_own(
    written: str, block: int, form: RoiForm, file: str
) -> None:
    assert parse_roi_target(written, block) == RoiTarget(form, Path(file))


def test_a_form_that_a_block_does_not_suit_is_refused() -> None:
    with pytest.raises(ConfigError, match="svt-av1 --block 64, found --block 16"):
        parse_roi_target("svt-av1:x", 16)
    with pytest.raises(ConfigError, match="'svt-av2'"):
        parse_roi_target("svt-av2:x", 64)
    with pytest.raises(ConfigError, match="no file"):
        parse_roi_target("x264-zones:", 16)
