"""What becomes of a picture before a model sees it, and of the map before it meets the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.frames import Chroma, rgb_to_yuv, yuv_to_rgb
from vmaf_train.pairs.decode import short_side_size

__all__ = ["Feed"]

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Feed:
    """One way to feed pictures.

    Attributes:
        short_side: pixels that the shorter side is scaled to; None feeds the native size.
        yuv: whether the scaled picture goes through 8-bit BT.709 limited range 4:2:0 and back.
    """

    short_side: int | None = None
    yuv: bool = False

    @property
    def label(self) -> str:
        """A word for the head of a column; empty for the plain way."""
        return "YUV" if self.yuv else ""

    @property
    def protocol(self) -> str:
        """What is fed and compared, in a few words."""
        if self.short_side is None:
            words = "fed at native size"
        else:
            words = f"fed at short side {self.short_side}, the map brought back to native size"
        return words + (", through 8-bit BT.709 limited range 4:2:0" if self.yuv else "")

    def frame(self, rgb: Pixels) -> Pixels:
        """Return the frame to feed, uint8 ``[h, w, 3]``, from a picture uint8 ``[H, W, 3]``."""
        height, width = rgb.shape[:2]
        if self.short_side is not None:
            size = short_side_size(height, width, self.short_side)
            if size != (height, width):
                rgb = np.asarray(Image.fromarray(rgb).resize(size[::-1], Image.Resampling.BILINEAR))
        return yuv_to_rgb(rgb_to_yuv(rgb, Chroma.YUV420), Chroma.YUV420) if self.yuv else rgb

    def native(self, values: Map, height: int, width: int) -> Map:
        """Return a map ``[h, w]`` of 0..1 at native size ``[height, width]``, float32, bilinear."""
        if values.shape == (height, width):
            return values
        resized = Image.fromarray(np.ascontiguousarray(values)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        # The filter's weights sum to 1 up to a rounding.
        return np.clip(np.asarray(resized), 0, 1)
