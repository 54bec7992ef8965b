"""The saliency task: its data, network, loss, metric, file contract and words."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vmaf_train.errors import ConfigError
from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
from vmaf_train.run_record import CardText
from vmaf_train.task import DataSplits, ExportSpec, Panels, StageProgress
from vmaf_train.tasks.saliency_student.config import SMOKE_ID, SaliencyConfig
from vmaf_train.tasks.saliency_student.data import load_splits
from vmaf_train.tasks.saliency_student.exporter import saliency_export_spec
from vmaf_train.tasks.saliency_student.losses import saliency_loss
from vmaf_train.tasks.saliency_student.metrics import SaliencyMetric
from vmaf_train.tasks.saliency_student.model import build_model
from vmaf_train.tasks.saliency_student.words import saliency_card_text

__all__ = ["SaliencyTask"]


class SaliencyTask:
    """One saliency model to train, as its config says."""

    def __init__(self, config: SaliencyConfig) -> None:
        _require_honest_name(config)
        self.config = config

    def load_data(self, progress: StageProgress) -> DataSplits:
        """Return the samples of the configured folders, or of the embedded corpus."""
        return load_splits(self.config, progress)

    def build_model(self) -> nn.Module:
        """Return the network: float32 ``[N, 3, H, W]`` to logits ``[N, C, H, W]``, C is 1 in eval mode."""
        return build_model(self.config.model)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted loss of logits against a target in [0, 1]."""
        return saliency_loss(output, target, self.config.loss)

    def metric(self) -> SaliencyMetric:
        """Return a fresh accumulator of per-image IoU and MAE."""
        validation = self.config.validation
        return SaliencyMetric(
            validation.threshold, validation.choose_by, hard_slice=bool(validation.hard_prefixes)
        )

    def export_spec(self) -> ExportSpec:
        """Return the contract of the runtime's extractor."""
        return saliency_export_spec(self.config.model)

    def card_text(self) -> CardText:
        """Return the card's prose."""
        return saliency_card_text(self.config)

    def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Panels:
        """Return a row (image, truth, predicted map) for each sample."""
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        images = (batch.permute(0, 2, 3, 1) * std + mean).mul(255.0).round().clamp(0, 255)
        maps = torch.sigmoid(output.float())
        return [
            (image, _grey(truth), _grey(found))
            for image, truth, found in zip(images.to(torch.uint8).numpy(), target, maps, strict=True)
        ]


def _require_honest_name(config: SaliencyConfig) -> None:
    """Keep the embedded corpus and the smoke model's name together, and both apart from the rest."""
    embedded = config.data.root is None
    if embedded and not (config.smoke and config.id == SMOKE_ID):
        raise ConfigError(
            f"model {config.id}",
            expected="data.root, a folder of pairs",
            found=f"none, and the embedded corpus makes {SMOKE_ID if config.smoke else 'smoke models'} alone",
            next_step=f"{'leave out --id' if config.smoke else 'take --config smoke'}, or give --data DIR",
        )
    if not embedded and config.id == SMOKE_ID:
        raise ConfigError(
            f"model {config.id}",
            expected="another id: this one names the model of the embedded corpus",
            found="data.root is set",
            next_step="give --id, or leave --data out",
        )
    if embedded and config.data.extra_roots:
        raise ConfigError(
            "data.extra_roots",
            expected="data.root beside it",
            found="none",
            next_step="give --data DIR",
        )


def _grey(plane: Tensor) -> NDArray[np.uint8]:
    """Turn ``[1, H, W]`` in [0, 1] into grey uint8 ``[H, W, 3]``."""
    grey = plane[0].mul(255.0).round().to(torch.uint8).numpy()
    return np.repeat(grey[..., None], 3, axis=2)
