"""Whatever model/tiny ships is loadable, allowed, and what its registry row says. Nothing is skipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from repeated import repeated
from vmaf_train.config_files import default_values
from vmaf_train.config_record import config_differences, recorded_config
from vmaf_train.discovery import load_task
from vmaf_train.files import sha256_bytes
from vmaf_train.op_allowlist import check_model
from vmaf_train.registry import ModelEntry, load_registry, load_sidecar
from vmaf_train.verify import verify_problems

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "model" / "tiny"
ROWS = load_registry(MODELS).models


def test_something_ships_and_everything_agrees() -> None:
    assert ROWS
    assert verify_problems(MODELS, ROOT / "docs" / "ai" / "models") == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_op_check_takes_it_and_reads_the_recorded_operators(row: ModelEntry) -> None:
    report = check_model(MODELS / row.onnx)
    report.require()
    export = load_sidecar(MODELS, row.id).record.export
    assert export is not None
    assert (report.ops, report.opset, report.nodes) == (export.ops, row.opset, export.nodes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_it_maps_frames_of_every_size_that_its_card_allows(row: ModelEntry) -> None:
    export = load_sidecar(MODELS, row.id).record.export
    assert export is not None
    session = onnxruntime.InferenceSession(MODELS / row.onnx, providers=["CPUExecutionProvider"])
    step = export.size_multiple
    for height, width in ((1, 1), (1, 3), (9, 5), (34, 60)):
        size = (height * step, width * step)
        if min(size) < export.min_size:
            continue
        image = np.random.default_rng(1).normal(size=(1, 3, *size)).astype(np.float32)
        (found,) = session.run([export.outputs[0].name], {export.inputs[0].name: image})
        assert found.shape == (1, 1, *size)
        assert np.isfinite(found).all()
        assert found.min() >= 0.0
        assert found.max() <= 1.0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_its_recorded_config_is_the_one_of_its_digest_with_nothing_of_a_machine(row: ModelEntry) -> None:
    record = load_sidecar(MODELS, row.id).record
    text = json.dumps(record.config, sort_keys=True, allow_nan=False)
    assert sha256_bytes(text.encode()) == record.config_digest


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_command_on_its_card_leads_to_the_config_that_made_it(row: ModelEntry) -> None:
    record = load_sidecar(MODELS, row.id).record
    config = repeated(load_task(record.task), record.reproducer.split("\n")[-1])
    assert config_differences(record.config, recorded_config(config), default_values(type(config))) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_its_record_proves_what_the_gate_asks(row: ModelEntry) -> None:
    record = load_sidecar(MODELS, row.id).record
    assert record.gate.passed or (row.smoke and not record.gate.applied)
    assert record.export is not None
    assert record.export.worst_parity <= record.export.parity_limit <= 1e-5
