"""The C library through ctypes, as the tests see it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vmaf_train.op_allowlist import Allowlist, AllowlistReport

REPOSITORY = Path(__file__).resolve().parents[3]
CORE = REPOSITORY / "core"


def run(command: list[str], folder: Path) -> None:
    """Run a build step with this Python's tools first on the path; its output is in the failure."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def build(folder: Path, *options: str) -> Path:
    """Build ``core`` in ``folder`` with the meson and ninja of this environment; return the folder."""
    run(["meson", "setup", str(folder), str(CORE), "-Dbuildtype=release", *options], CORE)
    run(["meson", "compile", "-C", str(folder)], CORE)
    return folder


class CReport(ctypes.Structure):
    """VmafDnnScanReport of onnx_scan.h."""

    _fields_ = (
        ("reason", ctypes.c_int),
        ("op", ctypes.c_char * 64),
        ("domain", ctypes.c_char * 64),
        ("node", ctypes.c_char * 128),
        ("detail", ctypes.c_char * 128),
        ("offset", ctypes.c_uint64),
        ("opset", ctypes.c_int64),
        ("nodes", ctypes.c_uint32),
    )


class CRule(ctypes.Structure):
    """VmafDnnAttrRule of op_allowlist.h."""

    _fields_ = (("op", ctypes.c_char_p), ("attribute", ctypes.c_char_p), ("value", ctypes.c_char_p))


class COpList(ctypes.Structure):
    """VmafDnnOpList of op_allowlist.h."""

    _fields_ = (
        ("ops", ctypes.POINTER(ctypes.c_char_p)),
        ("n_ops", ctypes.c_size_t),
        ("rules", ctypes.POINTER(CRule)),
        ("n_rules", ctypes.c_size_t),
    )


class CPlane(ctypes.Structure):
    """VmafDnnPlane of tensor_io.h."""

    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_size_t), ("size", ctypes.c_size_t))


class CFrame(ctypes.Structure):
    """VmafDnnFrame of tensor_io.h."""

    _fields_ = (
        ("plane", CPlane * 3),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("chroma", ctypes.c_int),
    )


class CSidecar(ctypes.Structure):
    """VmafDnnSidecar of model_registry.h."""

    _fields_ = (
        ("kind", ctypes.c_char * 8),
        ("name", ctypes.c_char * 65),
        ("input_name", ctypes.c_char * 65),
        ("output_name", ctypes.c_char * 65),
        ("quant_mode", ctypes.c_char * 33),
        ("onnx_opset", ctypes.c_int64),
    )


class CModelRow(ctypes.Structure):
    """VmafDnnModelRow of model_registry.h."""

    _fields_ = (
        ("id", ctypes.c_char * 65),
        ("kind", ctypes.c_char * 8),
        ("onnx", ctypes.c_char * 129),
        ("sha256", ctypes.c_char * 65),
        ("int8_sha256", ctypes.c_char * 65),
        ("quant_mode", ctypes.c_char * 33),
        ("opset", ctypes.c_int64),
        ("smoke", ctypes.c_bool),
    )


@dataclass(frozen=True)
class Verdict:
    """What both scanners must agree on; ``opset`` and ``nodes`` only of an accepted model."""

    reason: str
    op: str = ""
    domain: str = ""
    node: str = ""
    detail: str = ""
    offset: int = 0
    opset: int | None = None
    nodes: int | None = None


def python_verdict(report: AllowlistReport) -> Verdict:
    """Return what the C scanner would have to say."""
    if report.ok:
        return Verdict("ok", opset=report.opset, nodes=report.nodes)
    first = report.violations[0]
    return Verdict(str(first.reason), first.op, first.domain, first.node, first.detail, first.offset)


def c_op_list(allowlist: Allowlist) -> COpList:
    """Return the list for the C scanner; the result keeps what it points to alive."""
    rules = [
        (op, attribute, value)
        for op, attributes in allowlist.policy.items()
        for attribute, values in attributes.items()
        for value in values
    ]
    ops = (ctypes.c_char_p * len(allowlist.ops))(*(op.encode() for op in allowlist.ops))
    rows = (CRule * len(rules))(*(CRule(*(part.encode() for part in rule)) for rule in rules))
    return COpList(
        ctypes.cast(ops, ctypes.POINTER(ctypes.c_char_p)),
        len(ops),
        ctypes.cast(rows, ctypes.POINTER(CRule)),
        len(rows),
    )


class Native:
    """The shared library and the folder of programs that was built with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agreed: Counter[str] = Counter()
        """How many inputs of each kind Python judged in the same way; for the summary of a test run."""
        self.holes: dict[str, str] = {}
        """The reason that both gave for what a scanner by text lets through."""
        self.lib = ctypes.CDLL(str(folder / "libvmaf_dnn.so"))
        self.lib.vmaf_dnn_reason_name.restype = ctypes.c_char_p
        self.reasons = self._reason_names()

    def _reason_names(self) -> tuple[str, ...]:
        names: list[str] = []
        while (name := self.lib.vmaf_dnn_reason_name(len(names))) is not None:
            names.append(name.decode())
        return tuple(names)

    @staticmethod
    def op_list(lib: ctypes.CDLL) -> tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]:
        """Return the operators and the policy's rows that a library holds."""
        lib.vmaf_dnn_op_list.restype = ctypes.POINTER(COpList)
        found = lib.vmaf_dnn_op_list().contents
        rules = [found.rules[i] for i in range(found.n_rules)]
        return (
            tuple(found.ops[i].decode() for i in range(found.n_ops)),
            tuple((rule.op.decode(), rule.attribute.decode(), rule.value.decode()) for rule in rules),
        )

    def scan(self, data: bytes, op_list: COpList | None = None) -> Verdict:
        """Scan bytes as a model."""
        report = CReport()
        given = None if op_list is None else ctypes.byref(op_list)
        error = self.lib.vmaf_dnn_scan(data, ctypes.c_size_t(len(data)), given, ctypes.byref(report))
        assert (error == 0) == (report.reason == 0)
        if error == 0:
            return Verdict("ok", opset=report.opset, nodes=report.nodes)
        return Verdict(
            self.reasons[report.reason],
            report.op.decode("ascii"),
            report.domain.decode("ascii"),
            report.node.decode("ascii"),
            report.detail.decode("ascii"),
            report.offset,
        )
