"""Few channels joined: what torch.cat gives, to the bit, by the faster way where there is one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vmaf_train.narrow_concat import joined_channels


def image(channels: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    pixels = torch.randn(2, channels, 6, 8).to(dtype, memory_format=torch.channels_last)
    return pixels.requires_grad_()


def takes_the_faster_way(*parts: Tensor) -> bool:
    return "Joined" in type(joined_channels(*parts).grad_fn).__name__


@pytest.mark.parametrize("widths", [(8, 16), (3, 5, 1)])
def test_outputs_and_gradients_are_the_bits_of_torch_cat(widths: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    parts = [image(width) for width in widths]
    assert takes_the_faster_way(*parts)
    expected, out = torch.cat(parts, dim=1), joined_channels(*parts)
    assert torch.equal(out, expected)
    gradient = torch.randn_like(out)
    wanted = torch.autograd.grad(expected, parts, gradient)
    for right, found in zip(wanted, torch.autograd.grad(out, parts, gradient), strict=True):
        assert torch.equal(found, right)
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_part_that_is_used_elsewhere_too_gets_the_sum_of_its_gradients() -> None:
    torch.manual_seed(1)
    up, skip = image(4), image(8)
    pool = nn.MaxPool2d(2)

    def gradients(joined: Tensor) -> tuple[Tensor, ...]:
        total = joined.float().square().sum() + pool(skip).float().square().sum()
        return torch.autograd.grad(total, (up, skip))

    wanted = gradients(torch.cat((up, skip), dim=1))
    for right, found in zip(wanted, gradients(joined_channels(up, skip)), strict=True):
        assert torch.equal(found, right)


@pytest.mark.parametrize("case", ["float32", "wide", "planes first", "no gradient", "one without a gradient"])
def test_what_gains_nothing_is_torch_cat(case: str) -> None:
    first, second = image(8), image(8)
    if case == "float32":
        first, second = image(8, torch.float32), image(8, torch.float32)
    if case == "wide":
        second = image(64)
    if case == "planes first":
        second = second.detach().contiguous().requires_grad_()
    if case == "no gradient":
        first, second = first.detach(), second.detach()
    if case == "one without a gradient":
        second = second.detach()
    assert not takes_the_faster_way(first, second)
    assert torch.equal(joined_channels(first, second), torch.cat((first, second), dim=1))


def test_a_compiled_network_keeps_its_own_way() -> None:
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    parts = image(8), image(8)
    compiled = torch.compile(joined_channels, backend=backend)
    assert torch.equal(compiled(*parts), torch.cat(parts, dim=1))
    assert any("cat" in name for name in seen)
