"""What a full decode of one file shows, and the store that spares decoding it again."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
from PIL import Image

from vmaf_train.errors import VmafTrainError
from vmaf_train.files import sha256_bytes, write_atomic
from vmaf_train.pairs.decode import (
    MASK_THRESHOLD,
    Pixels,
    grey_pixels,
    open_picture,
    orientation,
    read_bytes,
    rgb_pixels,
)
from vmaf_train.pairs.listing import printable

__all__ = ["FactStore", "FileFacts", "Finding", "Side", "Stamp", "examine", "file_stamp"]

Side = Literal["image", "mask"]
Stamp = list[int]

_log = logging.getLogger(__name__)

_STORE_FORMAT = f"3 Pillow {PIL.__version__}"
_TINY_FOREGROUND = 0.01
_ICC_KEY = "icc_profile"
_SUFFIXES = {
    "BMP": (".bmp",),
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}


class Finding(StrEnum):
    """A property of a kept pair that a reader of the numbers should know; it drops nothing."""

    WRONG_SUFFIX = "wrong_suffix"
    GREY_IMAGE = "grey_image"
    CMYK_IMAGE = "cmyk_image"
    ALPHA_IMAGE = "alpha_image"
    PALETTE_IMAGE = "palette_image"
    SIXTEEN_BIT_IMAGE = "sixteen_bit_image"
    ICC_IMAGE = "icc_image"
    EXIF_ROTATED = "exif_rotated"
    EXTREME_ASPECT = "extreme_aspect"
    DUPLICATE_IMAGE = "duplicate_image"
    NON_BINARY_MASK = "non_binary_mask"
    RGB_MASK = "rgb_mask"
    COLOURED_MASK = "coloured_mask"
    PALETTE_MASK = "palette_mask"
    ONE_BIT_MASK = "one_bit_mask"
    SIXTEEN_BIT_MASK = "sixteen_bit_mask"
    ALPHA_MASK = "alpha_mask"
    JPEG_MASK = "jpeg_mask"
    EMPTY_MASK = "empty_mask"
    FULL_MASK = "full_mask"
    TINY_FOREGROUND = "tiny_foreground"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file after a full decode.

    Attributes:
        error: why the file cannot be used; None when it decoded to its last pixel.
        sha256: of the file's bytes; empty when it could not be read.
        height: in pixels as displayed; 0 with an error. ``width`` alike.
        stored_height: in pixels before the EXIF turn. ``stored_width`` alike.
        findings: values of ``Finding``, sorted.
        foreground: share of mask pixels above the threshold, 0..1; 0 for a picture.
        grey_share: share of mask pixels that are neither 0 nor 255, 0..1; 0 for a picture.
        highest: highest grey of a mask, 0..255, one of 16 bits rounded up; 0 for a picture.
    """

    error: str | None
    sha256: str = ""
    height: int = 0
    width: int = 0
    stored_height: int = 0
    stored_width: int = 0
    findings: tuple[str, ...] = ()
    foreground: float = 0.0
    grey_share: float = 0.0
    highest: int = 0


_FIELDS = tuple(field.name for field in fields(FileFacts))


def examine(path: Path, side: Side) -> FileFacts:
    """Decode a file to its last pixel and say what it is; never raises for what the file holds."""
    sha256 = ""
    try:
        data = read_bytes(path)
        sha256 = sha256_bytes(data)
        picture = open_picture(data)
        pixels = rgb_pixels(picture) if side == "image" else grey_pixels(picture)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return FileFacts(error=text, sha256=sha256)
    findings = _file_findings(picture, path, side, data)
    measured: dict[str, Any] = {}
    if side == "image":
        if _is_grey(pixels):
            findings.add(Finding.GREY_IMAGE)
    else:
        measured = _measure(pixels, picture)
        findings |= _mask_findings(measured)
    return FileFacts(
        error=None,
        sha256=sha256,
        height=pixels.shape[0],
        width=pixels.shape[1],
        stored_height=picture.height,
        stored_width=picture.width,
        findings=tuple(sorted(findings)),
        **measured,
    )


