"""Small pictures, masks and sets that the tests of pairs make for themselves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photo(seed: int, h: int = 40, w: int = 60) -> Image.Image:
    """A smooth coloured picture that no other seed gives."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC)


def disc(seed: int, h: int = 40, w: int = 60) -> Image.Image:
    """A two-valued mask: a disc whose place depends on the seed."""
    y, x = np.mgrid[:h, :w]
    inside = (y - h / 2 - seed % 3) ** 2 + (x - w / 2 + seed % 5) ** 2 < (min(h, w) / 3) ** 2
    return Image.fromarray((inside * 255).astype(np.uint8))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def put_pair(root: Path, stem: str, seed: int, *, h: int = 40, w: int = 60) -> tuple[Path, Path]:
    """Add one good pair to a DUTS-like folder and return its files."""
    image, mask = root / "TOY-Image" / f"{stem}.jpg", root / "TOY-Mask" / f"{stem}.png"
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(encoded(photo(seed, h, w), "JPEG", quality=90))
    mask.write_bytes(encoded(disc(seed, h, w), "PNG"))
    return image, mask


def toy_set(root: Path, count: int = 10, *, first: int = 0) -> Path:
    """A DUTS-like set of good pairs ``0000``, ``0001``, ..."""
    for i in range(first, first + count):
        put_pair(root, f"{i:04}", i)
    return root
