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
 * NUL, BLOB any bytes. PACKED forms take one element or a packed run of them.
 */
typedef enum OnnxForm {
    ONNX_NONE = 0,
    ONNX_INT64,
    ONNX_INT32,
    ONNX_FLOAT,
    ONNX_TEXT,
    ONNX_BLOB,
    ONNX_INNER,
    ONNX_PACKED_FLOATS,
    ONNX_PACKED_DOUBLES,
    ONNX_PACKED_INTS,
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

/* One past the largest field number of any table. */
enum { ONNX_FIELDS = 26 };

typedef struct OnnxField {
    uint8_t form;  /* OnnxForm; ONNX_NONE: no such field */
    uint8_t wire;  /* wire type of one value; a packed form may be PB_BYTES too */
    bool repeated; /* may come more than once */
    uint8_t inner; /* OnnxMessage of an ONNX_INNER field */
} OnnxField;

/* Indexed by message and field number. */
extern const OnnxField onnx_schema[ONNX_MESSAGES][ONNX_FIELDS];

/* Indexed by message: the name that a report uses. */
extern const char *const onnx_labels[ONNX_MESSAGES];

/* The field of AttributeProto that holds the value of this attribute type, or 0. */
unsigned onnx_attribute_field(uint64_t type);

/* Tells whether an attribute of this type has exactly one value. */
bool onnx_attribute_single(uint64_t type);

#endif
