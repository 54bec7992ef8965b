from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import vmaf_train
from vmaf_train.build_facts import build_facts, installed_version, loaded_code
from vmaf_train.config import FitConfig
from vmaf_train.hardware import choose_hardware, environment_record


def test_what_is_not_installed_has_no_version() -> None:
    assert installed_version("no-such-package") is None
    assert (installed_version("torch") or "").startswith("2.")


def test_outside_a_checkout_or_without_git_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vmaf_train, "__file__", str(tmp_path / "lib" / "site" / "vmaf_train" / "__init__.py"))
    facts = build_facts()
    assert facts["commit"] is None
    assert facts["vmaf-train"] == vmaf_train.__version__
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert build_facts()["commit"] is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_changed_checkout_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "ai" / "src" / "vmaf_train" / "__init__.py"
    monkeypatch.setattr(vmaf_train, "__file__", str(module))
    module.parent.mkdir(parents=True)
    module.write_text("")

    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    assert build_facts()["commit"] is None  # as yet without one
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    git("tag", "v9")
    commit = git("rev-parse", "--short=12", "HEAD")
    assert build_facts()["commit"] == commit
    (tmp_path / "card.md").write_text("published into the checkout")
    assert build_facts()["commit"] == commit
    for changed in (module, module.parent / "new.py"):
        changed.write_text("changed = 1\n")
        assert build_facts()["commit"] == commit + "+"
        git("clean", "--quiet", "--force", "ai")
        git("checkout", "--quiet", "ai")
    assert build_facts()["commit"] == commit
    (module.parent / ".fit.py.swp").write_text("an editor's")
    (module.parent / ".#fit.py").symlink_to("nobody@nowhere")
    (module.parent / "folder.py").mkdir()
    assert build_facts()["commit"] == commit
    loaded_code.cache_clear()
    digest = loaded_code().digest
    module.write_text("changed = 2\n")
    assert loaded_code().digest == digest  # what is loaded stays
    loaded_code.cache_clear()
    assert loaded_code().digest != digest
    loaded_code.cache_clear()
    git("checkout", "--quiet", "ai")
    other = tmp_path / "other"
    git("init", "--quiet", str(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert build_facts()["commit"] == commit


def test_a_run_records_the_commit_of_the_code_that_was_loaded() -> None:
    environment = environment_record(choose_hardware(FitConfig()))
    assert (environment.commit, environment.code) == loaded_code()
    checkout = (Path(vmaf_train.__file__).resolve().parents[3] / ".git").exists()
    assert (environment.commit is not None) == (checkout and shutil.which("git") is not None)
    assert re.fullmatch("[0-9a-f]{16}", loaded_code().digest)
