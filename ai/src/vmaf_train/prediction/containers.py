"""Any container through an installed ffmpeg: ffprobe says what is in it, ffmpeg pipes frames as YUV4MPEG2."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from vmaf_train.errors import ConfigError, ContractError, DataError
from vmaf_train.frames import Chroma
from vmaf_train.prediction.clip import PIXEL_FORMATS, Clip, ClipKind, Frame, pixel_format_name
from vmaf_train.prediction.y4m import read_y4m_frames, read_y4m_header

__all__ = ["open_container"]

_FULL_RANGE = {"yuvj420p": "yuv420p", "yuvj422p": "yuv422p", "yuvj444p": "yuv444p"}
_ENTRIES = (
    "stream=pix_fmt,color_range,color_space,field_order,nb_frames,avg_frame_rate,duration:format=duration"
)
_NUMBERED = "settb=1/25,setpts=N"
# The numbers begin anew where a stream changes its size; a constant rate would drop what goes back.
# Newer versions of ffmpeg call this -fps_mode, those before 5.1 know it by this name alone.
_EVERY_FRAME_ONCE = ("-vsync", "passthrough")
_TO_CONTRACT = "scale={}out_color_matrix=bt709:out_range=tv,format={}"
# swscale takes a matrix that is not told as BT.601, and would turn the samples of most clips.
_UNMARKED_IS_BT709 = "in_color_matrix=bt709:"
_UNMARKED = {"unknown", "unspecified", "reserved"}


@contextmanager
def open_container(path: Path, wanted: Chroma | None) -> Iterator[Clip]:
    """Open the first video stream of a file that ffmpeg reads.

    Args:
        path: the file.
        wanted: convert to BT.709 limited range of this chroma format; None takes the samples as
            they are stored.

    Raises:
        ConfigError: ffmpeg or ffprobe is not installed.
        DataError: the file is missing, holds no video, or is damaged.
        ContractError: the stored pixel format is none of the contract's and ``wanted`` is None.
    """
    stream = _probe(path)
    stored = str(stream.get("pix_fmt", "unknown"))
    filters = _NUMBERED
    notes = []
    if wanted is not None:
        name = pixel_format_name(wanted)
        marked = stream.get("color_space", "unknown") not in _UNMARKED
        filters = f"{_TO_CONTRACT.format('' if marked else _UNMARKED_IS_BT709, name)},{filters}"
        converted = f"{stored} converted by ffmpeg to {name}, BT.709 limited range"
        notes.append(converted if marked else f"{converted}; read as BT.709, as no matrix is marked")
        notes += _field_notes(stream)
    else:
        if _FULL_RANGE.get(stored, stored) not in PIXEL_FORMATS:
            raise ContractError(
                f"{path}: frames of {stored}",
                expected=f"{', '.join(PIXEL_FORMATS)}: planes of 8 bits with chroma",
                found="another pixel format",
                next_step="let ffmpeg convert it with --pixel-format yuv420p, as your extraction would",
            )
        notes += _notes(stream, stored)
    with _piped(path, filters) as (pipe, told, process):
        header = read_y4m_header(pipe, f"{path} through ffmpeg") if pipe.peek(1) else None
        if header is None:
            raise _failed(path, process.wait(), told)
        clip = Clip(str(path), ClipKind.CONTAINER, header.chroma, _total(stream), iter(()), notes)
        given = pixel_format_name(header.chroma)
        if wanted is None and given != _FULL_RANGE.get(stored, stored):
            notes.append(f"stored as {stored}, and ffmpeg gave {given}")

        def frames() -> Iterator[Frame]:
            yield from read_y4m_frames(cast(BinaryIO, pipe), header, f"{path} through ffmpeg")
            if process.wait():
                raise _failed(path, process.returncode, told)
            if message := _last_line(_words(told)):
                notes.append(f"ffmpeg said: {message}")

        yield Clip(clip.name, clip.kind, clip.chroma, clip.total, frames(), notes)


@contextmanager
def _piped(path: Path, filters: str) -> Iterator[tuple[Any, IO[bytes], subprocess.Popen[bytes]]]:
    command = [
        _program("ffmpeg"),
        *("-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "0:V:0"),
        *("-vf", filters, *_EVERY_FRAME_ONCE, "-f", "yuv4mpegpipe", "-strict", "-1", "pipe:1"),
    ]
    # Its words go to a file: a full pipe that nobody reads would stop it.
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told, bufsize=1 << 20
        )
        with process:
            try:
                yield process.stdout, told, process
            finally:
                process.kill()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            name,
            expected="an installed ffmpeg, which reads every clip but pictures, .y4m and .yuv",
            found=f"no {name} on PATH",
            next_step="install ffmpeg, or give the clip as .y4m",
        )
    return found


def _probe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(
            str(path),
            expected="a clip, a picture or a folder of pictures",
            found="no regular file" if path.exists() else "nothing there",
            next_step="give the path of a file or folder",
        )
    command = [_program("ffprobe"), "-v", "error", "-select_streams", "V:0", "-show_entries", _ENTRIES]
    ran = subprocess.run([*command, "-of", "json", f"file:{path}"], capture_output=True, check=False)
    if ran.returncode:
        raise DataError(
            str(path),
            expected="a file that ffmpeg reads",
            found=_last_line(ran.stderr).removeprefix(f"file:{path}: ")
            or f"status {ran.returncode} of ffprobe",
            next_step="give a clip, a picture or a folder of pictures",
        )
    said = json.loads(ran.stdout)
    if not said.get("streams"):
        raise DataError(
            str(path), expected="a video stream", found="none", next_step="give a file that has one"
        )
    return {"duration": said.get("format", {}).get("duration"), **said["streams"][0]}


def _notes(stream: dict[str, Any], stored: str) -> list[str]:
    notes = []
    if stored in _FULL_RANGE or stream.get("color_range") == "pc":
        notes.append("marked as full range; read as limited range, as the extractor reads it")
    space = stream.get("color_space", "unknown")
    if space not in {"bt709", *_UNMARKED}:
        notes.append(f"marked as {space}; read as BT.709, as the extractor reads it")
    return notes + _field_notes(stream)


def _field_notes(stream: dict[str, Any]) -> list[str]:
    if stream.get("field_order", "unknown") in {"progressive", "unknown"}:
        return []
    return ["interlaced; the two fields of a frame are read as one picture"]


def _total(stream: dict[str, Any]) -> int | None:
    """How many frames the container claims; good enough for a bar and for nothing else."""
    if str(stream.get("nb_frames", "")).isdigit():
        return int(stream["nb_frames"])
    try:
        return round(Fraction(stream["avg_frame_rate"]) * Fraction(stream["duration"])) or None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _words(told: IO[bytes]) -> bytes:
    told.seek(0)
    return told.read()


def _failed(path: Path, status: int, told: IO[bytes]) -> DataError:
    return DataError(
        str(path),
        expected="frames that ffmpeg decodes to the end",
        found=_last_line(_words(told)) or f"status {status} of ffmpeg",
        next_step="see what ffmpeg -i says about the file",
    )
