"""The file: self-contained, reproducible, read back, and proved equal to the network."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from toy import TOY_SPEC, Sigmoid, ToyNet
from vmaf_train.config import ExportConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.discovery import TaskEntry, discover_tasks
from vmaf_train.errors import ConfigError, ContractError
from vmaf_train.onnx_export import (
    IR_VERSION,
    ExportedModel,
    check_contract,
    check_parity,
    export_onnx,
    open_session,
    record_export,
)
from vmaf_train.task import ExportSpec, Task

CONFIG = ExportConfig()


def working_tasks() -> list[TaskEntry]:
    return [entry for entry in discover_tasks() if entry.plugin is not None]


def task_of(entry: TaskEntry) -> Task:
    assert entry.plugin is not None
    name = entry.plugin.demo_config_file or entry.plugin.config_file
    config = load_config(entry.plugin.config_type, find_config_file(name) if name else None)
    return entry.plugin.create(config)


@pytest.fixture(scope="module")
def toy() -> tuple[ToyNet, ExportedModel]:
    torch.manual_seed(0)
    network = ToyNet()
    return network, export_onnx(network, TOY_SPEC, CONFIG)


@pytest.mark.parametrize("entry", working_tasks(), ids=lambda entry: entry.name)
def test_every_task_exports_its_untrained_net_and_keeps_its_contract(entry: TaskEntry) -> None:
    task = task_of(entry)
    spec = task.export_spec()
    network = task.build_model()
    exported = export_onnx(network, spec, CONFIG)
    record = record_export(exported, spec, CONFIG, check_parity(exported.data, network, spec, CONFIG))
    assert (record.opset, record.ir_version, record.producer) == (17, IR_VERSION, "vmaf_train 1")
    assert record.worst_parity <= 1e-5
    assert [tensor.axes for tensor in record.inputs + record.outputs] == [spec.input.axes, spec.output.axes]
    assert len({(probe.height, probe.width) for probe in record.parity if probe.height != probe.width}) >= 2


def test_the_same_weights_give_the_same_bytes(toy: tuple[ToyNet, ExportedModel]) -> None:
    network, exported = toy
    assert export_onnx(network, TOY_SPEC, CONFIG).data == exported.data


def test_the_network_is_left_as_it_was() -> None:
    network = ToyNet().train().to(torch.float64)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_onnx(network, TOY_SPEC, CONFIG)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_batch_norm_is_folded_right_after_a_training_step() -> None:
    network = ToyNet().train()
    network(torch.randn(4, 3, 16, 16))
    exported = export_onnx(network, TOY_SPEC, CONFIG)
    assert exported.report.ops == ("Conv", "Relu", "Sigmoid")
    check_parity(exported.data, network, TOY_SPEC, CONFIG)


def test_the_file_names_no_path_user_or_trace(toy: tuple[ToyNet, ExportedModel]) -> None:
    _, exported = toy
    for text in (str(Path.home()), str(Path.cwd()), "site-packages", ".py", "stack_trace", "torch.nn"):
        assert text.encode() not in exported.data
    model = onnx.load_model_from_string(exported.data)
    assert not model.doc_string
    assert not model.metadata_props
    assert not model.graph.value_info
    for node in model.graph.node:
        assert not node.doc_string
        assert not node.metadata_props


def test_the_file_is_alone_and_runs_wherever_it_is_moved(
    toy: tuple[ToyNet, ExportedModel], tmp_path: Path
) -> None:
    _, exported = toy
    model = onnx.load_model_from_string(exported.data)
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in model.graph.initializer)
    moved = tmp_path / "elsewhere" / "m.onnx"
    moved.parent.mkdir()
    moved.write_bytes(exported.data)
    session = onnxruntime.InferenceSession(moved, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": np.zeros((1, 3, 7, 13), np.float32)})
    assert output.shape == (1, 1, 7, 13)


def test_shape_inference_and_the_checker_find_nothing(toy: tuple[ToyNet, ExportedModel]) -> None:
    model = onnx.load_model_from_string(toy[1].data)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def scripted(build: Callable[[Tensor], Tensor]) -> nn.Module:
    class Network(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return build(image)

    return Network()


def test_an_operator_off_the_list_is_named_with_its_node() -> None:
    free = replace(TOY_SPEC, ops=None, shipped=lambda network: network, output_range=None)
    with pytest.raises(ContractError, match=r"Floor"):
        export_onnx(scripted(lambda image: torch.floor(image[:, :1])), free, CONFIG)


def test_an_operator_outside_of_the_tasks_own_set_is_named_with_its_node() -> None:
    spec = replace(TOY_SPEC, ops=frozenset({"Conv", "Sigmoid"}))
    with pytest.raises(ContractError, match=r"operator Relu \(node Relu_1\)"):
        export_onnx(ToyNet(), spec, CONFIG)


def test_padding_by_a_remainder_is_refused_by_its_operator() -> None:
    def padded(image: Tensor) -> Tensor:
        return nn.functional.pad(image[:, :1], (0, -image.shape[3] % 8, 0, -image.shape[2] % 8))

    spec = replace(TOY_SPEC, ops=None, shipped=lambda network: network, output_range=None)
    with pytest.raises(ContractError, match="Mod"):
        parity_of(scripted(padded), scripted(padded), replace(spec, probe_sizes=((5, 9), (16, 20))))


def test_a_size_that_was_baked_in_is_refused() -> None:
    spec = replace(TOY_SPEC, ops=None, shipped=lambda network: network, output_range=None)
    cropped = scripted(lambda image: image[:, :1, :8, :8])
    with pytest.raises(ContractError, match=r"output|expected shape \[1, 1, 5, 9\]"):
        parity_of(cropped, cropped, replace(spec, probe_sizes=((5, 9), (16, 24))))


def test_another_name_or_type_is_refused(toy: tuple[ToyNet, ExportedModel]) -> None:
    model = onnx.load_model_from_string(toy[1].data)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    with pytest.raises(ContractError, match=r"output: expected one float32 map"):
        check_contract(model.SerializeToString(), TOY_SPEC, CONFIG)


def test_a_second_input_is_refused(toy: tuple[ToyNet, ExportedModel]) -> None:
    model = onnx.load_model_from_string(toy[1].data)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(ContractError, match="input: expected one float32 input"):
        check_contract(model.SerializeToString(), TOY_SPEC, CONFIG)


def test_the_opset_is_read_from_the_bytes_and_not_believed(toy: tuple[ToyNet, ExportedModel]) -> None:
    model = onnx.load_model_from_string(toy[1].data)
    model.opset_import[0].version = 18
    with pytest.raises(ContractError, match="opset: expected 17, found 18"):
        check_contract(model.SerializeToString(), TOY_SPEC, CONFIG)


def test_a_converter_that_stays_at_18_stops_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmaf_train.onnx_export.version_converter.convert_version", lambda model, _: model)
    with pytest.raises(ContractError, match="opset: expected 17, found 18"):
        export_onnx(ToyNet(), TOY_SPEC, CONFIG)


def test_a_missing_exporter_package_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", missing)
    with pytest.raises(ConfigError, match="onnxscript"):
        export_onnx(ToyNet(), TOY_SPEC, CONFIG)


def test_batch_norm_in_training_mode_is_refused() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[1,3,H,W] input) => (float[1,1,H,W] map)
      <float[3] one = {1,1,1}, float[3] nil = {0,0,0}, float[1,3,1,1] mix = {1,1,1}> {
      y, mean, var = BatchNormalization <training_mode = 1> (input, one, nil, nil, one)
      map = Conv(y, mix)
    }
    """
    data = onnx.parser.parse_model(text).SerializeToString()
    with pytest.raises(ContractError, match="training_mode"):
        check_contract(data, replace(TOY_SPEC, ops=None), CONFIG)


