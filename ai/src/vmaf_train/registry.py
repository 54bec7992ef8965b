"""``registry.json`` and the sidecars beside the models: the C loader's view of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from vmaf_train.config import MODEL_ID_PATTERN
from vmaf_train.config_faults import faults_text
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import dump_json, sha256_bytes
from vmaf_train.run_record import ModelKind, RunRecord, Sha256
from vmaf_train.strict_json import require_strict_json

__all__ = [
    "MAX_SIDECAR_BYTES",
    "REGISTRY_NAME",
    "SCHEMA_NAME",
    "ModelEntry",
    "Registry",
    "Sidecar",
    "load_model",
    "load_registry",
    "load_sidecar",
    "record_beside",
    "registry_entry",
    "registry_schema",
    "registry_text",
    "require_row",
    "sidecar_text",
    "tensor_name_fault",
    "upsert",
]

REGISTRY_NAME = "registry.json"
SCHEMA_NAME = "registry.schema.json"
MAX_SIDECAR_BYTES = 1024 * 1024
"""The loader refuses a larger sidecar or registry."""

_MAX_NAME_BYTES = 64
_SCALARS = ("kind", "name", "input_name", "output_name", "onnx_opset", "quant_mode")
_NO_IDS = ("registry", *_SCALARS)


def _no_reserved_name(model_id: str) -> str:
    # The first would give the sidecar the registry's file name, the others hide a key of the sidecar.
    if model_id in _NO_IDS:
        raise ValueError(f"{model_id} is reserved")
    return model_id


ModelId = Annotated[
    str,
    Field(pattern=MODEL_ID_PATTERN, max_length=64, json_schema_extra={"not": {"enum": list(_NO_IDS)}}),
    AfterValidator(_no_reserved_name),
]
QuantMode = Literal["fp32", "int8"]


def _left_out_or_given(schema: JsonDict) -> None:
    """Take null out of a field's JSON schema: in the file the key stands with a value or not at all."""
    given, _ = cast("list[JsonDict]", schema.pop("anyOf"))
    del schema["default"]
    schema.update(given)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelEntry(_Part):
    """One model that the loader may load."""

    id: ModelId
    """Name of the model."""
    kind: ModelKind
    """Full reference, no reference, or a filter."""
    onnx: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*\.onnx$", max_length=128)
    """Name of the model file, in the registry's folder."""
    sha256: Sha256
    """SHA-256 of the model file's bytes, lower-case hex."""
    opset: int = Field(ge=1, le=64)
    """Default-domain operator set, read back from the file."""
    license: str = Field(min_length=1, max_length=64)
    """Licence of the weights."""
    description: str = Field(default="", max_length=256)
    """What the model is, in a line."""
    notes: str = Field(default="", max_length=512)
    """What a user must know before choosing it."""
    smoke: bool = False
    """True for a model that proves the machinery and is not for use."""
    quant_mode: QuantMode = "fp32"
    """int8 where a quantised file ships beside the float one."""
    int8_sha256: Sha256 | None = Field(default=None, json_schema_extra=_left_out_or_given)
    """SHA-256 of the quantised file ``<id>.int8.onnx``, where one ships."""


class Registry(_Part):
    """All models of a folder, by id."""

    model_config = ConfigDict(json_schema_extra={"required": ["schema_version", "models"]})

    schema_version: int = Field(default=1, ge=1, le=1)
    """Version of this file's form."""
    models: tuple[ModelEntry, ...] = ()
    """Sorted by id, each id once."""

    @model_validator(mode="after")
    def _each_id_once(self) -> Registry:
        ids = [entry.id for entry in self.models]
        if len(set(ids)) != len(ids):
            raise ValueError("an id stands twice")
        return self

    def entry(self, model_id: str) -> ModelEntry | None:
        """Return the row of ``model_id``, or None."""
        return next((entry for entry in self.models if entry.id == model_id), None)


