"""What every part of a run record is made of: frozen, strict, and without NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vmaf_train.strict_json import texts_in

__all__ = ["Figure", "ModelKind", "Record", "Sha256", "decimal_text", "finite_or_none"]

ModelKind = Literal["fr", "nr", "filter"]
"""What the runtime's registry calls a model: full reference, no reference, or a filter."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return ``values`` with every NaN and infinity as None, so that JSON can hold them."""
    return {key: float(value) if math.isfinite(value) else None for key, value in values.items()}


class Record(BaseModel):
    """A frozen part of the record that refuses unknown keys and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="after")
    def _no_nul(self) -> Self:
        # The C loader takes no text with one. Inner records were checked as they were made.
        for name, value in self.__dict__.items():
            if any("\0" in text for text in texts_in(value)):
                raise ValueError(f"a NUL in {name}")
        return self


def decimal_text(value: float, *, signed: bool = False) -> str:
    """Return a number with four decimals; one that they would not show with two digits instead."""
    sign = "+" if signed and value else ""
    small = 0 < abs(value) < 0.001
    return f"{value:{sign}.1e}" if small else f"{value + 0.0:{sign}.4f}"  # + 0.0: no minus before zero


class Figure(Record):
    """A measured value with its interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """What a table shows: ``0.8123 (0.8012 to 0.8234)``."""
        if self.low is None or self.high is None:
            return decimal_text(self.value)
        return f"{decimal_text(self.value)} ({decimal_text(self.low)} to {decimal_text(self.high)})"
