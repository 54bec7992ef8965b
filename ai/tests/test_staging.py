from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from vmaf_train import staging
from vmaf_train.errors import PublishError
from vmaf_train.files import link_atomic
from vmaf_train.staging import (
    LOCK_NAME,
    STAGING_NAME,
    finish_interrupted,
    finish_staged,
    publish_lock,
    stage_files,
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "docs").mkdir()
    return tmp_path / "models"


def held(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_nothing_is_in_place_before_the_set_is_whole_and_all_of_it_after(models: Path) -> None:
    docs = models.parent / "docs"
    (models / "a.onnx").write_bytes(b"old")
    (models / "a.onnx.data").write_bytes(b"stale")
    files = {models / "a.onnx": b"new", docs / "a.md": b"page", models / "registry.json": b"{}"}
    stage_files(models, docs, files, ["a.onnx.data", "absent"])
    assert (models / "a.onnx").read_bytes() == b"old"
    assert finish_staged(models, docs)
    assert held(models.parent) == {
        "models/a.onnx": b"new",
        "docs/a.md": b"page",
        "models/registry.json": b"{}",
    }
    assert not (models / STAGING_NAME).exists()
    assert not finish_staged(models, docs)


def test_files_are_put_in_place_in_their_order(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = models.parent / "docs"
    written: list[str] = []

    def note(source: Path, path: Path) -> None:
        written.append(path.name)
        link_atomic(source, path)

    names = [f"{number}.json" for number in range(12, 0, -1)]
    stage_files(models, docs, {models / name: name.encode() for name in names})
    monkeypatch.setattr(staging, "link_atomic", note)
    finish_staged(models, docs)
    assert written == names


def test_a_part_of_a_set_is_removed(models: Path) -> None:
    (models / STAGING_NAME).mkdir()
    (models / STAGING_NAME / "00").write_bytes(b"half")
    finish_interrupted(models, models.parent / "docs")
    assert set(held(models.parent)) <= {f"models/{LOCK_NAME}"}
    assert not (models / STAGING_NAME).exists()


def test_the_manifest_goes_before_the_files_that_it_names(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = models.parent / "docs"
    stage_files(models, docs, {models / "a": b"a", models / "b": b"b"})

    def half(folder: Path) -> None:
        (folder / "00").unlink()
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", half)
        with pytest.raises(SystemExit):
            finish_staged(models, docs)
    assert not finish_staged(models, docs)
    assert set(held(models.parent)) == {"models/a", "models/b"}


def test_a_publication_into_other_pages_is_refused_and_then_completed_there(models: Path) -> None:
    docs = models.parent / "docs"
    stage_files(models, docs, {models / "a.json": b"a", docs / "a.md": b"page"})
    with pytest.raises(PublishError, match=r"found one whose pages go to .*/docs;.*--docs-dir"):
        finish_interrupted(models, models.parent / "elsewhere")
    assert not (models / "a.json").exists()
    assert not (models.parent / "elsewhere").exists()
    moved = models.parent.rename(models.parent.parent / "moved")
    finish_interrupted(moved / "models", moved / "docs")
    assert (moved / "docs" / "a.md").read_bytes() == b"page"
    models.parent.mkdir()


def test_pages_that_cannot_be_written_stop_a_publication_before_it_counts(models: Path) -> None:
    (models.parent / "file").write_text("x")
    docs = models.parent / "file" / "docs"
    with pytest.raises(PublishError), publish_lock(models):
        stage_files(models, docs, {models / "a": b"a"})
    assert not (models / STAGING_NAME / "manifest.json").exists()


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "parent": lambda plan: plan["files"][1].update(name="../outside"),
    "absolute": lambda plan: plan["files"][1].update(name=str(Path("/").joinpath("outside"))),
    "deeper": lambda plan: plan["files"][1].update(name="sub/outside"),
    "dots": lambda plan: plan["files"][1].update(name=".."),
    "nameless": lambda plan: plan["files"][1].update(name=""),
    "null": lambda plan: plan["files"][1].update(name="a\0b"),
    "number": lambda plan: plan["files"][1].update(name=3),
    "folder": lambda plan: plan["files"][1].update(folder=".."),
    "unknown_folder": lambda plan: plan["files"][1].update(folder="home"),
    "staged": lambda plan: plan["files"][1].update(staged="../../secret"),
    "absent": lambda plan: plan["files"][1].update(staged="07"),
    "digest": lambda plan: plan["files"][1].update(sha256="0" * 64),
    "remove": lambda plan: plan.update(remove=["../secret"]),
    "no_files": lambda plan: plan.pop("files"),
    "no_name": lambda plan: plan["files"][1].pop("name"),
    "wrong_files": lambda plan: plan.update(files=7),
    "wrong_item": lambda plan: plan.update(files=["00"]),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_hostile_manifest_writes_and_removes_nothing(models: Path, kind: str) -> None:
    docs = models.parent / "docs"
    (models.parent / "secret").write_bytes(b"secret")
    stage_files(models, docs, {models / "a.json": b"first", docs / "a.md": b"second"})
    manifest = models / STAGING_NAME / "manifest.json"
    plan = json.loads(manifest.read_text())
    MANIFESTS[kind](plan)
    if kind == "staged":
        plan["files"][1]["sha256"] = sha256(b"secret").hexdigest()
    manifest.write_text(json.dumps(plan))
    before = held(models.parent)
    with pytest.raises(
        PublishError, match=r"\.publishing: expected a whole interrupted publication"
    ) as caught:
        finish_staged(models, docs)
    assert "\n" not in str(caught.value)
    assert held(models.parent) == before


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "7", "[" * 50_000, "\udcff"])
def test_a_manifest_that_is_no_manifest_is_told_and_writes_nothing(models: Path, text: str) -> None:
    folder = models / STAGING_NAME
    folder.mkdir()
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PublishError, match="whole interrupted publication"):
        finish_staged(models, models.parent / "docs")
    assert set(held(models.parent)) == {f"models/{STAGING_NAME}/manifest.json"}


def test_links_lead_nowhere(models: Path) -> None:
    docs, outside = models.parent / "docs", models.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (models / STAGING_NAME).symlink_to(outside)
    (models / "a.json").symlink_to(outside / "kept")
    stage_files(models, docs, {models / "a.json": b"new"})
    finish_staged(models, docs)
    assert held(outside) == {"kept": b"kept"}
    assert not (models / "a.json").is_symlink()
    (models / STAGING_NAME).symlink_to(outside)
    finish_interrupted(models, docs)
    assert held(outside) == {"kept": b"kept"}


def test_a_lock_that_another_keeps_is_told(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_LOCK_SECONDS", 0.05)
    entered = threading.Event()
    with FileLock(models / LOCK_NAME):
        with pytest.raises(PublishError, match="another process that publishes"), publish_lock(models):
            entered.set()
        assert not entered.is_set()
    with publish_lock(models):
        entered.set()
    assert entered.is_set()
