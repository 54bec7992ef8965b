from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pairs.made_files import encoded, put_pair, toy_set
from vmaf_train.errors import ConfigError
from vmaf_train.pairs import Leak, Pair, find_leaks, find_pairs


def scene(seed: int) -> Image.Image:
    """A picture with structure at every scale, as photographs have; hashes need it."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((180, 120)),
            dtype=np.float32,
        )
        for side in (3, 6, 12, 24)
    ]
    weights = (0.4, 0.3, 0.2, 0.1)
    mixed = sum(weight * layer for weight, layer in zip(weights, layers, strict=True))
    return Image.fromarray(np.asarray(mixed).astype(np.uint8))


def sets(tmp_path: Path) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Twelve training pairs and five test pairs that share no picture."""
    train = find_pairs(toy_set(tmp_path / "train", 12)).pairs
    test = find_pairs(toy_set(tmp_path / "test", 5, first=100)).pairs
    for i, pair in enumerate([*train, *test]):
        pair.image.write_bytes(encoded(scene(i), "JPEG", quality=90))
    return train, test


def told(leaks: tuple[Leak, ...]) -> set[tuple[str, str]]:
    return {(leak.train.stem, leak.test.stem) for leak in leaks}


def test_unlike_pictures_do_not_count_as_leaks(tmp_path: Path) -> None:
    assert find_leaks(*sets(tmp_path)) == ()


def test_an_equal_file_is_told_as_the_same_bytes(tmp_path: Path) -> None:
    train, test = sets(tmp_path)
    test[1].image.write_bytes(train[7].image.read_bytes())
    (leak,) = find_leaks(train, test)
    assert (leak.train, leak.test) == (train[7], test[1])
    assert (leak.same_bytes, leak.mirrored, leak.distance) == (True, False, 0)


@pytest.mark.parametrize("change", ["recompressed", "smaller", "brighter", "mirrored"])
def test_a_changed_copy_is_found_as_a_near_duplicate(tmp_path: Path, change: str) -> None:
    train, test = sets(tmp_path)
    original = scene(7)
    data = {
        "recompressed": encoded(original, "JPEG", quality=25),
        "smaller": encoded(original.resize((90, 60)), "PNG"),
        "brighter": encoded(ImageEnhance.Brightness(original).enhance(1.15), "JPEG"),
        "mirrored": encoded(original.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG"),
    }[change]
    test[3].image.write_bytes(data)
    (leak,) = find_leaks(train, test)
    assert (leak.train, leak.test) == (train[7], test[3])
    assert not leak.same_bytes
    assert leak.mirrored == (change == "mirrored")


def test_blocks_do_not_shift_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmaf_train.pairs.leakage._BLOCK", 4)
    train, test = sets(tmp_path)
    for i, k in ((0, 4), (5, 2), (11, 0)):
        test[k].image.write_bytes(train[i].image.read_bytes())
    leaks = find_leaks(train, test)
    assert all(leak.same_bytes for leak in leaks)
    assert told(leaks) == {("0000", "0104"), ("0005", "0102"), ("0011", "0100")}


def test_progress_counts_the_pictures_of_both_sides(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    find_leaks(*sets(tmp_path), workers=2, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 17) for i in range(1, 18)]


def test_an_empty_side_leaks_nothing(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", 1)
    pairs = find_pairs(tmp_path).pairs
    assert find_leaks([], pairs) == find_leaks(pairs, []) == find_leaks([], []) == ()


def test_without_the_hash_library_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "imagehash":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"vmaf-train\[eval\]"):
        find_leaks(*sets(tmp_path))
