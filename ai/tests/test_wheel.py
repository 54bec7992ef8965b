"""vmaf-train as a wheel: whatever it reads beside its modules is in it, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fresh import FreshEnvironment, make_environment
from vmaf_train import __version__

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = """
import pathlib, sys
import vmaf_train
from vmaf_train.discovery import discover_tasks
from vmaf_train.op_allowlist import load_allowlist
package = pathlib.Path(vmaf_train.__file__).parent
assert package.is_relative_to(sys.prefix), package
assert load_allowlist().path == package / "resources" / "op_allowlist.c"
assert all(entry.plugin for entry in discover_tasks())
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """An environment into which the wheel was installed, and which reaches no checkout."""
    root = tmp_path_factory.mktemp("wheel")
    environment = make_environment(root / "venv", with_sources=False)
    built = environment.run("pip", "wheel", "--quiet", "--wheel-dir", root / "wheels", ROOT, cwd=root)
    assert built.returncode == 0, built.stderr
    (wheel,) = (root / "wheels").iterdir()
    # The files of the wheel come first on the path; the metadata of this Python's own stay behind them.
    installed = environment.run("pip", "install", "--quiet", "--ignore-installed", wheel, cwd=root)
    assert installed.returncode == 0, installed.stderr
    return environment


def test_the_wheel_holds_the_sources_and_the_resources(fresh: FreshEnvironment) -> None:
    (wheel,) = (fresh.folder.parent / "wheels").iterdir()
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {path.relative_to(ROOT / "ai" / "src").as_posix() for path in (ROOT / "ai" / "src").rglob("*.py")}
    for folder, place in (("ai/configs", "configs"), ("ai/examples/third_party_task", "third_party_task")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".md", ".py", ".toml", ".yaml"}:
                inside = path.relative_to(ROOT / folder).as_posix()
                held.add(f"vmaf_train/resources/{place}/{inside}")
    assert held | {"vmaf_train/py.typed", "vmaf_train/resources/op_allowlist.c"} <= names
    assert [name for name in names if "__pycache__" in name or "/." in name] == []


def test_the_installed_wheel_works_without_a_checkout(fresh: FreshEnvironment, tmp_path: Path) -> None:
    for words, wanted in (
        (("python", "-c", RESOURCES), ""),
        (("vmaf-train", "--version"), f"vmaf-train {__version__}\n"),
        (("vmaf-train", "config", "saliency_student"), "smoke: true"),
        (("vmaf-train", "new-task", "sharpness"), "vmaf-train run sharpness"),
    ):
        ran = fresh.run(*words, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert wanted in ran.stdout
    assert (tmp_path / "sharpness" / "src" / "sharpness" / "task.py").is_file()
