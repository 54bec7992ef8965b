"""A contact sheet: what an inspection kept, found odd and dropped, at one glance."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vmaf_train.errors import DataError
from vmaf_train.files import write_atomic
from vmaf_train.pairs.decode import MASK_THRESHOLD, Pixels, decode_image, decode_mask
from vmaf_train.pairs.facts import Finding
from vmaf_train.pairs.inspection import Inspection
from vmaf_train.pairs.listing import Pair, printable

__all__ = ["contact_sheet"]

_COLUMNS = 4
_SAMPLE = 12
_PER_FINDING = 4
_DROPPED = 12
_BOX = (200, 150)
_GAP = 8
_LABEL = 16
_HEADING = 30
_INK, _PAPER, _RULE = (20, 20, 20), (250, 250, 250), (120, 120, 120)
_TINT = np.array([255, 40, 40], dtype=np.float32)


@dataclass(frozen=True)
class _Section:
    heading: str
    cells: Sequence[Callable[[], Image.Image]]
    labels: Sequence[str]


def contact_sheet(inspection: Inspection, path: Path) -> None:
    """Write a PNG with a sample of the kept pairs, up to four for each finding, and dropped files.

    Each cell shows the picture with the target tinted red, and the mask on its own grey scale.
    The work is bounded by the sheet, not by the set.

    Raises:
        DataError: a kept file can no longer be decoded.
        PublishError: ``path`` cannot be written.
    """
    sections = _sections(inspection)
    cell_w, cell_h = 2 * _BOX[0] + _GAP, _BOX[1] + _LABEL
    width = _COLUMNS * (cell_w + 2 * _GAP) + _GAP
    rows = [-(-len(section.cells) // _COLUMNS) for section in sections]
    height = sum(_HEADING + count * (cell_h + _GAP) for count in rows) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(11), ImageFont.load_default(16)
    y = _GAP
    for section in sections:
        draw.text((_GAP, y), section.heading, _INK, font=large)
        draw.line((_GAP, y + _HEADING - 8, width - _GAP, y + _HEADING - 8), _RULE)
        y += _HEADING
        for i, (cell, label) in enumerate(zip(section.cells, section.labels, strict=True)):
            x, top = _GAP + (i % _COLUMNS) * (cell_w + 2 * _GAP), y + (i // _COLUMNS) * (cell_h + _GAP)
            sheet.paste(cell(), (x, top))
            draw.text((x, top + _BOX[1] + 2), _fitting(label, cell_w, small), _INK, font=small)
        y += -(-len(section.cells) // _COLUMNS) * (cell_h + _GAP)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _sections(inspection: Inspection) -> list[_Section]:
    kept = inspection.kept
    step = max(1, -(-len(kept) // _SAMPLE))
    shown_of = "all" if step == 1 else f"1 in {step}"
    sections = [_section(f"kept: {len(kept)} pairs, {shown_of} shown", kept[::step])]
    by_file = {path: pair for pair in kept for path in (pair.image, pair.mask)}
    for finding, paths in inspection.findings.items():
        if paths and finding is not Finding.DUPLICATE_IMAGE:
            heading = f"{finding.value.replace('_', ' ')}: {len(paths)}"
            sections.append(_section(heading, [by_file[path] for path in paths[:_PER_FINDING]]))
    if inspection.duplicates:
        by_stem = {pair.stem: pair for pair in kept}
        alike = [by_stem[stem] for group in inspection.duplicates for stem in group]
        heading = f"the same picture twice: {len(inspection.duplicates)} groups"
        sections.append(_section(heading, alike[:_PER_FINDING]))
    if inspection.dropped:
        shown = inspection.dropped[:_DROPPED]
        sections.append(
            _Section(
                f"dropped: {len(inspection.dropped)}",
                [lambda paths=bad.paths: _loose(paths) for bad in shown],  # type: ignore[misc]
                [f"{bad.reason.value}: {bad.paths[0].name}, {bad.detail}" for bad in shown],
            )
        )
    return sections


def _section(heading: str, pairs: Sequence[Pair]) -> _Section:
    return _Section(
        heading,
        [lambda pair=pair: _side_by_side(pair) for pair in pairs],  # type: ignore[misc]
        [pair.stem for pair in pairs],
    )


def _side_by_side(pair: Pair) -> Image.Image:
    picture, grey = decode_image(pair.image), decode_mask(pair.mask)
    tinted = picture.astype(np.float32)
    target = grey > MASK_THRESHOLD
    tinted[target] = 0.55 * tinted[target] + 0.45 * _TINT
    return _cell([tinted.astype(np.uint8), np.repeat(grey[..., None], 3, axis=2)])


def _loose(paths: Sequence[Path]) -> Image.Image:
    """Show dropped files side by side; a crossed box stands for one that cannot be decoded."""
    shown: list[Pixels | None] = []
    for path in paths:
        try:
            shown.append(decode_image(path))
        except DataError:
            shown.append(None)
    return _cell(shown)


def _cell(parts: Sequence[Pixels | None]) -> Image.Image:
    cell = Image.new("RGB", (2 * _BOX[0] + _GAP, _BOX[1]), _PAPER)
    for i, pixels in enumerate(parts):
        left = i * (_BOX[0] + _GAP)
        if pixels is None:
            draw = ImageDraw.Draw(cell)
            box = (left, 0, left + _BOX[0] - 1, _BOX[1] - 1)
            draw.rectangle(box, outline=_RULE)
            draw.line(box, _RULE)
            continue
        picture = Image.fromarray(pixels)
        picture.thumbnail(_BOX)
        cell.paste(picture, (left + (_BOX[0] - picture.width) // 2, (_BOX[1] - picture.height) // 2))
    return cell


def _fitting(label: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    text = printable(label)
    while len(text) > 1 and font.getlength(text) > width:
        text = text[: -max(2, len(text) // 20)].rstrip(".") + "..."
    return text
