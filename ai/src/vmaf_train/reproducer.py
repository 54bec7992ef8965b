"""The commands that repeat a run, derived from its config and those of the runs before it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from vmaf_train.config import (
    TaskConfig,
    config_changes,
    find_config_file,
    load_config,
    load_config_values,
    shipped_config_names,
)
from vmaf_train.errors import ConfigError
from vmaf_train.run_record import InitialRecord
from vmaf_train.task import TaskPlugin

__all__ = ["reproducer_command"]


def reproducer_command(
    plugin: TaskPlugin[Any], config: TaskConfig, initial: InitialRecord | None = None
) -> str:
    """Return ``vmaf-train run ...`` with the nearest shipped config and every difference from it.

    A run that began with the weights of an earlier one has a line for each run, the earliest first.
    No path of this machine is in them: the data folders stand as ``DIR``, ``DIR2`` and so on, the
    folders of the first run as ``RUN1``, ``MODEL1`` and ``DOCS1``.
    """
    earlier: list[TaskConfig] = []
    while initial is not None:
        earlier.insert(0, _earlier_config(config, initial))
        initial = initial.initial
    lines = []
    for number, made in enumerate((*earlier, config), start=1):
        words = _run_words(plugin, made)
        if number > 1:
            words += ["--set", f"fit.initial=RUN{number - 1}"]
        if made is not config:
            # Apart from the shipped models: the last run may publish under the very same id.
            words += ["--run-dir", f"RUN{number}", "--model-dir", f"MODEL{number}"]
            words += ["--docs-dir", f"DOCS{number}"]
        lines.append(shlex.join(words))
    return "\n".join(lines)


def _earlier_config(config: TaskConfig, initial: InitialRecord) -> TaskConfig:
    """The config of an earlier run, with the data folders of this one: a record names none."""
    made = type(config).model_validate(initial.config)
    data: Any = getattr(made, "data", None)
    ours = getattr(config, "data", None)
    folders = {name: getattr(ours, name) for name in ("root", "extra_roots") if hasattr(ours, name)}
    return made.model_copy(update={"data": data.model_copy(update=folders)}) if folders else made


def _run_words(plugin: TaskPlugin[Any], config: TaskConfig) -> list[str]:
    candidates = []
    for name in (plugin.config_file, plugin.demo_config_file, *_fitting_configs(plugin)):
        values = load_config_values(find_config_file(name)) if name else {}
        candidates.append((name, config_changes(type(config), values, config)))
    name, changes = min(candidates, key=lambda item: len(item[1]))
    words = ["vmaf-train", "run", plugin.name]
    if name:
        words += ["--config", name]
    for key, value in changes.items():
        words += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
    data = getattr(config, "data", None)
    if extra := getattr(data, "extra_roots", ()):
        words += ["--set", f"data.extra_roots=[{', '.join(f'DIR{n}' for n in range(2, len(extra) + 2))}]"]
    if getattr(data, "root", None):
        words += ["--data", "DIR"]
    return words


def _fitting_configs(plugin: TaskPlugin[Any]) -> Iterator[str]:
    """Yield the shipped configs that the task can run by; those of other tasks have keys of their own."""
    for name in shipped_config_names() if plugin.config_file else ():
        try:
            load_config(plugin.config_type, find_config_file(name))
        except ConfigError:
            continue
        yield name
