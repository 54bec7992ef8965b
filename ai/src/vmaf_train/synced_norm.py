"""Batch normalisation over the whole batch of a run whose processes each hold a part of it.

PyTorch's own SyncBatchNorm needs a GPU. This is the same computation (Ioffe and Szegedy, 2015) with
statistics summed over the processes, on any device; with it, several processes train as one does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["plain_norms", "synced_norms"]

_TYPES: dict[type[_BatchNorm], type[_BatchNorm]] = {}
"""Plain class to its synced one, made on first use."""


class _Sum(torch.autograd.Function):
    """The sum over the processes. Each one's loss depends on it, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # noqa: ARG004
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class _Synced(_BatchNorm):
    """Training statistics of all processes; anything else as its plain class does it."""

    def forward(self, image: Tensor) -> Tensor:
        """Return ``image`` [N, C, ...] normalised; N may differ between the processes."""
        if not self.training:
            return super().forward(image)
        self._check_input_dim(image)  # type: ignore[no-untyped-call]
        axes = [axis for axis in range(image.dim()) if axis != 1]
        shape = [1, -1, *[1] * (image.dim() - 2)]
        with torch.autocast(image.device.type, enabled=False):
            values = image.float()
            count = values.new_full((1,), values.numel() / values.size(1))
            totals = _total(torch.cat([values.sum(axes), count]))
            mean, count = totals[:-1] / totals[-1], totals[-1].detach()
            centred = values - mean.view(shape)
            variance = _total(centred.square().sum(axes)) / count
            self._remember(mean.detach(), variance.detach(), count)
            scale = torch.rsqrt(variance + self.eps)
            if self.weight is not None:
                scale = scale * self.weight
            result = centred * scale.view(shape)
            if self.bias is not None:
                result = result + self.bias.view(shape)
        return result.to(image.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        new = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, new)
        self.running_var.lerp_(variance * count / (count - 1), new)


def _total(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


def _synced_type(plain: type[_BatchNorm]) -> type[_BatchNorm]:
    if plain not in _TYPES:
        _TYPES[plain] = type(f"Synced{plain.__name__}", (_Synced, plain), {"plain": plain})
    return _TYPES[plain]


def synced_norms(network: nn.Module) -> None:
    """Let every batch normalisation of ``network`` take its training statistics over all processes.

    Weights, buffers and their names stay as they are.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm | _Synced):
            module.__class__ = _synced_type(type(module))


def plain_norms(network: nn.Module) -> None:
    """Undo :func:`synced_norms`."""
    for module in network.modules():
        if isinstance(module, _Synced):
            module.__class__ = type(module).plain  # type: ignore[attr-defined]
