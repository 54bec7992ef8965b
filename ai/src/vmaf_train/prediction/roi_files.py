"""Region-of-interest files in the forms that encoders read; ``docs/ai/prediction.md`` shows each in use."""

from __future__ import annotations

import itertools
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError
from vmaf_train.map_figures import block_means
from vmaf_train.onnx_session import Floats
from vmaf_train.prediction.blocks import MAX_OFFSET, OffsetRange

__all__ = ["BLOCKS_OF", "RoiForm", "RoiTarget", "RoiWriter", "parse_roi_target"]

Offsets = NDArray[np.int64]

_SVT_SEGMENTS = 8  # AV1 has eight segments to give offsets to
_SVT_STEPS = 255 // MAX_OFFSET  # qindex steps, -255 to 255, for one step of H.264
_DOUBLING = 6  # steps of H.264 that double the quantiser


class RoiForm(StrEnum):
    """The form of a file."""

    SVT_AV1 = "svt-av1"
    KVAZAAR = "kvazaar"
    ADDROI = "addroi"
    X264_ZONES = "x264-zones"
    X265_ZONES = "x265-zones"


BLOCKS_OF = {
    RoiForm.SVT_AV1: (64,),
    RoiForm.KVAZAAR: (64,),
    RoiForm.ADDROI: (16, 64),
    RoiForm.X264_ZONES: (16, 64),
    RoiForm.X265_ZONES: (16, 64),
}
"""The blocks that a form can be written for. Kvazaar scales other maps to its blocks of 64."""

# x264 counts the frames of a zone from 0; x265 tests them against its count of frames done, plus 1.
_FIRST_OF_ZONES = {RoiForm.X264_ZONES: 0, RoiForm.X265_ZONES: 1}


class RoiTarget(NamedTuple):
    """A form and the file to write it to."""

    form: RoiForm
    path: Path


def parse_roi_target(text: str, block: int) -> RoiTarget:
    """Return the target of ``FORM:FILE``; of ``FILE`` alone for a block of 64 svt-av1, of 16 addroi.

    Raises:
        ConfigError: an unknown form, one that cannot be written for that block, or no file.
    """
    known, colon, file = text.partition(":")
    if not colon:
        form, file = (RoiForm.SVT_AV1 if block == 64 else RoiForm.ADDROI), text
    elif known in set(RoiForm):
        form = RoiForm(known)
    else:
        raise ConfigError(
            f"--roi {text}",
            expected=f"one of {', '.join(RoiForm)} before the colon",
            found=repr(known),
            next_step="name the form, then the file",
        )
    if not file or block not in BLOCKS_OF[form]:
        blocks = " or ".join(str(side) for side in BLOCKS_OF[form])
        raise ConfigError(
            f"--roi {text}",
            expected=f"FORM:FILE, and for {form} --block {blocks}",
            found="no file" if not file else f"--block {block}",
            next_step=f"choose one of {', '.join(RoiForm)}",
        )
    return RoiTarget(form, Path(file))


class RoiWriter:
    """Makes one file, frame by frame; of a frame it keeps what the file says about it.

    Args:
        form: the file's form.
        block: side of a block in pixels.
        within: the range of offsets.
    """

    def __init__(self, form: RoiForm, block: int, within: OffsetRange) -> None:
        self._form = form
        self._block = block
        self._within = within.with_levels(_SVT_SEGMENTS) if form is RoiForm.SVT_AV1 else within
        self._size = (0, 0)
        self._pieces: list[str] = []
        self._centres: list[float] = []
        self._sum: NDArray[np.float64] | None = None

    def add(self, values: Floats, mean: float) -> None:
        """Take the map ``[H, W]`` of the next frame, 0 to 1, and its mean.

        Raises:
            ConfigError: its size is not that of the frames before.
        """
        size = (values.shape[1], values.shape[0])
        if self._centres and self._size != size:
            raise ConfigError(
                "--roi",
                expected=f"frames of one size, {self._size[0]}x{self._size[1]}",
                found=f"{size[0]}x{size[1]} at frame {len(self._centres)}",
                next_step="give a clip of one size",
            )
        self._size = size
        number = len(self._centres)
        self._centres.append(mean)
        if self._form in _FIRST_OF_ZONES:
            return
        means = block_means(values, self._block)
        if self._form is RoiForm.ADDROI:
            self._sum = means if self._sum is None else self._sum + means
            return
        offsets = self._within.offsets(means, mean)
        self._pieces.append(_svt_av1(number, offsets) if self._form is RoiForm.SVT_AV1 else _kvazaar(offsets))

    def text(self) -> str:
        """Return the file's text for the frames so far, at least one."""
        if self._form in _FIRST_OF_ZONES:
            series = np.array(self._centres, dtype=np.float64)
            offsets = self._within.offsets(series, float(series.mean()))
            return _zones(offsets, _FIRST_OF_ZONES[self._form])
        if self._sum is not None:
            steady = self._within.offsets(self._sum / len(self._centres), float(np.mean(self._centres)))
            return _addroi(steady, self._size, self._block)
        return "".join(self._pieces)


def _svt_av1(number: int, offsets: Offsets) -> str:
    """The frame's number, then a qindex offset per block of 64 in raster order."""
    return " ".join(map(str, (number, *(_SVT_STEPS * offsets).ravel()))) + "\n"


def _kvazaar(offsets: Offsets) -> str:
    """Columns and rows, then a line of QP offsets per row of blocks."""
    lines = (" ".join(map(str, row)) for row in ([offsets.shape[1], offsets.shape[0]], *offsets))
    return "\n".join(lines) + "\n"


def _zones(offsets: Offsets, start: int) -> str:
    """``first,last,b=FACTOR`` joined by ``/``: a factor of bits for each run of frames from ``start``."""
    zones = []
    first = start
    for offset, run in itertools.groupby(offsets.tolist()):
        last = first + len(list(run)) - 1
        if offset:
            zones.append(f"{first},{last},b={2 ** (-offset / _DOUBLING):.4f}")
        first = last + 1
    return "/".join(zones or [f"{start},{first - 1},b=1.0000"]) + "\n"


def _addroi(offsets: Offsets, size: tuple[int, int], block: int) -> str:
    """A filter chain of disjoint rectangles; ``null`` where no block differs from the mean."""
    filters = [
        f"addroi=x={x * block}:y={y * block}:w={min(wide * block, size[0] - x * block)}"
        f":h={min(tall * block, size[1] - y * block)}:qoffset={offset}/{MAX_OFFSET}"
        for x, y, wide, tall, offset in _rectangles(offsets)
    ]
    return ",".join(filters or ["null"]) + "\n"


def _rectangles(offsets: Offsets) -> list[tuple[int, int, int, int, int]]:
    """Cover each block that is not 0 once: runs along a row, joined with equal runs below."""
    found: list[tuple[int, int, int, int, int]] = []
    open_runs: dict[tuple[int, int, int], int] = {}
    for y, row in enumerate([*offsets.tolist(), []]):
        runs = {}
        x = 0
        for offset, run in itertools.groupby(row):
            wide = len(list(run))
            if offset:
                runs[x, wide, offset] = open_runs.pop((x, wide, offset), y)
            x += wide
        found += [(x, top, wide, y - top, offset) for (x, wide, offset), top in open_runs.items()]
        open_runs = runs
    return sorted(found, key=lambda item: (item[1], item[0]))
