from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pairs.made_files import disc, encoded, photo, put_pair, toy_set
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs import DropReason, Finding, Inspection, find_pairs, inspect_pairs, join_sets
from vmaf_train.pairs import facts as facts_module
from vmaf_train.pairs.decode import open_picture


def inspected(root: Path) -> Inspection:
    return inspect_pairs(find_pairs(root), workers=2)


def found_in(inspection: Inspection, finding: Finding) -> set[str]:
    return {path.stem for path in inspection.findings[finding]}


def test_good_pairs_are_all_kept_without_a_finding(tmp_path: Path) -> None:
    inspection = inspected(toy_set(tmp_path, 4))
    told = {key: count for key, count in inspection.counts.items() if count}
    assert told == {"pairs": 4, "kept": 4}
    assert inspection.set_counts == {"toy": {"pairs": 4, "kept": 4, "dropped": 0}}


def test_a_pair_of_different_sizes_is_dropped_by_name_before_any_resize(tmp_path: Path) -> None:
    toy_set(tmp_path, 9)
    put_pair(tmp_path, "odd", 77, h=300, w=400)
    (tmp_path / "TOY-Mask" / "odd.png").write_bytes(encoded(disc(1, 400, 300), "PNG"))
    inspection = inspected(tmp_path)
    assert [bad.paths[0].name for bad in inspection.dropped] == ["odd.jpg"]
    assert inspection.dropped[0].reason is DropReason.SIZE_MISMATCH
    assert inspection.dropped[0].detail == "picture 400x300, mask 300x400"
    assert (inspection.counts["kept"], inspection.counts["dropped"]) == (9, 1)
    with pytest.raises(DataError, match=r"1 bad: .*odd\.jpg"):
        inspect_pairs(find_pairs(tmp_path), policy="strict")


def test_every_file_without_all_its_pixels_is_named_and_left_out(tmp_path: Path) -> None:
    toy_set(tmp_path, 5)
    cut, empty, page = (
        tmp_path / "TOY-Image" / "0001.jpg",
        tmp_path / "TOY-Mask" / "0002.png",
        tmp_path / "TOY-Image" / "0003.jpg",
    )
    cut.write_bytes(cut.read_bytes()[:-200])
    empty.write_bytes(b"")
    page.write_text("<html>not found</html>")
    inspection = inspected(tmp_path)
    assert {bad.paths: bad.reason for bad in inspection.dropped} == {
        (cut,): DropReason.UNREADABLE,
        (empty,): DropReason.UNREADABLE,
        (page,): DropReason.UNREADABLE,
    }
    assert [pair.stem for pair in inspection.kept] == ["0000", "0004"]
    with pytest.raises(DataError) as caught:
        inspect_pairs(find_pairs(tmp_path), policy="strict")
    for name in ("3 bad", "0001.jpg", "0002.png", "0003.jpg"):
        assert name in str(caught.value)


def test_unpaired_files_are_counted_and_fail_a_strict_run(tmp_path: Path) -> None:
    toy_set(tmp_path, 3)
    (tmp_path / "TOY-Mask" / "0001.png").unlink()
    (tmp_path / "TOY-Mask" / "lonely.PNG").write_bytes(encoded(disc(1), "PNG"))
    inspection = inspected(tmp_path)
    assert inspection.counts["unpaired"] == 2
    assert {bad.paths[0].name for bad in inspection.dropped} == {"0001.jpg", "lonely.PNG"}
    with pytest.raises(DataError, match=r"lonely\.PNG"):
        inspect_pairs(find_pairs(tmp_path), policy="strict")


def test_litter_does_not_fail_a_strict_run(tmp_path: Path) -> None:
    toy_set(tmp_path, 2)
    for name in ("TOY-Image/._0001.jpg", "TOY-Mask/._0001.png"):
        (tmp_path / name).write_bytes(b"junk" * 99)
    inspection = inspect_pairs(find_pairs(tmp_path), policy="strict")
    assert (inspection.counts["kept"], inspection.counts["junk"]) == (2, 2)


def test_a_strip_is_refused_by_name_and_an_ordinary_panorama_is_only_reported(tmp_path: Path) -> None:
    put_pair(tmp_path, "panorama", 1, h=40, w=120)
    put_pair(tmp_path, "strip", 2, h=3, w=2000)
    inspection = inspected(tmp_path)
    assert [(bad.paths[0].name, bad.reason) for bad in inspection.dropped] == [
        ("strip.jpg", DropReason.REFUSED_ASPECT)
    ]
    assert found_in(inspection, Finding.EXTREME_ASPECT) == {"panorama"}


