"""Builds the C library once for the tests that compare it with Python."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from core.native import Native, build
from vmaf_train.op_allowlist import Allowlist, load_allowlist


def _need_compiler() -> None:
    if shutil.which("cc") is None and "CC" not in os.environ:
        pytest.skip("no C compiler here, so the C side was not built and not compared with Python")


_NATIVE = pytest.StashKey[Native]()


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Native:
    """The library and programs, built without sanitizers so that this process can load them."""
    _need_compiler()
    pytestconfig.stash[_NATIVE] = Native(build(tmp_path_factory.mktemp("core") / "build"))
    return pytestconfig.stash[_NATIVE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell on how many inputs C and Python gave the same verdict, reason, place and text."""
    native = config.stash.get(_NATIVE, None)
    if native is None or not native.agreed:
        return
    terminalreporter.section("C and Python")
    counts = ", ".join(f"{count:,} {kind}" for kind, count in native.agreed.items())
    terminalreporter.write_line(f"the same verdict, reason, place and text: {counts}")
    for hole, reason in native.holes.items():
        terminalreporter.write_line(f"refused by both: {hole}: {reason}")


@pytest.fixture(scope="session")
def compile_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for small shared libraries; skips where nothing can be compiled."""
    _need_compiler()
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def allowlist() -> Allowlist:
    """The shipped list, parsed once."""
    return load_allowlist()