class Sidecar(_Part):
    """``<id>.json``: six scalars that the loader finds by text search, then the run record.

    The loader takes the first occurrence of a quoted key, so the scalars must come before
    anything in which such a text could stand.
    """

    kind: ModelKind
    name: ModelId
    input_name: str
    output_name: str
    onnx_opset: int
    quant_mode: QuantMode = "fp32"
    record: RunRecord

    @model_validator(mode="after")
    def _agrees_with_record(self) -> Sidecar:
        export = self.record.export
        if export is None:
            raise ValueError("the record is of a run that made no file")
        pairs = {
            "kind": (self.kind, self.record.kind),
            "name": (self.name, self.record.id),
            "input_name": (self.input_name, export.inputs[0].name),
            "output_name": (self.output_name, export.outputs[0].name),
            "onnx_opset": (self.onnx_opset, export.opset),
        }
        for key, (mine, recorded) in pairs.items():
            if mine != recorded:
                raise ValueError(f"{key} is {mine!r}, the record says {recorded!r}")
        for key in ("input_name", "output_name"):
            if fault := tensor_name_fault(getattr(self, key)):
                raise ValueError(f"{key} is {fault}")
        return self


_PartT = TypeVar("_PartT", bound=BaseModel)


def tensor_name_fault(name: str) -> str | None:
    """Return what is wrong with ``name`` as a tensor's in a sidecar; None where nothing is."""
    if name not in _SCALARS and 0 < len(name.encode()) <= _MAX_NAME_BYTES:
        return None
    return f"{name!r}, not 1 to {_MAX_NAME_BYTES} bytes that are no key of the sidecar"


def _load(path: Path, form: type[_PartT]) -> _PartT:
    try:
        data = path.read_bytes()
        if len(data) > MAX_SIDECAR_BYTES:
            raise ValueError(f"{len(data)} bytes, more than {MAX_SIDECAR_BYTES}")
        require_strict_json(data.decode("utf-8"))
        return form.model_validate_json(data)
    except (OSError, ValueError, RecursionError) as error:
        found = str(getattr(error, "strerror", None) or error)
        if isinstance(error, ValidationError):
            found = faults_text(error)
        raise _damaged(path, found) from error


def _damaged(path: Path, found: str) -> PublishError:
    return PublishError(
        str(path),
        expected="a valid file of its schema",
        found=found,
        next_step="restore it from version control; it was not touched",
    )


def load_registry(model_dir: Path) -> Registry:
    """Return the registry of ``model_dir``; an empty one where there is no file yet.

    Raises:
        PublishError: the file is empty, damaged or breaks its schema. It is not touched.
    """
    path = model_dir / REGISTRY_NAME
    if not path.exists():
        return Registry()
    registry = _load(path, Registry)
    # What may be left out when a row is made may not be in the file: the C reader takes neither.
    missing = {"schema_version", "models"} - registry.model_fields_set
    faults = [f"{key} is missing" for key in sorted(missing)]
    faults += [
        f"int8_sha256 of {row.id} is null"
        for row in registry.models
        if row.int8_sha256 is None and "int8_sha256" in row.model_fields_set
    ]
    if faults:
        raise _damaged(path, "; ".join(faults))
    return registry


def load_sidecar(model_dir: Path, model_id: str) -> Sidecar:
    """Return the sidecar ``<model_id>.json``.

    Raises:
        PublishError: it is missing, damaged, too large, or disagrees with its own record.
    """
    return _load(model_dir / f"{model_id}.json", Sidecar)


def record_beside(model: Path, sha256: str) -> RunRecord | None:
    """Return the run record in the sidecar beside ``model``, if it is of a file of that digest.

    The 8-bit form has no sidecar of its own: its model's tells of it. None for a file without a
    readable sidecar, and for one whose sidecar tells of other bytes.
    """
    try:
        record = load_sidecar(model.parent, model.stem.removesuffix(".int8")).record
    except PublishError:
        return None
    return record if sha256 in record.forms else None


def require_row(model_dir: Path, model_id: str) -> ModelEntry:
    """Return the registry's row of ``model_id``.

    Raises:
        ConfigError: there is none; the message lists the ids that are there.
        PublishError: the registry is damaged.
    """
    registry = load_registry(model_dir)
    entry = registry.entry(model_id)
    if entry is None:
        raise ConfigError(
            f"model {model_id}",
            expected=f"a row of {model_dir / REGISTRY_NAME}",
            found=f"these: {', '.join(entry.id for entry in registry.models) or 'none'}",
            next_step="give one of them, or another --model-dir",
        )
    return entry


