"""What this program was built from, found without loading any of it."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path

import vmaf_train

__all__ = ["build_facts", "installed_version", "source_commit", "version_text"]

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")
_GIT_SECONDS = 5.0


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


@functools.cache
def source_commit() -> str | None:
    """Return the git commit of the running code, with ``+`` where tracked files differ from it.

    None outside a checkout. Asked of git once per process, as what is loaded stays.
    """
    return _commit()


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
    checkout = Path(vmaf_train.__file__).resolve().parents[3]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    command = [git, "-C", str(checkout), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip() or None
