"""The number that an extractor gives for each frame, and what a series of them amounts to."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import DataError
from vmaf_train.frames import Bytes, map_mean, rgb_to_tensor, yuv_to_rgb
from vmaf_train.map_figures import map_change
from vmaf_train.onnx_session import Floats, MapModel
from vmaf_train.prediction.clip import Clip

__all__ = ["CONSTANT_SPAN", "FrameSignal", "Seen", "SeriesSummary", "feature_stem", "see", "summarise"]

CONSTANT_SPAN = 1e-6
"""A series whose highest and lowest mean differ by no more is constant: it is the noise of float32."""


@dataclass(frozen=True)
class FrameSignal:
    """The numbers of one frame.

    Attributes:
        frame: its number in the clip, from 0.
        name: the picture's file name, or empty.
        width: in pixels.
        height: in pixels.
        mean: the map's mean, 0 to 1, as the C contract computes it.
        change: mean absolute difference from the previous frame's map, 0 to 1; None for the first
            frame and where the size changed.
        latency_ms: milliseconds that the model took, padding and crop included.
    """

    frame: int
    name: str
    width: int
    height: int
    mean: float
    change: float | None
    latency_ms: float


@dataclass(frozen=True)
class Seen:
    """One frame as the models saw it.

    Attributes:
        rgb: uint8 ``[H, W, 3]``, after the contract's conversion.
        maps: one float32 map ``[H, W]`` per model, 0 to 1.
        signals: one per model.
    """

    rgb: Bytes
    maps: tuple[Floats, ...]
    signals: tuple[FrameSignal, ...]


@dataclass(frozen=True)
class SeriesSummary:
    """What a series amounts to; a standard deviation is that of the frames themselves.

    Attributes:
        frames: how many, at least 1.
        mean: of the means.
        std: standard deviation of the means.
        least: the lowest mean.
        most: the highest mean.
        constant: whether the means differ by no more than ``CONSTANT_SPAN``.
        change: mean of the changes; None if there are none.
        latency_ms: median latency.
        latency_p95_ms: the latency that 95 of 100 frames stay within.
    """

    frames: int
    mean: float
    std: float
    least: float
    most: float
    constant: bool
    change: float | None
    latency_ms: float
    latency_p95_ms: float


def feature_stem(output_name: str) -> str:
    """Return what a feature is called after: the output's name without a final ``_map``.

    ``depth_map`` gives the columns ``depth_mean`` and ``depth_change``.
    """
    return output_name.removesuffix("_map") or output_name


def see(models: Sequence[MapModel], clip: Clip, limit: int | None = None) -> Generator[Seen]:
    """Run the models on the frames of a clip, one frame at a time; one map per model is kept.

    Args:
        models: at least one.
        clip: an opened clip.
        limit: how many frames to take from the clip's beginning; None takes all.

    Raises:
        DataError: the clip has no frame.
        ContractError: a model breaks the map contract at the clip's size.
    """
    before: list[Floats | None] = [None] * len(models)
    number = -1
    for number, frame in enumerate(itertools.islice(clip.frames, limit)):
        rgb = yuv_to_rgb(frame.planes, clip.chroma)
        tensor = rgb_to_tensor(rgb)
        height, width = rgb.shape[:2]
        signals = []
        for index, model in enumerate(models):
            began = time.perf_counter()
            values = model.run(tensor)
            latency = (time.perf_counter() - began) * 1000.0
            signals.append(
                FrameSignal(
                    number,
                    frame.name,
                    width,
                    height,
                    map_mean(values, width, height),
                    _change(before[index], values),
                    latency,
                )
            )
            before[index] = values
        maps = tuple(values[0, 0] for values in before if values is not None)
        yield Seen(rgb, maps, tuple(signals))
    if number < 0:
        raise DataError(
            clip.name, expected="at least one frame", found="none", next_step="give a clip that has frames"
        )


def _change(before: Floats | None, now: Floats) -> float | None:
    if before is None or before.shape != now.shape:
        return None
    return map_change(before, now)


def summarise(signals: Sequence[FrameSignal]) -> SeriesSummary:
    """Return what a series of at least one frame amounts to."""
    means = _column([signal.mean for signal in signals])
    latencies = _column([signal.latency_ms for signal in signals])
    changes = [signal.change for signal in signals if signal.change is not None]
    return SeriesSummary(
        frames=len(signals),
        mean=float(means.mean()),
        std=float(means.std()),
        least=float(means.min()),
        most=float(means.max()),
        constant=bool(means.max() - means.min() <= CONSTANT_SPAN),
        change=float(np.mean(changes)) if changes else None,
        latency_ms=float(np.median(latencies)),
        latency_p95_ms=float(np.percentile(latencies, 95)),
    )


def _column(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
