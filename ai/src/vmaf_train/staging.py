"""A set of files put in place as one: staged first, then moved, completed by whoever comes next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vmaf_train.errors import PublishError
from vmaf_train.files import dump_json, sha256_bytes, sha256_file, write_atomic

__all__ = ["LOCK_NAME", "STAGING_NAME", "finish_staged", "publish_lock", "stage_files"]

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


def stage_files(model_dir: Path, docs_dir: Path, files: Mapping[Path, bytes]) -> None:
    """Write ``files`` into the staging folder, in their order, and then the manifest.

    Once the manifest is on the disk the set counts as made. Hold the lock.

    Args:
        model_dir: holds the staging folder.
        docs_dir: the other folder that targets may lie in.
        files: target to content; each target lies directly in one of the two folders.

    Raises:
        PublishError: the disk is full or the folder cannot be written; nothing is in place.
    """
    staging = model_dir / STAGING_NAME
    shutil.rmtree(staging, ignore_errors=True)
    names = {model_dir: "model", docs_dir: "docs"}
    manifest = []
    for number, (target, data) in enumerate(files.items()):
        staged = f"{number:02d}"
        write_atomic(staging / staged, data)
        manifest.append(
            {
                "staged": staged,
                "folder": names[target.parent],
                "name": target.name,
                "sha256": sha256_bytes(data),
            }
        )
    write_atomic(staging / _MANIFEST, dump_json(manifest))


def finish_staged(model_dir: Path, docs_dir: Path) -> bool:
    """Put a whole staged set in place, or remove a part of one; return whether there was one.

    Writes only plain names directly in the two folders, whatever the manifest says. Hold the lock.

    Raises:
        PublishError: what was staged is damaged, or a folder cannot be written.
    """
    staging = model_dir / STAGING_NAME
    manifest = staging / _MANIFEST
    if not manifest.exists():
        if staging.exists():
            shutil.rmtree(staging)
        return False
    folders = {"model": model_dir, "docs": docs_dir}
    try:
        for item in json.loads(manifest.read_text(encoding="utf-8")):
            staged, name = str(item["staged"]), str(item["name"])
            for part in (staged, name):
                if part != Path(part).name or part in {"", ".", ".."}:
                    raise ValueError(f"{part!r} is no plain file name")
            data = (staging / staged).read_bytes()
            if sha256_bytes(data) != item["sha256"]:
                raise ValueError(f"{staged} is damaged")
            target = folders[item["folder"]] / name
            if not (target.is_file() and sha256_file(target) == item["sha256"]):
                write_atomic(target, data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublishError(
            str(staging),
            expected="a whole interrupted publication",
            found=str(error),
            next_step="remove that folder, restore the registry from version control and publish again",
        ) from error
    shutil.rmtree(staging)
    return True
