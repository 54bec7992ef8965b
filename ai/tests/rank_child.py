"""One process of a run of several, for test_ranks: ``rank_child.py CASE FOLDER``."""

from __future__ import annotations

import datetime
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import vmaf_train.ranks
from toy import Agreement, ToyConfig, ToyNet, ToySamples, ToyTask
from vmaf_train.config_files import load_config
from vmaf_train.errors import DataError
from vmaf_train.fit import FitResult, fit
from vmaf_train.hardware import choose_hardware, reproducible_arithmetic
from vmaf_train.interruption import stop_signals
from vmaf_train.ranks import Ranks, joined
from vmaf_train.report import Reporter, SilentReporter
from vmaf_train.task import BatchStreams

SETTINGS = ("fit.epochs=4", "fit.batch_size=5", "fit.ema_decay=0.9", "fit.precision=float32")
"""A batch that no even number of processes divides."""
PATIENCE = 2.0
"""Seconds that a process waits for the others in the case that asks for it."""


class NoDropout(ToyNet):
    """Convolutions and BatchNorm: what several processes must compute as one does."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Identity()  # type: ignore[assignment]


@dataclass(frozen=True)
class Vanishing(ToySamples):
    """Samples of which a following process can read only the first epoch's, if that."""

    rank: int = 0
    reads: list[int] | None = None

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        if self.reads is not None:
            self.reads.append(len(items))
            if self.rank == 1 and len(self.reads) > 4:
                raise DataError("0007.jpg", expected="a picture", found="nothing", next_step="put it back")
        return super().batch(items, streams)


class Idle(NoDropout):
    """Has a weight that no output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 1)


class Signalling(Agreement):
    """Asks its process to stop while it validates the second epoch."""

    updates = 0
    """Its process has one batch of the held-out samples, so it is the number of the epoch."""

    def update(self, output: Tensor, target: Tensor) -> None:
        Signalling.updates += 1
        if Signalling.updates == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        super().update(output, target)


class SignallingTask(ToyTask):
    """Validates with :class:`Signalling`."""

    def metric(self) -> Agreement:
        return Signalling()


class Sleeper(SilentReporter):
    """Is as silent as a machine without power, for longer than the others wait."""

    def step(self, epoch: int, loss: float) -> None:
        time.sleep(2.5 * PATIENCE)
        os._exit(1)


class Killer(SilentReporter):
    """Ends its process, or asks it to stop, at a step."""

    def __init__(self, number: signal.Signals, steps: int) -> None:
        self.number, self.left = number, steps

    def step(self, epoch: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def fit_ranked(
    run_dir: Path,
    ranks: Ranks,
    task: ToyTask | None = None,
    *,
    resume: bool = False,
    say: Reporter | None = None,
) -> FitResult:
    """Train the toy in the processes of ``ranks``."""
    config = load_config(ToyConfig, None, SETTINGS)
    task = task or ToyTask(config, network=NoDropout, train=ToySamples(22))
    hardware = choose_hardware(config.fit)
    with stop_signals() as stop, reproducible_arithmetic(hardware, deterministic=True):
        torch.manual_seed(config.fit.seed)
        splits = task.load_data(lambda *_: None)
        return fit(
            task,
            config,
            splits,
            task.build_model(),
            hardware,
            run_dir,
            say or SilentReporter(),
            resume=resume,
            stop=stop,
            ranks=ranks,
        )


def main(case: str, folder: Path) -> None:
    """Take part in a case; the leading process leaves what came of it in ``folder``."""
    if case == "silent":
        vmaf_train.ranks._PATIENCE = datetime.timedelta(seconds=PATIENCE)
    with joined("cpu") as ranks:
        config = load_config(ToyConfig, None, SETTINGS)
        task = None
        say: Reporter | None = None
        if case == "vanish":
            samples = Vanishing(22, rank=ranks.rank, reads=[])
            task = ToyTask(config, network=NoDropout, train=samples)
        if case == "kill" and ranks.rank == 1:
            say = Killer(signal.SIGKILL, 6)
        if case == "stop" and ranks.rank == 1:
            say = Killer(signal.SIGTERM, 6)
        if case == "idle":
            task = ToyTask(config, network=Idle)
        if case == "stop in validation" and ranks.rank == 1:
            task = SignallingTask(config, network=NoDropout, train=ToySamples(22))
        if case == "silent":
            if ranks.leads:  # as if it decoded data
                time.sleep(1.5 * PATIENCE)
            ranks.wait()
            say = None if ranks.leads else Sleeper()
        result = fit_ranked(folder, ranks, task, say=say)
        if ranks.leads:
            torch.save(result.network.state_dict(), folder / "weights.pt")
            history = [[epoch.loss, epoch.metrics] for epoch in result.record.history]
            kind = type(result.network.norm).__name__
            (folder / "result.json").write_text(json.dumps({"history": history, "norm": kind}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
