"""An 8-bit form ships only beside its model, measured as a file, and only if the metric holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from torch import Tensor

from records import altered, tiny_record, tiny_test
from toy import TOY_SPEC, Agreement, ToyConfig, ToySamples, toy_plugin
from vmaf_train.config_files import load_config
from vmaf_train.discovery import load_task
from vmaf_train.errors import ConfigError, GateError, PublishError
from vmaf_train.evaluation.attaching import attach
from vmaf_train.files import sha256_file
from vmaf_train.onnx_export import open_session
from vmaf_train.op_allowlist import check_model
from vmaf_train.page_pictures import page_pictures
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.publish import publish_quantised, republish_card
from vmaf_train.quantise import config_of_record, quantise, quantise_bytes
from vmaf_train.registry import load_model, load_registry, load_sidecar, record_beside
from vmaf_train.report import SilentReporter
from vmaf_train.run_record import RunRecord
from vmaf_train.task import BatchStreams, TaskPlugin, data_folders
from vmaf_train.verify import verify_problems

PLUGIN = toy_plugin(spec=replace(TOY_SPEC, metric_input=torch.logit))


class Told(Agreement):
    """An agreement that was measured before."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.right, self.seen = value, 1.0


class BrightSamples(ToySamples):
    """Pictures that are bright all over."""

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        picture, truth = super().batch(items, streams)
        return 0.9 + picture / 10, truth


@pytest.fixture
def published(tmp_path: Path) -> Path:
    paths = RunPaths(tmp_path / "run", tmp_path / "models", tmp_path / "docs")
    run(PLUGIN, load_config(ToyConfig), paths)
    return tmp_path


def results(card: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"]
    return found


def quantised(
    root: Path, max_fall: float = 0.1, plugin: TaskPlugin[ToyConfig] = PLUGIN, calibration: int = 8
) -> RunRecord:
    return quantise(
        plugin,
        "toy_v1",
        (),
        model_dir=root / "models",
        docs_dir=root / "docs",
        calibration=calibration,
        max_fall=max_fall,
        threads=1,
        reporter=SilentReporter(),
    )


def held(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "models").glob("[!.]*")}


def test_the_8_bit_form_is_registered_beside_its_model(published: Path) -> None:
    record = quantised(published)
    small = published / "models" / "toy_v1.int8.onnx"
    row = load_registry(published / "models").entry("toy_v1")
    assert row is not None
    assert (row.quant_mode, row.int8_sha256) == ("int8", sha256_file(small))
    assert load_sidecar(published / "models", "toy_v1").record == record
    assert verify_problems(published / "models", published / "docs") == []
    assert check_model(small).ok
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(check_model(small).ops)


def test_card_and_page_show_what_was_measured(published: Path) -> None:
    record = quantised(published)
    small = record.quantised
    assert small is not None
    for page in (published / "models" / "toy_v1_card.md", published / "docs" / "toy_v1.md"):
        text = page.read_text()
        assert small.sha256 in text
        assert f"| agreement | {small.float_value:.4f} | {small.int8_value:.4f} |" in text


def test_the_float_figure_is_that_of_the_gate(published: Path) -> None:
    record = quantised(published)
    assert record.quantised is not None
    assert record.quantised.float_value == pytest.approx(record.gate.value, abs=1e-6)


def test_weights_are_8_bit_and_rounding_shows(published: Path) -> None:
    quantised(published)
    model = onnx.load(published / "models" / "toy_v1.int8.onnx")
    weights = {item.name: item for item in model.graph.initializer if item.name.endswith("weight_quantized")}
    assert weights
    assert {item.data_type for item in weights.values()} == {onnx.TensorProto.UINT8}
    assert model.producer_name == "vmaf_train"


def test_the_same_samples_give_the_same_bytes(published: Path) -> None:
    _, original = load_model(published / "models", "toy_v1")
    config = load_config(ToyConfig)
    one, two, other = (
        quantise_bytes(original, TOY_SPEC, config, ToySamples(12), count) for count in (8, 8, 2)
    )
    assert one == two
    assert one != other


def test_strong_weights_on_bright_pixels_do_not_saturate() -> None:
    weights = ", ".join(["0.037"] * 27)
    graph = f"""<ir_version: 8, opset_import: ["": 17]>
        mean (float[1, 3, H, W] input) => (float[1, 1, H, W] map) <float[1, 3, 3, 3] weight = {{{weights}}}>
        {{ map = Conv<pads = [1, 1, 1, 1]>(input, weight) }}"""
    original = onnx.parser.parse_model(graph).SerializeToString()
    small = quantise_bytes(original, TOY_SPEC, load_config(ToyConfig), BrightSamples(4), 4)
    bright = np.full((1, 3, 8, 8), 0.92, np.float32)  # within the ranges read
    wanted, found = (open_session(data, 1).run(None, {"input": bright})[0] for data in (original, small))
    assert found == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("value", [-0.0051, -0.9, float("nan")])
