"""The task ``noise_level``: its settings and its plugin. Torch is imported only once a task is made."""

from __future__ import annotations

from pydantic import Field

from vmaf_train.config import FitConfig, GateConfig, OptimiserConfig, Section, TaskConfig
from vmaf_train.task import Task, TaskPlugin

__all__ = ["PLUGIN", "DataConfig", "NoiseLevelConfig"]


class DataConfig(Section):
    """The frames that a program draws."""

    frames: int = Field(default=300, ge=10)
    """Frames in all; every fifth is held out."""
    side: int = Field(default=32, ge=16)
    """Height and width of a frame in pixels."""


class NoiseLevelConfig(TaskConfig):
    """Everything that decides the model."""

    id: str = "noise_level_v0"
    smoke: bool = True  # drawn frames prove the machinery; a model for use learns from real ones
    data: DataConfig = DataConfig()
    fit: FitConfig = FitConfig(epochs=5, batch_size=8)
    optimiser: OptimiserConfig = OptimiserConfig(lr=0.03)
    gate: GateConfig = GateConfig(min_value=0.9)  # of r2, where a constant guess scores 0


def _create(config: NoiseLevelConfig) -> Task:
    from noise_level.task import NoiseLevelTask

    return NoiseLevelTask(config)


PLUGIN = TaskPlugin(
    name="noise_level",
    summary="How noisy a frame is, place by place",
    config_type=NoiseLevelConfig,
    create=_create,
)
