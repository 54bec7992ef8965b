"""A run that was stopped, by whatever, ends in the bytes of the straight run, or says why not."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from toy import Agreement, ToyConfig, ToyNet, ToySamples, ToyTask, fit_toy, metrics, weights
from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint
from vmaf_train.config import load_config
from vmaf_train.errors import ConfigError, DataError, DivergenceError
from vmaf_train.fit import fit
from vmaf_train.hardware import choose_hardware, reproducible_arithmetic
from vmaf_train.interruption import Stopped, stop_signals
from vmaf_train.report import SilentReporter
from vmaf_train.task import BatchStreams


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


class SignalAt(SilentReporter):
    """Sends this process a signal while a step of the run is under way."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.left, self.number = step, number

    def step(self, epoch: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)


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
    resumed = fit_toy(tmp_path / "a", resume=True)
    assert weights(resumed) == weights(straight)
    assert resumed.record.steps == straight.record.steps


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
    resumed = fit_toy(tmp_path / "a", *changes, resume=True)
    assert resumed.record.best_epoch == straight.record.best_epoch
    assert resumed.record.resumed_at == (3,)
    assert weights(resumed) == weights(straight)


@pytest.mark.parametrize(
    ("change", "named"),
    [("optimiser.lr=0.01", "optimiser.lr: 0.05 -> 0.01"), ("fit.epochs=9", "fit.epochs: 4 -> 9")],
)
def test_resuming_with_another_config_is_refused_with_the_difference(
    tmp_path: Path, change: str, named: str
) -> None:
    fit_toy(tmp_path, "fit.epochs=4")
    with pytest.raises(ConfigError, match=named):
        fit_toy(tmp_path, "fit.epochs=4", change, resume=True)


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


def test_resuming_on_other_data_is_refused(tmp_path: Path) -> None:
    fit_toy(tmp_path)
    config = load_config(ToyConfig, None, ("fit.seed=1",))
    with pytest.raises(ConfigError, match="data_digest"):
        fit_toy(tmp_path, task=ToyTask(config, digest="1" * 64), resume=True)


def test_a_setting_that_did_not_exist_when_the_run_began_does_not_stop_its_resumption(
    tmp_path: Path,
) -> None:
    fit_toy(tmp_path, "fit.epochs=2")
    path = tmp_path / "checkpoints" / "epoch_000002.pt"
    state = load_checkpoint(path)
    identity = json.loads(state["identity"])
    del identity["config"]["fit"]["gradient_clip"]
    torch.save(state | {"identity": json.dumps(identity)}, path)
    assert len(fit_toy(tmp_path, "fit.epochs=2", resume=True).record.history) == 2
    with pytest.raises(ConfigError, match=r"fit.gradient_clip: 0.0 -> 1.0"):
        fit_toy(tmp_path, "fit.epochs=2", "fit.gradient_clip=1.0", resume=True)


@pytest.mark.parametrize(
    "change",
    [
        *({name: ...} for name in ("optimiser", "identity", "network", "best_weights", "history", "steps")),
        *({"identity": text} for text in ("", "[]", "null", "[" * 100_000)),
        *({"steps": value} for value in (-1, "6", 6.0, None, True)),
        {"best_weights": {"first.weight": torch.zeros(1)}},
        {"best_weights": []},
        {"best_epoch": 7},
        {"seconds": None},
        {"history": ["{}"]},
        {"history": []},
        {"resumed_at": ["x"]},
        {"position": {"step": "1"}},
        {"position": {"unknown": 1}},
        {"position": [1]},
        {"network": {"first.weight": "text"}},
        {"optimiser": {"state": {}, "param_groups": []}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_checkpoint_that_lacks_a_part_or_holds_another_stops_the_run_in_one_line(
    tmp_path: Path, change: dict[str, object], whole_run: Path
) -> None:
    path = tmp_path / "checkpoints" / "epoch_000002.pt"
    path.parent.mkdir()
    state = load_checkpoint(whole_run / "checkpoints" / path.name) | change
    torch.save({name: value for name, value in state.items() if value is not ...}, path)
    with pytest.raises(ConfigError, match=r"a whole checkpoint of this run|the same config") as error:
        fit_toy(tmp_path, resume=True)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("whole")
    fit_toy(run_dir)
    return run_dir
