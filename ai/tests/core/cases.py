"""Models with the verdict that both scanners must give, by name."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper, parser

from core import wire
from core.nets import real_models
from core.wire_cases import Case, wire_cases

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


def _nested_loops(*, through_if: bool) -> onnx.ModelProto:
    """Return a model whose Loop has a Loop in its body, at once or in a branch there."""
    inner = (
        "<body = c (int64 j, bool e, float[N] u) => (bool f, float[N] v) { f = Identity (e) v = Relu (u) }>"
    )
    line = f"t = Loop (trips, , s) {inner}"
    if through_if:
        line = f"t = If (c) <then_branch = g () => (float[N] w) {{ {line.replace('t =', 'w =', 1)} }}>"
    model = parsed(
        "{ y = Loop (trips, , x) <body = b (int64 i, bool c, float[N] s) => (bool d, float[N] t)"
        f" {{ d = Identity (c) {line} }}> }}"
    )
    model.graph.initializer.append(helper.make_tensor("trips", onnx.TensorProto.INT64, [], [2]))
    return model


def _ort_format() -> bytes:
    """Return a good model whose first field makes ONNX Runtime take it for a file of its own format."""
    good: bytes = parsed("{ y = Relu (x) }").SerializeToString()
    return b"\x12\x06\x01\x01ORTM" + good


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
        "Loop in a Loop": (_nested_loops(through_if=False), "loop_trip_count"),
        "Loop in a branch in a Loop": (_nested_loops(through_if=True), "loop_trip_count"),
        "Dropout": (parsed("{ r = Constant <value_float = 0.5> () y = Dropout (x, r) }"), "ok"),
        "Dropout of an empty third input": (parsed("{ y = Dropout (x, , ) }"), "ok"),
        "Dropout in training": (
            parsed("{ t = Constant <value_int = 1> () y = Dropout (x, , t) }"),
            "attribute_policy",
        ),
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


def all_cases() -> dict[str, Case]:
    """Return every case by name."""
    return {
        **{name: Case(model.SerializeToString(), "ok") for name, model in real_models().items()},
        **{name: Case(model.SerializeToString(), reason) for name, (model, reason) in _protos().items()},
        "ONNX Runtime's own format": Case(_ort_format(), "ort_format"),
        **wire_cases(),
        **_holes(),
    }
