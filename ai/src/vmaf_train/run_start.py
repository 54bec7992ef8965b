"""What a run begins or goes on with: weights, the claims that its record may make, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError
from vmaf_train.hardware import Hardware, environment_record
from vmaf_train.initial_weights import begin_from, initial_of_checkpoint
from vmaf_train.ranks import Ranks
from vmaf_train.report import Reporter
from vmaf_train.run_record import EnvironmentRecord, InitialRecord, TrainingPart
from vmaf_train.task import DataSplits, Task
from vmaf_train.training_state import (
    TrainingState,
    carried_claims,
    compared,
    require_one_run,
    run_identity,
)

__all__ = ["RunStart", "checked_steps", "run_start", "say_start"]


def checked_steps(config: TaskConfig, splits: DataSplits) -> int:
    """Return the steps of an epoch.

    Raises:
        ConfigError: fewer training samples than a batch, or none held out.
    """
    train, val, batch = len(splits.train), len(splits.val), config.fit.batch_size
    if train < batch or val < 1:
        raise ConfigError(
            "the data split",
            expected=f"at least {batch} training samples (fit.batch_size) and 1 for validation",
            found=f"{train} for training and {val} for validation",
            next_step="lower fit.batch_size or add data",
        )
    return train // batch


@dataclass(frozen=True)
class RunStart:
    """What a run is, and where its weights were made so far.

    Attributes:
        initial: the earlier run whose weights it began with.
        parts: what of it was trained in another environment.
        environment: where it is trained from here on.
        byte_reproducible: whether the whole run would come out as the same bytes there.
        identity: what its checkpoints tell of it.
        moved: whether its newest checkpoint was made in another environment.
    """

    initial: InitialRecord | None
    parts: tuple[TrainingPart, ...]
    environment: EnvironmentRecord
    byte_reproducible: bool
    identity: dict[str, Any]
    moved: bool


def run_start(
    task: Task,
    config: TaskConfig,
    splits: DataSplits,
    network: nn.Module,
    hardware: Hardware,
    ranks: Ranks,
    stands: tuple[Path, dict[str, Any]] | None,
    loop_revision: int,
) -> RunStart:
    """Put the configured initial weights into a new run's ``network``, and say what the run is.

    Args:
        task: what is trained.
        config: its config.
        splits: its data.
        network: as it was built; a run that goes on leaves it so.
        hardware: where it is trained.
        ranks: the run's processes.
        stands: the newest checkpoint and what it holds; None for a new run.
        loop_revision: the loop's.

    Raises:
        ConfigError: initial weights that do not fit, a damaged checkpoint, or processes that cannot
            share a run.
    """
    environment = environment_record(hardware, ranks.size)
    repeats, moved = True, False
    parts: tuple[TrainingPart, ...] = ()
    if stands is None:
        initial = begin_from(config.fit.initial, network, type(config), splits.provenance, ranks)
    else:
        initial = initial_of_checkpoint(*stands, config.fit.initial)
        repeats, parts, moved = carried_claims(*stands, environment)
    # Those of earlier runs are part of what would have to be repeated.
    alike = initial is None or (initial.byte_reproducible and environment.same_as(initial.environment))
    repeats = repeats and alike and hardware.device == "cpu" and config.fit.deterministic and ranks.alone
    identity = run_identity(
        config, splits, task, loop_revision, initial, environment, parts=parts, byte_reproducible=repeats
    )
    require_one_run(ranks, config, task, compared(identity))
    return RunStart(initial, parts, environment, repeats, identity, moved)


def say_start(
    reporter: Reporter, start: RunStart, state: TrainingState, epochs: int, run_dir: Path, *, resume: bool
) -> None:
    """Say what the run begins or goes on with.

    Args:
        reporter: told.
        start: what :func:`run_start` returned.
        state: what the run has come to.
        epochs: how many it is to have.
        run_dir: its folder.
        resume: whether it was to go on.
    """
    if resume and not state.steps:
        reporter.stage(f"fit: nothing to go on with in {run_dir}, starts anew")
    elif state.epoch >= epochs:
        reporter.stage(f"fit: all {state.epoch} epochs are done")
    elif state.steps:
        step = f", step {state.position.step}" if state.position.step else ""
        reporter.stage(f"fit: goes on after epoch {state.epoch}{step}")
    if start.moved:
        where = _moved(start.parts[-1].environment, start.environment)
        reporter.stage(f"fit: {where}; the record says so, and equal bytes are not promised")
    if start.initial is not None:
        initial = start.initial
        sure = "the same samples held out" if initial.held_out == "same" else "NOT known what it held out"
        reporter.stage(
            f"fit: began with epoch {initial.best_epoch} of {initial.id}, "
            f"{initial.metric} {initial.value:.4f}, {sure}"
        )


def _moved(before: EnvironmentRecord | None, now: EnvironmentRecord) -> str:
    if before is None:
        return "where it was trained before is not recorded"
    old, new = before.model_dump(), now.model_dump()
    changes = ", ".join(f"{name} {old[name]} -> {new[name]}" for name in new if old[name] != new[name])
    return f"was trained in another environment before ({changes})"
