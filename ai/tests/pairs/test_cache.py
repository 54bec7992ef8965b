from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pairs.made_files import encoded, put_pair, toy_set
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs import (
    DecodedPairs,
    Pair,
    cache_entries,
    clear_cache,
    decode_image,
    decode_mask,
    decoded_cache,
    find_pairs,
    short_side_size,
)
from vmaf_train.pairs import cache as cache_module


def pairs_at(root: Path, count: int = 5) -> Sequence[Pair]:
    return find_pairs(toy_set(root, count)).pairs


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix != ".lock"}


def test_cached_pixels_are_the_decoded_ones_resized_by_the_one_rule(tmp_path: Path) -> None:
    toy_set(tmp_path, 3)
    put_pair(tmp_path, "tall", 8, h=90, w=50)
    pairs = find_pairs(tmp_path).pairs
    decoded = decoded_cache(pairs, short_side=32, cache_dir=tmp_path / "cache")
    assert len(decoded) == 4
    assert decoded.stems == ("0000", "0001", "0002", "tall")
    for i, pair in enumerate(pairs):
        picture, grey = decode_image(pair.image), decode_mask(pair.mask)
        h, w = short_side_size(grey.shape[0], grey.shape[1], 32)
        assert decoded.image(i).shape == (h, w, 3)
        colours = Image.fromarray(picture).resize((w, h), Image.Resampling.BILINEAR)
        target = np.asarray(Image.fromarray(grey).resize((w, h), Image.Resampling.NEAREST)) > 127
        assert np.array_equal(decoded.image(i), np.asarray(colours))
        assert np.array_equal(decoded.mask(i), target)
        assert decoded.mask(i).dtype == np.uint8


def test_a_mask_is_foreground_from_128_up_and_background_to_127(tmp_path: Path) -> None:
    _, mask = put_pair(tmp_path, "a", 1, h=20, w=30)
    levels = np.resize(np.array([0, 20, 127, 128, 200, 255], dtype=np.uint8), (20, 30))
    mask.write_bytes(encoded(Image.fromarray(levels), "PNG"))
    decoded = decoded_cache(find_pairs(tmp_path).pairs, short_side=20, cache_dir=tmp_path / "cache")
    assert decoded.mask(0)[0, :6].tolist() == [0, 0, 0, 1, 1, 1]


def test_views_are_read_only_and_an_index_beyond_the_end_is_an_index_error(tmp_path: Path) -> None:
    decoded = decoded_cache(pairs_at(tmp_path), short_side=16, cache_dir=tmp_path / "cache")
    assert not decoded.image(0).flags.writeable
    assert np.array_equal(decoded.mask(-1), decoded.mask(4))
    with pytest.raises(IndexError):
        decoded.image(5)


def test_a_second_run_and_a_moved_copy_share_the_entry_under_their_own_stems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_at(tmp_path / "a")
    cache = tmp_path / "cache"
    first = decoded_cache(pairs, short_side=16, cache_dir=cache)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / "b").glob("*/*"):
        path.rename(path.with_stem("moved-" + path.stem))

    def never(*_: object) -> bytes:
        raise AssertionError("decoded a second time")

    monkeypatch.setattr(cache_module, "_resized", never)
    again = decoded_cache(find_pairs(tmp_path / "b").pairs, short_side=16, cache_dir=cache)
    assert again.stems[0] == "moved-0000"
    assert np.array_equal(again.image(2), first.image(2))
    assert len(cache_entries(cache)) == 1


