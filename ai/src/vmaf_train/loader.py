"""Batches in an order and with random choices that are a function of (seed, epoch, item) alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from vmaf_train.interruption import ignore_stop_signals
from vmaf_train.task import Samples

__all__ = ["BatchLoader", "sample_stream"]

Draw = tuple[int, int]
"""(epoch, item)."""

VALIDATION_EPOCH = 0


def sample_stream(seed: int, epoch: int, item: int) -> np.random.Generator:
    """Return the random generator of one sample in one epoch.

    Epochs count from 1; epoch 0 is the stream of validation, which never changes.
    """
    return np.random.default_rng((seed, epoch, item))


def _epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    # The trailing constant keeps this stream apart from every sample's.
    order: list[int] = np.random.default_rng((seed, epoch, 0, 1)).permutation(count).tolist()
    return order


class _Reader(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples = samples
        self.seed = seed

    def __getitem__(self, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
        items = [item for _, item in draws]
        return self.samples.batch(items, [sample_stream(self.seed, epoch, item) for epoch, item in draws])


class _Order(Sampler[list[Draw]]):
    """Lists of draws; epoch and first batch are set from outside, so that worker processes can persist."""

    def __init__(self, count: int, batch_size: int, seed: int, *, shuffle: bool) -> None:
        self.count, self.batch_size, self.seed, self.shuffle = count, batch_size, seed, shuffle
        self.epoch = VALIDATION_EPOCH
        self.first = 0

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (1 if rest and not self.shuffle else 0)

    def __iter__(self) -> Iterator[list[Draw]]:
        order = _epoch_order(self.seed, self.epoch, self.count) if self.shuffle else list(range(self.count))
        for start in range(self.first * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield [(self.epoch, item) for item in order[start : start + self.batch_size]]


class BatchLoader:
    """Batches of ``samples``: shuffled full batches to train on, or all in order to validate.

    Args:
        samples: what to draw from; must be picklable where ``workers`` is not 0.
        batch_size: samples per batch. Training leaves out a last, smaller batch (BatchNorm
            cannot take one sample); validation keeps it.
        seed: the run's seed.
        train: whether to shuffle by epoch.
        workers: processes that prepare batches; the batches are the same for any number.
        pin: whether to put batches into page-locked memory for a GPU.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        *,
        train: bool,
        workers: int = 0,
        pin: bool = False,
    ) -> None:
        self._order = _Order(len(samples), batch_size, seed, shuffle=train)
        self._loader = DataLoader(
            cast("Dataset[tuple[Tensor, Tensor]]", _Reader(samples, seed)),
            sampler=self._order,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin,
            # A forked copy of a process with running arithmetic threads can hang.
            multiprocessing_context="spawn" if workers else None,
            # A terminal's Ctrl-C reaches the workers too; the batch under way still needs them.
            worker_init_fn=ignore_stop_signals if workers else None,
            # The loader draws a base seed for its workers; a generator of its own keeps torch's
            # global one, and with it dropout, the same for any number of workers.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self._order)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(input, target)`` batches of the given epoch (0: validation) from batch ``first`` on."""
        self._order.epoch, self._order.first = epoch, first
        yield from self._loader
