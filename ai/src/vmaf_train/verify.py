"""Whether a model folder agrees with itself: registry, files, sidecars, digests, cards and pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vmaf_train.errors import PublishError
from vmaf_train.files import sha256_file
from vmaf_train.model_card import LICENCE_NAME, licence_text, page_figures, render_index
from vmaf_train.publish import expected_texts
from vmaf_train.registry import (
    REGISTRY_NAME,
    SCHEMA_NAME,
    ModelEntry,
    load_registry,
    load_sidecar,
    registry_entry,
    registry_schema,
    registry_text,
    sidecar_text,
)
from vmaf_train.scan_state import MAX_MODEL_BYTES
from vmaf_train.staging import finish_interrupted
from vmaf_train.standing_files import is_failure_page, page_model

__all__ = ["verify_problems"]


def verify_problems(model_dir: Path, docs_dir: Path) -> list[str]:
    """Return every disagreement of registry, files, sidecars, cards and pages; empty is good.

    Both ways: a row without its files, and a file or a generated page without its row. A
    publication that was stopped half-way is completed or undone first.

    Raises:
        PublishError: the registry itself cannot be read.
    """
    finish_interrupted(model_dir, docs_dir)
    registry = load_registry(model_dir)
    problems: list[str] = []
    one_folder = docs_dir.resolve() == model_dir.resolve()
    expected = {REGISTRY_NAME, SCHEMA_NAME, "README.md"}
    if not (model_dir / REGISTRY_NAME).exists():
        problems.append(f"{REGISTRY_NAME}: missing")
    for entry in registry.models:
        expected |= {entry.onnx, f"{entry.id}.json", f"{entry.id}_card.md"}
        if one_folder:
            expected.add(f"{entry.id}.md")
        files = [(entry.onnx, entry.sha256)]
        if entry.int8_sha256 is not None:
            expected.add(f"{entry.id}.int8.onnx")
            files.append((f"{entry.id}.int8.onnx", entry.int8_sha256))
        for name, digest in files:
            path = model_dir / name
            if not path.is_file():
                problems.append(f"{entry.id}: {name} is missing")
            elif path.stat().st_size > MAX_MODEL_BYTES:
                problems.append(f"{entry.id}: {name} is larger than {MAX_MODEL_BYTES} bytes")
            elif (found := sha256_file(path)) != digest:
                problems.append(f"{entry.id}: {name} has sha256 {found}, its row says {digest}")
        problems += _sidecar_problems(model_dir, docs_dir, entry)
    for path in sorted(model_dir.iterdir()) if model_dir.is_dir() else []:
        if path.name in expected or (one_folder and is_failure_page(path)):
            continue
        if path.suffix in {".onnx", ".json", ".data", ".md"}:
            problems.append(f"{path.name}: no row of {REGISTRY_NAME} names it")
    if not one_folder:
        # A page written by hand may lie among them; one that was generated is of some model.
        pages = filter(None, map(page_model, sorted(docs_dir.glob("*.md"))))
        problems += [
            f"{name}.md: a generated page, and no row of {REGISTRY_NAME} names its model; "
            "remove it, or give each model folder a docs folder of its own"
            for name in pages
            if registry.entry(name) is None
        ]
    if registry.models:
        texts = {
            model_dir / "README.md": render_index(registry),
            model_dir / SCHEMA_NAME: registry_schema(),
            model_dir / REGISTRY_NAME: registry_text(registry),
        }
        for licence in filter(None, (licence_text(entry.license) for entry in registry.models)):
            texts[model_dir / LICENCE_NAME] = licence
        problems += _stale(texts)
    return problems


def _sidecar_problems(model_dir: Path, docs_dir: Path, entry: ModelEntry) -> list[str]:
    try:
        sidecar = load_sidecar(model_dir, entry.id)
    except PublishError as error:
        return [f"{entry.id}: {error}"]
    record, problems = sidecar.record, []
    try:
        texts = {model_dir / f"{entry.id}.json": sidecar_text(sidecar)}
        texts |= expected_texts(record, entry, model_dir, docs_dir)
        row = registry_entry(record)
    except (PublishError, ValueError) as error:
        return [f"{entry.id}: its record renders nothing: {' '.join(str(error).split())}"]
    if sidecar.quant_mode != entry.quant_mode:
        problems.append(
            f"{entry.id}: quant_mode is {entry.quant_mode!r} in its row, "
            f"{sidecar.quant_mode!r} in its sidecar"
        )
    for key, value in row.model_dump().items():
        if getattr(entry, key) != value:
            problems.append(
                f"{entry.id}: {key} is {getattr(entry, key)!r} in its row, {value!r} by its record"
            )
    problems += [
        f"{figure}: missing, its page shows it"
        for figure in page_figures(record)
        if not (docs_dir / figure).is_file()
    ]
    return problems + _stale(texts)


def _stale(texts: Mapping[Path, str]) -> list[str]:
    problems = []
    for path, text in texts.items():
        if not path.is_file():
            problems.append(f"{path.name}: missing")
        elif path.read_bytes() != text.encode():
            problems.append(f"{path.name}: differs from what its record renders")
    return problems
