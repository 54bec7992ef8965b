from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import ValidationError

from records import Folders, tiny_record, tiny_test
from vmaf_train.errors import PublishError
from vmaf_train.registry import (
    MAX_SIDECAR_BYTES,
    ModelEntry,
    Registry,
    Sidecar,
    load_registry,
    load_sidecar,
    record_beside,
    registry_entry,
    registry_schema,
    registry_text,
    sidecar_text,
    upsert,
)
from vmaf_train.run_record import Figure, RunRecord

SCALARS = ("kind", "name", "input_name", "output_name", "onnx_opset", "quant_mode")
ROW: dict[str, Any] = {
    "id": "tiny_v1",
    "kind": "nr",
    "onnx": "tiny_v1.onnx",
    "sha256": "a" * 64,
    "opset": 17,
    "license": "BSD-3-Clause-Plus-Patent",
}
VALID: list[dict[str, Any]] = [
    {},
    {"id": "0-9_z", "kind": "fr"},
    {"id": "a" * 64, "onnx": "a.b-c_d.onnx"},
    {"kind": "filter", "quant_mode": "int8", "int8_sha256": "0" * 64, "smoke": True},
    {"notes": "n" * 512, "description": "d" * 256, "license": "l" * 64},
    {"notes": "é" * 512, "description": '"\\\n'},
    {"opset": 1},
    {"opset": 64},
]
INVALID: list[dict[str, Any]] = [
    {"notes": "n" * 513},
    {"notes": "é" * 513},
    {"notes": None},
    {"description": "d" * 257},
    {"id": "Saliency_Student"},
    {"id": "a" * 65},
    {"id": ""},
    {"id": "../a"},
    {"id": "registry"},
    {"id": "quant_mode"},
    {"id": 7},
    {"kind": "xr"},
    {"onnx": "../a.onnx"},
    {"onnx": "sub/a.onnx"},
    {"onnx": ".a.onnx"},
    {"onnx": "a.txt"},
    {"onnx": "a" * 124 + ".onnx"},
    {"sha256": "A" * 64},
    {"sha256": "a" * 63},
    {"sha256": None},
    {"opset": "17"},
    {"opset": True},
    {"opset": 0},
    {"opset": 65},
    {"opset": 17.5},
    {"license": ""},
    {"license": "l" * 65},
    {"smoke": 1},
    {"smoke": "true"},
    {"quant_mode": "fp16"},
    {"int8_sha256": "none"},
    {"int8_sha256": None},
    {"metrics": {"iou": 0.6}},
    {"path": "a"},
]
DOCUMENTS: list[tuple[Any, bool]] = [
    *(({"schema_version": 1, "models": [{**ROW, **change}]}, True) for change in VALID),
    *(({"schema_version": 1, "models": [{**ROW, **change}]}, False) for change in INVALID),
    *(
        ({"schema_version": 1, "models": [{key: ROW[key] for key in ROW if key != missing}]}, False)
        for missing in ROW
    ),
    ({"schema_version": 1, "models": []}, True),
    ({}, False),
    ({"schema_version": 1}, False),
    ({"models": []}, False),
    ({"schema_version": 2}, False),
    ({"schema_version": True}, False),
    ({"schema_version": "1"}, False),
    ({"models": {}}, False),
    ({"models": [[]]}, False),
    ({"models": [], "model": []}, False),
    ([], False),
    (None, False),
]


def put(folder: Path, data: bytes) -> Path:
    path = folder / "registry.json"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("document", "valid"), DOCUMENTS)
