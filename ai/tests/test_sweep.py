"""A sweep of toys: every outcome is kept with its reason, and a stop loses nothing."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from records import tiny_record
from toy import ToyConfig, ToyTask, toy_plugin
from vmaf_train.config import TaskConfig
from vmaf_train.config_files import load_config
from vmaf_train.config_record import recorded_config
from vmaf_train.errors import (
    ConfigError,
    ContractError,
    DataError,
    DivergenceError,
    GateError,
    PublishError,
    VmafTrainError,
)
from vmaf_train.files import write_atomic
from vmaf_train.pipeline import RunPaths
from vmaf_train.report import Reporter, SilentReporter
from vmaf_train.run_record import RunRecord
from vmaf_train.sweep import run_sweep
from vmaf_train.sweep_plan import SweepPlan, plan_sweep
from vmaf_train.sweep_results import TrialResult, best_trial, fixed_line, results_table
from vmaf_train.task import TaskPlugin

ENDS = {1: "done", 2: "gate not met", 3: "diverged", 4: "failed", 5: "done"}
"""What becomes of a run with each seed; any other seed is done."""


def quick_run(
    plugin: TaskPlugin[Any], config: TaskConfig, paths: RunPaths, *, reporter: Reporter, **_: bool
) -> RunRecord:
    """What ``pipeline.run`` leaves behind, without training; ends as the seed says."""
    seed, rate = config.fit.seed, config.optimiser.lr
    reporter.step(1, 0.5)
    if seed == 3:
        raise DivergenceError("epoch 1", expected="a finite loss", found="nan", next_step="lower it")
    if seed == 4:
        raise RuntimeError("the disk\nis on fire")
    value = 0.1 if seed == 2 else 0.5 + seed / 100 + rate
    gate = {"metric": "iou", "value": value, "min_value": 0.3, "passed": value >= 0.3, "metrics.iou": value}
    changes = {"config": recorded_config(config), **{f"gate.{key}": what for key, what in gate.items()}}
    record = tiny_record("toy_v1", changes=changes)
    write_atomic(paths.run_dir / "run_record.json", record.model_dump_json())
    history = "".join(epoch.model_dump_json() + "\n" for epoch in record.training.history)
    write_atomic(paths.run_dir / "metrics.jsonl", history)
    if value < 0.3:
        raise GateError("the gate", expected="iou of at least 0.3", found="0.1", next_step="no weights")
    write_atomic(paths.model_dir / "toy_v1.onnx", f"weights of {seed}")
    return record


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmaf_train.sweep.run", quick_run)
    monkeypatch.setattr("vmaf_train.sweep.trial_curves", lambda *_, **__: b"")  # a drawing takes long


def plan(*overrides: str, trials: int | None = None) -> SweepPlan:
    return plan_sweep(ToyConfig, (), ("fit.epochs=1", *(overrides or ("fit.seed=1,2,3,4,5",))), {}, trials)


def sweep_toys(folder: Path, *overrides: str, **options: Any) -> tuple[TrialResult, ...]:
    settings: dict[str, Any] = {"resume": False, "reporter": SilentReporter(), **options}
    trials = settings.pop("trials", None)
    return run_sweep(
        settings.pop("plugin", toy_plugin()), plan(*overrides, trials=trials), folder, **settings
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[TrialResult, ...]]:
    """A sweep in which something of everything happens."""
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr("vmaf_train.sweep.run", quick_run)
        return home, sweep_toys(home / "sweep")


def figures(results: tuple[TrialResult, ...]) -> list[Mapping[str, Any]]:
    """Everything but what the clock said, and but the paths in a reason."""
    return [result.model_dump(exclude={"seconds", "reason"}) for result in results]


def test_a_failed_trial_is_kept_with_its_reason_and_ends_nothing(
    whole: tuple[Path, tuple[TrialResult, ...]],
) -> None:
    home, results = whole
    assert {result.number: result.state for result in results} == ENDS
    reasons = {result.number: result.reason for result in results}
    assert reasons[1] == reasons[5] == ""
    assert "iou of at least 0.3, found 0.1" in reasons[2]
    assert "epoch 1: expected a finite loss" in reasons[3]
    assert reasons[4] == "RuntimeError: the disk is on fire"
    assert "is on fire" in (home / "sweep" / "trials" / "004" / "traceback.txt").read_text()
    assert results[1].value == 0.1
    assert results[2].value is None


def test_a_sweep_writes_below_its_folder_alone(whole: tuple[Path, tuple[TrialResult, ...]]) -> None:
    home, _ = whole
    assert [path.name for path in home.iterdir()] == ["sweep"]
    published = sorted(path.relative_to(home / "sweep") for path in (home / "sweep").rglob("*_v1.onnx"))
    assert [str(path) for path in published] == [f"trials/00{n}/model/toy_v1.onnx" for n in (1, 5)]


def test_the_files_hold_what_the_table_shows(whole: tuple[Path, tuple[TrialResult, ...]]) -> None:
    home, results = whole
    folder = home / "sweep"
    kept = json.loads((folder / "results.json").read_text())
    best = best_trial(results)
    assert best is not None
    assert best.value == max(results[0].value or 0, results[4].value or 0)
    assert kept["best"] == best.number
    assert [row["state"] for row in kept["trials"]] == list(ENDS.values())
    assert kept["trials"][4]["differences"] == ["fit.seed: 1 -> 5"]
    with (folder / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["fit.seed"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert float(rows[0]["iou"]) == results[0].metrics["iou"]
    assert rows[2]["iou"] == ""
    assert results_table(plan(), results).row_count == 5
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_config_reads_back_as_a_config_of_its_own(
    whole: tuple[Path, tuple[TrialResult, ...]],
) -> None:
    home, results = whole
    best = best_trial(results)
    assert best is not None
    config = load_config(ToyConfig, home / "sweep" / "best.yaml")
    assert config == plan().points[best.number - 1].config
    assert yaml.safe_load((home / "sweep" / "best.yaml").read_text())["fit"]["epochs"] == 1


def test_what_was_held_fixed_is_told_from_the_records(
    whole: tuple[Path, tuple[TrialResult, ...]],
) -> None:
    _, results = whole
    line = fixed_line(plan(), results)
    assert line.startswith("held fixed, by the records of 3 trials: ")
    assert "(varied: fit.seed), data dddddddddddd" in line
    other_data = [*results[:4], results[4].model_copy(update={"data_digest": "1" * 64})]
    assert "NOT held fixed: trial 5: data: 'dddd" in fixed_line(plan(), other_data)
    config = {**results[4].config, "smoke": True}
    strayed = [*results[:4], results[4].model_copy(update={"config": config})]
    assert fixed_line(plan(), strayed) == "NOT held fixed: trial 5: smoke: False -> True"
    assert "nothing to compare" in fixed_line(plan(), results[2:4])


class Stopped(BaseException):
    """Stands for a kill."""


class StopIn(SilentReporter):
    """Stops at the first step of a trial."""

    def __init__(self, trial: str) -> None:
        self.trial = trial
        self.here = False

    def stage(self, text: str) -> None:
        self.here = self.here or text.startswith(f"trial {self.trial} (")

    def step(self, epoch: int, loss: float) -> None:
        if self.here:
            raise Stopped


def test_a_stopped_sweep_of_real_runs_goes_on_where_it_was(tmp_path: Path) -> None:
    lists = ("gate.min_value=0.3,1.5",)
    with pytest.raises(Stopped):
        sweep_toys(tmp_path / "s", *lists, reporter=StopIn("2"))
    model = tmp_path / "s" / "trials" / "001" / "model" / "toy_v1.onnx"
    before = model.stat().st_mtime_ns
    results = sweep_toys(tmp_path / "s", *lists, resume=True)
    assert [result.state for result in results] == ["done", "gate not met"]
    # The gate changes no weight, so the stopped trial must have ended as the whole one did.
    assert results[0].value == results[1].value
    assert model.stat().st_mtime_ns == before
    assert fixed_line(plan(*lists), results).startswith("held fixed, by the records of 2 trials")


@pytest.mark.usefixtures("quick")
def test_a_resumed_sweep_keeps_what_is_done_and_tries_a_mishap_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = ("fit.seed=1,3,4",)
    before = sweep_toys(tmp_path / "s", *lists)
    assert [result.state for result in before] == ["done", "diverged", "failed"]
    tried = []

    def mended(plugin: Any, config: TaskConfig, paths: RunPaths, **options: Any) -> RunRecord:
        tried.append(config.fit.seed)
        return quick_run(plugin, load_config(ToyConfig, None, ("fit.seed=9",)), paths, **options)

    monkeypatch.setattr("vmaf_train.sweep.run", mended)
    after = sweep_toys(tmp_path / "s", *lists, resume=True)
    assert tried == [4]
    assert [result.state for result in after] == ["done", "diverged", "done"]
    assert after[:2] == before[:2]


@pytest.mark.usefixtures("quick")
def test_fewer_trials_are_each_another_point_and_the_same_after_a_stop(tmp_path: Path) -> None:
    lists = ("fit.seed=1,5,6", "optimiser.lr=0.05,0.1")
    straight = sweep_toys(tmp_path / "a", *lists, trials=5)
    assert len({result.number for result in straight}) == 5
    assert figures(sweep_toys(tmp_path / "b", *lists, trials=5)) == figures(straight)
    with pytest.raises(Stopped):
        sweep_toys(tmp_path / "c", *lists, trials=5, reporter=StopIn(str(straight[1].number)))
    assert len({result.number for result in sweep_toys(tmp_path / "c", *lists, trials=5, resume=True)}) == 5


def test_another_plan_or_a_strange_folder_is_refused(
    tmp_path: Path, whole: tuple[Path, tuple[TrialResult, ...]]
) -> None:
    home, _ = whole
    before = sorted(path.name for path in (home / "sweep").iterdir())
    with pytest.raises(ConfigError, match="go on with that sweep by --resume"):
        sweep_toys(home / "sweep")
    with pytest.raises(ConfigError, match="other values, settings or trials"):
        sweep_toys(home / "sweep", "fit.seed=1,2", resume=True)
    assert sorted(path.name for path in (home / "sweep").iterdir()) == before
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="something else there"):
        sweep_toys(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["letter.txt"]


@pytest.mark.usefixtures("quick")
def test_a_refusal_is_tried_again_unless_the_config_alone_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: dict[int, type[VmafTrainError]] = {1: ConfigError, 5: ContractError, 6: DataError}
    tried: list[int] = []

    def refusing(plugin: Any, config: TaskConfig, paths: RunPaths, **options: Any) -> RunRecord:
        tried.append(config.fit.seed)
        if config.fit.seed in refusals:
            kind = refusals[config.fit.seed]
            raise kind("the thing", expected="luck", found="none", next_step="go on")
        return quick_run(plugin, config, paths, **options)

    monkeypatch.setattr("vmaf_train.sweep.run", refusing)
    lists = ("fit.seed=1,5,6",)
    before = sweep_toys(tmp_path / "s", *lists)
    assert [result.state for result in before] == ["refused", "refused", "failed"]
    assert [result.settled for result in before] == [False, True, False]
    tried.clear()
    refusals.clear()
    after = sweep_toys(tmp_path / "s", *lists, resume=True)
    assert tried == [1, 6]
    assert [result.state for result in after] == ["done", "refused", "done"]


@pytest.mark.usefixtures("quick")
def test_a_kill_between_the_choice_of_a_trial_and_its_start_shifts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    lists = ("fit.seed=1,5,6",)

    def killed(study: optuna.Study, *_: Any) -> optuna.Trial:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "ask", killed)
        for resume in (False, True):
            with pytest.raises(Stopped):
                sweep_toys(tmp_path / "s", *lists, resume=resume)
    results = sweep_toys(tmp_path / "s", *lists, resume=True)
    assert [(result.choices["fit.seed"], result.state) for result in results] == [
        ("1", "done"),
        ("5", "done"),
        ("6", "done"),
    ]


@pytest.mark.usefixtures("quick")
def test_a_damaged_store_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        sweep_toys(tmp_path / "s", reporter=StopIn("2"))
    store = tmp_path / "s" / "trials.db"
    whole = store.read_bytes()
    damages: list[Callable[[], object]] = [
        lambda: store.write_bytes(b"no database" * 99),
        lambda: changed(store, "update trial_user_attributes set value_json = '{'"),
        lambda: changed(store, "update trial_user_attributes set value_json = '{\"number\": 1}'"),
        lambda: changed(store, "update trials set state = 'ODD'"),
        lambda: changed(store, "update trial_params set param_value = 99"),
    ]
    for damage in damages:
        store.write_bytes(whole)
        damage()
        with pytest.raises(PublishError, match=r"trials.db: expected the trials of a sweep") as refused:
            sweep_toys(tmp_path / "s", resume=True)
        assert "\n" not in str(refused.value)


def changed(store: Path, statement: str) -> None:
    """Change a database as another program would."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["ask", "tell"])
