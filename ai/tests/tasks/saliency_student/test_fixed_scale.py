"""The network with a working size: any frame size, the contract's file, a second head to train by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from vmaf_train.config import ExportConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.errors import ConfigError
from vmaf_train.onnx_export import ExportedModel, check_parity, export_onnx
from vmaf_train.tasks.saliency_student.config import FixedScaleConfig, ModelConfig, SaliencyConfig
from vmaf_train.tasks.saliency_student.exporter import saliency_export_spec
from vmaf_train.tasks.saliency_student.fixed_scale import _resize_as_the_file_does
from vmaf_train.tasks.saliency_student.model import build_model

SMALL = ModelConfig(
    network="fixed_scale",
    fixed_scale=FixedScaleConfig(
        working_size=32, stem_width=4, widths=(4, 6, 8), depths=(0, 1, 1), decoder_width=4, fine_width=4
    ),
)
SIZES = [(1, 1), (1, 9), (7, 13), (270, 481), (854, 480), (768, 1366)]


def test_v2_has_fewer_than_124_000_parameters() -> None:
    config = load_config(SaliencyConfig, find_config_file("saliency_student_v2"))
    network = build_model(config.model)
    assert sum(weight.numel() for weight in network.parameters()) <= 124_000


def test_training_returns_a_second_map_and_judging_does_not() -> None:
    network = build_model(SMALL)
    assert network.train()(torch.zeros(2, 3, 48, 64)).shape == (2, 2, 48, 64)
    assert network.eval()(torch.zeros(2, 3, 45, 67)).shape == (2, 1, 45, 67)


def test_every_weight_learns_from_the_two_maps() -> None:
    network = build_model(SMALL).train()
    network(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@pytest.fixture(scope="module")
def exported() -> ExportedModel:
    torch.manual_seed(0)
    network = build_model(SMALL).train()
    network(torch.randn(4, 3, 32, 32))
    return export_onnx(network, saliency_export_spec(SMALL), ExportConfig())


def test_the_file_holds_the_operators_that_its_spec_states(exported: ExportedModel) -> None:
    assert frozenset(exported.report.ops) == saliency_export_spec(SMALL).ops


@pytest.mark.parametrize("size", SIZES)
def test_the_map_has_the_frames_size_whatever_that_is(exported: ExportedModel, size: tuple[int, int]) -> None:
    session = onnxruntime.InferenceSession(exported.data, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    (found,) = session.run(["saliency_map"], {"input": image})
    (again,) = session.run(["saliency_map"], {"input": image})
    assert found.shape == (1, 1, *size)
    assert np.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert np.array_equal(found, again)


def test_a_picture_enlarged_gives_the_map_enlarged() -> None:
    torch.manual_seed(0)
    network = build_model(SMALL).eval()
    small = torch.rand(1, 3, 32, 32)
    large = torch.nn.functional.interpolate(small, size=(320, 320), mode="nearest")
    with torch.inference_mode():
        wanted, found = network(small).mean(), network(large).mean()
    assert float(found) == pytest.approx(float(wanted), abs=0.05)


def test_a_crop_that_the_strides_do_not_divide_is_refused() -> None:
    file = find_config_file("saliency_student_v2")
    with pytest.raises(ConfigError, match="crop 152 is no multiple of 16"):
        load_config(SaliencyConfig, file, ("augmentation.crop=152",))
    with pytest.raises(ConfigError, match="working_size 100 is no multiple of 16"):
        load_config(SaliencyConfig, file, ("model.fixed_scale.working_size=100",))


def test_parity_is_proved_from_one_pixel_to_4k() -> None:
    spec = saliency_export_spec(SMALL)
    assert {(1, 1), (7, 13), (270, 481), (854, 480), (768, 1366), (2160, 3840)} <= set(spec.probe_sizes)
    assert (spec.size_multiple, spec.min_size) == (1, 1)


def test_the_network_resizes_as_its_file_does(exported: ExportedModel) -> None:
    torch.manual_seed(0)
    network = build_model(SMALL).train()
    network(torch.randn(4, 3, 32, 32))
    spec = saliency_export_spec(SMALL)
    small = replace(spec, probe_sizes=tuple(size for size in spec.probe_sizes if size[0] * size[1] < 500_000))
    probes = check_parity(exported.data, network, small, ExportConfig())
    # White noise is the worst there is; torch's own resize gives up to 7e-5 there.
    assert max(probe.max_abs_diff for probe in probes) < 3e-6


@pytest.mark.parametrize("lengths", [(1, 32), (32, 1), (13, 32), (32, 481), (32, 32), (854, 32)])
def test_its_resize_is_bilinear_with_half_pixel_centres(lengths: tuple[int, int]) -> None:
    picture = torch.rand(1, 2, lengths[0], 5, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.interpolate(picture, size=(lengths[1], 9), mode="bilinear")
    assert torch.allclose(_resize_as_the_file_does(picture, (lengths[1], 9)), wanted, atol=2e-4)


def test_equal_sizes_are_left_as_they_are() -> None:
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(_resize_as_the_file_does(picture, (32, 32)), picture)
