#include "onnx_schema.h"

#include "pb_reader.h"

/* The wire type of one value of each form. */
enum {
    WIRE_ONNX_INT64 = PB_VARINT,
    WIRE_ONNX_INT32 = PB_VARINT,
    WIRE_ONNX_FLOAT = PB_FIXED32,
    WIRE_ONNX_TEXT = PB_BYTES,
    WIRE_ONNX_BLOB = PB_BYTES,
    WIRE_ONNX_PACKED_FLOATS = PB_FIXED32,
    WIRE_ONNX_PACKED_DOUBLES = PB_FIXED64,
    WIRE_ONNX_PACKED_INTS = PB_VARINT,
};

#define ONE(form) {form, WIRE_##form, false, ONNX_NO_MESSAGE}
#define MANY(form) {form, WIRE_##form, true, ONNX_NO_MESSAGE}
#define MESSAGE(inner) {ONNX_INNER, PB_BYTES, false, inner}
#define MESSAGES(inner) {ONNX_INNER, PB_BYTES, true, inner}

const OnnxField onnx_schema[ONNX_MESSAGES][ONNX_FIELDS] = {
    [ONNX_MODEL] =
        {
            [1] = ONE(ONNX_INT64), /* ir_version */
            [2] = ONE(ONNX_TEXT),  /* producer_name */
            [3] = ONE(ONNX_TEXT),  /* producer_version */
            [4] = ONE(ONNX_TEXT),  /* domain */
            [5] = ONE(ONNX_INT64), /* model_version */
            [6] = ONE(ONNX_TEXT),  /* doc_string */
            [7] = MESSAGE(ONNX_GRAPH),
            [8] = MESSAGES(ONNX_OPSET),
            [14] = MESSAGES(ONNX_ENTRY), /* metadata_props */
            [20] = MESSAGES(ONNX_TRAINING_INFO),
            [25] = MESSAGES(ONNX_FUNCTION),
        },
    [ONNX_GRAPH] =
        {
            [1] = MESSAGES(ONNX_NODE),
            [2] = ONE(ONNX_TEXT),             /* name */
            [5] = MESSAGES(ONNX_TENSOR),      /* initializer */
            [10] = ONE(ONNX_TEXT),            /* doc_string */
            [11] = MESSAGES(ONNX_VALUE_INFO), /* input */
            [12] = MESSAGES(ONNX_VALUE_INFO), /* output */
            [13] = MESSAGES(ONNX_VALUE_INFO), /* value_info */
            [14] = MESSAGES(ONNX_ANNOTATION),
            [15] = MESSAGES(ONNX_SPARSE_TENSOR),
            [16] = MESSAGES(ONNX_ENTRY), /* metadata_props */
        },
    [ONNX_NODE] =
        {
            [1] = MANY(ONNX_TEXT), /* input */
            [2] = MANY(ONNX_TEXT), /* output */
            [3] = ONE(ONNX_TEXT),  /* name */
            [4] = ONE(ONNX_TEXT),  /* op_type */
            [5] = MESSAGES(ONNX_ATTRIBUTE),
            [6] = ONE(ONNX_TEXT),       /* doc_string */
            [7] = ONE(ONNX_TEXT),       /* domain */
            [8] = ONE(ONNX_TEXT),       /* overload */
            [9] = MESSAGES(ONNX_ENTRY), /* metadata_props */
        },
    [ONNX_ATTRIBUTE] =
        {
            [1] = ONE(ONNX_TEXT), /* name */
            [2] = ONE(ONNX_FLOAT),
            [3] = ONE(ONNX_INT64),
            [4] = ONE(ONNX_BLOB), /* string */
            [5] = MESSAGE(ONNX_TENSOR),
            [6] = MESSAGE(ONNX_GRAPH),
            [7] = MANY(ONNX_PACKED_FLOATS),
            [8] = MANY(ONNX_PACKED_INTS),
            [9] = MANY(ONNX_BLOB), /* strings */
            [10] = MESSAGES(ONNX_TENSOR),
            [11] = MESSAGES(ONNX_GRAPH),
            [13] = ONE(ONNX_TEXT), /* doc_string */
            [14] = MESSAGE(ONNX_TYPE),
            [15] = MESSAGES(ONNX_TYPE),
            [20] = ONE(ONNX_INT32), /* type */
            [21] = ONE(ONNX_TEXT),  /* ref_attr_name */
            [22] = MESSAGE(ONNX_SPARSE_TENSOR),
            [23] = MESSAGES(ONNX_SPARSE_TENSOR),
        },
    [ONNX_TENSOR] =
        {
            [1] = MANY(ONNX_PACKED_INTS), /* dims */
            [2] = ONE(ONNX_INT32),        /* data_type */
            [4] = MANY(ONNX_PACKED_FLOATS),
            [5] = MANY(ONNX_PACKED_INTS), /* int32_data */
            [6] = MANY(ONNX_BLOB),        /* string_data */
            [7] = MANY(ONNX_PACKED_INTS), /* int64_data */
            [8] = ONE(ONNX_TEXT),         /* name */
            [9] = ONE(ONNX_BLOB),         /* raw_data */
            [10] = MANY(ONNX_PACKED_DOUBLES),
            [11] = MANY(ONNX_PACKED_INTS), /* uint64_data */
            [12] = ONE(ONNX_TEXT),         /* doc_string */
            [13] = MESSAGES(ONNX_ENTRY),   /* external_data */
            [14] = ONE(ONNX_INT32),        /* data_location */
            [16] = MESSAGES(ONNX_ENTRY),   /* metadata_props */
        },
    [ONNX_SPARSE_TENSOR] =
        {
            [1] = MESSAGE(ONNX_TENSOR),   /* values */
            [2] = MESSAGE(ONNX_TENSOR),   /* indices */
            [3] = MANY(ONNX_PACKED_INTS), /* dims */
        },
    [ONNX_VALUE_INFO] =
        {
            [1] = ONE(ONNX_TEXT), /* name */
            [2] = MESSAGE(ONNX_TYPE),
            [3] = ONE(ONNX_TEXT),       /* doc_string */
            [4] = MESSAGES(ONNX_ENTRY), /* metadata_props */
        },
    [ONNX_TYPE] =
        {
            [1] = MESSAGE(ONNX_TENSOR_TYPE),
            [4] = MESSAGE(ONNX_ELEMENT_TYPE), /* sequence */
            [5] = MESSAGE(ONNX_MAP_TYPE),
            [6] = ONE(ONNX_TEXT),             /* denotation */
            [8] = MESSAGE(ONNX_TENSOR_TYPE),  /* sparse */
            [9] = MESSAGE(ONNX_ELEMENT_TYPE), /* optional */
        },
    [ONNX_TENSOR_TYPE] = {[1] = ONE(ONNX_INT32), [2] = MESSAGE(ONNX_SHAPE)},
    [ONNX_ELEMENT_TYPE] = {[1] = MESSAGE(ONNX_TYPE)},
    [ONNX_MAP_TYPE] = {[1] = ONE(ONNX_INT32), [2] = MESSAGE(ONNX_TYPE)},
    [ONNX_SHAPE] = {[1] = MESSAGES(ONNX_DIMENSION)},
    [ONNX_DIMENSION] = {[1] = ONE(ONNX_INT64), [2] = ONE(ONNX_TEXT), [3] = ONE(ONNX_TEXT)},
    [ONNX_OPSET] = {[1] = ONE(ONNX_TEXT), [2] = ONE(ONNX_INT64)},
    [ONNX_ENTRY] = {[1] = ONE(ONNX_TEXT), [2] = ONE(ONNX_TEXT)},
    [ONNX_ANNOTATION] = {[1] = ONE(ONNX_TEXT), [2] = MESSAGES(ONNX_ENTRY)},
    /* ONNX_FUNCTION and ONNX_TRAINING_INFO refuse the model and are not read. */
};

const char *const onnx_labels[ONNX_MESSAGES] = {
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

unsigned onnx_attribute_field(uint64_t type)
{
    return type < ATTRIBUTE_TYPES ? attribute_values[type].field : 0;
}

bool onnx_attribute_single(uint64_t type)
{
    return type < ATTRIBUTE_TYPES && attribute_values[type].single;
}
