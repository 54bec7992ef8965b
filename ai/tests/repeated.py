"""The config that a command line of ``vmaf-train run`` leads to."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from vmaf_train.config import TaskConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.task import TaskPlugin


def repeated(plugin: TaskPlugin[Any], command: str) -> TaskConfig:
    """The config that the command line leads to."""
    words = shlex.split(command)
    assert words[:3] == ["vmaf-train", "run", plugin.name]
    given: dict[str, list[str]] = {
        option: [] for option in ("--config", "--set", "--data", "--model-dir", "--docs-dir")
    }
    for option, value in zip(words[3::2], words[4::2], strict=True):
        given[option].append(value)
    changes = {"data.root": Path(given["--data"][0])} if given["--data"] else {}
    file = find_config_file(given["--config"][0]) if given["--config"] else None
    resolved: TaskConfig = load_config(plugin.config_type, file, given["--set"], changes)
    return resolved