def test_the_generated_schema_and_the_reader_give_one_verdict(
    tmp_path: Path, document: object, valid: bool
) -> None:
    schema = json.loads(registry_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(document) is valid
    put(tmp_path, json.dumps(document).encode())
    if valid:
        load_registry(tmp_path)
    else:
        with pytest.raises(PublishError, match=r"registry\.json: expected a valid file of its schema"):
            load_registry(tmp_path)


def test_every_field_is_described_in_the_schema() -> None:
    schema = json.loads(registry_schema())
    fields = {**schema["properties"], **schema["$defs"]["ModelEntry"]["properties"]}
    assert [name for name, field in fields.items() if not field.get("description")] == []


GOOD = registry_text(Registry(models=(ModelEntry(**ROW),))).encode()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "Expecting value"),
        (GOOD[:-20], "Expecting|Unterminated"),
        (GOOD.replace(b"\n", b"\r\n"), "CRLF line ends"),
        (GOOD.replace(b"17", b"NaN"), "NaN is no JSON number"),
        (GOOD.replace(b"17", b"-Infinity"), "-Infinity is no JSON number"),
        (GOOD.replace(b'"opset"', b'"opset": 16, "opset"'), "key 'opset' stands twice"),
        (b'{"models": [], "models": []}', "key 'models' stands twice"),
        (GOOD.replace(b"tiny_v1", b"tiny\xff", 1), "utf-8"),
        (b"\xef\xbb\xbf" + GOOD, "BOM"),
        (b"[" * 100_000, "recursion"),
        (GOOD + b" " * MAX_SIDECAR_BYTES, "bytes, more than 1048576"),
        (b'{"models": [%s, %s]}' % ((json.dumps(ROW).encode(),) * 2), "an id stands twice"),
    ],
    ids=str,
)
def test_a_damaged_registry_is_refused_with_the_cause_and_not_touched(
    tmp_path: Path, data: bytes, found: str
) -> None:
    path = put(tmp_path, data)
    with pytest.raises(PublishError, match=f"(?i){found}.*it was not touched") as caught:
        load_registry(tmp_path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data


def test_all_faults_of_a_row_are_told_with_their_places(tmp_path: Path) -> None:
    put(tmp_path, json.dumps({"models": [ROW, {**ROW, "id": "B", "notes": "n" * 513, "extra": 1}]}).encode())
    with pytest.raises(PublishError, match=r"models\.1\.id: .*models\.1\.notes: .*models\.1\.extra: "):
        load_registry(tmp_path)


def test_a_folder_without_a_registry_holds_no_models(tmp_path: Path) -> None:
    assert load_registry(tmp_path / "absent") == Registry()
    (tmp_path / "registry.json").mkdir()
    with pytest.raises(PublishError, match="Is a directory"):
        load_registry(tmp_path)


def test_rows_are_written_sorted_and_an_updated_row_stands_once(tmp_path: Path) -> None:
    registry = Registry()
    for model_id in ("b", "a", "c", "b"):
        registry = upsert(registry, ModelEntry(**{**ROW, "id": model_id, "opset": 16 + len(registry.models)}))
    text = registry_text(registry)
    assert [(row["id"], row["opset"]) for row in json.loads(text)["models"]] == [
        ("a", 17),
        ("b", 19),
        ("c", 18),
    ]
    assert "int8_sha256" not in text
    put(tmp_path, text.encode())
    assert load_registry(tmp_path) == registry
    assert registry.entry("c") == registry.models[2]
    assert registry.entry("d") is None


def test_a_registry_larger_than_the_loader_reads_is_not_written() -> None:
    rows = tuple(ModelEntry(**{**ROW, "id": f"m{n}", "notes": "n" * 512}) for n in range(1500))
    with pytest.raises(PublishError, match=r"registry\.json: expected at most 1048576 bytes"):
        registry_text(Registry(models=rows))


def test_a_row_follows_from_the_record() -> None:
    entry = registry_entry(tiny_record(changes={"smoke": True}))
    assert entry.description == "tiny_v1: a toy"
    assert entry.notes == (
        "Smoke model: not for use. Validation iou 0.6012 over 61 samples. "
        "Frame height and width must be multiples of 8."
    )
    with pytest.raises(ValidationError, match="description"):
        registry_entry(tiny_record(changes={"card.title": "t" * 257}))
    with pytest.raises(ValueError, match="made no file"):
        registry_entry(tiny_record(changes={"export": None}))


def test_a_row_tells_the_first_test_of_the_file_beside_its_validation() -> None:
    record = tiny_record()
    assert record.export is not None
    figures = {"IoU at 0.5": Figure(value=0.41234)}
    test = tiny_test(record.export.sha256, dataset="ELSEWHERE", pairs=12, metrics=figures)
    small = test.model_copy(update={"model_sha256": "e" * 64, "dataset": "OTHER FORM"})
    notes = registry_entry(record.model_copy(update={"evaluations": (small, test)})).notes
    assert "ELSEWHERE IoU at 0.5: 0.4123 over 12 samples." in notes
    assert "OTHER FORM" not in notes


def sidecar_of(record: RunRecord, **changes: Any) -> Sidecar:
    assert record.export is not None
    scalars = {
        "kind": record.kind,
        "name": record.id,
        "input_name": record.export.inputs[0].name,
        "output_name": record.export.outputs[0].name,
        "onnx_opset": record.export.opset,
    }
    return Sidecar(**{**scalars, "record": record, **changes})


def by_text_search(text: str, key: str) -> str:
    """What a reader gets that looks for the first quoted key and takes what follows."""
    found = re.match(r'\s*:\s*(?:"([^"]*)"|(\d+))', text[text.index(f'"{key}"') + len(key) + 2 :])
    assert found is not None, text[text.index(f'"{key}"') :][:60]
    return found[1] or found[2]


KEYS_INSIDE = {f'"{key}": "wrong", {key}': f'"{key}": 1' for key in SCALARS} | dict.fromkeys(SCALARS, "wrong")
ADVERSARIAL: list[dict[str, Any]] = [
    {"config": KEYS_INSIDE},
    {"card.title": json.dumps(KEYS_INSIDE)[:200], "card.summary": json.dumps(KEYS_INSIDE)},
    {"reproducer": '"kind": "fr", "onnx_opset": 3 \\" \\\\', "task": '"quant_mode": "int8"'},
    {"export.inputs.0.name": '"output_name": "x"', "export.outputs.0.name": 'a", "onnx_opset": 3'},
    {"export.inputs.0.name": "\\", "export.outputs.0.name": "\\\\"},
    {"data.corpora.0.dropped": {f'"{key}"': 1 for key in SCALARS}, "gate.metrics": {"kind": 1.0}},
    {"export.input_contract": KEYS_INSIDE, "export.inputs.0.name": "kind.0"},
]


@pytest.mark.parametrize("changes", ADVERSARIAL)
def test_the_six_scalars_are_the_first_occurrences_of_their_keys(changes: dict[str, Any]) -> None:
    record = tiny_record(changes=changes)
    sidecar = sidecar_of(record)
    text = sidecar_text(sidecar)
    for key in ("kind", "name", "onnx_opset", "quant_mode"):
        assert by_text_search(text, key) == str(getattr(sidecar, key))
    for key in ("input_name", "output_name"):
        start = text.index(f'"{key}"')
        assert json.loads("{" + text[start : text.index("\n", start)].rstrip(",") + "}") == {
            key: getattr(sidecar, key)
        }
    assert list(json.loads(text))[:6] == list(SCALARS)


@pytest.mark.parametrize("key", SCALARS)
def test_no_name_can_stand_for_a_key_of_the_sidecar(key: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        sidecar_of(tiny_record(key))
    for side in ("inputs", "outputs"):
        with pytest.raises(ValidationError, match="no key of the sidecar"):
            sidecar_of(tiny_record(changes={f"export.{side}.0.name": key}))


@pytest.mark.parametrize("name", ["", "x" * 65, "é" * 33])
def test_a_tensor_name_that_the_loader_has_no_room_for_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="1 to 64 bytes"):
        sidecar_of(tiny_record(changes={"export.inputs.0.name": name}))


@pytest.mark.parametrize(
    "change",
    [{"kind": "fr"}, {"name": "other"}, {"input_name": "x"}, {"output_name": "x"}, {"onnx_opset": 18}],
)
def test_a_sidecar_that_disagrees_with_its_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="the record says"):
        sidecar_of(tiny_record(), **change)


