"""One way in for every kind of input: pictures, folders of them, ``.y4m``, raw ``.yuv``, any container."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.frames import Chroma, rgb_to_yuv, split_planes
from vmaf_train.pairs.decode import decode_image, stored_frames
from vmaf_train.pairs.layouts import folder_entries, is_junk, is_picture
from vmaf_train.pairs.listing import printable
from vmaf_train.prediction.clip import Clip, ClipKind, Frame, pixel_format_name
from vmaf_train.prediction.containers import open_container
from vmaf_train.prediction.y4m import (
    Y4mHeader,
    frame_bytes,
    read_exactly,
    read_y4m_frames,
    read_y4m_header,
)

__all__ = ["STANDARD_INPUT", "FrameForm", "open_clip"]

STANDARD_INPUT = "-"
"""The name of an input that is a YUV4MPEG2 stream on standard input."""


@dataclass(frozen=True)
class FrameForm:
    """What the user says about frames.

    Attributes:
        chroma: of raw files; what pictures are made into; what ffmpeg converts a container to.
            None means 4:2:0, and for a container the samples as they are stored.
        size: (width, height) of raw files.
    """

    chroma: Chroma | None = None
    size: tuple[int, int] | None = None


def open_clip(name: str, form: FrameForm) -> AbstractContextManager[Clip]:
    """Open an input for one pass over its frames; leaving the block closes it.

    A folder is a clip of its pictures, ordered by name with numbers by value.

    Raises:
        ConfigError: a raw file without a size, or a container without an installed ffmpeg.
        DataError: nothing is there, or it is damaged or empty.
        ContractError: frames that the contract refuses.
    """
    path = Path(name)
    if name == STANDARD_INPUT:
        return _open_y4m(None, "standard input")
    if _is_folder(path):
        return _open_folder(path, form.chroma or Chroma.YUV420)
    suffix = path.suffix.lower()
    if suffix == ".y4m":
        return _open_y4m(path, name)
    if suffix == ".yuv":
        return _open_raw(path, form)
    if is_picture(path.name):
        count = stored_frames(path)
        notes = [f"the first of {count} pictures in the file"] if count > 1 else []
        return _open_pictures(path, ClipKind.PICTURE, [path], form.chroma or Chroma.YUV420, notes)
    return open_container(path, form.chroma)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "no regular file" if path.exists() else "nothing there")
        stream = path.open("rb")
    except OSError as error:
        raise DataError(
            str(path),
            expected="a readable file",
            found=error.strerror or str(error),
            next_step="give the path of a clip",
        ) from error
    with stream:
        yield stream


@contextmanager
def _open_y4m(path: Path | None, name: str) -> Iterator[Clip]:
    if path is None:
        if sys.stdin is None:  # closed by whoever started this
            raise DataError(name, expected="a stream", found="none", next_step="pipe a .y4m clip into it")
        yield _y4m_clip(sys.stdin.buffer, name, None)
        return
    with _opened(path) as stream:
        yield _y4m_clip(stream, name, os.fstat(stream.fileno()).st_size)


def _y4m_clip(stream: BinaryIO, name: str, size: int | None) -> Clip:
    header: Y4mHeader = read_y4m_header(stream, name)
    each = len(b"FRAME\n") + frame_bytes(header.width, header.height, header.chroma)
    total = None if size is None else (size - header.size) // each
    frames = read_y4m_frames(stream, header, name)
    return Clip(name, ClipKind.Y4M, header.chroma, total, frames, list(header.notes))


@contextmanager
def _open_raw(path: Path, form: FrameForm) -> Iterator[Clip]:
    if form.size is None:
        raise ConfigError(
            f"raw frames {path}",
            expected="--size WIDTHxHEIGHT, which a .yuv file does not hold",
            found="none",
            next_step="add it, and --pixel-format if the frames are not yuv420p",
        )
    chroma = form.chroma or Chroma.YUV420
    width, height = form.size
    each = frame_bytes(width, height, chroma)
    with _opened(path) as stream:
        total, rest = divmod(os.fstat(stream.fileno()).st_size, each)
        if rest or not total:
            raise DataError(
                str(path),
                expected=f"whole frames of {each} bytes ({width}x{height} in {pixel_format_name(chroma)})",
                found=f"{total} frames and {rest} bytes",
                next_step="check --size and --pixel-format",
            )
        data = (read_exactly(stream, each) for _ in range(total))
        frames = (Frame(split_planes(item, width, height, chroma), "") for item in data)
        yield Clip(str(path), ClipKind.RAW, chroma, total, frames)


def _open_folder(folder: Path, chroma: Chroma) -> AbstractContextManager[Clip]:
    names = [name for name, is_folder in folder_entries(folder) if not is_folder and not is_junk(name)]
    pictures = sorted((name for name in names if is_picture(name)), key=_by_number)
    if not pictures:
        raise DataError(
            str(folder),
            expected="a folder that holds pictures",
            found=f"{len(names)} files, none of them a picture",
            next_step="name clips one by one",
        )
    aside = len(names) - len(pictures)
    notes = [f"{aside} other files in the folder left aside"] if aside else []
    paths = [folder / name for name in pictures]
    return _open_pictures(folder, ClipKind.PICTURES, paths, chroma, notes)


@contextmanager
def _open_pictures(
    path: Path, kind: ClipKind, paths: list[Path], chroma: Chroma, notes: list[str]
) -> Iterator[Clip]:
    frames = (Frame(rgb_to_yuv(decode_image(item), chroma), item.name) for item in paths)
    made = f"made into {pixel_format_name(chroma)}, BT.709 limited range, as an encoder would see it"
    yield Clip(str(path), kind, chroma, len(paths), frames, [made, *notes])


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise DataError(
            printable(path)[:100],
            expected="the name of a clip",
            found=error.strerror or str(error),
            next_step="correct the name, or the permissions of its folder",
        ) from error


def _by_number(name: str) -> list[tuple[int, str]]:
    """Order f2 before f10; texts that differ in leading zeros alone keep an order too."""
    parts = re.split(r"(\d+)", name)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