def test_a_disk_without_room_for_the_store_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import optuna

    def full(*_: Any, **__: Any) -> None:
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.OperationalError as error:
            raise optuna.exceptions.StorageInternalError("An exception is raised") from error

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, name, full)
        with pytest.raises(PublishError, match=r"found database or disk is full; free the disk and go on"):
            sweep_toys(tmp_path / "s", "fit.seed=1,5")
    results = sweep_toys(tmp_path / "s", "fit.seed=1,5", resume=True)
    assert [result.state for result in results] == ["done", "done"]


@pytest.mark.usefixtures("quick")
def test_of_two_sweeps_in_one_folder_the_second_leaves_the_plan_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    with FileLock(folder / ".lock"):  # the first one holds it and has not yet written its plan
        with pytest.raises(ConfigError, match="a sweep that goes on there"):
            sweep_toys(folder, "fit.seed=5,6")
        assert not (folder / "plan.json").exists()
    acquire = FileLock.acquire

    def outrun(lock: FileLock, *arguments: Any, **options: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(FileLock, "acquire", acquire)
            sweep_toys(folder, "fit.seed=1,5")
        monkeypatch.setattr(FileLock, "acquire", acquire)
        return acquire(lock, *arguments, **options)

    monkeypatch.setattr(FileLock, "acquire", outrun)
    with pytest.raises(ConfigError, match="one that holds a sweep"):
        sweep_toys(folder, "fit.seed=5,6")
    assert '"fit.seed": "1"' in (folder / "plan.json").read_text()


def test_a_sweep_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="a sweep folder that can be written"):
        sweep_toys(tmp_path / "file" / "s")


def test_a_config_that_the_task_refuses_stops_the_sweep_before_its_folder_is_made(tmp_path: Path) -> None:
    class Choosy(ToyTask):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if config.fit.seed == 2:
                raise ConfigError("seed 2", expected="luck", found="none", next_step="take another")

    with pytest.raises(ConfigError, match="seed 2"):
        sweep_toys(tmp_path / "s", plugin=replace(toy_plugin(), create=Choosy))
    assert not (tmp_path / "s").exists()


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'vmaf-train\[sweep\]'"):
        sweep_toys(tmp_path / "s")
    assert not (tmp_path / "s").exists()
