from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from prediction.streams import made_planes, need, y4m
from vmaf_train.errors import ConfigError, ContractError, DataError
from vmaf_train.frames import Chroma, Planes
from vmaf_train.prediction.containers import open_container


def made(path: Path, *arguments: str, source: str = "testsrc2=size=64x48:rate=10", frames: int = 6) -> Path:
    need("ffmpeg", "ffprobe")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", str(frames)]
    subprocess.run([*command, *arguments, str(path)], check=True)
    return path


def read(path: Path, wanted: Chroma | None = None) -> tuple[list[Planes], list[str]]:
    with open_container(path, wanted) as clip:
        return [frame.planes for frame in clip.frames], clip.notes


def test_without_ffmpeg_a_container_is_refused_in_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(b"anything")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as refused, open_container(path, None):
        pass
    assert "no ffprobe on PATH" in str(refused.value)
    assert ".y4m" in str(refused.value)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
def test_samples_come_through_ffmpeg_as_they_are_stored(tmp_path: Path, pixel_format: str) -> None:
    chroma = Chroma(pixel_format[3:6])
    frames = [made_planes(35, 19, number, chroma) for number in range(4)]
    source = tmp_path / "in.y4m"
    source.write_bytes(y4m(frames, f"C{chroma}"))
    need("ffmpeg", "ffprobe")
    path = tmp_path / "clip.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:v", "ffv1", path], check=True)
    back, notes = read(path)
    assert notes == []
    assert len(back) == 4
    for one, other in zip(back, frames, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_each_decoded_frame_comes_once_whatever_the_time_stamps(tmp_path: Path) -> None:
    uneven = "setpts='if(lt(N,3),N,N*7)/TB/10'"
    path = made(tmp_path / "clip.mkv", "-vf", uneven, "-fps_mode", "passthrough", "-c:v", "ffv1")
    back, _ = read(path)
    assert len(back) == 6
    assert len({planes.y.tobytes() for planes in back}) == 6


@pytest.mark.parametrize("stored", ["yuv420p10le", "gray", "rgb0", "yuva420p", "nv12"])
def test_a_stored_format_that_the_contract_refuses_is_named_and_can_be_converted(
    tmp_path: Path, stored: str
) -> None:
    coder = ("-c:v", "rawvideo") if stored == "nv12" else ("-c:v", "ffv1")
    path = made(tmp_path / ("clip.nut" if stored == "nv12" else "clip.mkv"), "-pix_fmt", stored, *coder)
    with pytest.raises(ContractError) as refused, open_container(path, None):
        pass
    assert ("bgr0" if stored == "rgb0" else stored) in str(refused.value)
    assert "--pixel-format" in str(refused.value)
    back, notes = read(path, Chroma.YUV420)
    assert len(back) == 6
    assert back[0].cb.shape == (24, 32)
    assert "converted by ffmpeg to yuv420p" in notes[0]


@pytest.mark.parametrize(
    ("marks", "turned"),
    [((), False), (("-colorspace", "bt709"), False), (("-colorspace", "smpte170m"), True)],
)
def test_a_conversion_reads_an_unmarked_matrix_as_the_extractor_does(
    tmp_path: Path, marks: tuple[str, ...], turned: bool
) -> None:
    path = made(
        tmp_path / "clip.mkv",
        *("-vf", "format=yuv420p10le", "-c:v", "ffv1", *marks),
        source="color=0xCC2C00:size=32x32",
        frames=1,
    )
    plain = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"],
        capture_output=True,
        check=True,
    ).stdout
    stored = np.array([plain[0], plain[32 * 32], plain[-1]], dtype=int)
    (planes,), notes = read(path, Chroma.YUV420)
    found = np.array([plane[0, 0] for plane in planes], dtype=int)
    assert bool(np.abs(found - stored).max() > 4) is turned
    assert ("no matrix is marked" in notes[0]) is (not marks)


