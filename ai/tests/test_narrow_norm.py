"""Few channels: outputs and gradients that are right, and plain modules in what is returned."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from toy import ToyConfig, fit_toy
from vmaf_train.config_files import load_config
from vmaf_train.hardware import Hardware
from vmaf_train.learner import make_learner
from vmaf_train.narrow_norm import folded_norms, unfolded_norms
from vmaf_train.ranks import ALONE

Gradients = tuple[Tensor, ...]


def norms(channels: int, dtype: torch.dtype) -> tuple[nn.BatchNorm2d, nn.BatchNorm2d]:
    """A norm of random weights, plain and folded."""
    plain = nn.BatchNorm2d(channels).to(dtype if dtype != torch.bfloat16 else torch.float32)
    nn.init.uniform_(plain.weight, 0.5, 1.5)
    nn.init.uniform_(plain.bias)
    folded = copy.deepcopy(plain)
    folded_norms(folded)
    return plain, folded


def pixels(channels: int, dtype: torch.dtype, width: int = 32) -> Tensor:
    image = 2.0 * torch.randn(3, channels, 6, width, dtype=torch.float64) + 1.0
    return image.to(dtype).to(memory_format=torch.channels_last).requires_grad_()


def passed(norm: nn.Module, image: Tensor, gradient: Tensor) -> tuple[Tensor, Gradients]:
    out: Tensor = norm(image)
    return out, torch.autograd.grad(out, (image, *norm.parameters()), gradient)


@pytest.mark.parametrize("channels", range(2, 16))
def test_outputs_statistics_and_gradients_are_those_of_the_plain_norm(channels: int) -> None:
    torch.manual_seed(channels)
    plain, folded = norms(channels, torch.float64)
    image = pixels(channels, torch.float64)
    gradient = torch.randn_like(image)
    for _ in range(2):
        (expected, wanted), (out, found) = passed(plain, image, gradient), passed(folded, image, gradient)
        assert "FoldedNorm" in type(folded(image).grad_fn).__name__
        plain(image)
        assert torch.allclose(out, expected, rtol=1e-12, atol=1e-12)
        for right, tensor in zip(wanted, found, strict=True):
            assert torch.allclose(tensor, right, rtol=1e-9, atol=1e-10)
    for tensor in (out, found[0]):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    for name, value in plain.state_dict().items():
        assert torch.allclose(folded.state_dict()[name], value, rtol=1e-12), name


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 3e-5), (torch.bfloat16, 8e-3)])
def test_outputs_and_gradients_in_low_precision_are_within_its_rounding_of_the_right_ones(
    dtype: torch.dtype, rounding: float
) -> None:
    torch.manual_seed(1)
    image = pixels(8, dtype, width=256)
    gradient = torch.randn_like(image) + 0.5
    plain, _ = norms(8, torch.float64)
    _, folded = norms(8, dtype)
    folded.load_state_dict(plain.state_dict())
    expected, wanted = passed(plain, image.detach().double().requires_grad_(), gradient.double())
    out, found = passed(folded, image, gradient)
    assert out.dtype == dtype
    for right, tensor in zip((expected, *wanted), (out, *found), strict=True):
        assert (tensor.double() - right).abs().max() <= rounding * right.abs().max()


def test_statistics_of_many_pixels_are_nearer_the_right_ones_than_those_of_the_plain_norm() -> None:
    torch.manual_seed(2)
    image = (torch.randn(4, 4, 256, 256) + 3.0).to(memory_format=torch.channels_last).requires_grad_()
    exact, _ = norms(4, torch.float64)
    plain, folded = norms(4, torch.float32)
    for norm in (exact, plain, folded):
        norm(image.to(norm.weight.dtype))

    def fault(norm: nn.BatchNorm2d) -> Tensor:
        assert norm.running_var is not None
        assert exact.running_var is not None
        return (norm.running_var.double() - exact.running_var).abs().max()

    assert fault(folded) < fault(plain)


def test_what_follows_may_change_the_output_in_place() -> None:
    torch.manual_seed(3)
    plain, folded = (nn.Sequential(norm, nn.ReLU(inplace=True)) for norm in norms(4, torch.float64))
    image = pixels(4, torch.float64)
    gradient = torch.randn_like(image)
    (expected, wanted), (out, found) = passed(plain, image, gradient), passed(folded, image, gradient)
    for right, tensor in zip((expected, *wanted), (out, *found), strict=True):
        assert torch.allclose(tensor, right, rtol=1e-9, atol=1e-10)


def test_an_empty_batch_is_what_it_is_to_the_plain_norm() -> None:
    plain, folded = norms(8, torch.float32)
    empty = torch.zeros(0, 8, 4, 8).to(memory_format=torch.channels_last).requires_grad_()
    assert torch.equal(folded(empty), plain(empty))


@pytest.mark.parametrize("case", ["rows that do not fold", "another layout", "no gradient", "eval mode"])
def test_what_cannot_be_folded_goes_the_plain_way(case: str) -> None:
    plain, folded = norms(8, torch.float32)
    image = pixels(8, torch.float32, width=30 if case == "rows that do not fold" else 32)
    if case == "another layout":
        image = image.detach().contiguous().requires_grad_()
    if case == "no gradient":
        image = image.detach()
    if case == "eval mode":
        plain, folded = plain.eval(), folded.eval()
    out = folded(image)
    assert torch.equal(out, plain(image))
    assert "FoldedNorm" not in type(out.grad_fn).__name__
    assert folded.num_batches_tracked == plain.num_batches_tracked


def test_only_usual_norms_of_few_channels_are_folded_and_unfolding_brings_back_all() -> None:
    network = nn.Sequential(
        nn.BatchNorm2d(1),
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(15),
        nn.BatchNorm2d(16),
        nn.BatchNorm2d(8, affine=False),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.BatchNorm2d(8, momentum=None),
        nn.BatchNorm1d(8),
    )
    before = [type(layer) for layer in network]
    folded_norms(network)
    assert [type(layer) is not kind for layer, kind in zip(network, before, strict=True)] == (
        [False, True, True, False, False, False, False, False]
    )
    unfolded_norms(network)
    assert [type(layer) for layer in network] == before


def test_a_run_folds_on_a_cpu_in_channels_last_and_returns_plain_norms(tmp_path: Path) -> None:
    cpu, planes = (Hardware("cpu", "float32", 1, channels_last=last) for last in (True, False))
    eager, compiled = (load_config(ToyConfig, None, (f"fit.compile={on}",)) for on in ("false", "true"))

    def kind(config: ToyConfig, hardware: Hardware) -> str:
        return type(make_learner(nn.BatchNorm2d(4), config, hardware, ALONE).network).__name__

    assert kind(eager, cpu) == "_FoldedBatchNorm2d"
    assert kind(eager, planes) == kind(compiled, cpu) == "BatchNorm2d"
    network = fit_toy(tmp_path).network
    kinds = {type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)}
    assert kinds == {nn.BatchNorm2d}
