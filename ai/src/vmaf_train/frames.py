"""Video frames as the C loader reads them: 8-bit BT.709 YUV to the model's input, map to number.

Every step is the arithmetic of ``core/src/dnn/tensor_io.c``, to the bit; the page
``docs/ai/onnx-contract.md`` states it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vmaf_train.errors import ContractError

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAP_ROUNDING",
    "Chroma",
    "Planes",
    "clipped_map",
    "map_mean",
    "plane_shapes",
    "rgb_to_tensor",
    "rgb_to_yuv",
    "split_planes",
    "yuv_to_rgb",
    "yuv_to_tensor",
]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MAX_SIDE = 16384

MAP_ROUNDING = np.float32(1e-6)
"""How far beyond 0 or 1 a map value counts as 0 or 1. A runtime's sigmoid is an approximation in
float32: that of ONNX Runtime gives 1 + 2**-23 for a few arguments near 17.9."""

# BT.709 limited range to full range, times 2**20, rounded to nearest.
_SHIFT = 20
_Y_SCALE = 1220945
_CR_TO_R = 1879825
_CB_TO_G = -223607
_CR_TO_G = -558796
_CB_TO_B = 2215014


class Chroma(StrEnum):
    """How many chroma samples a frame has. 4:0:0 is no member: it has no colour to convert."""

    YUV420 = "420"
    YUV422 = "422"
    YUV444 = "444"


class Planes(NamedTuple):
    """One frame: uint8 planes ``[H, W]`` and, twice, ``[ceil(H / sy), ceil(W / sx)]``."""

    y: Bytes
    cb: Bytes
    cr: Bytes


def _contract(thing: str, expected: str, found: str, next_step: str) -> ContractError:
    return ContractError(thing, expected=expected, found=found, next_step=next_step)


def _steps(chroma: Chroma) -> tuple[int, int]:
    """Return by how much chroma is coarser, down and across."""
    return (2 if chroma is Chroma.YUV420 else 1), (1 if chroma is Chroma.YUV444 else 2)


def plane_shapes(width: int, height: int, chroma: Chroma) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes (rows, columns) of the luma plane and of each chroma plane.

    Raises:
        ContractError: a side is not from 1 to 16384, or ``chroma`` is no member of ``Chroma``.
    """
    if not isinstance(chroma, Chroma):
        raise _contract(
            f"chroma format {chroma!r}", "4:2:0, 4:2:2 or 4:4:4", "another one", "convert the video first"
        )
    _require_sides(width, height)
    down, across = _steps(chroma)
    return (height, width), (-(-height // down), -(-width // across))


def split_planes(data: bytes, width: int, height: int, chroma: Chroma) -> Planes:
    """Return the planes of one packed frame, as raw video files hold it.

    Raises:
        ContractError: as ``plane_shapes``; or ``data`` is not exactly one frame long.
    """
    luma, coarse = plane_shapes(width, height, chroma)
    sizes = (luma[0] * luma[1], coarse[0] * coarse[1])
    if len(data) != sizes[0] + 2 * sizes[1]:
        raise _contract(
            f"frame of {width}x{height} in {chroma}",
            f"{sizes[0] + 2 * sizes[1]} bytes",
            str(len(data)),
            "check the size, the chroma format and that samples have 8 bits",
        )
    y, cb, cr = np.split(np.frombuffer(data, np.uint8), [sizes[0], sizes[0] + sizes[1]])
    return Planes(y.reshape(luma), cb.reshape(coarse), cr.reshape(coarse))


def _require_sides(width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise _contract(
            "frame", f"sides from 1 to {MAX_SIDE}", f"{width}x{height}", "scale or crop the video first"
        )


def _check(planes: Planes, chroma: Chroma) -> None:
    if any(plane.dtype != np.uint8 or plane.ndim != 2 for plane in planes):
        raise _contract(
            "planes",
            "three uint8 planes of two dimensions",
            ", ".join(f"{plane.dtype} of {plane.ndim}" for plane in planes),
            "read the video as 8-bit samples",
        )
    height, width = planes.y.shape
    _, coarse = plane_shapes(width, height, chroma)
    if planes.cb.shape != coarse or planes.cr.shape != coarse:
        raise _contract(
            f"chroma planes of a {width}x{height} frame in {chroma}",
            f"shape {coarse}",
            f"{planes.cb.shape} and {planes.cr.shape}",
            "give the chroma format of the video",
        )


def yuv_to_rgb(planes: Planes, chroma: Chroma) -> Bytes:
    """Convert BT.709 limited range to full-range RGB ``[H, W, 3]``, uint8.

    Chroma is upsampled by nearest: pixel (x, y) takes sample (x // 2, y // 2). Sums are integers
    times 2**20, a half rounds up, and what is out of range is clipped.

    Raises:
        ContractError: the planes are not uint8 or do not fit the chroma format.
    """
    _check(planes, chroma)
    height, width = planes.y.shape
    down, across = _steps(chroma)
    rows = np.arange(height)[:, None] // down
    columns = np.arange(width)[None, :] // across
    luma = (planes.y.astype(np.int32) - 16) * _Y_SCALE + (1 << (_SHIFT - 1))
    cb = planes.cb.astype(np.int32)[rows, columns] - 128
    cr = planes.cr.astype(np.int32)[rows, columns] - 128
    sums = np.stack(
        (luma + _CR_TO_R * cr, luma + _CB_TO_G * cb + _CR_TO_G * cr, luma + _CB_TO_B * cb), axis=-1
    )
    return np.clip(sums >> _SHIFT, 0, 255).astype(np.uint8)


def _require_rgb(rgb: Bytes) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise _contract(
            "image",
            "uint8 of shape [H, W, 3]",
            f"{rgb.dtype} of shape {list(rgb.shape)}",
            "convert it to RGB",
        )


def rgb_to_tensor(rgb: Bytes) -> Floats:
    """Normalise RGB ``[H, W, 3]`` uint8 to the model's input ``[1, 3, H, W]`` float32.

    Each value is ``(v / 255 - mean) / std`` in double, rounded to float once.

    Raises:
        ContractError: another dtype or shape.
    """
    _require_rgb(rgb)
    scaled = np.arange(256, dtype=np.float64) / 255.0
    channels = [
        ((scaled - mean) / std).astype(np.float32)[rgb[:, :, channel]]
        for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    ]
    return np.stack(channels)[np.newaxis]


def yuv_to_tensor(planes: Planes, chroma: Chroma) -> Floats:
    """Convert a frame to the model's input ``[1, 3, H, W]`` float32.

    Raises:
        ContractError: as ``yuv_to_rgb``.
    """
    return rgb_to_tensor(yuv_to_rgb(planes, chroma))


def rgb_to_yuv(rgb: Bytes, chroma: Chroma) -> Planes:
    """Convert full-range RGB ``[H, W, 3]`` uint8 to BT.709 limited range, as an encoder's input.

    A chroma sample is the mean of the pixels that it covers. The C loader has no such step: this
    makes frames from pictures, to measure what the colour format costs.

    Raises:
        ContractError: another dtype or shape, or a side is not from 1 to 16384.
    """
    _require_rgb(rgb)
    height, width = rgb.shape[:2]
    plane_shapes(width, height, chroma)
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255.0, 2, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    down, across = _steps(chroma)

    def coarse(difference: npt.NDArray[np.float64]) -> Bytes:
        padded = np.pad(difference, ((0, -height % down), (0, -width % across)), mode="edge")
        blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
        scaled: npt.NDArray[np.float64] = np.rint(128.0 + 224.0 * blocks.mean(axis=(1, 3)))
        return np.clip(scaled, 0, 255).astype(np.uint8)

    return Planes(
        np.rint(16.0 + 219.0 * luma).astype(np.uint8),
        coarse((blue - luma) / 1.8556),
        coarse((red - luma) / 1.5748),
    )


def clipped_map(values: npt.NDArray[np.floating], thing: str) -> npt.NDArray[np.floating]:
    """Return float32 map values within 0 to 1; what is beyond by at most ``MAP_ROUNDING`` is 0 or 1.

    Raises:
        ContractError: a value of the map, called ``thing``, is not finite or further out.
    """
    least, most = values.min(), values.max()
    # A NaN makes both comparisons false.
    if not (least >= -MAP_ROUNDING and most <= 1 + MAP_ROUNDING):
        raise _contract(
            thing,
            "finite values from 0 to 1",
            f"{least} to {most}",
            "use a model whose output is a sigmoid",
        )
    return np.clip(values, 0, 1) if least < 0 or most > 1 else values


def map_mean(values: npt.NDArray[np.floating], width: int, height: int) -> float:
    """Reduce a map ``[1, 1, H, W]`` float32, values 0 to 1, to its mean.

    The sum is taken in double, row by row from the top left, and divided once.

    Raises:
        ContractError: a side is not 1 to 16384; the shape is not exactly that, so that a smaller map
            is never averaged; the dtype is not float32; or a value is not finite or beyond 0 to 1 by
            more than rounding.
    """
    _require_sides(width, height)
    thing = f"the map of a {width}x{height} frame"
    if values.dtype != np.float32 or values.shape != (1, 1, height, width) or values.size == 0:
        raise _contract(
            thing,
            f"float32 of shape [1, 1, {height}, {width}]",
            f"{values.dtype} of shape {list(values.shape)}",
            "use a model that keeps the frame's size",
        )
    values = clipped_map(values, thing)
    # A plain sum adds in pairs; the running sum adds in the order that C does.
    return float(np.add.accumulate(values.ravel(), dtype=np.float64)[-1] / values.size)