def parity_of(network: nn.Module, shown: nn.Module, spec: ExportSpec = TOY_SPEC) -> None:
    exported = export_onnx(shown, spec, CONFIG)
    check_parity(exported.data, network, spec, CONFIG)


def test_other_weights_in_the_file_are_found_out() -> None:
    torch.manual_seed(0)
    network, other = ToyNet(), ToyNet()
    with pytest.raises(ContractError, match=r"at most 1e-05 between PyTorch and ONNX Runtime"):
        parity_of(network, other)


def test_a_nan_weight_proves_nothing() -> None:
    network = ToyNet()
    with torch.no_grad():
        network.last.bias.fill_(math.nan)  # type: ignore[union-attr]
    with pytest.raises(ContractError, match="finite values"):
        parity_of(network, network)


def test_a_value_outside_of_the_range_is_refused() -> None:
    spec = replace(TOY_SPEC, shipped=lambda network: network)
    with pytest.raises(ContractError, match="finite values from 0 to 1"):
        parity_of(ToyNet(), ToyNet(), spec)


@pytest.mark.parametrize(("beyond", "refused"), [(2**-23, False), (1e-5, True)])
def test_the_rounding_of_a_sigmoid_is_no_value_outside_of_the_range(beyond: float, refused: bool) -> None:
    spec = replace(TOY_SPEC, ops=None, shipped=lambda network: network)
    near_one = scripted(lambda image: torch.sigmoid(image[:, :1]) * 0.0 + (1.0 + beyond))
    with pytest.raises(ContractError, match="from 0 to 1") if refused else contextlib.nullcontext():
        parity_of(near_one, near_one, spec)


def test_a_map_that_is_short_by_a_row_is_refused() -> None:
    class Short(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(nn.functional.pad(image, (0, 0, 0, -1)))

    spec = replace(TOY_SPEC, probe_sizes=((5, 9), (16, 24)))
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[1,3,H,W] input) => (float[1,1,H,W] map)
      <float[1,3,2,1] mix = {1,1,1,1,1,1}> {
      y = Conv(input, mix)
      map = Sigmoid(y)
    }
    """
    data = onnx.parser.parse_model(text).SerializeToString()
    with pytest.raises(ContractError, match=r"expected shape \[1, 1, 5, 9\], found \[1, 1, 4, 9\]"):
        check_parity(data, Short(), spec, CONFIG)


def test_the_worst_difference_of_real_inputs_is_recorded(toy: tuple[ToyNet, ExportedModel]) -> None:
    network, exported = toy
    probes = check_parity(exported.data, network, TOY_SPEC, CONFIG, [torch.rand(1, 3, 20, 30)])
    assert [(probe.height, probe.width) for probe in probes if probe.values == "real"] == [(20, 30)]
    assert {probe.values for probe in probes} >= {"normal", "extremes", "lowest", "highest", "wide", "real"}


def test_the_dynamic_quantiser_takes_the_file(toy: tuple[ToyNet, ExportedModel], tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    source, target = tmp_path / "m.onnx", tmp_path / "q.onnx"
    source.write_bytes(toy[1].data)
    quantize_dynamic(source, target)
    zeros = np.zeros((1, 3, 8, 8), np.float32)
    (output,) = open_session(target.read_bytes()).run(None, {"input": zeros})
    assert output.shape == (1, 1, 8, 8)


def test_the_shipped_wrapper_is_what_is_exported(toy: tuple[ToyNet, ExportedModel]) -> None:
    network, exported = toy
    image = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        wanted = Sigmoid(network.eval())(image).numpy()
    (found,) = open_session(exported.data).run(None, {"input": image.numpy()})
    assert np.allclose(found, wanted, atol=1e-6)
