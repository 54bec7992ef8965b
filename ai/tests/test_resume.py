"""A run that was stopped, by whatever, ends in the bytes of the straight run, or says why not."""

from __future__ import annotations

import math
import multiprocessing
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from toy import Agreement, SignalAt, Told, ToyConfig, ToyNet, ToySamples, ToyTask, fit_toy, metrics, weights
from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError, DataError, DivergenceError
from vmaf_train.fit import fit
from vmaf_train.hardware import choose_hardware, reproducible_arithmetic
from vmaf_train.interruption import Stopped, stop_signals
from vmaf_train.report import SilentReporter
from vmaf_train.run_record import EpochRecord
from vmaf_train.task import BatchStreams

CHECKPOINTS = sorted((Path(__file__).parents[2] / "build_artifacts" / "checkpoints").glob("*/*.pt"))


class Killed(BaseException):
    """Stands for a kill."""


class StopAfter(SilentReporter):
    """Raises at a step of the run."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, epoch: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_stopped_anywhere_and_resumed_is_the_straight_run(
    tmp_path: Path, ema: float, precision: str
) -> None:
    changes = ("fit.epochs=4", f"fit.ema_decay={ema}", f"fit.precision={precision}")
    straight = fit_toy(tmp_path / "straight", *changes)
    config = load_config(ToyConfig, None, ("fit.seed=1", *changes))
    hardware = choose_hardware(config.fit)
    for steps in (2, 3, 7):  # in the first epoch, at its end, in the third
        task = ToyTask(config)
        run_dir = tmp_path / str(steps)
        with reproducible_arithmetic(hardware, deterministic=True):
            torch.manual_seed(1)
            splits = task.load_data(lambda *_: None)
            with pytest.raises(Killed):
                fit(
                    task,
                    config,
                    splits,
                    task.build_model(),
                    hardware,
                    run_dir,
                    StopAfter(steps),
                    resume=False,
                )
        resumed = fit_toy(run_dir, *changes, resume=True)
        assert weights(resumed) == weights(straight)
        assert metrics(resumed) == metrics(straight)
        assert [record.epoch for record in resumed.record.history] == [1, 2, 3, 4]
        assert resumed.record.steps == straight.record.steps == 12


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_keeps_the_place_in_the_epoch_and_the_run_goes_on_from_there(
    tmp_path: Path, number: signal.Signals, ema: float
) -> None:
    changes = ("fit.epochs=3", f"fit.ema_decay={ema}")
    straight = fit_toy(tmp_path / "straight", *changes)
    for step in (1, 2, 3, 5):  # in the first epoch, at its end, in the second
        run_dir = tmp_path / str(step)
        with stop_signals() as stop, pytest.raises(Stopped) as end:
            fit_toy(run_dir, *changes, say=SignalAt(step, number), stop=stop)
        assert end.value.exit_code == 128 + number
        kept = load_checkpoint(latest_checkpoint(run_dir / "checkpoints") or run_dir)
        assert (kept["epoch"], kept["position"]["step"], kept["steps"]) == (
            (step - 1) // 3,
            *{1: (1, 1), 2: (2, 2), 3: (3, 3), 5: (2, 5)}[step],
        )
        with stop_signals() as stop, pytest.raises(Stopped):  # and once more, a step later
            fit_toy(run_dir, *changes, say=SignalAt(1, number), stop=stop, resume=True)
        resumed = fit_toy(run_dir, *changes, resume=True)
        assert weights(resumed) == weights(straight)
        assert metrics(resumed) == metrics(straight)
        assert [record.lr for record in resumed.record.history] == [
            record.lr for record in straight.record.history
        ]
        assert resumed.record.steps == 9
        assert len(resumed.record.resumed_at) == 2
        assert not list((run_dir / "checkpoints").glob("*_step_*"))


@pytest.mark.usefixtures("own_handlers")
def test_a_signal_in_validation_is_obeyed_there_and_no_step_is_done_twice(tmp_path: Path) -> None:
    class Signalling(Agreement):
        def update(self, output: Tensor, target: Tensor) -> None:
            signal.raise_signal(signal.SIGTERM)

    class SignallingTask(ToyTask):
        def metric(self) -> Agreement:
            return Signalling()

    straight = fit_toy(tmp_path / "straight")
    with stop_signals() as stop, pytest.raises(Stopped):
        fit_toy(tmp_path / "a", task=SignallingTask(load_config(ToyConfig)), stop=stop)
    assert [path.name for path in (tmp_path / "a" / "checkpoints").iterdir()] == [
        "epoch_000000_step_000000003.pt"
    ]
    path = tmp_path / "a" / "checkpoints" / "epoch_000000_step_000000003.pt"
    kept = load_checkpoint(path)
    assert 0 < kept["position"]["trained"] < kept["position"]["seconds"]
    kept["position"] |= {"trained": 100.0, "seconds": 250.0}  # as if validation had taken 150 s
    torch.save(kept, path)
    resumed = fit_toy(tmp_path / "a", resume=True)
    assert weights(resumed) == weights(straight)
    assert resumed.record.steps == straight.record.steps
    first = resumed.record.history[0]
    assert first.images_per_second == pytest.approx(3 * 4 / 100, rel=0.01)
    assert first.seconds == pytest.approx(250, rel=0.01)


@pytest.mark.usefixtures("own_handlers")
def test_a_signal_to_all_processes_ends_the_step_and_keeps_the_place_though_workers_get_it_too(
    tmp_path: Path,
) -> None:
    class ToAll(SignalAt):
        def step(self, epoch: int, loss: float) -> None:
            if self.left == 1:
                for worker in multiprocessing.active_children():
                    # From elsewhere: a worker takes one of its parent's for its own end.
                    subprocess.run(["kill", str(worker.pid)], check=True)
                    worker.join(0.5)  # one that dies of it is missed in this step
            super().step(epoch, loss)

    with stop_signals() as stop, pytest.raises(Stopped):
        fit_toy(tmp_path, "fit.workers=1", say=ToAll(2, signal.SIGTERM), stop=stop)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch_000000_step_000000002.pt"]


@pytest.mark.parametrize("where", ["validation", "checkpoint"])
def test_a_worker_that_dies_outside_a_step_is_one_line_too(tmp_path: Path, where: str) -> None:
    def died() -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    class Dying(Agreement):
        def update(self, output: Tensor, target: Tensor) -> None:
            died()

    class DyingTask(ToyTask):
        def metric(self) -> Agreement:
            return Dying() if where == "validation" else Agreement()

    class DyingReporter(SilentReporter):
        def epoch(self, record: EpochRecord, *, best: bool) -> None:
            died()

    with pytest.raises(DataError, match="expected all of them alive, found DataLoader worker"):
        fit_toy(tmp_path, task=DyingTask(load_config(ToyConfig)), say=DyingReporter())


@pytest.mark.usefixtures("own_handlers")
def test_workers_that_end_with_the_run_do_not_hide_the_stop(tmp_path: Path) -> None:
    class Ended(ToySamples):
        def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
            signal.raise_signal(signal.SIGTERM)
            raise DataError("the workers", expected="all", found="Terminated", next_step="go on")

    task = ToyTask(load_config(ToyConfig), train=Ended(12))
    with stop_signals() as stop, pytest.raises(Stopped):
        fit_toy(tmp_path, task=task, stop=stop)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.usefixtures("own_handlers")
def test_a_stop_at_weights_that_are_none_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    class Poisoning(SignalAt):
        def step(self, epoch: int, loss: float) -> None:
            if self.left == 1:
                with torch.no_grad():
                    network.norm.running_mean[0] = math.nan  # type: ignore[index]
            super().step(epoch, loss)

    network = ToyNet()
    task = ToyTask(load_config(ToyConfig), network=lambda: network)
    with stop_signals() as stop, pytest.raises(DivergenceError, match=r"epoch 2 step 2: .*norm.running_mean"):
        fit_toy(tmp_path, task=task, say=Poisoning(5, signal.SIGTERM), stop=stop)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch_000001.pt"]


def test_the_best_epoch_before_the_stop_is_still_a_candidate(tmp_path: Path) -> None:
    # The rate falls to 0 after the first epoch's end, so that no later epoch is better.
    changes = ("fit.epochs=4",)
    straight = fit_toy(tmp_path / "a", *changes)
    state = load_checkpoint(tmp_path / "a" / "checkpoints" / "epoch_000003.pt")
    (tmp_path / "a" / "checkpoints" / "epoch_000004.pt").unlink()
    assert state["best_epoch"] <= 3
    said = Told()
    resumed = fit_toy(tmp_path / "a", *changes, resume=True, say=said)
    assert said.lines == ["fit: goes on after epoch 3"]
    assert resumed.record.best_epoch == straight.record.best_epoch
    assert resumed.record.resumed_at == (3,)
    assert (resumed.record.parts, resumed.record.byte_reproducible) == ((), True)
    assert weights(resumed) == weights(straight)


def test_a_run_goes_on_past_its_end_if_a_restart_stands_there(tmp_path: Path) -> None:
    longer = ("fit.epochs=5", "fit.ema_decay=0.9", "schedule.restarts=[2,3]")
    straight = fit_toy(tmp_path / "straight", *longer)
    for changes in (
        ("fit.epochs=2",),
        ("fit.epochs=3", "schedule.restarts=[2]"),
        ("fit.epochs=2", "schedule.restarts=[2,3]", "fit.workers=0"),
    ):
        run_dir = tmp_path / str(len(changes))
        fit_toy(run_dir, "fit.ema_decay=0.9", *changes)
        resumed = fit_toy(run_dir, *longer, resume=True)
        assert weights(resumed) == weights(straight)
        assert metrics(resumed) == metrics(straight)


@pytest.mark.parametrize(
    "changes",
    [
        ("fit.epochs=5",),
        ("fit.epochs=5", "schedule.restarts=[1]"),
        ("fit.epochs=5", "schedule.restarts=[3]"),
        ("fit.epochs=5", "schedule.restarts=[2]", "optimiser.lr=0.1"),
    ],
)
def test_a_longer_run_with_other_earlier_steps_is_refused(tmp_path: Path, changes: Sequence[str]) -> None:
    fit_toy(tmp_path)
    with pytest.raises(ConfigError, match="where this one ends"):
        fit_toy(tmp_path, *changes, resume=True)
