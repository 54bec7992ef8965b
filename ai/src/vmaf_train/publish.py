"""All files of a model, or none: staged beside the registry, then put in place, registry last."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from vmaf_train.config_faults import faults_text
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import nearest_standing, sha256_bytes, sha256_file, write_atomic
from vmaf_train.model_card import (
    LICENCE_NAME,
    licence_text,
    render_card,
    render_failure,
    render_index,
    render_page,
    tested_curves_name,
)
from vmaf_train.registry import (
    REGISTRY_NAME,
    SCHEMA_NAME,
    ModelEntry,
    Sidecar,
    load_registry,
    registry_entry,
    registry_schema,
    registry_text,
    sidecar_text,
    upsert,
)
from vmaf_train.run_record import RunRecord
from vmaf_train.scan_state import MAX_MODEL_BYTES
from vmaf_train.staging import finish_interrupted, finish_staged, publish_lock, stage_files

__all__ = [
    "check_can_publish",
    "expected_texts",
    "publish_failure",
    "publish_model",
    "publish_quantised",
    "republish_card",
]


def check_can_publish(model_dir: Path, docs_dir: Path, entry: ModelEntry, *, replace: bool) -> None:
    """Refuse, before training and without writing anything, what could not be published after it.

    A publication that was stopped half-way is completed first: its model counts too.

    Args:
        model_dir: the registry's folder; need not exist.
        docs_dir: the folder of docs pages; need not exist.
        entry: the row as far as it is known; its digest is that of the file an earlier attempt
            of this run made, or a placeholder.
        replace: whether a model of the same id may be replaced.

    Raises:
        ConfigError: the id is taken, or a smoke model would take the place of a real one.
        PublishError: the registry is damaged, or a folder cannot be written.
    """
    for folder in (model_dir, docs_dir):
        standing = nearest_standing(folder)
        if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
            raise PublishError(
                str(folder),
                expected="a folder that can be written",
                found=f"{standing} is no folder"
                if not standing.is_dir()
                else f"no right to write {standing}",
                next_step="choose another with --model-dir or --docs-dir",
            )
    finish_interrupted(model_dir, docs_dir)
    _check_id(model_dir, entry, replace=replace)


def _check_id(model_dir: Path, entry: ModelEntry, *, replace: bool) -> None:
    existing = load_registry(model_dir).entry(entry.id)
    if existing is None:
        return
    # The very same bytes are this run's own, put there before it was stopped.
    if existing.sha256 != entry.sha256 and not replace:
        raise ConfigError(
            f"model {entry.id}",
            expected=f"an id that {model_dir / REGISTRY_NAME} does not hold",
            found=f"a model of this id, sha256 {existing.sha256[:12]}",
            next_step="choose another with --id, or replace it with --replace",
        )
    if entry.smoke and not existing.smoke:
        raise ConfigError(
            f"model {entry.id}",
            expected="a real model in place of a real model",
            found="a smoke model",
            next_step="choose another --id; a smoke model never replaces a real one",
        )


def publish_model(
    record: RunRecord,
    onnx: bytes,
    *,
    model_dir: Path,
    docs_dir: Path,
    replace: bool,
    figures: Mapping[str, bytes],
) -> tuple[Path, ...]:
    """Put the model, sidecar, card, page, figures, index, schema and registry row in place.

    The files are staged first; once the manifest of the staging folder is on the disk, the
    publication counts as made, and whoever comes next completes it after a crash.

    Returns:
        The paths of all files written.

    Raises:
        ConfigError: the id was taken meanwhile.
        PublishError: the registry is damaged, another process keeps the lock, the disk is full,
            or the bytes are not those of the record.
    """
    if record.export is None or sha256_bytes(onnx) != record.export.sha256 or len(onnx) > MAX_MODEL_BYTES:
        raise PublishError(
            f"{record.id}.onnx",
            expected=f"the recorded bytes, at most {MAX_MODEL_BYTES}",
            found=f"{len(onnx)} bytes, sha256 {sha256_bytes(onnx)[:12]}",
            next_step="export again",
        )
    with publish_lock(model_dir):
        finish_staged(model_dir, docs_dir)
        entry = _entry(record)
        _check_id(model_dir, entry, replace=replace)
        files: dict[Path, bytes] = {model_dir / entry.onnx: onnx}
        files |= {docs_dir / name: data for name, data in figures.items()}
        files |= _texts(record, entry, model_dir, docs_dir)
        # Old companions would be taken for this file's: external weights, and the quantised form.
        quantised = f"{entry.id}.int8.onnx"
        remove = [f"{entry.onnx}.data", quantised, f"{quantised}.data"]
        # Nor are earlier tests those of this file.
        remove += {tested_curves_name(entry.id)} - figures.keys()
        stage_files(model_dir, docs_dir, files, remove)
        finish_staged(model_dir, docs_dir)
        written = sha256_file(model_dir / entry.onnx)
        if written != entry.sha256:
            raise PublishError(
                str(model_dir / entry.onnx),
                expected=f"sha256 {entry.sha256}",
                found=written,
                next_step="check the disk and publish again",
            )
    return tuple(files)


def republish_card(
    model_dir: Path, docs_dir: Path, record: RunRecord, figures: Mapping[str, bytes] | None = None
) -> tuple[Path, ...]:
    """Write sidecar, card, page, index and row of a registered model anew from ``record``.

    ``figures`` are pictures of the page that are new with this record, by name.

    Raises:
        PublishError: the model is not registered, or the record is of another file.
    """
    return _renew(
        model_dir, docs_dir, record, {docs_dir / name: data for name, data in (figures or {}).items()}
    )


def publish_quantised(
    model_dir: Path, docs_dir: Path, record: RunRecord, quantised: bytes, curves: bytes | None = None
) -> tuple[Path, ...]:
    """Put the 8-bit form of a registered model beside it, and all texts that speak of it.

    ``curves`` is the picture of the record's tests; without one an earlier picture is removed.

    Raises:
        PublishError: the model is not registered, or record and bytes are of other files.
    """
    if record.quantised is None or sha256_bytes(quantised) != record.quantised.sha256:
        raise PublishError(
            f"{record.id}.int8.onnx",
            expected="the recorded bytes",
            found=f"sha256 {sha256_bytes(quantised)[:12]}",
            next_step="quantise the model again",
        )
    drawn = {docs_dir / tested_curves_name(record.id): curves} if curves is not None else {}
    files = {model_dir / f"{record.id}.int8.onnx": quantised, **drawn}
    return _renew(model_dir, docs_dir, record, files, () if drawn else (tested_curves_name(record.id),))


def _renew(
    model_dir: Path,
    docs_dir: Path,
    record: RunRecord,
    files: Mapping[Path, bytes],
    remove: Sequence[str] = (),
) -> tuple[Path, ...]:
    with publish_lock(model_dir):
        finish_staged(model_dir, docs_dir)
        entry = load_registry(model_dir).entry(record.id)
        if entry is None or record.export is None or record.export.sha256 != entry.sha256:
            raise PublishError(
                f"model {record.id}",
                expected="the run record of the registered file",
                found="no such row" if entry is None else "a record of other bytes",
                next_step="publish the model first",
            )
        files = {**files, **_texts(record, _entry(record), model_dir, docs_dir)}
        stage_files(model_dir, docs_dir, files, remove)
        finish_staged(model_dir, docs_dir)
    return tuple(files)


def publish_failure(record: RunRecord, docs_dir: Path, figures: Mapping[str, bytes]) -> Path:
    """Write the page of a run whose gate was not met; nothing under the model folder changes."""
    page = docs_dir / f"{record.id}_failed.md"
    for name, data in figures.items():
        write_atomic(docs_dir / name, data)
    write_atomic(page, render_failure(record))
    return page


def expected_texts(record: RunRecord, entry: ModelEntry, model_dir: Path, docs_dir: Path) -> dict[Path, str]:
    """Return what card and page of ``record`` must say, by path."""
    return {
        model_dir / f"{entry.id}_card.md": render_card(record),
        docs_dir / f"{entry.id}.md": render_page(record),
    }


def _entry(record: RunRecord) -> ModelEntry:
    try:
        return registry_entry(record)
    except ValueError as error:
        raise _unfit(record, "registry row", error) from error


def _unfit(record: RunRecord, what: str, error: ValueError) -> PublishError:
    faults = faults_text(error) if isinstance(error, ValidationError) else str(error)
    return PublishError(
        f"the {what} of {record.id}",
        expected="what its schema takes",
        found=faults,
        next_step="correct the task's card text, tensor names or id",
    )


def _texts(record: RunRecord, entry: ModelEntry, model_dir: Path, docs_dir: Path) -> dict[Path, bytes]:
    """All texts of a model in the order in which they are put in place, the registry last."""
    assert record.export is not None
    registry = upsert(load_registry(model_dir), entry)
    try:
        sidecar = Sidecar(
            kind=record.kind,
            name=record.id,
            input_name=record.export.inputs[0].name,
            output_name=record.export.outputs[0].name,
            onnx_opset=record.export.opset,
            quant_mode=entry.quant_mode,
            record=record,
        )
        texts = {model_dir / f"{entry.id}.json": sidecar_text(sidecar)}
    except ValueError as error:
        raise _unfit(record, "sidecar", error) from error
    texts |= expected_texts(record, entry, model_dir, docs_dir)
    if licence := licence_text(record.license):
        texts[model_dir / LICENCE_NAME] = licence
    texts |= {
        model_dir / "README.md": render_index(registry),
        model_dir / SCHEMA_NAME: registry_schema(),
        model_dir / REGISTRY_NAME: registry_text(registry),
    }
    return {path: text.encode() for path, text in texts.items()}
