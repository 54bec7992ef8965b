from __future__ import annotations

import contextlib
import io
import random
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from pairs.zips import good_members, with_link, with_special, zipped
from vmaf_train.errors import DataError
from vmaf_train.pairs.unpack import unpack


def unpacked(tmp_path: Path, data: bytes, max_bytes: int = 1 << 24) -> Path:
    archive = tmp_path / "a.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(data)
    return unpack(archive, tmp_path / "out", max_bytes=max_bytes)


def test_a_single_top_folder_is_stepped_into_and_litter_left_out(tmp_path: Path) -> None:
    top = unpacked(tmp_path, zipped(good_members(2)))
    assert top == tmp_path / "out" / "DUTS-TR"
    names = sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())
    assert names == [
        "DUTS-TR-Image/0.jpg",
        "DUTS-TR-Image/1.jpg",
        "DUTS-TR-Mask/0.png",
        "DUTS-TR-Mask/1.png",
    ]


def test_without_a_single_top_folder_the_content_starts_at_the_folder(tmp_path: Path) -> None:
    assert unpacked(tmp_path, zipped({"imgs/a.jpg": b"1", "gt/a.png": b"2"})) == tmp_path / "out"


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "/evil.jpg", "C:\\evil.jpg", "a\\..\\evil.jpg", "C:evil.jpg"]
)
def test_a_name_that_leaves_the_folder_refuses_the_whole_archive(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="stay inside"):
        unpacked(tmp_path, zipped({**good_members(1), name: b"evil"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_a_name_cut_by_a_nul_byte_is_refused(tmp_path: Path) -> None:
    data = zipped({"a.jpgX.txt": b"x"}).replace(b"a.jpgX.txt", b"a.jpg\0.txt")
    with pytest.raises(DataError, match="stay inside"):
        unpacked(tmp_path, data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_of_any_compression_is_told_as_damage(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.txt", random.Random(0).randbytes(4000).hex())
    data = bytearray(buffer.getvalue())
    for at in range(60, 3000, 97):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        with pytest.raises(DataError, match="an intact zip archive"):
            unpacked(tmp_path / str(at), bytes(damaged))
    for at in (*range(40), *range(len(data) - 75, len(data))):  # headers: some bytes there mean nothing
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        with contextlib.suppress(DataError):
            unpacked(tmp_path / f"header_{at}", bytes(damaged))


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for data in (
        with_link("x/link", "/etc"),
        with_link("x/link", "y"),
        with_special("x/dev", stat.S_IFCHR, b""),
        with_special("x/fifo", stat.S_IFIFO, b""),
    ):
        with pytest.raises(DataError, match="link or device"):
            unpacked(tmp_path, data)
        assert not (tmp_path / "out").exists()


def test_a_bomb_is_refused_by_the_size_it_declares(tmp_path: Path) -> None:
    bomb = zipped({f"x/{i}.jpg": bytes(1 << 20) for i in range(20)})
    assert len(bomb) < 1 << 16
    with pytest.raises(DataError, match="within bounds"):
        unpacked(tmp_path, bomb, max_bytes=10 << 20)
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_lies_about_its_size_yields_no_more_than_it_declared(tmp_path: Path) -> None:
    honest = zipped({"x/0.jpg": bytes(1 << 20)})
    lying = honest.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1000))
    with pytest.raises(DataError, match="intact"):
        unpacked(tmp_path, lying, max_bytes=2000)
    written = [path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert max(written) <= 1000


def test_one_name_twice_and_a_file_that_is_also_a_folder_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("x/a.jpg", b"1")
        archive.writestr("x//a.jpg", b"2")
    with pytest.raises(DataError, match="twice"):
        unpacked(tmp_path, buffer.getvalue())
    with pytest.raises(DataError, match="intact"):
        unpacked(tmp_path, zipped({"x/a": b"1", "x/a/b": b"2"}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-30],
        lambda data: b"<html>not a zip</html>",
        lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:],
    ],
    ids=["cut", "web page", "flipped bits"],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    with pytest.raises(DataError, match="intact zip"):
        unpacked(tmp_path, damage(zipped({"x/0.jpg": bytes(range(256)) * 9})))


def test_an_encrypted_member_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"x/a.jpg": b"12345"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="encrypted"):
        unpacked(tmp_path, bytes(data))
    with pytest.raises(DataError, match="found none"):
        unpacked(tmp_path, zipped({"__MACOSX/x": b"junk"}))
