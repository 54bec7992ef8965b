/*
 * Why a model is refused. The names are shared with the Python gate, which
 * gives the same reason for the same bytes.
 */

#ifndef VMAF_DNN_SCAN_REASON_H
#define VMAF_DNN_SCAN_REASON_H

typedef enum VmafDnnReason {
    VMAF_DNN_OK = 0,
    /* limits */
    VMAF_DNN_FILE_TOO_LARGE,
    VMAF_DNN_TOO_MANY_FIELDS,
    VMAF_DNN_TOO_DEEP,
    VMAF_DNN_ORT_FORMAT,
    /* wire format */
    VMAF_DNN_TRUNCATED,
    VMAF_DNN_BAD_VARINT,
    VMAF_DNN_BAD_TAG,
    VMAF_DNN_WRONG_WIRE_TYPE,
    VMAF_DNN_UNKNOWN_FIELD,
    VMAF_DNN_DUPLICATE_FIELD,
    VMAF_DNN_LOSSY_VALUE,
    VMAF_DNN_EMBEDDED_NUL,
    /* model */
    VMAF_DNN_MISSING_GRAPH,
    VMAF_DNN_BAD_OPSET,
    VMAF_DNN_FUNCTIONS,
    VMAF_DNN_TRAINING_INFO,
    /* nodes */
    VMAF_DNN_MISSING_OP_TYPE,
    VMAF_DNN_FOREIGN_DOMAIN,
    VMAF_DNN_OP_NOT_ALLOWED,
    VMAF_DNN_ATTRIBUTE_TYPE,
    VMAF_DNN_ATTRIBUTE_REFERENCE,
    VMAF_DNN_ATTRIBUTE_POLICY,
    VMAF_DNN_EXTERNAL_DATA,
    VMAF_DNN_TOO_MANY_LOOPS,
    VMAF_DNN_LOOP_TRIP_COUNT,
    VMAF_DNN_REASONS /* how many there are */
} VmafDnnReason;

/* Returns the reason's name, as "op_not_allowed"; NULL for a code that is none. */
const char *vmaf_dnn_reason_name(int reason);

#endif
