"""What a run is told: frozen, closed sections, checked once, all faults reported together.

A task adds its own sections to :class:`TaskConfig`. A file states only its differences from the
file named by its ``base:`` key, or from the defaults below.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "MACHINE_ONLY",
    "MODEL_ID_PATTERN",
    "ExportConfig",
    "FitConfig",
    "GateConfig",
    "OptimiserConfig",
    "ScheduleConfig",
    "Section",
    "TaskConfig",
]

MACHINE_ONLY: dict[str, Any] = {"machine_only": True}
"""Marks a field that says where or how fast, not what: it is neither recorded nor compared. A digest
of what lies there (the data, initial weights) is recorded instead."""

MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
_MAX_ID = 64
_TAKEN_ENDINGS = ("_card", "_failed", "_tested")
"""Endings of names that files of another model have beside its id."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class FitConfig(Section):
    """The training loop."""

    epochs: int = Field(default=50, ge=0, le=2000)
    """Passes over the training samples. 0 trains nothing and is for smoke models alone. The sidecar,
    which the loader takes up to 1 MiB of, has a line for each."""
    batch_size: int = Field(default=32, ge=1, le=65_536)
    """Samples in one optimiser step. A last, smaller batch of an epoch is left out."""
    seed: int = Field(default=42, ge=0, lt=2**63)
    """Decides initial weights, order and augmentation, together with epoch and item."""
    initial: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    """Checkpoint, or run folder, whose best weights the run begins with; null begins with random ones."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes CUDA where it is there."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``bfloat16`` is autocast; ``auto`` takes it where the processor or GPU computes in it."""
    channels_last: bool = True
    """Whether image tensors lie in memory as NHWC; faster wherever convolutions are."""
    compile: bool = False
    """Whether torch.compile fuses the network first: needs a C++ compiler, costs half a minute."""
    deterministic: bool = True
    """Whether an operation without a deterministic form is refused instead of used."""
    ema_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Decay per step of the moving average of the weights; 0 keeps no average."""
    gradient_clip: float = Field(default=0.0, ge=0.0)
    """Largest L2 norm of the gradient; 0 clips nothing."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads of CPU arithmetic; 0 takes one per core. Sums depend on it in the last bit."""
    workers: int = Field(default=0, ge=0, le=256, json_schema_extra=MACHINE_ONLY)
    """Processes that prepare batches; 0 prepares them in this one. Never changes a result."""
    other_torch: bool = Field(default=False, json_schema_extra=MACHINE_ONLY)
    """Whether a run may go on from a checkpoint of another version of torch; its record tells both."""


class OptimiserConfig(Section):
    """The optimiser."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019)."""
    lr: float = Field(default=1e-3, gt=0.0, le=1e7)
    """Learning rate at its highest."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    """Decay of the weights: coupled in adam, decoupled in adamw."""


class ScheduleConfig(Section):
    """The learning rate over the steps of the run."""

    name: Literal["cosine", "constant"] = "cosine"
    """``cosine`` falls towards ``final_fraction`` of lr, which a step after the last one would have
    (Loshchilov and Hutter, 2017)."""
    warmup_epochs: float = Field(default=0.0, ge=0.0)
    """Epochs of linear rise from 0 to lr, fractions allowed."""
    final_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    """What the cosine falls towards, as a fraction of lr."""
    restarts: tuple[int, ...] = ()
    """Epochs after which the rate starts at lr again and falls anew, without a warm-up (warm
    restarts, Loshchilov and Hutter, 2017); ascending. One at the end or later is not reached. A run
    may be resumed for more epochs if a restart stands where it was to end."""

    def ends(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs after which each descent of a run of ``epochs`` ends; the last is ``epochs``."""
        return (*(restart for restart in self.restarts if restart < epochs), epochs)


class GateConfig(Section):
    """The quality without which no weights are emitted."""

    min_value: float = 0.5
    """Least value of the task's primary metric over the validation samples that may ship."""


class ExportConfig(Section):
    """The ONNX file."""

    opset: Literal[17] = 17
    """Operator set of the file, read back from its bytes."""
    max_abs_diff: float = Field(default=1e-5, gt=0.0, le=1e-2)
    """Largest absolute difference allowed between PyTorch and ONNX Runtime, in output units."""


class TaskConfig(Section):
    """What every task's config has. A task's own config type extends it with more sections."""

    id: str = Field(pattern=MODEL_ID_PATTERN, max_length=_MAX_ID)
    """Name of the model in the registry and of its files."""
    smoke: bool = False
    """Marks a model that proves the machinery and is not for use."""
    fit: FitConfig = FitConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    gate: GateConfig = GateConfig()
    export: ExportConfig = ExportConfig()

    @field_validator("id")
    @classmethod
    def _names_files(cls, model_id: str) -> str:
        # A task that gives the field a default of its own states it anew, without the pattern.
        if not re.fullmatch(MODEL_ID_PATTERN, model_id) or len(model_id) > _MAX_ID:
            raise ValueError(
                f"{model_id!r} is no id: 1 to {_MAX_ID} of a-z, 0-9, - and _, a letter or a digit first"
            )
        if model_id.endswith(_TAKEN_ENDINGS):
            raise ValueError(
                f"{model_id!r} is no id: {', '.join(_TAKEN_ENDINGS)} end names of another model's files"
            )
        return model_id

    @model_validator(mode="after")
    def _untrained_is_smoke(self) -> TaskConfig:
        if self.fit.epochs == 0 and not self.smoke:
            raise ValueError(
                "fit.epochs is 0, so no weight would change: only a smoke model may be untrained"
            )
        if self.fit.epochs == 0 and self.fit.initial is not None:
            raise ValueError("fit.epochs is 0 and fit.initial is given: an untrained model begins with none")
        return self

    @model_validator(mode="after")
    def _restarts_ascend(self) -> TaskConfig:
        restarts = self.schedule.restarts
        if any(late <= early for early, late in pairwise((0, *restarts))):
            raise ValueError(
                f"schedule.restarts is {list(restarts)}: each must be later than the one before, from 1 up"
            )
        first = self.schedule.ends(self.fit.epochs)[0]
        if self.schedule.warmup_epochs > first:
            limit = "fit.epochs" if first == self.fit.epochs else "the first of schedule.restarts"
            raise ValueError(
                f"schedule.warmup_epochs is {self.schedule.warmup_epochs:g}, longer than {limit}, "
                f"which is {first}"
            )
        return self
