"""What a walk over a model has found, and the field reader that every step of it goes through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from vmaf_train.onnx_schema import LABELS, SCHEMA, Field, Form, Message
from vmaf_train.pb_reader import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    PbError,
    PbReader,
    packed_varints_ok,
)
from vmaf_train.scan_report import Allowlist, Reason, Violation

__all__ = [
    "MAX_FIELDS",
    "MAX_LOOPS",
    "MAX_MODEL_BYTES",
    "MAX_NESTING",
    "MAX_SUBGRAPH_DEPTH",
    "MAX_TRIP_COUNT",
    "Frame",
    "NodeText",
    "Scan",
    "StopScan",
    "default_domain",
    "shown",
]

MAX_MODEL_BYTES = 50 * 1024 * 1024
"""The loader refuses a larger model file."""
MAX_FIELDS = 1 << 20
MAX_NESTING = 64
MAX_SUBGRAPH_DEPTH = 8
MAX_LOOPS = 16
MAX_TRIP_COUNT = 1024
MAX_VIOLATIONS = 100

NAME_TEXT, LONG_TEXT = 63, 127
_WIRE = {
    Form.INT64: VARINT,
    Form.INT32: VARINT,
    Form.FLOAT: FIXED32,
    Form.TEXT: BYTES,
    Form.BLOB: BYTES,
    Form.MESSAGE: BYTES,
    Form.PACKED_FLOATS: FIXED32,
    Form.PACKED_DOUBLES: FIXED64,
    Form.PACKED_INTS: VARINT,
}
_INT32_MAX, _INT32_MIN = (1 << 31) - 1, (1 << 64) - (1 << 31)

_NUMBER, _BYTES, _TEXT = 0, 1, 2
_NOT_SHORT = (0, 0, _NUMBER)


def _short_fields(message: Message) -> list[tuple[int, int, int]]:
    """Return number, bit (0 if it may repeat) and kind of the field under each tag below 256.

    The number is 0 where there is no such field, and for forms that are seldom short.
    """
    kinds = {
        Form.INT64: _NUMBER,
        Form.INT32: _NUMBER,
        Form.PACKED_INTS: _NUMBER,
        Form.BLOB: _BYTES,
        Form.MESSAGE: _BYTES,
        Form.TEXT: _TEXT,
    }
    table = [_NOT_SHORT] * 256
    for number, spec in SCHEMA[message].items():
        if spec.form in kinds:
            bit = 0 if spec.repeated else 1 << number
            table[number << 3 | _WIRE[spec.form]] = number, bit, kinds[spec.form]
    return table


_SHORT = {message: _short_fields(message) for message in Message}

FieldRead = tuple[int, int, int, int]
"""Number, varint value (else 0), and the offsets of the first byte and behind the last one."""


def default_domain(domain: bytes) -> bool:
    """Tell whether ``domain`` names the default ONNX domain: it has two spellings."""
    return domain in (b"", b"ai.onnx")


def shown(text: bytes, limit: int) -> str:
    """Return ``text`` as printable ASCII of at most ``limit`` characters; never half an escape."""
    parts: list[str] = []
    size = 0
    for byte in text[:limit]:
        part = chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}"
        size += len(part)
        if size > limit:
            break
        parts.append(part)
    return "".join(parts)


class StopScan(Exception):  # noqa: N818 - it ends a walk, it is not an error
    """The walk cannot or need not go on; what was found is in the scan."""


@dataclass
class NodeText:
    """What is known of the node being read."""

    op: bytes = b""
    domain: bytes = b""
    name: bytes = b""
    inputs: int = 0
    first_input: bytes = b""
    third_input: bytes = b""
    in_loop: bool = False
    """Whether it stands in a Loop's body, however deep."""


@dataclass(frozen=True)
class Frame:
    """One graph on the path from the model to the node being read."""

    start: int
    end: int
    depth: int
    parent: Frame | None