def test_jpeg_masks_are_told_under_either_suffix_and_their_grey_is_measured(tmp_path: Path) -> None:
    toy_set(tmp_path, 4)
    noisy = encoded(disc(1), "JPEG", quality=40)
    (tmp_path / "TOY-Mask" / "0001.png").write_bytes(noisy)
    (tmp_path / "TOY-Mask" / "0002.png").unlink()
    (tmp_path / "TOY-Mask" / "0002.jpg").write_bytes(noisy)
    levels = np.full((40, 60), 127, dtype=np.uint8)
    levels[:, 30:] = 128
    (tmp_path / "TOY-Mask" / "0003.png").write_bytes(encoded(Image.fromarray(levels), "PNG"))
    inspection = inspected(tmp_path)
    assert inspection.counts["kept"] == 4
    assert found_in(inspection, Finding.JPEG_MASK) == {"0001", "0002"}
    assert found_in(inspection, Finding.WRONG_SUFFIX) == {"0001"}
    assert found_in(inspection, Finding.NON_BINARY_MASK) == {"0001", "0002", "0003"}
    grey = np.asarray(Image.open(tmp_path / "TOY-Mask" / "0001.png"))
    share = ((grey > 0) & (grey < 255)).mean()
    assert inspection.grey_share == pytest.approx((2 * share + 1) / 4)


def test_each_unusual_picture_is_found(tmp_path: Path) -> None:
    toy_set(tmp_path, 8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 3
    alpha = photo(5).convert("RGBA")
    alpha.putalpha(128)
    deep = Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 20)
    files = {
        "0000": encoded(photo(1).convert("L"), "JPEG"),
        "0001": encoded(photo(2).convert("CMYK"), "JPEG"),
        "0002": encoded(photo(3), "JPEG", icc_profile=profile),
        "0003": encoded(photo(4), "JPEG", exif=exif),
        "0004": encoded(alpha, "PNG"),
        "0005": encoded(photo(6).quantize(16), "PNG"),
        "0006": encoded(deep, "PNG"),
        "0007": encoded(photo(7).convert("L").convert("RGB"), "PNG"),
    }
    for stem, data in files.items():
        (tmp_path / "TOY-Image" / f"{stem}.jpg").write_bytes(data)
    inspection = inspected(tmp_path)
    assert inspection.counts["kept"] == 8
    assert found_in(inspection, Finding.GREY_IMAGE) == {"0000", "0006", "0007"}
    assert found_in(inspection, Finding.CMYK_IMAGE) == {"0001"}
    assert found_in(inspection, Finding.ICC_IMAGE) == {"0002"}
    assert found_in(inspection, Finding.EXIF_ROTATED) == {"0003"}
    assert found_in(inspection, Finding.ALPHA_IMAGE) == {"0004"}
    assert found_in(inspection, Finding.PALETTE_IMAGE) == {"0005"}
    assert found_in(inspection, Finding.SIXTEEN_BIT_IMAGE) == {"0006"}
    assert found_in(inspection, Finding.WRONG_SUFFIX) == {"0004", "0005", "0006", "0007"}


def test_each_unusual_mask_is_found(tmp_path: Path) -> None:
    toy_set(tmp_path, 9)
    red = np.zeros((40, 60, 3), dtype=np.uint8)
    red[10:30, 10:30] = (255, 90, 80)
    small = np.zeros((40, 60), dtype=np.uint8)
    small[:2, :2] = 255
    masks = [
        disc(0).convert("RGB"),
        Image.fromarray(red),
        disc(2).convert("P"),
        disc(3).convert("1"),
        Image.fromarray(np.asarray(disc(4)).astype(np.uint16) * 257),
        disc(5).convert("LA"),
        Image.new("L", (60, 40), 0),
        Image.new("L", (60, 40), 255),
        Image.fromarray(small),
    ]
    for i, mask in enumerate(masks):
        (tmp_path / "TOY-Mask" / f"{i:04}.png").write_bytes(encoded(mask, "PNG"))
    inspection = inspected(tmp_path)
    assert inspection.counts["kept"] == 9
    assert found_in(inspection, Finding.RGB_MASK) == {"0000", "0001"}
    assert found_in(inspection, Finding.COLOURED_MASK) == {"0001"}
    assert found_in(inspection, Finding.PALETTE_MASK) == {"0002"}
    assert found_in(inspection, Finding.ONE_BIT_MASK) == {"0003"}
    assert found_in(inspection, Finding.SIXTEEN_BIT_MASK) == {"0004"}
    assert found_in(inspection, Finding.ALPHA_MASK) == {"0005"}
    assert found_in(inspection, Finding.EMPTY_MASK) == {"0006"}
    assert found_in(inspection, Finding.FULL_MASK) == {"0007"}
    assert found_in(inspection, Finding.TINY_FOREGROUND) == {"0008"}
    assert found_in(inspection, Finding.NON_BINARY_MASK) == {"0001"}


