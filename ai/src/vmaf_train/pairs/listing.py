"""Image and mask files on disk, paired by stem and by nothing else."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs.layouts import Folders, find_folders, folder_entries, is_junk, is_picture

__all__ = ["Listing", "Pair", "find_pairs", "join_sets", "printable"]

_NAMED_IN_ERRORS = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture and its truth mask.

    Attributes:
        stem: the file name without its last suffix, in Unicode NFC; ``SET/STEM`` in joined sets.
        image: the picture's file.
        mask: the mask's file.
        set_name: the set that the pair came from, such as ``duts-tr``.
    """

    stem: str
    image: Path
    mask: Path
    set_name: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds, before any file was opened.

    Attributes:
        pairs: sorted by stem (by code point), at least one; independent of the file system's order.
        unmatched_images: pictures without a mask, sorted.
        unmatched_masks: masks without a picture, sorted.
        junk: entries that are no picture: hidden files, Finder and Explorer litter, other suffixes.
        layout: the layout that matched, ``joined`` for several sets.
        set_name: the set's name, the names joined by ``+`` for several sets.
        root: the folder that was asked for, the common parent for several sets.
    """

    pairs: tuple[Pair, ...]
    unmatched_images: tuple[Path, ...]
    unmatched_masks: tuple[Path, ...]
    junk: tuple[Path, ...]
    layout: str
    set_name: str
    root: Path


def find_pairs(root: Path, layout: str = "auto", *, set_name: str | None = None) -> Listing:
    """Pair the pictures and masks below ``root``; opens no file.

    The folders may lie up to two levels deeper than ``root``, or ``root`` may be one of the two
    folders itself. Suffixes match whatever their case; a stem may hold dots. Hidden files,
    ``__MACOSX``, ``Thumbs.db`` and the like are set aside before pairing.

    Args:
        root: the folder of one set.
        layout: ``auto``, a name of ``layouts.LAYOUTS``, or ``folders:IMAGES:MASKS`` with two paths
            relative to ``root`` (or absolute).
        set_name: a name in place of the one the folders suggest.

    Raises:
        ConfigError: ``root`` is no folder or ``layout`` is unknown.
        DataError: no such folders, more than one candidate, one that cannot be read, two files for one
            stem, or zero pairs.
    """
    folders = find_folders(root, layout)
    images, image_junk = _by_stem(folders.images, folders, masks=False)
    masks, mask_junk = _by_stem(folders.masks, folders, masks=True)
    name = set_name or folders.set_name
    stems = sorted(images.keys() & masks.keys())
    if not stems:
        raise DataError(
            str(root),
            expected="at least one picture and mask of the same stem",
            found=f"{len(images)} pictures in {folders.images}, {len(masks)} masks in {folders.masks}, "
            "no stem in common",
            next_step="check the layout and that both folders belong to one set",
        )
    return Listing(
        pairs=tuple(Pair(stem, images[stem], masks[stem], name) for stem in stems),
        unmatched_images=tuple(images[stem] for stem in sorted(images.keys() - masks.keys())),
        unmatched_masks=tuple(masks[stem] for stem in sorted(masks.keys() - images.keys())),
        junk=tuple(sorted({*image_junk, *mask_junk})),
        layout=folders.layout,
        set_name=name,
        root=root,
    )


def join_sets(listings: Sequence[Listing]) -> Listing:
    """Return one listing of several sets; each pair keeps its ``set_name``.

    With more than one set the stems become ``SET/STEM``, because different sets number their
    pictures alike. A single listing comes back unchanged.

    Raises:
        ConfigError: nothing to join, or two sets of one name.
    """
    if len(listings) == 1:
        return listings[0]
    names = [listing.set_name for listing in listings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not listings:
        raise ConfigError(
            "training sets",
            expected="one or more sets of different names",
            found=f"{', '.join(twice)} more than once" if twice else "none",
            next_step="give each root once, and rename one of two folders that are called alike",
        )
    pairs = [
        replace(pair, stem=f"{pair.set_name}/{pair.stem}") for listing in listings for pair in listing.pairs
    ]
    return Listing(
        pairs=tuple(sorted(pairs, key=lambda pair: pair.stem)),
        unmatched_images=tuple(path for listing in listings for path in listing.unmatched_images),
        unmatched_masks=tuple(path for listing in listings for path in listing.unmatched_masks),
        junk=tuple(path for listing in listings for path in listing.junk),
        layout="joined",
        set_name="+".join(names),
        root=Path(os.path.commonpath([listing.root.absolute() for listing in listings])),
    )


def printable(path: Path | str) -> str:
    """Return a name that any encoder accepts: bytes that are not UTF-8 come out as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _by_stem(folder: Path, folders: Folders, *, masks: bool) -> tuple[dict[str, Path], list[Path]]:
    """Return stem -> file for one side, and what was set aside; raise if a stem occurs twice."""
    found: dict[str, list[Path]] = {}
    junk: list[Path] = []
    for name, is_folder in folder_entries(folder):
        path = folder / name
        if is_folder or is_junk(name) or not is_picture(name):
            junk.append(path)
        elif folders.takes(name, masks=masks):
            found.setdefault(unicodedata.normalize("NFC", path.stem), []).append(path)
    twice = sorted(stem for stem, paths in found.items() if len(paths) > 1)
    if twice:
        named = [sorted(printable(path.name) for path in found[stem]) for stem in twice[:_NAMED_IN_ERRORS]]
        shown = "; ".join(" and ".join(names) for names in named)
        raise DataError(
            str(folder),
            expected=f"one {'mask' if masks else 'picture'} per stem",
            found=f"{len(twice)} stems with more: {shown}",
            next_step="keep one file of each",
        )
    return {stem: paths[0] for stem, paths in found.items()}, junk
