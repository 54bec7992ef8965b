from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.prediction.overlays import map_png, overlay_png, picture_label


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_map_becomes_grey_of_its_own_size() -> None:
    values = np.array([[0.0, 0.5, 1.0], [0.25, 0.002, 0.998]], np.float32)
    assert pixels(map_png(values)).tolist() == [[0, 128, 255], [64, 1, 254]]


def test_an_overlay_shows_the_frame_as_it_is_and_what_stands_out_brighter() -> None:
    rgb = np.full((40, 70, 3), 90, np.uint8)
    values = np.zeros((40, 70), np.float32)
    values[10:20, 20:30] = 1.0
    shown = pixels(overlay_png(rgb, values, "x"))
    np.testing.assert_array_equal(shown[8:48, 8:78], rgb)
    heat = shown[8:48, 86:156].astype(int).sum(axis=2)
    assert heat[15, 25] > 2 * heat[30, 50]


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2160, 3840)])
def test_any_frame_has_an_overlay_that_fits_a_screen(size: tuple[int, int]) -> None:
    height, width = size
    shown = pixels(overlay_png(np.zeros((height, width, 3), np.uint8), np.zeros(size, np.float32), "caption"))
    assert shown.shape[1] <= 2 * 960 + 24
    assert shown.shape[0] >= 30


def test_the_pixels_of_a_tiny_frame_are_shown_as_squares() -> None:
    rgb = np.zeros((1, 2, 3), np.uint8)
    rgb[0, 1] = 200
    shown = pixels(overlay_png(rgb, np.zeros((1, 2), np.float32), ""))
    assert (shown[8:72, 8:72] == 0).all()
    assert (shown[8:72, 72:136] == 200).all()


def test_no_two_inputs_share_the_names_of_their_pictures() -> None:
    taken: set[str] = set()
    names = ["a/clip.mp4", "b/clip.y4m", "clip", "-", "x.tar.png"]
    assert [picture_label(name, taken) for name in names] == ["clip", "clip.2", "clip.3", "stdin", "x.tar"]
    assert picture_label(".", taken) != ""


def test_a_picture_is_not_called_as_a_frame_of_another_input_is() -> None:
    for names in (["a.y4m", "a-000000.png"], ["a-000000.png", "a.y4m"], ["a-000000.png", "a-000000-12.png"]):
        taken: set[str] = set()
        labels = [picture_label(name, taken) for name in names]
        files = {
            label if name.endswith("png") else f"{label}-000000"
            for label, name in zip(labels, names, strict=True)
        }
        assert len(files) == 2
    taken = {"a"}
    assert [picture_label(name, taken) for name in ("a-b.png", "a-1-b.png")] == ["a-b", "a-1-b"]
