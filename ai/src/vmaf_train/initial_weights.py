"""The weights that a run begins with where they come from an earlier run."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vmaf_train.checkpoint import latest_checkpoint, read_checkpoint
from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.ranks import ALONE, Ranks
from vmaf_train.run_record import DataRecord, InitialRecord

__all__ = ["begin_from", "initial_checkpoint", "initial_of_checkpoint", "load_initial_weights"]

_LONGEST_CHAIN = 16
"""Runs that lead to one: each nests in the next one's record, and a loader reads 32 levels."""


def initial_checkpoint(source: Path) -> Path:
    """Return the checkpoint that ``source`` names: itself, or the newest one of a run folder.

    Raises:
        ConfigError: there is none.
    """
    found = None
    with contextlib.suppress(OSError):  # a name that no file can have
        found = latest_checkpoint(source / "checkpoints") if source.is_dir() else source
        found = found if found is not None and found.is_file() else None
    if found is None:
        raise ConfigError(
            f"fit.initial {source}",
            expected="a checkpoint, or the folder of a run that holds one",
            found="none",
            next_step="give the run folder or the .pt file of an earlier run",
        )
    return found


def load_initial_weights(source: Path, network: nn.Module, config_type: type[TaskConfig]) -> InitialRecord:
    """Put the best weights of an earlier run into ``network``; return what its checkpoint tells of it.

    Args:
        source: a checkpoint, or the folder of a run, whose newest one is taken.
        network: one of the same shapes; its buffers are taken over too.
        config_type: what the configs of the earlier runs must be.

    Raises:
        ConfigError: there is no whole epoch to begin with, the weights are another network's, or
            the checkpoint is of another task.
    """
    path = initial_checkpoint(source)
    values, sha256 = read_checkpoint(path)
    _take(path, values, network)
    return _told(path, values, sha256, config_type)


def begin_from(
    source: Path | None,
    network: nn.Module,
    config_type: type[TaskConfig],
    data: DataRecord,
    ranks: Ranks = ALONE,
) -> InitialRecord | None:
    """Put the best weights of an earlier run into ``network``, and return where they come from.

    The leading process reads them for all.

    Args:
        source: as for :func:`load_initial_weights`; None leaves the network as it is.
        network: what is to be trained on.
        config_type: the type of this run's config.
        data: what this run learns from and holds out.
        ranks: the run's processes.

    Raises:
        ConfigError: the weights cannot be taken, or an earlier run of the chain trained on samples
            that this one holds out: every figure on its card would then be too good.
    """
    if source is None:
        return None
    path = initial_checkpoint(source) if ranks.leads else source
    values, sha256 = ranks.broadcast(read_checkpoint(path) if ranks.leads else ({}, ""))
    _take(path, values, network)
    return _judged(path, _told(path, values, sha256, config_type), data)


def initial_of_checkpoint(path: Path, values: Mapping[str, Any], source: Path | None) -> InitialRecord | None:
    """Return what a run that goes on at its own checkpoint began with.

    The weights are in that checkpoint, so ``source`` is not needed any more. A file that is given
    must still be the one; a run folder may have gone on since.

    Raises:
        ConfigError: the run began otherwise.

    A damaged checkpoint is not told here, but by whoever restores it.
    """
    try:
        told = json.loads(values["identity"]).get("initial")
        recorded = InitialRecord.model_validate(told) if told is not None else None
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # whoever reads the checkpoint next says what is wrong with it
    given = None
    with contextlib.suppress(OSError):
        given = sha256_file(source) if source is not None and source.is_file() else None
    known = recorded.checkpoint_sha256 if recorded is not None else None
    if (given is not None and given != known) or (source is not None and known is None):
        raise ConfigError(
            str(path),
            expected=f"fit.initial as the run began, SHA-256 {known}" if known else "no fit.initial",
            found=f"SHA-256 {given}" if given is not None else str(source),
            next_step="undo the change, or start a new run",
        )
    return recorded


def _take(path: Path, values: Mapping[str, Any], network: nn.Module) -> None:
    weights = values.get("best_weights")
    if not isinstance(weights, dict) or not weights:
        raise _unfit(path, "the best weights of at least one whole epoch", "none")
    if difference := _difference(network.state_dict(), weights):
        raise _unfit(path, "the weights of the configured network", difference)
    network.load_state_dict(weights)


def _told(path: Path, values: Mapping[str, Any], sha256: str, config_type: type[TaskConfig]) -> InitialRecord:
    try:
        identity = json.loads(values["identity"])
        if not math.isfinite(values["best_value"]):
            raise ValueError(f"a best value of {values['best_value']}")
        facts = identity.get("facts", {})
        config = config_type.model_validate(identity["config"])
        record = InitialRecord(
            id=config.id,
            checkpoint_sha256=sha256,
            config=identity["config"],
            data_digest=identity["data_digest"],
            held_out_names=facts.get("held_out"),
            data_folders=facts.get("data_folders"),
            epochs=values["epoch"],
            best_epoch=values["best_epoch"],
            metric=identity["primary_metric"],
            value=values["best_value"],
            seconds=values["seconds"],
            environment=facts.get("environment"),
            parts=facts.get("earlier", ()),
            byte_reproducible=facts.get("byte_reproducible", False) and values["epoch"] == config.fit.epochs,
            held_out="unknown",
            initial=identity.get("initial"),
        )
        if len(record.chain) > _LONGEST_CHAIN:
            raise _unfit(path, f"a chain of at most {_LONGEST_CHAIN} runs", f"{len(record.chain)}")
        for earlier in record.chain[1:]:
            config_type.model_validate(earlier.config)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _unfit(path, "a whole checkpoint of this task", " ".join(str(error).split())[:200]) from error
    return record


def _judged(path: Path, record: InitialRecord, data: DataRecord) -> InitialRecord:
    """Say of each run of the chain whether it held out what ``data`` holds out; refuse a known leak."""
    judged: InitialRecord | None = None
    for run in reversed(record.chain):
        known = run.data_digest == data.digest and None not in (run.held_out_names, data.held_out)
        if known and run.held_out_names != data.held_out:
            raise _unfit(
                path,
                "weights that were trained on none of the samples held out here",
                f"a run, {run.id}, on the same data that held out others",
            )
        judged = run.model_copy(update={"held_out": "same" if known else "unknown", "initial": judged})
    assert judged is not None
    return judged


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
