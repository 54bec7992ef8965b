"""The networks have the published size and keep the runtime's contract."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from vmaf_train import narrow_concat
from vmaf_train.config import ExportConfig
from vmaf_train.onnx_export import ExportedModel, check_parity, export_onnx
from vmaf_train.tasks.saliency_student import model
from vmaf_train.tasks.saliency_student.config import ModelConfig
from vmaf_train.tasks.saliency_student.exporter import saliency_export_spec
from vmaf_train.tasks.saliency_student.model import build_model

V1 = ModelConfig()


@pytest.mark.parametrize(("decoder", "parameters"), [("conv_transpose", 112_841), ("resize_conv", 123_721)])
def test_the_decoders_have_the_published_numbers_of_parameters(decoder: str, parameters: int) -> None:
    network = build_model(ModelConfig(decoder=decoder))
    assert sum(weight.numel() for weight in network.parameters() if weight.requires_grad) == parameters


@pytest.mark.parametrize("decoder", ["conv_transpose", "resize_conv"])
def test_logits_have_the_frames_size(decoder: str) -> None:
    network = build_model(ModelConfig(decoder=decoder)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 24, 40)).shape == (2, 1, 24, 40)


@pytest.fixture(scope="module")
def v1() -> ExportedModel:
    torch.manual_seed(0)
    network = build_model(V1).train()
    network(torch.randn(4, 3, 32, 32))  # running statistics of a step, so that folding has work to do
    exported = export_onnx(network, saliency_export_spec(V1), ExportConfig())
    check_parity(exported.data, network, saliency_export_spec(V1), ExportConfig())
    return exported


def test_v1_holds_exactly_the_six_operators(v1: ExportedModel) -> None:
    assert v1.report.ops == ("Concat", "Conv", "ConvTranspose", "MaxPool", "Relu", "Sigmoid")


@pytest.mark.parametrize("size", [(8, 8), (8, 40), (136, 240), (272, 480), (1080, 1920)])
def test_v1_returns_a_map_of_the_frames_size_at_multiples_of_8(
    v1: ExportedModel, size: tuple[int, int]
) -> None:
    session = onnxruntime.InferenceSession(v1.data, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    (found,) = session.run(["saliency_map"], {"input": image})
    assert found.shape == (1, 1, *size)
    assert found.min() >= 0.0
    assert found.max() <= 1.0


@pytest.mark.parametrize("size", [(480, 854), (270, 480), (35, 67), (9, 17), (7, 7), (1, 1)])
def test_v1_stops_at_other_sizes_rather_than_return_a_shorter_map(
    v1: ExportedModel, size: tuple[int, int]
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(v1.data, options, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match=r"Concat|MaxPool|Invalid|shape"):
        session.run(["saliency_map"], {"input": np.zeros((1, 3, *size), np.float32)})


def test_the_resizing_decoder_passes_the_checks_before_a_run() -> None:
    config = ModelConfig(decoder="resize_conv")
    torch.manual_seed(0)
    network, spec = build_model(config), saliency_export_spec(config)
    exported = export_onnx(network, spec, ExportConfig())
    assert exported.report.ops == ("Concat", "Conv", "MaxPool", "Relu", "Resize", "Sigmoid")
    check_parity(exported.data, network, spec, ExportConfig())


def test_its_size_rule_stands_in_the_spec() -> None:
    spec = saliency_export_spec(V1)
    assert (spec.size_multiple, spec.min_size) == (8, 8)
    assert all(side % 8 == 0 for size in spec.probe_sizes for side in size)
    assert sum(height != width for height, width in spec.probe_sizes) >= 4


def test_in_bfloat16_the_skip_of_few_channels_is_joined_the_faster_way_with_the_same_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = build_model(ModelConfig()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, 3, 16, 16).to(memory_format=torch.channels_last)

    def gradients() -> tuple[Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(image)
        return torch.autograd.grad(logits.float().square().sum(), tuple(network.parameters()))

    joined: list[list[int]] = []
    forward = narrow_concat._Joined.forward

    def noted(ctx: object, *parts: Tensor) -> Tensor:
        joined.append([part.shape[1] for part in parts])
        return forward(ctx, *parts)

    monkeypatch.setattr(narrow_concat._Joined, "forward", noted)
    found = gradients()
    assert joined == [[8, 16]]
    monkeypatch.setattr(model, "joined_channels", lambda *parts: torch.cat(parts, dim=1))
    assert all(torch.equal(one, other) for one, other in zip(found, gradients(), strict=True))