class FactStore:
    """Facts by file, valid while the file's size and times stay as they were.

    A text file: a line with the format, then a line ``[key, stamp, facts]`` of JSON for each file.
    A line is parsed when it is asked for, and then forgotten, so that a large set does not lie in
    memory twice. A store that is missing or written by another version is empty, and a damaged one
    holds what stands before the damage. It is written back whole, and holds only the files that were
    kept in it anew, so it does not grow.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: dict[str, str] = {}
        self._kept = io.BytesIO()
        if path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError), path.open(encoding="utf-8") as stream:
                if json.loads(stream.readline()) == _STORE_FORMAT:
                    for line in stream:
                        self._lines[_line_key(line)] = line

    def take(self, path: Path, side: Side, stamp: Stamp | None) -> FileFacts | None:
        """Return the facts of a file that bears the same ``stamp`` still, else None; the second time None."""
        line = self._lines.pop(_key(path, side), None)
        if line is None:
            return None
        try:
            _, kept, values = json.loads(line)
            if kept != stamp:
                return None
            named = dict(zip(_FIELDS, values, strict=True))
            return FileFacts(**{**named, "findings": tuple(named["findings"])})
        except (ValueError, TypeError):
            return None

    def keep(self, path: Path, side: Side, stamp: Stamp | None, facts: FileFacts) -> None:
        """Hold the facts of a file that bore ``stamp`` before it was read, for :meth:`save`."""
        if self._path is not None and stamp is not None:
            row = [_key(path, side), stamp, astuple(facts)]
            self._kept.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def save(self) -> None:
        """Replace the store by what was kept; a store that cannot be written is only logged."""
        if self._path is None:
            return
        try:
            write_atomic(self._path, json.dumps(_STORE_FORMAT).encode() + b"\n" + self._kept.getvalue())
        except VmafTrainError as error:
            _log.warning("the findings are not kept: %s", error)


def _line_key(line: str) -> str:
    """The key at the head of a line, without parsing the rest."""
    key: str = json.JSONDecoder().raw_decode(line, 1)[0]
    return key


def _key(path: Path, side: Side) -> str:
    return f"{side}:{printable(path.absolute())}"


def file_stamp(path: Path) -> Stamp | None:
    """Return what changes with the content: size, and the times of content and of the entry, in ns.

    None for a file that is not there. Taken before the file is read, it cannot vouch for bytes that
    replace those read.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _file_findings(picture: Image.Image, path: Path, side: Side, data: bytes) -> set[str]:
    """Return what the container and the mode tell, before any pixel."""
    found: set[str] = set()
    mask = side == "mask"
    if path.suffix.lower() not in _SUFFIXES.get(picture.format or "", ()):
        found.add(Finding.WRONG_SUFFIX)
    if picture.mode == "P":
        found.add(Finding.PALETTE_MASK if mask else Finding.PALETTE_IMAGE)
    if picture.mode.startswith("I;16") or _png_depth(data) == 16:
        found.add(Finding.SIXTEEN_BIT_MASK if mask else Finding.SIXTEEN_BIT_IMAGE)
    if picture.has_transparency_data:
        found.add(Finding.ALPHA_MASK if mask else Finding.ALPHA_IMAGE)
    if orientation(picture) != 1:
        found.add(Finding.EXIF_ROTATED)
    if mask:
        if picture.format in {"JPEG", "MPO"}:
            found.add(Finding.JPEG_MASK)
        if picture.mode == "1":
            found.add(Finding.ONE_BIT_MASK)
        if picture.mode in {"RGB", "RGBA", "P", "CMYK"}:
            if picture.mode in {"RGB", "RGBA"}:
                found.add(Finding.RGB_MASK)
            if not _is_grey(np.asarray(picture.convert("RGB"))):
                found.add(Finding.COLOURED_MASK)
    else:
        if picture.mode == "CMYK":
            found.add(Finding.CMYK_IMAGE)
        if picture.info.get(_ICC_KEY):
            found.add(Finding.ICC_IMAGE)
    return found


def _png_depth(data: bytes) -> int:
    """Return the bit depth in a PNG's header, 0 for another format; Pillow narrows 16-bit colour."""
    return data[24] if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24 else 0


def _measure(grey: Pixels, picture: Image.Image) -> dict[str, Any]:
    levels = np.bincount(grey.ravel(), minlength=256)
    highest = int(np.flatnonzero(levels)[-1])
    if picture.mode.startswith("I;16"):
        # Rounded up: labels of 16 bits that round to 0 are labels still.
        highest = -(-int(np.asarray(picture).max()) * 255 // 65535)
    return {
        "foreground": float(levels[MASK_THRESHOLD + 1 :].sum() / grey.size),
        "grey_share": float(levels[1:255].sum() / grey.size),
        "highest": highest,
    }


def _mask_findings(measured: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    if measured["grey_share"] > 0:
        found.add(Finding.NON_BINARY_MASK)
    if measured["foreground"] == 0:
        found.add(Finding.EMPTY_MASK)
    elif measured["foreground"] == 1:
        found.add(Finding.FULL_MASK)
    elif measured["foreground"] < _TINY_FOREGROUND:
        found.add(Finding.TINY_FOREGROUND)
    return found


def _is_grey(rgb: Pixels) -> bool:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return bool((red == green).all() and (red == blue).all())
