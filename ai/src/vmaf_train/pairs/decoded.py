"""Decoded pairs as arrays, each read from one file when it is asked for."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import DataError
from vmaf_train.pairs.decode import Pixels

__all__ = ["INDEX_FILE", "PIXELS_FILE", "DecodedPairs"]

PIXELS_FILE = "pixels.bin"
"""Per pair: uint8 [H, W, 3] RGB, then uint8 [H, W] of 0 and 1."""

INDEX_FILE = "index.npy"
"""int64 [pairs, 3]: offset in bytes, H, W."""


class DecodedPairs:
    """Pairs as arrays, resized by the short side; read-only, safe to send to worker processes.

    Opening reads the index alone (24 bytes a pair). A picture is read when it is asked for and
    belongs to the caller; beyond the index a process holds nothing, however large the file. What
    the kernel keeps of it in its page cache is shared by all processes and taken back under
    pressure. An open entry stays readable even after it was cleared.

    Not memory-mapped: mapped pages count as the process's own, their tables grow with the file,
    and a file that shrinks under a mapping kills the process instead of raising an error.
    """

    def __init__(self, folder: Path, stems: Sequence[str]) -> None:
        self._folder = folder
        self._stems = tuple(stems)
        self._index: NDArray[np.int64] = np.load(folder / INDEX_FILE, allow_pickle=False)
        self._file = os.open(folder / PIXELS_FILE, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._stems)

    def __reduce__(self) -> tuple[type[DecodedPairs], tuple[Path, tuple[str, ...]]]:
        return DecodedPairs, (self._folder, self._stems)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems, in the order of the pairs given."""
        return self._stems

    def image(self, i: int) -> Pixels:
        """Return picture ``i``: uint8 [H, W, 3], RGB, 0..255, read-only."""
        offset, h, w = self._place(i)
        return self._view(offset, h * w * 3).reshape(h, w, 3)

    def mask(self, i: int) -> Pixels:
        """Return mask ``i``: uint8 [H, W] of 0 and 1, read-only."""
        offset, h, w = self._place(i)
        return self._view(offset + h * w * 3, h * w).reshape(h, w)

    def _place(self, i: int) -> tuple[int, int, int]:
        offset, h, w = self._index[range(len(self))[i]].tolist()
        return offset, h, w

    def _view(self, start: int, length: int) -> Pixels:
        try:
            data = os.pread(self._file, length, start)
            found = f"{len(data)} bytes of {length}"
        except OSError as error:
            data, found = b"", error.strerror or str(error)
        if len(data) != length:
            raise DataError(
                str(self._folder / PIXELS_FILE),
                expected="the pixels of every pair",
                found=found,
                next_step="run `vmaf-train data cache clear` and run again",
            )
        return np.frombuffer(data, np.uint8)
