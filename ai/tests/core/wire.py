"""Protobuf bytes written by hand, for what no library would write."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """Encode 0 to 2**64 - 1 in the shortest form."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire: int) -> bytes:
    """Encode a field's tag."""
    return varint(number << 3 | wire)


def integer(number: int, value: int) -> bytes:
    """Encode a varint field."""
    return tag(number, 0) + varint(value)


def chunk(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field."""
    return tag(number, 2) + varint(len(payload)) + payload


def opset(version: int = 17, domain: bytes = b"") -> bytes:
    """Encode ModelProto.opset_import."""
    return chunk(8, (chunk(1, domain) if domain else b"") + integer(2, version))


def model(*graph: bytes, after: bytes = b"") -> bytes:
    """Encode a ModelProto whose graph is the concatenated fields, then ``after``, then the opset."""
    return integer(1, 8) + chunk(7, b"".join(graph)) + after + opset()


def node(*extra: bytes, op: bytes | None = b"Relu", name: bytes = b"n0") -> bytes:
    """Encode GraphProto.node with the op type, unless None, before the extra fields."""
    head = chunk(1, b"x") + chunk(2, b"y") + chunk(3, name)
    return chunk(1, head + (b"" if op is None else chunk(4, op)) + b"".join(extra))
