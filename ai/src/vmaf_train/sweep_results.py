"""What a sweep's trials came to: the table, the files, the best config, the proof of what was fixed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from vmaf_train.config_files import config_yaml
from vmaf_train.config_record import config_differences, flatten_config
from vmaf_train.files import dump_json, write_atomic
from vmaf_train.run_record import EpochRecord
from vmaf_train.sweep_plan import SweepPlan

__all__ = [
    "State",
    "TrialResult",
    "best_trial",
    "difference_lines",
    "fixed_line",
    "read_history",
    "results_table",
    "trial_dir",
    "write_results",
]

State = Literal["done", "gate not met", "diverged", "refused", "failed"]
"""``refused`` is a config or a file that the framework does not take; ``failed`` is anything else."""


class TrialResult(BaseModel):
    """One trial: what was chosen, how it ended and, where it got as far, its run record's figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int
    choices: dict[str, str]
    state: State
    reason: str = ""
    settled: bool = False
    """Of a refused trial: whether its config alone is the reason, so that another attempt ends alike."""
    primary: str = ""
    value: float | None = None
    metrics: dict[str, float | None] = {}
    best_epoch: int | None = None
    parameters: int | None = None
    seconds: float = 0.0
    config: dict[str, Any] = {}
    data_digest: str = ""
    environment: dict[str, Any] = {}


def trial_dir(folder: Path, number: int) -> Path:
    """Return the folder of trial ``number`` of the sweep in ``folder``."""
    return folder / "trials" / f"{number:03d}"


def read_history(run_dir: Path) -> list[EpochRecord]:
    """Return the epochs that a run folder holds, none where training never ended an epoch."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [EpochRecord.model_validate_json(line) for line in lines]


def best_trial(results: Sequence[TrialResult]) -> TrialResult | None:
    """Return the first trial of the highest value among those that passed the gate."""
    passed = [result for result in results if result.state == "done" and result.value is not None]
    return max(passed, key=lambda result: result.value or 0.0, default=None)


def difference_lines(plan: SweepPlan) -> list[str]:
    """Return one line for each point: what its config changes from that of the first."""
    width = len(str(len(plan.points)))
    return [
        f"{point.number:>{width}}  "
        + ("; ".join(point.differences) or "the config that the others are compared with")
        for point in plan.points
    ]


def fixed_line(plan: SweepPlan, results: Sequence[TrialResult]) -> str:
    """Say from the trials' own run records what was the same in all of them, or what was not.

    A setting may differ only where the plan says so; data and environment may not differ at all.
    """
    recorded = [result for result in results if result.config]
    if len(recorded) < 2:
        return "held fixed: nothing to compare, for fewer than two trials left a record"
    by_number = {point.number: point.settings for point in plan.points}
    first = recorded[0]
    odd = [
        f"trial {result.number}: {difference}"
        for result in recorded
        for difference in [
            *config_differences(by_number[result.number], result.config, {}),
            *config_differences(_surroundings(first), _surroundings(result), {}),
        ]
    ]
    if odd:
        return "NOT held fixed: " + "; ".join(odd)
    settings = [dict(flatten_config(result.config)) for result in recorded]
    keys = sorted({key for values in settings for key in values})
    varied = [key for key in keys if any(values.get(key) != settings[0].get(key) for values in settings)]
    data = f"data {first.data_digest[:12]}" if first.data_digest else "no data"
    return (
        f"held fixed, by the records of {len(recorded)} trials: {len(keys) - len(varied)} of {len(keys)} "
        f"settings (varied: {', '.join(varied)}), {data}, environment"
    )


def results_table(plan: SweepPlan, results: Sequence[TrialResult]) -> Table:
    """Return a row for each trial; the best one bears a star. Reasons stand in the files."""
    metrics = _metric_names(results)
    axes = [axis.key for axis in plan.axes]
    best = best_trial(results)
    table = Table(box=None, pad_edge=False)
    for name in ("trial", *axes, *metrics, "best epoch", "parameters", "seconds", "state"):
        table.add_column(name, no_wrap=True)
    for result in results:
        table.add_row(
            f"{result.number}{' *' if result is best else ''}",
            *(result.choices[key] for key in axes),
            *(_number(result.metrics.get(name)) for name in metrics),
            str(result.best_epoch or "-"),
            f"{result.parameters:,}" if result.parameters is not None else "-",
            f"{result.seconds:.1f}",
            result.state,
        )
    return table


def write_results(plan: SweepPlan, results: Sequence[TrialResult], folder: Path) -> None:
    """Write ``results.json``, ``results.csv`` and, where a trial passed, ``best.yaml``."""
    best = best_trial(results)
    differences = {point.number: list(point.differences) for point in plan.points}
    rows = [{**row.model_dump(mode="json"), "differences": differences[row.number]} for row in results]
    content = {
        "best": best.number if best is not None else None,
        "fixed": fixed_line(plan, results),
        "trials": rows,
    }
    write_atomic(folder / "results.json", dump_json(content))
    write_atomic(folder / "results.csv", _csv(plan, results))
    if best is not None:
        config = next(point.config for point in plan.points if point.number == best.number)
        write_atomic(folder / "best.yaml", config_yaml(config))


def _surroundings(result: TrialResult) -> dict[str, Any]:
    return {"data": result.data_digest, "environment": result.environment}


def _metric_names(results: Sequence[TrialResult]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.metrics))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _csv(plan: SweepPlan, results: Sequence[TrialResult]) -> str:
    metrics = _metric_names(results)
    axes = [axis.key for axis in plan.axes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *axes, *metrics, "best_epoch", "parameters", "seconds", "state", "reason"])
    for result in results:
        writer.writerow(
            [
                result.number,
                *(result.choices[key] for key in axes),
                *(result.metrics.get(name) for name in metrics),
                result.best_epoch,
                result.parameters,
                f"{result.seconds:.3f}",
                result.state,
                result.reason,
            ]
        )
    return text.getvalue()
