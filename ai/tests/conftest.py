"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Answer, Told
from vmaf_train.cli import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep decoded pictures and build folders of a test inside its own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DUTS_ROOT", raising=False)


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Give a test Python's own handling of signals, whatever the shell left, and restore that after."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def real_data() -> Path | None:
    """The folder of real corpora that VMAF_TRAIN_TEST_DATA names; None where there is none."""
    folder = os.environ.get("VMAF_TRAIN_TEST_DATA")
    return Path(folder) if folder else None


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs the command line as the installed script does."""

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["vmaf-train", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Answer(int(end.value.code or 0), said.out, said.err)

    return call
