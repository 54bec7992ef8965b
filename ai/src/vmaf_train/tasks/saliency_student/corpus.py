"""The embedded corpus: textured scenes with objects that stand out, drawn from a seed in memory.

It exists so that the whole job runs anywhere. Scenes vary in the number, size, shape, contrast
and texture of their objects, in clutter that repeats and so does not stand out, and some hold no
object at all. A network that learns them has learned contrast, not photographs.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_bytes

__all__ = ["CORPUS_VERSION", "EmbeddedPairs"]

CORPUS_VERSION = 1
"""Raised whenever the same seed would give other scenes."""

_EMPTY_SHARE = 0.06
_NOISE_CELLS = (2, 4, 8, 16)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class EmbeddedPairs:
    """Scenes as arrays, in the form of decoded pairs.

    Args:
        count: scenes in all; scene ``i`` is a function of (seed, i, short_side) alone.
        seed: decides all of them.
        short_side: pixels of the shorter side; the longer one is 4/3 of it.

    Raises:
        ConfigError: they would take more than half of the machine's memory.
    """

    def __init__(self, count: int, seed: int, short_side: int) -> None:
        self._stems = tuple(f"scene_{index:06d}" for index in range(count))
        height, width = short_side, short_side * 4 // 3
        _require_room(count, height * width * 4)
        self._images = np.empty((count, height, width, 3), np.uint8)
        self._masks = np.empty((count, height, width), np.uint8)
        for index in range(count):
            self._images[index], self._masks[index] = draw_scene(seed, index, height, width)

    def __len__(self) -> int:
        return len(self._stems)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the scenes, sorted."""
        return self._stems

    def image(self, i: int) -> NDArray[np.uint8]:
        """Return scene ``i`` as uint8 RGB ``[H, W, 3]``."""
        return np.asarray(self._images[i])

    def mask(self, i: int) -> NDArray[np.uint8]:
        """Return the truth of scene ``i`` as uint8 ``[H, W]`` of 0 and 1."""
        return np.asarray(self._masks[i])

    def digest(self) -> str:
        """Return the SHA-256 (hex) over all scenes and masks."""
        return sha256_bytes(
            sha256_bytes(self._images.tobytes()).encode() + sha256_bytes(self._masks.tobytes()).encode()
        )


