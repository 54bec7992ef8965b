from __future__ import annotations

import io
from typing import BinaryIO, cast

import numpy as np
import pytest

from prediction.streams import made_planes, y4m
from vmaf_train.errors import ContractError, DataError, VmafTrainError
from vmaf_train.frames import Chroma
from vmaf_train.prediction.y4m import read_y4m_frames, read_y4m_header


def header(line: bytes) -> tuple[int, int, Chroma, tuple[str, ...]]:
    found = read_y4m_header(io.BytesIO(line), "clip")
    return found.width, found.height, found.chroma, found.notes


@pytest.mark.parametrize(
    ("tag", "chroma"),
    [
        ("", Chroma.YUV420),
        (" C420", Chroma.YUV420),
        (" C420jpeg", Chroma.YUV420),
        (" C420mpeg2", Chroma.YUV420),
        (" C420paldv", Chroma.YUV420),
        (" C422", Chroma.YUV422),
        (" C444", Chroma.YUV444),
    ],
)
def test_a_header_gives_size_and_chroma_wherever_its_tags_stand(tag: str, chroma: Chroma) -> None:
    line = f"YUV4MPEG2 F30000:1001 H5 W7{tag} XYSCSS=ANY\n".encode()
    assert header(line) == (7, 5, chroma, ())


@pytest.mark.parametrize(
    ("tag", "named"),
    [
        ("420p10", "10 bits"),
        ("444p16", "16 bits"),
        ("mono", "4:0:0"),
        ("mono12", "4:0:0"),
        ("411", "another layout"),
        ("444alpha", "another layout"),
    ],
)
def test_frames_that_the_contract_refuses_are_named(tag: str, named: str) -> None:
    with pytest.raises(ContractError) as refused:
        header(f"YUV4MPEG2 W2 H2 C{tag}\n".encode())
    assert f"C{tag}" in str(refused.value)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"", "an empty file"),
        (b"RIFF....AVI", "RIFF"),
        (b"YUV4MPEG2 W2 H2", "YUV4MPEG2 W2"),
        (b"YUV4MPEG2 W2\n", "H"),
        (b"YUV4MPEG2 W-2 H2\n", "W-2"),
        (b"\xff\xfe\n", "xff"),
        (b"YUV4MPEG2 W0 H2\n", "0x2"),
        (b"YUV4MPEG2 W16385 H2\n", "16385x2"),
    ],
)
def test_a_damaged_header_is_said_in_one_line(line: bytes, found: str) -> None:
    with pytest.raises(VmafTrainError) as refused:
        header(line)
    assert found in str(refused.value)


def test_range_and_fields_that_the_conversion_does_not_heed_are_noted() -> None:
    notes = header(b"YUV4MPEG2 W2 H2 It XCOLORRANGE=FULL\n")[3]
    assert len(notes) == 2
    assert "full range" in notes[0]
    assert "interlaced" in notes[1]
    assert header(b"YUV4MPEG2 W2 H2 Ip XCOLORRANGE=LIMITED\n")[3] == ()


class Dribble(io.RawIOBase):
    """A pipe that gives three bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int = -1) -> bytes:
        piece, self._rest = self._rest[: min(3, size)], self._rest[min(3, size) :]
        return piece

    def readline(self, size: int | None = -1) -> bytes:
        line, feed, self._rest = self._rest.partition(b"\n")
        return line + feed


@pytest.mark.parametrize("chroma", list(Chroma))
@pytest.mark.parametrize("size", [(1, 1), (7, 5)])
def test_frames_come_back_as_they_were_written_even_from_a_pipe(
    size: tuple[int, int], chroma: Chroma
) -> None:
    frames = [made_planes(*size, number, chroma) for number in range(3)]
    stream = cast(BinaryIO, Dribble(y4m(frames, f"C{chroma}").replace(b"FRAME\n", b"FRAME Ip\n", 1)))
    back = list(read_y4m_frames(stream, read_y4m_header(stream, "clip"), "clip"))
    assert len(back) == 3
    for frame, planes in zip(back, frames, strict=True):
        for one, other in zip(frame.planes, planes, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("damage", "thing"),
    [
        (lambda data: data[:-1], "clip, frame 1: expected 6 bytes, found 5"),
        (lambda data: data + b"FRAM", "clip, frame 2: expected a line FRAME"),
        (lambda data: data.replace(b"FRAME", b"FROME", 1), "clip, frame 0: expected a line FRAME"),
        (lambda data: data.replace(b"FRAME\n", b"FRAMES\n", 1), "clip, frame 0: expected a line FRAME"),
    ],
)
def test_a_damaged_frame_is_named_by_its_number(damage: object, thing: str) -> None:
    assert callable(damage)
    stream = io.BytesIO(damage(y4m([made_planes(2, 2, number) for number in range(2)])))
    with pytest.raises(DataError) as refused:
        list(read_y4m_frames(stream, read_y4m_header(stream, "clip"), "clip"))
    assert thing in str(refused.value)
