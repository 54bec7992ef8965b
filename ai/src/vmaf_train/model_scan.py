"""The walk over a model's bytes: the Python twin of ``core/src/dnn/onnx_scan.c``.

Both walks read the wire format themselves, in the same order and with the same limits, so that
they give the same verdict, reason, place and text on any bytes, damaged ones included. This one
goes on after a violation that leaves the structure readable, to report the others as well.
"""

from __future__ import annotations

from vmaf_train.loop_bound import trip_count_ok
from vmaf_train.onnx_schema import ATTRIBUTE_VALUE, LABELS, SCHEMA, Message
from vmaf_train.scan_report import Allowlist, Reason
from vmaf_train.scan_state import (
    LONG_TEXT,
    MAX_LOOPS,
    MAX_MODEL_BYTES,
    MAX_NESTING,
    MAX_SUBGRAPH_DEPTH,
    NAME_TEXT,
    FieldRead,
    Frame,
    NodeText,
    Scan,
    StopScan,
    default_domain,
    shown,
)

__all__ = ["scan_bytes"]

_INT, _STRING = 2, 3
_SINGLE_TYPES = frozenset((1, 2, 3, 4, 5, 11, 13))
_VALUE_FIELDS = frozenset(ATTRIBUTE_VALUE.values())
_HAS_INNER = {
    message: frozenset(number for number, field in fields.items() if field.inner is not None)
    for message, fields in SCHEMA.items()
}
_NODE_INNER, _TENSOR_INNER, _ATTRIBUTE_INNER = (
    _HAS_INNER[message] for message in (Message.NODE, Message.TENSOR, Message.ATTRIBUTE)
)
_OPSET_MAX = (1 << 31) - 1


def scan_bytes(data: bytes, allowlist: Allowlist) -> Scan:
    """Walk a serialized ModelProto and return what was found; never raises on any bytes."""
    scan = Scan(data, allowlist)
    try:
        if len(data) > MAX_MODEL_BYTES:
            scan.stop(Reason.FILE_TOO_LARGE, 0)
        # How ONNX Runtime tells a file of its own format, whatever else the bytes may be.
        if len(data) > 8 and data[4:8] == b"ORTM":
            scan.stop(Reason.ORT_FORMAT, 0)
        _model(scan)
    except StopScan:
        pass
    return scan


def _model(scan: Scan) -> None:
    frame = Frame(0, 0, -1, None)
    graphs = 0
    for read in scan.fields(Message.MODEL, 0, len(scan.data)):
        number, _, first, last = read
        inner = SCHEMA[Message.MODEL][number].inner
        if number == 8:
            _opset(scan, first, last)
        elif number == 20:
            scan.report(Reason.TRAINING_INFO, first)
        elif number == 25:
            scan.report(Reason.FUNCTIONS, first)
            _plain(scan, Message.FUNCTION, read, 1, Frame(first, first, 0, None))
        elif inner is not None:
            graphs += inner == Message.GRAPH
            _inner(scan, inner, read, 1, frame)
    if not graphs:
        scan.report(Reason.MISSING_GRAPH, 0)
    elif scan.opset is None:
        scan.report(Reason.BAD_OPSET, 0)


def _opset(scan: Scan, start: int, end: int) -> None:
    domain, version = b"", 0
    for number, value, first, last in scan.fields(Message.OPSET, start, end):
        if number == 1:
            domain = scan.text(first, last)
        else:
            version = value
    if not default_domain(domain):
        return
    if scan.opset is not None or not 1 <= version <= _OPSET_MAX:
        scan.report(Reason.BAD_OPSET, start)
    else:
        scan.opset = version


def _inner(scan: Scan, inner: Message, read: FieldRead, level: int, frame: Frame) -> None:
    """Walk a message inside another one; ``frame`` is the graph around it."""
    first = read[2]
    if level > MAX_NESTING:
        scan.stop(Reason.TOO_DEEP, first, LABELS[inner])
    if inner == Message.GRAPH:
        frame = Frame(first, read[3], frame.depth + 1, frame)
        if frame.depth > MAX_SUBGRAPH_DEPTH:
            scan.stop(Reason.TOO_DEEP, first, LABELS[inner])
    if inner == Message.NODE:
        _node(scan, read, level, frame)
    elif inner == Message.ATTRIBUTE:
        _attribute(scan, read, level, frame)
    elif inner == Message.TENSOR:
        _tensor(scan, read, level, frame)
    else:
        _plain(scan, inner, read, level, frame)


def _plain(scan: Scan, message: Message, outer: FieldRead, level: int, frame: Frame) -> None:
    """Walk what is inside a message that has no rule of its own."""
    if outer[2] == outer[3]:
        return
    table = SCHEMA[message]
    for read in scan.fields(message, outer[2], outer[3]):
        inner = table[read[0]].inner
        if inner is not None:
            _inner(scan, inner, read, level + 1, frame)


