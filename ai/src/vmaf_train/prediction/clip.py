"""A clip: frames in order, one at a time, and what is known about them before the first one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from vmaf_train.errors import ConfigError
from vmaf_train.frames import MAX_SIDE, Chroma, Planes

__all__ = [
    "PIXEL_FORMATS",
    "Clip",
    "ClipKind",
    "Frame",
    "parse_pixel_format",
    "parse_size",
    "pixel_format_name",
]

PIXEL_FORMATS = {"yuv420p": Chroma.YUV420, "yuv422p": Chroma.YUV422, "yuv444p": Chroma.YUV444}
"""The formats of the contract's frames, by the names that ffmpeg gives them."""

_EIGHT_BIT_FIRST = "convert it first, for instance with ffmpeg -i IN -pix_fmt yuv420p OUT.y4m"


class ClipKind(StrEnum):
    """How an input was read."""

    PICTURE = "picture"
    PICTURES = "pictures"
    Y4M = "y4m"
    RAW = "raw"
    CONTAINER = "container"


class Frame(NamedTuple):
    """Three planes of 8 bits, and the file's name where the frame came from a picture."""

    planes: Planes
    name: str


@dataclass(frozen=True)
class Clip:
    """An opened input.

    Attributes:
        name: the input as it was named.
        kind: how it is read.
        chroma: the chroma format of all its frames.
        total: how many frames it has, or None where only reading tells.
        frames: the frames, once; none is kept.
        notes: what a reader of the numbers must know. Reading may add to them.
    """

    name: str
    kind: ClipKind
    chroma: Chroma
    total: int | None
    frames: Iterator[Frame]
    notes: list[str] = field(default_factory=list)

    @property
    def pixel_format(self) -> str:
        """The format of the frames, by ffmpeg's name."""
        return pixel_format_name(self.chroma)


def pixel_format_name(chroma: Chroma) -> str:
    """Return ffmpeg's name for planes of 8 bits in a chroma format."""
    return next(name for name, known in PIXEL_FORMATS.items() if known is chroma)


def parse_pixel_format(text: str) -> Chroma:
    """Return the chroma format of one of ``PIXEL_FORMATS``.

    Raises:
        ConfigError: any other name: more than 8 bits, no chroma, packed samples, RGB.
    """
    if text in PIXEL_FORMATS:
        return PIXEL_FORMATS[text]
    raise ConfigError(
        f"pixel format {text}",
        expected=f"{', '.join(PIXEL_FORMATS)}: planes of 8 bits with chroma",
        found="another one",
        next_step=_EIGHT_BIT_FIRST,
    )


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of a text such as ``854x480``.

    Raises:
        ConfigError: it is no such text, or a side is not from 1 to 16384.
    """
    width, _, height = text.lower().partition("x")
    sides = [int(side) if side.isascii() and side.isdigit() else math.inf for side in (width, height)]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise ConfigError(
            "--size",
            expected=f"WIDTHxHEIGHT, each from 1 to {MAX_SIDE}",
            found=repr(text),
            next_step="give the size of the raw frames, for instance 1920x1080",
        )
    return int(sides[0]), int(sides[1])
