"""Which tasks are there: entry points of the group ``vmaf_train.tasks``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from vmaf_train.code_versions import ENTRY_POINT_GROUP
from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError
from vmaf_train.record import ModelKind
from vmaf_train.task import API_VERSION, TaskPlugin

__all__ = ["ENTRY_POINT_GROUP", "TaskEntry", "discover_tasks", "load_task"]

_OWN_DISTRIBUTION = "vmaf-train"
_IMPORT_SECONDS = 60.0
"""Longest time that a plugin's import may take; it need not load torch, so it takes a moment."""


@dataclass(frozen=True)
class TaskEntry:
    """One discovered task, loaded or broken.

    Attributes:
        name: the entry point's name.
        target: ``module:attribute``.
        distribution: the package that declares it.
        plugin: the loaded plugin; None when broken.
        cause: why it is broken, in one line; empty when it is not.
    """

    name: str
    target: str
    distribution: str
    plugin: TaskPlugin[Any] | None
    cause: str


class _Claim(NamedTuple):
    """What one package says of one name; claims sort by their texts."""

    name: str
    target: str
    distribution: str
    point: importlib.metadata.EntryPoint

    @property
    def own(self) -> bool:
        """Whether vmaf-train itself makes it."""
        return self.distribution == _OWN_DISTRIBUTION


def _package(distribution: importlib.metadata.Distribution | None) -> str:
    try:
        name = distribution.name if distribution is not None else None
    except Exception:  # metadata that is gone or damaged names nobody
        name = None
    return re.sub(r"[-_.]+", "-", name).lower() if name else "unknown"


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    """Each installed package once; what stands first on the path hides the others of its name."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        name = _package(distribution)
        if name == "unknown" or name not in seen:
            seen.add(name)
            yield distribution


def _claims() -> tuple[list[_Claim], list[TaskEntry]]:
    """All claims, each once whatever is listed twice, and an entry for each unreadable list of them."""
    points: list[importlib.metadata.EntryPoint] = []
    unreadable = []
    try:
        points += importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    except Exception:  # one damaged package must not hide the others
        for distribution in _distributions():
            try:
                points += distribution.entry_points.select(group=ENTRY_POINT_GROUP)
            except Exception as error:
                if _mentions_the_group(distribution):
                    name = _package(distribution)
                    cause = f"its entry_points.txt cannot be read: {_told(error)}"
                    unreadable.append(TaskEntry(name, "unknown", name, None, cause))
    claims = [_Claim(point.name, point.value, _package(point.dist), point) for point in points]
    found = {claim[:3]: claim for claim in claims}
    return [found[key] for key in sorted(found)], unreadable


def _mentions_the_group(distribution: importlib.metadata.Distribution) -> bool:
    try:
        return ENTRY_POINT_GROUP in (distribution.read_text("entry_points.txt") or "")
    except Exception:  # no text at all
        return False


def _told(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception whose own text is broken
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class ImportTimeout(BaseException):
    """A plugin whose import does not end; no ``except Exception`` of its own may swallow it."""


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise :class:`ImportTimeout` in a block that takes longer; only a main thread can be told so."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise ImportTimeout(f"no end within {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, stop)
    earlier = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *earlier)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)


def _load(point: importlib.metadata.EntryPoint) -> tuple[TaskPlugin[Any] | None, str]:
    try:
        # Standard output may be read by a program.
        with contextlib.redirect_stdout(sys.stderr), _deadline(_IMPORT_SECONDS):
            plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken plugin must not take the others with it
        return None, _told(error)
    cause = _flaw(plugin, point)
    return (None, cause) if cause else (plugin, "")


def _flaw(plugin: Any, point: importlib.metadata.EntryPoint) -> str:
    """Why the loaded object is no plugin that this version can use; empty when it is one."""
    if not isinstance(plugin, TaskPlugin):
        return f"{point.value} is a {type(plugin).__name__}, not a TaskPlugin"
    version: Any = plugin.api_version
    if not isinstance(version, int) or version > API_VERSION:
        return f"written for API version {version!r}, this vmaf_train has {API_VERSION}"
    if plugin.name != point.name:
        return f"the plugin calls itself {plugin.name}, its entry point {point.name}"
    if not (isinstance(plugin.config_type, type) and issubclass(plugin.config_type, TaskConfig)):
        return f"config_type is {plugin.config_type!r}, not a subclass of TaskConfig"
    if not callable(plugin.create):
        return f"create is {plugin.create!r}, not a function"
    kind: Any = plugin.kind
    if kind not in get_args(ModelKind):
        return f"kind is {kind!r}, not one of {', '.join(get_args(ModelKind))}"
    for field in ("summary", "license", "config_file", "demo_config_file"):
        if not isinstance(getattr(plugin, field), str):
            return f"{field} is {getattr(plugin, field)!r}, not a text"
    return ""


def discover_tasks() -> tuple[TaskEntry, ...]:
    """Return all tasks, broken ones with their cause, sorted by name, built-in before others.

    A name with two targets is a clash: neither is loaded, except that a built-in task stays
    what it is and whatever shadows it is broken.
    """
    return _entries(None)


def _entries(wanted: str | None) -> tuple[TaskEntry, ...]:
    """The entries of one name, or of all; no plugin of another name is loaded."""
    claims, entries = _claims()
    entries = [entry for entry in entries if wanted in {None, entry.name}]
    by_name: dict[str, list[_Claim]] = defaultdict(list)
    for claim in claims:
        if wanted in {None, claim.name}:
            by_name[claim.name].append(claim)
    for rivals in by_name.values():
        own = [claim for claim in rivals if claim.own]
        # The same target from two packages is one task listed twice, ours where it is ours.
        unique = {claim.target: claim for claim in [*reversed(rivals), *own]}
        for claim in sorted(unique.values(), key=lambda claim: (not claim.own, claim.target)):
            plugin, cause = None, ""
            if len(unique) > 1 and not claim.own:
                verb = "shadows the built-in" if own else "has the same name as"
                others = [f"{other.target} ({other.distribution})" for other in unique.values()]
                mine = f"{claim.target} ({claim.distribution})"
                cause = f"{mine} {verb} {', '.join(sorted(set(others) - {mine}))}"
            else:
                plugin, cause = _load(claim.point)
            entries.append(TaskEntry(claim.name, claim.target, claim.distribution, plugin, cause))
    return tuple(sorted(entries, key=lambda entry: entry.name))


def load_task(name: str) -> TaskPlugin[Any]:
    """Return the plugin of the task ``name``.

    Raises:
        ConfigError: no such task (the known ones are listed), a name with two targets (both are
            named), or a plugin that does not load.
    """
    mine = _entries(name)
    for entry in mine:
        if entry.plugin is not None:
            return entry.plugin
    if mine:
        raise ConfigError(
            f"task {name}",
            expected="a plugin that loads",
            found=mine[0].cause,
            next_step=f"mend or uninstall {mine[0].distribution}",
        )
    known = ", ".join(entry.name for entry in discover_tasks() if entry.plugin is not None) or "none"
    raise ConfigError(
        f"task {name}", expected=f"one of: {known}", found="no such task", next_step="see vmaf-train tasks"
    )
