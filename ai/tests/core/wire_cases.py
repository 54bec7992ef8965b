"""Models written byte by byte, with the verdict that both scanners must give, by name."""

from __future__ import annotations

from typing import NamedTuple

from core import wire


class Case(NamedTuple):
    """A model's bytes and the name of the reason, ``"ok"`` if it is accepted."""

    data: bytes
    reason: str


def nested_type(depth: int) -> bytes:
    """Return a model whose input is a sequence of a sequence and so on."""
    payload = wire.chunk(1, wire.integer(1, 1))
    for _ in range(depth):
        payload = wire.chunk(4, wire.chunk(1, payload))
    return wire.model(wire.chunk(11, wire.chunk(1, b"x") + wire.chunk(2, payload)))


def wire_cases() -> dict[str, Case]:
    """Return the cases that no library would write."""
    plain = wire.node()

    def attribute(payload: bytes) -> bytes:
        return wire.model(wire.node(wire.chunk(5, wire.chunk(1, b"a") + payload)))

    def tensor(payload: bytes) -> bytes:
        return wire.model(plain, wire.chunk(5, wire.chunk(8, b"w") + payload))

    group = wire.tag(6, 3) + wire.tag(6, 4)
    return {
        "nothing": Case(b"", "missing_graph"),
        "text": Case(b"<!DOCTYPE html>", "bad_tag"),
        "empty graph": Case(wire.model(), "ok"),
        "two graphs": Case(
            wire.model(plain, after=wire.chunk(7, wire.node(op=b"NonZero"))), "duplicate_field"
        ),
        "two op types": Case(wire.model(wire.node(wire.chunk(4, b"NonZero"))), "duplicate_field"),
        "op type after the attributes": Case(
            wire.model(
                wire.node(
                    wire.chunk(5, wire.chunk(1, b"a") + wire.integer(20, 7)), wire.chunk(4, b"Elu"), op=None
                )
            ),
            "ok",
        ),
        "op type as a number": Case(wire.model(wire.node(wire.integer(4, 7), op=None)), "wrong_wire_type"),
        "empty op type": Case(wire.model(wire.node(op=b"")), "missing_op_type"),
        "op type beyond ASCII": Case(wire.model(wire.node(op=b"Rel\xff\\u")), "op_not_allowed"),
        "very long op type": Case(wire.model(wire.node(op=b"R" * 300)), "op_not_allowed"),
        "very long escaped name": Case(wire.model(wire.node(op=b"No", name=b"\x01" * 300)), "op_not_allowed"),
        "NUL in a node's input": Case(wire.model(wire.node(wire.chunk(1, b"a\0"))), "embedded_nul"),
        "NUL in the domain": Case(wire.model(wire.node(wire.chunk(7, b"\0"))), "embedded_nul"),
        "NUL in an attribute's name": Case(attribute(wire.chunk(13, b"\0")), "embedded_nul"),
        "NUL in a tensor's name": Case(wire.model(wire.chunk(5, wire.chunk(8, b"w\0"))), "embedded_nul"),
        "group": Case(wire.model(plain, after=group), "bad_tag"),
        "wire type six": Case(wire.model(plain, after=wire.tag(1, 6)), "bad_tag"),
        "field of the future": Case(wire.model(plain, wire.chunk(17, b"")), "unknown_field"),
        "deprecated attribute value": Case(attribute(wire.chunk(12, b"")), "unknown_field"),
        "device annotation": Case(wire.model(plain, after=wire.chunk(26, b"")), "unknown_field"),
        "tensor segment": Case(tensor(wire.chunk(3, b"")), "unknown_field"),
        "largest field number": Case(wire.model(plain, wire.integer((1 << 29) - 1, 0)), "unknown_field"),
        "field number beyond the largest": Case(wire.model(plain, wire.integer(1 << 29, 0)), "bad_tag"),
        "overlong tag": Case(wire.model(plain, b"\x90\x00"), "bad_varint"),
        "overlong length": Case(wire.model(plain, wire.tag(2, 2) + b"\x80\x00"), "bad_varint"),
        "length of 64 bits": Case(
            wire.model(plain, wire.tag(2, 2) + wire.varint((1 << 64) - 1)), "truncated"
        ),
        "varint of 65 bits": Case(
            wire.model(plain, after=wire.tag(5, 0) + b"\xff" * 9 + b"\x02"), "bad_varint"
        ),
        "attribute of no type": Case(attribute(b""), "attribute_type"),
        "attribute of type undefined": Case(attribute(wire.integer(20, 0)), "attribute_type"),
        "attribute of type 15": Case(attribute(wire.integer(20, 15)), "attribute_type"),
        "attribute of a negative type": Case(attribute(wire.integer(20, (1 << 64) - 1)), "attribute_type"),
        "attribute type beyond 32 bits": Case(attribute(wire.integer(20, (1 << 32) + 1)), "lossy_value"),
        "attribute without its value": Case(attribute(wire.integer(20, 2)), "attribute_type"),
        "attribute of two values": Case(
            attribute(wire.integer(20, 2) + wire.integer(3, 1) + wire.chunk(4, b"s")), "attribute_type"
        ),
        "graph in an attribute of type int": Case(
            attribute(wire.integer(20, 2) + wire.integer(3, 1) + wire.chunk(6, wire.node(op=b"NonZero"))),
            "attribute_type",
        ),
        **{
            f"attribute of {name}": Case(attribute(numbers + wire.integer(20, of_type)), reason)
            for name, numbers, of_type, reason in (
                ("an integer", wire.integer(3, 127), 2, "ok"),
                ("an integer of two bytes", wire.integer(3, 128), 2, "ok"),
                ("two integers", wire.integer(3, 1) * 2, 2, "duplicate_field"),
                ("an integer under the list's tag", wire.integer(8, 1), 2, "attribute_type"),
                ("an overlong integer", wire.tag(3, 0) + b"\x80\x00", 2, "bad_varint"),
                ("integers", wire.integer(8, 1) * 4, 7, "ok"),
                ("no integers", b"", 7, "ok"),
                ("integers of two bytes", wire.integer(8, 1) + wire.integer(8, 200), 7, "ok"),
                (
                    "integers and one under the other tag",
                    wire.integer(8, 1) + wire.integer(3, 1),
                    7,
                    "attribute_type",
                ),
                (
                    "integers and an unknown field",
                    wire.integer(8, 1) + wire.integer(12, 1),
                    7,
                    "unknown_field",
                ),
                (
                    "integers with a second name",
                    wire.integer(8, 1) + wire.chunk(1, b""),
                    7,
                    "duplicate_field",
                ),
                ("integers of type floats", wire.integer(8, 1), 6, "attribute_type"),
            )
        },
        "NUL in the name of an attribute of integers": Case(
            wire.model(
                wire.node(wire.chunk(5, wire.chunk(1, b"a\0b") + wire.integer(8, 1) + wire.integer(20, 7)))
            ),
            "embedded_nul",
        ),
        "attribute of a longer name than it holds": Case(
            wire.model(
                wire.node(
                    wire.chunk(5, wire.tag(1, 2) + b"\x07" + b"a" + wire.integer(8, 1) + wire.integer(20, 7))
                )
            ),
            "truncated",
        ),
        "packed and single floats": Case(
            attribute(wire.integer(20, 6) + wire.chunk(7, b"1234") + wire.tag(7, 5) + b"5678"), "ok"
        ),
        "packed floats cut short": Case(attribute(wire.integer(20, 6) + wire.chunk(7, b"123")), "truncated"),
        "packed ints cut short": Case(
            attribute(wire.integer(20, 7) + wire.chunk(8, b"\x01\x80")), "bad_varint"
        ),
        "packed ints overlong": Case(
            attribute(wire.integer(20, 7) + wire.chunk(8, b"\x80\x00")), "bad_varint"
        ),
        "packed int of 64 bits": Case(
            attribute(wire.integer(20, 7) + wire.chunk(8, b"\xff" * 9 + b"\x01")), "ok"
        ),
        **{
            f"packed ints of {name} behind {before} bytes": Case(
                tensor(wire.chunk(7, b"\x01" * before + varint + b"\x01" * 200)), reason
            )
            for before in (0, 1, 55, 57, 60, 61, 62, 63, 64, 127)
            for name, varint, reason in (
                ("seven bytes", b"\xff" * 6 + b"\x01", "ok"),
                ("ten bytes", b"\xff" * 9 + b"\x01", "ok"),
                ("65 bits", b"\xff" * 9 + b"\x02", "bad_varint"),
                ("eleven bytes", b"\xff" * 10 + b"\x01", "bad_varint"),
                ("two bytes overlong", b"\x80\x00", "bad_varint"),
                ("four bytes overlong", b"\xff\x80\x80\x00", "bad_varint"),
                ("zero", b"\x00\x00", "ok"),
            )
        },
        "packed ints cut short behind a block": Case(
            tensor(wire.chunk(7, b"\x01" * 127 + b"\x80")), "bad_varint"
        ),
        "doubles as floats": Case(tensor(wire.tag(10, 5) + b"1234"), "wrong_wire_type"),
        "packed doubles cut short": Case(tensor(wire.chunk(10, b"1234")), "truncated"),
        "data location default": Case(tensor(wire.integer(14, 0)), "ok"),
        "data location external": Case(tensor(wire.integer(14, 1)), "external_data"),
        "data location unknown": Case(tensor(wire.integer(14, 2)), "external_data"),
        "data location that a library cuts to external": Case(
            tensor(wire.integer(14, (1 << 32) + 1)), "lossy_value"
        ),
        "data location of the least int": Case(
            tensor(wire.integer(14, (1 << 64) - (1 << 31))), "external_data"
        ),
        "data location below the least int": Case(
            tensor(wire.integer(14, (1 << 64) - (1 << 31) - 1)), "lossy_value"
        ),
        "data location twice": Case(tensor(wire.integer(14, 0) + wire.integer(14, 1)), "duplicate_field"),
        "external entry under a default location": Case(
            tensor(wire.chunk(13, wire.chunk(1, b"k"))), "external_data"
        ),
        "two default opsets": Case(wire.model(plain, after=wire.opset()), "bad_opset"),
        "two spellings of the default opset": Case(
            wire.model(plain, after=wire.opset(17, b"ai.onnx")), "bad_opset"
        ),
        "opset zero": Case(wire.integer(1, 8) + wire.chunk(7, plain) + wire.opset(0), "bad_opset"),
        "opset beyond 31 bits": Case(
            wire.integer(1, 8) + wire.chunk(7, plain) + wire.opset(1 << 31), "bad_opset"
        ),
        "opset before the graph": Case(wire.opset() + wire.chunk(7, plain), "ok"),
        "type nested within the limit": Case(nested_type(30), "ok"),
        "type nested too deep": Case(nested_type(31), "too_deep"),
        "Loop of a raw trip count": Case(
            wire.model(
                wire.node(op=b"Loop"),
                wire.chunk(
                    5, wire.integer(2, 7) + wire.chunk(9, b"\x00\x04" + bytes(6)) + wire.chunk(8, b"x")
                ),
            ),
            "ok",
        ),
        "Loop of two raw counts": Case(
            wire.model(
                wire.node(op=b"Loop"),
                wire.chunk(5, wire.integer(2, 7) + wire.chunk(9, bytes(16)) + wire.chunk(8, b"x")),
            ),
            "loop_trip_count",
        ),
        "Loop in a graph that is damaged further on": Case(
            wire.model(wire.node(op=b"Loop"), wire.chunk(17, b"")), "unknown_field"
        ),
    }
