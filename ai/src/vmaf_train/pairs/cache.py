"""Decoded and resized pairs on disk, memory-mapped: decoding is paid once, not once an epoch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.files import dump_json, sha256_bytes, sha256_file
from vmaf_train.pairs.decode import (
    MASK_THRESHOLD,
    Pixels,
    grey_pixels,
    open_picture,
    read_bytes,
    rgb_pixels,
    short_side_size,
    stored_size,
)
from vmaf_train.pairs.inspection import MAX_ASPECT
from vmaf_train.pairs.listing import Pair, printable

__all__ = [
    "DEFAULT_MAX_BYTES",
    "CacheEntry",
    "DecodedPairs",
    "cache_entries",
    "clear_cache",
    "decoded_cache",
    "default_cache_dir",
]

DEFAULT_MAX_BYTES = 64 << 30
"""What all entries of one cache folder may take together, in bytes."""

_FORMAT = f"1 Pillow {PIL.__version__}"
_PIXELS, _INDEX, _ABOUT = "pixels.bin", "index.npy", "about.json"
_BUILDING = ".building"
_SPARE_BYTES = 1 << 30
_T = TypeVar("_T")


class DecodedPairs:
    """Pairs as arrays, resized by the short side; read-only, safe to send to worker processes.

    Opening reads the index alone (24 bytes a pair). Pixels are read from the disk when touched and
    belong to the page cache, which the kernel shares between processes and takes back under
    pressure. A view stays valid as long as it is referenced, even after the entry was cleared.
    """

    def __init__(self, folder: Path, stems: Sequence[str]) -> None:
        self._folder = folder
        self._stems = tuple(stems)
        self._index: NDArray[np.int64] = np.load(folder / _INDEX, allow_pickle=False)
        self._pixels = np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._stems)

    def __reduce__(self) -> tuple[type[DecodedPairs], tuple[Path, tuple[str, ...]]]:
        return DecodedPairs, (self._folder, self._stems)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems, in the order of the pairs given."""
        return self._stems

    def image(self, i: int) -> Pixels:
        """Return picture ``i``: uint8 [H, W, 3], RGB, 0..255, a read-only view."""
        offset, h, w = self._place(i)
        return self._view(offset, h * w * 3).reshape(h, w, 3)

    def mask(self, i: int) -> Pixels:
        """Return mask ``i``: uint8 [H, W] of 0 and 1, a read-only view."""
        offset, h, w = self._place(i)
        return self._view(offset + h * w * 3, h * w).reshape(h, w)

    def _place(self, i: int) -> tuple[int, int, int]:
        offset, h, w = self._index[range(len(self))[i]].tolist()
        return offset, h, w

    def _view(self, start: int, length: int) -> Pixels:
        return np.asarray(self._pixels[start : start + length])


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


def default_cache_dir() -> Path:
    """Return the folder for decoded pairs and findings below the user's cache folder."""
    return platformdirs.user_cache_path("vmaf-train") / "pairs"


def decoded_cache(
    pairs: Sequence[Pair],
    *,
    short_side: int,
    cache_dir: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> DecodedPairs:
    """Return the pairs decoded and resized, from the cache or after building it there.

    The entry's key covers the bytes of every file, their order, the target size and the decoder's
    version, so another run, and another root with the same files, finds it. Pictures are resized
    bilinearly, masks by nearest and then to 0 and 1. A second process that wants the same entry
    waits for the first; a build that stops half-way leaves no entry.

    Args:
        pairs: pairs that ``inspect_pairs`` kept.
        short_side: target shorter side in pixels; sizes follow ``short_side_size``.
        cache_dir: default ``default_cache_dir()``.
        workers: threads for the build; default one per processor.
        progress: called with pairs done and pairs in all while building.
        max_bytes: what the whole cache folder may take after the build.

    Raises:
        ConfigError: no pairs, or a short side below 1.
        DataError: a file cannot be decoded, changed meanwhile, or is beyond the aspect bound;
            or the cap or the free disk does not allow the build.
    """
    if not pairs or short_side < 1:
        raise ConfigError(
            "decoded cache",
            expected="one pair or more and a short side of at least 1",
            found=f"{len(pairs)} pairs, short side {short_side}",
            next_step="check the data root and the configured size",
        )
    home = default_cache_dir() if cache_dir is None else cache_dir
    digests = list(_parallel(_digests, pairs, workers))
    key = _key(digests, short_side)
    folder = home / key
    stems = [pair.stem for pair in pairs]
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f"{key}.lock"):
            if not _complete(folder):
                _build(
                    folder,
                    pairs,
                    digests,
                    short_side=short_side,
                    workers=workers,
                    progress=progress,
                    max_bytes=max_bytes,
                )
        return DecodedPairs(folder, stems)
    except OSError as error:
        raise DataError(
            printable(folder),
            expected="a cache folder that can be written",
            found=error.strerror or str(error),
            next_step="free the disk, or set another cache folder",
        ) from error


def cache_entries(cache_dir: Path | None = None) -> tuple[CacheEntry, ...]:
    """Return what the cache folder holds, sorted by key; unfinished builds included."""
    home = default_cache_dir() if cache_dir is None else cache_dir
    found: list[CacheEntry] = []
    for folder in sorted(home.glob("*/")) if home.is_dir() else []:
        about: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            about = json.loads((folder / _ABOUT).read_text())
        found.append(
            CacheEntry(
                key=folder.name,
                pairs=int(about.get("pairs", 0)),
                short_side=int(about.get("short_side", 0)),
                sets=tuple(about.get("sets", ())),
                size=_folder_bytes(folder),
                path=folder,
            )
        )
    return tuple(found)


