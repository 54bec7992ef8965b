"""A third opinion on a model, from the protobuf library alone: it shares no code with the scanners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from vmaf_train.op_allowlist import Allowlist

_DEFAULT = ("", "ai.onnx")
_VALUES = {
    onnx.AttributeProto.FLOAT: "f",
    onnx.AttributeProto.INT: "i",
    onnx.AttributeProto.STRING: "s",
    onnx.AttributeProto.TENSOR: "t",
    onnx.AttributeProto.GRAPH: "g",
    onnx.AttributeProto.SPARSE_TENSOR: "sparse_tensor",
    onnx.AttributeProto.TYPE_PROTO: "tp",
    onnx.AttributeProto.FLOATS: "floats",
    onnx.AttributeProto.INTS: "ints",
    onnx.AttributeProto.STRINGS: "strings",
    onnx.AttributeProto.TENSORS: "tensors",
    onnx.AttributeProto.GRAPHS: "graphs",
    onnx.AttributeProto.SPARSE_TENSORS: "sparse_tensors",
    onnx.AttributeProto.TYPE_PROTOS: "type_protos",
}

_SINGLE = ("f", "i", "s", "t", "g", "sparse_tensor", "tp")


def _messages(message: Any) -> Iterator[Any]:
    """Yield the message and every message inside it."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)


def _texts(message: Any) -> Iterator[str | bytes]:
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_STRING:
            yield from [value] if isinstance(value, (str, bytes)) else value


def _attribute_faults(
    attribute: onnx.AttributeProto, node: onnx.NodeProto, allowlist: Allowlist
) -> Iterator[str]:
    if attribute.ref_attr_name:
        yield "reference"
    held = {descriptor.name for descriptor, _ in attribute.ListFields()} & set(_VALUES.values())
    wanted = _VALUES.get(attribute.type)
    if wanted is None or held - {wanted} or (wanted in _SINGLE and not held):
        yield "type"
        return
    rules = allowlist.policy.get(node.op_type) if node.domain in _DEFAULT else None
    if rules is not None:
        value = {"s": attribute.s.decode("latin-1"), "i": str(attribute.i)}.get(wanted, "")
        if not rules.get(attribute.name, frozenset()) & {"*", value}:
            yield "policy"


def _trip_counts(
    graph: onnx.GraphProto, outer: list[onnx.GraphProto], *, looped: bool = False
) -> Iterator[int | None]:
    """Yield each Loop's trip count, None where it is no constant or the Loop is in another one."""
    scopes = [*outer, graph]
    for node in graph.node:
        loop = node.op_type == "Loop" and node.domain in _DEFAULT
        if loop:
            yield None if looped else _constant(node.input[0] if node.input else "", scopes)
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
                yield from _trip_counts(inner, scopes, looped=looped or loop)


def _constant(name: str, scopes: list[onnx.GraphProto]) -> int | None:
    for graph in reversed(scopes if name else []):
        found: list[onnx.TensorProto | onnx.NodeProto | None] = []
        found += [None for value in graph.input if value.name == name]
        found += [None for tensor in graph.sparse_initializer if tensor.values.name == name]
        found += [tensor for tensor in graph.initializer if tensor.name == name]
        found += [node for node in graph.node for output in node.output if output == name]
        if not found:
            continue
        only = found[0] if len(found) == 1 else None
        if isinstance(only, onnx.NodeProto):
            if only.op_type != "Constant" or only.domain not in _DEFAULT or len(only.attribute) != 1:
                return None
            attribute = only.attribute[0]
            if attribute.name == "value_int" and attribute.type == onnx.AttributeProto.INT:
                return attribute.i if attribute.HasField("i") else None
            named = attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR
            only = attribute.t if named and attribute.HasField("t") else None
        if only is None or only.data_type != onnx.TensorProto.INT64 or list(only.dims) not in ([], [1]):
            return None
        try:
            return int(onnx.numpy_helper.to_array(only).reshape(-1)[0])
        except (ValueError, IndexError, TypeError):
            return None
    return None


def faults(model: onnx.ModelProto, allowlist: Allowlist) -> set[str]:
    """Return what is against the model, in this module's own words; nothing if it may be loaded."""
    found: set[str] = set()
    for message in _messages(model):
        if any("\0" in text if isinstance(text, str) else b"\0" in text for text in _texts(message)):
            found.add("nul")
        if isinstance(message, onnx.NodeProto):
            if message.domain not in _DEFAULT or message.op_type not in allowlist.ops:
                found.add("op")
            if message.op_type == "Dropout" and any(message.input[2:3]):
                found.add("policy")
            for attribute in message.attribute:
                found.update(_attribute_faults(attribute, message, allowlist))
        if isinstance(message, onnx.TensorProto) and (message.external_data or message.data_location):
            found.add("external")
    if model.functions or model.training_info:
        found.add("functions")
    versions = [entry.version for entry in model.opset_import if entry.domain in _DEFAULT]
    if len(versions) != 1 or not 1 <= versions[0] < 1 << 31:
        found.add("opset")
    if not model.HasField("graph"):
        found.add("graph")
    counts = list(_trip_counts(model.graph, []))
    if len(counts) > 16 or not all(count is not None and 0 <= count <= 1024 for count in counts):
        found.add("loop")
    return found
