"""Where the known corpora keep their pictures and masks, and how to find those folders."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmaf_train.errors import ConfigError, DataError

__all__ = [
    "LAYOUTS",
    "PICTURE_SUFFIXES",
    "Folders",
    "Layout",
    "find_folders",
    "folder_entries",
    "is_junk",
    "is_picture",
]

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Lower-case suffixes of files that may be a picture or a mask."""

_JPEG_SUFFIXES = (".jpeg", ".jpg")
_JUNK = frozenset({"__macosx", "desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db"})
_LEVELS = 2
_SHOWN = 12


@dataclass(frozen=True)
class Layout:
    """The folder names of one corpus, as regular expressions matched whole and whatever the case.

    Attributes:
        images: the folder of pictures; its first group, if it has one, names the set.
        masks: the folder of masks, with the same first group; None where both lie in ``images``,
            pictures as JPEG and masks under any other suffix.
        set_name: the corpus's name where the folder of pictures does not carry it. Such folder names
            are common, so it is taken only where a folder above bears it.
        looked_for: the folders in words, for an error message.
    """

    images: str
    masks: str | None
    set_name: str | None
    looked_for: str


LAYOUTS: dict[str, Layout] = {
    "duts": Layout(r"(.+)-images?", r"(.+)-masks?", None, "NAME-Image and NAME-Mask"),
    "ecssd": Layout(r"images", r"ground_truth_masks?", "ecssd", "images and ground_truth_mask"),
    "hku_is": Layout(r"imgs", r"gt", "hku-is", "imgs and gt"),
    "sod": Layout(r"images?|imgs", r"masks?|gt", "sod", "images and masks"),
    "msra10k": Layout(r"imgs", None, "msra10k", "Imgs with .jpg and .png"),
}
"""Known layouts; ``auto`` tries them in this order."""


@dataclass(frozen=True)
class Folders:
    """The two folders of one set; the same one twice where pictures and masks lie together."""

    layout: str
    images: Path
    masks: Path
    set_name: str

    def takes(self, name: str, *, masks: bool) -> bool:
        """Return whether the file ``name`` belongs to that side; by suffix in a shared folder."""
        return self.images != self.masks or masks != name.lower().endswith(_JPEG_SUFFIXES)


def is_junk(name: str) -> bool:
    """Return whether an entry is litter: hidden, or left by a file manager or an unzipper."""
    return name.startswith(".") or name.lower() in _JUNK


def is_picture(name: str) -> bool:
    """Return whether the suffix, whatever its case, is one of ``PICTURE_SUFFIXES``."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def folder_entries(folder: Path) -> list[tuple[str, bool]]:
    """Return each entry's name and whether it is a folder, in the file system's order.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.is_dir()) for entry in entries]
    except OSError as error:
        raise _unreadable(folder, error) from error


def find_folders(root: Path, layout: str) -> Folders:
    """Find the folders of a set at ``root``, up to two levels below it, or with ``root`` as one of them.

    The nearest level that holds a match must hold exactly one.

    Raises:
        ConfigError: ``root`` is no folder, or ``layout`` is not known.
        DataError: no match, or several, or a folder that cannot be read.
    """
    if not _is_folder(root):
        raise ConfigError(
            str(root),
            expected="a folder with pictures and masks",
            found="a file" if root.exists() else "nothing there",
            next_step="give the folder that the corpus was unpacked to",
        )
    if layout.startswith("folders:"):
        return _explicit(root, layout)
    if layout != "auto" and layout not in LAYOUTS:
        near = difflib.get_close_matches(layout, ["auto", *LAYOUTS], n=1)
        raise ConfigError(
            f"layout {layout!r}",
            expected="auto, " + ", ".join(sorted(LAYOUTS)) + " or folders:IMAGES:MASKS",
            found=layout or "an empty name",
            next_step=f"did you mean {near[0]}?" if near else "choose one of these",
        )
    wanted = LAYOUTS if layout == "auto" else {layout: LAYOUTS[layout]}
    for bases in _levels(root):
        found = [match for base in bases for match in _matches(base, wanted)]
        unique = {(match.images, match.masks): match for match in reversed(found)}
        if len(unique) == 1:
            return found[0]
        if unique:
            raise DataError(
                str(root),
                expected="one set",
                found=f"{len(unique)}: " + ", ".join(sorted(str(images) for images, _ in unique)),
                next_step="give the folder of one of them, and join several sets by their own roots",
            )
    beside = [match for match in _matches(root.absolute().parent, wanted) if _is_side(match, root)]
    if beside:
        return beside[0]
    looked_for = " or ".join(entry.looked_for for entry in wanted.values())
    raise DataError(
        str(root),
        expected=f"{looked_for}, at most {_LEVELS} levels down",
        found=_contents(root),
        next_step="give the folder that holds both, or name them with folders:IMAGES:MASKS",
    )


