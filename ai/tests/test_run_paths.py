from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command_line import Told
from toy import toy_plugin
from vmaf_train import run_paths
from vmaf_train.config import Section, TaskConfig
from vmaf_train.config_files import config_yaml
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.interruption import Stopped
from vmaf_train.run_paths import (
    choose_run_dir,
    default_config,
    default_output_dirs,
    docs_folder,
    owned_run_dir,
    require_data_folders,
    stopped_line,
)

INTERRUPT = Stopped(signal.SIGINT)


class Data(Section):
    root: Path | None = None
    extra_roots: tuple[Path, ...] = ()


class DataConfig(TaskConfig):
    data: Data = Data()


REAL, SMOKE = TaskConfig(id="a"), TaskConfig(id="a", smoke=True)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_smoke_model_goes_below_build_unless_told_otherwise() -> None:
    assert default_output_dirs(REAL, None, None) == (Path("model/tiny"), Path("docs/ai/models"))
    assert default_output_dirs(SMOKE, None, None) == (Path("build/model/tiny"), Path("build/docs/ai/models"))
    assert default_output_dirs(SMOKE, Path("m"), None) == (Path("m"), Path("m/docs"))
    assert default_output_dirs(REAL, None, Path("d")) == (Path("model/tiny"), Path("d"))


@pytest.mark.parametrize(
    ("overrides", "real"),
    [
        (("data.root=d",), True),
        (("data.root = d",), True),
        (("data={root: d}",), True),
        (("data={policy: drop}",), False),
        (("data={",), False),
        (("data.note=root",), False),
        ((), False),
    ],
)
def test_data_that_is_named_in_any_way_takes_the_recipe_and_none_the_demonstration(
    overrides: tuple[str, ...], real: bool
) -> None:
    plugin = replace(toy_plugin(), config_file="recipe", demo_config_file="demo")
    assert default_config(plugin, overrides, {}) == ("recipe" if real else "demo")


def test_each_model_folder_has_a_docs_folder_of_its_own() -> None:
    beside = {"model/tiny": "docs/ai/models", "build/model/tiny/": "build/docs/ai/models"}
    beside |= {"/a/model/tiny": "/a/docs/ai/models", "../model/tiny": "../docs/ai/models"}
    within = {"models": "models/docs", "tiny": "tiny/docs", "model/small": "model/small/docs"}
    for models, docs in (beside | within).items():
        assert docs_folder(Path(models)) == Path(docs)
    assert default_output_dirs(REAL, None, Path("d")) == (Path("model/tiny"), Path("d"))


def test_a_model_folder_is_enough_for_every_command_that_needs_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vmaf_train.cli.load_task", lambda _: toy_plugin())
    for folder, pages in (("a/model/tiny", "a/docs/ai/models"), ("b", "b/docs")):
        assert told("run", "toy", "--model-dir", folder).code == 0
        assert Path(pages, "toy_v1.md").is_file()
        for words in (("card", "toy_v1"), ("card", "toy_v1", "--check"), ("verify",)):
            answer = told(*words, "--model-dir", folder)
            assert (answer.code, answer.err) == (0, ""), answer.out
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "build"}


def test_a_run_gets_the_next_number_and_a_resumed_one_the_newest() -> None:
    home = Path("build/runs/a")
    assert choose_run_dir(REAL, None, resume=False) == home / "001"
    assert choose_run_dir(REAL, None, resume=True) == home / "001"
    for name in ("001", "012", "notes", "²", "٣", "13x", "build"):
        (home / name).mkdir(parents=True)
    assert choose_run_dir(REAL, None, resume=False) == home / "013"
    assert choose_run_dir(REAL, None, resume=True) == home / "012"


def test_a_named_run_folder_is_taken_as_it_is() -> None:
    for resume in (False, True):
        assert choose_run_dir(REAL, Path("here"), resume=resume) == Path("here")


def test_a_data_folder_that_is_not_there_is_named() -> None:
    Path("there").mkdir()
    Path("file").write_text("x")
    require_data_folders(REAL)
    require_data_folders(DataConfig(id="a"))
    require_data_folders(DataConfig(id="a", data=Data(root=Path("there"), extra_roots=(Path("there"),))))
    for data, fault in (
        (Data(root=Path("absent")), "absent: .*nothing there"),
        (Data(root=Path("file")), "file: .*found a file"),
        (Data(root=Path("there"), extra_roots=(Path("gone"),)), "gone: .*nothing there"),
    ):
        with pytest.raises(ConfigError, match=fault):
            require_data_folders(DataConfig(id="a", data=data))


