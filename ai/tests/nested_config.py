"""A config of several levels, and what is said where a file is no such config."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from vmaf_train.config import MACHINE_ONLY, Section, TaskConfig
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError


class Embedded(Section):
    seed: int = 7


class Data(Section):
    root: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    layout: str = "auto"
    embedded: Embedded = Embedded()


class Crop(Section):
    crop_size: int = 256
    seed: int = 3


class NestedConfig(TaskConfig):
    id: str = "nested"
    decoder: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (16, 32)
    data: Data = Data()
    augmentation: Crop = Crop()
    extra: Crop | None = None


def told(text: str, tmp_path: Path, *overrides: str) -> str:
    """What is said about a config file; its path left out."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(NestedConfig, file, overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    return caught.value.found