def test_range_matrix_and_fields_that_the_conversion_does_not_heed_are_noted(tmp_path: Path) -> None:
    marks = ("-colorspace", "smpte170m", "-color_range", "pc", "-field_order", "tt")
    path = made(tmp_path / "clip.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", *marks)
    text = "; ".join(read(path)[1])
    assert "full range" in text
    assert "smpte170m" in text
    assert "interlaced" in text
    assert "interlaced" in "; ".join(read(path, Chroma.YUV420)[1])


def test_full_range_is_taken_as_stored_or_converted_on_wish(tmp_path: Path) -> None:
    path = made(
        tmp_path / "clip.avi",
        *("-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "1"),
        source="color=white:size=32x32",
        frames=1,
    )
    assert read(path)[0][0].y.mean() > 252
    assert read(path, Chroma.YUV420)[0][0].y.mean() == pytest.approx(235, abs=2)


def test_the_picture_is_the_size_that_a_turned_clip_shows(tmp_path: Path) -> None:
    plain = made(tmp_path / "plain.mp4", "-c:v", "mpeg4")
    turned = tmp_path / "turned.mp4"
    begin = ["ffmpeg", "-v", "error"]
    command = [*begin, "-display_rotation", "90", "-i", str(plain), "-c", "copy", str(turned)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        marks = ("-c", "copy", "-metadata:s:v", "rotate=90")
        command = [*begin, "-i", str(plain), *marks, str(turned)]
        subprocess.run(command, check=True)
    shape = read(turned)[0][0].y.shape
    probe = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(turned)]
    said = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)
    marked = "rotat" in json.dumps(said)
    assert shape == ((64, 48) if marked else (48, 64))


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    need("ffmpeg", "ffprobe")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(DataError), open_container(text, None):
        pass
    sound = tmp_path / "sound.wav"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine", "-t", "0.1", str(sound)]
    subprocess.run(command, check=True)
    with pytest.raises(DataError, match="a video stream, found none"), open_container(sound, None):
        pass


def test_a_clip_may_be_left_early_and_ffmpeg_ends(tmp_path: Path) -> None:
    path = made(tmp_path / "clip.mkv", "-c:v", "ffv1", source="testsrc2=size=640x480", frames=40)
    with open_container(path, None) as clip:
        next(clip.frames)


def test_no_frame_is_lost_where_the_stream_changes_its_size(tmp_path: Path) -> None:
    sizes = (("64x48", 5), ("128x96", 10), ("32x32", 3))
    parts = [
        made(
            tmp_path / f"{size}.h264", "-c:v", "libx264", source=f"testsrc2=size={size}:rate=10", frames=count
        )
        for size, count in sizes
    ]
    joined = tmp_path / "joined.h264"
    for order in (parts, parts[::-1]):
        joined.write_bytes(b"".join(part.read_bytes() for part in order))
        frames, _ = read(joined)
        assert len(frames) == 18


def test_a_format_that_ffmpeg_changes_by_itself_is_told(tmp_path: Path) -> None:
    straight = made(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv422p")
    turned = tmp_path / "b.mp4"
    turn = [
        "ffmpeg",
        "-v",
        "error",
        "-display_rotation",
        "90",
        "-i",
        str(straight),
        "-c",
        "copy",
        str(turned),
    ]
    if subprocess.run(turn, check=False, capture_output=True).returncode:  # before 6.0
        turn[3:5], turn[-1:] = [], ["-metadata:s:v", "rotate=90", str(turned)]
        subprocess.run(turn, check=True)
    frames, notes = read(turned)
    if frames[0][0].shape == (64, 48) and frames[0][1].shape != (64, 24):
        assert any(note.startswith("stored as yuv422p, and ffmpeg gave ") for note in notes)
    assert not any(note.startswith("stored as") for note in read(straight)[1])


def test_a_name_that_ffmpeg_would_read_as_something_else_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = made(tmp_path / "clip.mkv", "-c:v", "ffv1", frames=2)
    plain.rename(tmp_path / "concat:a|b.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("concat:a|b.mkv"))[0]) == 2
