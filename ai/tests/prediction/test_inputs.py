from __future__ import annotations

import io
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from planes import join_planes
from prediction.streams import made_planes, y4m
from vmaf_train.errors import ConfigError, DataError, VmafTrainError
from vmaf_train.frames import Chroma, Planes, rgb_to_yuv
from vmaf_train.prediction.clip import ClipKind, parse_pixel_format, parse_size
from vmaf_train.prediction.inputs import FrameForm, open_clip

NO_FORM = FrameForm()


def read(name: Path | str, form: FrameForm = NO_FORM) -> list[Planes]:
    with open_clip(str(name), form) as clip:
        planes = [frame.planes for frame in clip.frames]
        assert clip.total in (len(planes), None)
    return planes


def same(one: Planes, other: Planes) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def picture(path: Path, level: int) -> Path:
    pixels = np.full((6, 8, 3), level, dtype=np.uint8)
    pixels[:3, :4] = (200, 40, 10)
    Image.fromarray(pixels).save(path)
    return path


def test_a_y4m_file_knows_how_many_frames_it_has(tmp_path: Path) -> None:
    frames = [made_planes(6, 4, number) for number in range(3)]
    path = tmp_path / "clip.Y4M"
    path.write_bytes(y4m(frames))
    with open_clip(str(path), NO_FORM) as clip:
        assert (clip.kind, clip.total, clip.pixel_format) == (ClipKind.Y4M, 3, "yuv420p")
        assert all(same(frame.planes, made) for frame, made in zip(clip.frames, frames, strict=True))


def test_a_y4m_stream_may_come_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [made_planes(6, 4, number) for number in range(2)]
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(y4m(frames))))
    back = read("-")
    assert len(back) == 2
    assert same(back[1], frames[1])


@pytest.mark.parametrize("chroma", list(Chroma))
def test_raw_frames_of_odd_sides_are_read_by_the_size_that_is_given(tmp_path: Path, chroma: Chroma) -> None:
    frames = [made_planes(7, 5, number, chroma) for number in range(2)]
    path = tmp_path / "clip.yuv"
    path.write_bytes(b"".join(join_planes(planes) for planes in frames))
    back = read(path, FrameForm(chroma, (7, 5)))
    assert len(back) == 2
    assert all(same(one, other) for one, other in zip(back, frames, strict=True))


def test_a_raw_file_needs_a_size_and_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / "clip.yuv"
    path.write_bytes(bytes(24 + 5))
    with pytest.raises(ConfigError, match="--size"):
        read(path)
    with pytest.raises(DataError, match=r"24 bytes \(4x4 in yuv420p\), found 1 frames and 5 bytes"):
        read(path, FrameForm(None, (4, 4)))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="0 frames and 0 bytes"):
        read(path, FrameForm(None, (4, 4)))


def test_a_picture_is_seen_as_an_encoder_would_see_it(tmp_path: Path) -> None:
    path = picture(tmp_path / "one.png", 90)
    rgb = np.asarray(Image.open(path))
    with open_clip(str(path), NO_FORM) as clip:
        assert (clip.kind, clip.total) == (ClipKind.PICTURE, 1)
        assert "yuv420p" in clip.notes[0]
        (frame,) = clip.frames
    assert frame.name == "one.png"
    assert same(frame.planes, rgb_to_yuv(rgb, Chroma.YUV420))
    (full,) = read(path, FrameForm(Chroma.YUV444))
    assert same(full, rgb_to_yuv(rgb, Chroma.YUV444))


def test_a_folder_is_a_clip_of_its_pictures_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        picture(tmp_path / f"f{number}.png", number)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("not a picture")
    (tmp_path / "inner").mkdir()
    with open_clip(str(tmp_path), NO_FORM) as clip:
        assert clip.kind is ClipKind.PICTURES
        assert clip.total == 3
        assert "1 other files in the folder left aside" in clip.notes
        assert [frame.name for frame in clip.frames] == ["f1.png", "f2.png", "f10.png"]


def test_a_number_in_a_name_is_one_of_plain_digits(tmp_path: Path) -> None:
    for name in ("a1²2.png", "a1²10.png", "a٣.png"):
        picture(tmp_path / name, 3)
    with open_clip(str(tmp_path), NO_FORM) as clip:
        assert [frame.name for frame in clip.frames] == ["a1²2.png", "a1²10.png", "a٣.png"]


def test_of_an_animated_picture_the_first_frame_is_taken_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (10, 200, 250)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with open_clip(str(path), NO_FORM) as clip:
        assert "the first of 3 pictures in the file" in clip.notes
        assert len(list(clip.frames)) == 1


def test_a_name_that_no_file_can_have_and_a_closed_input_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="name too long"):
        read("x" * 300)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input: expected a stream, found none"):
        read("-")


def test_a_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DataError, match="1 files, none of them a picture"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["gone.y4m", "gone.yuv", "gone.png", "gone.mkv"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="gone"):
        read(tmp_path / name, FrameForm(None, (4, 4)))


def test_a_named_pipe_is_no_file_to_wait_for(tmp_path: Path) -> None:
    for name in ("pipe.y4m", "pipe.mkv"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match="no regular file"):
            read(tmp_path / name)


def test_an_input_that_is_left_early_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "clip.y4m"
    path.write_bytes(y4m([made_planes(6, 4)] * 3))
    with open_clip(str(path), NO_FORM) as clip:
        next(clip.frames)
    with pytest.raises(ValueError, match="closed file"):
        next(clip.frames)


def test_sizes_and_pixel_formats_are_read_or_refused_by_name() -> None:
    assert parse_size("854x480") == (854, 480)
    assert parse_size("1X16384") == (1, 16384)
    for text in ("", "x", "854", "0x4", "4x16385", "-1x2", "4x4x4", "٣x4", "4 x 4"):
        with pytest.raises(ConfigError, match="--size"):
            parse_size(text)
    assert parse_pixel_format("yuv422p") is Chroma.YUV422
    for text in ("yuv420p10le", "gray", "nv12", "rgb24", "yuvj420p", ""):
        with pytest.raises(VmafTrainError, match=f"pixel format {text}"):
            parse_pixel_format(text)