def load_model(model_dir: Path, model_id: str) -> tuple[RunRecord, bytes]:
    """Return the run record and the bytes of a registered model, the bytes as its row states them.

    Raises:
        ConfigError: the model is not registered.
        PublishError: its sidecar is damaged, or the file is missing or of other bytes.
    """
    entry = require_row(model_dir, model_id)
    path = model_dir / f"{model_id}.onnx"
    try:
        data = path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
    else:
        if sha256_bytes(data) == entry.sha256:
            return load_sidecar(model_dir, model_id).record, data
        found = f"sha256 {sha256_bytes(data)[:12]}"
    raise PublishError(
        str(path),
        expected=f"the file of a row of {model_dir / REGISTRY_NAME}",
        found=found,
        next_step="see vmaf-train verify",
    )


def registry_text(registry: Registry) -> str:
    """Return the registry as JSON, its rows sorted by id, absent options left out.

    Raises:
        PublishError: it would be larger than the loader reads.
    """
    rows = sorted(registry.models, key=lambda entry: entry.id)
    models = [entry.model_dump(mode="json", exclude_none=True) for entry in rows]
    text = dump_json({"schema_version": registry.schema_version, "models": models})
    return _within_limit(text, REGISTRY_NAME, "put some models into another folder")


def sidecar_text(sidecar: Sidecar) -> str:
    """Return the sidecar as JSON, the loader's six scalars first.

    Raises:
        PublishError: it would be larger than the loader reads.
    """
    text = dump_json(sidecar.model_dump(mode="json"))
    return _within_limit(text, f"{sidecar.name}.json", "train fewer epochs or shorten the card text")


def _within_limit(text: str, name: str, next_step: str) -> str:
    size = len(text.encode())
    if size > MAX_SIDECAR_BYTES:
        raise PublishError(
            name, expected=f"at most {MAX_SIDECAR_BYTES} bytes", found=str(size), next_step=next_step
        )
    try:
        require_strict_json(text)
    except (ValueError, RecursionError) as error:
        raise PublishError(
            name,
            expected="JSON that the loader takes",
            found=str(error),
            next_step="correct the task's texts, or begin with a run of a shorter chain",
        ) from error
    return text


def registry_schema() -> str:
    """Return the JSON schema of ``registry.json``, generated from :class:`Registry`."""
    schema = Registry.model_json_schema()
    return dump_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def registry_entry(record: RunRecord) -> ModelEntry:
    """Return the row of a finished run; all of it follows from the record.

    Raises:
        pydantic.ValidationError: the card's title is too long for a description.
        ValueError: the record has no file.
    """
    export = record.export
    if export is None:
        raise ValueError(f"run {record.id} made no file")
    return ModelEntry(
        id=record.id,
        kind=record.kind,
        onnx=f"{record.id}.onnx",
        sha256=export.sha256,
        opset=export.opset,
        license=record.license,
        description=record.card.title,
        notes=_notes(record),
        smoke=record.smoke,
        quant_mode="int8" if record.quantised else "fp32",
        int8_sha256=record.quantised.sha256 if record.quantised else None,
    )


def _notes(record: RunRecord) -> str:
    """What a user must know before choosing the model, in a few sentences."""
    parts = ["Smoke model: not for use."] if record.smoke else []
    if record.gate.applied and record.gate.value is not None and record.data is not None:
        metric, value = record.gate.metric, record.gate.value
        parts.append(f"Validation {metric} {value:.4f} over {record.validated(metric)} samples.")
    own = (test for test in record.evaluations if record.export and test.model_sha256 == record.export.sha256)
    if (test := next(own, None)) and test.metrics:
        measure, figure = next(iter(test.metrics.items()))
        parts.append(f"{test.dataset[:64]} {measure}: {figure.value:.4f} over {test.pairs} samples.")
    if not record.training.held_out_certain:
        parts.append("An earlier run, whose weights it began with, may have seen them.")
    if record.export is not None and record.export.size_multiple > 1:
        parts.append(f"Frame height and width must be multiples of {record.export.size_multiple}.")
    return " ".join(parts)


def upsert(registry: Registry, entry: ModelEntry) -> Registry:
    """Return the registry with ``entry`` in place of the row of its id, or added."""
    others = tuple(row for row in registry.models if row.id != entry.id)
    return Registry(models=tuple(sorted((*others, entry), key=lambda row: row.id)))
