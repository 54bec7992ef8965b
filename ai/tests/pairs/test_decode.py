from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from pairs.made_files import encoded, photo
from vmaf_train.errors import DataError
from vmaf_train.pairs import decode_image, decode_mask, short_side_size
from vmaf_train.pairs.decode import open_picture, rgb_pixels, stored_size

RED = (200, 30, 40)


def save(path: Path, picture: Image.Image, kind: str, **options: object) -> Path:
    path.write_bytes(encoded(picture, kind, **options))
    return path


def without_adobes_marker(data: bytes) -> bytes:
    """A JPEG without the segment by which Adobe's programs say how they store CMYK."""
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def test_a_grey_jpeg_gives_three_equal_channels(tmp_path: Path) -> None:
    pixels = decode_image(save(tmp_path / "a.jpg", Image.new("L", (9, 5), 77), "JPEG"))
    assert pixels.shape == (5, 9, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 77).max() <= 1


def test_a_cmyk_jpeg_as_adobe_stores_it_keeps_its_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG", quality=100)
    assert open_picture(path.read_bytes()).mode == "CMYK"
    assert np.abs(decode_image(path).astype(int) - RED).max() <= 3


def test_a_cmyk_jpeg_without_adobes_marker_is_not_inverted(tmp_path: Path) -> None:
    ink = Image.eval(Image.new("RGB", (16, 16), RED).convert("CMYK"), lambda level: 255 - level)
    path = tmp_path / "a.jpg"
    path.write_bytes(without_adobes_marker(encoded(ink, "JPEG", quality=100)))
    assert "adobe" not in open_picture(path.read_bytes()).info
    assert np.abs(decode_image(path).astype(int) - RED).max() <= 3


def test_a_cmyk_mask_counts_by_its_colours_with_the_marker_and_without(tmp_path: Path) -> None:
    truth = np.zeros((16, 16, 3), np.uint8)
    truth[4:12, 4:12] = 255
    ink = Image.fromarray(truth).convert("CMYK")
    marked = save(tmp_path / "marked.jpg", ink, "JPEG", quality=100)
    plain = tmp_path / "plain.jpg"
    inverted = Image.eval(ink, lambda level: 255 - level)
    plain.write_bytes(without_adobes_marker(encoded(inverted, "JPEG", quality=100)))
    for path in (marked, plain):
        assert ((decode_mask(path) > 127) == (truth[..., 0] > 127)).all()


def test_alpha_is_laid_over_white_in_a_picture_and_over_black_in_a_mask(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (3, 1))
    for x, colour in enumerate([(*RED, 255), (*RED, 0), (0, 0, 0, 51)]):
        picture.putpixel((x, 0), colour)
    path = save(tmp_path / "a.png", picture, "PNG")
    assert decode_image(path).tolist() == [[list(RED), [255] * 3, [204] * 3]]
    mask = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    mask.putpixel((0, 0), (255, 255, 255, 255))
    assert decode_mask(save(tmp_path / "m.png", mask, "PNG")).tolist() == [[255, 0]]


def test_a_transparent_palette_entry_is_paper_not_its_hidden_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([*RED, 1, 2, 3])
    picture.putpixel((1, 0), 1)
    path = save(tmp_path / "a.png", picture, "PNG", transparency=0)
    assert decode_image(path).tolist() == [[[255] * 3, [1, 2, 3]]]


def test_sixteen_bits_are_scaled_and_never_clipped(tmp_path: Path) -> None:
    levels = np.array([[0, 255, 257, 32896, 65535]], dtype=np.uint16)
    path = save(tmp_path / "a.png", Image.fromarray(levels), "PNG")
    expected = [0, 1, 1, 128, 255]
    assert decode_image(path)[0, :, 0].tolist() == expected
    assert decode_mask(path)[0].tolist() == expected


def test_a_float_picture_has_no_known_range_and_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.ones((3, 3), dtype=np.float32)), "TIFF")
    with pytest.raises(DataError, match="mode F"):
        decode_image(path)


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_the_header_gives_the_same_size(
    tmp_path: Path, kind: str, suffix: str, orientation: int
) -> None:
    upright = np.zeros((16, 32, 3), dtype=np.uint8)
    upright[:8, :8] = 255
    # The stored raster that a viewer turns back to ``upright``, by the EXIF standard's table.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    pixels = decode_image(path)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 3
    assert stored_size(path.read_bytes()) == upright.shape[:2]
    assert decode_mask(path).shape == upright.shape[:2]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_turn_that_a_png_tells_behind_its_pixels_is_in_the_size_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description, and no orientation"
    path = save(tmp_path / "a.png", Image.new("RGB", (32, 16)), "PNG", exif=exif)
    turn = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    late = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + turn)
    data = path.read_bytes()
    path.write_bytes(data[:-12] + late + data[-12:])
    assert decode_image(path).shape == (32, 16, 3)
    assert stored_size(path.read_bytes()) == (32, 16)


