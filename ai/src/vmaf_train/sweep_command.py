"""The command ``vmaf-train sweep``: parses, runs the sweep and prints what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vmaf_train.command_options import DataRoot, Json, TaskName
from vmaf_train.discovery import load_task
from vmaf_train.errors import ConfigError, GateError, VmafTrainError
from vmaf_train.interruption import Stopped
from vmaf_train.run_paths import choose_sweep_dir, default_config, require_data_folders, stopped_line
from vmaf_train.sweep_plan import SweepPlan, plan_sweep

if TYPE_CHECKING:
    from vmaf_train.sweep_results import TrialResult

__all__ = ["sweep"]


def sweep(
    task: TaskName,
    configs: Annotated[
        list[str] | None,
        typer.Option("--config", help="A config file; given more than once, the files are compared."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value,value: one fixes a setting, several are tried."),
    ] = None,
    data: DataRoot = None,
    sweep_dir: Annotated[
        Path | None, typer.Option(help="Folder of the sweep; default build/sweeps/ID/NUMBER.")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Try this many at most, chosen by optuna's sampler; default all."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted sweep.")] = False,
    as_json: Json = False,
) -> None:
    """Try every combination of the values given, all else held fixed, and tell which is best."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "vmaf-train sweep",
            expected="one process",
            found="several, started by torchrun",
            next_step="start it without torchrun, or run one config by torchrun",
        )
    plugin = load_task(task)
    changes: dict[str, Any] = {} if data is None else {"data.root": data}
    if not configs:
        name = default_config(plugin, overrides or (), changes)
        configs = [name] if name else []
    plan = plan_sweep(plugin.config_type, configs, overrides or (), changes, trials)
    for point in plan.points:
        require_data_folders(point.config)
    folder = choose_sweep_dir(plan.points[0].config, sweep_dir, resume=resume)

    # torch comes in here, after everything that a mistyped command line could get wrong.
    from vmaf_train.report import ConsoleReporter
    from vmaf_train.sweep import run_sweep
    from vmaf_train.sweep_results import best_trial, difference_lines, results_table

    console = Console(stderr=as_json)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    say(f"sweep folder: {folder}")
    for line in difference_lines(plan):
        say(line)
    try:
        results = run_sweep(plugin, plan, folder, resume=resume, reporter=ConsoleReporter(console))
    except Stopped as stop:
        print(stopped_line(stop, sys.argv, folder, "--sweep-dir"), file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
    if as_json:
        print((folder / "results.json").read_text(encoding="utf-8"), end="")
    else:
        console.print(results_table(plan, results), markup=False, crop=False)
        _tell(plan, results, folder, task, say)
    if best_trial(results) is None:
        raise _nothing_passed(results, folder)


def _tell(plan: SweepPlan, results: tuple[TrialResult, ...], folder: Path, task: str, say: Any) -> None:
    from vmaf_train.sweep_results import best_trial, fixed_line

    for result in results:
        if result.reason:
            say(f"trial {result.number} {result.state}: {result.reason}")
    say(fixed_line(plan, results))
    best = best_trial(results)
    if best is not None:
        say(f"best: trial {best.number}: vmaf-train run {task} --config {folder}/best.yaml")
    say(f"results: {folder}/results.csv, {folder}/results.json")
    if (folder / "curves.png").is_file():
        say(f"look at: {folder}/curves.png")


def _nothing_passed(results: tuple[TrialResult, ...], folder: Path) -> VmafTrainError:
    gate_alone = all(result.state == "gate not met" for result in results)
    kind = GateError if gate_alone else VmafTrainError
    return kind(
        "the sweep",
        expected="a trial that passes its gate",
        found=f"none of {len(results)}",
        next_step=f"see the reasons in {folder / 'results.csv'}",
    )
