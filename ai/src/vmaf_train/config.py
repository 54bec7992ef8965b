"""What a run is told: frozen, closed sections, checked once, all faults reported together.

A task adds its own sections to :class:`TaskConfig`. A file states only its differences from the
file named by its ``base:`` key, or from the defaults below.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import to_jsonable_python

from vmaf_train.config_faults import config_error
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource, sha256_bytes
from vmaf_train.strict_yaml import dump_yaml, parse_yaml

__all__ = [
    "MACHINE_ONLY",
    "ExportConfig",
    "FitConfig",
    "GateConfig",
    "OptimiserConfig",
    "ScheduleConfig",
    "Section",
    "TaskConfig",
    "config_changes",
    "config_differences",
    "config_digest",
    "config_yaml",
    "default_values",
    "find_config_file",
    "flatten_config",
    "load_config",
    "load_config_values",
    "recorded_config",
    "shipped_config_names",
]

MACHINE_ONLY: dict[str, Any] = {"machine_only": True}
"""Marks a field that says where or how fast, not what: it is neither recorded nor compared. A digest
of what lies there (the data, initial weights) is recorded instead."""

MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
_MAX_ID = 64


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class FitConfig(Section):
    """The training loop."""

    epochs: int = Field(default=50, ge=0, le=100_000)
    """Passes over the training samples. 0 trains nothing and is for smoke models alone."""
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
    """``cosine`` falls to ``final_fraction`` of lr at the last step (Loshchilov and Hutter, 2017)."""
    warmup_epochs: float = Field(default=0.0, ge=0.0)
    """Epochs of linear rise from 0 to lr, fractions allowed."""
    final_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    """Where the cosine ends, as a fraction of lr."""
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

    CONFIG_FORMAT: ClassVar[int] = 1

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
    return {key: value for key, value in flatten_config(recorded_config(config)) if before.get(key) != value}


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
    merged = _read_file(path.parent / str(base), (*seen, path.resolve()))
    _merge(merged, values)
    return merged


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, leaf = dotted.split(".")
    for section in sections:
        if values.get(section) is None:
            values[section] = {}
        inner = values[section]
        if not isinstance(inner, dict):
            return  # left as it is, so that the check names it
        values = inner
    values[leaf] = value


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
