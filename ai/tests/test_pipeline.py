"""The whole path, on a toy: everything is published, or nothing is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from records import tiny_model
from toy import TOY_SPEC, Agreement, ToyConfig, ToyNet, ToySamples, ToyTask, toy_plugin
from vmaf_train import pipeline
from vmaf_train.config import ExportConfig
from vmaf_train.config_files import load_config
from vmaf_train.errors import (
    ConfigError,
    ContractError,
    DataError,
    DivergenceError,
    GateError,
    PublishError,
    VmafTrainError,
)
from vmaf_train.files import sha256_file
from vmaf_train.onnx_export import ExportedModel, check_contract
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.registry import load_registry, load_sidecar
from vmaf_train.run_record import RunRecord
from vmaf_train.task import DataSplits, StageProgress, TaskPlugin
from vmaf_train.verify import verify_problems


def paths(root: Path, number: int = 1) -> RunPaths:
    return RunPaths(root / f"run{number}", root / "models", root / "docs")


def run_toy(
    root: Path,
    *changes: str,
    plugin: TaskPlugin[ToyConfig] | None = None,
    number: int = 1,
    **options: Any,
) -> RunRecord:
    config = load_config(ToyConfig, None, changes)
    return run(plugin or toy_plugin(), config, paths(root, number), **options)


def contents(root: Path) -> dict[str, bytes]:
    """Every published file by name; the lock of the folder is nothing published."""
    folders = (root / "models", root / "docs")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".publish.lock"
    }


def test_a_run_publishes_everything_and_verify_agrees(tmp_path: Path) -> None:
    record = run_toy(tmp_path)
    assert set(contents(tmp_path)) == {
        "models/registry.json",
        "models/registry.schema.json",
        "models/LICENSE",
        "models/README.md",
        "models/toy_v1.onnx",
        "models/toy_v1.json",
        "models/toy_v1_card.md",
        "docs/toy_v1.md",
        "docs/toy_v1_curves.svg",
    }
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []
    assert load_sidecar(tmp_path / "models", "toy_v1").record == record
    assert record.export is not None
    assert record.export.sha256 == sha256_file(tmp_path / "models" / "toy_v1.onnx")
    assert record.gate.passed
    assert record.training.steps == 6
    assert record.data is not None
    assert record.data.train == 12
    for name in ("config.yaml", "curves.png", "contact_sheet.png", "metrics.jsonl", "run_record.json"):
        assert (tmp_path / "run1" / name).stat().st_size > 0


def test_nothing_published_names_a_path_of_this_machine(tmp_path: Path) -> None:
    run_toy(tmp_path)
    for name, data in contents(tmp_path).items():
        for text in (str(tmp_path), str(Path.home()), str(Path.cwd())):
            assert text.encode() not in data, name


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path: Path) -> None:
    digests = [
        run_toy(tmp_path, f"id=toy_{number}", f"fit.seed={seed}", number=number).export
        for number, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] is not None
    assert digests[1] is not None
    assert digests[2] is not None
    assert digests[0].sha256 == digests[1].sha256 != digests[2].sha256


def test_below_the_gate_only_a_failure_page_is_written(tmp_path: Path) -> None:
    run_toy(tmp_path, "id=other")
    before = contents(tmp_path)
    with pytest.raises(GateError, match=r"agreement of at least 1.5, found 0\.\d+; no weights") as failure:
        run_toy(tmp_path, "gate.min_value=1.5", number=2)
    assert failure.value.exit_code == 3
    new = {name for name in contents(tmp_path) if name not in before}
    assert new == {"docs/toy_v1_failed.md", "docs/toy_v1_failed_curves.svg"}
    assert all(contents(tmp_path)[name] == data for name, data in before.items())
    assert "1.5" in (tmp_path / "docs" / "toy_v1_failed.md").read_text()


class NanAtTheEnd(Agreement):
    """A number while training, NaN when the chosen weights are measured for the gate."""

    measured = 0

    def compute(self) -> dict[str, float]:
        type(self).measured += 1
        return {"agreement": math.nan if type(self).measured > 2 else 0.9}


def test_nan_never_passes_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toy.Agreement", NanAtTheEnd)
    with pytest.raises(GateError, match="found no finite number"):
        run_toy(tmp_path, "gate.min_value=-5")
    assert load_registry(tmp_path / "models").models == ()
    assert "proves nothing" in (tmp_path / "docs" / "toy_v1_failed.md").read_text()


class NanAfterTraining(ToyNet):
    """Its output is NaN in inference alone, so that no loss tells."""

    def forward(self, image: Tensor) -> Tensor:
        output = super().forward(image)
        return output if self.training else output * math.nan


def test_a_net_that_is_nan_in_inference_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(VmafTrainError):
        run_toy(tmp_path, plugin=toy_plugin(network=NanAfterTraining))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("factor", "found"),
    [(1.001, r"at most 1e-05 between PyTorch and ONNX Runtime"), (math.nan, "finite values from 0 to 1")],
)
def test_a_file_that_is_not_the_trained_net_is_not_published_and_the_line_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, found: str
) -> None:
    def exported(network: nn.Module, *_: object) -> ExportedModel:
        model = onnx.load_model_from_string(tiny_model())
        exact = 1.0 if "trained" not in trained else factor
        for tensor, weight in zip(model.graph.initializer, network.state_dict().values(), strict=True):
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight.numpy() * np.float32(exact), tensor.name))
        data = model.SerializeToString()
        return ExportedModel(data, check_contract(data, TOY_SPEC, ExportConfig()))

    def proved(*arguments: Any) -> Any:
        trained.add("trained")
        return real(*arguments)

    trained: set[str] = set()
    real = pipeline.prove_quality
    monkeypatch.setattr(pipeline, "export_onnx", exported)
    monkeypatch.setattr(pipeline, "prove_quality", proved)
    with pytest.raises(
        ContractError, match=rf"the ONNX file at \d+x\d+ on \w+ values: expected {found}"
    ) as end:
        run_toy(tmp_path, "gate.min_value=0", plugin=toy_plugin(network=lambda: nn.Conv2d(3, 1, 1)))
    assert end.value.exit_code == 1
    assert contents(tmp_path) == {}
    assert not (tmp_path / "run1" / "model.onnx").exists()


def test_a_diverged_run_publishes_nothing(tmp_path: Path) -> None:
    class Explosive(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image) * (math.inf if self.training else 1.0)

    with pytest.raises(DivergenceError, match="epoch 1 step 1"):
        run_toy(tmp_path, plugin=toy_plugin(network=Explosive))
    assert contents(tmp_path) == {}


def test_an_id_that_is_taken_is_refused_before_training(tmp_path: Path) -> None:
    run_toy(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="replace it with --replace"):
        run_toy(tmp_path, "fit.seed=2", number=2)
    assert contents(tmp_path) == before
    assert not (tmp_path / "run2").exists()


def test_replacing_leaves_one_row_of_the_new_file(tmp_path: Path) -> None:
    old = run_toy(tmp_path)
    new = run_toy(tmp_path, "fit.seed=2", number=2, replace=True)
    (row,) = load_registry(tmp_path / "models").models
    assert old.export is not None
    assert new.export is not None
    assert row.sha256 == new.export.sha256 != old.export.sha256
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []


def test_a_smoke_model_never_takes_the_place_of_a_real_one(tmp_path: Path) -> None:
    run_toy(tmp_path)
    with pytest.raises(ConfigError, match="a smoke model never replaces a real one"):
        run_toy(tmp_path, "smoke=true", "fit.seed=2", number=2, replace=True)


def test_a_failing_preflight_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", missing)
    with pytest.raises(ConfigError, match="onnxscript"):
        run_toy(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_forbidden_operator_stops_the_run_before_the_first_epoch(tmp_path: Path) -> None:
    class Floored(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            return torch.floor(super().forward(image))

    with pytest.raises(VmafTrainError, match="Floor"):
        run_toy(tmp_path, plugin=toy_plugin(network=Floored))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_op_list_stops_the_run_before_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "nowhere" / "op_allowlist.c"
    monkeypatch.setattr("vmaf_train.op_allowlist.files.resource", lambda *_: missing)
    with pytest.raises(ConfigError, match=r"op_allowlist\.c"):
        run_toy(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_registry_stops_the_run_and_is_not_touched(tmp_path: Path) -> None:
    registry = tmp_path / "models" / "registry.json"
    registry.parent.mkdir()
    for damaged in (b"", b'{"schema_version": 1, "models": [{"id": NaN}]}', b"{\r\n"):
        registry.write_bytes(damaged)
        with pytest.raises(PublishError, match="it was not touched"):
            run_toy(tmp_path)
        assert registry.read_bytes() == damaged


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(PublishError, match="choose another with --model-dir"):
        run_toy(tmp_path)
    assert not (tmp_path / "run1").exists()


def test_a_used_run_folder_is_refused_unless_it_is_resumed(tmp_path: Path) -> None:
    run_toy(tmp_path)
    with pytest.raises(ConfigError, match="go on with that run by --resume"):
        run_toy(tmp_path, replace=True)


def test_a_run_that_fails_before_its_first_checkpoint_leaves_no_folder_behind(tmp_path: Path) -> None:
    class Unreadable(ToyTask):
        def load_data(self, progress: StageProgress) -> DataSplits:
            raise DataError("pairs", expected="pairs", found="none", next_step="add some")

    plugin = TaskPlugin("toy", "", ToyConfig, Unreadable)
    root = tmp_path / "runs" / "toy_v1"
    with pytest.raises(DataError):
        run(plugin, ToyConfig(), RunPaths(root / "001", tmp_path / "models", tmp_path / "docs"))
    assert list(tmp_path.iterdir()) == []
    (root / "001").mkdir(parents=True)
    with pytest.raises(DataError):
        run(plugin, ToyConfig(), RunPaths(root / "001", tmp_path / "models", tmp_path / "docs"))
    assert root.is_dir()


class Killed(BaseException):
    """Stands for a kill between two steps of the pipeline."""


@pytest.mark.parametrize("step", ["prove_quality", "export_and_check", "publish_model"])
def test_a_run_killed_after_training_ends_in_the_same_bytes_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    straight = run_toy(tmp_path / "straight")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, step, killed)
        with pytest.raises(Killed):
            run_toy(tmp_path)
    assert contents(tmp_path) == {}
    resumed = run_toy(tmp_path, resume=True)
    assert straight.export is not None
    assert resumed.export is not None
    assert resumed.export.sha256 == straight.export.sha256
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []


def test_a_run_that_was_published_can_be_resumed_without_replace(tmp_path: Path) -> None:
    first = run_toy(tmp_path)
    second = run_toy(tmp_path, resume=True)
    assert first.export == second.export
    assert second.training.resumed_at == ()
    assert len(load_registry(tmp_path / "models").models) == 1


def test_a_longer_run_replaces_its_shorter_self_only_when_told_before_training(tmp_path: Path) -> None:
    run_toy(tmp_path)
    longer = ("fit.epochs=3", "schedule.restarts=[2]")
    with pytest.raises(ConfigError, match="--replace"):
        run_toy(tmp_path, *longer, resume=True)
    assert len((tmp_path / "run1" / "metrics.jsonl").read_text().splitlines()) == 2
    config = tmp_path / "run1" / "config.yaml"
    before = config.read_bytes()
    with pytest.raises(ConfigError, match=r"fit.epochs: 2 -> 3"):
        run_toy(tmp_path, longer[0], resume=True, replace=True)
    assert config.read_bytes() == before
    record = run_toy(tmp_path, *longer, resume=True, replace=True)
    assert b"epochs: 3" in config.read_bytes()
    assert record.training.resumed_at == (2,)
    assert [epoch.epoch for epoch in record.training.history] == [1, 2, 3]


def test_an_untrained_model_must_say_smoke(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only a smoke model may be untrained"):
        run_toy(tmp_path, "fit.epochs=0")
    record = run_toy(tmp_path, "fit.epochs=0", "smoke=true")
    (row,) = load_registry(tmp_path / "models").models
    assert row.smoke
    assert not record.gate.applied
    assert record.training.steps == 0
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []


def test_too_few_pairs_are_named_and_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 32 training samples"):
        run_toy(tmp_path, "fit.batch_size=32", plugin=toy_plugin(train=ToySamples(10)))
    assert contents(tmp_path) == {}


def test_a_title_too_long_for_the_registry_is_refused_before_training(tmp_path: Path) -> None:
    plugin = toy_plugin()
    config = load_config(ToyConfig)
    task: Any = plugin.create(config)
    text = task.card_text().model_copy(update={"title": "t" * 257})
    task.card_text = lambda: text
    long_winded = TaskPlugin(name="toy", summary="", config_type=ToyConfig, create=lambda _: task)
    with pytest.raises(ConfigError, match="description: String should have at most 256 characters"):
        run(long_winded, config, paths(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_name_that_no_sidecar_takes_is_refused_before_training(tmp_path: Path) -> None:
    spec = replace(TOY_SPEC, output=replace(TOY_SPEC.output, name="quant_mode"))
    with pytest.raises(ConfigError, match=r"export spec of toy_v1: .*'quant_mode'"):
        run_toy(tmp_path, plugin=toy_plugin(spec=spec))
    assert list(tmp_path.iterdir()) == []


def test_the_run_record_is_strict_json(tmp_path: Path) -> None:
    run_toy(tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "run1" / "run_record.json").read_text()
    RunRecord.model_validate(json.loads(text, parse_constant=refuse))
