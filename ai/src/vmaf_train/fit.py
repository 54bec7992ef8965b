"""The training loop: seeded, checkpointed, stopped at the first non-finite number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vmaf_train.config import TaskConfig
from vmaf_train.errors import DataError, DivergenceError
from vmaf_train.hardware import Hardware
from vmaf_train.interruption import Stopped, StopRequest
from vmaf_train.learner import Learner, best_network, make_learner, trainable_parameters
from vmaf_train.learning_rate import learning_rate
from vmaf_train.loader import BatchLoader, telling_dead_workers
from vmaf_train.optimiser_step import optimiser_step, require_finite_weights
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.report import Reporter
from vmaf_train.run_record import EpochRecord, TrainingRecord, finite_or_none
from vmaf_train.run_start import checked_steps, run_start, say_start
from vmaf_train.task import DataSplits, Task
from vmaf_train.training_state import (
    EpochPosition,
    TrainingState,
    newest_checkpoint,
    restore_state,
    save_state,
)
from vmaf_train.validation import validate

__all__ = ["LOOP_REVISION", "FitResult", "fit"]

LOOP_REVISION = 1
"""Raised, once a version is released, when the same config would become other weights; resume compares it."""


@dataclass(frozen=True)
class FitResult:
    """The network with the weights of the best epoch, on the CPU in eval mode, and its history."""

    network: nn.Module
    record: TrainingRecord


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
    stop: StopRequest | None = None,
    ranks: Ranks = ALONE,
    accepted: Callable[[], None] = lambda: None,
) -> FitResult:
    """Train ``network`` and return it with the weights of its best epoch.

    With ``config.fit.initial`` it begins with the best weights of an earlier run (fine-tuning),
    which the record names.

    Writes a checkpoint and ``metrics.jsonl`` into ``run_dir`` after each epoch, and where ``stop``
    is asked for, after the step then under way. With ``resume`` it goes on after the newest
    checkpoint there; the result is then the same, byte for byte on one CPU, as that of a run
    without a stop. ``accepted`` is called when nothing speaks against that, before the first step.

    Where ``ranks`` are several processes, each learns from its part of every batch, and the sums
    are those of one process but for rounding; only dropout draws otherwise. The leading one writes.

    Raises:
        ConfigError: fewer samples than a batch, fewer in a batch than processes, a checkpoint of
            another run, initial weights that do not fit, or an operation that has no deterministic
            form although the config asks for one.
        DataError: a sample cannot be read any more, or a worker process died.
        DivergenceError: a loss, gradient, weight or metric that is no finite number.
        Stopped: a stop was asked for; the checkpoint is written.
    """
    stop = stop or StopRequest()
    steps_per_epoch = checked_steps(config, splits)
    stands = newest_checkpoint(run_dir, ranks) if resume else None
    start = run_start(task, config, splits, network, hardware, ranks, stands, LOOP_REVISION)
    learner = make_learner(network, config, hardware, ranks)
    network, identity = learner.network, start.identity
    state = restore_state(*stands, identity, config, learner) if stands else TrainingState()
    accepted()
    loader = BatchLoader(
        splits.train,
        config.fit.batch_size,
        config.fit.seed,
        train=True,
        workers=config.fit.workers,
        pin=hardware.device == "cuda",
        ranks=ranks,
    )
    shared = ranks.parallel(network)
    step: Callable[[Tensor], Tensor] = torch.compile(shared) if config.fit.compile else shared
    say_start(reporter, start, state, config.fit.epochs, run_dir, resume=resume)
    reporter.training(config.fit.epochs, steps_per_epoch, config.fit.batch_size, state.steps)
    run = _Run(
        task, config, splits, hardware, run_dir, reporter, stop, ranks, learner, identity, state, loader, step
    )
    # A process that stopped where the others do not would leave them waiting for it.
    with telling_dead_workers(), nullcontext() if ranks.alone else stop.held_back():
        for epoch in range(state.epoch + 1, config.fit.epochs + 1):
            _epoch(run, epoch)

    training = TrainingRecord(
        parameters=trainable_parameters(network),
        steps=state.steps,
        best_epoch=state.best_epoch,
        primary_metric=task.metric().primary,
        history=tuple(state.history),
        seconds=state.seconds,
        resumed_at=tuple(state.resumed_at),
        initial=start.initial,
        parts=start.parts,
        byte_reproducible=start.byte_reproducible,
    )
    return FitResult(best_network(network, state.best_weights), training)


@dataclass(frozen=True)
class _Run:
    """What each epoch of a run is given."""

    task: Task
    config: TaskConfig
    splits: DataSplits
    hardware: Hardware
    run_dir: Path
    reporter: Reporter
    stop: StopRequest
    ranks: Ranks
    learner: Learner
    identity: dict[str, Any]
    state: TrainingState
    loader: BatchLoader
    step_function: Callable[[Tensor], Tensor]

    def rate(self, step: int) -> float:
        """The learning rate of a step of the run."""
        config = self.config
        return learning_rate(config.optimiser, config.schedule, step, len(self.loader), config.fit.epochs)


def _epoch(run: _Run, epoch: int) -> None:
    """Train one epoch, or what a stop left of it, judge it and keep it."""
    state, stop, position = run.state, run.stop, run.state.position
    # What was done of this epoch before a stop counts as if it were done now.
    began = time.perf_counter() - position.seconds
    try:
        with telling_dead_workers():
            with stop.held_back():
                _steps(run, epoch)
            batch_size = run.config.fit.batch_size
            metrics = validate(
                run.learner.chosen, run.task, run.splits.val, batch_size, run.hardware, run.ranks
            )
            with stop.held_back():
                _keep(run, epoch, metrics, began)
                if run.ranks.stop_asked(stop):
                    stop.obey()
    except DataError:
        # Whoever ends a run may end its workers in the same breath; the last checkpoint stays.
        stop.obey()
        raise
    except Stopped:
        if state.epoch < epoch:
            position.seconds = time.perf_counter() - began
            save_state(run.run_dir, run.identity, state, run.learner, run.ranks)
        raise


def _steps(run: _Run, epoch: int) -> None:
    """Take the steps that are left of the epoch, up to one after which a stop was asked for."""
    state, learner, position = run.state, run.learner, run.state.position
    began = time.perf_counter()
    _begin_random(run.config.fit.seed, epoch, position, run.ranks)
    learner.network.train()
    asked = False
    for batch, target in run.loader.epoch(epoch, position.step):
        for group in learner.optimiser.param_groups:
            group["lr"] = run.rate(state.steps)
        where = f"epoch {epoch} step {position.step + 1}"
        loss = optimiser_step(
            run.task,
            run.step_function,
            learner,
            batch,
            target,
            run.config,
            run.hardware,
            run.ranks,
            where,
        )
        position.loss_total += loss
        position.step += 1
        state.steps += 1
        run.reporter.step(epoch, loss)
        if asked := run.ranks.stop_asked(run.stop):
            break
    position.random = _random(run.hardware)
    position.trained += time.perf_counter() - began
    require_finite_weights(learner.network, f"epoch {epoch} step {position.step}")
    if asked:
        run.stop.obey()


def _keep(run: _Run, epoch: int, metrics: Mapping[str, float], began: float) -> None:
    """Enter the whole epoch into the run's state, and write its checkpoint."""
    state, steps, batch_size = run.state, len(run.loader), run.config.fit.batch_size
    primary = run.task.metric().primary
    best = _keep_if_best(state, run.learner.chosen, epoch, metrics[primary], primary)
    seconds = time.perf_counter() - began
    record = EpochRecord(
        epoch=epoch,
        loss=state.position.loss_total / steps,
        lr=run.rate(state.steps - 1),
        metrics=finite_or_none(metrics),
        seconds=seconds,
        images_per_second=steps * batch_size / state.position.trained,
    )
    state.epoch, state.position = epoch, EpochPosition()
    state.seconds += seconds
    state.history.append(record)
    save_state(run.run_dir, run.identity, state, run.learner, run.ranks)
    run.reporter.epoch(record, best=best)


