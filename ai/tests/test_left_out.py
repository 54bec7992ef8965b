from __future__ import annotations

from pathlib import Path

import pytest

from toy import ToyConfig, ToyTask, toy_plugin
from vmaf_train.config_files import load_config
from vmaf_train.errors import GateError
from vmaf_train.left_out import name_left_out
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.report import SilentReporter
from vmaf_train.task import DataSplits, StageProgress, TaskPlugin

LINES = tuple(f"{number}.jpg (unreadable: cut off)" for number in range(7))


class Listening(SilentReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, text: str) -> None:
        self.said.append(text)


def test_the_first_names_are_said_and_all_are_kept(tmp_path: Path) -> None:
    say = Listening()
    name_left_out(LINES, tmp_path, say)
    name_left_out(LINES[:1], tmp_path / "other", say)
    assert "4.jpg" in say.said[0]
    assert "5.jpg" not in say.said[0]
    assert say.said[0].endswith(f" and 2 more; all in {tmp_path / 'left_out.txt'}")
    assert say.said[1].endswith(f"0.jpg (unreadable: cut off); all in {tmp_path / 'other' / 'left_out.txt'}")
    assert (tmp_path / "left_out.txt").read_text().splitlines() == list(LINES)


def test_an_attempt_that_leaves_nothing_out_leaves_no_list_and_says_nothing(tmp_path: Path) -> None:
    say = Listening()
    name_left_out(LINES, tmp_path, SilentReporter())
    name_left_out((), tmp_path, say)
    assert list(tmp_path.iterdir()) == []
    assert say.said == []


def test_a_run_keeps_the_names_in_its_folder_and_publishes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(ToyTask):
        def load_data(self, progress: StageProgress) -> DataSplits:
            splits = super().load_data(progress)
            return DataSplits(splits.train, splits.val, splits.provenance, LINES)

    say = Listening()
    plugin = TaskPlugin("toy", toy_plugin().summary, ToyConfig, Faulty)
    monkeypatch.setattr("vmaf_train.pipeline.preflight", lambda *_, **__: None)  # takes long
    config = load_config(ToyConfig, None, ("gate.min_value=1.5", "fit.epochs=1"))
    paths = RunPaths(tmp_path / "run", tmp_path / "models", tmp_path / "docs")
    with pytest.raises(GateError):
        run(plugin, config, paths, reporter=say)
    assert (paths.run_dir / "run_record.json").is_file()
    assert (paths.docs_dir / "toy_v1_failed.md").is_file()
    assert any("left out: 0.jpg" in text for text in say.said)
    holding = [path.name for path in tmp_path.rglob("*") if path.is_file() and b"0.jpg" in path.read_bytes()]
    assert holding == ["left_out.txt"]
