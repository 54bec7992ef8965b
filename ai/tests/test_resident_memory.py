"""Memory that was held shows in the peak, also after it was given back, until the peak starts anew."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from vmaf_train import resident_memory
from vmaf_train.resident_memory import peak_bytes, resident_bytes, restart_peak

LARGE = 64 << 20
PIECE = b"x" * (64 << 10)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and restarts it")


@linux
def test_the_peak_remembers_what_was_held() -> None:
    before = restart_peak()
    # What malloc gives may have been resident before, and may stay so after.
    with mmap.mmap(-1, LARGE) as held:
        for _ in range(LARGE // len(PIECE)):
            held.write(PIECE)
        assert resident_bytes() >= before + LARGE * 0.9
    assert resident_bytes() < before + LARGE * 0.5
    assert peak_bytes() >= before + LARGE * 0.9
    restart_peak()
    assert peak_bytes() < before + LARGE * 0.5


def test_a_system_that_tells_no_peak_is_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident_memory, "_STATUS", tmp_path / "absent")
    assert peak_bytes() > 1 << 20
    with pytest.raises(OSError, match="needs Linux"):
        resident_bytes()
