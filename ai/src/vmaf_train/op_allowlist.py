"""The gate every model passes before it is published: operators, domains, attributes, one file.

The list itself is the C array in ``core/src/dnn/op_allowlist.c``; nothing is listed here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from vmaf_train import files
from vmaf_train.c_arrays import CSourceError, read_rows, read_strings, tokens
from vmaf_train.errors import ConfigError, ContractError
from vmaf_train.model_scan import scan_bytes
from vmaf_train.scan_report import Allowlist, AllowlistReport, Reason, Violation
from vmaf_train.scan_state import MAX_MODEL_BYTES

if TYPE_CHECKING:
    import onnx

__all__ = [
    "Allowlist",
    "AllowlistReport",
    "Reason",
    "Violation",
    "check_graph",
    "check_model",
    "load_allowlist",
    "read_model",
]


def load_allowlist(path: Path | None = None) -> Allowlist:
    """Read the operator list and the attribute policy from the C source.

    Args:
        path: the C file; None for the one that ships with the package.

    Raises:
        ConfigError: the file is missing or unreadable, or it holds anything that could make the
            compiler see another list than this reader: see ``vmaf_train.c_arrays``.
    """
    source = (
        files.resource("op_allowlist.c", "core", "src", "dnn", "op_allowlist.c") if path is None else path
    )
    try:
        live = tokens(source.read_bytes().decode("utf-8"))
        ops = read_strings(live, "op_allowlist")
        rows = read_rows(live, "attr_policy", "VmafDnnAttrRule", 3)
    except (OSError, UnicodeDecodeError, CSourceError) as error:
        raise ConfigError(
            str(source),
            expected="a C source with the arrays op_allowlist and attr_policy in plain text",
            found=str(error),
            next_step="restore the file from the repository or install vmaf-train again",
        ) from error
    policy: dict[str, dict[str, set[str]]] = {}
    for op, attribute, value in rows:
        policy.setdefault(op, {}).setdefault(attribute, set()).add(value)
    frozen = {
        op: {name: frozenset(values) for name, values in attributes.items()}
        for op, attributes in policy.items()
    }
    return Allowlist(ops=ops, policy=frozen, path=source)


def _report(path: Path | None, data: bytes, allowlist: Allowlist | None) -> AllowlistReport:
    scan = scan_bytes(data, load_allowlist() if allowlist is None else allowlist)
    return AllowlistReport(
        path=path,
        ok=not scan.violations,
        ops=tuple(sorted(scan.ops)),
        opset=scan.opset,
        nodes=scan.nodes,
        violations=tuple(scan.violations),
    )


def check_graph(model: onnx.ModelProto | bytes, allowlist: Allowlist | None = None) -> AllowlistReport:
    """Check a model in memory, given as a message or as its serialized bytes.

    Args:
        model: the ModelProto or its bytes; external tensors are refused, never loaded.
        allowlist: the list to check against; None for the shipped one.

    Raises:
        ConfigError: the shipped list cannot be read.
    """
    data = model if isinstance(model, bytes) else bytes(model.SerializeToString())
    return _report(None, data, allowlist)


def read_model(path: Path) -> bytes:
    """Return the bytes of a model file, at most one byte beyond the 50 MiB limit.

    Raises:
        ContractError: the file is missing, unreadable or not a regular file.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("not a regular file")
            with os.fdopen(handle, "rb", closefd=False) as stream:
                data = stream.read(MAX_MODEL_BYTES + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise ContractError(
            str(path),
            expected="a readable ONNX file",
            found=error.strerror or str(error),
            next_step="give the path of a model file",
        ) from error
    return data


def check_model(path: Path, allowlist: Allowlist | None = None) -> AllowlistReport:
    """Check a model file. Reads that file alone, at most one byte beyond the 50 MiB limit.

    Args:
        path: the ONNX file.
        allowlist: the list to check against; None for the shipped one.

    Raises:
        ConfigError: the shipped list cannot be read.
        ContractError: the file is missing, unreadable or not a regular file.
    """
    return _report(path, read_model(path), allowlist)
