"""The C readers of sidecar and registry agree with a strict JSON parser on what they accept."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.mutations import mutated_bytes
from core.native import CModelRow, CSidecar, Native
from vmaf_train.errors import PublishError
from vmaf_train.registry import load_registry
from vmaf_train.strict_json import MAX_DEPTH, require_strict_json

SIDECAR: dict[str, Any] = {
    "kind": "nr",
    "name": "saliency_student_v1",
    "input_name": "input",
    "output_name": "saliency_map",
    "onnx_opset": 17,
    "quant_mode": "fp32",
    "record": {"kind": "not this one", "loss": [1.5e-3, -2, None, True], "text": 'é " \\ \n €'},
}
ROW: dict[str, Any] = {
    "id": "saliency_student_v1",
    "kind": "nr",
    "onnx": "saliency_student_v1.onnx",
    "sha256": hashlib.sha256(b"model").hexdigest(),
    "opset": 17,
    "license": "BSD-3-Clause-Plus-Patent",
    "notes": "n",
    "description": "d",
    "smoke": False,
    "quant_mode": "fp32",
}
SCALARS = tuple(key for key in SIDECAR if key != "record")


def parse_sidecar(native: Native, data: bytes) -> dict[str, Any] | int:
    """Return the six values or the negative error."""
    sidecar = CSidecar()
    error: int = native.lib.vmaf_dnn_sidecar_parse(data, ctypes.c_size_t(len(data)), ctypes.byref(sidecar))
    if error:
        return error
    values = {key: getattr(sidecar, key) for key in SCALARS}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()}


def strictly(data: bytes) -> dict[str, Any]:
    """Parse JSON, refusing NaN and keys that stand twice at the top."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    tops: list[list[tuple[str, Any]]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tops.append(pairs)
        return dict(pairs)

    value = json.loads(data.decode(), parse_constant=refuse, object_pairs_hook=keep)
    if not isinstance(value, dict):
        raise ValueError("no object")
    wanted = [key for key, _ in tops[-1] if key in SCALARS]
    if len(set(wanted)) != len(wanted):
        raise ValueError("a key twice")
    return value


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_sidecar_is_read_however_it_is_laid_out(
    indent: int | None, ascii_only: bool, native: Native
) -> None:
    data = json.dumps(SIDECAR, indent=indent, ensure_ascii=ascii_only).encode()
    assert parse_sidecar(native, data) == {key: SIDECAR[key] for key in SCALARS}


@pytest.mark.parametrize("key", SCALARS)
def test_each_key_is_needed_once_and_in_its_type(key: str, native: Native) -> None:
    rest = {name: value for name, value in SIDECAR.items() if name != key}
    assert parse_sidecar(native, json.dumps(rest).encode()) == -errno.ENOENT
    wrong = {**SIDECAR, key: "17" if key == "onnx_opset" else 17}
    assert parse_sidecar(native, json.dumps(wrong).encode()) == -errno.EINVAL
    others: tuple[Any, ...] = (None, [], {}, True)
    for value in others:
        assert parse_sidecar(native, json.dumps({**SIDECAR, key: value}).encode()) == -errno.EINVAL
    twice = json.dumps(SIDECAR)[:-1] + "," + json.dumps({key: SIDECAR[key]})[1:]
    assert parse_sidecar(native, twice.encode()) == -errno.EEXIST


def test_both_readers_take_the_same_depth_of_nesting(native: Native) -> None:
    for depth in (MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1):
        nested: Any = 1
        for level in range(depth - 1):
            nested = [nested] if level % 2 else {"a": nested}
        text = json.dumps({**SIDECAR, "record": nested})
        assert isinstance(parse_sidecar(native, text.encode()), dict) == (depth <= MAX_DEPTH)
        told = pytest.raises(ValueError, match=f"{depth} levels of nesting, more than {MAX_DEPTH}")
        with told if depth > MAX_DEPTH else nullcontext():
            require_strict_json(text)


def test_a_mutated_sidecar_is_accepted_only_with_the_values_of_a_strict_parser(native: Native) -> None:
    random = Random(6)
    seed = json.dumps(SIDECAR, ensure_ascii=False).encode()
    accepted = refused_by_both = 0
    for _ in range(20_000):
        data = mutated_bytes(seed, random)
        found = parse_sidecar(native, data)
        if isinstance(found, dict):
            accepted += 1
            whole = strictly(data)
            assert found == {key: whole[key] for key in SCALARS}, data
            assert type(whole["onnx_opset"]) is int
        else:
            try:
                strictly(data)
            except (ValueError, RecursionError):
                refused_by_both += 1
    assert accepted > 500
    assert refused_by_both > 10_000


def registry(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"$schema": "registry.schema.json", "schema_version": 1, "models": rows}).encode()


