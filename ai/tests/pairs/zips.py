"""Zip archives that the tests make, good and hostile."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping

from pairs.made_files import disc, encoded, photo


def zipped(members: Mapping[str, bytes]) -> bytes:
    """An archive of these members, deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def good_members(count: int = 3) -> dict[str, bytes]:
    """A DUTS-TR-like folder with litter around it."""
    members = {
        "__MACOSX/DUTS-TR/._x": b"junk",
        "DUTS-TR/.DS_Store": b"junk",
        "DUTS-TR/DUTS-TR-Image/": b"",
    }
    for i in range(count):
        members[f"DUTS-TR/DUTS-TR-Image/{i}.jpg"] = encoded(photo(i), "JPEG")
        members[f"DUTS-TR/DUTS-TR-Mask/{i}.png"] = encoded(disc(i), "PNG")
    return members


def with_special(name: str, mode: int, data: bytes) -> bytes:
    """An archive with one member of a special kind, such as a symbolic link."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.create_system = 3
        member.external_attr = (mode | 0o777) << 16
        archive.writestr(member, data)
    return buffer.getvalue()


def with_link(name: str, target: str) -> bytes:
    """An archive with a symbolic link."""
    return with_special(name, stat.S_IFLNK, target.encode())
