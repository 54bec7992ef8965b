"""Training input, images per second: decoding each pair each time against the decoded cache.

Both paths end in the same place, a random crop of picture and mask copied to fresh arrays, on one
thread. They alternate within one run, so the ratio holds on a busy machine too.

    python ai/benchmarks/bench_input.py [--data ROOT] [--pairs 300] [--rounds 5] [--at-least 10]

Without --data it makes its own pictures of 400x300. Exit code 1 if the ratio stays below --at-least.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.pairs import (
    MASK_THRESHOLD,
    DecodedPairs,
    Pair,
    decode_image,
    decode_mask,
    decoded_cache,
    find_pairs,
    short_side_size,
)

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SHORT_SIDE = 288
CROP = 256


def crop(image: NDArray[np.uint8], mask: NDArray[np.uint8], rng: random.Random) -> Sample:
    """Return uint8 [CROP, CROP, 3] and uint8 [CROP, CROP], copied from one random place."""
    y, x = rng.randint(0, mask.shape[0] - CROP), rng.randint(0, mask.shape[1] - CROP)
    return image[y : y + CROP, x : x + CROP].copy(), mask[y : y + CROP, x : x + CROP].copy()


def decoded_each_time(pair: Pair, rng: random.Random) -> Sample:
    """Decode, resize and crop one pair from its files."""
    picture, grey = Image.fromarray(decode_image(pair.image)), Image.fromarray(decode_mask(pair.mask))
    h, w = short_side_size(grey.height, grey.width, SHORT_SIDE)
    image = np.asarray(picture.resize((w, h), Image.Resampling.BILINEAR))
    mask = np.asarray(grey.resize((w, h), Image.Resampling.NEAREST)) > MASK_THRESHOLD
    return crop(image, mask.astype(np.uint8), rng)


def from_cache(decoded: DecodedPairs, i: int, rng: random.Random) -> Sample:
    """Crop one pair from the memory-mapped cache."""
    return crop(decoded.image(i), decoded.mask(i), rng)


def make_pairs(root: Path, count: int) -> None:
    """Write pictures of 400x300 with photograph-like detail, as JPEG, and PNG masks."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:300, :400]
    for folder in ("MADE-Image", "MADE-Mask"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        noise = rng.normal(0, 8, (300, 400, 3))
        detailed = np.asarray(coarse.resize((400, 300), Image.Resampling.BICUBIC)) + noise
        picture = Image.fromarray(detailed.clip(0, 255).astype(np.uint8))
        picture.save(root / "MADE-Image" / f"{i:05}.jpg", quality=90)
        disc = (y - 150) ** 2 + (x - 200) ** 2 < (60 + i % 60) ** 2
        Image.fromarray((disc * 255).astype(np.uint8)).save(root / "MADE-Mask" / f"{i:05}.png")


def rate(work: Callable[[int], object], count: int) -> float:
    """Return items per second over one pass."""
    start = time.perf_counter()
    for i in range(count):
        work(i)
    return count / (time.perf_counter() - start)


def main() -> int:
    """Run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of a set; default: pictures made here")
    parser.add_argument("--pairs", type=int, default=300, help="pairs to use at most")
    parser.add_argument("--rounds", type=int, default=5, help="passes over them on each path")
    parser.add_argument("--at-least", type=float, default=10, help="the ratio that must be reached")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.data or Path(scratch) / "made"
        if options.data is None:
            make_pairs(root, options.pairs)
        pairs = find_pairs(root).pairs[: options.pairs]
        start = time.perf_counter()
        decoded = decoded_cache(pairs, short_side=SHORT_SIDE, cache_dir=Path(scratch) / "cache")
        built = time.perf_counter() - start
        rng = random.Random(1)
        slow: list[float] = []
        fast: list[float] = []
        for _ in range(options.rounds):
            slow.append(rate(lambda i: decoded_each_time(pairs[i], rng), len(pairs)))
            fast.append(rate(lambda i: from_cache(decoded, i, rng), len(pairs)))
    ratio = statistics.median(f / s for f, s in zip(fast, slow, strict=True))
    print(f"pairs                {len(pairs)}")
    print(f"cache built in       {built:.2f} s")
    print(f"decoded each time    {statistics.median(slow):.0f} images/s")
    print(f"from the cache       {statistics.median(fast):.0f} images/s")
    print(f"ratio                {ratio:.1f} (at least {options.at_least:g} wanted)")
    return 0 if ratio >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
