"""Where cached pixels and findings live."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from vmaf_train.files import sha256_bytes

__all__ = ["FINDINGS_PATTERN", "default_cache_dir", "findings_path"]

FINDINGS_PATTERN = "findings-*.json*"
"""The files of ``findings_path`` in a cache folder."""


def default_cache_dir() -> Path:
    """Return the folder for decoded pairs and findings below the user's cache folder."""
    return platformdirs.user_cache_path("vmaf-train") / "pairs"


def findings_path(root: Path, cache_dir: Path | None = None) -> Path:
    """Return the file that remembers what the files below ``root`` hold; one per root."""
    home = default_cache_dir() if cache_dir is None else cache_dir
    return home / f"findings-{sha256_bytes(os.fsencode(root.absolute()))[:16]}.jsonl"