def test_a_sidecar_of_a_run_without_a_file_is_refused() -> None:
    with pytest.raises(ValidationError, match="made no file"):
        Sidecar.model_validate(
            {**sidecar_of(tiny_record()).model_dump(), "record": tiny_record(changes={"export": None})}
        )


def test_a_sidecar_reads_back_and_a_missing_or_broken_one_is_named(tmp_path: Path) -> None:
    sidecar = sidecar_of(tiny_record())
    path = tmp_path / "tiny_v1.json"
    with pytest.raises(PublishError, match=r"tiny_v1\.json.*No such file"):
        load_sidecar(tmp_path, "tiny_v1")
    path.write_text(sidecar_text(sidecar))
    assert load_sidecar(tmp_path, "tiny_v1") == sidecar
    values = json.loads(path.read_text())
    for damage in ({"onnx_opset": 18}, {"extra": 1}, {"record": None}, {"onnx_opset": "17"}):
        path.write_text(json.dumps({**values, **damage}))
        with pytest.raises(PublishError, match=r"tiny_v1\.json"):
            load_sidecar(tmp_path, "tiny_v1")
    values["record"]["export"]["inputs"] = []
    path.write_text(json.dumps(values))
    with pytest.raises(PublishError, match=r"record\.export\.inputs"):
        load_sidecar(tmp_path, "tiny_v1")


def test_a_record_counts_beside_the_very_file_that_it_is_of(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    record = folders.publish("tiny_v1")
    model = folders.models / "tiny_v1.onnx"
    assert record.export is not None
    assert record_beside(model, record.export.sha256) == record
    assert record_beside(model, "0" * 64) is None
    assert record_beside(folders.models / "other.onnx", record.export.sha256) is None
    (folders.models / "tiny_v1.json").write_text("{")
    assert record_beside(model, record.export.sha256) is None


def test_a_sidecar_larger_than_the_loader_reads_is_not_written() -> None:
    with pytest.raises(PublishError, match=r"tiny_v1\.json: expected at most 1048576 bytes"):
        sidecar_text(sidecar_of(tiny_record(changes={"card.usage": "x" * MAX_SIDECAR_BYTES})))
