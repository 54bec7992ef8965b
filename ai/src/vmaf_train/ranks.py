"""The processes of one run, as torchrun starts them: each takes its share of every batch."""

from __future__ import annotations

import datetime
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from vmaf_train.errors import ConfigError, VmafTrainError
from vmaf_train.interruption import Stopped, StopRequest, ignore_stop_signals

__all__ = ["ALONE", "Ranks", "joined"]

T = TypeVar("T")

# A process that ends closes its connections, which the others notice at once; a machine that loses
# its power does not. In training nobody waits longer than for the slowest step or validation.
_PATIENCE = datetime.timedelta(minutes=30)
# While data is read, waiting long is no fault: the leading process may be decoding a corpus.
_READING_PATIENCE = datetime.timedelta(days=7)
_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|peer", re.IGNORECASE)
_FAILED = "failed"
_SAYING_SECONDS = 1.0


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run. Rank 0 leads: it alone writes and reports.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
        device: ``cpu`` or ``cuda``: where a tensor must be that travels between them.
        reading: the group in which :meth:`wait` waits; None is the one of everything else.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    reading: distributed.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process; then nothing here changes anything."""
        return self.size == 1

    def share(self, count: int) -> range:
        """Return this process's part of ``count`` items: contiguous, every item in exactly one part."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return ``network`` with the same weights everywhere and gradients averaged over the processes.

        Every trainable weight must get a gradient in every step: to look for those that get none
        would cost each step a walk through its graph, and a message.
        """
        return network if self.alone else DistributedDataParallel(network)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of ``value`` over the processes."""
        if not self.alone:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks."""
        if self.alone:
            return [value]
        gathered: list[Any] = [None] * self.size
        distributed.all_gather_object(gathered, value)
        return gathered

    def broadcast(self, value: T) -> T:
        """Return the leading process's ``value``."""
        if self.alone:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Wait for all processes to come here, however long they read data before."""
        if not self.alone:
            distributed.barrier(group=self.reading)

    def stop_asked(self, stop: StopRequest) -> bool:
        """Return whether any process was asked to stop, and let ``stop`` know; the same answer everywhere."""
        if self.alone:
            return stop.asked
        number = torch.tensor([stop.number], device=self.device)
        distributed.all_reduce(number, distributed.ReduceOp.MAX)
        if asked := int(number):
            stop.join(asked)
        return bool(asked)


ALONE = Ranks()
"""A run in one process."""


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started for the block; without torchrun, be alone.

    A process that fails says so in one line and ends; the others then end without a word, so that
    of the whole run one line is to be read. One that vanishes is reported by the first to miss it.

    Args:
        device: ``cpu`` (gloo) or ``cuda`` (nccl, one GPU for each process of a machine).

    Raises:
        SystemExit: a process failed; the code is that of its error.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    store, rank, size = next(iter(rendezvous("env://", timeout=_READING_PATIENCE)))
    backend = "gloo"
    if device == "cuda":
        backend = "nccl"
        _take_gpu(int(os.environ.get("LOCAL_RANK", rank)))
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        # One byte that travels by way of the CPU needs no GPU memory.
        reading = distributed.new_group(backend="gloo", timeout=_READING_PATIENCE)
        yield Ranks(rank, size, device, reading)
    except VmafTrainError as error:
        _end(store, rank, size, error)
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        _end(store, rank, size, _lost(error))
    except Stopped as stop:
        if store.compare_set(_FAILED, "", stop.signal.name).decode() != stop.signal.name:
            sys.exit(VmafTrainError.exit_code)
        raise
    finally:
        distributed.destroy_process_group()


def _take_gpu(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            "torchrun --nproc-per-node",
            expected=f"at most {torch.cuda.device_count()} processes, one for each GPU",
            found=f"local rank {local_rank}",
            next_step="start fewer processes, or set fit.device=cpu",
        )
    torch.cuda.set_device(local_rank)


def _lost(error: RuntimeError) -> VmafTrainError:
    return VmafTrainError(
        "the run",
        expected="every process of it until the end",
        found=f"one that is gone ({' '.join(str(error).split())[:120]})",
        next_step="see why it ended, for instance for want of memory, and go on by --resume",
    )


def _end(store: Store, rank: int, size: int, error: VmafTrainError) -> NoReturn:
    """Say ``error`` unless another process said its own first; end this process."""
    # torchrun answers the first end with signals to the rest; what is said must be said whole.
    ignore_stop_signals()
    mine = f"rank {rank}"
    try:
        first = store.compare_set(_FAILED, "", mine).decode()
    except RuntimeError:  # the store went down with the process that kept it
        first = mine
    if first == mine:
        print(f"error: rank {rank} of {size}: {error}", file=sys.stderr, flush=True)
    time.sleep(_SAYING_SECONDS)
    sys.exit(error.exit_code)
