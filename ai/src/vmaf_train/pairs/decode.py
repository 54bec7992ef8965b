"""From a picture's bytes to pixels: one rule for every mode that image corpora contain."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, ImageFile, UnidentifiedImageError

from vmaf_train.errors import DataError

__all__ = [
    "MASK_THRESHOLD",
    "Pixels",
    "decode_image",
    "decode_mask",
    "grey_pixels",
    "open_picture",
    "orientation",
    "read_bytes",
    "rgb_pixels",
    "short_side_size",
    "stored_frames",
    "stored_size",
]

MASK_THRESHOLD = 127
"""A mask pixel is foreground when its grey is greater than this, on the 0..255 scale."""

Pixels = NDArray[np.uint8]

_MAX_FILE_BYTES = 256 << 20
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it. Pillow's own exif_transpose also writes the EXIF anew, which
fails on many a damaged one."""
_SWAPPING_ORIENTATIONS = (5, 6, 7, 8)
_SRGB = ImageCms.createProfile("sRGB")


def decode_image(path: Path) -> Pixels:
    """Decode a picture as its author sees it.

    * Grey and palette pictures become three channels.
    * CMYK becomes RGB by the plain formula; Adobe's inverted storage is undone, and a file without
      Adobe's marker is taken as not inverted.
    * Alpha: the picture is laid over white; the colours below full transparency never show.
    * 16 bit is scaled to 8 bit, not clipped. 32-bit integer and float pictures are refused,
      because nothing says what their range is.
    * EXIF orientation is applied, and ignored where the EXIF cannot be read. A mask has to fit the
      picture as displayed.
    * An embedded ICC profile is converted to sRGB, after alpha; one that cannot be read is ignored.

    Returns:
        uint8 [H, W, 3], RGB, 0..255.

    Raises:
        DataError: the file is missing, no picture, cut off, damaged, or too large to decode.
    """
    return _decoded(path, mask=False)


def decode_mask(path: Path) -> Pixels:
    """Decode a truth mask to grey on its native scale; the target is ``grey > MASK_THRESHOLD``.

    * Colour becomes grey by ITU-R BT.601 luma; a palette counts by its colours, not its indices.
    * 1 bit becomes 0 and 255, 16 bit is scaled to 8 bit.
    * Alpha: the mask is laid over black, so a mask kept in the alpha of a white picture is read too.
    * EXIF orientation of the mask's own file is applied; ICC profiles are ignored, since levels
      are labels and not light.

    Returns:
        uint8 [H, W], 0..255.

    Raises:
        DataError: as ``decode_image``.
    """
    return _decoded(path, mask=True)


def short_side_size(h: int, w: int, short_side: int) -> tuple[int, int]:
    """Return ``(h, w)`` scaled so that the shorter side is ``short_side``; halves round up.

    Args:
        h: height in pixels, at least 1.
        w: width in pixels, at least 1.
        short_side: the wanted shorter side in pixels, at least 1.
    """
    shorter = min(h, w)
    return (2 * h * short_side + shorter) // (2 * shorter), (2 * w * short_side + shorter) // (2 * shorter)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file of at most 256 MiB.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, it is empty, or it is too large.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > _MAX_FILE_BYTES:
        raise ValueError(f"{status.st_size} bytes, more than {_MAX_FILE_BYTES}")
    data = path.read_bytes()
    if not data:
        raise ValueError("an empty file")
    return data


def open_picture(data: bytes) -> Image.Image:
    """Decode every pixel of a picture held in memory, turned as its EXIF orientation says.

    Raises:
        ValueError: no picture, or one that is cut off, damaged or beyond Pillow's pixel limit; the
            text says which.
    """
    # Pillow keeps this switch per process; a library that turned it on would give grey for lost rows.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 1 << 27):
            raise ValueError(f"{picture.width}x{picture.height} is too many pixels")
        picture.load()
    except Exception as error:  # Pillow's plugins raise many kinds on damaged bytes.
        raise ValueError(_reason(data, error)) from error
    return picture


def stored_frames(path: Path) -> int:
    """Return how many pictures a file holds, of which the first one is decoded; 1 where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return int(getattr(picture, "n_frames", 1))
    except Exception:  # Pillow's plugins raise many kinds; decoding says what is wrong.
        return 1


def stored_size(data: bytes) -> tuple[int, int]:
    """Return ``(h, w)`` of a picture as it will be displayed; from its header, except for TIFF and PNG.

    Raises:
        ValueError: no picture.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(data))
        if picture.format in {"TIFF", "PNG"}:
            # Pillow itself turns a TIFF, at opening or at loading depending on its version; what turns
            # a PNG may stand behind its pixels.
            picture.load()
            picture = _upright(picture)
            return picture.height, picture.width
        turned = orientation(picture) in _SWAPPING_ORIENTATIONS
    except Exception as error:  # Pillow's plugins raise many kinds on damaged bytes.
        raise ValueError(_reason(data, error)) from error
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where none can be read."""
    try:
        found = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Pillow's EXIF reader raises many kinds on damaged bytes.
        return 1
    return found if found in _UPRIGHT else 1


def rgb_pixels(picture: Image.Image) -> Pixels:
    """Apply the rules of ``decode_image`` to an opened picture; uint8 [H, W, 3].

    Raises:
        ValueError: a mode without a known range.
    """
    profile = picture.info.get("icc_profile")
    upright = _eight_bit(_upright(picture))
    grey = upright.mode in {"L", "LA", "La"}
    if upright.mode == "P":
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    if upright.has_transparency_data:
        with_alpha = upright.convert("RGBA")
        paper = Image.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        # A profile of grey fits a picture of grey alone.
        upright = Image.alpha_composite(paper, with_alpha).convert("L" if grey else "RGB")
    if profile and upright.mode in {"RGB", "CMYK", "L"}:
        upright = _to_srgb(upright, profile)
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def grey_pixels(picture: Image.Image) -> Pixels:
    """Apply the rules of ``decode_mask`` to an opened picture; uint8 [H, W].

    Raises:
        ValueError: a mode without a known range.
    """
    upright = _eight_bit(_upright(picture))
    if upright.has_transparency_data:
        with_alpha = upright.convert("RGBA")
        ground = Image.new("RGBA", with_alpha.size, (0, 0, 0, 255))
        upright = Image.alpha_composite(ground, with_alpha).convert("RGB")
    elif upright.mode not in {"1", "L", "RGB"}:
        upright = upright.convert("RGB")
    return np.array(upright.convert("L"), dtype=np.uint8)


def _decoded(path: Path, *, mask: bool) -> Pixels:
    try:
        picture = open_picture(read_bytes(path))
        return grey_pixels(picture) if mask else rgb_pixels(picture)
    except (OSError, ValueError) as error:
        raise DataError(
            str(path),
            expected=f"a {'mask' if mask else 'picture'} that decodes to its last pixel",
            found=str(error),
            next_step="fetch the file again or take the pair out (data inspect names all such files)",
        ) from error


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a loaded picture as its EXIF says; undo Pillow's inversion of a CMYK JPEG where it is wrong."""
    as_stored = picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info
    turn = _UPRIGHT.get(orientation(picture))
    upright = picture if turn is None else picture.transpose(turn)
    # Pillow inverts each CMYK JPEG, as Adobe's programs store them.
    return ImageChops.invert(upright) if as_stored else upright


def _eight_bit(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        levels = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode in {"I", "F"}:
        raise ValueError(f"pixels of mode {picture.mode}, whose range is not known")
    return picture


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture
    return picture if converted is None else converted


def _reason(data: bytes, error: Exception) -> str:
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return str(error) or type(error).__name__
