"""One message for all faults of a config, each unknown key with the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError

from vmaf_train.errors import ConfigError

__all__ = ["config_error", "faults_text"]


def _known_keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        # An optional section stands inside a union.
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _known_keys(inner, f"{prefix}{name}.")


def _nearest(dotted: str, known: Sequence[str]) -> str | None:
    section, _, leaf = dotted.rpartition(".")
    leaves = [key.rpartition(".")[2] for key in known]
    squeezed = [name.replace("_", "") for name in leaves]
    for candidates, word in ((leaves, leaf), (squeezed, leaf.replace("_", "")), (list(known), dotted)):
        if close := difflib.get_close_matches(word, candidates, n=1, cutoff=0.6):
            alike = [key for key, name in zip(known, candidates, strict=True) if name == close[0]]
            return min(alike, key=lambda key: key.rpartition(".")[0] != section)
    # A short word inside a longer name: "crop" for "augmentation.crop_size".
    inside = [key for key, name in zip(known, leaves, strict=True) if len(leaf) > 2 and leaf in name]
    return inside[0] if inside else None


def faults_text(error: ValidationError) -> str:
    """Return every fault that pydantic found as ``place: what is wrong``, joined by semicolons."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ") for fault in error.errors()
    )


def config_error(config_type: type[BaseModel], error: ValidationError, name: str) -> ConfigError:
    """Return the error that names every fault that pydantic found in the config ``name``."""
    known = list(_known_keys(config_type))
    faults = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            hint = _nearest(key, known)
            faults.append(f"unknown key {key}" + (f" (nearest known key: {hint})" if hint else ""))
        else:
            message = fault["msg"].removeprefix("Value error, ")
            value = "" if fault["type"] in {"missing", "value_error"} else f", not {fault['input']!r}"
            faults.append(f"{key}: {message}{value}" if key else message)
    return ConfigError(
        name,
        expected=f"a valid {config_type.__name__}",
        found="; ".join(faults),
        next_step="correct these, or see vmaf-train config TASK --schema",
    )
