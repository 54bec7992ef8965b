"""A package for a new task: the example plugin under another name, complete and working."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import tempfile
from pathlib import Path

from vmaf_train.discovery import discover_tasks
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource

__all__ = ["write_new_task"]

EXAMPLE = "noise_level"
"""The example's name: its task, its module and, with other joints, its package and its classes."""

_NAME_PATTERN = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
_MAX_NAME = 40
_COPIED = frozenset({".py", ".toml", ".md"})


def write_new_task(name: str, folder: Path | None = None) -> Path:
    """Write an installable package with a task called ``name``; return its folder.

    It is the example of ``ai/examples/third_party_task`` with the names exchanged: a whole task that
    learns, passes its own tests and waits to be changed. It appears whole or not at all.

    Args:
        name: lower-case words joined by ``_``; the task's and the module's name.
        folder: where the package goes, a path at which nothing is yet; None for ``name`` in the
            current folder.

    Raises:
        ConfigError: no such name is possible, it is taken, or the folder cannot be made; nothing was
            written.
    """
    _require_usable(name)
    _require_free(name)
    target = Path(name) if folder is None else folder
    if target.exists() or target.is_symlink():
        raise ConfigError(
            str(target),
            expected="a path at which nothing is yet",
            found="a folder" if target.is_dir() else "a file",
            next_step="choose another place with --to",
        )
    example = resource("third_party_task", "ai", "examples", "third_party_task")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-task-") as work:
            made = Path(work) / "package"
            for source in sorted(example.rglob("*")):
                inside = source.relative_to(example).as_posix()
                if source.suffix in _COPIED and source.is_file():
                    copy = made / _renamed(inside, name)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
            made.rename(target)
    except OSError as error:
        raise ConfigError(
            str(target),
            expected="a folder that can be made",
            found=error.strerror or str(error),
            next_step="choose another place with --to",
        ) from error
    return target


def _renamed(text: str, name: str) -> str:
    """Exchange the example's three forms of name."""
    for form in (str, _dashed, _camel):
        text = text.replace(form(EXAMPLE), form(name))
    return text


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _require_usable(name: str) -> None:
    if re.fullmatch(_NAME_PATTERN, name) and len(name) <= _MAX_NAME and not keyword.iskeyword(name):
        return
    near = "_".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789_")[:_MAX_NAME].rstrip("_")
    usable = near and not keyword.iskeyword(near)
    raise ConfigError(
        f"task name {name!r}",
        expected=f"lower-case words joined by _, a letter first, at most {_MAX_NAME} characters",
        found="a word of Python" if keyword.iskeyword(name) else "another form",
        next_step=f"take for instance {near if usable else 'my_task'}",
    )


def _require_free(name: str) -> None:
    for entry in discover_tasks():
        if entry.name == name:
            raise _taken(name, f"a task of that name in {entry.distribution}")
    if name in sys.stdlib_module_names:
        raise _taken(name, "a module of that name in Python itself")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    # A folder without code is no module in anybody's way.
    if spec is not None and spec.origin is not None:
        raise _taken(name, f"an installed module of that name, {spec.origin}")


def _taken(name: str, by: str) -> ConfigError:
    return ConfigError(
        f"task name {name}", expected="a name that is free", found=by, next_step="choose another name"
    )
