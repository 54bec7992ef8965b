"""Frames as the bytes of a raw video file."""

from __future__ import annotations

import numpy as np

from vmaf_train.frames import Planes


def join_planes(planes: Planes) -> bytes:
    """Return one packed frame: the inverse of ``split_planes``."""
    return b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)
