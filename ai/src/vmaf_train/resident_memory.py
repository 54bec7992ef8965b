"""How much memory this process holds, and the most that it has held at once."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["peak_bytes", "resident_bytes", "restart_peak"]

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Return the bytes resident now.

    Raises:
        OSError: no Linux, which alone tells this.
    """
    found = _told("VmRSS")
    if found is None:
        raise OSError(f"no VmRSS in {_STATUS}: this needs Linux")
    return found


def peak_bytes() -> int:
    """Return the most bytes that were resident at once, since the start or since :func:`restart_peak`."""
    # The accounting that getrusage reads may still hold the parent's peak after a fork.
    found = _told("VmHWM")
    if found is not None:
        return found
    import resource  # not on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def restart_peak() -> int:
    """Let the peak start anew from what is resident now, and return that in bytes.

    Raises:
        OSError: no Linux, or the kernel does not permit it.
    """
    _CLEAR_REFS.write_text("5", encoding="ascii")
    return resident_bytes()


def _told(key: str) -> int | None:
    try:
        told = re.search(rf"{key}:\s*(\d+) kB", _STATUS.read_text(encoding="utf-8"))
    except OSError:
        return None
    return int(told[1]) * 1024 if told else None
