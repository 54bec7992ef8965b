"""The command ``vmaf-train check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vmaf_train.command_options import ConfigFile, Json
from vmaf_train.completion import task_names
from vmaf_train.discovery import load_task
from vmaf_train.errors import ConfigError, ContractError

__all__ = ["check"]


def check(
    model: Annotated[Path, typer.Argument(help="The ONNX file.")],
    task: Annotated[
        str | None,
        typer.Option(help="Check that task's names, axes and opset too.", autocompletion=task_names),
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Check an ONNX file against the op list, and against a task's contract.

    The contract is that of --config, else of the record beside the file, else of the task's own config.
    """
    if config is not None and task is None:
        raise ConfigError(
            f"--config {config}",
            expected="--task too, whose contract the config settles",
            found="no task",
            next_step="name the task with --task",
        )
    plugin = load_task(task) if task else None
    from vmaf_train.op_allowlist import check_model, read_model

    report = check_model(model)
    fault: ContractError | None = None
    if plugin is not None and report.ok:
        from vmaf_train.file_contract import file_contract
        from vmaf_train.onnx_export import check_contract

        try:
            check_contract(read_model(model), *file_contract(plugin, model, config))
        except ContractError as error:
            fault = error
    if as_json:
        rows = [
            {
                "reason": violation.reason.value,
                "domain": violation.domain,
                "op": violation.op,
                "node": violation.node,
                "detail": violation.detail,
                "offset": violation.offset,
            }
            for violation in report.violations
        ]
        print(
            json.dumps(
                {
                    "model": str(model),
                    "ok": report.ok and fault is None,
                    "opset": report.opset,
                    "nodes": report.nodes,
                    "ops": list(report.ops),
                    "violations": rows,
                    "contract": str(fault) if fault is not None else None,
                },
                indent=2,
            )
        )
        if fault is not None or not report.ok:
            raise typer.Exit(1)
        return
    report.require()
    if fault is not None:
        raise fault
    print(f"{model}: ok, opset {report.opset}, {report.nodes} nodes: {', '.join(report.ops)}")
