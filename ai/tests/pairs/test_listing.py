from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pairs.made_files import disc, encoded, photo, put_pair, toy_set
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs import find_pairs, join_sets


def stems(root: Path, layout: str = "auto") -> list[str]:
    return [pair.stem for pair in find_pairs(root, layout).pairs]


def put(root: Path, images: list[str], masks: list[str]) -> Path:
    for name in images + masks:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = photo(1) if name in images else disc(1)
        path.write_bytes(encoded(picture, "PNG" if name.lower().endswith("png") else "JPEG"))
    return root


def test_suffixes_match_whatever_their_case_and_stems_may_hold_dots(tmp_path: Path) -> None:
    put(
        tmp_path,
        ["T-Image/A.JPG", "T-Image/B.jpeg", "T-Image/c.v1.2.Jpg"],
        ["T-Mask/A.PNG", "T-Mask/B.png", "T-Mask/c.v1.2.png"],
    )
    assert stems(tmp_path) == ["A", "B", "c.v1.2"]


def test_two_pictures_for_one_stem_are_an_error_that_names_both(tmp_path: Path) -> None:
    put(tmp_path, ["T-Image/C.jpg", "T-Image/C.jpeg", "T-Image/D.jpg"], ["T-Mask/C.png", "T-Mask/D.png"])
    with pytest.raises(DataError, match=r"C\.jpeg and C\.jpg"):
        find_pairs(tmp_path)


def test_a_missing_mask_shifts_no_other_pair_and_is_listed(tmp_path: Path) -> None:
    toy_set(tmp_path)
    (tmp_path / "TOY-Mask" / "0004.png").unlink()
    (tmp_path / "TOY-Image" / "0007.jpg").unlink()
    listing = find_pairs(tmp_path)
    assert [pair.stem for pair in listing.pairs] == [f"{i:04}" for i in (0, 1, 2, 3, 5, 6, 8, 9)]
    assert all(pair.image.stem == pair.mask.stem == pair.stem for pair in listing.pairs)
    assert [path.name for path in listing.unmatched_images] == ["0004.jpg"]
    assert [path.name for path in listing.unmatched_masks] == ["0007.png"]


def test_the_order_of_the_file_system_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_set(tmp_path)
    before = find_pairs(tmp_path)
    scandir = os.scandir

    @contextlib.contextmanager
    def shuffled(path: Any) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(path) as entries:
            listed = list(entries)
        random.Random(3).shuffle(listed)
        yield listed

    monkeypatch.setattr("vmaf_train.pairs.listing.os.scandir", shuffled)
    assert find_pairs(tmp_path).pairs == before.pairs


def test_finder_and_explorer_litter_is_set_aside_before_pairing(tmp_path: Path) -> None:
    toy_set(tmp_path, 3)
    before = find_pairs(tmp_path)
    for name in ("TOY-Image/._0001.jpg", "TOY-Mask/._0001.png", "TOY-Image/.DS_Store", "TOY-Mask/Thumbs.db"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07" * 80)
    shutil.copytree(tmp_path, tmp_path / "__MACOSX" / "TOY", ignore=shutil.ignore_patterns("__MACOSX"))
    after = find_pairs(tmp_path)
    assert after.pairs == before.pairs
    assert len(after.junk) == 4
    assert not after.unmatched_images
    assert not after.unmatched_masks


@pytest.mark.parametrize(
    "given",
    [
        lambda top: top,
        lambda top: top / "TOY",
        lambda top: top / "TOY" / "TOY",
        lambda top: top / "TOY" / "TOY" / "TOY-Image",
        lambda top: top / "TOY" / "TOY" / "TOY-Mask",
    ],
    ids=["two above", "one above", "the root", "the pictures", "the masks"],
)
def test_a_doubled_folder_is_found_from_every_level(tmp_path: Path, given: Callable[[Path], Path]) -> None:
    toy_set(tmp_path / "TOY" / "TOY", 3)
    toy_set(tmp_path / "__MACOSX" / "TOY", 5)
    assert stems(given(tmp_path)) == ["0000", "0001", "0002"]


def test_two_sets_below_one_root_are_refused_by_name(tmp_path: Path) -> None:
    toy_set(tmp_path / "one", 2)
    toy_set(tmp_path / "two", 2)
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    assert str(tmp_path / "one" / "TOY-Image") in str(caught.value)
    assert str(tmp_path / "two" / "TOY-Image") in str(caught.value)


def test_nothing_found_says_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, ["holiday/a.jpg"], [])
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    assert "ground_truth_mask" in str(caught.value)
    assert "holiday/" in str(caught.value)


def test_zero_pairs_are_never_a_listing(tmp_path: Path) -> None:
    put(tmp_path, ["T-Image/a.jpg"], ["T-Mask/b.png"])
    with pytest.raises(DataError, match="no stem in common"):
        find_pairs(tmp_path)
    for path in tmp_path.glob("*/*"):
        path.unlink()
    with pytest.raises(DataError, match="0 pictures"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("layout", "images", "masks", "set_name"),
    [
        ("duts", "DUTS-TE-Image/{}.jpg", "DUTS-TE-Mask/{}.png", "duts-te"),
        ("ecssd", "images/{}.jpg", "ground_truth_mask/{}.png", "ecssd"),
        ("hku_is", "imgs/{}.png", "gt/{}.png", "hku-is"),
        ("msra10k", "Imgs/{}.jpg", "Imgs/{}.png", "msra10k"),
        ("sod", "images/{}.jpg", "masks/{}.png", "sod"),
    ],
)
def test_each_known_layout_is_found_by_name_and_by_itself(
    tmp_path: Path, layout: str, images: str, masks: str, set_name: str
) -> None:
    names = ["b", "a"]
    root = tmp_path / set_name.upper() / "x"
    put(root, [images.format(name) for name in names], [masks.format(name) for name in names])
    for asked in (layout, "auto"):
        listing = find_pairs(tmp_path, asked)
        assert [pair.stem for pair in listing.pairs] == ["a", "b"]
        assert (listing.layout, listing.set_name) == (layout, set_name)
        assert listing.pairs[0].image != listing.pairs[0].mask


