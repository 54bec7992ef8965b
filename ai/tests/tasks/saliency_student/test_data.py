"""Pairs become batches: same geometry for image and mask, the published split, honest counts."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pairs.made_files import disc, encoded, photo, put_pair, toy_set
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.config_record import recorded_config
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
from vmaf_train.loader import sample_stream
from vmaf_train.tasks.saliency_student.config import AugmentationConfig, SaliencyConfig
from vmaf_train.tasks.saliency_student.corpus import EmbeddedPairs
from vmaf_train.tasks.saliency_student.data import hold_out, load_splits
from vmaf_train.tasks.saliency_student.samples import TrainSamples, ValSamples
from vmaf_train.tasks.saliency_student.task import SaliencyTask


def silent(stage: str, done: int, total: int) -> None:
    """Takes progress and says nothing."""


def config_for(root: Path, *changes: str) -> SaliencyConfig:
    small = (
        "augmentation.short_side=32",
        "augmentation.crop=24",
        "validation.size=24",
        "validation.share=0.2",
        "fit.batch_size=4",
    )
    file = find_config_file("saliency_student_v1")
    return load_config(SaliencyConfig, file, (*small, *changes), {"data.root": root})


def test_the_split_is_that_of_the_published_protocol() -> None:
    stems = [f"{i:05d}" for i in range(10_553)]
    held = hold_out(stems, 0.05, 42)
    wanted = sorted(stems)
    random.Random(42).shuffle(wanted)
    assert len(held) == 528
    assert held == frozenset(wanted[:528])


def test_the_split_does_not_depend_on_the_order_of_files() -> None:
    stems = [f"s{i}" for i in range(40)]
    assert hold_out(stems, 0.2, 1) == hold_out(stems[::-1], 0.2, 1)
    assert len(hold_out(stems[:3], 0.01, 1)) == 1


def test_image_and_mask_get_the_same_crop_and_flip() -> None:
    class Aligned(EmbeddedPairs):
        """Scenes whose red channel is their mask."""

        def image(self, i: int) -> np.ndarray:
            return np.repeat(self.mask(i)[..., None] * 255, 3, axis=2)

    samples = TrainSamples(Aligned(6, 7, 32), AugmentationConfig(short_side=32, crop=24))
    batch, target = samples.batch(list(range(6)), [sample_stream(0, 1, i) for i in range(6)])
    red = batch[:, 0] * IMAGENET_STD[0] + IMAGENET_MEAN[0]
    assert torch.allclose(red, target[:, 0], atol=1e-5)
    assert batch.shape == (6, 3, 24, 24)
    assert target.shape == (6, 1, 24, 24)


def test_values_are_normalised_and_targets_are_zero_and_one() -> None:
    pairs = EmbeddedPairs(2, 7, 24)
    batch, target = ValSamples(pairs, 24).batch([0], [])
    restored = batch[0].permute(1, 2, 0).numpy() * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)
    assert np.allclose(restored * 255.0, pairs.image(0)[:, 4:28], atol=1e-3)
    assert set(np.unique(target.numpy())) <= {0.0, 1.0}


def test_folders_become_splits_with_counts_and_a_digest(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 20)
    splits = load_splits(config_for(root), silent)
    assert (len(splits.train), len(splits.val)) == (16, 4)
    assert (splits.provenance.train, splits.provenance.val) == (16, 4)
    (corpus,) = splits.provenance.corpora
    assert (corpus.found, corpus.kept, corpus.dropped) == (20, 20, {})
    batch, target = splits.train.batch([0, 1], [sample_stream(0, 1, i) for i in range(2)])
    assert batch.shape == (2, 3, 24, 24)
    assert target.shape == (2, 1, 24, 24)


def test_a_pair_of_two_sizes_is_dropped_counted_and_moves_no_other_pair(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 20)
    before = load_splits(config_for(root), silent)
    odd = sorted((root / "TOY-Mask").iterdir())[7]
    odd.write_bytes(encoded(disc(7, 60, 40), "PNG"))
    after = load_splits(config_for(root), silent)
    (corpus,) = after.provenance.corpora
    assert corpus.kept == 19
    assert sum(corpus.dropped.values()) == 1
    assert abs(len(before.train) - len(after.train)) + abs(len(before.val) - len(after.val)) == 1
    with pytest.raises(DataError, match=odd.stem):
        load_splits(config_for(root, "data.policy=strict"), silent)


def test_a_faulty_file_that_is_removed_moves_the_split_and_its_digest(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 20)
    odd = sorted((root / "TOY-Mask").iterdir())[7]
    odd.write_bytes(odd.read_bytes()[:50])
    faulty = load_splits(config_for(root), silent).provenance
    again = load_splits(config_for(root), silent).provenance
    odd.unlink()
    next((root / "TOY-Image").glob(f"{odd.stem}.*")).unlink()
    removed = load_splits(config_for(root), silent).provenance
    assert faulty.held_out == again.held_out
    assert faulty.digest == removed.digest
    assert faulty.held_out != removed.held_out
    other = load_splits(config_for(root, "validation.seed=7"), silent).provenance
    assert other.digest == removed.digest
    assert other.held_out != removed.held_out


@pytest.mark.parametrize("size", [(100, 90), (256, 256), (24, 24), (30, 200)])
def test_pictures_smaller_than_or_equal_to_the_crop_train(tmp_path: Path, size: tuple[int, int]) -> None:
    root = tmp_path / "set"
    for i in range(6):
        put_pair(root, f"{i}", i, h=size[0], w=size[1])
    splits = load_splits(config_for(root, "augmentation.short_side=24"), silent)
    batch, _ = splits.train.batch([0], [sample_stream(0, 1, 0)])
    assert batch.shape == (1, 3, 24, 24)


def test_an_extreme_strip_is_dropped_by_name(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 8)
    put_pair(root, "strip", 99, h=3, w=2000)
    (corpus,) = load_splits(config_for(root), silent).provenance.corpora
    assert sum(corpus.dropped.values()) == 1
    with pytest.raises(DataError, match="strip"):
        load_splits(config_for(root, "data.policy=strict"), silent)


def test_a_root_that_is_gone_is_a_fault_of_the_data_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    there = toy_set(tmp_path / "set", 8)
    for config in (
        config_for(tmp_path / "nowhere"),
        config_for(tmp_path / "link"),
        config_for(there, f"data.extra_roots=['{tmp_path / 'nowhere'}']"),
    ):
        with pytest.raises(DataError, match=r"(nowhere|link): expected the folder of training data"):
            load_splits(config, silent)

    def no_answer(path: Path) -> bool:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "is_dir", no_answer)
    with pytest.raises(DataError, match="set: expected the folder of training data"):
        load_splits(config_for(there), silent)


def test_held_out_pairs_whose_picture_is_a_training_one_too_are_counted(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 20)
    stems = [f"{i:04}" for i in range(20)]
    held = sorted(hold_out(stems, 0.2, 42))
    trained = [stem for stem in stems if stem not in held]
    assert load_splits(config_for(root), silent).provenance.held_out_twins == 0

    def copy(source: str, *targets: str) -> None:
        for target in targets:
            picture = (root / "TOY-Image" / f"{source}.jpg").read_bytes()
            (root / "TOY-Image" / f"{target}.jpg").write_bytes(picture)

    copy(trained[0], trained[1])
    copy(held[0], held[1])
    assert load_splits(config_for(root), silent).provenance.held_out_twins == 0
    copy(held[0], trained[2], trained[3])
    provenance = load_splits(config_for(root), silent).provenance
    assert provenance.held_out_twins == 2
    assert provenance.val == 4
    torn = root / "TOY-Mask" / f"{held[1]}.png"
    torn.write_bytes(torn.read_bytes()[:50])
    assert load_splits(config_for(root), silent).provenance.held_out_twins == 1


def test_the_names_of_faulty_files_are_told_and_not_recorded(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 20)
    cut = root / "TOY-Image" / "0001.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    (root / "TOY-Mask" / "0002.png").write_bytes(b"")
    (root / "TOY-Mask" / "0003.png").unlink()
    (root / "TOY-Mask" / "0005.png").write_bytes(encoded(disc(5, 60, 40), "PNG"))
    (root / "TOY-Image" / "0007.jpg").write_bytes(b"<html>")
    splits = load_splits(config_for(root), silent)
    assert [line.split(": ")[0] for line in splits.left_out] == [
        f"{root}/TOY-Image/0003.jpg (unpaired",
        f"{root}/TOY-Image/0001.jpg (unreadable",
        f"{root}/TOY-Mask/0002.png (unreadable",
        f"{root}/TOY-Image/0005.jpg (size_mismatch",
        f"{root}/TOY-Image/0007.jpg (unreadable",
    ]
    (corpus,) = splits.provenance.corpora
    assert (corpus.kept, corpus.dropped) == (15, {"size_mismatch": 1, "unpaired": 1, "unreadable": 3})
    assert not any(stem in splits.provenance.model_dump_json() for stem in ("0001.", "0003.", "TOY-Mask"))
    with pytest.raises(DataError, match=r"0003\.jpg.*0001\.jpg.*0002\.png.*0005\.jpg.*0007\.jpg"):
        load_splits(config_for(root, "data.policy=strict"), silent)


def test_two_roots_are_joined_with_their_own_counts(tmp_path: Path) -> None:
    first, second = toy_set(tmp_path / "a", 10), tmp_path / "b"
    for i in range(6):
        for folder, data, suffix in (
            ("images", encoded(photo(50 + i), "JPEG"), "jpg"),
            ("ground_truth_mask", encoded(disc(50 + i), "PNG"), "png"),
        ):
            (second / folder).mkdir(parents=True, exist_ok=True)
            (second / folder / f"{i:04}.{suffix}").write_bytes(data)
    splits = load_splits(config_for(first, f"data.extra_roots=['{second}']"), silent)
    assert sorted(corpus.found for corpus in splits.provenance.corpora) == [6, 10]
    assert len(splits.train) + len(splits.val) == 16


def test_the_folder_is_not_part_of_what_is_recorded(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    assert str(tmp_path) not in str(recorded_config(config))


def test_only_the_smoke_model_is_trained_on_the_embedded_corpus(tmp_path: Path) -> None:
    v1 = load_config(SaliencyConfig, find_config_file("saliency_student_v1"))
    with pytest.raises(ConfigError, match=r"a folder of pairs.*; take --config smoke, or give --data"):
        SaliencyTask(v1)
    smoke = find_config_file("smoke")
    alone = (
        r"data\.root, a folder of pairs, found none, and the embedded corpus makes saliency_student_smoke_v0 "
        r"alone; leave out --id, or give --data DIR$"
    )
    with pytest.raises(ConfigError, match=alone):
        SaliencyTask(load_config(SaliencyConfig, smoke, ("id=saliency_student_v1",)))
    with pytest.raises(ConfigError, match=r"data\.root, a folder of pairs"):
        SaliencyTask(load_config(SaliencyConfig, smoke, ("smoke=false",)))
    with pytest.raises(ConfigError, match="another id"):
        SaliencyTask(load_config(SaliencyConfig, smoke, (), {"data.root": tmp_path}))


def test_a_sheet_shows_image_truth_and_map() -> None:
    task = SaliencyTask(load_config(SaliencyConfig, find_config_file("smoke")))
    pairs = EmbeddedPairs(2, 7, 24)
    batch, target = ValSamples(pairs, 24).batch([0, 1], [])
    rows = task.preview(batch, torch.zeros(2, 1, 24, 24), target)
    assert [len(row) for row in rows] == [3, 3]
    assert np.array_equal(rows[0][0], pairs.image(0)[:, 4:28])
    assert set(np.unique(rows[0][1])) <= {0, 255}
    assert set(np.unique(rows[0][2])) == {128}
    Image.fromarray(rows[0][0])


def test_a_hard_slice_is_held_out_beside_the_share(tmp_path: Path) -> None:
    for index in range(20):
        put_pair(tmp_path, f"{'sun' if index < 5 else 'day'}_{index:02d}", index)
    plain = load_splits(config_for(tmp_path), silent)
    splits = load_splits(config_for(tmp_path, "validation.hard_prefixes=[sun_]"), silent)
    _, target = splits.val.batch(list(range(len(splits.val))), [])
    hard = int(target[:, 1, 0, 0].sum())
    assert len(splits.val) == len(plain.val) + hard
    assert len(splits.train) == len(plain.train) - hard
    assert 1 <= hard <= 5
    assert "sun_" in splits.provenance.split


@pytest.mark.parametrize("prefixes", ["[sun_]", "[]"])
def test_a_slice_of_which_every_pair_is_faulty_is_a_fault_of_the_data(tmp_path: Path, prefixes: str) -> None:
    for index in range(20):
        put_pair(tmp_path, f"{'sun' if index < 5 else 'day'}_{index:02d}", index)
    config = config_for(tmp_path, f"validation.hard_prefixes={prefixes}")
    stems = [f"{'sun' if index < 5 else 'day'}_{index:02d}" for index in range(20)]
    held = hold_out(stems, config.validation.share, config.validation.seed)
    faulty = {stem for stem in stems if stem.startswith("sun")} - held if prefixes != "[]" else held
    for stem in faulty:
        (tmp_path / "TOY-Image" / f"{stem}.jpg").write_bytes(b"broken")
    name = "hard" if prefixes != "[]" else "held-out"
    with pytest.raises(DataError, match=f"a usable pair among the {len(faulty)} of the {name} slice") as told:
        load_splits(config, silent)
    assert f"{min(faulty)}.jpg" in str(told.value)


@pytest.mark.parametrize(("share", "told"), [(0.05, "5%"), (0.125, "12.5%"), (0.005, "0.5%"), (0.1, "10%")])
def test_the_share_is_told_as_it_is(tmp_path: Path, share: float, told: str) -> None:
    splits = load_splits(config_for(toy_set(tmp_path, 10), f"validation.share={share}"), silent)
    assert f"the first {told} held out" in splits.provenance.split


def test_a_hard_slice_of_nothing_is_refused(tmp_path: Path) -> None:
    for index in range(20):
        put_pair(tmp_path, f"day_{index:02d}", index)
    with pytest.raises(ConfigError, match="hard_prefixes"):
        load_splits(config_for(tmp_path, "validation.hard_prefixes=[sun_]"), silent)
