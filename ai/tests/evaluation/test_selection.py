from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pairs.made_files import toy_set
from vmaf_train.errors import ConfigError
from vmaf_train.evaluation.selection import Selection, select_pairs
from vmaf_train.pairs import find_pairs, inspect_pairs, join_sets


@contextlib.contextmanager
def silent(_: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def select(
    root: Path, limit: int | None = None, train: Path | None = None, licence: str | None = None
) -> Selection:
    return select_pairs(root, bar=silent, limit=limit, train=[train] if train else [], licence=licence)


def test_all_usable_pairs_are_judged_and_the_rest_is_counted(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 5)
    (root / "TOY-Image" / "0001.jpg").write_bytes(b"cut off")
    (root / "TOY-Mask" / "0002.png").unlink()
    found = select(root)
    assert [pair.stem for pair in found.pairs] == ["0000", "0003", "0004"]
    assert found.dropped == {"unreadable": 1, "unpaired": 1}
    assert found.digest == inspect_pairs(find_pairs(root)).digest
    assert found.share == ""
    assert found.notes == (
        "Left out as unusable: 1 unpaired, 1 unreadable. "
        "Whether the model was trained on some of these pictures was not checked."
    )


def test_a_limit_takes_an_even_share_and_has_a_digest_of_its_own(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 10)
    found = select(root, limit=4)
    assert [pair.stem for pair in found.pairs] == ["0000", "0002", "0005", "0007"]
    assert found.share == "4 of 10 pairs, evenly spaced"
    assert found.digest != select(root).digest
    assert found.digest == select(root, limit=4).digest
    assert select(root, limit=99).pairs == select(root).pairs


def test_pictures_of_the_training_set_are_left_out_and_named(tmp_path: Path) -> None:
    test, train = toy_set(tmp_path / "test", 6), toy_set(tmp_path / "train", 8, first=4)
    found = select(test, train=train)
    assert [pair.stem for pair in found.pairs] == ["0000", "0001", "0002", "0003"]
    assert found.leaks is not None
    assert [leak.test.stem for leak in found.leaks] == ["0004", "0005"]
    assert found.trained_digest == inspect_pairs(find_pairs(train)).digest
    assert found.share == ""
    assert (
        found.notes
        == "Compared with the pictures of toy (8): 2 found there and left out (2 the same, 0 alike)."
    )


def test_several_training_sets_are_joined_as_a_run_joins_them(tmp_path: Path) -> None:
    test, first = toy_set(tmp_path / "test", 6), toy_set(tmp_path / "train", 2)
    other = toy_set(tmp_path / "other", 3, first=4)
    (other / "TOY-Image").rename(other / "NEW-Image")
    (other / "TOY-Mask").rename(other / "NEW-Mask")
    found = select_pairs(test, bar=silent, train=[first, other])
    assert [pair.stem for pair in found.pairs] == ["0002", "0003"]
    assert found.trained_on == "toy+new (5)"
    joined = join_sets([find_pairs(first), find_pairs(other)])
    assert found.trained_digest == inspect_pairs(joined).digest


def test_a_test_set_that_was_never_trained_on_says_that_it_was_compared(tmp_path: Path) -> None:
    found = select(toy_set(tmp_path / "test", 3), train=toy_set(tmp_path / "train", 3, first=50))
    assert len(found.pairs) == 3
    assert found.notes == "Compared with the pictures of toy (3): 0 found there and left out."


def test_a_test_set_that_is_the_training_set_leaves_nothing(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 3)
    with pytest.raises(ConfigError, match="expected pictures that the model was not trained on, found all 3"):
        select(root, train=root)


def test_a_known_set_brings_its_name_its_terms_and_its_size(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 3)
    (root / "TOY-Image").rename(root / "DUTS-TE-Image")
    (root / "TOY-Mask").rename(root / "DUTS-TE-Mask")
    found = select(root)
    assert (found.name, found.licence) == ("DUTS-TE", "free for academic research")
    assert found.notes.startswith("This copy holds 3 of the 5,019 published pairs.")


def test_how_the_copy_differs_stands_in_the_notes(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 2)
    found = select_pairs(root, bar=silent, copy_note="re-encoded at a short side of 288. ")
    assert found.notes.startswith("The copy in use: re-encoded at a short side of 288. Whether")
    assert "copy" not in select(root).notes


def test_terms_can_be_given_and_are_not_invented(tmp_path: Path) -> None:
    root = toy_set(tmp_path, 2)
    assert select(root).licence == "not stated"
    assert select(root, licence="CC0").licence == "CC0"


def test_the_known_leak_of_the_real_sets_is_left_out(real_data: Path | None, tmp_path: Path) -> None:
    test, train = "ILSVRC2013_test_00005864", "ILSVRC2014_train_00019441"
    sets = [] if real_data is None else [real_data / "DUTS-TE", real_data / "DUTS-TR"]
    if not sets or not all(root.is_dir() for root in sets):
        print("skipped: the real DUTS-TE and DUTS-TR are not there")
        return
    for root, name, stem in ((sets[0], "DUTS-TE", test), (sets[1], "DUTS-TR", train)):
        pairs = [pair for pair in find_pairs(root).pairs if pair.stem == stem or pair.stem.endswith("01")]
        for pair in pairs:
            for path, side in ((pair.image, "Image"), (pair.mask, "Mask")):
                target = tmp_path / name / f"{name}-{side}" / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)
    found = select(tmp_path / "DUTS-TE", train=tmp_path / "DUTS-TR")
    assert found.leaks is not None
    assert [(leak.test.stem, leak.train.stem, leak.same_bytes) for leak in found.leaks] == [
        (test, train, True)
    ]
