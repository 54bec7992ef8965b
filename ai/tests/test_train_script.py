"""The published reproducer keeps its flags and is one call of the pipeline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pairs.made_files import toy_set
from vmaf_train.errors import GateError
from vmaf_train.files import write_atomic
from vmaf_train.pipeline import RunPaths
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
    record = RunRecord.model_validate(json.loads((tmp_path / "artifacts" / "train.json").read_text()))
    assert (record.id, record.gate.passed) == ("saliency_student_v1", code == 0)
    if code == 0:
        assert (tmp_path / "out" / "saliency_student_v1.onnx").is_file()
    else:
        assert (tmp_path / "docs" / "saliency_student_v1_failed.md").is_file()
        assert not (tmp_path / "out" / "saliency_student_v1.onnx").exists()


def test_the_record_of_a_run_whose_gate_is_not_met_is_copied_too(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(plugin: Any, config: Any, paths: RunPaths, **_: Any) -> RunRecord:
        write_atomic(paths.run_dir / "run_record.json", "the record")
        raise GateError("the gate", expected="0.5", found="0.1", next_step="no weights were emitted")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(main.__globals__, "run", refused)
    assert main(["--duts-root", ".", "--metrics-out", "artifacts/train.json"]) == 3
    assert (tmp_path / "artifacts" / "train.json").read_text() == "the record"
    assert capsys.readouterr().err.startswith("error: the gate: ")


def test_a_process_that_torchrun_started_beside_another_takes_part_and_writes_nothing(
    main: Callable[[list[str]], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, bool]] = []

    def part(plugin: Any, config: Any, *, resume: bool) -> None:
        taken.append((config.id, resume))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(main.__globals__, "follow", part)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["--duts-root", ".", "--output", "m/foo.onnx", "--resume"]) == 0
    assert taken == [("foo", True)]
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_could_not_be_written_is_refused_before_the_run(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for target in (".", "file/train.json"):
        assert main(["--duts-root", str(toy_set(tmp_path / "set", 2)), "--metrics-out", target]) == 2
        assert capsys.readouterr().err.startswith("error: --metrics-out: expected a file that can be written")
    assert not (tmp_path / "build").exists()


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
    assert not (tmp_path / "build").exists()