def _explicit(root: Path, layout: str) -> Folders:
    parts = layout.split(":")
    if len(parts) != 3 or not all(parts):
        raise ConfigError(
            f"layout {layout!r}",
            expected="folders:IMAGES:MASKS",
            found=f"{len(parts) - 1} parts after the first word",
            next_step="give two folders, relative to the root",
        )
    images, masks = root / parts[1], root / parts[2]
    for folder in (images, masks):
        if not _is_folder(folder):
            raise DataError(
                str(folder),
                expected="a folder",
                found=_contents(root),
                next_step="correct folders:IMAGES:MASKS",
            )
    return Folders(layout, images, masks, _slug(root.absolute().name))


def _levels(root: Path) -> Iterator[list[Path]]:
    """Yield ``[root]``, then its folders, then theirs, sorted and without junk."""
    level = [root]
    for _ in range(_LEVELS + 1):
        yield level
        level = [child for folder in level for child in _subfolders(folder)]


def _subfolders(folder: Path) -> list[Path]:
    try:
        entries = folder_entries(folder)
    except DataError as error:
        if isinstance(error.__cause__, PermissionError):  # such as lost+found beside a set
            return []
        raise
    return [folder / name for name, is_folder in sorted(entries) if is_folder and not is_junk(name)]


def _matches(base: Path, wanted: dict[str, Layout]) -> list[Folders]:
    found: list[Folders] = []
    subfolders = _subfolders(base)
    for name, layout in wanted.items():
        for images in subfolders:
            picture_folder = re.fullmatch(layout.images, images.name, re.IGNORECASE)
            if picture_folder is None:
                continue
            set_name = _set_name(base, layout.set_name) if layout.set_name else _slug(picture_folder[1])
            if layout.masks is None:
                if _holds_both(images):
                    found.append(Folders(name, images, images, set_name))
                continue
            for masks in subfolders:
                mask_folder = re.fullmatch(layout.masks, masks.name, re.IGNORECASE)
                if mask_folder and [part.lower() for part in picture_folder.groups()] == [
                    part.lower() for part in mask_folder.groups()
                ]:
                    found.append(Folders(name, images, masks, set_name))
    return found


def _set_name(base: Path, corpus: str) -> str:
    """Return ``corpus`` where ``base`` or one of the two folders above it bears that name, else its own."""
    names = [_slug(part) for part in base.absolute().parts[-1 - _LEVELS :]]
    known = any(name == corpus or name.startswith(f"{corpus}-") for name in names)
    return corpus if known else names[-1]


def _holds_both(folder: Path) -> bool:
    """Return whether a folder holds JPEG pictures and pictures of another suffix."""
    names = [name for name, _ in folder_entries(folder) if is_picture(name) and not is_junk(name)]
    jpeg = [name for name in names if name.lower().endswith(_JPEG_SUFFIXES)]
    return 0 < len(jpeg) < len(names)


def _is_side(match: Folders, root: Path) -> bool:
    try:
        return any(folder.samefile(root) for folder in (match.images, match.masks))
    except OSError as error:
        raise _unreadable(root, error) from error


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a share that is gone, or a parent that may not be entered
        raise _unreadable(path, error) from error


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(
        str(folder),
        expected="a folder that can be read",
        found=error.strerror or str(error),
        next_step="check its disk and its permissions",
    )


def _contents(folder: Path) -> str:
    names = sorted(name + ("/" if is_folder else "") for name, is_folder in folder_entries(folder))
    shown = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{shown}{more}" if names else "an empty folder"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "set"
