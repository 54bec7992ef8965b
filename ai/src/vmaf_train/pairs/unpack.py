"""A zip archive from a stranger, unpacked only if every member stays inside and within bounds."""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from vmaf_train.errors import DataError
from vmaf_train.pairs.layouts import is_junk
from vmaf_train.pairs.listing import printable

__all__ = ["MAX_UNPACKED_BYTES", "unpack"]

MAX_UNPACKED_BYTES = 16 << 30
"""What an archive may unpack to, in bytes."""

_MAX_MEMBERS = 1_000_000
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
# A member that is a file and a folder at once.
_COLLISIONS = (FileExistsError, NotADirectoryError, IsADirectoryError)


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_UNPACKED_BYTES) -> Path:
    """Unpack ``archive`` into the new ``folder`` and return where its content starts.

    Every member is looked at before the first is written. Hidden files and ``__MACOSX`` are left
    out. A single top folder is stepped into, so the result is that folder, or ``folder`` itself.

    Args:
        archive: a zip file.
        folder: must not exist.
        max_bytes: the sum of the members' sizes must not exceed it.

    Raises:
        DataError: no zip file, a damaged or encrypted one, a member that would land outside of
            ``folder``, is a link or a device or appears twice, too many bytes or members, or too
            little free disk.
        OSError: the disk cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            wanted = _checked(packed, archive, folder, max_bytes)
            folder.mkdir(parents=True)
            for member, target in wanted:
                target.parent.mkdir(parents=True, exist_ok=True)
                # A member yields at most its declared size, which the bound has counted.
                with _opened(packed, member) as source, target.open("xb") as sink:
                    while part := _read(source):
                        sink.write(part)
    except (*_DAMAGE, *_COLLISIONS) as error:
        raise _refused(archive, "an intact zip archive", str(error)) from error
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return inside[0] if len(inside) == 1 and len(list(folder.iterdir())) == 1 else folder


def _opened(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return packed.open(member)
    except OSError as error:  # a place in the file that cannot be
        raise zipfile.BadZipFile(str(error)) from error


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(1 << 20)
    except OSError as error:  # as bz2 tells damage; the disk's own errors come from the sink
        raise zipfile.BadZipFile(str(error)) from error


def _checked(
    packed: zipfile.ZipFile, archive: Path, folder: Path, max_bytes: int
) -> list[tuple[zipfile.ZipInfo, Path]]:
    members = packed.infolist()
    if len(members) > _MAX_MEMBERS:
        raise _refused(archive, f"at most {_MAX_MEMBERS} members", f"{len(members)}")
    total = sum(member.file_size for member in members)
    free = shutil.disk_usage(folder.parent).free
    if total > min(max_bytes, free):
        bound = f"{max_bytes} bytes allowed, {free} bytes free"
        raise _refused(archive, f"content within bounds ({bound})", f"{total} bytes unpacked")
    wanted: dict[Path, zipfile.ZipInfo] = {}
    for member in members:
        parts = _safe_parts(archive, member)
        if member.is_dir() or any(is_junk(part) for part in parts):
            continue
        target = folder.joinpath(*parts)
        if target in wanted:
            raise _refused(archive, "each member once", f"{member.filename!r} twice")
        wanted[target] = member
    if not wanted:
        raise _refused(archive, "files", "none")
    return [(member, target) for target, member in wanted.items()]


def _safe_parts(archive: Path, member: zipfile.ZipInfo) -> tuple[str, ...]:
    # ``orig_filename`` is what the archive says; ``filename`` was cut at a NUL byte.
    name = member.orig_filename
    path = PurePosixPath(name)
    escapes = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name
    if escapes or not path.parts:
        raise _refused(archive, "names that stay inside the folder", repr(name))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _refused(archive, "plain files and folders", f"a link or device {name!r}")
    if member.flag_bits & _ENCRYPTED:
        raise _refused(archive, "a readable archive", f"the encrypted member {name!r}")
    return path.parts


def _refused(archive: Path, expected: str, found: str) -> DataError:
    return DataError(
        printable(archive.name),
        expected=expected,
        found=found,
        next_step="nothing was kept; do not trust this archive",
    )
