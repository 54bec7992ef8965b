"""Small models of the kinds that the runtime loads, built anew for each test run."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

_UNET = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "test">
unet (float[1, 3, H, W] input) => (float[1, 1, H, W] saliency_map)
<float[4, 3, 3, 3] w1, float[4] b1, float[6, 4, 3, 3] w2, float[6, 4, 2, 2] up,
 float[4, 8, 3, 3] w3, float[1, 4, 1, 1] head>
{
    [enc] c1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (input, w1, b1)
    a1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 0> (a1)
    c2 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 1> (p1, w2)
    a2 = Relu (c2)
    u1 = ConvTranspose <kernel_shape = [2, 2], strides = [2, 2]> (a2, up)
    cat = Concat <axis = 1> (u1, a1)
    c3 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (cat, w3)
    a3 = Relu (c3)
    logits = Conv <kernel_shape = [1, 1]> (a3, head)
    saliency_map = Sigmoid (logits)
}
"""

_CLASSIFIER = """
<ir_version: 9, opset_import: ["" : 18, "ai.onnx.ml" : 3]>
classifier (float[N, 3, H, W] x) => (float[N, 2] y)
<float[4, 3, 3, 3] w, float[4] scale, float[4] bias, float[4] mean, float[4] var, float[4, 2] fc>
{
    c = Conv (x, w)
    n = BatchNormalization <epsilon = 0.001, momentum = 0.9, training_mode = 0> (c, scale, bias, mean, var)
    r = LeakyRelu <alpha = 0.1> (n)
    g = GlobalAveragePool (r)
    f = Flatten <axis = 1> (g)
    m = Gemm <transB = 0> (f, fc)
    y = Softmax <axis = -1> (m)
}
"""

_CONTROL = """
<ir_version: 8, opset_import: ["" : 17]>
control (float[N] x, bool flag) => (float[N] y)
<bool go = {1}>
{
    trips = Constant <value = int64 {4}> ()
    h = Loop (trips, go, x) <body = step (int64 i, bool goes, float[N] state)
        => (bool still, float[N] next) {
        still = Identity (goes)
        next = Relu (state)
    }>
    y = If (flag) <
        then_branch = yes () => (float[N] a) { a = Neg (h) },
        else_branch = no () => (float[N] b) { b = Abs (h) }
    >
}
"""


_WORKING_SIZE = """
<ir_version: 8, opset_import: ["" : 17]>
working_size (float[1, 3, H, W] input) => (float[1, 1, H, W] saliency_map)
<float[2, 3, 3, 3] w1, float[1, 2, 1, 1] head, int64[4] work = {1, 3, 16, 16}, int64[2] one = {1, 1}>
{
    small = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (input, , , work)
    c1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (small, w1)
    a1 = Relu (c1)
    logits = Conv <kernel_shape = [1, 1]> (a1, head)
    sides = Shape <start = 2, end = 4> (input)
    size = Concat <axis = 0> (one, sides)
    back = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (logits, , , size)
    saliency_map = Sigmoid (back)
}
"""


def _with_weights(text: str, seed: int) -> onnx.ModelProto:
    """Parse a model and make random initializers of the values that the text declares."""
    model = parser.parse_model(text)
    random = np.random.default_rng(seed)
    for value in model.graph.value_info:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        weights = random.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, value.name))
    del model.graph.value_info[:]
    return model


def _sparse() -> onnx.ModelProto:
    values = helper.make_tensor("sparse_w", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("sparse_i", onnx.TensorProto.INT64, [2], [0, 3])
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) { y = Add (x, sparse_w) }'
    )
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    return model


def real_models() -> dict[str, onnx.ModelProto]:
    """Return models that are valid and accepted, by name."""
    return {
        "unet": _with_weights(_UNET, 1),
        "classifier": _with_weights(_CLASSIFIER, 2),
        "working size": _with_weights(_WORKING_SIZE, 3),
        "control": parser.parse_model(_CONTROL),
        "sparse": _sparse(),
    }
