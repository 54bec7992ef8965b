"""The task: what it learns from, how it learns, what its file must be, and what its card says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from noise_level import NoiseLevelConfig
from noise_level.data import STRONGEST, load_splits
from noise_level.model import NoiseMetric, NoiseNet
from vmaf_train.run_record import CardText
from vmaf_train.task import DataSplits, ExportSpec, Panels, StageProgress, TensorSpec

__all__ = ["NoiseLevelTask"]


class NoiseLevelTask:
    """One model to train, as its config says."""

    def __init__(self, config: NoiseLevelConfig) -> None:
        self.config = config

    def load_data(self, progress: StageProgress) -> DataSplits:
        """Return the drawn frames."""
        data = self.config.data
        splits = load_splits(data.frames, data.side, self.config.fit.seed)
        progress("draw frames", data.frames, data.frames)
        return splits

    def build_model(self) -> nn.Module:
        """Return a network with fresh weights."""
        return NoiseNet()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of the map."""
        return functional.mse_loss(torch.sigmoid(output), target)

    def metric(self) -> NoiseMetric:
        """Return a fresh accumulator."""
        return NoiseMetric()

    def export_spec(self) -> ExportSpec:
        """Return the file's contract: luma ``[1, 1, H, W]`` of any size to a map of that size."""
        return ExportSpec(
            input=TensorSpec("luma", (1, 1, "H", "W")),
            output=TensorSpec("noise_map", (1, 1, "H", "W")),
            probe_sizes=((1, 1), (17, 40), (90, 160)),
            shipped=lambda network: nn.Sequential(network, nn.Sigmoid()),
            ops=frozenset({"AveragePool", "Conv", "Mul", "Relu", "Sigmoid", "Sub"}),
            output_range=(0.0, 1.0),
            input_contract={"values": "luma of 8 bits / 255", "size": "native, without padding"},
        )

    def card_text(self) -> CardText:
        """Return the card's prose; its numbers come from the run."""
        return CardText(
            title=f"{self.config.id}: noise of a video frame",
            summary="A few convolutions that say, for each place of a frame, how strong its noise is.",
            intended_use="A descriptor of content beside quality features. Not a measure of quality.",
            how_to_read=f"A map value times {STRONGEST} is the noise's standard deviation in 8-bit steps.",
            limits=("Trained on drawn frames with white noise: film grain and coding noise differ.",),
            tags=("noise", "video-quality"),
        )

    def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Panels:
        """Return a row (frame, true map, found map) for each sample."""
        planes = torch.cat([batch, target, torch.sigmoid(output)], dim=1)
        grey = planes.mul(255.0).round().to(torch.uint8).numpy()
        return [tuple(np.repeat(plane[..., None], 3, axis=2) for plane in row) for row in grey]
