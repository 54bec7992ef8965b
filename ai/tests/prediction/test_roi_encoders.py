"""Real encoders read the region files, and bits go where the map is high.

A clip whose one half is textured and whose other is flat costs bits in the textured half alone, so
its size measures that half.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prediction.streams import need, y4m
from vmaf_train.frames import Planes
from vmaf_train.prediction.blocks import OffsetRange
from vmaf_train.prediction.roi_files import RoiForm, RoiWriter

WIDE, TALL, FRAMES = 256, 128, 6
TEN = OffsetRange(-10, 10)
HIGH_LEFT = np.kron(np.array([[0.8, 0.2]]), np.ones((TALL, TALL))).astype(np.float32)

Encode = Callable[[Path, Path | None], Path]


def ran(*command: object, folder: Path | None = None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


def clip(path: Path, *, textured: slice = slice(0, WIDE)) -> Path:
    rng = np.random.default_rng(7)
    grey = np.full((TALL // 2, WIDE // 2), 128, np.uint8)
    frames = []
    for _ in range(FRAMES):
        luma = np.full((TALL, WIDE), 126, np.uint8)
        coarse = rng.integers(40, 210, (TALL // 4, WIDE // 4)).repeat(4, axis=0).repeat(4, axis=1)
        luma[:, textured] = coarse[:, textured]
        frames.append(Planes(luma, grey, grey))
    path.write_bytes(y4m(frames, "C420jpeg"))
    return path


def svt_av1(source: Path, region: Path | None) -> Path:
    need("SvtAv1EncApp")
    said = subprocess.run(["SvtAv1EncApp", "--help"], capture_output=True, text=True, check=False)
    if "--roi-map-file" not in said.stdout + said.stderr:
        pytest.skip("this SvtAv1EncApp has no --roi-map-file, so SVT-AV1 was not tested")
    out = source.with_suffix(".ivf")
    wish = () if region is None else ("--roi-map-file", region)
    options = ("--preset", 8, "--rc", 0, "--aq-mode", 0, "--qp", 40, "--lp", 1)
    ran("SvtAv1EncApp", "-i", source, "-b", out, *options, *wish)
    return out


def kvazaar(source: Path, region: Path | None) -> Path:
    need("kvazaar")
    out = source.with_suffix(".hevc")
    # Kvazaar 2.3.1 ends with a double free where this path is longer than about 30 characters.
    wish = () if region is None else ("--roi", region.name)
    ran("kvazaar", "-i", source, "-o", out, "--preset", "ultrafast", "--qp", 30, *wish, folder=source.parent)
    return out


def ffmpeg(coder: str, *options: str) -> Encode:
    def encode(source: Path, region: Path | None) -> Path:
        need("ffmpeg")
        known = subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, check=True)
        if coder.encode() not in known.stdout:
            pytest.skip(f"this ffmpeg has no {coder}, so it was not tested")
        out = source.with_suffix(".mkv")
        chain = "null" if region is None else region.read_text().strip()
        coded = ("-c:v", coder, "-preset", "ultrafast", "-crf", 28, *options)
        ran("ffmpeg", "-y", "-v", "error", "-i", source, "-vf", chain, *coded, out)
        return out

    return encode


@pytest.mark.parametrize(
    ("encode", "form", "block"),
    [
        pytest.param(svt_av1, RoiForm.SVT_AV1, 64, id="svt-av1"),
        pytest.param(kvazaar, RoiForm.KVAZAAR, 64, id="kvazaar"),
        pytest.param(ffmpeg("libx264", "-aq-mode", "1"), RoiForm.ADDROI, 16, id="libx264"),
        pytest.param(
            ffmpeg("libx265", "-x265-params", "log-level=error:aq-mode=1"), RoiForm.ADDROI, 16, id="libx265"
        ),
    ],
)
def test_bits_move_to_the_high_half_and_away_from_the_low_one(
    tmp_path: Path, encode: Encode, form: RoiForm, block: int
) -> None:
    writer = RoiWriter(form, block, TEN)
    for _ in range(FRAMES):
        writer.add(HIGH_LEFT, 0.5)
    region = tmp_path / "region.txt"
    region.write_text(writer.text())
    change = {}
    for half, columns in (("high", slice(0, WIDE // 2)), ("low", slice(WIDE // 2, WIDE))):
        source = clip(tmp_path / f"{half}.y4m", textured=columns)
        plain, shaped = (encode(source, wish).stat().st_size for wish in (None, region))
        change[half] = shaped / plain
    assert change["high"] > 1.1
    assert change["low"] < 0.9


def x264(source: Path, zones: Path | None) -> Path:
    need("x264", "ffprobe")
    out = source.with_suffix(".264")
    wish = () if zones is None else ("--zones", zones.read_text().strip())
    ran("x264", "--quiet", "--preset", "ultrafast", "--crf", 28, "--bframes", 0, *wish, "-o", out, source)
    return out


def x265(source: Path, zones: Path | None) -> Path:
    need("x265", "ffprobe")
    out = source.with_suffix(".265")
    wish = () if zones is None else ("--zones", zones.read_text().strip())
    options = ("--log-level", "error", "--preset", "ultrafast", "--crf", 28, "--bframes", 0)
    ran("x265", *options, *wish, "-o", out, source)
    return out


def frame_sizes(path: Path) -> NDArray[np.int64]:
    command = ["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "json", str(path)]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return np.array([int(packet["size"]) for packet in said["packets"]])


@pytest.mark.parametrize(
    ("encode", "form"),
    [pytest.param(x264, RoiForm.X264_ZONES, id="x264"), pytest.param(x265, RoiForm.X265_ZONES, id="x265")],
)
def test_bits_move_to_the_very_frames_of_a_higher_mean(tmp_path: Path, encode: Encode, form: RoiForm) -> None:
    writer = RoiWriter(form, 64, TEN)
    for number in range(FRAMES):
        writer.add(HIGH_LEFT, 0.2 if number < FRAMES // 2 else 0.8)
    zones = tmp_path / "zones.txt"
    zones.write_text(writer.text())
    source = clip(tmp_path / "clip.y4m")
    plain, shaped = (frame_sizes(encode(source, wish)) for wish in (None, zones))
    assert len(plain) == len(shaped) == FRAMES
    change = shaped / plain
    # The first frame of x264 takes its quantiser from the whole clip, whatever its zone.
    assert change[1 : FRAMES // 2].max() < 0.9
    assert change[FRAMES // 2 :].min() > 1.1
