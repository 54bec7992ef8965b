"""Small made clips: planes by a formula, and the bytes of a YUV4MPEG2 stream of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from planes import join_planes
from vmaf_train.frames import Chroma, Planes, plane_shapes

__all__ = ["made_planes", "need", "y4m"]


def made_planes(width: int, height: int, number: int = 0, chroma: Chroma = Chroma.YUV420) -> Planes:
    """A frame whose every sample follows from its place and ``number``."""
    shapes = plane_shapes(width, height, chroma)
    planes = []
    for plane, (rows, columns) in enumerate((shapes[0], shapes[1], shapes[1])):
        y, x = np.mgrid[:rows, :columns]
        planes.append(((x * 3 + y * 5 + 11 * number + 40 * plane) % 220 + 16).astype(np.uint8))
    return Planes(*planes)


def y4m(frames: list[Planes], tags: str = "C420jpeg") -> bytes:
    """The stream of frames of one size."""
    height, width = frames[0].y.shape
    parts = [f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 {tags}".rstrip().encode() + b"\n"]
    parts += [b"FRAME\n" + join_planes(planes) for planes in frames]
    return b"".join(parts)


def need(*programs: str) -> None:
    """Skip, saying so, where a program is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed, so this was not tested")
