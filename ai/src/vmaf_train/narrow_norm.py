"""Batch normalisation of few channels, made faster on a CPU in channels_last memory.

In that layout PyTorch takes a vector of channels at a time, and where there are fewer than fill
one, value by value. Neighbouring pixels taken together as one of more channels fill it: their
moments and sums are put together afterwards, by the formulas of Chan et al., "Updating Formulae and
a Pairwise Algorithm for Computing Sample Variances" (1979), and Ioffe and Szegedy (2015).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["folded_norms", "unfolded_norms"]

_VECTOR = 16
"""What a vector of float32 holds at most. With as many channels, folding gains nothing."""


def _fold(channels: int) -> int:
    """Return how many pixels are taken together: the least power of 2 that fills two vectors."""
    return 1 << ((2 * _VECTOR - 1) // channels).bit_length()


def _folded(image: Tensor, fold: int) -> Tensor:
    """View channels_last ``[N, C, H, W]`` as channels_last ``[N, fold * C, H, W / fold]``."""
    count, channels, height, width = image.shape
    pixels = image.permute(0, 2, 3, 1).reshape(count, height, width // fold, fold * channels)
    return pixels.permute(0, 3, 1, 2)


def _moments(pixels: Tensor, fold: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance (over the count) of each channel of folded pixels, in ``like``'s dtype."""
    folded = pixels.shape[1]
    # Asked to update statistics of a dtype, PyTorch returns its own in that dtype as well.
    unused = like.new_zeros(folded), like.new_ones(folded)
    means, variances = torch.ops.aten.batch_norm_update_stats(pixels, *unused, 0.0)
    means, variances = means.view(fold, -1), variances.view(fold, -1)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0)


class _FoldedNorm(torch.autograd.Function):
    """PyTorch's kernels over folded pixels, with what they lack added."""

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
        fold = _fold(image.shape[1])
        pixels = _folded(image, fold)
        mean, variance = _moments(pixels, fold, weight)
        count = image.numel() / image.shape[1]
        for kept, new in zip(running, (mean, variance * (count / (count - 1))), strict=True):
            kept.lerp_(new, momentum)
        repeated = [value.repeat(fold) for value in (weight, bias, mean, variance)]
        # A view may not be returned, as what follows may change it in place.
        out, unused = torch.empty_like(image), mean.new_empty(0)
        torch.ops.aten.native_batch_norm.out(
            pixels, *repeated, False, 0.0, eps, out=_folded(out, fold), save_mean=unused, save_invstd=unused
        )
        ctx.save_for_backward(image, weight, mean, torch.rsqrt(variance + eps))
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
    """``nn.BatchNorm2d`` that takes neighbouring pixels together while it trains."""

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
        if not last or not image.numel():
            return False
        return image.shape[1] == self.num_features and image.shape[3] % _fold(image.shape[1]) == 0


def folded_norms(network: nn.Module) -> None:
    """Let every batch normalisation of 2 to 15 channels train the faster way, where it can.

    Weights, buffers and their names stay as they are, as does evaluation. Training's outputs and
    gradients differ by rounding: statistics have less of it, as sums over millions of pixels are in
    more parts, and the image's gradient in bfloat16 has more.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d and 1 < module.num_features < _VECTOR and _is_usual(module):
            module.__class__ = _FoldedBatchNorm2d


def unfolded_norms(network: nn.Module) -> None:
    """Undo :func:`folded_norms`."""
    for module in network.modules():
        if isinstance(module, _FoldedBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]


def _is_usual(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None
