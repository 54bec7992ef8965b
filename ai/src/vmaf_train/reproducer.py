"""The commands that repeat a run, derived from its config and those of the runs before it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from vmaf_train.config import TaskConfig
from vmaf_train.config_files import (
    config_changes,
    find_config_file,
    load_config,
    load_config_values,
    shipped_config_names,
)
from vmaf_train.errors import ConfigError
from vmaf_train.run_paths import default_config
from vmaf_train.run_record import DataRecord, InitialRecord
from vmaf_train.task import TaskPlugin, data_folders

__all__ = ["reproducer_command"]

_Runs = Sequence[InitialRecord]


def reproducer_command(
    plugin: TaskPlugin[Any], config: TaskConfig, data: DataRecord | None = None, earlier: _Runs = ()
) -> str:
    """Return ``vmaf-train run ...`` with the nearest shipped config and every difference from it.

    A run that began with the weights of an earlier one has a line for each run, the earliest first.
    No path of this machine is in them: data folders stand as ``DIR``, ``DIR2`` and so on, those of an
    earlier run on other data as ``RUN1DATA``, ``RUN1DATA2``, and what that run writes goes to ``RUN1``
    and beside it. A model that is no smoke model goes to ``NEWMODEL``, not over the one that ships.

    Args:
        plugin: the task.
        config: the run's config.
        data: what it learned from; None where that does not matter.
        earlier: the runs that led to it, the latest first.
    """
    lines = []
    ours = _folders(config)
    for number, run in enumerate(reversed(earlier), start=1):
        same = data is not None and run.data_digest == data.digest
        count = len(ours) if same or run.data_folders is None else run.data_folders
        places = ours if same else _places(f"RUN{number}DATA", count)
        words = _run_words(plugin, type(config).model_validate(run.config), places)
        words += _begun(number)
        # Apart from the shipped models: the last run may publish under the very same id.
        words += ["--run-dir", f"RUN{number}", "--model-dir", f"RUN{number}MODEL"]
        lines.append([*words, "--docs-dir", f"RUN{number}DOCS"])
    apart = [] if config.smoke else ["--model-dir", "NEWMODEL", "--docs-dir", "NEWDOCS"]
    lines.append([*_run_words(plugin, config, ours), *_begun(len(lines) + 1), *apart])
    return "\n".join(shlex.join(words) for words in lines)


def _begun(number: int) -> list[str]:
    return ["--set", f"fit.initial=RUN{number - 1}"] if number > 1 else []


def _folders(config: TaskConfig) -> tuple[str, ...]:
    return _places("DIR", len(data_folders(config)))


def _places(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{number if number > 1 else ''}" for number in range(1, count + 1))


def _run_words(plugin: TaskPlugin[Any], config: TaskConfig, folders: Sequence[str]) -> list[str]:
    candidates = []
    for name, file in _starts(plugin, folders):
        values = load_config_values(find_config_file(file)) if file else {}
        candidates.append((name, config_changes(type(config), values, config)))
    name, changes = min(candidates, key=lambda item: len(item[1]))
    words = ["vmaf-train", "run", plugin.name]
    if name:
        words += ["--config", name]
    for key, value in changes.items():
        words += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
    if folders[1:]:
        words += ["--set", f"data.extra_roots=[{', '.join(folders[1:])}]"]
    if folders:
        words += ["--data", folders[0]]
    return words


def _starts(plugin: TaskPlugin[Any], folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what ``--config`` may say, and the config that the command then begins with.

    A file that does not ship has a path of this machine, so it can only be the one that is meant
    where ``--config`` is left out.
    """
    shipped = shipped_config_names()
    meant = default_config(plugin, (), {"data.root": folders[0]} if folders else {})
    if meant not in shipped:
        yield "", meant
    own = (plugin.config_file, plugin.demo_config_file)
    for name in (*(name for name in own if name in shipped), *_fitting_configs(plugin)):
        yield name, name


def _fitting_configs(plugin: TaskPlugin[Any]) -> Iterator[str]:
    """Yield the shipped configs that the task can run by; those of other tasks have keys of their own."""
    for name in shipped_config_names() if plugin.config_file else ():
        try:
            load_config(plugin.config_type, find_config_file(name))
        except ConfigError:
            continue
        yield name
