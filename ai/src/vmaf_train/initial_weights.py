"""The weights that a run begins with where they come from an earlier run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.run_record import InitialRecord
from vmaf_train.task import SplittingTask, Task

__all__ = ["begin_from", "load_initial_weights"]


def load_initial_weights(source: Path, network: nn.Module) -> tuple[Path, dict[str, Any]]:
    """Put the best weights of an earlier run into ``network``; return its checkpoint and what that holds.

    Args:
        source: a checkpoint, or the folder of a run, whose newest one is taken.
        network: one of the same shapes; its buffers are taken over too.

    Raises:
        ConfigError: there is no whole epoch to begin with, or the weights are another network's.
    """
    path = latest_checkpoint(source / "checkpoints") if source.is_dir() else source
    if path is None or not path.is_file():
        raise ConfigError(
            f"fit.initial {source}",
            expected="a checkpoint, or the folder of a run that holds one",
            found="none",
            next_step="give the run folder or the .pt file of an earlier run",
        )
    values = load_checkpoint(path)
    weights = values.get("best_weights")
    if not isinstance(weights, dict) or not weights:
        raise _unfit(path, "the best weights of at least one whole epoch", "none")
    if difference := _difference(network.state_dict(), weights):
        raise _unfit(path, "the weights of the configured network", difference)
    network.load_state_dict(weights)
    return path, values


def begin_from(source: Path | None, network: nn.Module, task: Task, data_digest: str) -> InitialRecord | None:
    """Put the best weights of an earlier run into ``network``, and return where they come from.

    Args:
        source: as for :func:`load_initial_weights`; None leaves the network as it is.
        network: what is to be trained on.
        task: the task of this run.
        data_digest: the digest of this run's samples.

    Raises:
        ConfigError: the weights cannot be taken, or the earlier run trained on samples of the same
            data that this one holds out: every figure on its card would then be too good.
    """
    if source is None:
        return None
    path, values = load_initial_weights(source, network)
    try:
        record = _record(path, values)
    except (KeyError, ValueError, TypeError, ValidationError) as error:
        raise _unfit(path, "a whole checkpoint", " ".join(str(error).split())[:200]) from error
    if record.data_digest != data_digest or not isinstance(task, SplittingTask):
        return record
    if not task.holds_out_as(record.config):
        raise _unfit(
            path,
            "weights that were trained on none of the samples held out here",
            "a run on the same data that held out others",
        )
    return record.model_copy(update={"held_out": "same"})


def _record(path: Path, values: Mapping[str, Any]) -> InitialRecord:
    identity = json.loads(values["identity"])
    if not math.isfinite(values["best_value"]):
        raise ValueError(f"a best value of {values['best_value']}")
    return InitialRecord(
        id=identity["config"]["id"],
        checkpoint_sha256=sha256_file(path),
        config=identity["config"],
        data_digest=identity["data_digest"],
        epochs=values["epoch"],
        best_epoch=values["best_epoch"],
        metric=identity["primary_metric"],
        value=values["best_value"],
        seconds=values["seconds"],
        held_out="unknown",
        initial=identity.get("initial"),
    )


def _difference(wanted: Mapping[str, Tensor], found: Mapping[str, Any]) -> str:
    """Say where two sets of weights differ first in name or shape; nothing where they do not."""
    for name in (*wanted, *found):
        sides = [
            f"{tuple(tensor.shape)}" if isinstance(tensor := side.get(name), Tensor) else "none"
            for side in (wanted, found)
        ]
        if sides[0] != sides[1]:
            return f"{name} of shape {sides[1]} instead of {sides[0]}"
    return ""


def _unfit(path: Path, expected: str, found: str) -> ConfigError:
    return ConfigError(
        f"fit.initial {path}",
        expected=expected,
        found=found,
        next_step="give a checkpoint of such a run, or leave fit.initial out",
    )
