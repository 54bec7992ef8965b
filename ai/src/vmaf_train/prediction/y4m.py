"""YUV4MPEG2 streams: one header line, then frames of a ``FRAME`` line and packed planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vmaf_train.errors import ContractError, DataError
from vmaf_train.frames import Chroma, plane_shapes, split_planes
from vmaf_train.prediction.clip import Frame

__all__ = ["Y4mHeader", "frame_bytes", "read_exactly", "read_y4m_frames", "read_y4m_header"]

# Where chroma samples lie does not matter to a nearest upsampling.
_CHROMA = {
    "": Chroma.YUV420,
    "420": Chroma.YUV420,
    "420jpeg": Chroma.YUV420,
    "420mpeg2": Chroma.YUV420,
    "420paldv": Chroma.YUV420,
    "422": Chroma.YUV422,
    "444": Chroma.YUV444,
}
_MAGIC = b"YUV4MPEG2"
_LONGEST_LINE = 4096


@dataclass(frozen=True)
class Y4mHeader:
    """What the header line says.

    Attributes:
        width: in pixels.
        height: in pixels.
        chroma: the chroma format.
        size: how many bytes the header line has, its line feed included.
        notes: what the header says that the contract's conversion does not heed.
    """

    width: int
    height: int
    chroma: Chroma
    size: int
    notes: tuple[str, ...]


def frame_bytes(width: int, height: int, chroma: Chroma) -> int:
    """Return how many bytes a packed frame has.

    Raises:
        ContractError: a side is not from 1 to 16384.
    """
    luma, coarse = plane_shapes(width, height, chroma)
    return luma[0] * luma[1] + 2 * coarse[0] * coarse[1]


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Read ``size`` bytes, or fewer where the stream ends; a pipe may give them in pieces."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def read_y4m_header(stream: BinaryIO, name: str) -> Y4mHeader:
    """Read the header line.

    Args:
        stream: at its beginning.
        name: the input's name, for messages.

    Raises:
        DataError: this is no YUV4MPEG2 stream, or the line is damaged.
        ContractError: frames that the contract refuses, by their name in the header.
    """
    line = stream.readline(_LONGEST_LINE)
    words = line.rstrip(b"\n").decode("ascii", "backslashreplace").split(" ")
    if words[0].encode("ascii", "replace") != _MAGIC or not line.endswith(b"\n"):
        raise DataError(
            name,
            expected=f"a line that begins with {_MAGIC.decode()}",
            found=ascii(line[:24].decode("latin-1")) if line else "an empty file",
            next_step="give a .y4m file, as ffmpeg -i IN OUT.y4m makes it",
        )
    tags = {word[0]: word[1:] for word in words[1:] if word and word[0] != "X"}
    sides = [tags.get(tag, "") for tag in "WH"]
    if not all(side.isdigit() for side in sides):
        raise DataError(
            name,
            expected="W and H with digits in the header",
            found=f"W{sides[0]} H{sides[1]}",
            next_step="make the file again",
        )
    tag = tags.get("C", "")
    if tag not in _CHROMA:
        raise ContractError(
            f"{name}: frames of C{tag}",
            expected="8-bit " + ", ".join(f"C{known}" for known in sorted(_CHROMA) if known),
            found=_what(tag),
            next_step="convert the clip first, for instance with ffmpeg -i IN -pix_fmt yuv420p OUT.y4m",
        )
    width, height = (int(side) for side in sides)
    plane_shapes(width, height, _CHROMA[tag])
    notes = []
    if "XCOLORRANGE=FULL" in words:
        notes.append("marked as full range; read as limited range, as the extractor reads it")
    if tags.get("I", "p") in {"t", "b", "m"}:
        notes.append("interlaced; the two fields of a frame are read as one picture")
    return Y4mHeader(width, height, _CHROMA[tag], len(line), tuple(notes))


def _what(tag: str) -> str:
    if tag.startswith("mono"):
        return "4:0:0, which has no colour to convert"
    depth = tag.partition("p")[2]
    return f"{depth} bits" if depth.isdigit() else "another layout"


def read_y4m_frames(stream: BinaryIO, header: Y4mHeader, name: str) -> Iterator[Frame]:
    """Yield the frames that follow the header, one at a time.

    Raises:
        DataError: a frame's line is wrong, or the last frame is cut off; names its number.
    """
    size = frame_bytes(header.width, header.height, header.chroma)
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        if not (line == b"FRAME\n" or (line.startswith(b"FRAME ") and line.endswith(b"\n"))):
            raise DataError(
                f"{name}, frame {number}",
                expected="a line FRAME before its planes",
                found=ascii(line[:16].decode("latin-1")),
                next_step="make the file again",
            )
        data = read_exactly(stream, size)
        if len(data) != size:
            raise DataError(
                f"{name}, frame {number}",
                expected=f"{size} bytes",
                found=f"{len(data)}, then the end",
                next_step=f"make the file again, or take what is whole with --frames {number}",
            )
        yield Frame(split_planes(data, header.width, header.height, header.chroma), "")
        number += 1