def draw_scene(seed: int, index: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return one scene: uint8 RGB ``[H, W, 3]`` and its truth uint8 ``[H, W]`` of 0 and 1."""
    draw = np.random.default_rng((seed, index, CORPUS_VERSION))
    ground_colour = draw.uniform(0.1, 0.9, 3).astype(np.float32)
    canvas = _surface(draw, height, width, ground_colour, spread=0.25)
    _add_gradient(draw, canvas)
    _add_clutter(draw, canvas, ground_colour)
    truth = np.zeros((height, width), bool)
    if draw.random() >= _EMPTY_SHARE:
        for _ in range(1 + int(draw.choice(3, p=(0.6, 0.27, 0.13)))):
            _add_object(draw, canvas, truth, ground_colour)
    light = draw.uniform(0.75, 1.15) * canvas
    light += draw.normal(0.0, draw.uniform(0.005, 0.04), canvas.shape).astype(np.float32)
    return np.clip(light * 255.0 + 0.5, 0, 255).astype(np.uint8), truth.astype(np.uint8)


def _smooth_noise(draw: np.random.Generator, height: int, width: int, cells: int) -> Floats:
    """Bilinear interpolation of a coarse grid of values in [-1, 1]."""
    grid = draw.uniform(-1.0, 1.0, (cells + 1, cells + 1)).astype(np.float32)
    y, x = np.linspace(0, cells, height, dtype=np.float32), np.linspace(0, cells, width, dtype=np.float32)
    top, left = np.minimum(y.astype(int), cells - 1), np.minimum(x.astype(int), cells - 1)
    fy, fx = (y - top)[:, None], (x - left)[None, :]
    upper = grid[top][:, left] * (1 - fx) + grid[top][:, left + 1] * fx
    lower = grid[top + 1][:, left] * (1 - fx) + grid[top + 1][:, left + 1] * fx
    noise: Floats = upper * (1 - fy) + lower * fy
    return noise


def _surface(draw: np.random.Generator, height: int, width: int, colour: Floats, spread: float) -> Floats:
    """A textured area: octaves of noise around a colour, sometimes with stripes."""
    surface = np.broadcast_to(colour, (height, width, 3)).astype(np.float32)
    roughness = draw.uniform(0.2, 1.0) * spread
    for cells in _NOISE_CELLS:
        tint = draw.uniform(0.4, 1.0, 3).astype(np.float32)
        surface = surface + roughness * 0.5 * _smooth_noise(draw, height, width, cells)[..., None] * tint
    if draw.random() < 0.35:
        angle, period = draw.uniform(0, np.pi), draw.uniform(0.03, 0.15) * height
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period))
        surface = surface + (draw.uniform(0.2, 0.8) * roughness * wave)[..., None].astype(np.float32)
    return surface


def _add_gradient(draw: np.random.Generator, canvas: Floats) -> None:
    height, width, _ = canvas.shape
    direction = draw.uniform(-0.15, 0.15, (2, 3)).astype(np.float32)
    canvas += np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * direction[0]
    canvas += np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * direction[1]


def _blob(draw: np.random.Generator, height: int, width: int, y: float, x: float, radius: float) -> Bools:
    """A closed shape around (y, x): an ellipse, a polygon or a wobbling outline."""
    dy, dx = np.mgrid[0:height, 0:width].astype(np.float32)
    dy, dx = dy - y, dx - x
    turn, stretch = draw.uniform(0, np.pi), draw.uniform(0.45, 1.0)
    along, across = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    distance, angle = np.hypot(along, across), np.arctan2(across, along)
    kind = draw.random()
    if kind < 0.35:
        outline = np.full_like(distance, radius)
    elif kind < 0.65:
        corners = int(draw.integers(3, 8))
        sector = 2 * np.pi / corners
        outline = radius * np.cos(sector / 2) / np.cos((angle % sector) - sector / 2)
    else:
        waves = sum(
            draw.uniform(0.0, 0.25) * np.sin(lobes * angle + draw.uniform(0, 2 * np.pi))
            for lobes in (2, 3, 5)
        )
        outline = radius * (1.0 + waves)
    return np.asarray(distance < outline)


def _add_clutter(draw: np.random.Generator, canvas: Floats, ground: Floats) -> None:
    """Many small things alike, near the ground's colour: a texture, not a subject."""
    height, width, _ = canvas.shape
    colour = np.clip(ground + draw.uniform(-0.18, 0.18, 3), 0, 1).astype(np.float32)
    for _ in range(int(draw.integers(0, 14))):
        y, x = draw.uniform(0, height), draw.uniform(0, width)
        where = _blob(draw, height, width, y, x, draw.uniform(0.015, 0.045) * height)
        canvas[where] = 0.5 * canvas[where] + 0.5 * colour


def _add_object(draw: np.random.Generator, canvas: Floats, truth: Bools, ground: Floats) -> None:
    height, width, _ = canvas.shape
    radius = height * float(np.exp(draw.uniform(np.log(0.08), np.log(0.55))))
    y = float(np.clip(draw.normal(0.5, 0.2), 0.08, 0.92)) * height
    x = float(np.clip(draw.normal(0.5, 0.2), 0.08, 0.92)) * width
    where = _blob(draw, height, width, y, x, radius)
    # A step away from the ground in a random direction of colour: faint to strong.
    step = draw.normal(0.0, 1.0, 3)
    step *= draw.uniform(0.35, 0.85) / max(float(np.linalg.norm(step)), 1e-6)
    colour = np.clip(ground + step, 0.02, 0.98).astype(np.float32)
    surface = _surface(draw, height, width, colour, spread=0.2)
    shade = 1.0 - 0.35 * np.clip(np.mgrid[0:height, 0:width][0] - (y - radius), 0, 2 * radius) / (2 * radius)
    canvas[where] = (surface * shade[..., None].astype(np.float32))[where]
    truth |= where


def _require_room(count: int, scene_bytes: int) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * count * scene_bytes > memory:
        raise ConfigError(
            "the embedded corpus",
            expected=f"scenes that take at most half of this machine's memory, {memory >> 21} MiB",
            found=f"{count:,} scenes of {scene_bytes:,} bytes, {count * scene_bytes >> 20:,} MiB",
            next_step="lower data.embedded.pairs or augmentation.short_side",
        )
