"""Frames in BT.709 limited range become the tensor that the contract states."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from planes import join_planes
from vmaf_train.errors import ContractError
from vmaf_train.frames import (
    Chroma,
    Planes,
    map_mean,
    plane_shapes,
    rgb_to_tensor,
    rgb_to_yuv,
    split_planes,
    yuv_to_rgb,
    yuv_to_tensor,
)

DOCS = Path(__file__).parents[2] / "docs" / "ai"


def pixel(y: int, cb: int, cr: int) -> list[int]:
    planes = Planes(*(np.full((1, 1), value, np.uint8) for value in (y, cb, cr)))
    return [int(value) for value in yuv_to_rgb(planes, Chroma.YUV444)[0, 0]]


@pytest.mark.parametrize(
    ("yuv", "rgb"),
    [
        ((16, 128, 128), [0, 0, 0]),
        ((235, 128, 128), [255, 255, 255]),
        ((126, 128, 128), [128, 128, 128]),
        ((0, 128, 128), [0, 0, 0]),
        ((255, 128, 128), [255, 255, 255]),
        ((63, 102, 240), [255, 1, 0]),
        ((173, 42, 26), [0, 255, 1]),
        ((32, 240, 118), [1, 0, 255]),
    ],
)
def test_known_colours_convert(yuv: tuple[int, int, int], rgb: list[int]) -> None:
    assert pixel(*yuv) == rgb


def exactly_rounded(y: NDArray[np.int64], cb: NDArray[np.int64], cr: NDArray[np.int64]) -> NDArray[np.int64]:
    """BT.709 of limited range in fractions, a half up, clipped: ``[..., 3]``."""
    red, blue = Fraction(2126, 10000), Fraction(722, 10000)
    green, chroma = 1 - red - blue, Fraction(255, 224)
    luma, zero = Fraction(255, 219), Fraction(0)
    factors = (
        (luma, zero, 2 * (1 - red) * chroma),
        (luma, -2 * (1 - blue) * blue / green * chroma, -2 * (1 - red) * red / green * chroma),
        (luma, 2 * (1 - blue) * chroma, zero),
    )
    whole = math.lcm(*(factor.denominator for row in factors for factor in row))
    sides = (y - 16, cb - 128, cr - 128)
    channels = []
    for row in factors:
        total = np.zeros_like(y)
        for factor, side in zip(row, sides, strict=True):
            total = total + int(factor * whole) * side
        channels.append(np.clip((2 * total + whole) // (2 * whole), 0, 255))
    return np.stack(channels, axis=-1)


def test_integers_differ_from_the_exact_value_as_rarely_as_the_contract_says() -> None:
    cb, cr = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    apart = np.zeros(3, np.int64)
    for y in range(256):
        planes = Planes(np.full((256, 256), y, np.uint8), cb.astype(np.uint8), cr.astype(np.uint8))
        differences = np.abs(yuv_to_rgb(planes, Chroma.YUV444) - exactly_rounded(np.full_like(cb, y), cb, cr))
        assert differences.sum(axis=-1).max() <= 1
        apart += differences.sum(axis=(0, 1))
    red, green, blue = apart
    said = (
        f"in {apart.sum():,} of the 2^24 triplets, by 1 in one channel "
        f"({red} in R, {green} in G, {blue} in B)"
    )
    page = DOCS / "onnx-contract.md"
    if page.is_file():  # not where the package stands alone
        assert said in " ".join(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("chroma", "shape"), [(Chroma.YUV420, (3, 4)), (Chroma.YUV422, (5, 4)), (Chroma.YUV444, (5, 7))]
)
def test_chroma_planes_of_odd_frames_are_rounded_up(chroma: Chroma, shape: tuple[int, int]) -> None:
    assert plane_shapes(7, 5, chroma) == ((5, 7), shape)


def test_each_pixel_takes_the_nearest_chroma_sample() -> None:
    y = np.full((3, 3), 126, np.uint8)
    cb = np.full((2, 2), 128, np.uint8)
    cr = np.array([[128, 200], [60, 128]], np.uint8)
    red = yuv_to_rgb(Planes(y, cb, cr), Chroma.YUV420)[:, :, 0]
    assert red.tolist() == [[128, 128, 255], [128, 128, 255], [6, 6, 128]]


def test_422_halves_only_the_width() -> None:
    planes = Planes(
        np.full((2, 3), 126, np.uint8),
        np.full((2, 2), 128, np.uint8),
        np.array([[128, 200], [60, 128]], np.uint8),
    )
    assert yuv_to_rgb(planes, Chroma.YUV422)[:, :, 0].tolist() == [[128, 128, 255], [6, 6, 128]]


def test_the_tensor_is_normalised_nchw_of_float32() -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[1, 2] = (255, 128, 0)
    tensor = rgb_to_tensor(rgb)
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor.dtype == np.float32
    wanted = [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225]
    assert np.allclose(tensor[0, :, 1, 2], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("chroma", Chroma)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (7, 5), (8, 6)])
def test_a_packed_frame_comes_apart_as_it_was_put_together(chroma: Chroma, width: int, height: int) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    planes = rgb_to_yuv(rgb, chroma)
    again = split_planes(join_planes(planes), width, height, chroma)
    assert all(np.array_equal(one, other) for one, other in zip(planes, again, strict=True))
    assert yuv_to_tensor(again, chroma).shape == (1, 3, height, width)


def test_a_round_trip_at_full_chroma_loses_little() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    again = yuv_to_rgb(rgb_to_yuv(rgb, Chroma.YUV444), Chroma.YUV444)
    assert np.abs(again.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize("chroma", Chroma)
def test_a_flat_frame_survives_the_round_trip_in_any_format(chroma: Chroma) -> None:
    rgb = np.full((5, 7, 3), (200, 40, 90), np.uint8)
    again = yuv_to_rgb(rgb_to_yuv(rgb, chroma), chroma)
    assert np.abs(again.astype(int) - rgb).max() <= 2


def test_grey_video_is_refused() -> None:
    with pytest.raises(ValueError, match="400"):
        Chroma("400")
    with pytest.raises(ContractError, match="chroma format"):
        plane_shapes(4, 4, "400")  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "height"), [(0, 4), (4, 0), (-1, 4), (16385, 4)])
def test_a_side_out_of_range_is_refused(width: int, height: int) -> None:
    with pytest.raises(ContractError, match="sides from 1 to 16384"):
        plane_shapes(width, height, Chroma.YUV420)


def test_a_frame_of_ten_bits_is_refused() -> None:
    with pytest.raises(ContractError, match="8 bits"):
        split_planes(bytes(2 * 24), 4, 4, Chroma.YUV420)
    deep = Planes(*(np.zeros((2, 2), np.uint16) for _ in range(3)))  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="uint8"):
        yuv_to_rgb(deep, Chroma.YUV444)


def test_planes_of_another_format_are_refused() -> None:
    planes = rgb_to_yuv(np.zeros((4, 4, 3), np.uint8), Chroma.YUV422)
    with pytest.raises(ContractError, match="chroma planes"):
        yuv_to_rgb(planes, Chroma.YUV420)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 4, 4, 3)])
def test_an_image_that_is_not_rgb_is_refused(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    with pytest.raises(ContractError, match="convert it to RGB"):
        rgb_to_tensor(image)
    with pytest.raises(ContractError, match="convert it to RGB"):
        rgb_to_yuv(image, Chroma.YUV420)


def test_the_mean_of_a_map_is_taken_in_double() -> None:
    saliency = np.full((1, 1, 1080, 1920), 0.1, np.float32)
    assert abs(map_mean(saliency, 1920, 1080) - float(np.float32(0.1))) < 1e-12


@pytest.mark.parametrize("shape", [(1, 1, 4, 5), (1, 1, 2, 2), (4, 4), (1, 2, 4, 4)])
def test_a_map_of_another_size_is_never_averaged(shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match="keeps the frame's size"):
        map_mean(np.zeros(shape, np.float32), 4, 4)


def test_a_map_of_another_dtype_is_refused() -> None:
    with pytest.raises(ContractError, match="float64"):
        map_mean(np.zeros((1, 1, 4, 4)), 4, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_a_value_outside_the_range_is_named(value: float) -> None:
    saliency = np.zeros((1, 1, 4, 4), np.float32)
    saliency[0, 0, 1, 1] = value
    with pytest.raises(ContractError, match=rf"found .*{value}"):
        map_mean(saliency, 4, 4)
