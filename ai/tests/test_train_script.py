"""The published reproducer keeps its flags and is one call of the pipeline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pairs.made_files import toy_set
from vmaf_train.run_record import RunRecord

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_saliency_student.py"


@pytest.fixture(scope="module")
def main() -> Callable[[list[str]], int]:
    spec = importlib.util.spec_from_file_location("train_saliency_student", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entry: Callable[[list[str]], int] = module.main
    return entry


def test_the_published_flags_reach_the_run(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = f"""--duts-root {toy_set(tmp_path / "set", 6)} --output out/saliency_student_v1.onnx
        --epochs 1 --batch-size 2 --lr 2e-3 --seed 3 --metrics-out artifacts/train.json --docs-dir docs"""
    code = main(flags.split())
    errors = capsys.readouterr().err
    # One epoch of six made-up pairs is an honest failure of the gate or, rarely, a pass.
    assert code in (0, 3), errors
    config = (tmp_path / "build" / "runs" / "saliency_student_v1" / "001" / "config.yaml").read_text()
    for line in ("id: saliency_student_v1", "  epochs: 1", "  batch_size: 2", "  lr: 0.002", "  seed: 3"):
        assert line in config
    if code == 0:
        text = (tmp_path / "artifacts" / "train.json").read_text()
        assert RunRecord.model_validate(json.loads(text)).id == "saliency_student_v1"
        assert (tmp_path / "out" / "saliency_student_v1.onnx").is_file()
    else:
        assert (tmp_path / "docs" / "saliency_student_v1_failed.md").is_file()
        assert not (tmp_path / "out" / "saliency_student_v1.onnx").exists()


def test_a_missing_root_is_one_line_and_exit_code_2(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--duts-root", "nowhere"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert "nowhere" in errors
    assert main(["--duts-root", "nowhere", "--output", "x.bin"]) == 2
