"""The task is found, learns enough to pass its gate, and gives a file that the loader takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmaf_train import RunPaths, check_model, load_config, load_task, run
from vmaf_train.errors import GateError
from vmaf_train.verify import verify_problems


def test_the_task_learns_and_its_file_is_accepted(tmp_path: Path) -> None:
    plugin = load_task("noise_level")
    paths = RunPaths(tmp_path / "run", tmp_path / "models", tmp_path / "docs")
    record = run(plugin, load_config(plugin.config_type), paths)
    assert record.gate.passed
    assert check_model(tmp_path / "models" / f"{record.id}.onnx").ok
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []


def test_a_task_that_has_learned_too_little_emits_nothing(tmp_path: Path) -> None:
    plugin = load_task("noise_level")
    paths = RunPaths(tmp_path / "run", tmp_path / "models", tmp_path / "docs")
    config = load_config(plugin.config_type, None, ["fit.epochs=1", "optimiser.lr=1e-6"])
    with pytest.raises(GateError, match="r2 of at least"):
        run(plugin, config, paths)
    assert list(paths.model_dir.glob("*.onnx")) == []