@dataclass
class Scan:
    """What a walk has found so far."""

    data: bytes
    allowlist: Allowlist
    violations: list[Violation] = field(default_factory=list)
    ops: set[str] = field(default_factory=set)
    opset: int | None = None
    nodes: int = 0
    loops: int = 0
    fields_read: int = 0
    node: NodeText = field(default_factory=NodeText)
    at: int = 0
    """Offset of the tag of the field that was read last."""
    runs: set[tuple[int, int]] = field(default_factory=set)
    """Packed integers that were found right, by first byte and end."""
    allowed: frozenset[bytes] = frozenset()
    rules: dict[bytes, dict[bytes, frozenset[bytes]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The model's text is bytes and need not be UTF-8, so the list is compared as bytes.
        self.allowed = frozenset(op.encode() for op in self.allowlist.ops)
        self.rules = {
            op.encode(): {
                name.encode(): frozenset(value.encode() for value in values)
                for name, values in attributes.items()
            }
            for op, attributes in self.allowlist.policy.items()
        }

    def report(self, reason: Reason, offset: int, detail: str = "") -> None:
        """Note a violation that leaves the structure readable."""
        self.violations.append(
            Violation(
                reason=reason,
                domain=shown(self.node.domain, NAME_TEXT),
                op=shown(self.node.op, NAME_TEXT),
                node=shown(self.node.name, LONG_TEXT),
                detail=detail,
                offset=offset,
            )
        )
        if len(self.violations) >= MAX_VIOLATIONS:
            raise StopScan

    def stop(self, reason: Reason, offset: int, detail: str = "") -> NoReturn:
        """Note a violation and end the walk."""
        self.report(reason, offset, detail)
        raise StopScan

    def text(self, first: int, last: int) -> bytes:
        """Return the bytes of a TEXT or BLOB field."""
        return self.data[first:last]

    def fields(self, message: Message, start: int, end: int) -> Iterator[FieldRead]:
        """Read the fields of one message in the order in which they stand, each one checked."""
        data, short = self.data, _SHORT[message]
        position, seen = start, 0
        while position < end:
            # Nearly every field has a tag of one byte, or of two for a number from 16 to 31, and an
            # integer or a length below 128. Whatever else it is, or has a fault, is read below.
            if end - position >= 3 and self.fields_read < MAX_FIELDS:
                tag, rest = data[position], position + 1
                if tag < 128:
                    number, bit, kind = short[tag]
                else:
                    number, bit, kind = short[tag] if data[rest] == 1 else _NOT_SHORT
                    rest += 1
                value, first = data[rest], rest + 1
                if number and value < 128 and not seen & bit:
                    last = first + value if kind else first
                    if last <= end and (kind < _TEXT or data.find(0, first, last) < 0):
                        self.fields_read += 1
                        self.at = position
                        seen |= bit
                        position = last
                        yield (number, 0, first, last) if kind else (number, value, rest, first)
                        continue
            at = position
            read, bit = self._field(message, seen, at, end)
            seen |= bit
            self.at = at
            position = read[3]
            yield read

    def _field(self, message: Message, seen: int, at: int, end: int) -> tuple[FieldRead, int]:
        """Read a field of any kind at ``at``; the integer is its bit in ``seen``, 0 if it may repeat."""
        reader = PbReader(self.data, at, end)
        detail, bit = LABELS[message], 0
        if self.fields_read >= MAX_FIELDS:
            self.stop(Reason.TOO_MANY_FIELDS, at, detail)
        self.fields_read += 1
        try:
            number, wire = reader.tag()
            detail = f"{detail} field {number}"
            spec = SCHEMA[message].get(number)
            if spec is None:
                raise PbError(Reason.UNKNOWN_FIELD)
            if wire != _WIRE[spec.form] and not (wire == BYTES and spec.form >= Form.PACKED_FLOATS):
                raise PbError(Reason.WRONG_WIRE_TYPE)
            bit = 0 if spec.repeated else 1 << number
            if seen & bit:
                raise PbError(Reason.DUPLICATE_FIELD)
            read = self._value(reader, number, wire, spec)
        except PbError as error:
            self.stop(error.reason, at, detail)
        if spec.form == Form.TEXT and self.data.find(0, read[2], read[3]) >= 0:
            self.stop(Reason.EMBEDDED_NUL, at, shown(self.text(read[2], read[3]), LONG_TEXT))
        return read, bit

    def _value(self, reader: PbReader, number: int, wire: int, spec: Field) -> FieldRead:
        if wire == VARINT:
            first = reader.position
            value = reader.varint()
            if spec.form == Form.INT32 and _INT32_MAX < value < _INT32_MIN:
                raise PbError(Reason.LOSSY_VALUE)
            return number, value, first, reader.position
        size = reader.varint() if wire == BYTES else 4 if wire == FIXED32 else 8
        first = reader.span(size)
        last = first + size
        if wire == BYTES and spec.form >= Form.PACKED_FLOATS:
            if spec.form == Form.PACKED_INTS:
                # A graph is read again for each Loop in it; its long runs are not.
                if (first, last) not in self.runs:
                    if not packed_varints_ok(self.data, first, last):
                        raise PbError(Reason.BAD_VARINT)
                    self.runs.add((first, last))
            elif size % (4 if spec.form == Form.PACKED_FLOATS else 8):
                raise PbError(Reason.TRUNCATED)
        return number, 0, first, last
