"""The library can be linked into any program: its names are its own."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from core.native import Native


def test_every_name_that_the_archive_gives_a_linker_begins_with_the_librarys(native: Native) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("no nm here, so the archive's names were not listed")
    archive = native.folder / "libvmaf_dnn.a"
    command = [nm, "-g", "--defined-only", str(archive)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {words[2] for line in listed.splitlines() if len(words := line.split()) == 3}
    assert "vmaf_dnn_scan" in names
    assert {name for name in names if not name.startswith("vmaf_dnn_")} == set()