def _begin_random(seed: int, epoch: int, position: EpochPosition, ranks: Ranks) -> None:
    """Let dropout and the like follow (seed, epoch), so that a resumed epoch repeats them."""
    torch.manual_seed((seed * 1_000_003 + epoch) % 2**64)
    for restore, state in zip((torch.set_rng_state, torch.cuda.set_rng_state), position.random, strict=False):
        restore(state)
    if not ranks.leads:
        # A following process must not repeat the leading one's draws. The trailing constant keeps
        # this stream apart from those of the samples and of their order.
        draws = np.random.default_rng((seed, epoch, position.step, ranks.rank, 2))
        torch.manual_seed(int(draws.integers(2**63)))


def _random(hardware: Hardware) -> list[Tensor]:
    """The states of torch's generators, the CPU's first."""
    return [torch.get_rng_state()] + ([torch.cuda.get_rng_state()] if hardware.device == "cuda" else [])


def _keep_if_best(state: TrainingState, network: nn.Module, epoch: int, value: float, primary: str) -> bool:
    """Copy the weights if ``value`` beats every earlier epoch's; say whether it did."""
    if not math.isfinite(value):
        raise DivergenceError(
            f"epoch {epoch} validation",
            expected=f"a finite {primary}",
            found=str(value),
            next_step="lower optimiser.lr; the last good checkpoint is kept",
        )
    if value <= state.best_value:
        return False
    state.best_epoch, state.best_value = epoch, value
    state.best_weights = {
        name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()
    }
    return True
