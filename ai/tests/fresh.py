"""A fresh environment that reaches the packages of this one and installs from no network."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import vmaf_train


@dataclass(frozen=True)
class FreshEnvironment:
    """A virtual environment's folder."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where its commands are."""
        return self.folder / "bin"

    def run(self, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment as a user would who has activated it."""
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(self.folder),
            # What is installed is at hand, and nothing is fetched.
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one as the value of build isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        return subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def make_environment(folder: Path, *, with_sources: bool = True) -> FreshEnvironment:
    """Make a virtual environment with the packages of this Python and the commands of vmaf_train.

    What is installed into it hides what it reaches; without the sources, vmaf_train must be.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    fresh = FreshEnvironment(folder)
    purelib = next(folder.glob("lib/python*/site-packages"))
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if with_sources:
        places.insert(0, str(Path(vmaf_train.__file__).parents[1]))
    (purelib / "these.pth").write_text("".join(f"{place}\n" for place in dict.fromkeys(places)))
    python = fresh.scripts / "python"
    for name, code in {
        "vmaf-train": "from vmaf_train.cli import main; main()",
        "pytest": "import sys, pytest; sys.exit(pytest.main())",
        "pip": "import sys; from pip._internal.cli.main import main; sys.exit(main())",
    }.items():
        script = fresh.scripts / name
        script.write_text(f"#!{python}\n{code}\n")
        script.chmod(0o755)
    return fresh