def clear_cache(cache_dir: Path | None = None, keys: Iterable[str] | None = None) -> tuple[CacheEntry, ...]:
    """Remove entries (all, or those whose key starts with one of ``keys``) and return them.

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
        with FileLock(home / f"{entry.key.removesuffix(_BUILDING)}.lock"):
            shutil.rmtree(entry.path, ignore_errors=True)
    return tuple(chosen)


def _digests(pair: Pair) -> tuple[str, str]:
    try:
        return sha256_file(pair.image), sha256_file(pair.mask)
    except OSError as error:
        raise _unusable(pair, error.strerror or str(error)) from error


def _key(digests: Sequence[tuple[str, str]], short_side: int) -> str:
    whole = hashlib.sha256(f"{_FORMAT}\n{short_side}\n".encode())
    for image, mask in digests:
        whole.update(f"{image} {mask}\n".encode())
    return whole.hexdigest()[:32]


def _complete(folder: Path) -> bool:
    """Return whether an entry is there in full; a damaged one counts as absent and is rebuilt."""
    try:
        about = json.loads((folder / _ABOUT).read_text())
        return bool((folder / _PIXELS).stat().st_size == about["bytes"] and (folder / _INDEX).is_file())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _build(
    folder: Path,
    pairs: Sequence[Pair],
    digests: Sequence[tuple[str, str]],
    *,
    short_side: int,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    max_bytes: int,
) -> None:
    """Write an entry beside its place and rename it there; the caller holds the entry's lock."""
    building = folder.with_name(folder.name + _BUILDING)
    shutil.rmtree(building, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    sizes = np.array(list(_parallel(lambda pair: _target(pair, short_side), pairs, workers)), dtype=np.int64)
    lengths = sizes[:, 0] * sizes[:, 1] * 4
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    total = int(lengths.sum())
    _check_room(folder.parent, total, max_bytes)
    building.mkdir(parents=True)
    try:
        np.save(building / _INDEX, np.column_stack([offsets, sizes]))
        with (building / _PIXELS).open("wb") as stream:
            stream.truncate(total)

            def put(i: int) -> None:
                payload = _resized(pairs[i], digests[i], *sizes[i].tolist())
                os.pwrite(stream.fileno(), payload, int(offsets[i]))

            for done, _ in enumerate(_parallel(put, range(len(pairs)), workers), start=1):
                if progress is not None:
                    progress(done, len(pairs))
            os.fsync(stream.fileno())
        sets = sorted({pair.set_name for pair in pairs})
        about = {"bytes": total, "pairs": len(pairs), "sets": sets, "short_side": short_side}
        (building / _ABOUT).write_text(dump_json(about))
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check_room(home: Path, needed: int, max_bytes: int) -> None:
    used = sum(entry.size for entry in cache_entries(home))
    free = shutil.disk_usage(home).free - _SPARE_BYTES
    for allowed, found in (
        (max_bytes - used, f"{used >> 20} MiB in use of {max_bytes >> 20} MiB allowed"),
        (free, f"{max(free, 0) >> 20} MiB free beyond a reserve of {_SPARE_BYTES >> 20} MiB"),
    ):
        if needed > allowed:
            raise DataError(
                printable(home),
                expected=f"room for {-(-needed >> 20)} MiB of decoded pairs",
                found=found,
                next_step="run `vmaf-train data cache clear`, or set another cache folder",
            )


def _target(pair: Pair, short_side: int) -> tuple[int, int]:
    try:
        h, w = stored_size(read_bytes(pair.image))
    except (OSError, ValueError) as error:
        raise _unusable(pair, str(error)) from error
    if max(h, w) > MAX_ASPECT * min(h, w):
        raise _unusable(pair, f"{w}x{h}, longer than {MAX_ASPECT} times its short side")
    return short_side_size(h, w, short_side)


def _resized(pair: Pair, digests: tuple[str, str], h: int, w: int) -> bytes:
    """Return the bytes of uint8 [h, w, 3] RGB followed by those of uint8 [h, w] holding 0 and 1."""
    try:
        image_bytes, mask_bytes = read_bytes(pair.image), read_bytes(pair.mask)
        image = Image.fromarray(rgb_pixels(open_picture(image_bytes)))
        mask = Image.fromarray(grey_pixels(open_picture(mask_bytes)))
    except (OSError, ValueError) as error:
        raise _unusable(pair, str(error)) from error
    if (sha256_bytes(image_bytes), sha256_bytes(mask_bytes)) != digests:
        raise _unusable(pair, "files that changed while they were read")
    if image.size != mask.size:
        raise _unusable(pair, f"picture {image.width}x{image.height}, mask {mask.width}x{mask.height}")
    colours = image.resize((w, h), Image.Resampling.BILINEAR)
    target = np.asarray(mask.resize((w, h), Image.Resampling.NEAREST)) > MASK_THRESHOLD
    return colours.tobytes() + target.astype(np.uint8).tobytes()


def _unusable(pair: Pair, found: str) -> DataError:
    return DataError(
        f"{printable(pair.image)} with {printable(pair.mask)}",
        expected="a pair that inspect_pairs kept",
        found=found,
        next_step="inspect the set again and use the pairs that it keeps",
    )


def _parallel(
    work: Callable[[Any], _T], items: Sequence[Any], workers: int | None, window: int = 256
) -> Iterator[_T]:
    """Yield results in order from threads, at most ``window`` of them waiting in memory."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for start in range(0, len(items), window):
            yield from pool.map(work, items[start : start + window])


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