def test_other_content_order_or_size_is_another_entry(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    decoded_cache(pairs, short_side=16, cache_dir=cache)
    decoded_cache(pairs, short_side=20, cache_dir=cache)
    reverse = decoded_cache(pairs[::-1], short_side=16, cache_dir=cache)
    assert reverse.stems[0] == "0004"
    put_pair(tmp_path / "a", "0002", 99)
    changed = decoded_cache(pairs, short_side=16, cache_dir=cache)
    assert np.abs(changed.image(2).astype(int) - reverse.image(2)).max() > 5
    assert [entry.pairs for entry in cache_entries(cache)] == [5] * 4


def test_an_open_cache_travels_to_worker_processes_by_reference(tmp_path: Path) -> None:
    decoded = decoded_cache(pairs_at(tmp_path), short_side=16, cache_dir=tmp_path / "cache")
    sent = pickle.dumps(decoded)
    assert len(sent) < 1000
    copy = pickle.loads(sent)
    assert copy.stems == decoded.stems
    assert np.array_equal(copy.image(3), decoded.image(3))


def test_a_stopped_build_leaves_no_entry_and_the_next_one_succeeds(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded_cache(pairs, short_side=16, cache_dir=cache, progress=stop)
    assert not files_below(cache)
    assert len(decoded_cache(pairs, short_side=16, cache_dir=cache)) == 5


def test_the_remains_of_a_killed_build_are_listed_and_replaced(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    decoded_cache(pairs, short_side=16, cache_dir=cache)
    entry = cache_entries(cache)[0]
    entry.path.rename(entry.path.with_name(entry.key + ".building"))
    (cache / f"{entry.key}.building" / "about.json").unlink()
    assert [(left.pairs, left.short_side) for left in cache_entries(cache)] == [(0, 0)]
    assert len(decoded_cache(pairs, short_side=16, cache_dir=cache)) == 5
    assert [left.key for left in cache_entries(cache)] == [entry.key]


@pytest.mark.parametrize("name", ["pixels.bin", "index.npy", "about.json"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:-7], lambda data: bytes(len(data) - 8), lambda data: data[:90]],
    ids=["empty", "torn", "zeros", "the first bytes"],
)
def test_a_damaged_entry_is_built_again(tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    before = decoded_cache(pairs, short_side=16, cache_dir=cache).mask(4).copy()
    path = cache_entries(cache)[0].path / name
    path.write_bytes(damage(path.read_bytes()))
    assert np.array_equal(decoded_cache(pairs, short_side=16, cache_dir=cache).mask(4), before)
    path.unlink()
    assert np.array_equal(decoded_cache(pairs, short_side=16, cache_dir=cache).mask(4), before)


@pytest.mark.parametrize(
    "damage",
    [lambda data: saved(np.load(io.BytesIO(data))[:-1]), lambda data: saved(np.load(io.BytesIO(data)) + 1)],
    ids=["a row less", "other places"],
)
def test_an_index_that_does_not_fit_its_pixels_is_made_again(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    before = decoded_cache(pairs, short_side=16, cache_dir=cache).mask(4).copy()
    path = cache_entries(cache)[0].path / "index.npy"
    path.write_bytes(damage(path.read_bytes()))
    assert np.array_equal(decoded_cache(pairs, short_side=16, cache_dir=cache).mask(4), before)


def saved(index: NDArray[np.int64]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, index)
    return stream.getvalue()


def test_an_entry_is_on_the_disk_in_full_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def flushed(descriptor: int) -> None:
        happened.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        happened.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", renamed)
    decoded_cache(pairs_at(tmp_path / "a"), short_side=16, cache_dir=tmp_path / "cache")
    key = cache_entries(tmp_path / "cache")[0].key
    assert sorted(happened[:3]) == ["about.json", "index.npy", "pixels.bin"]
    assert happened[3:] == [f"{key}.building", "rename", "cache"]


def test_a_cap_and_a_full_disk_stop_the_build_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    with pytest.raises(DataError, match="data cache clear"):
        decoded_cache(pairs, short_side=16, cache_dir=cache, max_bytes=1000)
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="0 MiB free"):
        decoded_cache(pairs, short_side=16, cache_dir=cache)
    assert not files_below(cache)


def test_the_cap_counts_what_is_there_already(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a"), tmp_path / "cache"
    decoded_cache(pairs, short_side=16, cache_dir=cache)
    size = cache_entries(cache)[0].size
    with pytest.raises(DataError, match="room"):
        decoded_cache(pairs[:4], short_side=16, cache_dir=cache, max_bytes=size + 100)
    clear_cache(cache)
    assert len(decoded_cache(pairs[:4], short_side=16, cache_dir=cache, max_bytes=size + 100)) == 4


def test_a_pair_that_inspection_would_drop_is_refused_by_name(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a", 2), tmp_path / "cache"
    put_pair(tmp_path / "a", "0001", 1, h=3, w=2000)
    with pytest.raises(DataError, match=r"0001\.jpg.*2000x3"):
        decoded_cache(pairs, short_side=16, cache_dir=cache)
    pairs[1].image.write_bytes(encoded(Image.new("RGB", (60, 50)), "JPEG"))
    with pytest.raises(DataError, match=r"0001\.jpg.*mask 2000x3"):
        decoded_cache(pairs, short_side=16, cache_dir=cache)
    pairs[1].image.unlink()
    with pytest.raises(DataError, match=r"0001\.jpg.*No such file"):
        decoded_cache(pairs, short_side=16, cache_dir=cache)


def test_a_file_that_changes_during_the_build_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_at(tmp_path / "a", 2)
    monkeypatch.setattr(cache_module, "_digests", lambda _: ("0" * 64, "0" * 64))
    with pytest.raises(DataError, match="changed while"):
        decoded_cache(pairs, short_side=16, cache_dir=tmp_path / "cache")


def test_nothing_to_cache_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 pairs"):
        decoded_cache([], short_side=16, cache_dir=tmp_path)
    with pytest.raises(ConfigError, match="short side 0"):
        decoded_cache(pairs_at(tmp_path, 1), short_side=0, cache_dir=tmp_path)


def test_a_cache_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cache folder"):
        decoded_cache(pairs_at(tmp_path, 1), short_side=16, cache_dir=tmp_path / "file" / "cache")


def test_a_file_that_may_not_grow_is_told_and_leaves_no_entry(tmp_path: Path) -> None:
    pairs, cache = pairs_at(tmp_path / "a", 2), tmp_path / "cache"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cache/[0-9a-f]+: .* found File too large; free the disk"):
            decoded_cache(pairs, short_side=64, cache_dir=cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not files_below(cache)
    assert len(decoded_cache(pairs, short_side=64, cache_dir=cache)) == 2


def test_a_disk_that_fills_up_takes_a_part_of_a_pair_and_then_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, real, room = pairs_at(tmp_path / "a", 2), os.pwrite, [10**9]

    def short(descriptor: int, data: memoryview, offset: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[: min(100, room[0])], offset)
        room[0] -= written
        return written

    whole = decoded_cache(pairs, short_side=16, cache_dir=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", short)
        pieces = decoded_cache(pairs, short_side=16, cache_dir=tmp_path / "pieces", workers=1)
        for i in range(2):
            assert np.array_equal(pieces.image(i), whole.image(i))
            assert np.array_equal(pieces.mask(i), whole.mask(i))
        # Room for all but the last bytes: the system writes a part and calls that no error.
        room[0] = sum(whole.image(i).size + whole.mask(i).size for i in range(2)) - 10
        with pytest.raises(DataError, match="found No space left on device; free the disk"):
            decoded_cache(pairs, short_side=16, cache_dir=tmp_path / "full", workers=1)
    assert not files_below(tmp_path / "full")


BUILD = """
import json, sys
from pathlib import Path
from vmaf_train.pairs import decoded_cache, find_pairs
built = []
decoded = decoded_cache(
    find_pairs(Path(sys.argv[1])).pairs, short_side=64, cache_dir=Path(sys.argv[2]), workers=1,
    progress=lambda done, total: built.append(done),
)
print(json.dumps([len(built), int(decoded.image(7).sum())]))
"""


def test_two_processes_build_one_entry_once(tmp_path: Path) -> None:
    toy_set(tmp_path / "a", 40)
    command = [sys.executable, "-c", BUILD, str(tmp_path / "a"), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert sorted(built for built, _ in answers) == [0, 40]
    assert answers[0][1] == answers[1][1]
    assert len(cache_entries(tmp_path / "cache")) == 1


def _read_all(decoded: DecodedPairs) -> int:
    return sum(int(decoded.mask(i).sum()) for i in range(len(decoded)))


def test_a_worker_process_reads_the_same_pixels(tmp_path: Path) -> None:
    decoded = decoded_cache(pairs_at(tmp_path), short_side=16, cache_dir=tmp_path / "cache")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_read_all, (decoded,)) == _read_all(decoded)


def test_neither_opening_nor_reading_keeps_pixels_in_the_process(tmp_path: Path) -> None:
    pairs = pairs_at(tmp_path / "a", 30)
    decoded_cache(pairs, short_side=256, cache_dir=tmp_path / "cache")
    grown = {}
    for touched in (False, True):
        code = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "from vmaf_train.pairs import DecodedPairs\n"
            "def resident():\n"
            "    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()\n"
            "warm = DecodedPairs(Path(sys.argv[1]), ['x'] * 30)\n"
            "before = resident()\n"
            "decoded = DecodedPairs(Path(sys.argv[1]), ['x'] * 30)\n"
            f"[decoded.image(i).sum() for i in range(30) if {touched}]\n"
            "print(resident() - before)\n"
        )
        folder = cache_entries(tmp_path / "cache")[0].path
        ran = subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
        )
        grown[touched] = int(ran.stdout)
    assert cache_entries(tmp_path / "cache")[0].size > 8 << 20
    assert grown[True] < 2 << 20
    assert grown[False] < 1 << 20


def test_a_pixel_file_that_shrank_is_an_error_with_its_name(tmp_path: Path) -> None:
    decoded = decoded_cache(pairs_at(tmp_path), short_side=16, cache_dir=tmp_path / "cache")
    os.truncate(cache_entries(tmp_path / "cache")[0].path / "pixels.bin", 100)
    with pytest.raises(DataError, match=r"pixels.bin: expected the pixels of every pair, found \d+ bytes of"):
        decoded.image(4)
