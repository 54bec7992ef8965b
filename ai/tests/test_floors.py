"""The command line works with the oldest versions that the package declares, and the newest of the rest."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

OLDEST = ("typer", "rich")
"""What draws the command line."""
NEWEST = ("click",)
"""What the oldest of those needs and today's may not; its newest version is the hard case."""


def oldest(name: str) -> str:
    """The requirement ``name==floor``, by the declared floor."""
    declared = (Requirement(text) for text in importlib.metadata.requires("vmaf-train") or ())
    (floor,) = (requirement.specifier for requirement in declared if requirement.name == name)
    (version,) = (item.version for item in floor if item.operator == ">=")
    return f"{name}=={version}"


@pytest.fixture(scope="module")
def old_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oldest")
    wanted = [*map(oldest, OLDEST), *NEWEST]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    result = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"no package index gives {', '.join(wanted)}")
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--help", 0, "predict"),
        ("run --help", 0, "--resume"),
        ("data inspect --help", 0, "--strict"),
        ("tasks", 0, "saliency_student"),
        ("run absent", 2, "no such task"),
        ("run saliency_student --epochs 3", 2, "No such option"),
    ],
)
def test_the_command_line_works_at_the_declared_floors(
    old_packages: Path, arguments: str, code: int, said: str
) -> None:
    start = (
        f"import typer; assert typer.__file__.startswith({str(old_packages)!r}); "
        "from vmaf_train.cli import main; main()"
    )
    before = os.environ.get("PYTHONPATH")
    paths = os.pathsep.join([str(old_packages), *([before] if before else [])])
    result = subprocess.run(
        [sys.executable, "-c", start, *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "Warning" not in result.stderr
