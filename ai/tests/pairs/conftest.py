"""What the tests of pairs share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def duts_mini() -> Path:
    """The 64 real pairs, where VMAF_TRAIN_TEST_DATA names the folder that holds them."""
    folder = os.environ.get("VMAF_TRAIN_TEST_DATA")
    if folder is None:
        pytest.skip("VMAF_TRAIN_TEST_DATA is not set, so the real pairs of DUTS-mini were not inspected")
    return Path(folder) / "DUTS-mini" / "DUTS-TR"