def test_a_run_folder_in_use_is_refused_and_the_run_in_it_goes_on() -> None:
    run_dir = Path("run")
    with owned_run_dir(run_dir, REAL, resume=False):
        for _ in range(2):
            with (
                pytest.raises(ConfigError, match="a run that goes on there"),
                owned_run_dir(run_dir, REAL, resume=True),
            ):
                pass
    with owned_run_dir(run_dir, REAL, resume=True):
        pass


def test_a_config_that_stands_is_replaced_only_when_it_is_said_to_be_of_the_same_run() -> None:
    run_dir = Path("run")
    with owned_run_dir(run_dir, REAL, resume=False):
        first = (run_dir / "config.yaml").read_bytes()
    with owned_run_dir(run_dir, SMOKE, resume=True) as keep_config:
        assert (run_dir / "config.yaml").read_bytes() == first
        keep_config()
        assert (run_dir / "config.yaml").read_text() == config_yaml(SMOKE)


def fail_in(run_dir: Path, *, resume: bool = False) -> None:
    fault = ConfigError("fit.batch_size", expected="less", found="more", next_step="lower it")
    with contextlib.suppress(ConfigError), owned_run_dir(run_dir, REAL, resume=resume):
        (run_dir / "left_out.txt").write_text("a.jpg: truncated\n")
        raise fault


def test_a_run_that_left_nothing_to_go_on_with_leaves_its_folder_as_it_found_it() -> None:
    Path("empty").mkdir()
    for run_dir in (Path("empty"), Path("absent/run")):
        for _ in range(2):  # the command may be corrected and given again
            fail_in(run_dir)
    assert list(Path("empty").iterdir()) == []
    assert not Path("absent").exists()


def test_a_folder_with_something_to_go_on_with_is_kept() -> None:
    with owned_run_dir(Path("run"), REAL, resume=False):
        (Path("run") / "checkpoints").mkdir()
    fail_in(Path("run"), resume=True)
    assert {path.name for path in Path("run").iterdir()} >= {"checkpoints", "config.yaml"}


@pytest.mark.parametrize("goes_on", [True, False])
def test_of_two_runs_that_find_one_empty_folder_at_once_one_gets_it(
    monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    run_dir, others = Path("run"), contextlib.ExitStack()
    look = run_paths._require_unused

    def looked(*arguments: Any, **options: Any) -> None:
        look(*arguments, **options)
        monkeypatch.setattr(run_paths, "_require_unused", look)
        others.enter_context(owned_run_dir(run_dir, REAL, resume=False))
        if not goes_on:
            others.close()

    monkeypatch.setattr(run_paths, "_require_unused", looked)
    found = "a run that goes on there" if goes_on else "an empty run folder, found one that holds config.yaml"
    with others, pytest.raises(ConfigError, match=found), owned_run_dir(run_dir, SMOKE, resume=False):
        pass
    assert (run_dir / "config.yaml").read_text() == config_yaml(REAL)


def test_a_run_folder_that_cannot_be_made_is_one_line() -> None:
    Path("file").write_text("x")
    for resume in (False, True):
        with (
            pytest.raises(PublishError, match=r"file/run: expected a run folder that can be written"),
            owned_run_dir(Path("file/run"), REAL, resume=resume),
        ):
            pass


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["run", "toy"], "run toy --run-dir 'my runs/3' --resume"),
        (["run", "toy", "--run-dir", "r"], "run toy --run-dir r --resume"),
        (["run", "toy", "--run-dir=r", "--resume"], "run toy --run-dir=r --resume"),
        (["run", "toy", "--set", "data.note=it's mine"], "--run-dir 'my runs/3' --resume"),
    ],
)
def test_a_stopped_run_tells_the_whole_command_that_goes_on_with_it(words: list[str], rest: str) -> None:
    line = stopped_line(INTERRUPT, ["bin/vmaf-train", *words], Path("my runs/3"))
    assert line.startswith("stopped by SIGINT; go on with: bin/vmaf-train run toy ")
    assert line.endswith(rest)


def test_the_command_names_the_program_as_it_can_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vmaf-train"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    for first, start in (
        (os.fspath(program), "vmaf-train run"),
        ("/elsewhere/vmaf-train", "/elsewhere/vmaf-train run"),
        ("/lib/vmaf_train/__main__.py", "python -m vmaf_train run"),
        ("ai/scripts/a.py", "python ai/scripts/a.py run"),
    ):
        line = stopped_line(INTERRUPT, [first, "run"], None)
        assert line == f"stopped by SIGINT; go on with: {start} --resume"
