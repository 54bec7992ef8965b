"""Batch normalisation of few channels, made faster on a CPU in channels_last memory.

In that layout PyTorch's backward takes a vector of channels at a time, and where there are fewer
than fill one, value by value. Neighbouring pixels taken together as one of more channels fill it:
their sums are put together afterwards, by the formulas of Ioffe and Szegedy (2015).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["folded_norms", "unfolded_norms"]

_FAST = 16
"""Channels from which on PyTorch's own backward is fast: what a vector of float32 holds at most."""


def _fold(channels: int) -> int:
    """Return how many pixels are taken together: the least power of 2 that fills two vectors."""
    return 1 << ((2 * _FAST - 1) // channels).bit_length()


def _folded(image: Tensor, fold: int) -> Tensor:
    """View channels_last ``[N, C, H, W]`` as channels_last ``[N, fold * C, H, W / fold]``."""
    count, channels, height, width = image.shape
    pixels = image.permute(0, 2, 3, 1).reshape(count, height, width // fold, fold * channels)
    return pixels.permute(0, 3, 1, 2)


class _FoldedNorm(torch.autograd.Function):
    """PyTorch's forward, and its backward over folded pixels with what that lacks added."""

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        weight: Tensor,
        bias: Tensor,
        running: tuple[Tensor, Tensor],
        momentum: float,
        eps: float,
    ) -> Tensor:
        out, mean, inverse_deviation = torch.native_batch_norm(
            image, weight, bias, *running, True, momentum, eps
        )
        ctx.save_for_backward(image, weight, mean, inverse_deviation)
        ctx.eps = eps
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, mean, inverse_deviation = ctx.saved_tensors
        channels = image.shape[1]
        fold = _fold(channels)
        pixels = _folded(image, fold)
        found, weights, biases = torch.ops.aten.native_batch_norm_backward(
            _folded(gradient.contiguous(memory_format=torch.channels_last), fold),
            pixels,
            weight.repeat(fold),
            None,
            None,
            mean.repeat(fold),
            inverse_deviation.repeat(fold),
            True,
            ctx.eps,
            [True, True, True],
        )
        # Each of the folded channels was centred by its own sums; it is to be by those of them all.
        weights, biases = weights.view(fold, channels), biases.view(fold, channels)
        whole = image.numel() / channels
        scale = weight * inverse_deviation
        slope = scale * inverse_deviation * (weights * fold - weights.sum(0)) / whole
        offset = scale * (biases * fold - biases.sum(0)) / whole - slope * mean
        found.addcmul_(pixels, slope.view(1, -1, 1, 1).to(found.dtype))
        found.add_(offset.view(1, -1, 1, 1).to(found.dtype))
        count, _, height, width = image.shape
        result = found.permute(0, 2, 3, 1).reshape(count, height, width, channels).permute(0, 3, 1, 2)
        return result, weights.sum(0), biases.sum(0), None, None, None


class _FoldedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose backward takes neighbouring pixels together."""

    def forward(self, image: Tensor) -> Tensor:
        """Return ``image [N, C, H, W]`` normalised."""
        if not (self.training and image.requires_grad and self._folds(image)):
            return super().forward(image)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        running = self.running_mean, self.running_var
        out: Tensor = _FoldedNorm.apply(  # type: ignore[no-untyped-call]
            image, self.weight, self.bias, running, self.momentum, self.eps
        )
        return out

    def _folds(self, image: Tensor) -> bool:
        """Return whether the pixels of a row go into the groups, in memory too."""
        last = image.dim() == 4 and image.is_contiguous(memory_format=torch.channels_last)
        return last and image.shape[1] == self.num_features and image.shape[3] % _fold(image.shape[1]) == 0


def folded_norms(network: nn.Module) -> None:
    """Let every batch normalisation of 2 to 15 channels take the faster backward, where it can.

    Weights, buffers, their names and all outputs stay as they are; gradients differ by rounding.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d and 1 < module.num_features < _FAST and _is_usual(module):
            module.__class__ = _FoldedBatchNorm2d


def unfolded_norms(network: nn.Module) -> None:
    """Undo :func:`folded_norms`."""
    for module in network.modules():
        if isinstance(module, _FoldedBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]


def _is_usual(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None
