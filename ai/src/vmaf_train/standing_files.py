"""What already stands where a model's files go, and whose it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from vmaf_train.errors import PublishError
from vmaf_train.files import sha256_bytes, sha256_file
from vmaf_train.model_card import LICENCE_NAME, licence_text, tested_curves_name
from vmaf_train.registry import REGISTRY_NAME, SCHEMA_NAME, ModelEntry, load_registry, registry_schema

__all__ = [
    "failure_names",
    "is_failure_page",
    "page_model",
    "require_no_strange_failure",
    "require_no_strangers",
]

_PAGE_MARK = re.compile(r"<!-- Generated from the run record by vmaf-train card (\S+); edits are lost\. -->")
_FAILURE_MARK = "<!-- Generated from the run record; edits are lost. -->"
_MARK_LINE = 2
"""A generated page is a heading, an empty line and then its mark."""


def require_no_strangers(
    model_dir: Path,
    docs_dir: Path,
    entry: ModelEntry,
    coming: Mapping[Path, bytes] | None = None,
    *,
    replace: bool,
) -> None:
    """Refuse to replace or remove a file that no row of the registry tells of.

    A file of the very bytes that would be written may stand.

    Args:
        model_dir: the registry's folder; where it has no registry, no file in it is a model's.
        docs_dir: the folder of docs pages.
        entry: the row of the model that is to come.
        coming: what is to be written, by path; what follows from the row alone need not be there.
        replace: whether files of the model's names may go; without a registry, its pages alone.

    Raises:
        PublishError: such files stand; all are named.
        PublishError: the registry is damaged.
    """
    if load_registry(model_dir).entry(entry.id) is not None:
        return
    registered = (model_dir / REGISTRY_NAME).exists()
    may_go = {model_dir, docs_dir} if registered else {docs_dir} - {model_dir}
    digests = {model_dir / entry.onnx: entry.sha256, model_dir / SCHEMA_NAME: _digest(registry_schema())}
    if licence := licence_text(entry.license):
        digests[model_dir / LICENCE_NAME] = _digest(licence)
    digests |= {path: sha256_bytes(data) for path, data in (coming or {}).items()}
    own = _own_files(model_dir, docs_dir, entry)
    shared = [model_dir / name for name in ("README.md", *((LICENCE_NAME,) if licence else ()), SCHEMA_NAME)]
    strangers = [
        path
        for path in (own if registered else [*own, *shared])
        if os.path.lexists(path)
        and not (replace and path.parent in may_go)
        and not (path.is_file() and sha256_file(path) == digests.get(path))
    ]
    if strangers:
        raise PublishError(
            f"the files of model {entry.id}",
            expected="no file of that name that is not the registry's",
            found=", ".join(map(str, strangers)),
            next_step="choose another --id, or replace them with --replace"
            if registered
            else "choose another folder with --model-dir (or --output) and --docs-dir, or move them away",
        )


def require_no_strange_failure(docs_dir: Path, model_id: str, *, replace: bool) -> None:
    """Refuse to replace a file that bears the name of a failure page, or of its picture, and is none.

    Raises:
        PublishError: such files stand; all are named.
    """
    names = f"{model_id}_failed.md", f"{model_id}_failed_curves.svg"
    strangers = [docs_dir / name for name in names if os.path.lexists(docs_dir / name)]
    if strangers and not replace and not failure_names(docs_dir, model_id):
        raise PublishError(
            f"the failure page of model {model_id}",
            expected="none, or one of an earlier run",
            found=", ".join(map(str, strangers)),
            next_step="choose another --id, or replace it with --replace",
        )


def _digest(text: str) -> str:
    return sha256_bytes(text.encode())


def _own_files(model_dir: Path, docs_dir: Path, entry: ModelEntry) -> list[Path]:
    """Every file that a publication of the model writes or removes, but those that all models share."""
    small = f"{entry.id}.int8.onnx"
    names = (entry.onnx, f"{entry.onnx}.data", small, f"{small}.data", f"{entry.id}.json")
    pages = (f"{entry.id}.md", f"{entry.id}_curves.svg", tested_curves_name(entry.id))
    return [
        *(model_dir / name for name in (*names, f"{entry.id}_card.md")),
        *(docs_dir / name for name in pages),
    ]


def page_model(page: Path) -> str | None:
    """Return the id of the model whose generated page ``page`` is; None for any other file."""
    found = _PAGE_MARK.fullmatch(_mark(page))
    return found[1] if found and page.name == f"{found[1]}.md" else None


def is_failure_page(page: Path) -> bool:
    """Return whether ``page`` is the generated page of a run whose gate was not met."""
    return page.name.endswith("_failed.md") and _mark(page) == _FAILURE_MARK


def failure_names(docs_dir: Path, model_id: str) -> tuple[str, ...]:
    """Return the names of a failure page of ``model_id`` and its picture; none where no such page stands."""
    name = f"{model_id}_failed"
    return (f"{name}.md", f"{name}_curves.svg") if is_failure_page(docs_dir / f"{name}.md") else ()


def _mark(page: Path) -> str:
    try:
        with page.open(encoding="utf-8", errors="replace") as stream:
            lines = [stream.readline(1000) for _ in range(_MARK_LINE + 1)]
    except OSError:
        return ""
    return lines[_MARK_LINE].rstrip("\n")