def _from(rest: int, outer: FieldRead) -> FieldRead:
    """Return the part of a message from offset ``rest`` on, where the first message in it stands."""
    return outer[0], 0, rest, outer[3]


def _tensor(scan: Scan, outer: FieldRead, level: int, frame: Frame) -> None:
    name, external, rest = b"", False, outer[3]
    for number, value, first, last in scan.fields(Message.TENSOR, outer[2], outer[3]):
        if number == 8:
            name = scan.text(first, last)
        elif number == 13 or (number == 14 and value != 0):
            external = True
        if number in _TENSOR_INNER:
            rest = min(rest, scan.at)
    if external:
        scan.report(Reason.EXTERNAL_DATA, outer[2], shown(name, LONG_TEXT))
    _plain(scan, Message.TENSOR, _from(rest, outer), level, frame)


def _node(scan: Scan, outer: FieldRead, level: int, frame: Frame) -> None:
    # Two passes: the fields may stand in any order, and the attributes are judged by the op.
    around, rest = scan.node, outer[3]
    node = NodeText(in_loop=around.in_loop or around.op == b"Loop")
    scan.node = node
    scan.nodes += 1
    for number, _, first, last in scan.fields(Message.NODE, outer[2], outer[3]):
        if number == 1:
            if node.inputs == 0:
                node.first_input = scan.text(first, last)
            elif node.inputs == 2:
                node.third_input = scan.text(first, last)
            node.inputs += 1
        elif number == 3:
            node.name = scan.text(first, last)
        elif number == 4:
            node.op = scan.text(first, last)
        elif number == 7:
            node.domain = scan.text(first, last)
        elif number in _NODE_INNER:
            rest = min(rest, scan.at)
    _judge_node(scan, outer[2], frame)
    _plain(scan, Message.NODE, _from(rest, outer), level, frame)
    scan.node = around


def _judge_node(scan: Scan, start: int, frame: Frame) -> None:
    node = scan.node
    if not node.op:
        scan.report(Reason.MISSING_OP_TYPE, start)
        return
    if not default_domain(node.domain):
        scan.report(Reason.FOREIGN_DOMAIN, start)
        return
    scan.ops.add(shown(node.op, NAME_TEXT))
    if node.op not in scan.allowed:
        scan.report(Reason.OP_NOT_ALLOWED, start)
        return
    if node.op == b"Loop":
        scan.loops += 1
        if scan.loops > MAX_LOOPS:
            scan.stop(Reason.TOO_MANY_LOOPS, start)
        if node.in_loop or not trip_count_ok(scan, node.first_input, frame):
            scan.report(Reason.LOOP_TRIP_COUNT, start)
    elif node.op == b"Dropout" and node.third_input:  # training mode
        scan.report(Reason.ATTRIBUTE_POLICY, start, shown(node.third_input, LONG_TEXT))


def _attribute(scan: Scan, outer: FieldRead, level: int, frame: Frame) -> None:
    start = outer[2]
    name, text, number_value, kind = b"", b"", 0, 0
    reference, rest = False, outer[3]
    values: set[int] = set()
    for number, value, first, last in scan.fields(Message.ATTRIBUTE, start, outer[3]):
        if number in _VALUE_FIELDS:
            values.add(number)
            if number in _ATTRIBUTE_INNER:
                rest = min(rest, scan.at)
        if number == 1:
            name = scan.text(first, last)
        elif number == 3:
            number_value = value
        elif number == 4:
            text = scan.text(first, last)
        elif number == 20:
            kind = value
        elif number == 21:
            reference = last > first
    expected = ATTRIBUTE_VALUE.get(kind)
    if reference:
        scan.report(Reason.ATTRIBUTE_REFERENCE, start, shown(name, LONG_TEXT))
    elif expected is None or values - {expected} or (kind in _SINGLE_TYPES and not values):
        scan.report(Reason.ATTRIBUTE_TYPE, start, shown(name, LONG_TEXT))
    elif not _permitted(scan, name, kind, text, number_value):
        scan.report(Reason.ATTRIBUTE_POLICY, start, shown(name, LONG_TEXT))
    _plain(scan, Message.ATTRIBUTE, _from(rest, outer), level, frame)


def _permitted(scan: Scan, name: bytes, kind: int, text: bytes, number: int) -> bool:
    """Tell whether the policy lets the node carry the attribute with this value."""
    node = scan.node
    if not default_domain(node.domain):
        return True
    rules = scan.rules.get(node.op)
    if rules is None:
        return True
    values = rules.get(name, frozenset())
    if b"*" in values:
        return True
    if kind == _STRING:
        return text in values
    # A negative INT is a varint above 2**63 here; no rule can name it.
    return kind == _INT and str(number).encode() in values
