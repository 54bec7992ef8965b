"""Models with the verdict that both scanners must give, by name."""

from __future__ import annotations

from typing import Any, NamedTuple

import onnx
from onnx import helper, parser

from core import wire
from core.nets import real_models


class Case(NamedTuple):
    """A model's bytes and the name of the reason, ``"ok"`` if it is accepted."""

    data: bytes
    reason: str


_TENSOR = helper.make_tensor("t", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
_INDICES = helper.make_tensor("i", onnx.TensorProto.INT64, [2], [0, 1])
_SPARSE = helper.make_sparse_tensor(_TENSOR, _INDICES, [4])
_TYPE = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ["N", 3])


def parsed(body: str, header: str = '<ir_version: 8, opset_import: ["" : 17]>') -> onnx.ModelProto:
    """Parse a graph body that maps ``x`` to ``y``."""
    return parser.parse_model(f"{header} g (float[N] x) => (float[N] y) {body}")


def nested(depth: int) -> onnx.ModelProto:
    """Return a model whose innermost subgraph is ``depth`` levels below the model's graph."""
    text = "{ y = Relu (x) }"
    for level in range(depth):
        text = f"{{ y = If (x) <then_branch = g{level} () => (float[N] y) {text}> }}"
    return parsed(text)


def loops(count: int, trips: int) -> onnx.ModelProto:
    """Return a model of ``count`` Loop nodes in a row."""
    body = (
        "<body = b (int64 i, bool c, float[N] s) => (bool d, float[N] t) { d = Identity (c) t = Relu (s) }>"
    )
    lines = [f"x{n + 1} = Loop (trips, , x{n}) {body}" for n in range(count)]
    text = "\n".join(["x0 = Identity (x)", *lines, f"y = Identity (x{count})"])
    model = parsed(f"{{ {text} }}")
    model.graph.initializer.append(helper.make_tensor("trips", onnx.TensorProto.INT64, [], [trips]))
    return model


def nested_type(depth: int) -> bytes:
    """Return a model whose input is a sequence of a sequence and so on."""
    payload = wire.chunk(1, wire.integer(1, 1))
    for _ in range(depth):
        payload = wire.chunk(4, wire.chunk(1, payload))
    return wire.model(wire.chunk(11, wire.chunk(1, b"x") + wire.chunk(2, payload)))


def with_external(**entries: str) -> onnx.ModelProto:
    """Return a model with one initializer whose data lies elsewhere."""
    model = parsed("{ y = Add (x, w) }")
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    model.graph.initializer.append(tensor)
    return model


def _attribute(value: Any, kind: int | None = None) -> onnx.ModelProto:
    model = parsed("{ y = Elu (x) }")
    model.graph.node[0].attribute.append(helper.make_attribute("value", value, attr_type=kind))
    return model


def _function(called: bool) -> onnx.ModelProto:
    """Return the model in which a function named as an allowed operator hides another one."""
    model = parsed("{ y = local.Relu (x) }" if called else "{ y = Relu (x) }")
    model.opset_import.add(domain="local", version=1)
    body = helper.make_node("NonZero", ["a"], ["b"])
    model.functions.append(
        helper.make_function("local", "Relu", ["a"], ["b"], [body], [helper.make_opsetid("", 17)])
    )
    return model


def _training() -> onnx.ModelProto:
    model = parsed("{ y = Relu (x) }")
    model.training_info.add().algorithm.node.append(helper.make_node("NonZero", ["a"], ["b"]))
    return model


def _decorated() -> onnx.ModelProto:
    """Return a model that uses every message which the runtime ignores."""
    model = parsed("{ y = Relu (x) }")
    model.doc_string, model.domain, model.model_version = "text", "here", 3
    model.metadata_props.add(key="k", value="v")
    model.graph.metadata_props.add(key="k", value="v")
    model.graph.node[0].metadata_props.add(key="k", value="v")
    model.graph.node[0].doc_string = "text"
    annotation = model.graph.quantization_annotation.add(tensor_name="x")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    inner = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
    for name, kind in (
        ("seq", helper.make_sequence_type_proto(inner)),
        ("opt", helper.make_optional_type_proto(inner)),
        ("map", helper.make_map_type_proto(onnx.TensorProto.INT64, inner)),
        ("sparse", helper.make_sparse_tensor_type_proto(onnx.TensorProto.FLOAT, [3])),
    ):
        model.graph.value_info.append(helper.make_value_info(name, kind))
    return model


def _subgraph_external() -> onnx.ModelProto:
    model = nested(1)
    inner = model.graph.node[0].attribute[0].g
    inner.initializer.append(with_external(location="w.bin").graph.initializer[0])
    return model


