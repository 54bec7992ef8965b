"""Which configs a sweep tries: every combination of the values given, checked before the first trial."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmaf_train.config import TaskConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.config_record import config_differences, recorded_config
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.strict_yaml import parse_yaml

__all__ = ["CONFIG_AXIS", "Axis", "Point", "SweepPlan", "deciding_settings", "plan_sweep"]

CONFIG_AXIS = "config"
"""The axis of several config files; no setting bears this name, for settings lie in sections."""

_MAX_POINTS = 1_000


@dataclass(frozen=True)
class Axis:
    """One thing that a sweep varies.

    Attributes:
        key: the dotted key of a setting, or :data:`CONFIG_AXIS`.
        labels: its values as short texts, each once, in the order given; two or more.
        values: the values themselves; for :data:`CONFIG_AXIS` the names of the files.
    """

    key: str
    labels: tuple[str, ...]
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Point:
    """One config of a sweep.

    Attributes:
        number: from 1, in the order of the lists, the last list running fastest.
        choices: axis key to label.
        config: the whole config.
        settings: what decides its result: the recorded config, and the digest of initial weights.
        differences: what differs from point 1 as ``key: old -> new``, nothing for point 1 itself.
    """

    number: int
    choices: Mapping[str, str]
    config: TaskConfig
    settings: Mapping[str, Any]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class SweepPlan:
    """All points of a sweep, and how many of them to try."""

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    trials: int


def plan_sweep(
    config_type: type[TaskConfig],
    configs: Sequence[str],
    overrides: Sequence[str],
    changes: Mapping[str, Any],
    trials: int | None = None,
) -> SweepPlan:
    """Return the plan; every point's config is made and checked here.

    Args:
        config_type: the task's config type.
        configs: names of config files; two or more are an axis, none takes the defaults.
        overrides: ``a.b=1,2,3`` texts: one value fixes a setting, several make an axis. Values are
            the items of a YAML list, so a value that is a list stands in brackets.
        changes: dotted key to value, for every point alike.
        trials: how many points to try at most; None for all.

    Raises:
        ConfigError: nothing varies, a key or value is not valid, two points are the same config,
            or there are more than a thousand.
    """
    axes: list[Axis] = []
    if len(configs) > 1:
        axes.append(_axis(CONFIG_AXIS, configs, "--config"))
    fixed = dict(changes)
    for override in overrides:
        key, values = _values(override)
        if key in fixed or any(axis.key == key for axis in axes):
            raise _refused(f"--set {override}", "each key once", f"{key} again", "give one list for it")
        if len(values) == 1:
            fixed[key] = values[0]
        else:
            axes.append(_axis(key, values, f"--set {override}"))
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if not axes or count > _MAX_POINTS:
        raise _refused(
            "the sweep",
            f"2 to {_MAX_POINTS} combinations of values",
            f"{count:,}",
            "shorten the lists" if axes else "give a list, for instance --set fit.seed=1,2,3",
        )
    points = _points(config_type, axes, configs, fixed)
    return SweepPlan(tuple(axes), points, min(trials or count, count))


def _points(
    config_type: type[TaskConfig], axes: Sequence[Axis], configs: Sequence[str], fixed: Mapping[str, Any]
) -> tuple[Point, ...]:
    files = {name: find_config_file(name) for name in configs}
    points: list[Point] = []
    seen: dict[str, Mapping[str, str]] = {}
    first: dict[str, Any] | None = None
    for places in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = {axis.key: axis.values[place] for axis, place in zip(axes, places, strict=True)}
        choices = {axis.key: axis.labels[place] for axis, place in zip(axes, places, strict=True)}
        name = chosen.pop(CONFIG_AXIS, configs[0] if configs else None)
        file = files[name] if name is not None else None
        try:
            config = load_config(config_type, file, (), {**fixed, **chosen})
        except ConfigError as error:
            raise _refused(
                f"sweep trial {_shown(choices)}", error.expected, error.found, error.next_step
            ) from error
        recorded = deciding_settings(recorded_config(config), _initial_digest(config))
        first = first or recorded
        same = seen.setdefault(json.dumps(recorded, sort_keys=True), choices)
        if same is not choices:
            raise _refused(
                f"sweep trial {_shown(choices)}",
                "a config of its own",
                f"that of {_shown(same)}",
                "leave one out; a setting of the machine decides no result, and a sweep has one set of data",
            )
        differences = config_differences(first, recorded, {})
        points.append(Point(len(points) + 1, choices, config, recorded, tuple(differences)))
    return tuple(points)


def deciding_settings(recorded: Mapping[str, Any], initial_sha256: str | None) -> dict[str, Any]:
    """Return a recorded config with the digest of the weights that its run begins with, if any."""
    if initial_sha256 is None:
        return dict(recorded)
    return {**recorded, "fit": {**recorded.get("fit", {}), "initial": initial_sha256}}


def _initial_digest(config: TaskConfig) -> str | None:
    if config.fit.initial is None:
        return None
    from vmaf_train.initial_weights import initial_checkpoint  # brings torch along

    return sha256_file(initial_checkpoint(config.fit.initial))


def _values(override: str) -> tuple[str, list[Any]]:
    key, separator, text = override.partition("=")
    key = key.strip()
    if not separator or not all(part.strip() for part in key.split(".")):
        raise _refused(
            f"--set {override}",
            "section.key=value,value",
            "no such form",
            "write for instance --set fit.seed=1,2,3",
        )
    values = parse_yaml(f"[{text}]", f"--set {override}")
    if not isinstance(values, list) or not values:
        raise _refused(f"--set {override}", "one value or more", "none", f"write {key}=VALUE,VALUE")
    return key, values


def _axis(key: str, values: Sequence[Any], where: str) -> Axis:
    labels = [value if isinstance(value, str) else json.dumps(value, default=str) for value in values]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise _refused(where, "each value once", f"{', '.join(twice)} more than once", "leave it out")
    return Axis(key, tuple(labels), tuple(values))


def _shown(choices: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={label}" for key, label in choices.items())


def _refused(thing: str, expected: str, found: str, next_step: str) -> ConfigError:
    return ConfigError(thing, expected=expected, found=found, next_step=next_step)
