"""Seeded damage: to the bytes of a model, and to the fields of a model that stays well formed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import onnx
from onnx import helper

_NOISE = (0x00, 0x01, 0x7F, 0x80, 0xFF)


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Return the bytes with one to three small changes."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(out) + 1)
        kind = random.randrange(8)
        if kind == 0:
            out.insert(at, random.randrange(256))
        elif kind == 1:
            out[at:at] = out[at : at + random.randint(1, 12)]
        elif kind == 2:
            del out[at : at + random.randint(1, 4)]
        elif kind == 3 and random.random() < 0.2:
            del out[at:]
        elif at < len(out):
            if kind == 4:
                out[at] = random.choice(_NOISE)
            elif kind == 5:
                out[at] ^= 1 << random.randrange(8)
            elif kind == 6:
                out[at] = (out[at] + random.choice((1, 255, 8, 248))) % 256
            else:
                # The same value in one byte more.
                out[at : at + 1] = bytes((out[at] | 0x80, 0x00))
    return bytes(out)


def _graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    found = [graph]
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
                found += _graphs(inner)
    return found


def _op_type(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    names = (
        "Relu",
        "NonZero",
        "Loop",
        "If",
        "Constant",
        "",
        "Conv\0X",
        "Resize",
        "conv",
        "BatchNormalization",
    )
    for node in random.sample(list(graph.node), min(1, len(graph.node))):
        node.op_type = random.choice(names)


def _domain(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    for node in random.sample(list(graph.node), min(1, len(graph.node))):
        node.domain = random.choice(("", "ai.onnx", "ai.onnx.ml", "com.example", "\0", "ai.onnx "))


_NAMES = (
    "training_mode",
    "epsilon",
    "mode",
    "coordinate_transformation_mode",
    "antialias",
    "value",
    "value_int",
    "a",
    "",
)
_VALUES = (0, 1, 1.5, b"linear", b"cubic", b"half_pixel", [1, 2], [1.5], [b"s"], onnx.GraphProto(), 1 << 40)


def _attribute(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    for node in random.sample(list(graph.node), min(1, len(graph.node))):
        name = random.choice(_NAMES)
        value = random.choice(_VALUES)
        attribute = helper.make_attribute(name, value)
        if random.random() < 0.3:
            attribute.type = random.choice(onnx.AttributeProto.AttributeType.values())
        if random.random() < 0.1:
            attribute.ref_attr_name = "outer"
        if random.random() < 0.2:
            attribute.i = 3
        node.attribute.append(attribute)


def _tensor(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    tensor = graph.initializer.add(name=random.choice(("w", "trips", "x", "a\0b")))
    tensor.data_type = random.choice((onnx.TensorProto.INT64, onnx.TensorProto.FLOAT))
    tensor.dims.extend(random.choice(((), (1,), (2,), (1, 1))))
    tensor.int64_data.extend(random.choice(((), (3,), (2000,), (-1,), (1, 2))))
    if random.random() < 0.3:
        tensor.data_location = random.choice((0, 1))
    if random.random() < 0.2:
        tensor.external_data.add(key="location", value="../w")


def _rename(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    for node in random.sample(list(graph.node), min(1, len(graph.node))):
        names = node.input if random.random() < 0.5 else node.output
        if names:
            names[0] = random.choice(("trips", "x", "", "h", "state"))


def _duplicate(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    for node in random.sample(list(graph.node), min(1, len(graph.node))):
        graph.node.insert(random.randrange(len(graph.node) + 1), node)


def _opset(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    domain = random.choice(("", "ai.onnx", "ai.onnx.ml", "local"))
    model.opset_import.add(domain=domain, version=random.choice((0, 1, 17, 1 << 31, -1)))


def _function(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    if random.random() < 0.3:
        model.functions.add(name="Relu", domain="local").node.add(op_type="NonZero")
    elif random.random() < 0.3:
        model.training_info.add().algorithm.name = "t"
    else:
        model.metadata_props.add(key="k", value=random.choice(("v", "v\0")))


def _remove(model: onnx.ModelProto, graph: onnx.GraphProto, random: Random) -> None:
    field = random.choice(("node", "initializer", "input", "output", "name"))
    graph.ClearField(field)
    if random.random() < 0.1:
        model.ClearField(random.choice(("graph", "opset_import")))


_CHANGES: tuple[Callable[[onnx.ModelProto, onnx.GraphProto, Random], None], ...] = (
    _op_type,
    _domain,
    _attribute,
    _tensor,
    _rename,
    _duplicate,
    _opset,
    _function,
    _remove,
)


def mutated_model(model: onnx.ModelProto, random: Random) -> onnx.ModelProto:
    """Return a copy with one or two changes, each of a kind that the scanners judge."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(random.randint(1, 2)):
        random.choice(_CHANGES)(copy, random.choice(_graphs(copy.graph)), random)
    return copy
