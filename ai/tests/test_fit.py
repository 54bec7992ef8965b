"""The loop: seeded, resumable to the byte, stopped at the first number that is none."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from toy import Agreement, ToyConfig, ToyNet, ToySamples, ToyTask
from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint
from vmaf_train.config import OptimiserConfig, ScheduleConfig, load_config
from vmaf_train.errors import ConfigError, DataError, DivergenceError
from vmaf_train.fit import FitResult, fit, learning_rate
from vmaf_train.hardware import Hardware, choose_hardware, reproducible_arithmetic
from vmaf_train.interruption import Stopped, StopRequest, stop_signals
from vmaf_train.report import SilentReporter
from vmaf_train.task import BatchStreams
from vmaf_train.validation import validate

CPU = Hardware("cpu", "float32", 1, channels_last=True)


def fit_toy(
    run_dir: Path,
    *changes: str,
    task: ToyTask | None = None,
    resume: bool = False,
    seed: int = 1,
    say: SilentReporter | None = None,
    stop: StopRequest | None = None,
) -> FitResult:
    config = load_config(ToyConfig, None, (f"fit.seed={seed}", *changes))
    task = task or ToyTask(config)
    hardware = choose_hardware(config.fit)
    with reproducible_arithmetic(hardware, deterministic=True):
        torch.manual_seed(config.fit.seed)
        splits = task.load_data(lambda *_: None)
        reporter = say or SilentReporter()
        return fit(
            task, config, splits, task.build_model(), hardware, run_dir, reporter, resume=resume, stop=stop
        )


def weights(result: FitResult) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in result.network.state_dict().items()}


def metrics(result: FitResult) -> list[tuple[float | None, dict[str, float | None]]]:
    return [(record.loss, record.metrics) for record in result.record.history]


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = fit_toy(tmp_path / "a"), fit_toy(tmp_path / "b")
    assert weights(first) == weights(second)
    assert metrics(first) == metrics(second)
    assert weights(first) != weights(fit_toy(tmp_path / "c", seed=2))


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


@pytest.mark.parametrize("lr", ["1e6", "1e7"])
def test_a_diverged_run_stops_and_says_where(tmp_path: Path, lr: str) -> None:
    class Explosive(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            return torch.exp(self.last.weight.sum() * 1e3) * super().forward(image)

    config = load_config(ToyConfig, None, (f"optimiser.lr={lr}",))
    with pytest.raises(DivergenceError, match=r"epoch \d+ (step \d+|validation)?.*lower optimiser.lr"):
        fit_toy(tmp_path, f"optimiser.lr={lr}", task=ToyTask(config, network=Explosive))


def test_a_nan_weight_stops_the_run_at_its_first_step(tmp_path: Path) -> None:
    class Poisoned(ToyNet):
        def __init__(self) -> None:
            super().__init__()
            with torch.no_grad():
                self.last.weight[0, 0] = math.nan

    with pytest.raises(DivergenceError, match="epoch 1 step 1: expected a finite loss, found nan"):
        fit_toy(tmp_path, task=ToyTask(ToyConfig(), network=Poisoned))
    assert not (tmp_path / "checkpoints").exists()


def test_a_nan_output_makes_every_validation_metric_nan() -> None:
    class Nan(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            output = image[:, :1].clone()
            output[0, 0, 0, 0] = math.nan
            return output

    measured = validate(Nan(), ToyTask(ToyConfig()), ToySamples(5), 2, CPU)
    assert math.isnan(measured["agreement"])


def test_validation_counts_each_sample_once_whatever_the_batch_size() -> None:
    network = ToyNet().eval()
    task = ToyTask(ToyConfig())
    values = [validate(network, task, ToySamples(7), size, CPU)["agreement"] for size in (1, 2, 3, 7, 9)]
    assert values == pytest.approx([values[0]] * 5)


@pytest.mark.parametrize(
    ("train", "val", "found"), [(3, 5, "3 for training and 5"), (12, 0, "12 for training and 0")]
)
def test_too_few_samples_are_refused_before_the_first_step(
    tmp_path: Path, train: int, val: int, found: str
) -> None:
    config = load_config(ToyConfig)
    task = ToyTask(config, train=ToySamples(train), val=ToySamples(val))
    with pytest.raises(ConfigError, match=found):
        fit_toy(tmp_path, task=task)
    assert list(tmp_path.iterdir()) == []


def test_a_last_batch_of_one_is_left_out_so_that_batch_norm_never_sees_it(tmp_path: Path) -> None:
    config = load_config(ToyConfig)
    result = fit_toy(tmp_path, task=ToyTask(config, train=ToySamples(13)))
    assert result.record.steps == 2 * 3


def test_the_rate_rises_over_the_warm_up_and_falls_as_a_cosine_to_nothing() -> None:
    optimiser, schedule = OptimiserConfig(lr=1.0), ScheduleConfig(warmup_epochs=1.0)
    rates = [learning_rate(optimiser, schedule, step, 10, 5) for step in range(50)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[30] == pytest.approx(0.5)
    assert 0.0 < rates[-1] < 0.002


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    optimiser = OptimiserConfig(lr=1e-3)
    assert learning_rate(optimiser, ScheduleConfig(), 0, 313, 50) == 1e-3
    assert learning_rate(optimiser, ScheduleConfig(name="constant"), 15_000, 313, 50) == 1e-3
    half = ScheduleConfig(final_fraction=0.5)
    assert learning_rate(optimiser, half, 313 * 50, 313, 50) == pytest.approx(5e-4)


def test_each_epoch_leaves_a_line_of_strict_json(tmp_path: Path) -> None:
    result = fit_toy(tmp_path, "fit.epochs=3")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["metrics"] == result.record.history[-1].metrics


def test_the_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    result = fit_toy(tmp_path, "fit.epochs=6")
    values = [record.metrics["agreement"] or 0.0 for record in result.record.history]
    assert result.record.best_epoch == values.index(max(values)) + 1
    again = validate(result.network, ToyTask(ToyConfig()), ToySamples(5, seed=1, noise=0.0), 4, CPU)
    assert again["agreement"] == pytest.approx(max(values), abs=0.02)


def test_arithmetic_settings_and_random_state_are_restored() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    with reproducible_arithmetic(CPU, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(3)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(before, torch.get_rng_state())


def test_cuda_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = load_config(ToyConfig, None, ("fit.device=cuda",))
    with pytest.raises(ConfigError, match=r"fit.device: expected a CUDA device"):
        choose_hardware(config.fit)


def test_an_operation_without_a_deterministic_form_is_a_config_error_at_the_first_step(
    tmp_path: Path,
) -> None:
    class Refused(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("upsample_backward does not have a deterministic implementation. Sorry.")

    with pytest.raises(ConfigError, match=r"set fit.deterministic=false"):
        fit_toy(tmp_path, task=ToyTask(ToyConfig(), network=Refused))


def test_worker_processes_do_not_change_the_weights(tmp_path: Path) -> None:
    none = fit_toy(tmp_path / "a", "fit.workers=0")
    two = fit_toy(tmp_path / "b", "fit.workers=2")
    assert weights(none) == weights(two)
