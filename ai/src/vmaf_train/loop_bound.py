"""Whether a Loop's trip count is a small constant: the twin of ``core/src/dnn/loop_bound.c``."""

from __future__ import annotations

from typing import NamedTuple

from vmaf_train.onnx_schema import Message
from vmaf_train.pb_reader import PbReader
from vmaf_train.scan_state import MAX_TRIP_COUNT, Frame, Scan, default_domain

__all__ = ["trip_count_ok"]

_INT_ATTRIBUTE, _TENSOR_ATTRIBUTE = 2, 4
_INT64_TENSOR = 7

_NAMED_BY = {
    1: (Message.NODE, 2),  # its outputs
    5: (Message.TENSOR, 8),  # an initializer's name
    11: (Message.VALUE_INFO, 1),  # a graph input's name
}
"""Field of GraphProto to the message in it and that message's field with the defined name."""


class _Definition(NamedTuple):
    """Where a value comes from: the message, and the offsets of its payload."""

    message: Message
    start: int
    end: int


def trip_count_ok(scan: Scan, name: bytes, frame: Frame | None) -> bool:
    """Tell whether the value ``name`` is a constant from 0 to ``MAX_TRIP_COUNT`` in a graph's scope.

    The innermost graph that defines the name decides. It must define it once, as an initializer
    or as the output of a Constant node: what is also a graph input can be set by the caller.

    Raises:
        StopScan: a graph that was searched is damaged; the scan holds the violation.
    """
    while name and frame is not None:
        definitions = _definitions(scan, name, frame)
        if definitions:
            return len(definitions) == 1 and _constant_ok(scan, definitions[0])
        frame = frame.parent
    return False


def _definitions(scan: Scan, name: bytes, frame: Frame) -> list[_Definition]:
    """Return the places in one graph, outside its subgraphs, that define ``name``."""
    found: list[_Definition] = []
    for number, _, first, last in scan.fields(Message.GRAPH, frame.start, frame.end):
        if number in _NAMED_BY:
            place = _Definition(_NAMED_BY[number][0], first, last)
            found += [place] * _count(scan, place, _NAMED_BY[number][1], name)
        elif number == 15:
            for inner, _, start, end in scan.fields(Message.SPARSE_TENSOR, first, last):
                if inner == 1:
                    count = _count(scan, _Definition(Message.TENSOR, start, end), 8, name)
                    found += [_Definition(Message.SPARSE_TENSOR, first, last)] * count
    return found


def _count(scan: Scan, place: _Definition, field: int, name: bytes) -> int:
    """Count how often the TEXT field ``field`` of the message at ``place`` is ``name``."""
    return sum(
        number == field and scan.text(first, last) == name
        for number, _, first, last in scan.fields(place.message, place.start, place.end)
    )


def _constant_ok(scan: Scan, definition: _Definition) -> bool:
    if definition.message == Message.TENSOR:
        return _tensor_ok(scan, definition.start, definition.end)
    return definition.message == Message.NODE and _constant_node_ok(scan, definition.start, definition.end)


def _constant_node_ok(scan: Scan, start: int, end: int) -> bool:
    op = domain = b""
    attributes: list[tuple[int, int]] = []
    for number, _, first, last in scan.fields(Message.NODE, start, end):
        if number == 4:
            op = scan.text(first, last)
        elif number == 7:
            domain = scan.text(first, last)
        elif number == 5:
            attributes.append((first, last))
    if op != b"Constant" or not default_domain(domain) or len(attributes) != 1:
        return False
    name, kind, value = b"", 0, -1
    tensor: tuple[int, int] | None = None
    for number, read, first, last in scan.fields(Message.ATTRIBUTE, *attributes[0]):
        if number == 1:
            name = scan.text(first, last)
        elif number == 3:
            value = read
        elif number == 5:
            tensor = (first, last)
        elif number == 20:
            kind = read
    if name == b"value_int" and kind == _INT_ATTRIBUTE:
        return 0 <= value <= MAX_TRIP_COUNT
    if name == b"value" and kind == _TENSOR_ATTRIBUTE and tensor is not None:
        return _tensor_ok(scan, *tensor)
    return False


def _tensor_ok(scan: Scan, start: int, end: int) -> bool:
    """Tell whether the tensor is one int64 from 0 to ``MAX_TRIP_COUNT``, scalar or of shape [1]."""
    kind = 0
    dims: list[int] = []
    values: list[int] = []
    foreign = False
    for number, read, first, last in scan.fields(Message.TENSOR, start, end):
        if number == 1:
            dims += _integers(scan, first, last)
        elif number == 2:
            kind = read
        elif number == 7:
            values += _integers(scan, first, last)
        elif number == 9:
            foreign = foreign or last - first != 8
            values.append(int.from_bytes(scan.data[first : min(last, first + 8)], "little"))
        elif number in (4, 5, 6, 10, 11, 13, 14):
            foreign = True
    shape_ok = not dims or dims == [1]
    return (
        not foreign
        and kind == _INT64_TENSOR
        and shape_ok
        and len(values) == 1
        and values[0] <= MAX_TRIP_COUNT
    )


def _integers(scan: Scan, first: int, last: int) -> list[int]:
    """Read a run of varints that the field reader has checked; two are enough to know it is not one."""
    reader = PbReader(scan.data, first, last)
    values: list[int] = []
    while reader.position < last and len(values) < 2:
        values.append(reader.varint())
    return values
