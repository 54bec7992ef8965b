"""Which tasks are there: entry points of the group ``vmaf_train.tasks``."""

from __future__ import annotations

import importlib.metadata
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from vmaf_train.errors import ConfigError
from vmaf_train.task import API_VERSION, TaskPlugin

__all__ = ["ENTRY_POINT_GROUP", "TaskEntry", "discover_tasks", "load_task"]

ENTRY_POINT_GROUP = "vmaf_train.tasks"
_OWN_DISTRIBUTION = "vmaf-train"


@dataclass(frozen=True)
class TaskEntry:
    """One discovered task, loaded or broken.

    Attributes:
        name: the entry point's name.
        target: ``module:attribute``.
        distribution: the package that declares it.
        plugin: the loaded plugin; None when broken.
        cause: why it is broken, in one line; empty when it is not.
    """

    name: str
    target: str
    distribution: str
    plugin: TaskPlugin[Any] | None
    cause: str


def _entry_points() -> list[tuple[str, str, str, importlib.metadata.EntryPoint]]:
    """Name, target, distribution: each once, whatever is listed twice by an editable install."""
    found = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = point.dist.name if point.dist is not None else "unknown"
        found[point.name, point.value, distribution] = point
    return [(*key, point) for key, point in sorted(found.items(), key=lambda item: item[0])]


def _load(point: importlib.metadata.EntryPoint) -> tuple[TaskPlugin[Any] | None, str]:
    try:
        plugin = point.load()
    except (Exception, SystemExit) as error:  # a broken plugin must not take the others with it
        text = " ".join(str(error).split())
        return None, f"{type(error).__name__}: {text}" if text else type(error).__name__
    if not isinstance(plugin, TaskPlugin):
        return None, f"{point.value} is a {type(plugin).__name__}, not a TaskPlugin"
    if plugin.api_version > API_VERSION:
        return None, f"written for API version {plugin.api_version}, this vmaf_train has {API_VERSION}"
    if plugin.name != point.name:
        return None, f"the plugin calls itself {plugin.name}, its entry point {point.name}"
    return plugin, ""


def discover_tasks() -> tuple[TaskEntry, ...]:
    """Return all tasks, broken ones with their cause, sorted by name, built-in before others.

    A name with two targets is a clash: neither is loaded, except that a built-in task stays
    what it is and whatever shadows it is broken.
    """
    by_name: dict[str, list[tuple[str, str, importlib.metadata.EntryPoint]]] = defaultdict(list)
    for name, target, distribution, point in _entry_points():
        by_name[name].append((target, distribution, point))
    entries = []
    for name, claims in sorted(by_name.items()):
        own = [claim for claim in claims if claim[1] == _OWN_DISTRIBUTION]
        targets = {target for target, _, _ in claims}
        # The same target from two packages is one task listed twice.
        unique = {target: claim for claim in reversed(claims) for target in [claim[0]]}
        for target, distribution, point in sorted(
            unique.values(), key=lambda item: (item not in own, item[0])
        ):
            plugin, cause = None, ""
            if len(targets) > 1 and (target, distribution, point) not in own:
                others = ", ".join(f"{other} ({package})" for other, package, _ in claims if other != target)
                verb = "shadows the built-in" if own else "has the same name as"
                cause = f"{target} ({distribution}) {verb} {others}"
            else:
                plugin, cause = _load(point)
            entries.append(TaskEntry(name, target, distribution, plugin, cause))
    return tuple(entries)


def load_task(name: str) -> TaskPlugin[Any]:
    """Return the plugin of the task ``name``.

    Raises:
        ConfigError: no such task (the known ones are listed), a name with two targets (both are
            named), or a plugin that does not load.
    """
    entries = discover_tasks()
    mine = [entry for entry in entries if entry.name == name]
    for entry in mine:
        if entry.plugin is not None:
            return entry.plugin
    if mine:
        raise ConfigError(
            f"task {name}",
            expected="a plugin that loads",
            found=mine[0].cause,
            next_step=f"mend or uninstall {mine[0].distribution}",
        )
    known = ", ".join(entry.name for entry in entries if entry.plugin is not None) or "none"
    raise ConfigError(
        f"task {name}", expected=f"one of: {known}", found="no such task", next_step="see vmaf-train tasks"
    )
