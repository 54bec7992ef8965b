"""What to learn from: frames that a program draws, with noise of known strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vmaf_train.files import sha256_bytes
from vmaf_train.run_record import CorpusRecord, DataRecord
from vmaf_train.task import BatchStreams, DataSplits

__all__ = ["STRONGEST", "load_splits"]

STRONGEST = 25.5
"""Standard deviation of the noise in 8-bit steps that the map shows as 1."""


@dataclass(frozen=True)
class NoisyFrames:
    """Clean frames float32 ``[N, 1, S, S]`` in 0..1, and the strength of noise for each half of each."""

    clean: NDArray[np.float32]
    strength: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.clean)

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        """Return noisy frames and the maps of their noise, both float32 ``[N, 1, S, S]``."""
        clean, side = self.clean[list(items)], self.clean.shape[-1]
        truth = np.repeat(self.strength[list(items)], side // 2, axis=-1)[:, None, None]
        truth = np.broadcast_to(truth, clean.shape).astype(np.float32)
        # Chance comes from the streams alone; so worker processes and resuming change nothing.
        noise = np.stack([stream.standard_normal(clean.shape[1:], np.float32) for stream in streams])
        noisy = np.clip(clean + noise * truth * (STRONGEST / 255.0), 0.0, 1.0)
        return torch.from_numpy(noisy), torch.from_numpy(truth)


def load_splits(frames: int, side: int, seed: int) -> DataSplits:
    """Return ``frames`` drawn frames, every fifth held out; all follow from ``seed``."""
    side -= side % 2
    draws = [np.random.default_rng((seed, number)) for number in range(frames)]
    clean = np.stack([_draw_frame(draw, side) for draw in draws])
    strength = np.stack([draw.uniform(0.0, 0.8, 2) for draw in draws]).astype(np.float32)
    held_out = np.arange(frames) % 5 == 0
    train = NoisyFrames(clean[~held_out], strength[~held_out])
    val = NoisyFrames(clean[held_out], strength[held_out])
    corpus = CorpusRecord(name="drawn frames", licence="made by a program", found=frames, kept=frames)
    provenance = DataRecord(
        corpora=(corpus,),
        train=len(train),
        val=len(val),
        split="every fifth frame",
        digest=sha256_bytes(clean.tobytes() + strength.tobytes()),
        synthetic=True,
    )
    return DataSplits(train, val, provenance)


def _draw_frame(draw: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Return a luma plane ``[1, side, side]`` of slopes, stripes and edges, which are no noise."""
    y, x = np.mgrid[0:side, 0:side] / side
    angle, waves = draw.uniform(0.0, np.pi), draw.uniform(1.0, side / 6)
    plane = 0.5 + draw.uniform(-0.2, 0.2) * y + draw.uniform(-0.2, 0.2) * x
    plane += draw.uniform(0.0, 0.1) * np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)))
    top, left = draw.uniform(0.0, 0.7, 2)
    plane[(y > top) & (x > left)] += draw.uniform(-0.25, 0.25)
    frame: NDArray[np.float32] = plane[None].astype(np.float32)
    return frame
