"""By which config a run works, and where, when the command line does not say."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from vmaf_train.config import TaskConfig
from vmaf_train.config_files import config_yaml, find_config_file, load_config
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import write_atomic
from vmaf_train.interruption import Stopped
from vmaf_train.left_out import LEFT_OUT_NAME
from vmaf_train.strict_yaml import parse_yaml
from vmaf_train.task import TaskPlugin, data_folders

_CONFIG_NAME = "config.yaml"
_MODELS = Path("model") / "tiny"

__all__ = [
    "choose_run_dir",
    "choose_sweep_dir",
    "default_config",
    "default_output_dirs",
    "docs_folder",
    "follows",
    "held_folder",
    "owned_run_dir",
    "require_data_folders",
    "resolve_config",
    "stopped_line",
]


def default_config(plugin: TaskPlugin[Any], overrides: Sequence[str], changes: Mapping[str, Any]) -> str:
    """Return the config of a command line that names none: the task's own for real data or for none.

    Empty where the task has no such file and its type's defaults are the config.
    """
    has_data = "data.root" in changes or any(map(_names_data, overrides))
    return plugin.config_file if has_data or not plugin.demo_config_file else plugin.demo_config_file


def _names_data(override: str) -> bool:
    """Return whether what ``--set`` says may give ``data.root`` a value."""
    key, _, value = (part.strip() for part in override.partition("="))
    if key == "data":
        with contextlib.suppress(ConfigError):
            section = parse_yaml(value, "--set data")
            return isinstance(section, dict) and section.get("root") is not None
    return key == "data.root"


def resolve_config(
    plugin: TaskPlugin[Any],
    config: str | None,
    overrides: Sequence[str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> TaskConfig:
    """Return the config of a command line; without a named one, the task's own for real data or for none.

    Args:
        plugin: the task.
        config: a config file, or the name of a shipped one.
        overrides: what ``--set`` said.
        changes: what options of their own said, by dotted key; they go last.

    Raises:
        ConfigError: no such file, or every fault of the config in one error.
    """
    overrides, changes = overrides or (), changes or {}
    if config is None:
        config = default_config(plugin, overrides, changes)
    file = find_config_file(config) if config else None
    resolved: TaskConfig = load_config(plugin.config_type, file, overrides, changes)
    return resolved


def default_output_dirs(
    config: TaskConfig, model_dir: Path | None, docs_dir: Path | None
) -> tuple[Path, Path]:
    """Return (model folder, docs folder); a smoke model goes below ``build/`` unless told otherwise."""
    model_dir = model_dir or (Path("build") / _MODELS if config.smoke else _MODELS)
    return model_dir, docs_dir or docs_folder(model_dir)


def docs_folder(model_dir: Path) -> Path:
    """Return where the pages of a folder's models lie unless told otherwise: one folder's pages apart
    from another's.

    That is ``docs/ai/models`` beside a ``model/tiny``, and ``docs`` within any other folder.
    """
    if model_dir.parts[-2:] == _MODELS.parts:
        return model_dir.parents[1] / "docs" / "ai" / "models"
    return model_dir / "docs"


def choose_run_dir(config: TaskConfig, run_dir: Path | None, *, resume: bool) -> Path:
    """Return the run folder: the named one, else ``build/runs/ID/NUMBER``.

    The number is the next free one, or the newest where a run is to be resumed.
    """
    return run_dir or _numbered(Path("build") / "runs" / config.id, resume=resume)


def choose_sweep_dir(config: TaskConfig, sweep_dir: Path | None, *, resume: bool) -> Path:
    """Return the sweep folder: the named one, else ``build/sweeps/ID/NUMBER``, numbered as runs are."""
    return sweep_dir or _numbered(Path("build") / "sweeps" / config.id, resume=resume)


def held_folder(lock: Path, kind: Literal["run", "sweep"]) -> AbstractContextManager[object]:
    """Make a run's or sweep's folder, and take its lock, the file ``lock`` in it, until the end of the block.

    Raises:
        ConfigError: another process has it.
        PublishError: the folder cannot be made or written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(lock).acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            str(lock.parent),
            expected=f"a {kind} folder that no other process uses",
            found=f"a {kind} that goes on there",
            next_step=f"wait for it, or choose another --{kind}-dir",
        ) from error
    except OSError as error:
        raise PublishError(
            str(lock.parent),
            expected=f"a {kind} folder that can be written",
            found=error.strerror or str(error),
            next_step=f"make it writable, or choose another --{kind}-dir",
        ) from error


