"""A set of files put in place as one: staged first, then moved, completed by whoever comes next."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vmaf_train.errors import PublishError
from vmaf_train.files import (
    clear_unfinished,
    dump_json,
    link_atomic,
    sha256_bytes,
    sha256_file,
    write_atomic,
)

__all__ = ["LOCK_NAME", "STAGING_NAME", "finish_interrupted", "finish_staged", "publish_lock", "stage_files"]

LOCK_NAME = ".publish.lock"
STAGING_NAME = ".publishing"
_MANIFEST = "manifest.json"
_LOCK_SECONDS = 60.0


@contextmanager
def publish_lock(model_dir: Path) -> Iterator[None]:
    """Hold the one lock of a model folder, which is made if it is missing.

    Raises:
        PublishError: another process keeps it for a minute, or the folder cannot be written.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(model_dir / LOCK_NAME, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise PublishError(
            str(model_dir / LOCK_NAME),
            expected=f"the lock within {_LOCK_SECONDS:.0f} s",
            found="another process that publishes",
            next_step="wait for it and try again",
        ) from error
    except OSError as error:
        raise PublishError(
            str(model_dir),
            expected="a folder that can be written",
            found=error.strerror or str(error),
            next_step="free the disk or choose another with --model-dir",
        ) from error


def stage_files(
    model_dir: Path, docs_dir: Path, files: Mapping[Path, bytes], remove: Collection[str] = ()
) -> None:
    """Write ``files`` into the staging folder, in their order, and then the manifest.

    Once the manifest is on the disk the set counts as made. Hold the lock.

    Args:
        model_dir: holds the staging folder.
        docs_dir: the other folder that targets may lie in.
        files: target to content; each target lies directly in one of the two folders.
        remove: names that must be in neither folder beside the new files.

    Raises:
        PublishError: the disk is full or a folder cannot be written; nothing is in place.
    """
    staging = model_dir / STAGING_NAME
    _remove_staging(staging)
    _require_docs_dir(docs_dir)
    names = {model_dir: "model", docs_dir: "docs"}
    listed = []
    try:
        for number, (target, data) in enumerate(files.items()):
            staged = f"{number:02d}"
            write_atomic(staging / staged, data)
            listed.append(
                {
                    "staged": staged,
                    "folder": names[target.parent],
                    "name": target.name,
                    "sha256": sha256_bytes(data),
                }
            )
        manifest = {"docs": _way(model_dir, docs_dir), "files": listed, "remove": list(remove)}
        write_atomic(staging / _MANIFEST, dump_json(manifest))
    except PublishError:
        # A full disk gets its room back; without a manifest nothing was made.
        _remove_staging(staging)
        raise


def _require_docs_dir(docs_dir: Path) -> None:
    """Make the docs folder; what is staged must be possible to put in place."""
    found = "no right to write it"
    try:
        docs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = error.strerror or str(error)
    if not os.access(docs_dir, os.W_OK | os.X_OK):
        raise PublishError(
            str(docs_dir),
            expected="a folder that can be written",
            found=found,
            next_step="choose another with --docs-dir",
        )


def finish_staged(model_dir: Path, docs_dir: Path) -> bool:
    """Put a whole staged set in place, or remove a part of one; return whether there was one.

    Touches only plain names directly in the two folders, whatever the manifest says, and none
    before all of it has been checked. Hold the lock.

    Raises:
        PublishError: what was staged is damaged or meant for another docs folder, or a folder
            cannot be written.
    """
    staging = model_dir / STAGING_NAME
    manifest = staging / _MANIFEST
    if staging.is_symlink() or not manifest.exists():
        _remove_staging(staging)
        return False
    folders = {"model": model_dir, "docs": docs_dir}
    try:
        plan = json.loads(manifest.read_text(encoding="utf-8"))
        meant, here = str(plan["docs"]), _way(model_dir, docs_dir)
        moves: list[tuple[Path, Path, str]] = []
        for item in plan["files"]:
            source, folder = staging / _plain(item["staged"]), str(item["folder"])
            if folder not in folders:
                raise ValueError(f"{folder!r} is neither the model nor the docs folder")
            digest = sha256_file(source)
            if digest != item["sha256"]:
                raise ValueError(f"{source.name} is damaged")
            moves.append((source, folders[folder] / _plain(item["name"]), digest))
        gone = [folder / _plain(name) for name in plan["remove"] for folder in folders.values()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PublishError(
            str(staging),
            expected="a whole interrupted publication",
            found=f"no {error}" if isinstance(error, KeyError) else str(error),
            next_step="remove that folder, restore the registry from version control and publish again",
        ) from error
    if meant != here:
        raise PublishError(
            str(staging),
            expected=f"an interrupted publication into {docs_dir}",
            found=f"one whose pages go to {os.path.normpath(model_dir / meant)}",
            next_step="run vmaf-train verify with that --docs-dir first",
        )
    # What a full disk can still stop comes first, before any file of the model folder.
    for source, target, digest in sorted(moves, key=lambda move: move[1].parent == model_dir):
        clear_unfinished(target)
        if target.is_symlink() or not (target.is_file() and sha256_file(target) == digest):
            link_atomic(source, target)
    for path in gone:
        path.unlink(missing_ok=True)
    _remove_staging(staging)
    return True


def finish_interrupted(model_dir: Path, docs_dir: Path) -> None:
    """Complete or undo a publication that was stopped, where there is one; take the lock for it.

    Raises:
        PublishError: as :func:`publish_lock` and :func:`finish_staged`.
    """
    if os.path.lexists(model_dir / STAGING_NAME):
        with publish_lock(model_dir):
            finish_staged(model_dir, docs_dir)


def _way(model_dir: Path, docs_dir: Path) -> str:
    """How one gets from the model folder to the docs folder; the same wherever both are moved."""
    return Path(os.path.relpath(docs_dir.resolve(), model_dir.resolve())).as_posix()


def _plain(name: object) -> str:
    if not isinstance(name, str) or name != Path(name).name or name in {"", ".", ".."} or "\0" in name:
        raise ValueError(f"{name!r} is no plain file name")
    return name


def _remove_staging(staging: Path) -> None:
    """Remove the staging folder, its manifest first: without one, the rest is known for remains."""
    if staging.is_symlink():
        staging.unlink()
    elif staging.exists():
        (staging / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(staging)
