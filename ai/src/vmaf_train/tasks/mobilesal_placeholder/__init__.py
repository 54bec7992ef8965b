"""The task ``mobilesal_placeholder``: the extractor's contract with weights that see nothing."""

from __future__ import annotations

from vmaf_train.config import ExportConfig, FitConfig, TaskConfig
from vmaf_train.task import Task, TaskPlugin

__all__ = ["PLUGIN", "PlaceholderConfig"]


class PlaceholderConfig(TaskConfig):
    """Nothing to choose: fixed weights, no training, always a smoke model."""

    id: str = "mobilesal_placeholder_v0"
    smoke: bool = True
    fit: FitConfig = FitConfig(epochs=0)
    export: ExportConfig = ExportConfig()


def _create(config: PlaceholderConfig) -> Task:
    from vmaf_train.tasks.mobilesal_placeholder.task import PlaceholderTask

    return PlaceholderTask(config)


PLUGIN = TaskPlugin(
    name="mobilesal_placeholder",
    summary="A 1x1 convolution with fixed weights: the extractor's contract, for tests of a loader",
    config_type=PlaceholderConfig,
    create=_create,
)
