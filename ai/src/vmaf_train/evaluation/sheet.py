"""A contact sheet of the best, middling and worst maps. It shows the set's pictures: keep it to yourself."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vmaf_train.evaluation.judging import native_map, truth_of
from vmaf_train.evaluation.outcome import Outcome
from vmaf_train.pairs import decode_image
from vmaf_train.pairs.listing import printable

__all__ = ["contact_sheet"]

_PER_SECTION = 6
_BOX = (168, 126)
_GAP = 6
_LABEL = 16
_HEADING = 30
_INK, _PAPER, _RULE = (20, 20, 20), (250, 250, 250), (120, 120, 120)
_LARGEST_WIDTH = 1500

Pixels = NDArray[np.uint8]


def contact_sheet(outcome: Outcome) -> bytes:
    """Return a PNG of pictures with truth and every column's map, chosen by the first column's IoU.

    Raises:
        ContractError: a model fails.
        DataError: a picture can no longer be decoded.
    """
    column = outcome.columns[0]
    name, scores = next(iter(column.per_picture().items()))
    sections = _sections(scores)
    cell_w = (2 + len(outcome.columns)) * (_BOX[0] + _GAP)
    across = max(1, min(_PER_SECTION, _LARGEST_WIDTH // (cell_w + _GAP)))
    cell_h = _BOX[1] + _LABEL + _GAP
    width = across * (cell_w + _GAP) + _GAP
    height = sum(_HEADING + -(-len(items) // across) * cell_h for items in sections.values()) + 2 * _GAP
    sheet = Image.new("RGB", (width, height + _LABEL), _PAPER)
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(11), ImageFont.load_default(16)
    order = ", ".join(["picture", "truth", *(other.label for other in outcome.columns)])
    draw.text((_GAP, _GAP), f"{outcome.selection.name}: {order}", _INK, font=small)
    y = _GAP + _LABEL
    for heading, items in sections.items():
        draw.text((_GAP, y), f"{heading} by {name}", _INK, font=large)
        draw.line((_GAP, y + _HEADING - 8, width - _GAP, y + _HEADING - 8), _RULE)
        y += _HEADING
        for place, item in enumerate(items):
            x, top = _GAP + place % across * (cell_w + _GAP), y + place // across * cell_h
            pair = outcome.selection.pairs[item]
            for number, panel in enumerate(_panels(outcome, item)):
                picture = Image.fromarray(panel)
                picture.thumbnail(_BOX)
                left = x + number * (_BOX[0] + _GAP)
                sheet.paste(
                    picture,
                    (left + (_BOX[0] - picture.width) // 2, top + (_BOX[1] - picture.height) // 2),
                )
            label = f"{scores[item]:.3f}  {printable(pair.stem)}"
            draw.text((x, top + _BOX[1] + 2), label[: cell_w // 6], _INK, font=small)
        y += -(-len(items) // across) * cell_h
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _sections(scores: NDArray[np.float64]) -> dict[str, list[int]]:
    """Return numbers of pictures under each heading; a small set goes under one."""
    order = np.argsort(scores, kind="stable").tolist()
    count = _PER_SECTION
    if len(order) <= 3 * count:
        return {"worst to best": order}
    middle = (len(order) - count) // 2
    return {"worst": order[:count], "middle": order[middle : middle + count], "best": order[-count:]}


def _panels(outcome: Outcome, item: int) -> list[Pixels]:
    pair = outcome.selection.pairs[item]
    rgb = decode_image(pair.image)
    maps = [native_map(column.model, column.feed, rgb) for column in outcome.columns]
    greys = [truth_of(pair).astype(np.float32), *maps]
    return [rgb, *(np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2) for grey in greys)]
