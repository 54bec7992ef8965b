"""The command ``vmaf-train``: each command parses, calls one function and prints.

Nothing here imports torch or onnx before a command needs it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from vmaf_train.build_facts import version_text
from vmaf_train.check_command import check
from vmaf_train.command_options import (
    MODEL_DIR,
    ConfigFile,
    DataRoot,
    DocsDir,
    Json,
    ModelDir,
    Overrides,
    TaskName,
)
from vmaf_train.config_files import config_yaml
from vmaf_train.discovery import discover_tasks, load_task
from vmaf_train.doctor_command import doctor
from vmaf_train.errors import PublishError, VmafTrainError
from vmaf_train.evaluation.command import eval_command
from vmaf_train.interruption import Stopped
from vmaf_train.new_task_command import new_task
from vmaf_train.pairs.commands import data_app
from vmaf_train.prediction.commands import compare_signal, predict
from vmaf_train.quantise_command import quantise
from vmaf_train.run_paths import (
    choose_run_dir,
    default_output_dirs,
    docs_folder,
    follows,
    require_data_folders,
    resolve_config,
    stopped_line,
)
from vmaf_train.sweep_command import sweep

__all__ = ["app", "main"]

app = typer.Typer(
    help="Train, gate, export, check, card and register tiny ONNX models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.command()(predict)
app.command()(compare_signal)
app.command("eval")(eval_command)
app.command()(doctor)
app.command()(new_task)


def _version(wanted: bool) -> None:
    if wanted:
        print(version_text())
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print version and build.")
    ] = False,
) -> None:
    """Train, gate, export, check, card and register tiny ONNX models."""


@app.command()
def tasks(as_json: Json = False) -> None:
    """List every discovered task and whether it works."""
    entries = discover_tasks()
    if as_json:
        rows = [
            {
                "name": entry.name,
                "summary": entry.plugin.summary if entry.plugin else "",
                "distribution": entry.distribution,
                "state": "ok" if entry.plugin else "broken",
                "cause": entry.cause,
            }
            for entry in entries
        ]
        print(json.dumps(rows, indent=2))
        return
    table = Table("task", "summary", "distribution", "state", box=None, pad_edge=False)
    for entry in entries:
        state = "ok" if entry.plugin else f"broken: {entry.cause}"
        table.add_row(entry.name, entry.plugin.summary if entry.plugin else "", entry.distribution, state)
    Console().print(table, markup=False)


@app.command()
def run(
    task: TaskName,
    config: ConfigFile = None,
    overrides: Overrides = None,
    data: DataRoot = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder of the run; default build/runs/ID/NUMBER.")
    ] = None,
    model_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of registry.json; default model/tiny, in build/ for smoke models."),
    ] = None,
    docs_dir: DocsDir = None,
    model_id: Annotated[str | None, typer.Option("--id", help="Name of the model in the registry.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of the same id.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Json = False,
) -> None:
    """Train, gate, export, check, card and register one model."""
    plugin = load_task(task)
    changes: dict[str, Any] = {}
    if data is not None:
        changes["data.root"] = data
    if model_id is not None:
        changes["id"] = model_id
    resolved = resolve_config(plugin, config, overrides, changes)
    if follows():
        from vmaf_train.pipeline import follow

        with contextlib.suppress(Stopped):  # said by the process that leads
            follow(plugin, resolved, resume=resume)
        return
    require_data_folders(resolved)
    models, docs = default_output_dirs(resolved, model_dir, docs_dir)
    folder = choose_run_dir(resolved, run_dir, resume=resume)

    # torch comes in here, after everything that a mistyped command line could get wrong.
    from vmaf_train.pipeline import RunPaths
    from vmaf_train.pipeline import run as run_pipeline
    from vmaf_train.report import ConsoleReporter

    console = Console(stderr=as_json, markup=False, highlight=False)
    if resolved.smoke:
        console.print(f"{resolved.id}: a smoke model, into {models}; not for use", soft_wrap=True)
    console.print(f"run folder: {folder}", soft_wrap=True)
    paths = RunPaths(folder, models, docs)
    try:
        record = run_pipeline(
            plugin, resolved, paths, replace=replace, resume=resume, reporter=ConsoleReporter(console)
        )
    except Stopped as stop:
        print(stopped_line(stop, sys.argv, folder), file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
    if as_json:
        print(record.model_dump_json(indent=2))
        return
    from vmaf_train.summary import summary_table

    console.print(summary_table(record))
    console.print(f"model:   {models / record.id}.onnx", soft_wrap=True)
    console.print(f"card:    {models / record.id}_card.md", soft_wrap=True)
    console.print(f"page:    {docs / record.id}.md", soft_wrap=True)
    if pictures := ", ".join(str(path) for path in sorted(folder.glob("*.png"))):
        console.print(f"look at: {pictures}", soft_wrap=True)
    if resolved.smoke and plugin.config_file:
        console.print(
            f"the real model: vmaf-train run {task} --data DIR --id NAME    (recipe {plugin.config_file})",
            soft_wrap=True,
        )


app.command()(sweep)


@app.command()
def config(
    task: TaskName,
    config: ConfigFile = None,
    overrides: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema instead.")] = False,
) -> None:
    """Print the resolved config as YAML, or its JSON schema."""
    plugin = load_task(task)
    if schema:
        print(json.dumps(plugin.config_type.model_json_schema(), indent=2))
        return
    print(config_yaml(resolve_config(plugin, config, overrides)), end="")


app.command()(check)


@app.command()
def verify(model_dir: ModelDir = MODEL_DIR, docs_dir: DocsDir = None, as_json: Json = False) -> None:
    """Check that registry, model files, sidecars, digests, cards and pages agree."""
    from vmaf_train.registry import load_registry
    from vmaf_train.verify import verify_problems

    problems = verify_problems(model_dir, docs_dir or docs_folder(model_dir))
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        for problem in problems:
            print(problem)
        if not problems:
            print(f"{model_dir}: {len(load_registry(model_dir).models)} models, all agree")
    if problems:
        raise typer.Exit(1)


@app.command()
def card(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="Name of a registered model.")],
    model_dir: ModelDir = MODEL_DIR,
    docs_dir: DocsDir = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if card, page or a picture differs.")
    ] = False,
) -> None:
    """Render a model's card, page and the page's pictures anew from its run record."""
    from vmaf_train.page_pictures import page_pictures
    from vmaf_train.publish import expected_texts, republish_card
    from vmaf_train.registry import load_sidecar, require_row
    from vmaf_train.staging import finish_interrupted

    docs_dir = docs_dir or docs_folder(model_dir)
    if not check_only:
        finish_interrupted(model_dir, docs_dir)
    entry = require_row(model_dir, model_id)
    if not check_only:
        for path in republish_card(model_dir, docs_dir, model_id, lambda record: record, page_pictures):
            print(path)
        return
    record = load_sidecar(model_dir, model_id).record
    texts = expected_texts(record, entry, model_dir, docs_dir)
    expected = {path: text.encode() for path, text in texts.items()}
    expected |= {docs_dir / name: data for name, data in page_pictures(record).items()}
    for path, data in expected.items():
        if not path.is_file() or path.read_bytes() != data:
            raise PublishError(
                str(path),
                expected="what the run record renders",
                found="a difference" if path.is_file() else "no file",
                next_step=f"run vmaf-train card {model_id}",
            )
    print(f"{model_id}: card, page and pictures are what the run record renders")


app.command()(quantise)


def main() -> NoReturn:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 usage, 3 gate."""
    try:
        app(prog_name="vmaf-train")  # whatever started it: shells complete by this name
    except VmafTrainError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
