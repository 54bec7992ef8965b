"""Where a run works and publishes when the command line does not say."""

from __future__ import annotations

from pathlib import Path

from vmaf_train.config import TaskConfig

__all__ = ["choose_run_dir", "default_output_dirs"]


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
    numbers = [int(path.name) for path in home.iterdir() if path.name.isdigit()] if home.is_dir() else []
    newest = max(numbers, default=0)
    return home / f"{newest if resume and newest else newest + 1:03d}"
