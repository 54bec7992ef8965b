"""The training loop: seeded, checkpointed, stopped at the first non-finite number."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from vmaf_train.config import (
    OptimiserConfig,
    ScheduleConfig,
    TaskConfig,
    config_differences,
    default_values,
    recorded_config,
)
from vmaf_train.errors import ConfigError, DivergenceError
from vmaf_train.files import write_atomic
from vmaf_train.hardware import Hardware, keep_freed_memory
from vmaf_train.loader import VALIDATION_EPOCH, BatchLoader
from vmaf_train.report import Reporter
from vmaf_train.run_record import EpochRecord, TrainingRecord, finite_or_none
from vmaf_train.task import DataSplits, Samples, Task

__all__ = ["LOOP_REVISION", "FitResult", "fit", "learning_rate", "trainable_parameters", "validate"]

LOOP_REVISION = 1
"""Raised whenever this loop would turn the same config into other weights; resume compares it."""


@dataclass(frozen=True)
class FitResult:
    """The network with the weights of the best epoch, on the CPU in eval mode, and its history."""

    network: nn.Module
    record: TrainingRecord


@dataclass
class _Progress:
    """What a checkpoint holds beside network and optimiser."""

    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def trainable_parameters(network: nn.Module) -> int:
    """Return the number of weights that training changes."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def learning_rate(
    optimiser: OptimiserConfig, schedule: ScheduleConfig, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """Return the rate of the step with index ``step`` (0 is the first of the run)."""
    total = steps_per_epoch * epochs
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return optimiser.lr * (step + 1) / (warmup + 1)
    if schedule.name == "constant":
        return optimiser.lr
    progress = (step - warmup) / max(total - warmup, 1)
    fraction = schedule.final_fraction
    return optimiser.lr * (fraction + (1.0 - fraction) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def _optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    optimiser: torch.optim.Optimizer = kind(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    return optimiser


def _to_device(batch: Tensor, hardware: Hardware) -> Tensor:
    image_like = batch.dim() == 4
    layout = hardware.memory_format if image_like else torch.preserve_format
    return batch.to(hardware.device, non_blocking=True, memory_format=layout)


def _autocast(hardware: Hardware) -> torch.autocast:
    return torch.autocast(
        hardware.device, dtype=torch.bfloat16, enabled=hardware.precision == "bfloat16", cache_enabled=False
    )


def validate(
    network: nn.Module, task: Task, samples: Samples, batch_size: int, hardware: Hardware
) -> dict[str, float]:
    """Return the task's metrics over all ``samples``, each counted once, in the given precision.

    A non-finite output makes every metric NaN: a comparison with NaN is false and would
    otherwise count as an ordinary wrong answer.
    """
    loader = BatchLoader(samples, batch_size, 0, train=False)
    metric = task.metric()
    network.eval()
    finite = True
    with torch.inference_mode():
        for batch, target in loader.epoch(VALIDATION_EPOCH):
            with _autocast(hardware):
                output = network(_to_device(batch, hardware))
            output = output.float()
            finite = finite and bool(torch.isfinite(output).all())
            metric.update(output, target.to(hardware.device))
    computed = {key: float(value) for key, value in metric.compute().items()}
    return computed if finite else dict.fromkeys(computed, math.nan)


def fit(
    task: Task,
    config: TaskConfig,
    splits: DataSplits,
    network: nn.Module,
    hardware: Hardware,
    run_dir: Path,
    reporter: Reporter,
    *,
    resume: bool,
) -> FitResult:
    """Train ``network`` and return it with the weights of its best epoch.

    Writes a checkpoint and ``metrics.jsonl`` into ``run_dir`` after each epoch. With ``resume``
    it goes on after the newest checkpoint there; the result is then the same, byte for byte on
    one CPU, as that of a run without a stop.

    Raises:
        ConfigError: fewer samples than a batch, a checkpoint of another run, or an operation
            that has no deterministic form although the config asks for one.
        DivergenceError: a loss, gradient, weight or metric that is no finite number.
    """
    steps_per_epoch = _checked_steps(config, splits)
    if hardware.device == "cpu":
        keep_freed_memory()
    network = network.to(hardware.device)
    if hardware.channels_last:
        # torch's signature lacks the memory_format form.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = None
    if config.fit.ema_decay:
        multi_avg = get_ema_multi_avg_fn(config.fit.ema_decay)  # type: ignore[no-untyped-call]
        average = AveragedModel(network, multi_avg_fn=multi_avg, use_buffers=True)
    optimiser = _optimiser(config.optimiser, network)
    identity = _identity(config, splits, task)
    progress = _Progress()
    if resume:
        progress = _restore(run_dir, identity, config, network, optimiser, average)
    loader = BatchLoader(
        splits.train,
        config.fit.batch_size,
        config.fit.seed,
        train=True,
        workers=config.fit.workers,
        pin=hardware.device == "cuda",
    )
    step_function = torch.compile(network) if config.fit.compile else network
    primary = task.metric().primary
    reporter.training(config.fit.epochs, steps_per_epoch, config.fit.batch_size, progress.epoch)

    for epoch in range(progress.epoch + 1, config.fit.epochs + 1):
        began = time.perf_counter()
        # Dropout and the like follow (seed, epoch), so that a resumed epoch repeats them.
        torch.manual_seed(config.fit.seed * 1_000_003 + epoch)
        network.train()
        total, rate = 0.0, 0.0
        for index, (batch, target) in enumerate(loader.epoch(epoch)):
            rate = learning_rate(
                config.optimiser, config.schedule, progress.steps, steps_per_epoch, config.fit.epochs
            )
            for group in optimiser.param_groups:
                group["lr"] = rate
            where = f"epoch {epoch} step {index + 1}"
            loss = _step(task, step_function, network, optimiser, batch, target, config, hardware, where)
            if average is not None:
                average.update_parameters(network)
            total += loss
            progress.steps += 1
            reporter.step(epoch, loss)
        trained = time.perf_counter() - began
        _require_finite_weights(network, f"epoch {epoch}")

        chosen = average.module if average is not None else network
        metrics = validate(chosen, task, splits.val, config.fit.batch_size, hardware)
        best = _keep_if_best(progress, chosen, epoch, metrics[primary], primary)
        progress.epoch = epoch
        progress.seconds += time.perf_counter() - began
        progress.history.append(
            EpochRecord(
                epoch=epoch,
                loss=total / steps_per_epoch,
                lr=rate,
                metrics=finite_or_none(metrics),
                seconds=time.perf_counter() - began,
                images_per_second=steps_per_epoch * config.fit.batch_size / trained,
            )
        )
        _save(run_dir, identity, progress, network, optimiser, average)
        reporter.epoch(progress.history[-1], best=best)

    best_network = copy.deepcopy(network).to("cpu")
    best_network.load_state_dict(progress.best_weights)
    record = TrainingRecord(
        parameters=trainable_parameters(network),
        steps=progress.steps,
        best_epoch=progress.best_epoch,
        primary_metric=primary,
        history=tuple(progress.history),
        seconds=progress.seconds,
        resumed_at=tuple(progress.resumed_at),
        byte_reproducible=hardware.device == "cpu" and config.fit.deterministic,
    )
    return FitResult(best_network.eval(), record)


def _checked_steps(config: TaskConfig, splits: DataSplits) -> int:
    train, val, batch = len(splits.train), len(splits.val), config.fit.batch_size
    if train < batch or val < 1:
        raise ConfigError(
            "the data split",
            expected=f"at least {batch} training samples (fit.batch_size) and 1 for validation",
            found=f"{train} for training and {val} for validation",
            next_step="lower fit.batch_size or add data",
        )
    return train // batch


def _step(
    task: Task,
    step_function: Any,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Tensor,
    target: Tensor,
    config: TaskConfig,
    hardware: Hardware,
    where: str,
) -> float:
    target = target.to(hardware.device, non_blocking=True)
    try:
        with _autocast(hardware):
            output = step_function(_to_device(batch, hardware))
        loss = task.loss(output.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise ConfigError(
            "fit.deterministic",
            expected=f"operations with a deterministic form on {hardware.device}",
            found=str(error).split(".")[0],
            next_step="set fit.deterministic=false, or train on the CPU",
        ) from error
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    for name, number in (("loss", loss), ("gradient norm", norm)):
        if not bool(torch.isfinite(number)):
            raise DivergenceError(
                where,
                expected=f"a finite {name}",
                found=str(float(number.detach())),
                next_step="lower optimiser.lr; the last good checkpoint is kept",
            )
    if config.fit.gradient_clip:
        torch.nn.utils.clip_grads_with_norm_(network.parameters(), config.fit.gradient_clip, norm)
    optimiser.step()
    return float(loss.detach())


def _keep_if_best(progress: _Progress, network: nn.Module, epoch: int, value: float, primary: str) -> bool:
    """Copy the weights if ``value`` beats every earlier epoch's; say whether it did."""
    if not math.isfinite(value):
        raise DivergenceError(
            f"epoch {epoch} validation",
            expected=f"a finite {primary}",
            found=str(value),
            next_step="lower optimiser.lr; the last good checkpoint is kept",
        )
    if value <= progress.best_value:
        return False
    progress.best_epoch, progress.best_value = epoch, value
    progress.best_weights = {
        name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()
    }
    return True


def _require_finite_weights(network: nn.Module, where: str) -> None:
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise DivergenceError(
                where,
                expected="finite weights",
                found=f"NaN or infinity in {name}",
                next_step="lower optimiser.lr; the last good checkpoint is kept",
            )


def _identity(config: TaskConfig, splits: DataSplits, task: Task) -> dict[str, Any]:
    """What must be equal for a checkpoint to belong to this run."""
    return {
        "config": recorded_config(config),
        "data_digest": splits.provenance.digest,
        "loop_revision": LOOP_REVISION,
        "torch": torch.__version__,
        "primary_metric": task.metric().primary,
    }


def _save(
    run_dir: Path,
    identity: Mapping[str, Any],
    progress: _Progress,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> None:
    state = {
        "identity": json.dumps(identity, allow_nan=False),
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state_dict() if average is not None else None,
        "steps": progress.steps,
        "seconds": progress.seconds,
        "history": [record.model_dump_json() for record in progress.history],
        "resumed_at": list(progress.resumed_at),
        "best_epoch": progress.best_epoch,
        "best_value": progress.best_value,
        "best_weights": progress.best_weights,
    }
    save_checkpoint(run_dir / "checkpoints", progress.epoch, state)
    lines = "".join(record.model_dump_json() + "\n" for record in progress.history)
    write_atomic(run_dir / "metrics.jsonl", lines)


def _restore(
    run_dir: Path,
    identity: Mapping[str, Any],
    config: TaskConfig,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> _Progress:
    path = latest_checkpoint(run_dir / "checkpoints")
    if path is None:
        return _Progress()
    state = load_checkpoint(path)
    recorded = json.loads(state["identity"])
    differences = config_differences(recorded, identity, {"config": default_values(type(config))})
    if differences:
        raise ConfigError(
            str(path),
            expected="a checkpoint of the same config, data and code",
            found="; ".join(differences),
            next_step="undo the change, or start a new run",
        )
    try:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        if average is not None:
            average.load_state_dict(state["average"])
        progress = _Progress(
            epoch=state["epoch"],
            steps=state["steps"],
            seconds=state["seconds"],
            history=[EpochRecord.model_validate_json(line) for line in state["history"]],
            resumed_at=list(state["resumed_at"]),
            best_epoch=state["best_epoch"],
            best_value=state["best_value"],
            best_weights=state["best_weights"],
        )
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise ConfigError(
            str(path),
            expected="a whole checkpoint of this run",
            found=" ".join(str(error).split())[:200],
            next_step="remove it to go back to the one before, or start a new run",
        ) from error
    return replace(progress, resumed_at=[*progress.resumed_at, progress.epoch])