def _sparse_external() -> onnx.ModelProto:
    model = real_models()["sparse"]
    model.graph.sparse_initializer[0].indices.data_location = onnx.TensorProto.EXTERNAL
    return model


def _trips(producer: str, extra: str = "") -> onnx.ModelProto:
    return parsed(
        f"{{ {producer} y = Loop (trips, , x) <body = b (int64 i, bool c, float[N] s)"
        f" => (bool d, float[N] t) {{ d = Identity (c) t = Relu (s) {extra} }}> }}"
    )


def _trips_input() -> onnx.ModelProto:
    """Return a model whose trip count is an initializer that the caller may replace."""
    model = loops(1, 4)
    model.graph.input.append(helper.make_tensor_value_info("trips", onnx.TensorProto.INT64, []))
    return model


def _holes() -> dict[str, Case]:
    """Return what a scanner that reads only op types by text lets through."""
    plain = wire.node()
    return {
        "hole: NUL inside an op type": Case(wire.model(wire.node(op=b"Conv\0X")), "embedded_nul"),
        "hole: allowed op in a foreign domain": Case(
            wire.model(wire.node(wire.chunk(7, b"com.example"), op=b"Conv")), "foreign_domain"
        ),
        "hole: op inside a function": Case(_function(called=False).SerializeToString(), "functions"),
        "hole: node without an op type": Case(wire.model(wire.node(op=None)), "missing_op_type"),
        "hole: field number zero": Case(wire.model(plain + wire.chunk(0, b"\x22\x07NonZero")), "bad_tag"),
    }


RESIZE = {
    "": "ok",
    'mode = "linear"': "ok",
    'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"': "ok",
    'mode = "nearest", nearest_mode = "round_prefer_floor"': "ok",
    'mode = "linear", coordinate_transformation_mode = "half_pixel", antialias = 0': "ok",
    'mode = "linear", keep_aspect_ratio_policy = "stretch"': "ok",
    'cubic_coeff_a = -0.75, mode = "linear", exclude_outside = 0, extrapolation_value = 1.0': "ok",
    'mode = "cubic"': "attribute_policy",
    'mode = ""': "attribute_policy",
    'mode = "Linear"': "attribute_policy",
    'mode = "linear "': "attribute_policy",
    "mode = 0": "attribute_policy",
    'mode = ["linear"]': "attribute_policy",
    'coordinate_transformation_mode = "align_corners"': "attribute_policy",
    'coordinate_transformation_mode = "pytorch_half_pixel"': "attribute_policy",
    'coordinate_transformation_mode = "half_pixel_symmetric"': "attribute_policy",
    'coordinate_transformation_mode = "tf_half_pixel_for_nn"': "attribute_policy",
    'coordinate_transformation_mode = "tf_crop_and_resize"': "attribute_policy",
    'nearest_mode = "ceil"': "attribute_policy",
    'nearest_mode = "round_prefer_ceil"': "attribute_policy",
    "antialias = 1": "attribute_policy",
    "antialias = -1": "attribute_policy",
    'antialias = "0"': "ok",
    "exclude_outside = 1": "attribute_policy",
    'keep_aspect_ratio_policy = "not_larger"': "attribute_policy",
    "axes = [2, 3]": "attribute_policy",
    "scales = [2.0]": "attribute_policy",
}
"""Attributes of a Resize node to the reason that both sides must give."""


