"""The command ``vmaf-train quantise``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vmaf_train.command_options import MODEL_DIR, DocsDir, ModelDir
from vmaf_train.discovery import load_task
from vmaf_train.errors import ConfigError
from vmaf_train.run_paths import docs_folder

__all__ = ["quantise"]


def quantise(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="Name of a registered model.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A folder it was trained on; again for each other one, data.root's first."),
    ] = None,
    calibration: Annotated[
        int, typer.Option(min=1, help="Training samples to read ranges of values from.")
    ] = 256,
    max_fall: Annotated[
        float, typer.Option(min=0.0, help="The most that the primary metric may fall.")
    ] = 0.005,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a timed run.")] = 2,
    model_dir: ModelDir = MODEL_DIR,
    docs_dir: DocsDir = None,
) -> None:
    """Make a registered model's 8-bit form, measure it, and ship it beside the model if it holds."""
    if not math.isfinite(max_fall):
        raise ConfigError(
            f"--max-fall {max_fall}",
            expected="a finite number from 0 up",
            found="none",
            next_step="give the most that the metric may fall, such as 0.005",
        )
    from vmaf_train.registry import load_model

    plugin = load_task(load_model(model_dir, model_id)[0].task)

    from vmaf_train.quantise import quantise as make
    from vmaf_train.report import ConsoleReporter, closing_reporter

    console = Console(markup=False, highlight=False)
    with closing_reporter(ConsoleReporter(console)) as reporter:
        record = make(
            plugin,
            model_id,
            data or (),
            model_dir=model_dir,
            docs_dir=docs_dir or docs_folder(model_dir),
            calibration=calibration,
            max_fall=max_fall,
            threads=threads,
            reporter=reporter,
        )
    from vmaf_train.summary import quantised_table

    console.print(quantised_table(record))
    console.print(f"model: {model_dir / model_id}.int8.onnx", soft_wrap=True)
