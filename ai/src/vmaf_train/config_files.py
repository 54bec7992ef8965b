"""Where a config comes from: the defaults of its type, a file and its bases, and single settings on top."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from vmaf_train.config import TaskConfig
from vmaf_train.config_faults import config_error
from vmaf_train.config_record import flatten_config, recorded_config
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource
from vmaf_train.strict_yaml import dump_yaml, parse_yaml

__all__ = [
    "config_changes",
    "config_yaml",
    "default_values",
    "find_config_file",
    "load_config",
    "load_config_values",
    "shipped_config_names",
]

ConfigT = TypeVar("ConfigT", bound=TaskConfig)


def find_config_file(name: str) -> Path:
    """Return the config file ``name``: a path, or the name of one that ships with vmaf_train.

    Raises:
        ConfigError: there is no such file; the message lists those that ship.
    """
    shipped = resource("configs", "ai", "configs")
    for candidate in (Path(name), shipped / name, shipped / f"{name}.yaml"):
        with contextlib.suppress(OSError):  # a name that no file can have is a name that none has
            if candidate.is_file():
                return candidate
    raise ConfigError(
        f"config {name}",
        expected=f"a file, or one of those that ship: {', '.join(shipped_config_names())}",
        found="no such file",
        next_step="correct --config",
    )


def shipped_config_names() -> tuple[str, ...]:
    """Return the names of the configs that ship, sorted; each is for one of the built-in tasks."""
    return tuple(sorted(file.stem for file in resource("configs", "ai", "configs").glob("*.yaml")))


def load_config(
    config_type: type[ConfigT],
    file: Path | None = None,
    overrides: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> ConfigT:
    """Return the resolved config: defaults, then the file and its bases, then the overrides.

    Args:
        config_type: the task's config type.
        file: a YAML file; None takes the defaults alone.
        overrides: ``a.b=value`` texts, the value read as YAML.
        changes: dotted key to value, applied last.

    Raises:
        ConfigError: a file that is missing or no YAML mapping, or any key or value that the
            config type refuses; all faults stand in the one message.
    """
    # Sections are merged key by key onto the type's own defaults: naming one key of a section
    # must not bring the others back to the defaults of the section's type.
    values = default_values(config_type)
    _merge(values, load_config_values(file) if file else {})
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not all(part.strip() for part in key.split(".")):
            raise ConfigError(
                f"--set {override}",
                expected="section.key=value",
                found="no such form",
                next_step="write for instance --set fit.epochs=2",
            )
        _set(values, key.strip(), parse_yaml(text, f"--set {override}"))
    for key, value in (changes or {}).items():
        # A copy: a later change may go into a section that an earlier one brought.
        _set(values, key, copy.deepcopy(value))
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        raise config_error(config_type, error, str(file) if file else "config") from error


def load_config_values(file: Path) -> dict[str, Any]:
    """Return what ``file`` and its bases state, as plain data that no config type has checked.

    Raises:
        ConfigError: a file is missing or no YAML mapping.
    """
    return _read_file(file, ())


def default_values(config_type: type[BaseModel]) -> dict[str, Any]:
    """Return the defaults of all fields that have one, as plain data."""
    values: dict[str, Any] = {}
    for name, field in config_type.model_fields.items():
        if not field.is_required():
            default = field.get_default(call_default_factory=True, validated_data={})
            values[name] = to_jsonable_python(default)
    return values


def config_changes(
    config_type: type[TaskConfig], values: Mapping[str, Any], config: TaskConfig
) -> dict[str, Any]:
    """Return dotted key to value for every recorded setting that ``values`` does not lead to."""
    start = default_values(config_type)
    _merge(start, values)
    before = dict(flatten_config(start))
    # A section that was switched off is a null where there were keys, and so not in ``before``.
    return {
        key: value
        for key, value in flatten_config(recorded_config(config))
        if key not in before or before[key] != value
    }


def config_yaml(config: TaskConfig) -> str:
    """Return the whole config as YAML in the order of its fields."""
    return dump_yaml(config.model_dump(mode="json"))


def _read_file(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(
            str(path),
            expected="a chain of base: files that ends",
            found="a file that is its own base",
            next_step="correct base:",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path),
            expected="a readable UTF-8 YAML file",
            found=str(getattr(error, "strerror", None) or error),
            next_step="correct --config",
        ) from error
    values = parse_yaml(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            str(path),
            expected="a mapping of sections",
            found=type(values).__name__,
            next_step="see vmaf-train config TASK for the form",
        )
    base = values.pop("base", None)
    if base is None:
        return values
    merged = _read_file(_base_file(path, str(base)), (*seen, path.resolve()))
    _merge(merged, values)
    return merged


def _base_file(path: Path, base: str) -> Path:
    """Return the file that ``base:`` in ``path`` names: one beside it, or one that ships."""
    beside = path.parent / base
    with contextlib.suppress(OSError):
        if beside.is_file():
            return beside
    try:
        return find_config_file(base)
    except ConfigError as error:
        raise ConfigError(
            f"base: {base} of {path}",
            expected=f"a file beside it, or one of those that ship: {', '.join(shipped_config_names())}",
            found="no such file",
            next_step="correct base:",
        ) from error


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set the value of a dotted key; a section that is null is made.

    Raises:
        ConfigError: the key leads through a value that is no section.
    """
    *sections, leaf = dotted.split(".")
    for section in sections:
        if values.get(section) is None:
            values[section] = {}
        inner = values[section]
        if not isinstance(inner, dict):
            raise ConfigError(
                dotted,
                expected=f"a section {section}",
                found=f"{section}: {inner!r}"[:100],
                next_step="see vmaf-train config TASK for the keys that there are",
            )
        values = inner
    values[leaf] = value