@contextmanager
def owned_run_dir(run_dir: Path, config: TaskConfig, *, resume: bool) -> Iterator[Callable[[], None]]:
    """Hold the run folder for this process alone; refuse a folder of another run.

    A folder in which a failed run left nothing to go on with is removed again. The config is kept
    there where none stands; what the block is given keeps it in place of one that does, and is to
    be called when the run that stands there is known to be of this config.

    Raises:
        ConfigError: another process has the folder, or it holds something that is not to be resumed.
        PublishError: it cannot be made or written.
    """
    lock, kept = run_dir / ".lock", run_dir / _CONFIG_NAME

    def keep_config() -> None:
        write_atomic(kept, config_yaml(config))

    # Refused before a lock is laid into it.
    _require_unused(run_dir, lock, resume=resume)
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    with held_folder(lock, "run"):
        # Another run may have come and gone since.
        _require_unused(run_dir, lock, resume=resume)
        if not kept.exists():
            keep_config()
        try:
            yield keep_config
        except Exception:
            _remove_unused(run_dir, lock, made, resume=resume)
            raise


def _require_unused(run_dir: Path, lock: Path, *, resume: bool) -> None:
    standing = [path.name for path in run_dir.iterdir() if path != lock] if run_dir.is_dir() else []
    if run_dir.exists() and not run_dir.is_dir():
        standing = ["a file of that name"]
    if standing and not resume:
        raise ConfigError(
            str(run_dir),
            expected="an empty run folder",
            found=f"one that holds {', '.join(sorted(standing)[:3])}",
            next_step="go on with that run by --resume, or choose another --run-dir",
        )


def _remove_unused(run_dir: Path, lock: Path, made: Sequence[Path], *, resume: bool) -> None:
    """Remove what a new run made and put there, if that is nothing to go on with."""
    names = (lock.name, _CONFIG_NAME, LEFT_OUT_NAME)
    if not (resume and not made) and {path.name for path in run_dir.iterdir()} <= {*names}:
        with contextlib.suppress(OSError):
            for name in names:
                (run_dir / name).unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()


def _numbered(home: Path, *, resume: bool) -> Path:
    names = [path.name for path in home.iterdir()] if home.is_dir() else []
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    newest = max(numbers, default=0)
    return home / f"{newest if resume and newest else newest + 1:03d}"


def require_data_folders(config: TaskConfig) -> None:
    """Refuse a data folder that is not there, before a run folder is made for it.

    Raises:
        ConfigError: ``data.root`` or one of ``data.extra_roots``, where a task has them, is no folder.
    """
    for root in data_folders(config):
        if not root.is_dir():
            raise ConfigError(
                str(root),
                expected="a folder of training data",
                found="a file" if root.exists() else "nothing there",
                next_step="correct --data",
            )


def follows() -> bool:
    """Return whether torchrun started this process beside one that leads."""
    return int(os.environ.get("RANK", "0")) > 0


def stopped_line(stop: Stopped, words: Sequence[str], run_dir: Path | None, option: str = "--run-dir") -> str:
    """Return what a stopped run says: which signal, and the whole command that goes on with it.

    Args:
        stop: the signal.
        words: the command line of the run, the program's path first.
        run_dir: the run's folder, for a program that has the option ``option``.
        option: the option that names the folder.
    """
    program = Path(words[0])
    start = [os.fspath(program)]
    if program.name == "__main__.py":
        start = ["python", "-m", "vmaf_train"]
    elif program.suffix == ".py":
        start = ["python", *start]
    elif (found := shutil.which(program.name)) and os.path.realpath(found) == os.path.realpath(program):
        start = [program.name]
    added = []
    if run_dir is not None and not any(word.split("=")[0] == option for word in words):
        added = [option, os.fspath(run_dir)]
    if "--resume" not in words:
        added.append("--resume")
    return f"stopped by {stop.signal.name}; go on with: {shlex.join([*start, *words[1:], *added])}"
