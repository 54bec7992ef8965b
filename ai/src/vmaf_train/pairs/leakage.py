"""Pictures that two sets share, as the same bytes or as near-duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.pairs.decode import decode_image
from vmaf_train.pairs.listing import Pair

__all__ = ["NEAR_BITS", "Leak", "find_leaks"]

NEAR_BITS = 60
"""Perceptual hashes of 256 bits that differ in at most so many count as near-duplicates. Photographs
that have nothing in common differ in 128 on average and in 74 or more among ten million pairs of
them; copies that were re-encoded, resized or brightened differ in at most 22."""

_HASH_SIDE = 16
_BLOCK = 2048

Signs = NDArray[np.float32]


@dataclass(frozen=True)
class Leak:
    """A picture of the training side that the test side holds too.

    Attributes:
        train: the pair on the training side.
        test: the pair on the test side.
        same_bytes: the two files are equal.
        mirrored: the near-duplicate is of the picture flipped left to right.
        distance: differing bits of 256 between the perceptual hashes; 0 for equal files.
    """

    train: Pair
    test: Pair
    same_bytes: bool
    mirrored: bool
    distance: int


def find_leaks(
    train: Sequence[Pair],
    test: Sequence[Pair],
    *,
    max_distance: int = NEAR_BITS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Leak, ...]:
    """Compare each picture of ``train`` with each of ``test``, as it is and mirrored.

    Near-duplicates are found with a 256-bit DCT hash (Zauner, "Implementation and Benchmarking of
    Perceptual Image Hash Functions", 2010) over the displayed picture. Masks are not compared.

    Args:
        train: pairs that ``inspect_pairs`` kept.
        test: pairs that must not be among them.
        max_distance: largest count of differing bits that is reported, 0..256.
        workers: threads for decoding and hashing; default one per processor.
        progress: called with pictures hashed and pictures in all.

    Returns:
        the leaks, nearest first, then by stems; one per two pictures.

    Raises:
        ConfigError: the hash library is not installed.
        DataError: a picture cannot be decoded.
    """
    hashed = _hash_all([*train, *test], workers, progress)
    digests = [digest for digest, _ in hashed]
    bits = np.stack([sign for _, sign in hashed]) if hashed else np.zeros((0, 2, 256), dtype=np.float32)
    train_bits, test_bits = bits[: len(train), 0], bits[len(train) :]
    leaks: list[Leak] = []
    for start in range(0, len(train), _BLOCK):
        block = train_bits[start : start + _BLOCK]
        # Signs of +1 and -1: the product counts equal bits minus differing bits. [block, 2, test]
        agreement = np.einsum("nk,tmk->nmt", block, test_bits, optimize=True)
        distance = ((256 - agreement) / 2).round().astype(np.int64)
        for i, t in np.argwhere(distance.min(axis=1) <= max_distance).tolist():
            same = digests[start + i] == digests[len(train) + t]
            upright, mirrored = distance[i, :, t].tolist()
            leaks.append(Leak(train[start + i], test[t], same, mirrored < upright, min(upright, mirrored)))
    return tuple(sorted(leaks, key=lambda leak: (leak.distance, leak.train.stem, leak.test.stem)))


def _hash_all(
    pairs: Sequence[Pair], workers: int | None, progress: Callable[[int, int], None] | None
) -> list[tuple[str, Signs]]:
    try:
        import imagehash
    except ImportError as error:
        raise ConfigError(
            "near-duplicate search",
            expected="the package imagehash",
            found="it is not installed",
            next_step="pip install 'vmaf-train[eval]'",
        ) from error
    hash_of = partial(imagehash.phash, hash_size=_HASH_SIDE)

    def one(pair: Pair) -> tuple[str, Signs]:
        picture = Image.fromarray(decode_image(pair.image))
        both = (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        signs = [np.where(hash_of(view).hash.ravel(), 1.0, -1.0) for view in both]
        return sha256_file(pair.image), np.stack(signs).astype(np.float32)

    done: list[tuple[str, Signs]] = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for result in pool.map(one, pairs):
            done.append(result)
            if progress is not None:
                progress(len(done), len(pairs))
    return done
