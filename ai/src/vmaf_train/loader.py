"""Batches in an order and with random choices that are a function of (seed, epoch, item) alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from vmaf_train.errors import DataError, VmafTrainError
from vmaf_train.interruption import leave_stop_to_parent, starting_workers
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.task import Samples
from vmaf_train.task_checks import require_batch

__all__ = ["BatchLoader", "sample_stream", "telling_dead_workers"]

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


@dataclass(frozen=True)
class _Fault:
    """An error on its way home from a worker process; torch itself would send its text alone."""

    error: VmafTrainError


class _Reader(Dataset[tuple[Tensor, Tensor] | _Fault]):
    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples = samples
        self.seed = seed

    def __getitem__(self, draws: Sequence[Draw]) -> tuple[Tensor, Tensor] | _Fault:
        items = [item for _, item in draws]
        try:
            batch = self.samples.batch(
                items, [sample_stream(self.seed, epoch, item) for epoch, item in draws]
            )
            require_batch(batch, len(items))
            return batch if get_worker_info() is None else _shared(batch)
        except VmafTrainError as error:
            return _Fault(error)
        except OSError as error:
            return _Fault(
                DataError(
                    str(error.filename or f"samples {items[0]} and on"),
                    expected="data that stays readable while the run goes on",
                    found=error.strerror or str(error),
                    next_step="put it back and go on with --resume",
                )
            )


def _shared(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Put a worker's batch into shared memory here, where a lack of room can be told.

    Torch would do it in a thread of the worker, lose the batch there, and wait for it for ever.
    """
    try:
        for tensor in batch:
            tensor.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _no_room(str(error)) from error
    return batch


def _no_room(found: str) -> DataError:
    return DataError(
        "the worker processes of the data",
        expected="room for them and their batches in /dev/shm",
        found=found.rstrip(". "),
        next_step="enlarge it or lower fit.workers, and go on with --resume",
    )


class _Order(Sampler[list[Draw]]):
    """Lists of draws; epoch and first batch are set from outside, so that worker processes can persist."""

    def __init__(self, count: int, batch_size: int, seed: int, ranks: Ranks, *, shuffle: bool) -> None:
        self.count, self.batch_size, self.seed, self.shuffle = count, batch_size, seed, shuffle
        self.ranks = ranks
        self.epoch = VALIDATION_EPOCH
        self.first = 0

    def __len__(self) -> int:
        if not self.shuffle:
            return (len(self.ranks.share(self.count)) + self.batch_size - 1) // self.batch_size
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[list[Draw]]:
        if not self.shuffle:
            order: Sequence[int] = self.ranks.share(self.count)
            part = range(self.batch_size)
        else:
            order = _epoch_order(self.seed, self.epoch, self.count)
            part = self.ranks.share(self.batch_size)
        for start in range(self.first * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield [(self.epoch, item) for item in order[start + part.start : start + part.stop]]


class _Worker(SpawnProcess):
    """A process that ignores SIGTERM, so that its parent ends it by SIGKILL where it must."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        started: Any = SpawnProcess._Popen(process_obj)
        started.terminate = started.kill
        return started


class _Workers(SpawnContext):
    Process = _Worker


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
        ranks: the run's processes. In training each yields its part of every batch, in validation
            whole batches of its part of the samples.
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
        ranks: Ranks = ALONE,
    ) -> None:
        self._order = _Order(len(samples), batch_size, seed, ranks, shuffle=train)
        self._loader = DataLoader(
            cast("Dataset[tuple[Tensor, Tensor] | _Fault]", _Reader(samples, seed)),
            sampler=self._order,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin,
            # A forked copy of a process with running arithmetic threads can hang.
            multiprocessing_context=_Workers() if workers else None,
            # The batch under way at a stop still needs its workers.
            worker_init_fn=leave_stop_to_parent if workers else None,
            # The loader draws a base seed for its workers; a generator of its own keeps torch's
            # global one, and with it dropout, the same for any number of workers.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self._order)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(input, target)`` batches of the given epoch (0: validation) from batch ``first`` on.

        Raises:
            DataError: a sample cannot be read any more, or /dev/shm has no room for the workers.
        """
        self._order.epoch, self._order.first = epoch, first
        try:
            self._require_semaphores()
            with starting_workers():
                batches = iter(self._loader)
        except OSError as error:
            raise _no_room(error.strerror or str(error)) from error
        for batch in batches:
            if isinstance(batch, _Fault):
                raise batch.error
            yield batch

    def _require_semaphores(self) -> None:
        """Make about as many as torch will: what it leaves half-built prints a page when it is freed."""
        if workers := self._loader.num_workers:
            made = [_Workers().Lock() for _ in range(8 + 4 * workers)]
            made.clear()


@contextmanager
def telling_dead_workers() -> Iterator[None]:
    """Turn torch's error for a worker process that died, raised wherever it strikes, into one line.

    Raises:
        DataError: a worker process died in the block.
    """
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if not re.match(r"DataLoader worker \(pid", text):
            raise
        if "Bus error" in text or "shared memory" in text:
            raise _no_room(text) from error
        raise DataError(
            "the worker processes of the data",
            expected="all of them alive",
            found=text.rstrip(". "),
            next_step="look for a lack of memory or lower fit.workers, and go on with --resume",
        ) from error
