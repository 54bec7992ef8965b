"""Pictures of what a model saw: the map as grey, and the map over the frame."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vmaf_train.frames import Bytes
from vmaf_train.onnx_session import Floats

__all__ = ["map_png", "overlay_png", "picture_label"]

_WIDEST = 960
_SMALLEST = 128
_GAP = 8
_CAPTION = 22
_INK, _PAPER = (20, 20, 20), (250, 250, 250)


def map_png(values: Floats) -> bytes:
    """Return a map ``[H, W]``, 0 to 1, as a grey PNG of that size: 255 times the value, to nearest."""
    return _png(Image.fromarray(np.rint(values * 255.0).astype(np.uint8)))


def overlay_png(rgb: Bytes, values: Floats, caption: str) -> bytes:
    """Return a PNG: the frame, the map's colours over the grey frame, and a caption below.

    Dark purple is 0, pale yellow 1, the same in every picture. A frame wider than 960 pixels is
    shown smaller, and pixels of one whose longer side is below 65 as squares.

    Args:
        rgb: uint8 ``[H, W, 3]``.
        values: float32 ``[H, W]``, 0 to 1.
        caption: one line.
    """
    from matplotlib import colormaps

    frame, heat = (_shown(Image.fromarray(array)) for array in (rgb, values))
    colours = np.asarray(colormaps["inferno"](np.asarray(heat), bytes=True))[:, :, :3].astype(np.float32)
    grey = np.asarray(frame).astype(np.float32).mean(axis=2, keepdims=True)
    blend = np.rint(0.35 * grey + 0.65 * colours).astype(np.uint8)
    panels = [frame, Image.fromarray(blend)]
    wide, tall = panels[0].size
    font = ImageFont.load_default(13)
    sheet_width = max(2 * wide + 3 * _GAP, int(font.getlength(caption)) + 2 * _GAP)
    sheet = Image.new("RGB", (sheet_width, tall + 2 * _GAP + _CAPTION), _PAPER)
    for index, panel in enumerate(panels):
        sheet.paste(panel, (_GAP + index * (wide + _GAP), _GAP))
    ImageDraw.Draw(sheet).text((_GAP, tall + _GAP + 3), caption, _INK, font=font)
    return _png(sheet)


def _shown(panel: Image.Image) -> Image.Image:
    """Return the panel at the size at which it is shown."""
    if panel.width > _WIDEST:
        size = (_WIDEST, max(1, round(panel.height * _WIDEST / panel.width)))
        return panel.resize(size, Image.Resampling.BOX)
    times = max(1, _SMALLEST // max(panel.size))
    return panel.resize((panel.width * times, panel.height * times), Image.Resampling.NEAREST)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def picture_label(name: str, taken: set[str]) -> str:
    """Return how the pictures of an input begin, and add it to ``taken``.

    No two inputs share one, nor is one what another's frames are called: ``a-000003``.
    """
    stem = "stdin" if name == "-" else Path(name).resolve().stem
    label, number = stem, 1
    while any(_meet(label, other) for other in taken):
        number += 1
        label = f"{stem}.{number}"
    taken.add(label)
    return label


def _meet(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return re.fullmatch(re.escape(short) + r"(-\d+)?", long) is not None
