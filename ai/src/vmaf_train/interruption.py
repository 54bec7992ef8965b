"""SIGINT and SIGTERM: the first asks a run to stop where it can go on, the second ends it at once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = [
    "StopRequest",
    "Stopped",
    "ignore_stop_signals",
    "leave_stop_to_parent",
    "starting_workers",
    "stop_signals",
]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked for the end. Like KeyboardInterrupt no Exception: it is nobody's fault to handle.

    Attributes:
        signal: which one.
        exit_code: what a shell calls a process that it ended, 130 or 143.
    """

    def __init__(self, number: signal.Signals) -> None:
        self.signal = number
        self.exit_code = 128 + number
        super().__init__(number.name)


class StopRequest:
    """Whether a stop was asked for. It is obeyed at once, except in a block that holds it back."""

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._holding = 0

    @property
    def asked(self) -> bool:
        """Whether a stop waits for the end of the block that holds it back."""
        return self._signal is not None

    @property
    def number(self) -> int:
        """The signal that asked for it; 0 where none did."""
        return self._signal or 0

    def join(self, number: int) -> None:
        """Take over, in a block that holds a stop back, one that another process of the run was asked for."""
        self._signal = signal.Signals(number)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Hold a stop back until the end of the block, where it is obeyed unless another error leaves it.

        In a block within such a block it goes on to be held back.

        Raises:
            Stopped: at the end of the block, if a stop was asked for.
        """
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if not self._holding:
            self.obey()

    def obey(self) -> None:
        """Stop if a stop was asked for.

        Raises:
            Stopped: it was.
        """
        if self._signal is not None:
            raise Stopped(self._signal)

    def receive(self, number: int, frame: FrameType | None = None) -> None:  # noqa: ARG002
        """Take a signal, as its handler; the next one meets the system's own handling.

        Raises:
            Stopped: nothing holds it back.
        """
        for each in _SIGNALS:
            if signal.getsignal(each) == self.receive:
                signal.signal(each, signal.SIG_DFL)
        self._signal = signal.Signals(number)
        if not self._holding:
            raise Stopped(self._signal)


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a :class:`StopRequest` for the block.

    A signal that the process was started to ignore stays ignored. Outside the main thread, where
    Python hands out no signals, nothing is installed.
    """
    request = StopRequest()
    before = {}
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, request.receive)
    except ValueError:  # not the main thread
        before = {}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_signals() -> None:
    """Let no signal cut short what this process does before it ends by itself."""
    with contextlib.suppress(ValueError):  # not the main thread, which alone is interrupted
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def starting_workers() -> Iterator[None]:
    """Start worker processes in the block that no stop signal ends before they ignore it.

    They inherit that the signals wait; this process meets them at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stop_to_parent(*_: object) -> None:
    """Ignore SIGINT and SIGTERM in a worker process.

    A terminal's Ctrl-C reaches it too, and so does a SIGTERM to all processes of a service; its
    parent, which still needs it for the step under way, decides.
    """
    ignore_stop_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
