"""The command that repeats a run, derived from its config alone."""

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
from vmaf_train.task import TaskPlugin

__all__ = ["reproducer_command"]


def reproducer_command(plugin: TaskPlugin[Any], config: TaskConfig) -> str:
    """Return ``vmaf-train run ...`` with the nearest shipped config and every difference from it.

    No path of this machine is in it: the data folders stand as ``DIR``, ``DIR2`` and so on.
    """
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
    return shlex.join(words)


def _fitting_configs(plugin: TaskPlugin[Any]) -> Iterator[str]:
    """Yield the shipped configs that the task can run by; those of other tasks have keys of their own."""
    for name in shipped_config_names() if plugin.config_file else ():
        try:
            load_config(plugin.config_type, find_config_file(name))
        except ConfigError:
            continue
        yield name
