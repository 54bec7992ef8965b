"""What lies in a cache folder, and its removal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from vmaf_train.errors import ConfigError
from vmaf_train.pairs.places import FINDINGS_PATTERN, default_cache_dir

__all__ = ["ABOUT_FILE", "BUILDING", "CacheEntry", "cache_entries", "clear_cache"]

ABOUT_FILE = "about.json"
"""What an entry is; its presence in a folder without the suffix ``BUILDING`` marks a full entry."""

BUILDING = ".building"
"""The suffix of an entry's folder until it is complete."""

_OWN = re.compile(r"[0-9a-f]{32}(" + re.escape(BUILDING) + ")?")
"""What the folders of entries are called."""


class _About(BaseModel):
    """What is read of an entry's ``ABOUT_FILE``."""

    model_config = ConfigDict(strict=True)

    pairs: int = 0
    short_side: int = 0
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class CacheEntry:
    """One built entry of a cache folder, or what a stopped build left behind.

    Attributes:
        key: the entry's name.
        pairs: how many pairs it holds; 0 if it is unfinished.
        short_side: in pixels; 0 if it is unfinished.
        sets: names of the sets that the pairs came from.
        size: bytes on disk.
        path: its folder.
    """

    key: str
    pairs: int
    short_side: int
    sets: tuple[str, ...]
    size: int
    path: Path


def cache_entries(cache_dir: Path | None = None) -> tuple[CacheEntry, ...]:
    """Return what the cache folder holds, sorted by key; unfinished builds included.

    Folders of other names are not the cache's and are left out. Another process may build or remove
    entries meanwhile.
    """
    home = default_cache_dir() if cache_dir is None else cache_dir
    folders = [path for path in home.glob("*/") if _OWN.fullmatch(path.name)] if home.is_dir() else []
    return tuple(_entry(folder) for folder in sorted(folders))


def _entry(folder: Path) -> CacheEntry:
    about = _About()
    with contextlib.suppress(OSError, ValueError):
        about = _About.model_validate_json((folder / ABOUT_FILE).read_bytes())
    return CacheEntry(folder.name, about.pairs, about.short_side, about.sets, _folder_bytes(folder), folder)


def clear_cache(cache_dir: Path | None = None, keys: Iterable[str] | None = None) -> tuple[CacheEntry, ...]:
    """Remove entries (all, or those whose key starts with one of ``keys``) and return them.

    Without ``keys`` the remembered findings go too. Nothing else in the folder is touched.

    Raises:
        ConfigError: a key that matches nothing.
    """
    home = default_cache_dir() if cache_dir is None else cache_dir
    entries = cache_entries(home)
    chosen = list(entries)
    if keys is not None:
        wanted = list(keys)
        chosen = [entry for entry in entries if any(key and entry.key.startswith(key) for key in wanted)]
        for key in wanted:
            if not any(entry.key.startswith(key) for entry in chosen):
                raise ConfigError(
                    f"cache entry {key!r}",
                    expected="the start of a listed key",
                    found=", ".join(entry.key for entry in entries) or "an empty cache",
                    next_step="run `data cache list`",
                )
    for entry in chosen:
        with FileLock(home / f"{entry.key.removesuffix(BUILDING)}.lock"):
            shutil.rmtree(entry.path, ignore_errors=True)
    if keys is None:
        for path in home.glob(FINDINGS_PATTERN):
            path.unlink(missing_ok=True)
    return tuple(chosen)


def _folder_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone since it was listed
                total += Path(place, name).lstat().st_size
    return total
