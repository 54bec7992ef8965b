"""A disk that takes no more from a chosen moment on, and mounts that no other process sees."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")
"""The command below which a process may mount; its mounts end with it."""


def can_mount() -> bool:
    """Whether this user may mount a tmpfs where nobody else sees it."""
    try:
        tried = subprocess.run(
            [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


def mount(folder: Path, options: str) -> None:
    """Mount a tmpfs on ``folder``, which is made, or change the options of the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


class Fault:
    """From the moment on in which a file of a certain name is begun, nothing more can be written.

    Works through the audit events of this process, which it leaves installed.

    Attributes:
        name: of the file; empty for none.
        disk: the folder of a small file system to fill up; None for a limit on a file's size.
        struck: whether the moment came.
    """

    def __init__(self, disk: Path | None) -> None:
        self.name, self.disk, self.struck = "", disk, False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        place = {"tempfile.mkstemp": 0, "os.link": 1}.get(event)
        if place is not None and self.name and Path(arguments[place]).name.startswith(f".{self.name}."):
            self.name, self.struck = "", True
            if self.disk is None:  # Python ignores SIGXFSZ, so that a write fails instead
                resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.RLIM_INFINITY))
            else:
                fill(self.disk)

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Let it strike at ``name``; after the block there is room again."""
        self.name, self.struck = name, False
        try:
            yield
        finally:
            self.name = ""
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if self.disk is not None:
                (self.disk / "filler").unlink(missing_ok=True)


def fill(disk: Path) -> None:
    """Write a file ``filler`` that takes all the room of a small file system."""
    handle = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while True:
                os.write(handle, b"f" * 4096)
    finally:
        os.close(handle)
    assert os.statvfs(disk).f_bavail == 0, os.strerror(errno.ENOSPC)