def test_a_fall_that_is_not_proved_small_is_refused(
    published: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(published)
    figures = iter([Told(0.9), Told(0.9 + value)])
    monkeypatch.setattr("vmaf_train.quantise.measure_file", lambda *_: next(figures))
    with pytest.raises(GateError, match="8-bit form of toy_v1"):
        quantised(published, max_fall=0.005)
    assert held(published) == before


def test_a_small_fall_to_below_the_models_own_gate_is_refused(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(published)
    least = load_config(ToyConfig).gate.min_value
    figures = iter([Told(least + 1e-3), Told(least - 1e-3)])
    monkeypatch.setattr("vmaf_train.quantise.measure_file", lambda *_: next(figures))
    with pytest.raises(GateError, match=f"at least {least:g}, found {least - 1e-3:.4f}"):
        quantised(published)
    assert held(published) == before


def test_other_data_than_it_was_trained_on_is_refused(published: Path) -> None:
    with pytest.raises(ConfigError, match="the pairs it was trained on"):
        quantised(published, plugin=toy_plugin(digest="1" * 64))


def test_other_held_out_samples_of_the_same_data_are_refused(published: Path) -> None:
    models, docs = published / "models", published / "docs"
    republish_card(
        models, docs, "toy_v1", lambda record: altered(record, {"data.held_out": "a" * 64}), page_pictures
    )
    before = held(published)
    with pytest.raises(ConfigError, match=r"held-out samples of toy_v1: .* digest aaaa.* digest bbbb"):
        quantised(published, plugin=toy_plugin(held_out="b" * 64))
    assert held(published) == before


def test_the_first_folder_of_data_is_the_root_and_the_rest_are_the_extra_ones() -> None:
    plugin = load_task("saliency_student")
    record = tiny_record(changes={"config": {"id": "tiny_v1"}})
    one, three = (config_of_record(plugin, record, [Path(name) for name in names]) for names in ("a", "abc"))
    assert data_folders(one) == (Path("a"),)
    assert data_folders(three) == (Path("a"), Path("b"), Path("c"))


def test_a_model_without_a_row_or_of_other_bytes_is_refused(published: Path) -> None:
    with pytest.raises(ConfigError, match="found these: "):
        load_model(published / "models", "absent")
    (published / "models" / "toy_v1.onnx").write_bytes(b"other")
    with pytest.raises(PublishError, match="sha256"):
        quantised(published)


def test_only_the_recorded_bytes_are_put_beside_a_model(published: Path) -> None:
    record = quantised(published)
    with pytest.raises(PublishError, match=r"toy_v1\.int8\.onnx"):
        publish_quantised(published / "models", published / "docs", record, b"other", page_pictures)


def test_a_card_made_anew_keeps_the_8_bit_form(published: Path) -> None:
    record = quantised(published)
    republish_card(published / "models", published / "docs", record.id, lambda same: same, page_pictures)
    assert load_sidecar(published / "models", record.id).record == record
    assert verify_problems(published / "models", published / "docs") == []


def test_a_test_that_was_attached_while_it_was_measured_is_kept(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, docs = published / "models", published / "docs"
    plain = tiny_test(sha256_file(models / "toy_v1.onnx"), 0.75).model_copy(update={"curves": None})

    def measured(*_: object) -> Told:
        attach(models, docs, "toy_v1", [plain])
        return Told(0.9)

    monkeypatch.setattr("vmaf_train.quantise.measure_file", measured)
    record = quantised(published)
    assert record.evaluations == (plain,)
    assert record.quantised is not None
    assert load_sidecar(models, "toy_v1").record == record
    assert verify_problems(models, docs) == []


def test_tests_of_each_form_stand_apart_on_the_card_until_their_file_is_replaced(published: Path) -> None:
    models, docs = published / "models", published / "docs"
    quantised(published)
    small, plain = (sha256_file(models / f"toy_v1{form}.onnx") for form in (".int8", ""))
    tests = [tiny_test(sha256, value) for sha256, value in ((plain, 0.75), (small, 0.25))]
    attach(models, docs, "toy_v1", tests)
    attach(models, docs, "toy_v1", tests[1:])
    card = (models / "toy_v1_card.md").read_text()
    assert card.index("**SET**, 3 pairs") < card.index("**SET, 8-bit form**, 3 pairs")
    names = {result["dataset"]["name"]: result["metrics"][0]["value"] for result in results(card)[1:]}
    assert names == {
        "SET, 3 pairs, fed at native size": 0.75,
        "SET, 8-bit form, 3 pairs, fed at native size": 0.25,
    }
    assert record_beside(models / "toy_v1.int8.onnx", small) == load_sidecar(models, "toy_v1").record
    assert verify_problems(models, docs) == []
    picture = docs / "toy_v1_tested_curves.svg"
    assert "SET, 8-bit form, fed" in picture.read_text()
    again = quantised(published, calibration=2)
    assert "SET, fed" in picture.read_text()
    assert "8-bit form" not in picture.read_text()
    assert again.quantised is not None
    assert again.quantised.sha256 != small
    assert again.evaluations == tuple(tests[:1])
    assert verify_problems(models, docs) == []


def test_the_quantised_file_answers_as_the_float_file_does(published: Path) -> None:
    quantised(published)
    frame = np.random.default_rng(0).random((1, 3, 16, 24), np.float32)
    wanted, found = (
        open_session((published / "models" / name).read_bytes()).run(None, {"input": frame})[0]
        for name in ("toy_v1.onnx", "toy_v1.int8.onnx")
    )
    assert found.shape == wanted.shape
    assert 0.0 < np.abs(found - wanted).max() < 0.1
