"""The Python frame reader is the C one, to the bit."""

from __future__ import annotations

import ctypes
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from core.native import CFrame, Native
from planes import join_planes
from vmaf_train.errors import ContractError
from vmaf_train.frames import (
    Chroma,
    Planes,
    map_mean,
    plane_shapes,
    rgb_to_yuv,
    split_planes,
    yuv_to_rgb,
    yuv_to_tensor,
)

C_CHROMA = {Chroma.YUV420: 1, Chroma.YUV422: 2, Chroma.YUV444: 3}
SIZES = [(1, 1), (1, 2), (2, 1), (3, 3), (2, 2), (5, 4), (4, 5), (17, 9), (64, 48), (33, 31)]
PHOTO = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def c_convert(native: Native, planes: Planes, chroma: Chroma) -> tuple[np.ndarray, np.ndarray]:
    """Return RGB and tensor as the C library makes them."""
    height, width = planes.y.shape
    data = join_planes(planes)
    frame = CFrame()
    assert (
        native.lib.vmaf_dnn_frame_from_packed(
            data, ctypes.c_size_t(len(data)), width, height, C_CHROMA[chroma], ctypes.byref(frame)
        )
        == 0
    )
    rgb = np.zeros((height, width, 3), np.uint8)
    tensor = np.zeros((1, 3, height, width), np.float32)
    for name, out in (("vmaf_dnn_frame_to_rgb", rgb), ("vmaf_dnn_frame_to_tensor", tensor)):
        convert = getattr(native.lib, name)
        assert convert(ctypes.byref(frame), ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(out.size)) == 0
    return rgb, tensor


def assert_same(native: Native, planes: Planes, chroma: Chroma) -> None:
    rgb, tensor = c_convert(native, planes, chroma)
    assert np.array_equal(rgb, yuv_to_rgb(planes, chroma))
    assert tensor.tobytes() == yuv_to_tensor(planes, chroma).tobytes()


@pytest.mark.parametrize("chroma", Chroma)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_random_frames_convert_to_the_same_bits(
    width: int, height: int, chroma: Chroma, native: Native
) -> None:
    random = np.random.default_rng(width * 100 + height)
    luma, coarse = plane_shapes(width, height, chroma)
    shapes = (luma, coarse, coarse)
    assert_same(native, Planes(*(random.integers(0, 256, shape, np.uint8) for shape in shapes)), chroma)


@pytest.mark.parametrize("chroma", Chroma)
def test_a_photograph_converts_to_the_same_bits(chroma: Chroma, native: Native) -> None:
    with Image.open(PHOTO) as photo:
        rgb = np.asarray(photo.convert("RGB"))
    for height, width in ((rgb.shape[0], rgb.shape[1]), (479, 513), (481, 512)):
        assert_same(native, rgb_to_yuv(rgb[:height, :width], chroma), chroma)


def test_every_triplet_converts_to_the_same_bits(native: Native) -> None:
    grid = np.arange(256, dtype=np.uint8)
    for luma in range(256):
        y = np.full((256, 256), luma, np.uint8)
        planes = Planes(y, np.broadcast_to(grid[:, None], (256, 256)), np.broadcast_to(grid, (256, 256)))
        rgb, _ = c_convert(native, planes, Chroma.YUV444)
        assert np.array_equal(rgb, yuv_to_rgb(planes, Chroma.YUV444)), luma


def c_mean(native: Native, saliency: np.ndarray, width: int, height: int) -> tuple[int, float]:
    mean = ctypes.c_double(-1.0)
    dims = (ctypes.c_int64 * saliency.ndim)(*saliency.shape)
    error = native.lib.vmaf_dnn_saliency_mean(
        ctypes.c_void_p(saliency.ctypes.data),
        ctypes.c_size_t(saliency.size),
        dims,
        ctypes.c_size_t(saliency.ndim),
        width,
        height,
        ctypes.byref(mean),
    )
    return error, mean.value


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 5), (640, 359)])
def test_a_map_has_the_same_mean(width: int, height: int, native: Native) -> None:
    random = np.random.default_rng(height)
    saliency = random.random((1, 1, height, width), np.float32)
    assert c_mean(native, saliency, width, height) == (0, map_mean(saliency, width, height))


@pytest.mark.parametrize("beyond", [2**-23, 1e-6])
def test_both_take_a_value_beyond_by_rounding_as_the_bound(beyond: float, native: Native) -> None:
    saliency = np.full((1, 1, 4, 4), 0.5, np.float32)
    saliency[0, 0, 0] = (0.0, 1.0, 0.0, 1.0)
    exact = map_mean(saliency, 4, 4)
    saliency[0, 0, 0, 2:] = (np.float32(-beyond), np.float32(1) + np.float32(beyond))
    assert saliency[0, 0, 0, 3] > 1
    assert map_mean(saliency, 4, 4) == exact
    assert c_mean(native, saliency, 4, 4) == (0, exact)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.1e-6, 1.0000012])
def test_both_refuse_a_map_with_a_value_outside_the_range(value: float, native: Native) -> None:
    saliency = np.full((1, 1, 4, 4), 0.5, np.float32)
    saliency[0, 0, 3, 3] = value
    assert c_mean(native, saliency, 4, 4)[0] < 0
    with pytest.raises(ContractError):
        map_mean(saliency, 4, 4)


@pytest.mark.parametrize("shape", [(1, 1, 4, 3), (1, 1, 3, 4), (1, 4, 4), (1, 2, 4, 4), (2, 1, 4, 4)])
def test_both_refuse_a_map_of_another_shape(shape: tuple[int, ...], native: Native) -> None:
    saliency = np.full(shape, 0.5, np.float32)
    assert c_mean(native, saliency, 4, 4)[0] < 0
    with pytest.raises(ContractError):
        map_mean(saliency, 4, 4)


@pytest.mark.parametrize("chroma", Chroma)
def test_both_refuse_a_frame_of_another_size(chroma: Chroma, native: Native) -> None:
    planes = rgb_to_yuv(np.zeros((5, 7, 3), np.uint8), chroma)
    data = join_planes(planes)
    for wrong in (data[:-1], data + b"\0", b""):
        error = native.lib.vmaf_dnn_frame_from_packed(
            wrong, ctypes.c_size_t(len(wrong)), 7, 5, C_CHROMA[chroma], ctypes.byref(CFrame())
        )
        assert error < 0
        with pytest.raises(ContractError):
            split_planes(wrong, 7, 5, chroma)
