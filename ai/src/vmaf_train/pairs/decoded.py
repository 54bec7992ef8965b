"""Decoded pairs as arrays over one memory-mapped file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmaf_train.pairs.decode import Pixels

__all__ = ["INDEX_FILE", "PIXELS_FILE", "DecodedPairs"]

PIXELS_FILE = "pixels.bin"
"""Per pair: uint8 [H, W, 3] RGB, then uint8 [H, W] of 0 and 1."""

INDEX_FILE = "index.npy"
"""int64 [pairs, 3]: offset in bytes, H, W."""


class DecodedPairs:
    """Pairs as arrays, resized by the short side; read-only, safe to send to worker processes.

    Opening reads the index alone (24 bytes a pair). Pixels are read from the disk when touched and
    belong to the page cache, which the kernel shares between processes and takes back under
    pressure. A view stays valid as long as it is referenced, even after the entry was cleared.
    """

    def __init__(self, folder: Path, stems: Sequence[str]) -> None:
        self._folder = folder
        self._stems = tuple(stems)
        self._index: NDArray[np.int64] = np.load(folder / INDEX_FILE, allow_pickle=False)
        self._pixels = np.memmap(folder / PIXELS_FILE, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._stems)

    def __reduce__(self) -> tuple[type[DecodedPairs], tuple[Path, tuple[str, ...]]]:
        return DecodedPairs, (self._folder, self._stems)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems, in the order of the pairs given."""
        return self._stems

    def image(self, i: int) -> Pixels:
        """Return picture ``i``: uint8 [H, W, 3], RGB, 0..255, a read-only view."""
        offset, h, w = self._place(i)
        return self._view(offset, h * w * 3).reshape(h, w, 3)

    def mask(self, i: int) -> Pixels:
        """Return mask ``i``: uint8 [H, W] of 0 and 1, a read-only view."""
        offset, h, w = self._place(i)
        return self._view(offset + h * w * 3, h * w).reshape(h, w)

    def _place(self, i: int) -> tuple[int, int, int]:
        offset, h, w = self._index[range(len(self))[i]].tolist()
        return offset, h, w

    def _view(self, start: int, length: int) -> Pixels:
        return np.asarray(self._pixels[start : start + length])
