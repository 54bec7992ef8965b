"""A file is judged by the config that made it, unless another is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toy import TOY_SPEC, ToyConfig, toy_plugin
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError
from vmaf_train.file_contract import file_contract
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.quantise import quantise, with_added_ops
from vmaf_train.report import SilentReporter

PLUGIN = toy_plugin(spec=replace(TOY_SPEC, metric_input=torch.logit))
TOLERANCE = 0.01
"""A setting that shows which config was taken: the toy's own is smaller."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = load_config(ToyConfig, overrides=[f"export.max_abs_diff={TOLERANCE}"])
    run(PLUGIN, config, RunPaths(tmp_path / "run", tmp_path / "models", tmp_path / "docs"))
    return tmp_path / "models" / "toy_v1.onnx"


def tolerance(model: Path, config: str | None = None) -> float:
    return file_contract(PLUGIN, model, config)[1].max_abs_diff


def test_the_config_of_its_record_decides(model: Path) -> None:
    assert tolerance(model) == TOLERANCE


def test_a_named_config_goes_before_the_record(model: Path, tmp_path: Path) -> None:
    named = tmp_path / "mine.yaml"
    named.write_text("export: {max_abs_diff: 0.003}\n")
    assert tolerance(model, str(named)) == 0.003


def test_without_its_record_the_own_config_of_the_task_decides(model: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy.onnx"
    elsewhere.write_bytes(model.read_bytes())
    assert tolerance(elsewhere) == load_config(ToyConfig).export.max_abs_diff


def test_a_record_of_other_bytes_is_not_believed(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"\0")
    assert tolerance(model) == load_config(ToyConfig).export.max_abs_diff


def test_the_8_bit_form_may_hold_what_rounds(model: Path) -> None:
    root = model.parent
    quantise(
        PLUGIN,
        "toy_v1",
        (),
        model_dir=root,
        docs_dir=root.parent / "docs",
        calibration=4,
        max_fall=0.1,
        threads=1,
        reporter=SilentReporter(),
    )
    small, _ = file_contract(PLUGIN, root / "toy_v1.int8.onnx")
    plain, _ = file_contract(PLUGIN, model)
    assert plain.ops == TOY_SPEC.ops
    assert small.ops == with_added_ops(TOY_SPEC).ops


def test_a_config_that_is_not_there_is_an_error(model: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        file_contract(PLUGIN, model, "absent")
