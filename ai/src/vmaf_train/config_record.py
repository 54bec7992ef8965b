"""A config as a record tells it: plain data, its digest, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vmaf_train.config import TaskConfig
from vmaf_train.files import sha256_bytes

__all__ = ["config_differences", "config_digest", "flatten_config", "recorded_config"]


def recorded_config(config: TaskConfig) -> dict[str, Any]:
    """Return the config as plain data without the fields marked :data:`MACHINE_ONLY`."""
    return _without_machine_fields(config)


def config_digest(config: TaskConfig) -> str:
    """Return the SHA-256 (hex) of the recorded config in canonical JSON."""
    return sha256_bytes(json.dumps(recorded_config(config), sort_keys=True, allow_nan=False).encode())


def config_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[str]:
    """Return one ``key: old -> new`` text for each difference of two recorded configs.

    A key that ``before`` lacks counts as its default there, so that a record written before a
    setting existed still compares equal to a config that leaves it alone.
    """
    old, new, default = (dict(flatten_config(item)) for item in (before, after, defaults))
    missing = object()
    differences = []
    for key in sorted(old.keys() | new.keys()):
        left = old.get(key, default.get(key, missing))
        right = new.get(key, missing)
        if left != right:
            shown = ["(unknown)" if value is missing else repr(value) for value in (left, right)]
            differences.append(f"{key}: {shown[0]} -> {shown[1]}")
    return differences


def flatten_config(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of every setting in the nested ``values``."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten_config(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _without_machine_fields(section: BaseModel) -> dict[str, Any]:
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("machine_only"):
            del plain[name]
        elif isinstance(value := getattr(section, name), BaseModel):
            plain[name] = _without_machine_fields(value)
    return plain
