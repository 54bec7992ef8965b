"""Crops, flips and colours of training pictures, drawn from each sample's own stream."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vmaf_train.tasks.saliency_student.config import AugmentationConfig, ColourConfig, ResizedCropConfig

__all__ = ["colour_change", "cropped", "recolour"]

_LUMA = np.array((0.2126, 0.7152, 0.0722))
"""Weights of R, G and B in a pixel's grey (ITU-R BT.709)."""

Picture = NDArray[np.uint8]


def cropped(
    image: Picture, mask: Picture, config: AugmentationConfig, stream: np.random.Generator
) -> tuple[Picture, Picture]:
    """Return a random square of ``image [H, W, 3]`` and ``mask [H, W]``, flipped at times.

    Both are ``crop`` pixels on a side and get the same geometry. With ``resized_crop`` the image
    is filtered on the way down, and the mask is one where at least half of a place is. With
    ``blank_probability`` a picture without any content may come instead, and an empty mask.
    """
    side = config.crop
    # Nothing is drawn where nothing is asked for: the other draws are as they were without it.
    if config.blank_probability and stream.random() < config.blank_probability:
        return _blank(side, stream), np.zeros((side, side), np.uint8)
    if config.resized_crop is None:
        top = int(stream.integers(0, image.shape[0] - side + 1))
        left = int(stream.integers(0, image.shape[1] - side + 1))
        box = slice(top, top + side), slice(left, left + side)
        image, mask = image[box], mask[box]
    else:
        box = _random_box(mask.shape[0], mask.shape[1], config.resized_crop, stream)
        image, mask = _resized(image[box], side), _resized(mask[box] * 255, side) // 128
    step = -1 if stream.random() < config.flip_probability else 1
    return image[:, ::step], mask[:, ::step]


def _blank(side: int, stream: np.random.Generator) -> Picture:
    """Draw a square of one colour, or of an even ramp from one colour to another; half of them are grey."""
    ends = stream.uniform(0.0, 255.0, (2, 3))
    if stream.random() < 0.5:
        ends[:] = ends[:, :1]
    if stream.random() < 0.5:
        ends[1] = ends[0]
    angle = stream.uniform(0.0, 2.0 * math.pi)
    rows, columns = np.mgrid[:side, :side] / max(side - 1, 1) - 0.5
    # The corners of the square are the ramp's ends, or lie within them.
    along = 0.5 + (columns * math.cos(angle) + rows * math.sin(angle)) / math.sqrt(2.0)
    ramp: Picture = np.rint(ends[0] + along[..., None] * (ends[1] - ends[0])).astype(np.uint8)
    return ramp


def _random_box(
    height: int, width: int, config: ResizedCropConfig, stream: np.random.Generator
) -> tuple[slice, slice]:
    """Draw a box of random area whose shape is the picture's, stretched a little."""
    area = stream.uniform(config.min_area, 1.0)
    stretch = math.exp(stream.uniform(-1.0, 1.0) * math.log(config.max_stretch))
    rows = min(height, max(1, round(height * math.sqrt(area / stretch))))
    columns = min(width, max(1, round(width * math.sqrt(area * stretch))))
    top = int(stream.integers(0, height - rows + 1))
    left = int(stream.integers(0, width - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)


def _resized(picture: Picture, side: int) -> Picture:
    """Resize uint8 ``[h, w]`` or ``[h, w, C]`` to a square, with antialiasing."""
    # A copy, since decoded pictures are read-only; channels last, which the uint8 kernel wants.
    copied = np.array(picture).reshape(*picture.shape[:2], -1)
    planes = torch.from_numpy(copied).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size=(side, side), mode="bilinear", antialias=True)
    found: Picture = resized[0].permute(1, 2, 0).numpy()
    return found.reshape(side, side, *picture.shape[2:])


def colour_change(
    config: ColourConfig, mean_grey: float, stream: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a change of colour as ``matrix [3, 3]`` and ``offset [3]`` on RGB in 0..1.

    ``mean_grey`` in 0..1 is the value that contrast leaves where it is.
    """
    brightness, contrast, saturation = (
        1.0 + stream.uniform(-limit, limit)
        for limit in (config.brightness, config.contrast, config.saturation)
    )
    if stream.random() < config.grey_probability:
        saturation = 0.0
    mixing = saturation * np.eye(3) + (1.0 - saturation) * np.tile(_LUMA, (3, 1))
    return brightness * contrast * mixing, np.full(3, brightness * (1.0 - contrast) * mean_grey)


def recolour(images: Tensor, config: ColourConfig, streams: list[np.random.Generator]) -> Tensor:
    """Return float32 ``images [N, S, S, 3]`` in 0..1 with a change of colour each, within 0..1."""
    means = images.mean(dim=(1, 2)).double().numpy() @ _LUMA
    drawn = [colour_change(config, float(mean), stream) for mean, stream in zip(means, streams, strict=True)]
    matrices = torch.from_numpy(np.stack([matrix.T for matrix, _ in drawn])).float()
    offsets = torch.from_numpy(np.stack([offset for _, offset in drawn])).float().unsqueeze(1)
    count, height, width, _ = images.shape
    changed = torch.baddbmm(offsets, images.reshape(count, height * width, 3), matrices)
    return changed.clamp_(0.0, 1.0).reshape(images.shape)