def test_a_mask_of_labels_and_a_picture_as_its_own_mask_are_dropped(tmp_path: Path) -> None:
    toy_set(tmp_path, 3)
    labels = Image.fromarray((np.asarray(disc(1)) // 255).astype(np.uint8))
    (tmp_path / "TOY-Mask" / "0001.png").write_bytes(encoded(labels, "PNG"))
    (tmp_path / "TOY-Mask" / "0002.png").write_bytes((tmp_path / "TOY-Image" / "0002.jpg").read_bytes())
    inspection = inspected(tmp_path)
    assert [bad.reason for bad in inspection.dropped] == [
        DropReason.LABEL_SCALE_MASK,
        DropReason.IMAGE_AS_MASK,
    ]


@pytest.mark.parametrize(("level", "kept"), [(1, 0), (100, 0), (15 * 257, 0), (65535, 1), (0, 1)])
def test_labels_of_sixteen_bits_are_dropped_though_they_round_to_black(
    tmp_path: Path, level: int, kept: int
) -> None:
    toy_set(tmp_path, 2)
    labels = np.where(np.asarray(disc(1)) > 0, level, 0).astype(np.uint16)
    (tmp_path / "TOY-Mask" / "0001.png").write_bytes(encoded(Image.fromarray(labels), "PNG"))
    inspection = inspected(tmp_path)
    assert len(inspection.kept) == 1 + kept
    assert [bad.reason for bad in inspection.dropped] == [DropReason.LABEL_SCALE_MASK] * (1 - kept)


def test_a_mask_drawn_before_the_exif_turn_is_dropped_with_that_reason(tmp_path: Path) -> None:
    toy_set(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "TOY-Image" / "0001.jpg").write_bytes(encoded(photo(1), "JPEG", exif=exif))
    inspection = inspected(tmp_path)
    assert "before its EXIF turn" in inspection.dropped[0].detail


def test_the_same_picture_under_two_stems_is_reported_as_a_duplicate(tmp_path: Path) -> None:
    toy_set(tmp_path, 5)
    for copy in ("0003", "0004"):
        original = tmp_path / "TOY-Image" / "0001.jpg"
        (tmp_path / "TOY-Image" / f"{copy}.jpg").write_bytes(original.read_bytes())
    inspection = inspected(tmp_path)
    assert inspection.duplicates == (("0001", "0003", "0004"),)
    assert inspection.counts["duplicate_image"] == 2


def test_the_digest_follows_content_and_stems_and_nothing_else(tmp_path: Path) -> None:
    digest = inspected(toy_set(tmp_path / "a", 4)).digest
    assert inspected(toy_set(tmp_path / "b", 4)).digest == digest
    (tmp_path / "a" / "TOY-Image" / ".DS_Store").write_bytes(b"x")
    assert inspected(tmp_path / "a").digest == digest
    for folder in ("TOY-Image", "TOY-Mask"):
        for path in (tmp_path / "b" / folder).glob("0001.*"):
            path.rename(path.with_stem("0001b"))
    assert inspected(tmp_path / "b").digest != digest
    put_pair(tmp_path / "a", "0002", 99)
    assert inspected(tmp_path / "a").digest != digest


def test_workers_do_not_change_the_outcome_and_progress_ends_at_the_total(tmp_path: Path) -> None:
    listing = find_pairs(toy_set(tmp_path, 6))
    steps: list[tuple[int, int]] = []
    one = inspect_pairs(listing, workers=1, progress=lambda done, total: steps.append((done, total)))
    assert one == inspect_pairs(listing, workers=4)
    assert steps == [(i, 12) for i in range(1, 13)]


def test_known_files_are_not_decoded_again_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, store = toy_set(tmp_path / "set", 3), tmp_path / "cache" / "findings.json"
    (root / "TOY-Image" / "0002.jpg").write_bytes(b"broken")
    first = inspect_pairs(find_pairs(root), findings_cache=store)
    decoded: list[str] = []

    def counted(data: bytes) -> Image.Image:
        decoded.append("one")
        return open_picture(data)

    monkeypatch.setattr(facts_module, "open_picture", counted)
    assert inspect_pairs(find_pairs(root), findings_cache=store) == first
    assert not decoded
    changed = root / "TOY-Mask" / "0001.png"
    before = changed.stat()
    changed.write_bytes(encoded(disc(3), "PNG"))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    second = inspect_pairs(find_pairs(root), findings_cache=store)
    assert len(decoded) == 1
    assert second.digest != first.digest


def test_a_file_that_changes_while_others_are_read_is_read_anew_the_next_time(tmp_path: Path) -> None:
    root, store = toy_set(tmp_path / "set", 3), tmp_path / "findings.json"

    def change_the_first(done: int, total: int) -> None:
        if done == total:
            (root / "TOY-Mask" / "0000.png").write_bytes(encoded(disc(7, h=20), "PNG"))

    first = inspect_pairs(find_pairs(root), findings_cache=store, progress=change_the_first)
    assert len(first.kept) == 3
    remembered = inspect_pairs(find_pairs(root), findings_cache=store)
    assert remembered == inspected(root)
    assert len(remembered.kept) == 2


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": "1"}', "{", '"2 Pillow 0"\n["image:x"]', "SAME\nx", "SAME\n[1"]
)
def test_a_damaged_store_of_findings_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    root, store = toy_set(tmp_path / "set", 2), tmp_path / "findings.json"
    inspect_pairs(find_pairs(root), findings_cache=store)
    store.write_text(content.replace("SAME", store.read_text().splitlines()[0]))
    assert inspect_pairs(find_pairs(root), findings_cache=store).counts["kept"] == 2


def test_findings_of_another_version_are_not_believed(tmp_path: Path) -> None:
    root, store = toy_set(tmp_path / "set", 2), tmp_path / "findings.json"
    inspect_pairs(find_pairs(root), findings_cache=store)
    for version, kept in (("same", 1), ("other", 2)):
        head, first, *rest = store.read_text().splitlines()
        key, stamp, facts = json.loads(first)
        facts[0] = "as remembered"
        head = head if version == "same" else json.dumps(json.loads(head) + " other")
        store.write_text("\n".join([head, json.dumps([key, stamp, facts]), *rest]) + "\n")
        assert inspect_pairs(find_pairs(root), findings_cache=store).counts["kept"] == kept


def test_nothing_usable_stops_the_run_whatever_the_policy(tmp_path: Path) -> None:
    toy_set(tmp_path, 2)
    for path in tmp_path.glob("TOY-Mask/*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="at least one usable pair"):
        inspected(tmp_path)


def test_an_unknown_policy_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="policy"):
        inspect_pairs(find_pairs(toy_set(tmp_path, 1)), policy="skip")  # type: ignore[arg-type]


def test_joined_sets_are_counted_one_by_one(tmp_path: Path) -> None:
    first = find_pairs(toy_set(tmp_path / "a", 2), set_name="a")
    (tmp_path / "a" / "TOY-Image" / "0001.jpg").write_bytes(b"broken")
    second = find_pairs(toy_set(tmp_path / "b", 3, first=5), set_name="b")
    inspection = inspect_pairs(join_sets([first, second]))
    assert inspection.set_counts == {
        "a": {"pairs": 2, "kept": 1, "dropped": 1},
        "b": {"pairs": 3, "kept": 3, "dropped": 0},
    }


def test_every_quirk_of_the_real_sample_is_found(duts_mini: Path) -> None:
    inspection = inspected(duts_mini)
    told = {key: count for key, count in inspection.counts.items() if count}
    grey_levels = 0
    for pair in inspection.kept:
        with Image.open(pair.mask) as mask:
            grey_levels += len(np.unique(np.asarray(mask.convert("L")))) > 2
    assert told == {
        "pairs": 64,
        "kept": 64,
        "rgb_mask": 3,
        "coloured_mask": 2,
        "grey_image": 3,
        "extreme_aspect": 4,
        "duplicate_image": 2,
        "non_binary_mask": grey_levels,
        "tiny_foreground": 4,
    }
