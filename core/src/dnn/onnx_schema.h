/*
 * The ONNX messages as the scanner reads them.
 *
 * A field that is not in a table is refused, since it could carry a graph or a
 * file name that the scanner does not see. Left out on purpose: tensor
 * segments, opaque types and multi-device annotations, which the runtime has
 * no use for.
 */

#ifndef VMAF_DNN_ONNX_SCHEMA_H
#define VMAF_DNN_ONNX_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How a field's value is written and checked. INT64 takes any varint, INT32
 * (also enums) only one that 32 signed bits hold. TEXT is a string without
 * NUL, BLOB any bytes, a RUN numbers that stand without tags.
 */
typedef enum OnnxForm {
    ONNX_NONE = 0,
    ONNX_FLOAT,
    ONNX_DOUBLE,
    ONNX_RUN_FLOAT,
    ONNX_RUN_DOUBLE,
    ONNX_RUN_INT64,
    /* the forms that are mostly short: first numbers, then bytes */
    ONNX_INT64,
    ONNX_INT32,
    ONNX_BLOB,
    ONNX_TEXT,
    ONNX_INNER,
} OnnxForm;

typedef enum OnnxMessage {
    ONNX_NO_MESSAGE = 0,
    ONNX_MODEL,
    ONNX_GRAPH,
    ONNX_NODE,
    ONNX_ATTRIBUTE,
    ONNX_TENSOR,
    ONNX_SPARSE_TENSOR,
    ONNX_VALUE_INFO,
    ONNX_TYPE,
    ONNX_TENSOR_TYPE,
    ONNX_ELEMENT_TYPE,
    ONNX_MAP_TYPE,
    ONNX_SHAPE,
    ONNX_DIMENSION,
    ONNX_OPSET,
    ONNX_ENTRY,
    ONNX_ANNOTATION,
    ONNX_FUNCTION,
    ONNX_TRAINING_INFO,
    ONNX_MESSAGES,
} OnnxMessage;

/* A tag is a field's number times 8 plus the wire type; the largest field number of any table is 25. */
enum { ONNX_TAGS = 32 * 8 };

/* What may stand under one tag, in one number: see the three functions below. */
typedef uint16_t OnnxField;

#define ONNX_FIELD(form, repeated, inner) ((form) | (repeated) << 4 | (inner) << 8)

/* ONNX_NONE: no such field, or not of this wire type. */
static inline OnnxForm onnx_form(OnnxField field)
{
    return (OnnxForm) (field & 15);
}

/* Tells whether the field may come more than once. */
static inline bool onnx_repeated(OnnxField field)
{
    return field & 16;
}

/* The message in an ONNX_INNER field, else ONNX_NO_MESSAGE. */
static inline OnnxMessage onnx_inner(OnnxField field)
{
    return (OnnxMessage) (field >> 8);
}

/* Indexed by message and tag. What may be packed stands under two tags. */
extern const OnnxField vmaf_dnn_onnx_schema[ONNX_MESSAGES][ONNX_TAGS];

/* Indexed by message: the name that a report uses. */
extern const char *const vmaf_dnn_onnx_labels[ONNX_MESSAGES];

/* The field of AttributeProto that holds the value of this attribute type, or 0. */
unsigned vmaf_dnn_onnx_attribute_field(uint64_t type);

/* Tells whether an attribute of this type has exactly one value. */
bool vmaf_dnn_onnx_attribute_single(uint64_t type);

#endif
