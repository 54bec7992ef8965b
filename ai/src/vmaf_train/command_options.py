"""Arguments and options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmaf_train.completion import config_names, task_names

__all__ = [
    "MODEL_DIR",
    "ConfigFile",
    "DataRoot",
    "DocsDir",
    "Json",
    "ModelDir",
    "Overrides",
    "TaskName",
]

TaskName = Annotated[
    str, typer.Argument(help="Name of the task; see vmaf-train tasks.", autocompletion=task_names)
]
DataRoot = Annotated[
    Path | None, typer.Option(help="Folder of the training data; the same as --set data.root=DIR.")
]
ModelDir = Annotated[Path, typer.Option(help="Folder of registry.json and the models.")]
DocsDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the models' docs pages; default docs/ai/models beside model/tiny, else docs within "
        "the model folder."
    ),
]
ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config", help="A config file, or the name of a shipped one.", autocompletion=config_names
    ),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, any number of times.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

MODEL_DIR = Path("model/tiny")
