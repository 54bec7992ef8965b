"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep decoded pictures and build folders of a test inside its own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DUTS_ROOT", raising=False)


@pytest.fixture
def real_data() -> Path | None:
    """The folder of real corpora that VMAF_TRAIN_TEST_DATA names; None where there is none."""
    folder = os.environ.get("VMAF_TRAIN_TEST_DATA")
    return Path(folder) if folder else None
