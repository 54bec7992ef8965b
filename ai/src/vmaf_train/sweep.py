"""A sweep: one run for each point of a plan, kept in a store that survives a kill.

Optuna keeps the trials and, where not all points are tried, chooses among them.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmaf_train.errors import (
    ConfigError,
    ContractError,
    DivergenceError,
    GateError,
    PublishError,
    VmafTrainError,
)
from vmaf_train.figures import trial_curves
from vmaf_train.files import dump_json, write_atomic
from vmaf_train.interruption import stop_signals
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.report import Reporter
from vmaf_train.run_paths import held_folder
from vmaf_train.run_record import RunRecord
from vmaf_train.sweep_plan import Point, SweepPlan, deciding_settings
from vmaf_train.sweep_results import State, TrialResult, read_history, trial_dir, write_results
from vmaf_train.task import TaskPlugin

if TYPE_CHECKING:
    import optuna

__all__ = ["run_sweep"]

_STORE = "trials.db"
_PLAN = "plan.json"
_LOCK = ".lock"
_REPEATS = 4


def run_sweep(
    plugin: TaskPlugin[Any], plan: SweepPlan, folder: Path, *, resume: bool, reporter: Reporter
) -> tuple[TrialResult, ...]:
    """Run the plan's trials one after another and return what came of them, in the plan's order.

    Each trial is a whole run with a registry of its own below ``folder``. One that fails is kept
    with its reason. After each trial the results in ``folder`` are written anew.

    Args:
        plugin: the task.
        plan: what to try.
        folder: the sweep's folder; made if missing.
        resume: whether to go on with the sweep that ``folder`` holds. Finished trials stay, an
            interrupted one goes on from its checkpoint, and one that failed for want of data or
            disk, or was refused for more than its config, is tried again.
        reporter: told of progress.

    Raises:
        ConfigError: optuna is missing, the task refuses a config, or ``folder`` is in use, holds
            something else, or another sweep; no trial was started.
        PublishError: ``folder`` or its store is damaged or cannot be written.
        Stopped: SIGINT or SIGTERM came; the sweep can go on with ``resume``.
    """
    engine = _engine()
    for point in plan.points:
        plugin.create(point.config)
    with stop_signals(), _owned(folder, plugin, plan, resume=resume):
        with _store(engine, folder):
            study = _study(engine, folder)
            results = _finished(study, plan)
        while len(results) < plan.trials:
            with _store(engine, folder):
                trial, point = _next(engine, study, plan, results)
            chosen = ", ".join(f"{key}={label}" for key, label in point.choices.items())
            reporter.stage(f"trial {point.number} ({len(results) + 1} of {plan.trials}): {chosen}")
            result = _try(plugin, point, folder, reporter)
            if result.state != "done":
                reporter.stage(f"trial {point.number}: {result.state}: {result.reason}")
            with _store(engine, folder):
                trial.set_user_attr("result", result.model_dump(mode="json"))
                if result.value is not None:
                    study.tell(trial, result.value)
                else:
                    study.tell(trial, state=engine.trial.TrialState.FAIL)
            results[point.number] = result
            _write(plan, results, folder)
        _write(plan, results, folder)
    return tuple(results[number] for number in sorted(results))


def _engine() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "vmaf-train sweep",
            expected="the package optuna",
            found="it is not installed",
            next_step="pip install 'vmaf-train[sweep]'",
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


@contextmanager
def _owned(folder: Path, plugin: TaskPlugin[Any], plan: SweepPlan, *, resume: bool) -> Iterator[None]:
    """Hold the folder for this process and this plan alone."""
    described = dump_json(
        {
            "task": plugin.name,
            "trials": plan.trials,
            "points": [{"choices": dict(point.choices), "config": point.settings} for point in plan.points],
        }
    )
    _require_fitting(folder, described, resume=resume)
    with held_folder(folder / _LOCK, "sweep"):
        _require_fitting(folder, described, resume=resume)  # another sweep may have begun meanwhile
        write_atomic(folder / _PLAN, described)
        yield


def _require_fitting(folder: Path, described: str, *, resume: bool) -> None:
    """Refuse a folder that is none of a sweep, or of another one."""
    standing = folder / _PLAN
    if not standing.is_file():
        if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {_LOCK}):
            raise ConfigError(
                str(folder),
                expected="an empty folder, or one of a sweep",
                found="something else there",
                next_step="choose another --sweep-dir",
            )
        return
    if not resume:
        raise ConfigError(
            str(folder),
            expected="an empty sweep folder",
            found="one that holds a sweep",
            next_step="go on with that sweep by --resume, or choose another --sweep-dir",
        )
    if standing.read_bytes() != described.encode():
        raise ConfigError(
            str(folder),
            expected="the sweep that it holds",
            found="other values, settings or trials on the command line",
            next_step=f"repeat the first command line, or compare with {standing}",
        )


@contextmanager
def _store(engine: Any, folder: Path) -> Iterator[None]:
    """Tell in one line what a damaged store, or a disk without room for it, raises in the block."""
    from sqlalchemy.exc import SQLAlchemyError

    # A damaged row comes out as whatever its reader stumbles over.
    damage = (engine.exceptions.OptunaError, SQLAlchemyError, LookupError, RuntimeError, ValueError)
    try:
        yield
    except damage as error:
        reason: BaseException = error
        while reason.__cause__ is not None:  # optuna's own text does not name it
            reason = reason.__cause__
        raise PublishError(
            str(folder / _STORE),
            expected="the trials of a sweep, in a file that can be written",
            found=" ".join(str(reason).split())[:200] or type(reason).__name__,
            next_step="free the disk and go on by --resume, or choose another --sweep-dir",
        ) from error


def _study(engine: Any, folder: Path) -> optuna.Study:
    """Return the kept trials; those that a process left open when it was killed are closed."""
    from sqlalchemy import URL

    address = URL.create("sqlite", database=str(folder / _STORE)).render_as_string()
    study: optuna.Study = engine.create_study(
        storage=address, study_name="sweep", direction="maximize", load_if_exists=True
    )
    states = engine.trial.TrialState
    for trial in study.trials:
        if trial.state == states.RUNNING:  # its process is gone: the lock is ours
            study.tell(trial.number, state=states.FAIL)
    for _ in study.get_trials(deepcopy=False, states=(states.WAITING,)):
        # Enqueued and not begun: the next question would be answered by it instead of its own trial.
        study.tell(study.ask(), state=states.FAIL)
    return study


def _finished(study: optuna.Study, plan: SweepPlan) -> dict[int, TrialResult]:
    """The kept results by point; what another attempt may mend is not among them."""
    results = {}
    for trial in study.trials:
        if "result" in trial.user_attrs:
            result = TrialResult.model_validate(trial.user_attrs["result"])
            if result.state not in {"failed", "refused"} or result.settled:
                results[result.number] = result
    return {number: result for number, result in results.items() if number <= len(plan.points)}


def _next(
    engine: Any, study: optuna.Study, plan: SweepPlan, results: dict[int, TrialResult]
) -> tuple[optuna.Trial, Point]:
    """The next point: the first untried where all are to be tried, else the sampler's choice."""
    space = {axis.key: engine.distributions.CategoricalDistribution(axis.labels) for axis in plan.axes}
    untried = [point for point in plan.points if point.number not in results]
    for _ in range(_REPEATS if plan.trials < len(plan.points) else 0):
        # Seeded by the trial's number: a resumed sweep chooses as it would have without the stop.
        study.sampler = engine.samplers.TPESampler(seed=len(study.trials))
        trial = study.ask(space)
        for point in untried:
            if point.choices == trial.params:
                return trial, point
        study.tell(trial, state=engine.trial.TrialState.FAIL)
    study.enqueue_trial(dict(untried[0].choices))
    trial = study.ask(space)
    return trial, next(point for point in untried if point.choices == trial.params)


