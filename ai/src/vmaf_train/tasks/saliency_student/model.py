"""The student networks, one per value of ``model.network``; the Tiny U-Net is here.

The U-Net is that of Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (MICCAI 2015), at a hundredth of its width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vmaf_train.narrow_concat import joined_channels
from vmaf_train.tasks.saliency_student.config import ModelConfig
from vmaf_train.tasks.saliency_student.fixed_scale import FixedScaleNet

__all__ = ["SaliencyMap", "TinyUNet", "build_model"]

IMAGE_CHANNELS = 3


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    # BatchNorm brings the bias, so the convolution has none.
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _upsample(channels_in: int, channels_out: int, decoder: str) -> nn.Module:
    if decoder == "conv_transpose":
        return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2, bias=False)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
    )


class TinyUNet(nn.Module):
    """A U-Net of three stages down and three up.

    Maps a float32 ImageNet-normalised image ``[N, 3, H, W]`` to logits ``[N, 1, H, W]``. H and W
    must be multiples of ``stride`` (8): pooling rounds down, and doubling does not get the lost
    row back, so that the skip connections would not meet.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        first, second, third = config.encoder_widths
        widths_in = (IMAGE_CHANNELS, first, second)
        self.stride = 8
        self.encoder = nn.ModuleList(
            nn.Sequential(_block(width_in, width), _block(width, width))
            for width_in, width in zip(widths_in, config.encoder_widths, strict=True)
        )
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.bottleneck = _block(third, third)
        below = (third, *config.decoder_widths[:-1])
        self.upsamplers = nn.ModuleList(
            _upsample(width_below, width, config.decoder)
            for width_below, width in zip(below, config.decoder_widths, strict=True)
        )
        skips = reversed(config.encoder_widths)
        self.decoder = nn.ModuleList(
            _block(width + skip, width) for width, skip in zip(config.decoder_widths, skips, strict=True)
        )
        self.head = nn.Conv2d(config.decoder_widths[-1], 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``[N, 1, H, W]`` of ``image [N, 3, H, W]``."""
        skips: list[Tensor] = []
        features = image
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)  # [N, w, H / 2^k, W / 2^k]
            features = self.pool(features)
        features = self.bottleneck(features)  # [N, 48, H / 8, W / 8]
        for upsample, block in zip(self.upsamplers, self.decoder, strict=True):
            features = block(joined_channels(upsample(features), skips.pop()))
        logits: Tensor = self.head(features)
        return logits


class SaliencyMap(nn.Module):
    """What ships: the network with a sigmoid on its logits, so that the map lies in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return the map float32 ``[N, 1, H, W]`` in [0, 1] of ``image [N, 3, H, W]``."""
        return torch.sigmoid(self.network(image))


def build_model(config: ModelConfig) -> nn.Module:
    """Return a freshly initialised network that maps ``[N, 3, H, W]`` to logits ``[N, 1, H, W]``."""
    return TinyUNet(config) if config.network == "unet" else FixedScaleNet(config.fixed_scale)
