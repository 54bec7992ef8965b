from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from prediction.nets import CONSTANT, HALVED, RED, opened
from prediction.streams import made_planes
from vmaf_train.errors import DataError
from vmaf_train.frames import Chroma, Planes, map_mean, yuv_to_tensor
from vmaf_train.onnx_session import Floats, MapModel
from vmaf_train.prediction.clip import Clip, ClipKind, Frame
from vmaf_train.prediction.signal import CONSTANT_SPAN, FrameSignal, feature_stem, see, summarise


def clip(*frames: Planes, chroma: Chroma = Chroma.YUV420) -> Clip:
    return Clip("clip", ClipKind.Y4M, chroma, None, (Frame(planes, "") for planes in frames))


def signals(model: MapModel, *frames: Planes) -> list[FrameSignal]:
    return [seen.signals[0] for seen in see([model], clip(*frames))]


@pytest.fixture
def red(tmp_path: Path) -> MapModel:
    return opened(tmp_path / "red.onnx", RED)


@pytest.mark.parametrize("chroma", list(Chroma))
@pytest.mark.parametrize("size", [(1, 1), (13, 7), (32, 24)])
def test_the_mean_is_the_contracts_to_the_bit(red: MapModel, size: tuple[int, int], chroma: Chroma) -> None:
    planes = made_planes(*size, 3, chroma)
    values = red.run(yuv_to_tensor(planes, chroma))
    (seen,) = see([red], clip(planes, chroma=chroma))
    assert seen.signals[0].mean == map_mean(values, *size)
    np.testing.assert_array_equal(seen.maps[0], values[0, 0])
    assert seen.rgb.shape == (size[1], size[0], 3)


def test_the_mean_over_a_cropped_map_counts_the_frames_own_pixels_alone(tmp_path: Path) -> None:
    model = opened(tmp_path / "halved.onnx", HALVED)
    planes = made_planes(5, 3)
    tensor = yuv_to_tensor(planes, Chroma.YUV420)
    fed = np.pad(tensor, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")
    (whole,) = model.session.run(None, {"input": fed})
    (signal,) = signals(model, planes)
    assert signal.mean == map_mean(np.ascontiguousarray(whole[:, :, :3, :5]), 5, 3)
    assert (signal.width, signal.height) == (5, 3)


def test_the_change_is_the_mean_absolute_difference_of_two_maps(red: MapModel) -> None:
    frames = [made_planes(8, 6, number) for number in (0, 4)]
    maps = [red.run(yuv_to_tensor(planes, Chroma.YUV420)).astype(np.float64) for planes in frames]
    first, second, third = signals(red, frames[0], frames[1], frames[1])
    assert first.change is None
    assert second.change == pytest.approx(np.abs(maps[1] - maps[0]).mean(), rel=1e-6)
    assert second.change
    assert third.change == 0.0


def test_a_change_of_size_has_no_figure(red: MapModel) -> None:
    first, second, third = signals(red, made_planes(8, 6), made_planes(6, 8), made_planes(6, 8, 1))
    assert [first.change, second.change] == [None, None]
    assert third.change is not None


def test_the_latency_is_the_time_of_the_model_alone(monkeypatch: pytest.MonkeyPatch, red: MapModel) -> None:
    def slow(self: MapModel, batch: Floats) -> Floats:
        time.sleep(0.02)
        return np.zeros((1, 1, *batch.shape[2:]), np.float32)

    monkeypatch.setattr(MapModel, "run", slow)
    (signal,) = signals(red, made_planes(8, 6))
    assert 20 <= signal.latency_ms < 2000


def test_frames_are_taken_one_at_a_time_and_no_more_than_asked(red: MapModel) -> None:
    given = 0

    def frames() -> object:
        nonlocal given
        for number in range(100):
            given += 1
            yield Frame(made_planes(4, 4, number), "")

    source = Clip("clip", ClipKind.Y4M, Chroma.YUV420, None, frames())  # type: ignore[arg-type]
    for count, seen in enumerate(see([red], source, limit=5), 1):
        assert seen.signals[0].frame == count - 1
        assert given == count
    assert given == 5


def test_a_clip_without_frames_is_refused(red: MapModel) -> None:
    with pytest.raises(DataError, match="at least one frame"):
        signals(red)


def test_two_models_see_the_same_frame(tmp_path: Path, red: MapModel) -> None:
    flat = opened(tmp_path / "flat.onnx", CONSTANT)
    for seen in see([red, flat], clip(made_planes(4, 4), made_planes(4, 4, 1))):
        assert len(seen.maps) == len(seen.signals) == 2
        assert seen.signals[1].mean == 0.5
        assert seen.signals[0].mean != 0.5


def frame(mean: float, change: float | None = None, latency: float = 1.0) -> FrameSignal:
    return FrameSignal(0, "", 4, 4, mean, change, latency)


def test_a_series_is_summed_up() -> None:
    summary = summarise([frame(0.2, None, 5.0), frame(0.4, 0.1, 1.0), frame(0.6, 0.3, 3.0)])
    assert summary.frames == 3
    assert summary.mean == pytest.approx(0.4)
    assert summary.std == pytest.approx(np.std([0.2, 0.4, 0.6]))
    assert (summary.least, summary.most, summary.constant) == (0.2, 0.6, False)
    assert summary.change == pytest.approx(0.2)
    assert summary.latency_ms == 3.0


def test_noise_of_float32_is_constant_and_more_is_not() -> None:
    assert summarise([frame(0.5), frame(0.5 + 0.9 * CONSTANT_SPAN)]).constant
    assert not summarise([frame(0.5), frame(0.5 + 1.1 * CONSTANT_SPAN)]).constant
    assert summarise([frame(0.5)]).change is None


@pytest.mark.parametrize(
    ("output", "stem"), [("depth_map", "depth"), ("seen", "seen"), ("_map", "_map"), ("mapped", "mapped")]
)
def test_the_feature_is_called_after_the_output(output: str, stem: str) -> None:
    assert feature_stem(output) == stem