def damaged_exif(kind: str) -> bytes:
    """EXIF that says: turn by 90 degrees, with a field that Pillow cannot write anew, or none at all."""
    if kind == "no TIFF header":
        return b"Exif\0\0nothing of the kind"
    entry = {
        "text for a number": (0x0128, 2, 2, b"2\0\0\0"),
        "a negative width": (0x0100, 9, 1, (-5).to_bytes(4, "little", signed=True)),
    }[kind]
    fields = sorted([entry, (0x0112, 3, 1, b"\x06\0\0\0")])
    body = b"".join(
        tag.to_bytes(2, "little") + form.to_bytes(2, "little") + count.to_bytes(4, "little") + value
        for tag, form, count, value in fields
    )
    return b"Exif\0\0II*\0\x08\0\0\0" + len(fields).to_bytes(2, "little") + body + bytes(4)


@pytest.mark.parametrize("kind", ["text for a number", "a negative width", "no TIFF header"])
def test_damaged_exif_costs_at_most_the_turn(tmp_path: Path, kind: str) -> None:
    shape = (12, 20) if kind == "no TIFF header" else (20, 12)
    for suffix, form in (("jpg", "JPEG"), ("png", "PNG")):
        picture = photo(3, 12, 20)
        path = save(tmp_path / f"a.{suffix}", picture, form, exif=damaged_exif(kind))
        assert decode_image(path).shape[:2] == decode_mask(path).shape == shape
        assert stored_size(path.read_bytes()) == shape


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_profile_is_heeded_under_alpha_too(tmp_path: Path, mode: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"swap").replace(b"gXYZ", b"rXYZ").replace(b"swap", b"gXYZ")
    opaque = Image.new("RGBA", (4, 4), (*RED, 255))
    plain = decode_image(save(tmp_path / "rgb.png", opaque.convert("RGB"), "PNG", icc_profile=swapped))
    assert np.abs(plain[0, 0].astype(int) - RED).max() > 20
    if mode == "RGBA":
        alpha = decode_image(save(tmp_path / "rgba.png", opaque, "PNG", icc_profile=swapped))
        assert np.array_equal(alpha, plain)
    else:  # a profile of colours does not fit a grey picture, with alpha or without
        grey = decode_image(save(tmp_path / "la.png", opaque.convert("LA"), "PNG", icc_profile=swapped))
        assert np.array_equal(grey, np.asarray(opaque.convert("L").convert("RGB")))


def test_an_icc_profile_is_converted_to_srgb_and_a_broken_one_is_ignored(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red_is_green = srgb.replace(b"rXYZ", b"swap").replace(b"gXYZ", b"rXYZ").replace(b"swap", b"gXYZ")
    picture = Image.new("RGB", (4, 4), RED)
    for profile, expected in ((srgb, RED), (red_is_green, (30, 200, 40)), (b"not a profile", RED)):
        path = save(tmp_path / "a.png", picture, "PNG", icc_profile=profile)
        assert np.abs(decode_image(path).astype(int) - expected).max() <= 2
        assert decode_mask(path)[0, 0] == 82


def test_a_coloured_mask_becomes_luma_and_a_palette_counts_by_its_colours(tmp_path: Path) -> None:
    coloured = Image.new("RGB", (1, 1), (255, 0, 0))
    assert decode_mask(save(tmp_path / "a.png", coloured, "PNG")).tolist() == [[76]]
    indexed = Image.new("P", (2, 1), 0)
    indexed.putpalette([0, 0, 0, 255, 255, 255])
    indexed.putpixel((1, 0), 1)
    assert decode_mask(save(tmp_path / "b.png", indexed, "PNG")).tolist() == [[0, 255]]


def test_a_one_bit_mask_comes_out_as_0_and_255(tmp_path: Path) -> None:
    mask = Image.new("1", (2, 1), 0)
    mask.putpixel((1, 0), 1)
    assert decode_mask(save(tmp_path / "a.png", mask, "PNG")).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\x00" * 300, "not a picture"),
        (encoded(photo(1, 300, 400), "JPEG")[:-200], "truncated"),
        (encoded(photo(1, 300, 400), "PNG")[:-200], "truncated"),
    ],
    ids=["empty", "web page", "noise", "cut jpeg", "cut png"],
)
def test_a_file_without_all_its_pixels_is_refused_with_the_reason(
    tmp_path: Path, data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=reason):
        decode_image(path)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(Image.new("L", (100, 100)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    with pytest.raises(ValueError, match=r"pixels|exceeds"):
        open_picture(data)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a regular file"):
        decode_mask(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        decode_image(tmp_path / "absent.png")


def test_a_decoded_picture_can_be_written_to_without_harm() -> None:
    pixels = rgb_pixels(open_picture(encoded(photo(2), "PNG")))
    pixels[:] = 0
    assert pixels.flags.writeable


@pytest.mark.parametrize(
    ("h", "w", "short_side", "expected"),
    [
        (300, 400, 288, (288, 384)),
        (400, 300, 288, (384, 288)),
        (288, 288, 288, (288, 288)),
        (2, 3, 1, (1, 2)),
        (4, 5, 2, (2, 3)),
        (5, 4, 2, (3, 2)),
        (1, 1, 256, (256, 256)),
        (90, 100, 256, (256, 284)),
    ],
)
def test_the_short_side_is_exact_and_halves_round_up(
    h: int, w: int, short_side: int, expected: tuple[int, int]
) -> None:
    assert short_side_size(h, w, short_side) == expected
