"""Where a run was trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vmaf_train.record import Record

__all__ = ["EnvironmentRecord", "TrainingPart"]


class EnvironmentRecord(Record):
    """Where it was trained; a claim of reproducibility holds for this alone."""

    vmaf_train: str
    commit: str | None = None
    """Of vmaf_train's checkout, with ``+`` where its code differed from it; None outside one."""
    code: str | None = None
    """Digest of vmaf_train's Python files; None where it was not recorded."""
    python: str
    torch: str
    onnx: str
    onnxruntime: str
    processor: str
    device: Literal["cpu", "cuda"]
    device_name: str
    precision: Literal["float32", "bfloat16"]
    threads: int
    processes: int = 1

    def same_as(self, other: EnvironmentRecord | None) -> bool:
        """Return whether a run repeated in ``other`` would be the same; the same code in two commits is."""
        return other is not None and self.model_copy(update={"commit": other.commit}) == other


class TrainingPart(Record):
    """A part of a run that was trained in another environment than what came after it."""

    epochs: int = Field(ge=0)
    """Whole epochs of the run at its end."""
    step: int = Field(default=0, ge=0)
    """Steps of the next epoch at its end."""
    environment: EnvironmentRecord | None = None
    """None where the checkpoint does not say."""

    @property
    def end(self) -> str:
        """Up to where it goes, in words."""
        return f"step {self.step} of epoch {self.epochs + 1}" if self.step else f"epoch {self.epochs}"
