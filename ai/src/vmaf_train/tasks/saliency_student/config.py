"""What a saliency run may be told beyond the framework's own sections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vmaf_train.config import MACHINE_ONLY, Section, TaskConfig

__all__ = [
    "SMOKE_ID",
    "AugmentationConfig",
    "ColourConfig",
    "DataConfig",
    "EmbeddedConfig",
    "FixedScaleConfig",
    "LossConfig",
    "ModelConfig",
    "ResizedCropConfig",
    "SaliencyConfig",
    "ValidationConfig",
]

SMOKE_ID = "saliency_student_smoke_v0"
"""The only name that a model trained on the embedded corpus may bear."""

Width = Annotated[int, Field(ge=1, le=512)]
Depth = Annotated[int, Field(ge=0, le=32)]
Expansion = Annotated[float, Field(ge=1.0, le=16.0)]
Kernel = Literal[3, 5, 7]

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


class FixedScaleConfig(Section):
    """The network that works at a scale of its own and takes frames of any size."""

    working_size: int = Field(default=192, ge=16, le=1024)
    """Side in pixels of the square that a frame is resized to inside the graph; a multiple of 16."""
    stem_width: Width = 16
    """Channels at 1/2."""
    widths: tuple[Width, Width, Width] = (24, 40, 56)
    """Channels at 1/4, 1/8 and 1/16."""
    depths: tuple[Depth, Depth, Depth] = (1, 2, 3)
    """Residual blocks of each stage after the one that halves the size."""
    expansions: tuple[Expansion, Expansion, Expansion] = (3.0, 3.0, 2.0)
    """How many times wider a residual block is inside, by stage."""
    down_expansion: Expansion = 4.0
    """The same for the blocks that halve the size."""
    kernels: tuple[Kernel, Kernel, Kernel] = (3, 3, 5)
    """Side of the per-channel filters, by stage."""
    decoder_width: Width = 32
    """Channels of the decoder down to 1/4."""
    fine_width: Width = 16
    """Channels of the decoder at 1/2."""

    @property
    def stride(self) -> int:
        """Pixels of a side that the deepest stage makes one of."""
        return 16

    @model_validator(mode="after")
    def _size_divides(self) -> FixedScaleConfig:
        if self.working_size % self.stride:
            raise ValueError(f"working_size {self.working_size} is no multiple of {self.stride}")
        return self


class ModelConfig(Section):
    """Which network, and the widths of the Tiny U-Net."""

    network: Literal["unet", "fixed_scale"] = "unet"
    """The Tiny U-Net at the frame's own scale, or the network with a working size."""
    fixed_scale: FixedScaleConfig = FixedScaleConfig()
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
    iou_weight: float = Field(default=0.0, ge=0.0, le=100.0)
    """Weight of the mean over images of 1 - soft IoU, smoothed alike."""
    deep_weight: float = Field(default=0.0, ge=0.0, le=100.0)
    """Weight of the same loss on each further channel that a network gives while it trains."""

    @model_validator(mode="after")
    def _not_nothing(self) -> LossConfig:
        if not self.bce_weight and not self.dice_weight and not self.iou_weight:
            raise ValueError("bce_weight, dice_weight and iou_weight are all 0: nothing to learn")
        return self


class ResizedCropConfig(Section):
    """A box of random area and shape, brought to the crop's square (Szegedy et al., CVPR 2015)."""

    min_area: float = Field(default=0.4, gt=0.0, le=1.0)
    """Least share of the picture's area; the most is all of it."""
    max_stretch: float = Field(default=1.33, ge=1.0, le=4.0)
    """Most that the box's shape may differ from the picture's, as a ratio either way."""


class ColourConfig(Section):
    """Changes of colour that a picture's truth does not follow; 0 changes nothing."""

    brightness: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Values are multiplied by 1 plus or minus at most this."""
    contrast: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Distances from the picture's mean grey are multiplied by 1 plus or minus at most this."""
    saturation: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Distances from each pixel's grey are multiplied by 1 plus or minus at most this."""
    grey_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    """Chance that all colour is taken away."""

    @property
    def changes_nothing(self) -> bool:
        """Whether every value is 0."""
        return not (self.brightness or self.contrast or self.saturation or self.grey_probability)


class AugmentationConfig(Section):
    """What a training picture goes through, drawn anew each epoch."""

    short_side: int = Field(default=288, ge=8, le=4096)
    """Pixels of the shorter side before cropping: images bilinear, masks nearest."""
    crop: int = Field(default=256, ge=8, le=4096)
    """Side of the square random crop in pixels; a multiple of 8."""
    flip_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Chance of a horizontal flip."""
    resized_crop: ResizedCropConfig | None = None
    """Crop boxes of random area and shape; null takes crops at the pictures' scale."""
    colour: ColourConfig = ColourConfig()
    blank_probability: float = Field(default=0.0, ge=0.0, le=0.5)
    """Chance that a flat colour or an even ramp takes the picture's place, with an empty truth."""

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
    hard_prefixes: tuple[str, ...] = ()
    """Pairs whose stems begin so are held out too, as a slice that the training knows less of."""
    choose_by: Literal["iou", "hard_iou"] = "iou"
    """The metric that picks the best epoch and meets the gate: of the share, or of the hard slice."""

    @model_validator(mode="after")
    def _size_fits(self) -> ValidationConfig:
        if self.size % _POOLED_SIDE:
            raise ValueError(f"size {self.size} is no multiple of {_POOLED_SIDE}")
        if self.choose_by == "hard_iou" and not self.hard_prefixes:
            raise ValueError("choose_by hard_iou needs hard_prefixes")
        return self


class SaliencyConfig(TaskConfig):
    """Everything that decides a saliency model. The defaults are the published v1 recipe."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _crop_suits_the_network(self) -> SaliencyConfig:
        stride = _POOLED_SIDE if self.model.network == "unet" else self.model.fixed_scale.stride
        crop = self.augmentation.crop
        if crop % stride:
            raise ValueError(f"augmentation.crop {crop} is no multiple of {stride}, the network's stride")
        values = self.fit.batch_size * (crop // stride) ** 2
        if self.fit.epochs and values < 2:
            raise ValueError(
                f"fit.batch_size {self.fit.batch_size} with augmentation.crop {crop} "
                f"leaves BatchNorm one value per channel at 1/{stride} of the crop: raise one of them"
            )
        return self
