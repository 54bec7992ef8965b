"""The loop: seeded, resumable to the byte, stopped at the first number that is none."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.exc import InvalidCxxCompiler

from toy import Agreement, ToyConfig, ToyNet, ToySamples, ToyTask, fit_toy, metrics, weights
from vmaf_train.config import OptimiserConfig, ScheduleConfig
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError, DivergenceError
from vmaf_train.hardware import Hardware, choose_hardware, reproducible_arithmetic
from vmaf_train.learning_rate import learning_rate
from vmaf_train.validation import validate

CPU = Hardware("cpu", "float32", 1, channels_last=True)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = fit_toy(tmp_path / "a"), fit_toy(tmp_path / "b")
    assert weights(first) == weights(second)
    assert metrics(first) == metrics(second)
    assert weights(first) != weights(fit_toy(tmp_path / "c", seed=2))


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


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_no_number_stops_the_run_at_its_epoch_and_keeps_the_one_before(
    tmp_path: Path, value: float
) -> None:
    measured: list[float] = []

    class Lost(Agreement):
        def compute(self) -> dict[str, float]:
            measured.append(value if measured else 0.5)
            return {"agreement": measured[-1]}

    class LostTask(ToyTask):
        def metric(self) -> Agreement:
            return Lost()

    with pytest.raises(
        DivergenceError, match=f"epoch 2 validation: expected a finite agreement, found {value}"
    ):
        fit_toy(tmp_path, "fit.epochs=3", task=LostTask(load_config(ToyConfig, None, ("fit.epochs=3",))))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch_000001.pt"]


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


def test_the_rate_starts_over_at_each_restart_and_falls_over_what_follows() -> None:
    optimiser = OptimiserConfig(lr=1.0)
    schedule = ScheduleConfig(warmup_epochs=1.0, restarts=(3, 5), final_fraction=0.1)
    rates = [learning_rate(optimiser, schedule, step, 10, 9) for step in range(91)]
    alone = ScheduleConfig(warmup_epochs=1.0, final_fraction=0.1)
    assert rates[:30] == [learning_rate(optimiser, alone, step, 10, 3) for step in range(30)]
    for start, end in ((10, 30), (30, 50), (50, 90)):
        assert rates[start] == 1.0
        assert rates[start:end] == sorted(rates[start:end], reverse=True)
        assert rates[(start + end) // 2] == pytest.approx(0.55)
    assert rates[90] == pytest.approx(0.1)
    unreached = ScheduleConfig(warmup_epochs=1.0, restarts=(3, 7), final_fraction=0.1)
    assert [learning_rate(optimiser, unreached, step, 10, 3) for step in range(30)] == rates[:30]


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


def test_deterministic_arithmetic_on_cuda_gets_the_workspace_that_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with reproducible_arithmetic(CPU, deterministic=True):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    cuda = Hardware("cuda", "float32", threads=1, channels_last=False)
    with reproducible_arithmetic(cuda, deterministic=False):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with reproducible_arithmetic(cuda, deterministic=True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with reproducible_arithmetic(cuda, deterministic=True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


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


def test_a_network_that_cannot_be_compiled_is_a_config_error_at_the_first_step(tmp_path: Path) -> None:
    class Refused(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            raise InvalidCxxCompiler

    with pytest.raises(ConfigError, match=r"fit.compile: .*No working C\+\+ compiler.*set fit.compile=false"):
        fit_toy(tmp_path, task=ToyTask(ToyConfig(), network=Refused))


def test_the_greatest_seed_trains_like_any_other(tmp_path: Path) -> None:
    config = f"fit.seed={2**63 - 1}"
    assert weights(fit_toy(tmp_path / "a", config)) == weights(fit_toy(tmp_path / "b", config))


def test_worker_processes_do_not_change_the_weights(tmp_path: Path) -> None:
    none = fit_toy(tmp_path / "a", "fit.workers=0")
    two = fit_toy(tmp_path / "b", "fit.workers=2")
    assert weights(none) == weights(two)