def _protos() -> dict[str, tuple[onnx.ModelProto, str]]:
    branch = parsed("{ y = Relu (x) }").graph
    bad_branch = parsed("{ y = NonZero (x) }").graph
    cases: dict[str, tuple[onnx.ModelProto, str]] = {
        "default domain by its long name": (parsed("{ y = ai.onnx.Relu (x) }"), "ok"),
        "op not on the list": (parsed("{ y = NonZero (x) }"), "op_not_allowed"),
        "mode of Resize is no op": (parsed("{ y = linear (x) }"), "op_not_allowed"),
        "Resize before it was Resize": (
            parsed('{ y = Upsample <mode = "linear"> (x, s) }'),
            "op_not_allowed",
        ),
        **{
            f"Resize with {attributes or 'nothing'}": (
                parsed(f"{{ y = Resize <{attributes}> (x) }}" if attributes else "{ y = Resize (x) }"),
                reason,
            )
            for attributes, reason in RESIZE.items()
        },
        "op with a tail": (parsed("{ y = Relu6 (x) }"), "op_not_allowed"),
        "op in other case": (parsed("{ y = relu (x) }"), "op_not_allowed"),
        "Microsoft's domain": (parsed("{ y = com.microsoft.Gelu (x) }"), "foreign_domain"),
        "ML domain": (parsed("{ y = ai.onnx.ml.Relu (x) }"), "foreign_domain"),
        "function in use": (_function(called=True), "foreign_domain"),
        "function not in use": (_function(called=False), "functions"),
        "training graph": (_training(), "training_info"),
        "all decorations": (_decorated(), "ok"),
        "no opset": (
            parsed("{ y = Relu (x) }", '<ir_version: 8, opset_import: ["ai.onnx.ml" : 3]>'),
            "bad_opset",
        ),
        "training BatchNormalization": (
            parsed("{ y = BatchNormalization <training_mode = 1> (x, a, b, c, d) }"),
            "attribute_policy",
        ),
        "unknown attribute of a limited op": (
            parsed("{ y = BatchNormalization <spatial = 0> (x, a, b, c, d) }"),
            "attribute_policy",
        ),
        "reference to a function's attribute": (
            parsed("{ y = Elu <alpha: float = @a> (x) }"),
            "attribute_reference",
        ),
        "subgraph with a refused op": (_attribute(bad_branch), "op_not_allowed"),
        "second of two subgraphs refused": (_attribute([branch, bad_branch]), "op_not_allowed"),
        "attribute float": (_attribute(1.5), "ok"),
        "attribute int": (_attribute(-3), "ok"),
        "attribute string": (_attribute(b"a\0b"), "ok"),
        "attribute tensor": (_attribute(_TENSOR), "ok"),
        "attribute graph": (_attribute(branch), "ok"),
        "attribute sparse tensor": (_attribute(_SPARSE), "ok"),
        "attribute type": (_attribute(_TYPE), "ok"),
        "attribute floats": (_attribute([1.5, 2.5]), "ok"),
        "attribute ints": (_attribute([1, -(1 << 63)]), "ok"),
        "attribute strings": (_attribute([b"a", b"\xff"]), "ok"),
        "attribute tensors": (_attribute([_TENSOR, _TENSOR]), "ok"),
        "attribute graphs": (_attribute([branch, branch]), "ok"),
        "attribute sparse tensors": (_attribute([_SPARSE]), "ok"),
        "attribute types": (_attribute([_TYPE]), "ok"),
        "attribute of no ints": (_attribute([], onnx.AttributeProto.INTS), "ok"),
        "external tensor": (with_external(location="w.bin"), "external_data"),
        "external tensor in the folder above": (with_external(location="../../secret.bin"), "external_data"),
        "external tensor by absolute path": (with_external(location="/secret.bin"), "external_data"),
        "external tensor far away": (with_external(location="w.bin", offset=str(1 << 50)), "external_data"),
        "external tensor of an unknown key": (with_external(magic="1"), "external_data"),
        "external tensor without entries": (with_external(), "external_data"),
        "external tensor in a subgraph": (_subgraph_external(), "external_data"),
        "external indices of a sparse tensor": (_sparse_external(), "external_data"),
        "one Loop over the limit": (loops(17, 2), "too_many_loops"),
        "as many Loops as may be": (loops(16, 1024), "ok"),
        "Loop of too many trips": (loops(1, 1025), "loop_trip_count"),
        "Loop of negative trips": (loops(1, -1), "loop_trip_count"),
        "Loop of no trips": (loops(1, 0), "ok"),
        "Loop over an initializer that is an input": (_trips_input(), "loop_trip_count"),
        "Loop over a Constant": (_trips("trips = Constant <value_int = 1024> ()"), "ok"),
        "Loop over a Constant too large": (
            _trips("trips = Constant <value_int = 1025> ()"),
            "loop_trip_count",
        ),
        "Loop over a Constant of one element": (_trips("trips = Constant <value = int64[1] {7}> ()"), "ok"),
        "Loop over a Constant of two": (
            _trips("trips = Constant <value = int64[2] {7, 7}> ()"),
            "loop_trip_count",
        ),
        "Loop over a Constant of int32": (
            _trips("trips = Constant <value = int32 {7}> ()"),
            "loop_trip_count",
        ),
        "Loop over a computed value": (_trips("trips = Neg (x)"), "loop_trip_count"),
        "Loop over nothing": (_trips(""), "loop_trip_count"),
        "Loop over a name defined twice": (
            _trips("trips = Constant <value_int = 4> () trips = Neg (x)"),
            "loop_trip_count",
        ),
    }
    for depth, reason in ((7, "ok"), (8, "ok"), (9, "too_deep")):
        cases[f"subgraphs {depth} deep"] = (nested(depth), reason)
    return cases


def _raw() -> dict[str, Case]:
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


def all_cases() -> dict[str, Case]:
    """Return every case by name."""
    return {
        **{name: Case(model.SerializeToString(), "ok") for name, model in real_models().items()},
        **{name: Case(model.SerializeToString(), reason) for name, (model, reason) in _protos().items()},
        **_raw(),
        **_holes(),
    }