def _try(plugin: TaskPlugin[Any], point: Point, folder: Path, reporter: Reporter) -> TrialResult:
    home = trial_dir(folder, point.number)
    paths = RunPaths(home / "run", home / "model", home / "docs")

    def attempt() -> RunRecord:
        return run(
            plugin, point.config, paths, replace=True, resume=paths.run_dir.exists(), reporter=reporter
        )

    state, reason, settled = _outcome(attempt, home)
    kept = paths.run_dir / "run_record.json"
    if state not in {"done", "gate not met"} or not kept.is_file():
        return TrialResult(
            number=point.number,
            choices=dict(point.choices),
            state=state,
            reason=reason,
            settled=settled,
            seconds=sum(epoch.seconds for epoch in read_history(paths.run_dir)),
        )
    record = RunRecord.model_validate_json(kept.read_bytes())
    value, initial = record.gate.value, record.training.initial
    return TrialResult(
        number=point.number,
        choices=dict(point.choices),
        state=state,
        reason=reason,
        primary=record.gate.metric,
        value=value if value is not None and math.isfinite(value) else None,
        metrics=record.gate.metrics,
        best_epoch=record.training.best_epoch,
        parameters=record.training.parameters,
        seconds=record.training.seconds,
        config=deciding_settings(record.config, initial.checkpoint_sha256 if initial is not None else None),
        data_digest=record.data.digest if record.data is not None else "",
        environment=record.environment.model_dump(mode="json", exclude={"commit"}),
    )


def _outcome(attempt: Callable[[], RunRecord], home: Path) -> tuple[State, str, bool]:
    """How the attempt ended, why, and whether its config alone was refused.

    Nothing but a stop from outside, or a disk that takes no trace, leaves this function.
    """
    kinds: dict[type[VmafTrainError], State] = {
        GateError: "gate not met",
        DivergenceError: "diverged",
        ContractError: "refused",
        ConfigError: "refused",
    }
    try:
        attempt()
    except VmafTrainError as error:
        state: State = next((state for kind, state in kinds.items() if isinstance(error, kind)), "failed")
        # A ConfigError of a run may speak of its folder, its checkpoint or the machine: the configs
        # themselves were checked before the first trial.
        return state, str(error), isinstance(error, ContractError)
    except Exception as error:
        # The other trials are worth more than a clean end; the trace is kept for whoever mends it.
        write_atomic(home / "traceback.txt", traceback.format_exc())
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", False
    return "done", "", False


def _write(plan: SweepPlan, results: dict[int, TrialResult], folder: Path) -> None:
    ordered = [results[number] for number in sorted(results)]
    write_results(plan, ordered, folder)
    lines = {}
    for result in ordered:
        history = read_history(trial_dir(folder, result.number) / "run")
        if history:
            name = ", ".join(result.choices.values())
            lines[f"{result.number}: {name}"] = history
    primary = next((result.primary for result in ordered if result.primary), "")
    if lines and primary:
        write_atomic(folder / "curves.png", trial_curves(lines, primary, form="png"))
