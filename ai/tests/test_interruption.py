"""The first signal asks, the second ends; nobody else's handling is touched."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from records import python
from vmaf_train.interruption import Stopped, StopRequest, leave_stop_to_parent, stop_signals

pytestmark = pytest.mark.usefixtures("own_handlers")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_obeyed_at_once_where_nothing_holds_it_back(number: signal.Signals, code: int) -> None:
    with stop_signals() as stop, pytest.raises(Stopped) as end:
        signal.raise_signal(number)
    assert (end.value.signal, end.value.exit_code) == (number, code)
    assert stop.asked


def in_held_back_block(stop: StopRequest, work: Callable[[], object]) -> None:
    with stop.held_back():
        signal.raise_signal(signal.SIGTERM)
        work()
    raise AssertionError("the stop was not obeyed at the end of the block")


def test_a_signal_that_is_held_back_is_obeyed_at_the_end_of_the_block() -> None:
    done: list[bool] = []
    with stop_signals() as stop, pytest.raises(Stopped):
        in_held_back_block(stop, lambda: done.append(stop.asked))
    assert done == [True]


def test_a_block_within_a_block_that_holds_a_stop_back_does_not_obey_it() -> None:
    done: list[bool] = []

    def within(stop: StopRequest) -> None:
        with stop.held_back():
            signal.raise_signal(signal.SIGINT)
        done.append(stop.asked)

    with stop_signals() as stop, pytest.raises(Stopped), stop.held_back():
        within(stop)
    assert done == [True]


def test_another_error_in_the_block_comes_before_the_stop() -> None:
    with stop_signals() as stop, pytest.raises(ZeroDivisionError):
        in_held_back_block(stop, lambda: 1 // 0)


def test_the_handlers_of_before_come_back_after_the_block() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), stop_signals():
        signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    leave_stop_to_parent()
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
    assert not stop.asked


def test_outside_the_main_thread_nothing_is_installed() -> None:
    asked = []

    def work() -> None:
        with stop_signals() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


@pytest.mark.parametrize(
    ("first", "second"), [("SIGINT", "SIGINT"), ("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT")]
)
def test_the_second_signal_ends_the_process_though_the_first_is_held_back(first: str, second: str) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from vmaf_train.interruption import stop_signals\n"
        "with stop_signals() as stop, stop.held_back():\n"
        "    signal.raise_signal(signal.Signals[sys.argv[1]])\n"
        "    print(stop.asked, flush=True)\n"
        "    signal.raise_signal(signal.Signals[sys.argv[2]])\n"
        "    print('still here')\n"
    )
    ran = python(code, first, second)
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.Signals[second], "True\n", "")
