"""Checkpoints: tensors and plain types only, written atomically, loaded in torch's safe mode."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import torch

from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_bytes, write_atomic

__all__ = ["CHECKPOINT_FORMAT", "latest_checkpoint", "load_checkpoint", "read_checkpoint", "save_checkpoint"]

CHECKPOINT_FORMAT = 1
_KEPT = 2
_WHOLE = re.compile(r"^epoch_\d{6}\.pt$")
_NAME = re.compile(r"^epoch_\d{6}(_step_\d{9})?\.pt$")


def _numbered(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first; one within an epoch sorts after that epoch's start."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint of a run, or None where there is none yet."""
    numbered = _numbered(folder)
    return numbered[-1] if numbered else None


def save_checkpoint(folder: Path, epoch: int, state: dict[str, Any], *, step: int = 0) -> Path:
    """Write ``state`` as the newest checkpoint; the last whole epoch before it is kept too.

    Args:
        folder: the run's checkpoint folder.
        epoch: finished epochs.
        step: steps taken in the next epoch; 0 stands between two epochs.
        state: nested dicts, lists and tuples of tensors, numbers, texts and None.

    Raises:
        PublishError: the folder cannot be written; earlier checkpoints stay as they are.
    """
    buffer = io.BytesIO()
    torch.save({"format": CHECKPOINT_FORMAT, "epoch": epoch, **state}, buffer)
    path = folder / (f"epoch_{epoch:06d}_step_{step:09d}.pt" if step else f"epoch_{epoch:06d}.pt")
    write_atomic(path, buffer.getvalue())
    numbered = _numbered(folder)
    kept = {path, *[old for old in numbered if _WHOLE.match(old.name)][-_KEPT:]}
    for old in numbered[: numbered.index(path)]:
        if old not in kept:
            old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state that :func:`save_checkpoint` wrote, with its tensors on the CPU.

    Raises:
        ConfigError: the file is missing, damaged, of another format, or holds anything but
            tensors and plain types. No code in it is run.
    """
    return read_checkpoint(path)[0]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], str]:
    """Return what :func:`load_checkpoint` does, and the SHA-256 of the very bytes that it came from."""
    try:
        data = path.read_bytes()
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        reason = str(error).strip().splitlines()
        raise ConfigError(
            str(path),
            expected="a checkpoint of tensors and plain types",
            found=reason[0] if reason else type(error).__name__,
            next_step="remove it to go back to the one before, or start a new run",
        ) from error
    found = state.get("format") if isinstance(state, dict) else type(state).__name__
    if found != CHECKPOINT_FORMAT or not isinstance(state, dict):
        raise ConfigError(
            str(path),
            expected=f"checkpoint format {CHECKPOINT_FORMAT}",
            found=f"{found!r}",
            next_step="start a new run",
        )
    return state, sha256_bytes(data)
