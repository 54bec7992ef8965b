"""Decoded and resized pairs on disk: decoding is paid once, not once an epoch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.files import dump_json, flush, sha256_bytes, sha256_file
from vmaf_train.pairs.decode import (
    MASK_THRESHOLD,
    grey_pixels,
    open_picture,
    read_bytes,
    rgb_pixels,
    short_side_size,
    stored_size,
)
from vmaf_train.pairs.decoded import INDEX_FILE, PIXELS_FILE, DecodedPairs
from vmaf_train.pairs.entries import ABOUT_FILE, BUILDING, cache_entries
from vmaf_train.pairs.inspection import MAX_ASPECT
from vmaf_train.pairs.listing import Pair, printable
from vmaf_train.pairs.places import default_cache_dir

__all__ = ["DEFAULT_MAX_BYTES", "decoded_cache"]

DEFAULT_MAX_BYTES = 64 << 30
"""What all entries of one cache folder may take together, in bytes."""

_FORMAT = f"2 Pillow {PIL.__version__}"
_SPARE_BYTES = 1 << 30
_T = TypeVar("_T")


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
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Opened under the lock, so that a `cache clear` cannot come between.
        with FileLock(home / f"{key}.lock"):
            if not _complete(folder, len(pairs)):
                _build(
                    folder,
                    pairs,
                    digests,
                    short_side=short_side,
                    workers=workers,
                    progress=progress,
                    max_bytes=max_bytes,
                )
            return DecodedPairs(folder, [pair.stem for pair in pairs])
    except OSError as error:
        raise DataError(
            printable(folder),
            expected="a cache folder that can be written",
            found=error.strerror or str(error),
            next_step="free the disk, or set another cache folder",
        ) from error


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


def _complete(folder: Path, pairs: int) -> bool:
    """Return whether an entry is there in full; a damaged one counts as absent and is rebuilt."""
    try:
        total = json.loads((folder / ABOUT_FILE).read_text())["bytes"]
        index = np.load(folder / INDEX_FILE, allow_pickle=False)
        if (index.dtype, index.shape) != (np.int64, (pairs, 3)):
            return False
        fits = np.array_equal(index, _index(index[:, 1:])) and _ends(index) == total
        return fits and bool((folder / PIXELS_FILE).stat().st_size == total)
    except Exception:  # a torn file gives whatever its reader stumbles over
        return False


def _index(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64 [pairs, 3], the offset in bytes before each pair's height and width."""
    lengths = sizes[:, 0] * sizes[:, 1] * 4
    return np.column_stack([np.cumsum(lengths) - lengths, sizes])


def _ends(index: NDArray[np.int64]) -> int:
    offset, h, w = index[-1].tolist()
    return int(offset + h * w * 4)


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
    building = folder.with_name(folder.name + BUILDING)
    shutil.rmtree(building, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    sizes = np.array(list(_parallel(lambda pair: _target(pair, short_side), pairs, workers)), dtype=np.int64)
    index = _index(sizes)
    total = _ends(index)
    _check_room(folder.parent, total, max_bytes)
    building.mkdir(parents=True)
    try:
        np.save(building / INDEX_FILE, index)
        with (building / PIXELS_FILE).open("wb") as stream:
            stream.truncate(total)

            def put(i: int) -> None:
                payload = _resized(pairs[i], digests[i], *sizes[i].tolist())
                _write_at(stream.fileno(), payload, int(index[i, 0]))

            for done, _ in enumerate(_parallel(put, range(len(pairs)), workers), start=1):
                if progress is not None:
                    progress(done, len(pairs))
        sets = sorted({pair.set_name for pair in pairs})
        about = {"bytes": total, "pairs": len(pairs), "sets": sets, "short_side": short_side}
        (building / ABOUT_FILE).write_text(dump_json(about))
        # A machine that loses power must not keep the new name without what it stands for.
        for path in (*building.iterdir(), building):
            flush(path)
        building.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_at(descriptor: int, payload: bytes, offset: int) -> None:
    # The last write that a full disk takes is a short one, and no error.
    rest = memoryview(payload)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


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
    if short_side_size(image.height, image.width, min(h, w)) != (h, w):
        raise _unusable(pair, f"picture {image.width}x{image.height}, of another shape than its header tells")
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
