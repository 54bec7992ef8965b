"""What a pair costs in memory: a bounded number of bytes while it is looked at, few once it is open."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from PIL import Image

from pairs.made_files import encoded
from vmaf_train.pairs import DecodedPairs, decoded_cache, find_pairs, inspect_pairs


def tiny_corpus(root: Path, count: int) -> Path:
    """Pairs of 8x8 that differ in their bytes."""
    for name, mode, colour in (("TOY-Image", "RGB", (9, 80, 3)), ("TOY-Mask", "L", 255)):
        (root / name).mkdir(parents=True)
        picture = Image.new(mode, (8, 8))
        picture.putpixel((3, 3), colour)
        data = encoded(picture, "PNG")
        for i in range(count):
            (root / name / f"{i:05}.png").write_bytes(data + i.to_bytes(4))
    return root


def load(home: Path) -> DecodedPairs:
    listing = find_pairs(home / "set")
    kept = inspect_pairs(listing, workers=1, findings_cache=home / "findings").kept
    return decoded_cache(kept, short_side=8, cache_dir=home / "cache", workers=1)


def test_memory_per_pair_is_bounded_on_the_way_and_small_in_the_end(tmp_path: Path) -> None:
    held, peak = {}, {}
    for count in (10, 260, 560):  # the first one imports and compiles what is no pair's
        tiny_corpus(tmp_path / str(count) / "set", count)
        tracemalloc.start()
        opened = load(tmp_path / str(count))
        held[count], peak[count] = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(opened) == count
    assert (peak[560] - peak[260]) / 300 < 4_000
    assert (held[560] - held[260]) / 300 < 400
