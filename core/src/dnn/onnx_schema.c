#include "onnx_schema.h"

#include "pb_reader.h"

/* The wire type of each form. */
enum {
    WIRE_ONNX_FLOAT = PB_FIXED32,
    WIRE_ONNX_DOUBLE = PB_FIXED64,
    WIRE_ONNX_INT64 = PB_VARINT,
    WIRE_ONNX_INT32 = PB_VARINT,
    WIRE_ONNX_BLOB = PB_BYTES,
    WIRE_ONNX_TEXT = PB_BYTES,
    WIRE_ONNX_INNER = PB_BYTES,
    WIRE_ONNX_RUN_FLOAT = PB_BYTES,
    WIRE_ONNX_RUN_DOUBLE = PB_BYTES,
    WIRE_ONNX_RUN_INT64 = PB_BYTES,
};

#define FIELD(number, form, repeated, inner) \
    [(number) << 3 | WIRE_##form] = ONNX_FIELD(form, repeated, inner)
#define ONE(number, form) FIELD(number, ONNX_##form, 0, 0)
#define MANY(number, form) FIELD(number, ONNX_##form, 1, 0)
/* One number, or a packed run of them. */
#define PACKED(number, form) MANY(number, form), MANY(number, RUN_##form)
#define MESSAGE(number, inner) FIELD(number, ONNX_INNER, 0, ONNX_##inner)
#define MESSAGES(number, inner) FIELD(number, ONNX_INNER, 1, ONNX_##inner)

const OnnxField vmaf_dnn_onnx_schema[ONNX_MESSAGES][ONNX_TAGS] = {
    [ONNX_MODEL] =
        {
            ONE(1, INT64), /* ir_version */
            ONE(2, TEXT),  /* producer_name */
            ONE(3, TEXT),  /* producer_version */
            ONE(4, TEXT),  /* domain */
            ONE(5, INT64), /* model_version */
            ONE(6, TEXT),  /* doc_string */
            MESSAGE(7, GRAPH),
            MESSAGES(8, OPSET),
            MESSAGES(14, ENTRY), /* metadata_props */
            MESSAGES(20, TRAINING_INFO),
            MESSAGES(25, FUNCTION),
        },
    [ONNX_GRAPH] =
        {
            MESSAGES(1, NODE),
            ONE(2, TEXT),             /* name */
            MESSAGES(5, TENSOR),      /* initializer */
            ONE(10, TEXT),            /* doc_string */
            MESSAGES(11, VALUE_INFO), /* input */
            MESSAGES(12, VALUE_INFO), /* output */
            MESSAGES(13, VALUE_INFO), /* value_info */
            MESSAGES(14, ANNOTATION),
            MESSAGES(15, SPARSE_TENSOR),
            MESSAGES(16, ENTRY), /* metadata_props */
        },
    [ONNX_NODE] =
        {
            MANY(1, TEXT), /* input */
            MANY(2, TEXT), /* output */
            ONE(3, TEXT),  /* name */
            ONE(4, TEXT),  /* op_type */
            MESSAGES(5, ATTRIBUTE),
            ONE(6, TEXT),       /* doc_string */
            ONE(7, TEXT),       /* domain */
            ONE(8, TEXT),       /* overload */
            MESSAGES(9, ENTRY), /* metadata_props */
        },
    [ONNX_ATTRIBUTE] =
        {
            ONE(1, TEXT), /* name */
            ONE(2, FLOAT),
            ONE(3, INT64),
            ONE(4, BLOB), /* string */
            MESSAGE(5, TENSOR),
            MESSAGE(6, GRAPH),
            PACKED(7, FLOAT),
            PACKED(8, INT64),
            MANY(9, BLOB), /* strings */
            MESSAGES(10, TENSOR),
            MESSAGES(11, GRAPH),
            ONE(13, TEXT), /* doc_string */
            MESSAGE(14, TYPE),
            MESSAGES(15, TYPE),
            ONE(20, INT32), /* type */
            ONE(21, TEXT),  /* ref_attr_name */
            MESSAGE(22, SPARSE_TENSOR),
            MESSAGES(23, SPARSE_TENSOR),
        },
    [ONNX_TENSOR] =
        {
            PACKED(1, INT64), /* dims */
            ONE(2, INT32),        /* data_type */
            PACKED(4, FLOAT),
            PACKED(5, INT64), /* int32_data */
            MANY(6, BLOB),        /* string_data */
            PACKED(7, INT64), /* int64_data */
            ONE(8, TEXT),         /* name */
            ONE(9, BLOB),         /* raw_data */
            PACKED(10, DOUBLE),
            PACKED(11, INT64), /* uint64_data */
            ONE(12, TEXT),         /* doc_string */
            MESSAGES(13, ENTRY),   /* external_data */
            ONE(14, INT32),        /* data_location */
            MESSAGES(16, ENTRY),   /* metadata_props */
        },
    [ONNX_SPARSE_TENSOR] =
        {
            MESSAGE(1, TENSOR),   /* values */
            MESSAGE(2, TENSOR),   /* indices */
            PACKED(3, INT64), /* dims */
        },
    [ONNX_VALUE_INFO] =
        {
            ONE(1, TEXT), /* name */
            MESSAGE(2, TYPE),
            ONE(3, TEXT),       /* doc_string */
            MESSAGES(4, ENTRY), /* metadata_props */
        },
    [ONNX_TYPE] =
        {
            MESSAGE(1, TENSOR_TYPE),
            MESSAGE(4, ELEMENT_TYPE), /* sequence */
            MESSAGE(5, MAP_TYPE),
            ONE(6, TEXT),             /* denotation */
            MESSAGE(8, TENSOR_TYPE),  /* sparse */
            MESSAGE(9, ELEMENT_TYPE), /* optional */
        },
    [ONNX_TENSOR_TYPE] = {ONE(1, INT32), MESSAGE(2, SHAPE)},
    [ONNX_ELEMENT_TYPE] = {MESSAGE(1, TYPE)},
    [ONNX_MAP_TYPE] = {ONE(1, INT32), MESSAGE(2, TYPE)},
    [ONNX_SHAPE] = {MESSAGES(1, DIMENSION)},
    [ONNX_DIMENSION] = {ONE(1, INT64), ONE(2, TEXT), ONE(3, TEXT)},
    [ONNX_OPSET] = {ONE(1, TEXT), ONE(2, INT64)},
    [ONNX_ENTRY] = {ONE(1, TEXT), ONE(2, TEXT)},
    [ONNX_ANNOTATION] = {ONE(1, TEXT), MESSAGES(2, ENTRY)},
    /* ONNX_FUNCTION and ONNX_TRAINING_INFO refuse the model and are not read. */
};

const char *const vmaf_dnn_onnx_labels[ONNX_MESSAGES] = {
    [ONNX_NO_MESSAGE] = "",
    [ONNX_MODEL] = "ModelProto",
    [ONNX_GRAPH] = "GraphProto",
    [ONNX_NODE] = "NodeProto",
    [ONNX_ATTRIBUTE] = "AttributeProto",
    [ONNX_TENSOR] = "TensorProto",
    [ONNX_SPARSE_TENSOR] = "SparseTensorProto",
    [ONNX_VALUE_INFO] = "ValueInfoProto",
    [ONNX_TYPE] = "TypeProto",
    [ONNX_TENSOR_TYPE] = "TypeProto.Tensor",
    [ONNX_ELEMENT_TYPE] = "TypeProto.Sequence",
    [ONNX_MAP_TYPE] = "TypeProto.Map",
    [ONNX_SHAPE] = "TensorShapeProto",
    [ONNX_DIMENSION] = "TensorShapeProto.Dimension",
    [ONNX_OPSET] = "OperatorSetIdProto",
    [ONNX_ENTRY] = "StringStringEntryProto",
    [ONNX_ANNOTATION] = "TensorAnnotation",
    [ONNX_FUNCTION] = "FunctionProto",
    [ONNX_TRAINING_INFO] = "TrainingInfoProto",
};

/* Indexed by AttributeProto.type. */
static const struct {
    uint8_t field;
    bool single;
} attribute_values[] = {
    [1] = {2, true},    /* FLOAT */
    [2] = {3, true},    /* INT */
    [3] = {4, true},    /* STRING */
    [4] = {5, true},    /* TENSOR */
    [5] = {6, true},    /* GRAPH */
    [6] = {7, false},   /* FLOATS */
    [7] = {8, false},   /* INTS */
    [8] = {9, false},   /* STRINGS */
    [9] = {10, false},  /* TENSORS */
    [10] = {11, false}, /* GRAPHS */
    [11] = {22, true},  /* SPARSE_TENSOR */
    [12] = {23, false}, /* SPARSE_TENSORS */
    [13] = {14, true},  /* TYPE_PROTO */
    [14] = {15, false}, /* TYPE_PROTOS */
};

enum { ATTRIBUTE_TYPES = sizeof(attribute_values) / sizeof(attribute_values[0]) };

unsigned vmaf_dnn_onnx_attribute_field(uint64_t type)
{
    return type < ATTRIBUTE_TYPES ? attribute_values[type].field : 0;
}

bool vmaf_dnn_onnx_attribute_single(uint64_t type)
{
    return type < ATTRIBUTE_TYPES && attribute_values[type].single;
}
