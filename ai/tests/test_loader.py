"""Order and random choices are a function of (seed, epoch, item), whoever prepares the batches."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vmaf_train.errors import DataError
from vmaf_train.interruption import leave_stop_to_parent, starting_workers
from vmaf_train.loader import VALIDATION_EPOCH, BatchLoader, _Workers, sample_stream, telling_dead_workers
from vmaf_train.ranks import Ranks
from vmaf_train.task import BatchStreams


@dataclass(frozen=True)
class Recorder:
    """Samples whose input is what was drawn for them and whose target is their number."""

    count: int = 8

    def __len__(self) -> int:
        return self.count

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        drawn = [[float(stream.integers(0, 1000)), float(stream.random() < 0.5)] for stream in streams]
        return torch.tensor(drawn), torch.tensor(list(items))


def draws(workers: int, epochs: Sequence[int]) -> dict[int, dict[int, list[float]]]:
    """By epoch, what was drawn for each item."""
    loader = BatchLoader(Recorder(), 2, seed=5, train=True, workers=workers)
    return {
        epoch: {
            int(item): row.tolist()
            for batch, items in loader.epoch(epoch)
            for row, item in zip(batch, items, strict=True)
        }
        for epoch in epochs
    }


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose
@pytest.mark.parametrize("workers", [2, 4])
def test_worker_processes_draw_what_no_workers_draw(workers: int) -> None:
    assert draws(workers, (1, 2)) == draws(0, (1, 2))


def test_augmentation_differs_between_epochs_and_between_items() -> None:
    drawn = draws(0, (1, 2))
    assert drawn[1].keys() == drawn[2].keys() == set(range(8))
    assert drawn[1] != drawn[2]
    assert len({tuple(row) for row in drawn[1].values()}) > 4


def test_an_epoch_begun_late_is_the_epoch_of_an_uninterrupted_run() -> None:
    assert draws(0, (3,))[3] == draws(0, (1, 2, 3))[3]


def test_order_differs_between_epochs_and_seeds() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        loader = BatchLoader(Recorder(40), 4, seed=seed, train=True)
        return [int(item) for _, items in loader.epoch(epoch) for item in items]

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_training_leaves_out_a_smaller_last_batch_and_validation_keeps_it() -> None:
    train = BatchLoader(Recorder(7), 3, seed=0, train=True)
    val = BatchLoader(Recorder(7), 3, seed=0, train=False)
    assert (len(train), [len(items) for _, items in train.epoch(1)]) == (2, [3, 3])
    assert (len(val), [items.tolist() for _, items in val.epoch(0)]) == (3, [[0, 1, 2], [3, 4, 5], [6]])


def test_preparing_batches_leaves_torchs_own_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(BatchLoader(Recorder(), 2, seed=0, train=True).epoch(1))
    assert torch.equal(before, torch.get_rng_state())


def test_a_stream_is_named_by_seed_epoch_and_item_in_that_order() -> None:
    names = [(1, 2, 3), (1, 3, 2), (2, 1, 3), (3, 2, 1)]
    assert len({sample_stream(*name).integers(0, 2**62) for name in names}) == len(names)


@dataclass(frozen=True)
class Failing(Recorder):
    """Fails at its second batch, in the way that it is told."""

    how: str = "vanish"

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        batch = super().batch(items, streams)
        if list(items) == [2, 3]:
            if self.how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            Path("gone.png").read_bytes()
        return batch


@dataclass(frozen=True)
class Large(Recorder):
    """Batches of more than a megabyte for a child of `test_full_disk.py`."""

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(items), 3, 256, 256), torch.tensor(list(items))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_vanishes_is_told_by_its_name_from_a_worker_too(workers: int) -> None:
    loader = BatchLoader(Failing(6), 2, 0, train=False, workers=workers)
    with pytest.raises(DataError, match=r"gone\.png: .* found No such file .* go on with --resume") as error:
        list(loader.epoch(VALIDATION_EPOCH))
    assert error.value.exit_code == 1


def test_a_worker_that_dies_is_one_line() -> None:
    loader = BatchLoader(Failing(6, how="die"), 2, 0, train=False, workers=1)
    with (
        pytest.raises(DataError, match="expected all of them alive, found DataLoader worker"),
        telling_dead_workers(),
    ):
        list(loader.epoch(VALIDATION_EPOCH))


def test_a_worker_leaves_a_stop_to_its_parent_from_its_start_on_and_ends_with_its_loader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def signal_all() -> None:
        for worker in multiprocessing.active_children():
            # From elsewhere: a worker takes one of its parent's for its own end.
            subprocess.run(["kill", str(worker.pid)], check=True)

    @contextmanager
    def signalled() -> Iterator[None]:
        with starting_workers():
            yield
        signal_all()

    monkeypatch.setattr("vmaf_train.loader.starting_workers", signalled)
    loader = BatchLoader(Recorder(6), 2, 0, train=False, workers=1)
    batches = loader.epoch(VALIDATION_EPOCH)
    next(batches)
    (worker,) = multiprocessing.active_children()
    signal_all()
    assert [items.tolist() for _, items in batches] == [[2, 3], [4, 5]]
    del batches, loader
    worker.join(60)
    assert worker.exitcode == 0


def stay() -> None:
    leave_stop_to_parent()
    time.sleep(600)


def test_a_worker_that_does_not_end_by_itself_is_ended_by_its_parent() -> None:
    worker = _Workers().Process(target=stay)
    worker.start()
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL


def test_another_runtime_error_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="mine"), telling_dead_workers():
        raise RuntimeError("mine")


def test_a_lack_of_shared_memory_is_told_where_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Tensor) -> None:
        raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(Tensor, "share_memory_", full)
    monkeypatch.setattr("vmaf_train.loader.get_worker_info", lambda: "a worker")
    loader = BatchLoader(Recorder(6), 2, 0, train=False)
    with pytest.raises(DataError, match=r"in /dev/shm, found unable .*; enlarge it or lower fit.workers"):
        next(loader.epoch(VALIDATION_EPOCH))


@pytest.mark.parametrize("size", [2, 3])
def test_the_processes_of_a_run_draw_together_the_batches_of_one(size: int) -> None:
    whole = list(BatchLoader(Recorder(17), 5, seed=3, train=True).epoch(2))
    loaders = [
        BatchLoader(Recorder(17), 5, seed=3, train=True, ranks=Ranks(rank, size)) for rank in range(size)
    ]
    parts = zip(*(loader.epoch(2) for loader in loaders), strict=True)
    for (batch, items), pieces in zip(whole, parts, strict=True):
        assert torch.equal(torch.cat([piece[0] for piece in pieces]), batch)
        assert torch.equal(torch.cat([piece[1] for piece in pieces]), items)


@pytest.mark.parametrize("count", [1, 7, 9])
def test_the_processes_of_a_run_validate_each_sample_once_and_in_order(count: int) -> None:
    seen = [
        int(item)
        for rank in range(3)
        for _, items in BatchLoader(Recorder(count), 2, seed=0, train=False, ranks=Ranks(rank, 3)).epoch(0)
        for item in items
    ]
    assert seen == list(range(count))
