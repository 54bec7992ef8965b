"""A mean of the three channels through a sigmoid: a file of the right form, and no more."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError
from vmaf_train.run_record import CardText
from vmaf_train.task import DataSplits, ExportSpec, Metric, Panels, StageProgress, TensorSpec

__all__ = ["PlaceholderTask"]


class _Placeholder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 1, kernel_size=1)
        nn.init.constant_(self.mix.weight, 1.0 / 3.0)
        nn.init.constant_(self.mix.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.mix(image))


class PlaceholderTask:
    """The contract without training: a deterministic network and its words."""

    def __init__(self, config: TaskConfig) -> None:
        if config.fit.epochs:
            raise ConfigError(
                "fit.epochs",
                expected="0 for the placeholder, which has nothing to learn from",
                found=str(config.fit.epochs),
                next_step="leave it out",
            )
        self.config = config

    def load_data(self, progress: StageProgress) -> DataSplits:  # noqa: ARG002
        """Raise ConfigError: there is no data."""
        raise self._nothing("training data")

    def build_model(self) -> nn.Module:
        """Return the network: float32 ``[N, 3, H, W]`` to ``[N, 1, H, W]`` in (0, 1)."""
        return _Placeholder()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Raise ConfigError: there is no training."""
        raise self._nothing("a loss")

    def metric(self) -> Metric:
        """Raise ConfigError: there is nothing to measure."""
        raise self._nothing("a metric")

    def export_spec(self) -> ExportSpec:
        """Return the extractor's names and axes; any frame size."""
        return ExportSpec(
            input=TensorSpec("input", (1, 3, "H", "W")),
            output=TensorSpec("saliency_map", (1, 1, "H", "W")),
            probe_sizes=((1, 1), (7, 13), (270, 480)),
            ops=frozenset({"Conv", "Sigmoid"}),
            output_range=(0.0, 1.0),
        )

    def card_text(self) -> CardText:
        """Return the card's prose."""
        return CardText(
            title=f"{self.config.id}: a placeholder of the right form",
            summary=(
                "One 1x1 convolution and a sigmoid with fixed weights. It follows brightness alone and "
                "says nearly the same for every picture."
            ),
            intended_use="Tests of a loader and of the pipeline.",
            limits=("It sees nothing: no number that it gives means anything.",),
            tags=("placeholder",),
        )

    def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Panels:  # noqa: ARG002
        """Return no picture."""
        return ()

    def _nothing(self, thing: str) -> ConfigError:
        return ConfigError(
            f"task mobilesal_placeholder: {thing}",
            expected="fit.epochs 0",
            found="a run that asks for training",
            next_step="leave fit.epochs out",
        )
