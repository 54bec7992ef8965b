"""What a checkpoint holds: enough to go on as if the run had never stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from vmaf_train.code_versions import code_versions
from vmaf_train.config import ScheduleConfig, TaskConfig
from vmaf_train.config_files import default_values
from vmaf_train.config_record import config_differences, recorded_config
from vmaf_train.errors import ConfigError
from vmaf_train.files import write_atomic
from vmaf_train.learner import Learner
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.run_record import EnvironmentRecord, EpochRecord, InitialRecord, TrainingPart
from vmaf_train.task import DataSplits, Task, data_folders

__all__ = [
    "EpochPosition",
    "TrainingState",
    "carried_claims",
    "compared",
    "newest_checkpoint",
    "require_one_run",
    "restore_state",
    "run_identity",
    "save_state",
]


@dataclass
class EpochPosition:
    """How far the epoch after the last whole one is.

    Attributes:
        step: optimiser steps taken in it.
        loss_total: sum of their losses.
        seconds: wall time spent in it.
        trained: how much of it was spent in its steps.
        random: states of torch's generators after the last step, the CPU's first; none at its start.
    """

    step: int = 0
    loss_total: float = 0.0
    seconds: float = 0.0
    trained: float = 0.0
    random: list[Tensor] = field(default_factory=list)


@dataclass
class TrainingState:
    """What a run has come to, beside network and optimiser.

    Attributes:
        epoch: whole epochs, validation included.
        steps: optimiser steps of the run.
        seconds: wall time of the whole epochs.
        history: a record for each of them.
        resumed_at: whole epochs at each resumption.
        best_epoch: the epoch of the best metric; None before the first.
        best_value: its primary metric.
        best_weights: its weights, on the CPU.
        position: how far the next epoch is.
    """

    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    position: EpochPosition = field(default_factory=EpochPosition)


def run_identity(
    config: TaskConfig,
    splits: DataSplits,
    task: Task,
    loop_revision: int,
    initial: InitialRecord | None = None,
    environment: EnvironmentRecord | None = None,
    *,
    parts: Sequence[TrainingPart] = (),
    byte_reproducible: bool = False,
) -> dict[str, Any]:
    """Return what a run is: what must be equal for a checkpoint to belong to it, and what it tells of it.

    ``initial`` and ``facts`` are told to whoever begins with its weights or goes on with it. Of them
    only the names of the held-out samples are compared.
    """
    return {
        "config": recorded_config(config),
        "data_digest": splits.provenance.digest,
        "loop_revision": loop_revision,
        "torch": torch.__version__,
        "code": code_versions(task),
        "primary_metric": task.metric().primary,
        "initial": initial.model_dump(mode="json") if initial is not None else None,
        "facts": {
            "held_out": splits.provenance.held_out,
            "data_folders": len(data_folders(config)),
            "environment": environment.model_dump(mode="json") if environment is not None else None,
            "earlier": [part.model_dump(mode="json") for part in parts],
            "byte_reproducible": byte_reproducible,
        },
    }


def compared(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an identity that all processes and checkpoints of a run share."""
    shared = {key: value for key, value in identity.items() if key not in {"initial", "facts"}}
    held_out = identity.get("facts", {}).get("held_out")
    return shared if held_out is None else {**shared, "held_out": held_out}


def carried_claims(
    path: Path, values: Mapping[str, Any], environment: EnvironmentRecord
) -> tuple[bool, tuple[TrainingPart, ...], bool]:
    """Return what a run that goes on in ``environment`` may still claim of what its checkpoint holds.

    Returns:
        Whether its steps would come out as the same bytes there, the parts that were made elsewhere,
        and whether the last of them ends at the checkpoint.

    Raises:
        ConfigError: the checkpoint is damaged.
    """
    try:
        facts = json.loads(values["identity"]).get("facts", {})
        parts = tuple(TrainingPart.model_validate(part) for part in facts.get("earlier", ()))
        told = facts.get("environment")
        before = EnvironmentRecord.model_validate(told) if told is not None else None
        if environment.same_as(before):
            return facts.get("byte_reproducible") is True, parts, False
        step = values.get("position", {}).get("step", 0)
        part = TrainingPart(epochs=values["epoch"], step=step, environment=before)
        return False, (*parts, part), True
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _not_whole(path, error) from error


