"""What a model check is given and what it answers: the list, the reasons and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmaf_train.errors import ContractError

__all__ = ["Allowlist", "AllowlistReport", "Reason", "Violation"]


class Reason(StrEnum):
    """Why a model is refused. Each value is the name of the C scanner's reason code."""

    FILE_TOO_LARGE = "file_too_large"
    TOO_MANY_FIELDS = "too_many_fields"
    TOO_DEEP = "too_deep"
    ORT_FORMAT = "ort_format"
    TRUNCATED = "truncated"
    BAD_VARINT = "bad_varint"
    BAD_TAG = "bad_tag"
    WRONG_WIRE_TYPE = "wrong_wire_type"
    UNKNOWN_FIELD = "unknown_field"
    DUPLICATE_FIELD = "duplicate_field"
    LOSSY_VALUE = "lossy_value"
    EMBEDDED_NUL = "embedded_nul"
    MISSING_GRAPH = "missing_graph"
    BAD_OPSET = "bad_opset"
    FUNCTIONS = "functions"
    TRAINING_INFO = "training_info"
    MISSING_OP_TYPE = "missing_op_type"
    FOREIGN_DOMAIN = "foreign_domain"
    OP_NOT_ALLOWED = "op_not_allowed"
    ATTRIBUTE_TYPE = "attribute_type"
    ATTRIBUTE_REFERENCE = "attribute_reference"
    ATTRIBUTE_POLICY = "attribute_policy"
    EXTERNAL_DATA = "external_data"
    TOO_MANY_LOOPS = "too_many_loops"
    LOOP_TRIP_COUNT = "loop_trip_count"


NEXT_STEPS: Mapping[Reason, str] = {
    Reason.FILE_TOO_LARGE: "make the model smaller",
    Reason.TOO_MANY_FIELDS: "make the graph smaller",
    Reason.TOO_DEEP: "nest fewer subgraphs",
    Reason.ORT_FORMAT: "save the model in the ONNX format",
    Reason.MISSING_GRAPH: "give an ONNX model",
    Reason.BAD_OPSET: "import the default domain once",
    Reason.FUNCTIONS: "inline the functions before saving",
    Reason.TRAINING_INFO: "save the model for inference",
    Reason.MISSING_OP_TYPE: "give every node an op_type",
    Reason.FOREIGN_DOMAIN: "use operators of the default ONNX domain only",
    Reason.OP_NOT_ALLOWED: "express the model with operators of core/src/dnn/op_allowlist.c",
    Reason.ATTRIBUTE_TYPE: "give each attribute its one value, of the type that it states",
    Reason.ATTRIBUTE_REFERENCE: "inline the functions before saving",
    Reason.ATTRIBUTE_POLICY: "use an attribute value of the policy in core/src/dnn/op_allowlist.c",
    Reason.EXTERNAL_DATA: "save all tensors inside the one file",
    Reason.TOO_MANY_LOOPS: "use fewer Loop nodes",
    Reason.LOOP_TRIP_COUNT: "make the trip count a constant within the limit, outside of other Loops",
    Reason.EMBEDDED_NUL: "remove the NUL byte from the name",
}
"""What to do about a reason; the reasons left out mean a damaged file."""

DAMAGED = "export the model again, the file is damaged or made by hand"


@dataclass(frozen=True)
class Allowlist:
    """The operators and attribute values that a model may use.

    Attributes:
        ops: operator names of the default domain, in the order of the C array.
        policy: per limited operator, per attribute, the permitted values: a string for a
            STRING attribute, a decimal for an INT attribute, ``"*"`` for any value of any type.
            An operator with an entry takes no attribute that is not in it.
        path: the C file that they were read from.
    """

    ops: tuple[str, ...]
    policy: Mapping[str, Mapping[str, frozenset[str]]]
    path: Path


@dataclass(frozen=True)
class Violation:
    """One reason to refuse a model, with the place that gave it.

    Text read from the model is escaped: printable ASCII as it is, other bytes as ``\\xNN``.

    Attributes:
        reason: the reason code.
        domain: the node's domain, ``""`` for the default one or outside a node.
        op: the node's op type, ``""`` outside a node.
        node: the node's name, ``""`` if it has none.
        detail: the field, attribute or tensor at fault.
        offset: where in the file the faulty field or message begins, in bytes.
    """

    reason: Reason
    domain: str
    op: str
    node: str
    detail: str
    offset: int

    def __str__(self) -> str:
        place = ""
        if self.op or self.domain or self.node:
            place = f' in node "{self.node}" (op "{self.op}", domain "{self.domain}")'
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.reason}{detail}{place} at byte {self.offset}"


@dataclass(frozen=True)
class AllowlistReport:
    """The verdict on one model.

    Attributes:
        path: the file, or None for a model given in memory.
        ok: True if nothing was found against it.
        ops: sorted names of the operators used in the default domain, subgraphs and functions
            included; complete only if no violation ended the walk early.
        opset: version of the default domain, None if it could not be read.
        nodes: number of nodes, subgraphs and functions included.
        violations: what was found, first one first. The first is what the C scanner reports.
    """

    path: Path | None
    ok: bool
    ops: tuple[str, ...]
    opset: int | None
    nodes: int
    violations: tuple[Violation, ...]

    def require(self) -> None:
        """Return if the model was accepted.

        Raises:
            ContractError: it was refused; the message tells the first violation.
        """
        if self.ok:
            return
        first = self.violations[0]
        raise ContractError(
            str(self.path) if self.path else "the model in memory",
            expected="a model that the runtime loads",
            found=str(first),
            next_step=NEXT_STEPS.get(first.reason, DAMAGED),
        )

    def __str__(self) -> str:
        name = str(self.path) if self.path else "model"
        if self.ok:
            return f"ok {name}: opset {self.opset}, {self.nodes} nodes"
        return f"refused {name}: {self.violations[0]}"
