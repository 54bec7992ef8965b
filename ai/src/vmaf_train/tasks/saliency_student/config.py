"""What a saliency run may be told beyond the framework's own sections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vmaf_train.config import MACHINE_ONLY, Section, TaskConfig

__all__ = [
    "SMOKE_ID",
    "AugmentationConfig",
    "DataConfig",
    "EmbeddedConfig",
    "LossConfig",
    "ModelConfig",
    "SaliencyConfig",
    "ValidationConfig",
]

SMOKE_ID = "saliency_student_smoke_v0"
"""The only name that a model trained on the embedded corpus may bear."""

Width = Annotated[int, Field(ge=1, le=512)]

_POOLED_SIDE = 8


class EmbeddedConfig(Section):
    """The corpus that a program draws: textured scenes with objects that stand out."""

    pairs: int = Field(default=640, ge=2, le=1_000_000)
    """Scenes, training and validation together."""
    seed: int = Field(default=7, ge=0, lt=2**63)
    """Decides every scene together with its number."""


class DataConfig(Section):
    """Where the pairs come from."""

    root: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    """Folder of images and masks, for instance DUTS-TR; null takes the embedded corpus."""
    extra_roots: tuple[Path, ...] = Field(default=(), json_schema_extra=MACHINE_ONLY)
    """Further folders, joined to the first."""
    layout: str = "auto"
    """auto, duts, ecssd, hku_is, msra10k, sod, or folders:IMAGES:MASKS."""
    policy: Literal["drop", "strict"] = "drop"
    """Whether a faulty pair is left out and counted, or stops the run."""
    note: str = Field(default="", max_length=400)
    """How the copy in use differs from the published files, for the card."""
    cache_dir: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    """Folder of decoded pictures; null takes the user's cache folder."""
    embedded: EmbeddedConfig = EmbeddedConfig()


class ModelConfig(Section):
    """The Tiny U-Net."""

    encoder_widths: tuple[Width, Width, Width] = (16, 32, 48)
    """Channels of the three stages down."""
    decoder_widths: tuple[Width, Width, Width] = (32, 16, 8)
    """Channels of the three stages up."""
    decoder: Literal["conv_transpose", "resize_conv"] = "conv_transpose"
    """How a stage doubles its size: learned 2x2 stride 2, or bilinear and a 3x3 convolution."""


class LossConfig(Section):
    """Binary cross entropy plus Dice (Milletari et al., "V-Net", 2016), from logits in float32."""

    bce_weight: float = Field(default=1.0, ge=0.0, le=100.0)
    """Weight of the mean binary cross entropy."""
    dice_weight: float = Field(default=1.0, ge=0.0, le=100.0)
    """Weight of the mean over images of 1 - Dice."""
    dice_smoothing: float = Field(default=1.0, gt=0.0, le=1e6)
    """Pixels added above and below the Dice fraction, so that an empty mask has a value."""

    @model_validator(mode="after")
    def _not_nothing(self) -> LossConfig:
        if not self.bce_weight and not self.dice_weight:
            raise ValueError("bce_weight and dice_weight are both 0, so there is nothing to learn")
        return self


class AugmentationConfig(Section):
    """What a training picture goes through, drawn anew each epoch."""

    short_side: int = Field(default=288, ge=8, le=4096)
    """Pixels of the shorter side before cropping: images bilinear, masks nearest."""
    crop: int = Field(default=256, ge=8, le=4096)
    """Side of the square random crop in pixels; a multiple of 8."""
    flip_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Chance of a horizontal flip."""

    @model_validator(mode="after")
    def _crop_fits(self) -> AugmentationConfig:
        if self.crop > self.short_side:
            raise ValueError(f"crop {self.crop} is larger than short_side {self.short_side}")
        if self.crop % _POOLED_SIDE:
            raise ValueError(f"crop {self.crop} is no multiple of {_POOLED_SIDE}")
        return self


class ValidationConfig(Section):
    """The held-out pairs and how they are judged."""

    share: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Fraction of all pairs held out, rounded, at least one."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Shuffles the sorted stems; the first ones are held out."""
    size: int = Field(default=256, ge=8, le=4096)
    """Short side and centre crop in pixels; a multiple of 8."""
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Map value from which a pixel counts as salient, for IoU."""

    @model_validator(mode="after")
    def _size_fits(self) -> ValidationConfig:
        if self.size % _POOLED_SIDE:
            raise ValueError(f"size {self.size} is no multiple of {_POOLED_SIDE}")
        return self


class SaliencyConfig(TaskConfig):
    """Everything that decides a saliency model. The defaults are the published v1 recipe."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _batch_norm_has_values(self) -> SaliencyConfig:
        values = self.fit.batch_size * (self.augmentation.crop // _POOLED_SIDE) ** 2
        if self.fit.epochs and values < 2:
            raise ValueError(
                f"fit.batch_size {self.fit.batch_size} with augmentation.crop {self.augmentation.crop} "
                "leaves BatchNorm one value per channel at 1/8 of the crop: raise one of them"
            )
        return self
