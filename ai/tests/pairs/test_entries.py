from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pairs.made_files import toy_set
from vmaf_train.errors import ConfigError
from vmaf_train.pairs import Pair, cache_entries, clear_cache, decoded_cache, find_pairs


def pairs_at(root: Path, count: int = 5) -> Sequence[Pair]:
    return find_pairs(toy_set(root, count)).pairs


def test_what_is_not_of_the_cache_is_neither_listed_nor_counted_nor_cleared(tmp_path: Path) -> None:
    decoded_cache(pairs_at(tmp_path / "a"), short_side=16, cache_dir=tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x" * 1000)
    (entry,) = cache_entries(tmp_path)
    assert clear_cache(tmp_path) == (entry,)
    assert (tmp_path / "thesis" / "chapter.tex").is_file()
    assert not (tmp_path / "thesis.lock").exists()
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("about", ["[]", '{"pairs": "many"}', '{"sets": 3}', "{", "\ud800"])
def test_an_entry_that_says_nothing_of_use_is_listed_as_unfinished(tmp_path: Path, about: str) -> None:
    decoded_cache(pairs_at(tmp_path / "a"), short_side=16, cache_dir=tmp_path / "cache")
    (entry,) = cache_entries(tmp_path / "cache")
    (entry.path / "about.json").write_bytes(about.encode(errors="surrogatepass"))
    (found,) = cache_entries(tmp_path / "cache")
    assert (found.key, found.pairs, found.short_side, found.sets) == (entry.key, 0, 0, ())


def test_entries_can_be_listed_while_others_come_and_go(tmp_path: Path) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            folder = tmp_path / ("0" * 32 + ".building")
            folder.mkdir()
            (folder / "pixels.bin").write_bytes(b"x")
            moved = folder.rename(tmp_path / ("0" * 32))
            shutil.rmtree(moved)

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(300):
            assert len(cache_entries(tmp_path)) <= 1
    finally:
        stop.set()
        other.join()


def test_entries_are_cleared_by_key_or_all_at_once_and_open_views_live_on(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    decoded = decoded_cache(pairs, short_side=16, cache_dir=cache)
    decoded_cache(pairs, short_side=20, cache_dir=cache)
    before = decoded.image(0).copy()
    gone = next(entry for entry in cache_entries(cache) if entry.short_side == 16)
    assert clear_cache(cache, [gone.key[:8]]) == (gone,)
    assert [entry.short_side for entry in cache_entries(cache)] == [20]
    assert np.array_equal(decoded.image(0), before)
    with pytest.raises(ConfigError, match="cache entry"):
        clear_cache(cache, ["zzz"])
    clear_cache(cache)
    assert cache_entries(cache) == ()
    assert cache_entries(tmp_path / "absent") == ()
