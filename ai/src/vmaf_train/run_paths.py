"""Where a run works and publishes when the command line does not say."""

from __future__ import annotations

from pathlib import Path

from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError

__all__ = ["choose_run_dir", "default_output_dirs", "require_data_folders"]


def default_output_dirs(
    config: TaskConfig, model_dir: Path | None, docs_dir: Path | None
) -> tuple[Path, Path]:
    """Return (model folder, docs folder); a smoke model goes below ``build/`` unless told otherwise."""
    base = Path("build") if config.smoke else Path()
    return model_dir or base / "model" / "tiny", docs_dir or base / "docs" / "ai" / "models"


def choose_run_dir(config: TaskConfig, run_dir: Path | None, *, resume: bool) -> Path:
    """Return the run folder: the named one, else ``build/runs/ID/NUMBER``.

    The number is the next free one, or the newest where a run is to be resumed.
    """
    if run_dir is not None:
        return run_dir
    home = Path("build") / "runs" / config.id
    names = [path.name for path in home.iterdir()] if home.is_dir() else []
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    newest = max(numbers, default=0)
    return home / f"{newest if resume and newest else newest + 1:03d}"


def require_data_folders(config: TaskConfig) -> None:
    """Refuse a data folder that is not there, before a run folder is made for it.

    Raises:
        ConfigError: ``data.root`` or one of ``data.extra_roots``, where a task has them, is no folder.
    """
    data = getattr(config, "data", None)
    for root in (getattr(data, "root", None), *getattr(data, "extra_roots", ())):
        if isinstance(root, Path) and not root.is_dir():
            raise ConfigError(
                str(root),
                expected="a folder of training data",
                found="a file" if root.exists() else "nothing there",
                next_step="correct --data",
            )
