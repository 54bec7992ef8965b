"""The command ``vmaf-train new-task``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["new_task"]


def new_task(
    name: Annotated[str, typer.Argument(help="The task's name: lower-case words joined by _.")],
    to: Annotated[Path | None, typer.Option(help="Folder to make; default NAME, here.")] = None,
) -> None:
    """Write the package of a new task: a whole one that learns, to be changed."""
    from vmaf_train.new_task import write_new_task

    folder = write_new_task(name, to)
    print(f"{folder}: a package with the task {name}; next:")
    print(f"    cd {shlex.quote(str(folder))}")
    print("    pip install -e '.[test]'")
    print(f"    vmaf-train run {name}")
    print("    pytest")
