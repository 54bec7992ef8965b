"""The ONNX messages as the scanners read them: the same tables as ``core/src/dnn/onnx_schema.c``.

A field that is not in a table is refused, since it could carry a graph or a file name that the
scanner does not see. Left out on purpose: tensor segments, opaque types and multi-device
annotations, which the runtime has no use for.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

__all__ = ["ATTRIBUTE_VALUE", "SCHEMA", "Field", "Form", "Message"]


class Form(IntEnum):
    """How a field's value is written and checked.

    INT64 takes any varint, INT32 (also enums) only one that 32 signed bits hold. TEXT is a string
    without NUL, BLOB any bytes. PACKED forms take one element or a packed run of them.
    """

    INT64 = 0
    INT32 = 1
    FLOAT = 2
    TEXT = 3
    BLOB = 4
    MESSAGE = 5
    PACKED_FLOATS = 6
    PACKED_DOUBLES = 7
    PACKED_INTS = 8


class Message(IntEnum):
    """The message types, named in reports as ``label`` tells."""

    MODEL = 1
    GRAPH = 2
    NODE = 3
    ATTRIBUTE = 4
    TENSOR = 5
    SPARSE_TENSOR = 6
    VALUE_INFO = 7
    TYPE = 8
    TENSOR_TYPE = 9
    ELEMENT_TYPE = 10
    MAP_TYPE = 11
    SHAPE = 12
    DIMENSION = 13
    OPSET = 14
    ENTRY = 15
    ANNOTATION = 16
    FUNCTION = 17
    TRAINING_INFO = 18


LABELS: Mapping[Message, str] = {
    Message.MODEL: "ModelProto",
    Message.GRAPH: "GraphProto",
    Message.NODE: "NodeProto",
    Message.ATTRIBUTE: "AttributeProto",
    Message.TENSOR: "TensorProto",
    Message.SPARSE_TENSOR: "SparseTensorProto",
    Message.VALUE_INFO: "ValueInfoProto",
    Message.TYPE: "TypeProto",
    Message.TENSOR_TYPE: "TypeProto.Tensor",
    Message.ELEMENT_TYPE: "TypeProto.Sequence",
    Message.MAP_TYPE: "TypeProto.Map",
    Message.SHAPE: "TensorShapeProto",
    Message.DIMENSION: "TensorShapeProto.Dimension",
    Message.OPSET: "OperatorSetIdProto",
    Message.ENTRY: "StringStringEntryProto",
    Message.ANNOTATION: "TensorAnnotation",
    Message.FUNCTION: "FunctionProto",
    Message.TRAINING_INFO: "TrainingInfoProto",
}


class Field(NamedTuple):
    """One field: its form, whether it may come more than once, and the message inside."""

    form: Form
    repeated: bool
    inner: Message | None


def _one(form: Form) -> Field:
    return Field(form, False, None)


def _many(form: Form) -> Field:
    return Field(form, True, None)


def _message(inner: Message) -> Field:
    return Field(Form.MESSAGE, False, inner)


def _messages(inner: Message) -> Field:
    return Field(Form.MESSAGE, True, inner)


SCHEMA: Mapping[Message, Mapping[int, Field]] = {
    Message.MODEL: {
        1: _one(Form.INT64),  # ir_version
        2: _one(Form.TEXT),  # producer_name
        3: _one(Form.TEXT),  # producer_version
        4: _one(Form.TEXT),  # domain
        5: _one(Form.INT64),  # model_version
        6: _one(Form.TEXT),  # doc_string
        7: _message(Message.GRAPH),
        8: _messages(Message.OPSET),
        14: _messages(Message.ENTRY),  # metadata_props
        20: _messages(Message.TRAINING_INFO),
        25: _messages(Message.FUNCTION),
    },
    Message.GRAPH: {
        1: _messages(Message.NODE),
        2: _one(Form.TEXT),  # name
        5: _messages(Message.TENSOR),  # initializer
        10: _one(Form.TEXT),  # doc_string
        11: _messages(Message.VALUE_INFO),  # input
        12: _messages(Message.VALUE_INFO),  # output
        13: _messages(Message.VALUE_INFO),  # value_info
        14: _messages(Message.ANNOTATION),
        15: _messages(Message.SPARSE_TENSOR),
        16: _messages(Message.ENTRY),  # metadata_props
    },
    Message.NODE: {
        1: _many(Form.TEXT),  # input
        2: _many(Form.TEXT),  # output
        3: _one(Form.TEXT),  # name
        4: _one(Form.TEXT),  # op_type
        5: _messages(Message.ATTRIBUTE),
        6: _one(Form.TEXT),  # doc_string
        7: _one(Form.TEXT),  # domain
        8: _one(Form.TEXT),  # overload
        9: _messages(Message.ENTRY),  # metadata_props
    },
    Message.ATTRIBUTE: {
        1: _one(Form.TEXT),  # name
        2: _one(Form.FLOAT),
        3: _one(Form.INT64),
        4: _one(Form.BLOB),  # string
        5: _message(Message.TENSOR),
        6: _message(Message.GRAPH),
        7: _many(Form.PACKED_FLOATS),
        8: _many(Form.PACKED_INTS),
        9: _many(Form.BLOB),  # strings
        10: _messages(Message.TENSOR),
        11: _messages(Message.GRAPH),
        13: _one(Form.TEXT),  # doc_string
        14: _message(Message.TYPE),
        15: _messages(Message.TYPE),
        20: _one(Form.INT32),  # type
        21: _one(Form.TEXT),  # ref_attr_name
        22: _message(Message.SPARSE_TENSOR),
        23: _messages(Message.SPARSE_TENSOR),
    },
    Message.TENSOR: {
        1: _many(Form.PACKED_INTS),  # dims
        2: _one(Form.INT32),  # data_type
        4: _many(Form.PACKED_FLOATS),
        5: _many(Form.PACKED_INTS),  # int32_data
        6: _many(Form.BLOB),  # string_data
        7: _many(Form.PACKED_INTS),  # int64_data
        8: _one(Form.TEXT),  # name
        9: _one(Form.BLOB),  # raw_data
        10: _many(Form.PACKED_DOUBLES),
        11: _many(Form.PACKED_INTS),  # uint64_data
        12: _one(Form.TEXT),  # doc_string
        13: _messages(Message.ENTRY),  # external_data
        14: _one(Form.INT32),  # data_location
        16: _messages(Message.ENTRY),  # metadata_props
    },
    Message.SPARSE_TENSOR: {
        1: _message(Message.TENSOR),  # values
        2: _message(Message.TENSOR),  # indices
        3: _many(Form.PACKED_INTS),  # dims
    },
    Message.VALUE_INFO: {
        1: _one(Form.TEXT),  # name
        2: _message(Message.TYPE),
        3: _one(Form.TEXT),  # doc_string
        4: _messages(Message.ENTRY),  # metadata_props
    },
    Message.TYPE: {
        1: _message(Message.TENSOR_TYPE),
        4: _message(Message.ELEMENT_TYPE),  # sequence
        5: _message(Message.MAP_TYPE),
        6: _one(Form.TEXT),  # denotation
        8: _message(Message.TENSOR_TYPE),  # sparse
        9: _message(Message.ELEMENT_TYPE),  # optional
    },
    Message.TENSOR_TYPE: {1: _one(Form.INT32), 2: _message(Message.SHAPE)},
    Message.ELEMENT_TYPE: {1: _message(Message.TYPE)},
    Message.MAP_TYPE: {1: _one(Form.INT32), 2: _message(Message.TYPE)},
    Message.SHAPE: {1: _messages(Message.DIMENSION)},
    Message.DIMENSION: {1: _one(Form.INT64), 2: _one(Form.TEXT), 3: _one(Form.TEXT)},
    Message.OPSET: {1: _one(Form.TEXT), 2: _one(Form.INT64)},
    Message.ENTRY: {1: _one(Form.TEXT), 2: _one(Form.TEXT)},
    Message.ANNOTATION: {1: _one(Form.TEXT), 2: _messages(Message.ENTRY)},
    # A function refuses the model; its body is read on this side only, to name its operators.
    Message.FUNCTION: {
        1: _one(Form.TEXT),  # name
        4: _many(Form.TEXT),  # input
        5: _many(Form.TEXT),  # output
        6: _many(Form.TEXT),  # attribute
        7: _messages(Message.NODE),
        8: _one(Form.TEXT),  # doc_string
        9: _messages(Message.OPSET),
        10: _one(Form.TEXT),  # domain
        11: _messages(Message.ATTRIBUTE),  # attribute_proto
        12: _messages(Message.VALUE_INFO),
        13: _one(Form.TEXT),  # overload
        14: _messages(Message.ENTRY),  # metadata_props
    },
    Message.TRAINING_INFO: {},
}

ATTRIBUTE_VALUE: Mapping[int, int] = {
    1: 2,  # FLOAT
    2: 3,  # INT
    3: 4,  # STRING
    4: 5,  # TENSOR
    5: 6,  # GRAPH
    6: 7,  # FLOATS
    7: 8,  # INTS
    8: 9,  # STRINGS
    9: 10,  # TENSORS
    10: 11,  # GRAPHS
    11: 22,  # SPARSE_TENSOR
    12: 23,  # SPARSE_TENSORS
    13: 14,  # TYPE_PROTO
    14: 15,  # TYPE_PROTOS
}
"""AttributeProto.type to the number of the one field that may hold its value."""
