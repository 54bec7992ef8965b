from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pairs.made_files import encoded, put_pair, toy_set
from vmaf_train.errors import PublishError
from vmaf_train.pairs import contact_sheet, decode_image, find_pairs, inspect_pairs
from vmaf_train.pairs import sheet as sheet_module


def sheet_of(root: Path, path: Path) -> Image.Image:
    contact_sheet(inspect_pairs(find_pairs(root)), path)
    with Image.open(path) as sheet:
        sheet.load()
    assert sheet.format == "PNG"
    return sheet


def test_the_target_is_tinted_and_the_mask_stands_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "set"
    image, mask = put_pair(root, "a", 1, h=150, w=200)
    image.write_bytes(encoded(Image.new("RGB", (200, 150), (0, 0, 200)), "PNG"))
    half = np.zeros((150, 200), dtype=np.uint8)
    half[:, 100:] = 255
    mask.write_bytes(encoded(Image.fromarray(half), "PNG"))
    pixels = np.asarray(sheet_of(root, tmp_path / "sheet.png"))
    row = pixels[38 + 70]
    assert row[8 + 50].tolist() == [0, 0, 200]
    assert row[8 + 150].tolist() == [114, 18, 128]
    assert row[8 + 208 + 50].tolist() == [0, 0, 0]
    assert row[8 + 208 + 150].tolist() == [255, 255, 255]


def test_findings_duplicates_and_dropped_files_add_rows(tmp_path: Path) -> None:
    plain = sheet_of(toy_set(tmp_path / "a", 4), tmp_path / "a.png")
    toy_set(tmp_path / "b", 5)
    folder = tmp_path / "b" / "TOY-Image"
    (folder / "0001.jpg").write_bytes((folder / "0000.jpg").read_bytes())
    (folder / "0002.jpg").write_bytes(encoded(Image.new("L", (60, 40), 9), "JPEG"))
    (folder / "0003.jpg").write_bytes(b"broken [red] name")
    odd = sheet_of(tmp_path / "b", tmp_path / "b.png")
    row = 30 + 150 + 16 + 8
    assert odd.size == (plain.width, plain.height + 3 * row)


def test_the_sheet_is_bounded_whatever_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []

    def counted(path: Path) -> object:
        decoded.append(path)
        return decode_image(path)

    monkeypatch.setattr(sheet_module, "decode_image", counted)
    sheet_of(toy_set(tmp_path / "a", 40), tmp_path / "a.png")
    assert len(decoded) <= 12


def test_a_sheet_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PublishError):
        sheet_of(toy_set(tmp_path / "a", 1), tmp_path / "file" / "a.png")
