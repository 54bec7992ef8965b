"""How much a map changes from frame to frame while what it shows does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ContractError
from vmaf_train.evaluation.feed import Feed
from vmaf_train.frames import rgb_to_tensor
from vmaf_train.map_figures import map_change
from vmaf_train.onnx_session import MapModel
from vmaf_train.pairs import Pair, decode_image

__all__ = ["PAN_FRAMES", "highest_flat_frames", "steadiness"]

PAN_FRAMES = 10
"""Frames of a pan by one pixel each."""

_SEED = 42
_FLAT_GREYS = range(0, 256, 15)
_FLAT_LEVELS = range(0, 256, 51)
"""Of each channel of a colour."""
_FLAT_SIZE = (270, 480)

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]


def steadiness(
    model: MapModel,
    feed: Feed,
    pairs: Sequence[Pair],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return frame-to-frame changes, a value per picture ``[pictures, 1]``, as ``intervals`` takes them.

    Each picture becomes short clips: noise of one level up or down on each sample, seeded; and
    ``PAN_FRAMES`` windows that move by one pixel, whose maps are compared where they show the same.
    ``map`` is ``map_figures.map_change``, ``mean`` the change of the map's mean. NaN for a picture that is
    too narrow to pan.

    Raises:
        ContractError: two equal frames gave different maps, or the model fails.
        DataError: a picture can no longer be decoded.
    """
    names = ("noise of 1 level: map", "noise of 1 level: mean", "pan by 1 pixel: map", "pan by 1 pixel: mean")
    found = {name: np.full((len(pairs), 1), np.nan) for name in names}
    for i, pair in enumerate(pairs):
        frame = feed.frame(decode_image(pair.image))
        first = _map(model, frame)
        if not np.array_equal(first, _map(model, frame)):
            raise ContractError(
                f"{model.path}, on {pair.image.name} twice",
                expected="equal maps for equal frames",
                found="a difference",
                next_step="take out what is random or keeps a state",
            )
        noise = np.random.default_rng((_SEED, i)).choice((-1, 1), frame.shape)
        noisy = _map(model, np.clip(frame + noise, 0, 255).astype(np.uint8))
        values = [map_change(first, noisy), abs(float(noisy.mean()) - float(first.mean()))]
        values += _pan(model, frame)
        for name, value in zip(names, values, strict=True):
            found[name][i, 0] = value
        if progress is not None:
            progress(i + 1, len(pairs))
    return {f"change under {name}": values for name, values in found.items()}


def highest_flat_frames(model: MapModel) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the colour, ``#rrggbb``, whose flat frame has the highest mean of the map, and that mean.

    First of the greys, then of colours all over the cube. A frame that shows nothing should have a
    mean near 0.

    Raises:
        ContractError: the model fails.
    """
    greys = [(level, level, level) for level in _FLAT_GREYS]
    return _highest(model, greys), _highest(model, list(product(_FLAT_LEVELS, repeat=3)))


def _highest(model: MapModel, colours: Sequence[tuple[int, ...]]) -> tuple[str, float]:
    means = {}
    for colour in colours:
        frame = np.broadcast_to(np.array(colour, np.uint8), (*_FLAT_SIZE, 3))
        means["#" + bytes(colour).hex()] = float(_map(model, frame).mean())
    highest = max(means, key=means.__getitem__)
    return highest, means[highest]


def _pan(model: MapModel, frame: Pixels) -> list[float]:
    """Return the mean changes of map and mean over the steps of a pan."""
    width = frame.shape[1] - PAN_FRAMES + 1
    if width < 2:
        return [np.nan, np.nan]
    changes: list[float] = []
    means: list[float] = []
    before: Map | None = None
    for step in range(PAN_FRAMES):
        shown = _map(model, frame[:, step : step + width])
        if before is not None:
            changes.append(map_change(before[:, 1:], shown[:, :-1]))
            means.append(abs(float(shown.mean()) - float(before.mean())))
        before = shown
    return [float(np.mean(changes)), float(np.mean(means))]


def _map(model: MapModel, frame: Pixels) -> Map:
    shown: Map = model.run(rgb_to_tensor(frame))[0, 0]
    return shown