def find_row(native: Native, data: bytes, model_id: str) -> int:
    row = CModelRow()
    error: int = native.lib.vmaf_dnn_registry_find(
        data, ctypes.c_size_t(len(data)), model_id.encode(), ctypes.byref(row)
    )
    if error == 0:
        assert row.id.decode() == model_id
    return error


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, 0),
        ({"int8_sha256": "0" * 64}, 0),
        ({"notes": "ä" * 512, "description": "€" * 256}, 0),
        ({"id": "Saliency_Student"}, -errno.EINVAL),
        ({"metrics": {"iou": 0.7}}, -errno.EINVAL),
        ({"notes": "n" * 2049}, -errno.EINVAL),
        ({"sha256": "A" * 64}, -errno.EINVAL),
        ({"sha256": "a" * 63}, -errno.EINVAL),
        ({"onnx": "folder/m.onnx"}, -errno.EINVAL),
        ({"onnx": "..onnx"}, -errno.EINVAL),
        ({"kind": "xx"}, -errno.EINVAL),
        ({"smoke": 0}, -errno.EINVAL),
        ({"opset": 17.5}, -errno.EINVAL),
    ],
)
def test_a_row_is_checked_against_the_contract(change: dict[str, Any], error: int, native: Native) -> None:
    row = {**ROW, **change}
    assert find_row(native, registry(row), row["id"]) == error


@pytest.mark.parametrize("key", ["id", "kind", "onnx", "sha256", "opset", "license"])
def test_a_row_without_a_required_key_is_refused(key: str, native: Native) -> None:
    rest = {name: value for name, value in ROW.items() if name != key}
    assert find_row(native, registry(rest), ROW["id"]) == -errno.ENOENT


@pytest.mark.parametrize("key", ["notes", "description", "smoke", "quant_mode"])
def test_a_row_may_leave_out_what_has_a_default(key: str, native: Native) -> None:
    rest = {name: value for name, value in ROW.items() if name != key}
    assert find_row(native, registry(rest), ROW["id"]) == 0


TWIN = {**ROW, "id": "a"}
NUL = json.dumps({"schema_version": 1, "models": [{**ROW, "notes": "a\0"}]}).encode()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (json.dumps({"schema_version": 1, "models": [ROW]}).encode(), 0),
        (
            json.dumps(
                {"schema_version": 1, "models": [{**ROW, "id": "a"}, {**ROW, "id": "a"}, ROW]}
            ).encode(),
            errno.EEXIST,
        ),
        (json.dumps({"schema_version": 1, "models": [{**ROW, "int8_sha256": None}]}).encode(), errno.EINVAL),
        (json.dumps({"models": [ROW]}).encode(), errno.ENOENT),
        (json.dumps({"schema_version": 1}).encode(), errno.ENOENT),
        (NUL, errno.EBADMSG),
        (NUL.replace(b"\\u0000", b"\\\\u0000"), 0),
        (b'{"schema_version":,"models":[]}', errno.EBADMSG),
    ],
)
def test_both_readers_take_the_same_registries(
    data: bytes, error: int, native: Native, tmp_path: Path
) -> None:
    assert find_row(native, data, ROW["id"]) == -error
    (tmp_path / "registry.json").write_bytes(data)
    if error:
        with pytest.raises(PublishError):
            load_registry(tmp_path)
    else:
        assert load_registry(tmp_path).entry(ROW["id"]) is not None


@pytest.mark.parametrize("count", [2, 16, 17, 500])
def test_an_id_stands_once_however_many_rows_there_are(count: int, native: Native) -> None:
    rows = [{**ROW, "id": f"m{number}"} for number in range(count)]
    assert find_row(native, registry(*rows), "m1") == 0
    assert find_row(native, registry(*rows, rows[0]), "m1") == -errno.EEXIST


def test_bytes_are_held_against_a_digest_before_they_are_used(native: Native) -> None:
    def check(data: bytes | None, size: int, digest: bytes | None) -> int:
        error: int = native.lib.vmaf_dnn_digest_check_bytes(data, ctypes.c_size_t(size), digest)
        return error

    digest = hashlib.sha256(b"model").hexdigest().encode()
    assert check(b"model", 5, digest) == 0
    assert check(b"models", 6, digest) == -errno.EPERM
    assert check(b"model", (50 << 20) + 1, digest) == -errno.EFBIG
    assert check(None, 5, digest) == check(b"model", 5, None) == -errno.EINVAL


def test_a_file_beyond_the_limit_is_not_hashed_to_its_end(native: Native, tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert native.lib.vmaf_dnn_digest_check(str(path).encode(), b"0" * 64) == -errno.EFBIG


def verify(native: Native, folder: Path) -> int:
    error: int = native.lib.vmaf_dnn_registry_verify(
        str(folder).encode(), ROW["id"].encode(), ctypes.byref(CModelRow())
    )
    return error


def test_a_model_file_must_have_the_digest_of_its_row(native: Native, tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_bytes(registry({**ROW, "id": "other"}, ROW))
    assert verify(native, tmp_path) == -errno.ENOENT
    model = tmp_path / ROW["onnx"]
    model.write_bytes(b"model")
    assert verify(native, tmp_path) == 0
    model.write_bytes(b"Model")
    assert verify(native, tmp_path) == -errno.EPERM
    model.unlink()
    model.mkdir()
    assert verify(native, tmp_path) == -errno.EINVAL
    (tmp_path / "registry.json").write_bytes(b" " * (1 << 20) + registry(ROW))
    assert verify(native, tmp_path) == -errno.EFBIG


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 16384, 100_000])
def test_the_digest_of_a_file_is_sha256(size: int, native: Native, tmp_path: Path) -> None:
    data = Random(size).randbytes(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    check = native.lib.vmaf_dnn_digest_check
    assert check(str(path).encode(), hashlib.sha256(data).hexdigest().encode()) == 0
    assert check(str(path).encode(), hashlib.sha256(data + b"x").hexdigest().encode()) == -errno.EPERM
