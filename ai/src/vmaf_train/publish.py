"""All files of a model, or none: staged beside the registry, then put in place, registry last."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from vmaf_train.config_faults import faults_text
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import nearest_standing, sha256_bytes, sha256_file, write_atomic
from vmaf_train.model_card import (
    LICENCE_NAME,
    licence_text,
    page_figures,
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
    load_sidecar,
    registry_entry,
    registry_schema,
    registry_text,
    sidecar_text,
    tensor_name_fault,
    upsert,
)
from vmaf_train.run_record import RunRecord
from vmaf_train.scan_state import MAX_MODEL_BYTES
from vmaf_train.staging import finish_interrupted, finish_staged, publish_lock, stage_files
from vmaf_train.standing_files import failure_names, require_no_strange_failure, require_no_strangers

__all__ = [
    "check_can_publish",
    "expected_texts",
    "publish_failure",
    "publish_model",
    "publish_quantised",
    "republish_card",
]

Change = Callable[[RunRecord], RunRecord]
"""Told the record that stands, returns the one that is to stand in its place."""
Pictures = Callable[[RunRecord], Mapping[str, bytes]]
"""Told a record, returns pictures of its page by name."""


def check_can_publish(
    model_dir: Path, docs_dir: Path, entry: ModelEntry, *, replace: bool, tensors: Sequence[str] = ()
) -> None:
    """Refuse, before training and without writing anything, what could not be published after it.

    A publication that was stopped half-way is completed first: its model counts too.

    Args:
        model_dir: the registry's folder; need not exist.
        docs_dir: the folder of docs pages; need not exist.
        entry: the row as far as it is known; its digest is that of the file an earlier attempt
            of this run made, or a placeholder.
        replace: whether a model of the same id may be replaced.
        tensors: names of the file's input and output, as the task's export spec states them.

    Raises:
        ConfigError: the id is taken, a smoke model would take the place of a real one, or a
            tensor's name is none that the sidecar takes.
        PublishError: the registry is damaged, a folder cannot be written, or files that are not the
            registry's stand where the model's would go.
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
    for name in tensors:
        if fault := tensor_name_fault(name):
            raise ConfigError(
                f"the export spec of {entry.id}",
                expected="names of tensors that the sidecar takes",
                found=fault,
                next_step="rename the tensor in the task's export spec",
            )
    finish_interrupted(model_dir, docs_dir)
    _check_id(model_dir, entry, replace=replace)
    require_no_strangers(model_dir, docs_dir, entry, replace=replace)
    require_no_strange_failure(docs_dir, entry.id, replace=replace)


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
    pictures: Pictures = lambda _: {},
) -> tuple[Path, ...]:
    """Put the model, sidecar, card, page, figures, index, schema and registry row in place.

    The files are staged first; once the manifest of the staging folder is on the disk, the
    publication counts as made, and whoever comes next completes it after a crash. Where the very
    same file stands already, its tests are still true of it and stay, with the picture of them that
    ``pictures`` draws; so does its 8-bit form where the gate was judged alike, on the same data.

    Returns:
        The paths of all files written.

    Raises:
        ConfigError: the id was taken meanwhile.
        PublishError: the registry is damaged, another process keeps the lock, the disk is full,
            the bytes are not those of the record, or files that are not the registry's stand where
            the model's would go.
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
        _check_id(model_dir, _entry(record), replace=replace)
        record = _with_standing_facts(model_dir, record, replace=replace)
        entry = _entry(record)
        files: dict[Path, bytes] = {model_dir / entry.onnx: onnx}
        drawn = {**figures, **pictures(record)}
        files |= {docs_dir / name: data for name, data in drawn.items()}
        files |= _texts(record, entry, model_dir, docs_dir)
        require_no_strangers(model_dir, docs_dir, entry, files, replace=replace)
        # Old companions would be taken for this file's: external weights, and the quantised form.
        quantised = f"{entry.id}.int8.onnx"
        remove = [f"{entry.onnx}.data", f"{quantised}.data"]
        remove += [quantised] if record.quantised is None else []
        # Nor are earlier tests those of this file, nor does an earlier failure say anything of it.
        remove += {tested_curves_name(entry.id)} - {*drawn, *page_figures(record)}
        remove += failure_names(docs_dir, entry.id)
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


def _with_standing_facts(model_dir: Path, record: RunRecord, *, replace: bool) -> RunRecord:
    """Return ``record`` with what was found out since about the very same file, where it stands."""
    row = load_registry(model_dir).entry(record.id)
    if row is None or record.export is None or row.sha256 != record.export.sha256:
        return record
    try:
        standing = load_sidecar(model_dir, record.id).record
    except PublishError:
        if replace:
            return record
        raise
    if standing.export is None or standing.export.sha256 != row.sha256:
        return record
    # The form was judged as the gate judged: by another protocol its figures are no comparison.
    if standing.gate == record.gate and _digest(standing) == _digest(record):
        record = record.model_copy(update={"quantised": standing.quantised})
    tests = (test for test in standing.evaluations if test.model_sha256 in record.forms)
    return record.model_copy(update={"evaluations": tuple(tests)})


def _digest(record: RunRecord) -> str | None:
    return record.data.digest if record.data is not None else None


def republish_card(
    model_dir: Path, docs_dir: Path, model_id: str, change: Change, pictures: Pictures
) -> tuple[Path, ...]:
    """Write sidecar, card, page, pictures, index and row of a registered model anew.

    Args:
        model_dir: the registry's folder.
        docs_dir: the folder of docs pages.
        model_id: the model.
        change: what becomes of its record; asked under the lock, so that nothing is lost that
            another process wrote meanwhile. What it raises is raised, and nothing is changed.
        pictures: those of the page that are to be written.

    Returns:
        The paths of all files written.

    Raises:
        PublishError: the model is not registered, or its record is of another file.
    """
    return _renew(model_dir, docs_dir, model_id, change, pictures)[1]


def publish_quantised(
    model_dir: Path, docs_dir: Path, record: RunRecord, quantised: bytes, pictures: Pictures
) -> RunRecord:
    """Put the 8-bit form of a registered model beside it, and all texts that speak of it.

    Args:
        model_dir: the registry's folder.
        docs_dir: the folder of docs pages.
        record: the model's record as it was when its form was made, with the figures of the form;
            all else is taken from the record that stands.
        quantised: the form's bytes.
        pictures: those of the page that the form's coming may change.

    Returns:
        The record that stands now; tests of an earlier form are not in it.

    Raises:
        PublishError: the model is not registered, or record and bytes are of other files.
    """
    form = record.quantised
    made_from = record.export.sha256 if record.export is not None else None
    if form is None or sha256_bytes(quantised) != form.sha256:
        raise PublishError(
            f"{record.id}.int8.onnx",
            expected="the recorded bytes",
            found=f"sha256 {sha256_bytes(quantised)[:12]}",
            next_step="quantise the model again",
        )

    def with_form(standing: RunRecord) -> RunRecord:
        if standing.export is None or standing.export.sha256 != made_from:
            raise _other_file(record.id, "a form of other bytes")
        changed = standing.model_copy(update={"quantised": form})
        tests = tuple(test for test in standing.evaluations if test.model_sha256 in changed.forms)
        return changed.model_copy(update={"evaluations": tests})

    files = {model_dir / f"{record.id}.int8.onnx": quantised}
    return _renew(model_dir, docs_dir, record.id, with_form, pictures, files)[0]


def _renew(
    model_dir: Path,
    docs_dir: Path,
    model_id: str,
    change: Change,
    pictures: Pictures,
    added: Mapping[Path, bytes] | None = None,
) -> tuple[RunRecord, tuple[Path, ...]]:
    with publish_lock(model_dir):
        finish_staged(model_dir, docs_dir)
        row = load_registry(model_dir).entry(model_id)
        if row is None:
            raise _other_file(model_id, "no such row")
        standing = load_sidecar(model_dir, model_id).record
        record = change(standing)
        for export in (standing.export, record.export):
            if record.id != model_id or export is None or export.sha256 != row.sha256:
                raise _other_file(model_id, "a record of other bytes")
        drawn = {docs_dir / name: data for name, data in pictures(record).items()}
        files = {**(added or {}), **drawn, **_texts(record, _entry(record), model_dir, docs_dir)}
        tested = tested_curves_name(model_id)
        remove = () if tested in page_figures(record) else (tested,)
        stage_files(model_dir, docs_dir, files, remove)
        finish_staged(model_dir, docs_dir)
    return record, tuple(files)


def _other_file(model_id: str, found: str) -> PublishError:
    return PublishError(
        f"model {model_id}",
        expected="the run record of the registered file",
        found=found,
        next_step="publish the model first",
    )


def publish_failure(record: RunRecord, docs_dir: Path, figures: Mapping[str, bytes]) -> Path:
    """Write the page of a run whose gate was not met; a model of the same id stands as it was."""
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