def require_one_run(ranks: Ranks, config: TaskConfig, task: Task, identity: dict[str, Any]) -> None:
    """Refuse processes that cannot share a run: other data or versions, no sample, no way to merge.

    Raises:
        ConfigError: as the line says.
    """
    if ranks.alone:
        return
    first, *others = ranks.gather(identity)
    differing = [text for other in others for text in config_differences(first, other, {})]
    for thing, expected, wrong, next_step in (
        (
            "the processes of the run",
            "one config, data set and version",
            "; ".join(differing),
            "give all the same",
        ),
        (
            "fit.batch_size",
            f"at least {ranks.size}, one sample for each process",
            str(config.fit.batch_size) if config.fit.batch_size < ranks.size else "",
            "raise it or start fewer processes",
        ),
        (
            "the task's metric",
            "a method merge for a run of several processes",
            "" if hasattr(task.metric(), "merge") else "none",
            "add it, see docs/ai/scaling.md, or train in one process",
        ),
    ):
        if wrong:
            raise ConfigError(thing, expected=expected, found=wrong, next_step=next_step)


def save_state(
    run_dir: Path, identity: Mapping[str, Any], state: TrainingState, learner: Learner, ranks: Ranks = ALONE
) -> None:
    """Write a checkpoint, and a line of ``metrics.jsonl`` for each whole epoch, into the run folder.

    Only the leading process writes: the others hold the same.

    Raises:
        PublishError: the folder cannot be written; earlier checkpoints stay as they are.
    """
    if not ranks.leads:
        return
    position = state.position
    values = {
        "identity": json.dumps(identity, allow_nan=False),
        "network": learner.network.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
        "average": learner.average.state_dict() if learner.average is not None else None,
        "steps": state.steps,
        "seconds": state.seconds,
        "history": [record.model_dump_json() for record in state.history],
        "resumed_at": list(state.resumed_at),
        "best_epoch": state.best_epoch,
        "best_value": state.best_value,
        "best_weights": state.best_weights,
        "position": {
            "step": position.step,
            "loss_total": position.loss_total,
            "seconds": position.seconds,
            "trained": position.trained,
            "random": list(position.random),
        },
    }
    save_checkpoint(run_dir / "checkpoints", state.epoch, values, step=position.step)
    lines = "".join(record.model_dump_json() + "\n" for record in state.history)
    write_atomic(run_dir / "metrics.jsonl", lines)


