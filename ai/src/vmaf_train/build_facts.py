"""What this program was built from, found without loading any of it."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import vmaf_train

__all__ = ["LoadedCode", "build_facts", "installed_version", "loaded_code", "version_text"]

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")
_GIT_SECONDS = 5.0
_MODULE = re.compile(r"[/ ][^./][^/]*\.py\"?$")


def build_facts() -> dict[str, str | None]:
    """Return name to version: vmaf-train, its git commit, Python and the packages that decide a model.

    ``commit`` is None outside a checkout; a package that is not installed is None too.
    """
    return {
        "vmaf-train": vmaf_train.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: installed_version(name) for name in _PACKAGES},
    }


class LoadedCode(NamedTuple):
    """Which code a process runs.

    Attributes:
        commit: the checkout's commit, with ``+`` where the code differs from it; None outside of one.
        digest: first 16 hexadecimal digits of a SHA-256 over the package's Python files.
    """

    commit: str | None
    digest: str


@functools.cache
def loaded_code() -> LoadedCode:
    """Return which code this process runs, as the first call in the process finds it."""
    digest = hashlib.sha256()
    package = Path(vmaf_train.__file__).resolve().parent
    for path in sorted(package.rglob("*.py")):
        if path.name.startswith(".") or not path.is_file():  # an editor's lock, a folder of that name
            continue
        data = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\0{len(data)}\0".encode() + data)
    return LoadedCode(_commit(), digest.hexdigest()[:16])


def version_text() -> str:
    """Return the facts as two lines: vmaf-train with its commit, and what it stands on."""
    facts = build_facts()
    first, commit = f"vmaf-train {facts.pop('vmaf-train')}", facts.pop("commit")
    rest = ", ".join(f"{name} {version or 'not installed'}" for name, version in facts.items())
    return (f"{first}, commit {commit}" if commit else first) + "\n" + rest


def installed_version(package: str) -> str | None:
    """Return the version that the package's metadata states; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    package = Path(vmaf_train.__file__).resolve().parent
    checkout = package.parents[2]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    # A hook of git that starts a run names its own repository there, which git would take before ours.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def answer(*words: str) -> str:
        command = [git, "-C", str(checkout), *words]
        ran = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS, env=ours
        )
        return ran.stdout.strip()

    try:
        commit = answer("rev-parse", "--short=12", "HEAD")
        # Cards and pages that a run publishes into the checkout change no code.
        status = answer("status", "--porcelain", "--untracked-files=all", "--", str(package))
    except (OSError, subprocess.SubprocessError):
        return None
    # What git does not know is code only where Python would import it.
    changed = any(not line.startswith("??") or _MODULE.search(line) for line in status.splitlines())
    return commit + "+" * changed
