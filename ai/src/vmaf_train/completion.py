"""What a shell offers to complete."""

from __future__ import annotations

from vmaf_train.config_files import shipped_config_names
from vmaf_train.discovery import discover_tasks

__all__ = ["config_names", "task_names"]


def task_names(incomplete: str) -> list[str]:
    """Return the names of the tasks that work and begin so."""
    return [entry.name for entry in discover_tasks() if entry.plugin and entry.name.startswith(incomplete)]


def config_names(incomplete: str) -> list[str]:
    """Return the names of the shipped configs that begin so."""
    return [name for name in shipped_config_names() if name.startswith(incomplete)]
