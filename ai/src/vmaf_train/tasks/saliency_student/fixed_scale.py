"""A network that works at a scale of its own: any frame in, a map of the frame's size out.

Inverted residuals (Sandler et al., "MobileNetV2", CVPR 2018) from 1/2 to 1/16, a global term
(Liu et al., "ParseNet", 2015), and an additive decoder back to 1/2 (Lin et al., "Feature Pyramid
Networks", CVPR 2017). A U-Net on a large frame sees a window of it; this network sees all of it,
and costs the same for every frame but for the two resizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vmaf_train.tasks.saliency_student.config import FixedScaleConfig

__all__ = ["FixedScaleNet"]

IMAGE_CHANNELS = 3


def _convolution(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    # BatchNorm brings the bias, so the convolution has none.
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(channels_out),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class _InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; added to its input where the shapes agree."""

    def __init__(
        self, channels_in: int, channels_out: int, expansion: float, kernel: int, stride: int = 1
    ) -> None:
        super().__init__()
        wide = round(channels_in * expansion)
        self.layers = nn.Sequential(
            _convolution(channels_in, wide, 1),
            _convolution(wide, wide, kernel, stride=stride, groups=wide),
            _convolution(wide, channels_out, 1, relu=False),
        )
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.layers(features)
        return features + found if self.residual else found


class _GlobalTerm(nn.Module):
    """Adds what the whole picture says to every place of it.

    The pool's window is the working size's, a constant of the graph: a mean over a free axis would
    become an operator whose opset 17 form the converter gets wrong.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(side)
        self.project = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        # While training, the crops may have another size than the graph's.
        pooled = features.mean(dim=(2, 3), keepdim=True) if self.training else self.pool(features)
        return torch.relu(features + self.project(pooled))


def _smooth(channels: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(channels, channels, 3, groups=channels, relu=False),
        _convolution(channels, channels, 1),
    )


def _resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)


def _places(length_in: int, length_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each output place its two sources and the weight of the second.

    ``x_in = (x_out + 0.5) / (length_out / length_in) - 0.5`` in float32, as ONNX defines Resize with
    half_pixel; torch's own resize multiplies by the inverse, which is another number.
    """
    scale = torch.tensor(float(length_out)) / torch.tensor(float(length_in))
    place = ((torch.arange(length_out) + 0.5) / scale - 0.5).clamp(0.0, length_in - 1)
    first = place.floor()
    second = (first + 1).clamp(max=length_in - 1)
    return first.long(), second.long(), place - first


def _resize_as_the_file_does(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ``[N, C, h, w]`` to ``[N, C, *size]`` by the arithmetic of the exported graph.

    On a large frame torch's places and the runtime's differ by some 1e-5 of a pixel, which a sharp
    edge turns into a visible part of the parity limit.
    """
    if torch.compiler.is_exporting():
        return _resize(features, size)
    features = features.float()  # under autocast too
    top, bottom, down = (item.to(features.device) for item in _places(features.shape[2], size[0]))
    rows = torch.lerp(features[:, :, top], features[:, :, bottom], down[:, None])
    left, right, across = (item.to(features.device) for item in _places(features.shape[3], size[1]))
    return torch.lerp(rows[..., left], rows[..., right], across)


class FixedScaleNet(nn.Module):
    """Maps a float32 ImageNet-normalised image ``[N, 3, H, W]`` of any size to logits ``[N, 1, H, W]``.

    In eval mode the image is resized to ``working_size`` squared, whatever its shape, and the
    logits back to H and W. In training mode it runs at the size of the crops that it is given
    (multiples of 16) and returns ``[N, 2, H, W]``: the second channel is read off the deepest
    features alone, for deep supervision (Lee et al., "Deeply-Supervised Nets", AISTATS 2015).
    """

    def __init__(self, config: FixedScaleConfig) -> None:
        super().__init__()
        self.working_size = config.working_size
        self.stem = _convolution(IMAGE_CHANNELS, config.stem_width, 3, stride=2)  # 1/2
        self.stages = nn.ModuleList()
        width_in = config.stem_width
        for stage, (width, depth, expansion, kernel) in enumerate(
            zip(config.widths, config.depths, config.expansions, config.kernels, strict=True)
        ):
            # At 1/2 a plain convolution is both smaller and faster than a widened one.
            first = (
                _convolution(width_in, width, 3, stride=2)
                if stage == 0
                else _InvertedResidual(width_in, width, config.down_expansion, kernel, stride=2)
            )
            rest = [_InvertedResidual(width, width, expansion, kernel) for _ in range(depth)]
            self.stages.append(nn.Sequential(first, *rest))  # 1/4, 1/8, 1/16
            width_in = width
        self.whole = _GlobalTerm(width_in, config.working_size // config.stride)
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, config.decoder_width, kernel_size=1, bias=False) for width in config.widths
        )
        self.smoothers = nn.ModuleList(_smooth(config.decoder_width) for _ in config.widths)
        self.fine_lateral = nn.Conv2d(config.stem_width, config.fine_width, kernel_size=1, bias=False)
        self.narrow = nn.Conv2d(config.decoder_width, config.fine_width, kernel_size=1)
        self.fine_smoother = _smooth(config.fine_width)
        self.head = nn.Conv2d(config.fine_width, 1, kernel_size=1)
        self.deep_head = nn.Conv2d(config.decoder_width, 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of ``image [N, 3, H, W]``, ``[N, 1, H, W]`` in eval mode."""
        height, width = image.shape[-2:]
        if self.training:
            rows, columns = int(height), int(width)
        else:
            rows = columns = self.working_size
            image = _resize_as_the_file_does(image, (rows, columns))
        half = self.stem(image)
        features, levels = half, []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        levels[-1] = self.whole(levels[-1])

        decoded = self.smoothers[-1](self.laterals[-1](levels[-1]))  # 1/16
        deep = decoded
        for level in reversed(range(len(levels) - 1)):
            scale = 4 * 2**level
            above = _resize(decoded, (rows // scale, columns // scale))
            decoded = self.smoothers[level](above + self.laterals[level](levels[level]))
        above = _resize(self.narrow(decoded), (rows // 2, columns // 2))
        logits = self.head(self.fine_smoother(above + self.fine_lateral(half)))  # 1/2
        if not self.training:
            return _resize_as_the_file_does(logits, (height, width))
        return torch.cat(
            (_resize(logits, (height, width)), _resize(self.deep_head(deep), (height, width))), dim=1
        )