@pytest.mark.parametrize(
    ("folder", "images", "masks", "set_name"),
    [
        ("My pictures", "images", "masks", "my-pictures"),
        ("My pictures", "imgs", "gt", "my-pictures"),
        ("sodium", "images", "masks", "sodium"),
        ("SOD", "images", "masks", "sod"),
        ("HKU-IS_v2", "imgs", "gt", "hku-is"),
        ("HKU-IS_v2", "images", "ground_truth_mask", "hku-is-v2"),
    ],
)
def test_common_folder_names_make_a_set_a_corpus_only_below_a_folder_of_its_name(
    tmp_path: Path, folder: str, images: str, masks: str, set_name: str
) -> None:
    root = tmp_path / folder
    put(root, [f"{images}/a.jpg"], [f"{masks}/a.png"])
    assert {find_pairs(place).set_name for place in (root, root / images)} == {set_name}


def test_any_two_folders_can_be_named(tmp_path: Path) -> None:
    put(tmp_path, ["deep/er/pics/a.png"], ["truth/a.png"])
    listing = find_pairs(tmp_path, "folders:deep/er/pics:truth")
    assert [pair.stem for pair in listing.pairs] == ["a"]
    assert listing.set_name == tmp_path.name.replace("_", "-").lower()


@pytest.mark.parametrize("layout", ["folders:only", "folders::x", "folders:a:b:c", "duds", ""])
def test_a_layout_that_is_none_is_a_config_error(tmp_path: Path, layout: str) -> None:
    with pytest.raises(ConfigError, match="layout"):
        find_pairs(tmp_path, layout)


def test_a_root_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing there"):
        find_pairs(tmp_path / "absent")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("auto", ""),
        ("auto", "TOY-Image"),
        ("auto", "TOY-Mask"),
        ("folders:TOY-Image:TOY-Mask", "TOY-Image"),
        ("folders:TOY-Image:TOY-Mask", "TOY-Mask"),
    ],
)
def test_a_folder_that_cannot_be_read_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, layout: str, name: str
) -> None:
    folder = toy_set(tmp_path / "set", 2) / name
    monkeypatch.setattr("os.scandir", failing(os.scandir, folder, code))
    with pytest.raises(DataError, match=f"{folder.name}: .*found {os.strerror(code)}"):
        find_pairs(tmp_path / "set", layout)


def test_a_shared_folder_that_cannot_be_read_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, ["Imgs/a.jpg"], ["Imgs/a.png"])
    monkeypatch.setattr("os.scandir", failing(os.scandir, tmp_path / "Imgs", errno.EACCES))
    with pytest.raises(DataError, match=r"Imgs: .*found Permission denied"):
        find_pairs(tmp_path)


def test_a_root_on_a_share_that_is_gone_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_dir", failing(Path.is_dir, tmp_path, errno.ESTALE))
    with pytest.raises(DataError, match=f"{tmp_path.name}: .*found Stale file handle"):
        find_pairs(tmp_path)


def failing(real: Callable[..., Any], folder: Path, code: int) -> Callable[..., Any]:
    """A call of the system that fails for one folder."""

    def call(path: Path) -> Any:
        if Path(path) == folder:
            raise OSError(code, os.strerror(code), str(path))
        return real(path)

    return call


def test_an_unreadable_folder_beside_the_set_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_set(tmp_path / "set", 2)
    (tmp_path / "lost").mkdir()
    monkeypatch.setattr("os.scandir", failing(os.scandir, tmp_path / "lost", errno.EACCES))
    assert stems(tmp_path) == ["0000", "0001"]


def test_composed_and_decomposed_accents_are_one_stem(tmp_path: Path) -> None:
    put(tmp_path, ["T-Image/caf\u00e9.jpg"], ["T-Mask/cafe\u0301.png"])
    assert stems(tmp_path) == ["caf\u00e9"]


def test_joined_sets_keep_their_names_and_equal_stems_apart(tmp_path: Path) -> None:
    first = find_pairs(toy_set(tmp_path / "one", 2), set_name="one")
    second = find_pairs(toy_set(tmp_path / "two", 3), set_name="two")
    joined = join_sets([second, first])
    assert [pair.stem for pair in joined.pairs] == [
        "one/0000",
        "one/0001",
        "two/0000",
        "two/0001",
        "two/0002",
    ]
    assert [pair.set_name for pair in joined.pairs] == ["one"] * 2 + ["two"] * 3
    assert joined.root == tmp_path
    assert join_sets([first]) is first


def test_two_sets_of_one_name_cannot_be_joined(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", 1)
    listing = find_pairs(tmp_path)
    with pytest.raises(ConfigError, match="toy more than once"):
        join_sets([listing, listing])
    with pytest.raises(ConfigError, match="none"):
        join_sets([])
