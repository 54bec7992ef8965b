"""Decoded pairs as batches to train on and to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
from vmaf_train.task import BatchStreams
from vmaf_train.tasks.saliency_student.augmentation import cropped, recolour
from vmaf_train.tasks.saliency_student.config import AugmentationConfig

__all__ = ["ArrayPairs", "TrainSamples", "ValSamples"]


class ArrayPairs(Protocol):
    """Decoded pairs: images uint8 RGB ``[H, W, 3]``, masks uint8 ``[H, W]`` of 0 and 1."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def image(self, i: int) -> NDArray[np.uint8]:
        """Return picture ``i``."""
        ...

    def mask(self, i: int) -> NDArray[np.uint8]:
        """Return its truth."""
        ...


def _normalised(images: Tensor, scale: float) -> Tensor:
    """Normalise float32 ``[N, S, S, 3]`` on 0..scale in place, and return it as NCHW."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    # One multiply and add per value, in place, on the NHWC layout that training keeps.
    return images.mul_(1.0 / (scale * std)).sub_(mean / std).permute(0, 3, 1, 2)


def _target(masks: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(masks).float().unsqueeze(1)


@dataclass(frozen=True)
class TrainSamples:
    """Random crops of all ``pairs``, flipped and recoloured as ``augmentation`` says."""

    pairs: ArrayPairs
    augmentation: AugmentationConfig

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        """Return input float32 ``[N, 3, S, S]`` and target float32 ``[N, 1, S, S]`` of 0 and 1."""
        side = self.augmentation.crop
        images = np.empty((len(items), side, side, 3), np.uint8)
        masks = np.empty((len(items), side, side), np.uint8)
        for row, (item, stream) in enumerate(zip(items, streams, strict=True)):
            images[row], masks[row] = cropped(
                self.pairs.image(item), self.pairs.mask(item), self.augmentation, stream
            )
        values, colour = torch.from_numpy(images).float(), self.augmentation.colour
        if colour.changes_nothing:
            return _normalised(values, 255.0), _target(masks)
        return _normalised(recolour(values.div_(255.0), colour, list(streams)), 1.0), _target(masks)


@dataclass(frozen=True)
class ValSamples:
    """Centre crops of all ``pairs``, the same every time.

    With a ``hard`` slice the target has a second channel: 1 for the pairs that belong to it.
    """

    pairs: ArrayPairs
    size: int
    hard: tuple[bool, ...] | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return input float32 ``[N, 3, S, S]`` and target float32 ``[N, 1 or 2, S, S]`` of 0 and 1."""
        images = np.empty((len(items), self.size, self.size, 3), np.uint8)
        masks = np.empty((len(items), self.size, self.size), np.uint8)
        for row, item in enumerate(items):
            image, mask = self.pairs.image(item), self.pairs.mask(item)
            top, left = ((length - self.size) // 2 for length in mask.shape)
            images[row] = image[top : top + self.size, left : left + self.size]
            masks[row] = mask[top : top + self.size, left : left + self.size]
        target = _target(masks)
        if self.hard is not None:
            flags = torch.tensor([self.hard[item] for item in items], dtype=torch.float32)
            target = torch.cat((target, flags[:, None, None, None].expand_as(target)), dim=1)
        return _normalised(torch.from_numpy(images).float(), 255.0), target