def newest_checkpoint(run_dir: Path, ranks: Ranks = ALONE) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest checkpoint of a run and what it holds, None where there is none yet.

    The leading process reads it for all; their number need not be that of the run before.

    Raises:
        ConfigError: it is damaged.
    """
    found = latest_checkpoint(run_dir / "checkpoints") if ranks.leads else None
    return ranks.broadcast((found, load_checkpoint(found)) if found is not None else None)


def restore_state(
    path: Path, values: Mapping[str, Any], identity: Mapping[str, Any], config: TaskConfig, learner: Learner
) -> TrainingState:
    """Put a run's checkpoint into ``learner`` and return the state beside it.

    Args:
        path: the checkpoint, for messages.
        values: what it holds.
        identity: what the run is now.
        config: its config.
        learner: as it was built.

    Raises:
        ConfigError: the checkpoint is damaged, or of another config, data or code.
    """
    try:
        now = compared(identity)
        recorded = compared(_lengthened(json.loads(values["identity"]), identity))
        if "held_out" not in now:
            recorded.pop("held_out", None)
        # What an older checkpoint does not know of cannot be held against it.
        known: dict[str, Any] = {key: now[key] for key in ("code", "held_out") if key in now}
        if config.fit.other_torch:
            known["torch"] = recorded["torch"] = now["torch"]
        defaults = {**known, "config": default_values(type(config))}
        differences = config_differences(recorded, now, defaults)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _not_whole(path, error) from error
    if differences:
        raise ConfigError(
            str(path),
            expected="a checkpoint of the same config, data and code",
            found="; ".join(differences),
            next_step="undo the change, or start a new run; more epochs need schedule.restarts "
            "where this one ends, another torch needs fit.other_torch=true",
        )
    try:
        learner.network.load_state_dict(values["network"])
        learner.optimiser.load_state_dict(values["optimiser"])
        if learner.average is not None:
            learner.average.load_state_dict(values["average"])
        state = TrainingState(
            epoch=values["epoch"],
            steps=values["steps"],
            seconds=values["seconds"],
            history=[EpochRecord.model_validate_json(line) for line in values["history"]],
            resumed_at=list(values["resumed_at"]),
            best_epoch=values["best_epoch"],
            best_value=values["best_value"],
            best_weights=values["best_weights"],
            position=_position(values.get("position", {})),
        )
        _check_types(state, learner)
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise _not_whole(path, error) from error
    goes_on = state.epoch < config.fit.epochs
    return replace(state, resumed_at=[*state.resumed_at, state.epoch]) if goes_on else state


def _position(kept: dict[str, Any]) -> EpochPosition:
    """Return a checkpoint's position; an older one tells less, the oldest nothing."""
    return EpochPosition(**{"trained": kept.get("seconds", 0.0), **kept})


def _lengthened(recorded: dict[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``recorded`` at the length of ``identity`` where that begins as it was to go.

    No step before a restart depends on what comes after it, so the checkpoint is one of both runs.
    """
    before, after = recorded["config"], identity["config"]
    was, now = (
        ScheduleConfig.model_validate(config.get("schedule", {})).ends(config["fit"]["epochs"])
        for config in (before, after)
    )
    if len(now) <= len(was) or now[: len(was)] != was:
        return recorded
    fit = {**before["fit"], "epochs": after["fit"]["epochs"]}
    schedule = {**before.get("schedule", {}), "restarts": after["schedule"]["restarts"]}
    return {**recorded, "config": {**before, "fit": fit, "schedule": schedule}}


def _not_whole(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        str(path),
        expected="a whole checkpoint of this run",
        found=(" ".join(str(error).split()) or type(error).__name__)[:200],
        next_step="remove it to go back to the one before, or start a new run",
    )


def _check_types(state: TrainingState, learner: Learner) -> None:
    """Refuse, before the first step, what would end the run after its last one."""
    position = state.position
    counts = (state.epoch, state.steps, position.step, *state.resumed_at)
    floats = (state.seconds, state.best_value, position.loss_total, position.seconds, position.trained)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError("a count that is no whole number from 0 up")
    if not all(type(number) is float for number in floats):
        raise TypeError("a number that is none")
    if len(state.history) != state.epoch:
        raise TypeError("a history of other epochs")
    _check_random(position.random)
    shapes = {name: tensor.shape for name, tensor in learner.network.state_dict().items()}
    best = {name: tensor.shape for name, tensor in state.best_weights.items()}
    if state.epoch and (best != shapes or state.best_epoch not in range(1, state.epoch + 1)):
        raise TypeError("best weights that are not this network's")
    for weight, moments in learner.optimiser.state.items():
        found = {name: getattr(moment, "shape", None) for name, moment in moments.items()}
        if found != {"step": torch.Size(), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}:
            raise TypeError("moments of the optimiser that are not this network's")


def _check_random(states: list[Tensor]) -> None:
    """Refuse what torch's generators, the CPU's and a GPU's, would not take."""
    if len(states) > 2 or not all(isinstance(state, Tensor) for state in states):
        raise TypeError("a random state that is no tensor")
    for device, state in zip(("cpu", "cuda"), states, strict=False):
        if device == "cpu" or torch.cuda.is_available():
            torch.Generator(device).set_state(state)
