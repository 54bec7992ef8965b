#include "scan_reason.h"

#include <stddef.h>

static const char *const names[VMAF_DNN_REASONS] = {
    [VMAF_DNN_OK] = "ok",
    [VMAF_DNN_FILE_TOO_LARGE] = "file_too_large",
    [VMAF_DNN_TOO_MANY_FIELDS] = "too_many_fields",
    [VMAF_DNN_TOO_DEEP] = "too_deep",
    [VMAF_DNN_ORT_FORMAT] = "ort_format",
    [VMAF_DNN_TRUNCATED] = "truncated",
    [VMAF_DNN_BAD_VARINT] = "bad_varint",
    [VMAF_DNN_BAD_TAG] = "bad_tag",
    [VMAF_DNN_WRONG_WIRE_TYPE] = "wrong_wire_type",
    [VMAF_DNN_UNKNOWN_FIELD] = "unknown_field",
    [VMAF_DNN_DUPLICATE_FIELD] = "duplicate_field",
    [VMAF_DNN_LOSSY_VALUE] = "lossy_value",
    [VMAF_DNN_EMBEDDED_NUL] = "embedded_nul",
    [VMAF_DNN_MISSING_GRAPH] = "missing_graph",
    [VMAF_DNN_BAD_OPSET] = "bad_opset",
    [VMAF_DNN_FUNCTIONS] = "functions",
    [VMAF_DNN_TRAINING_INFO] = "training_info",
    [VMAF_DNN_MISSING_OP_TYPE] = "missing_op_type",
    [VMAF_DNN_FOREIGN_DOMAIN] = "foreign_domain",
    [VMAF_DNN_OP_NOT_ALLOWED] = "op_not_allowed",
    [VMAF_DNN_ATTRIBUTE_TYPE] = "attribute_type",
    [VMAF_DNN_ATTRIBUTE_REFERENCE] = "attribute_reference",
    [VMAF_DNN_ATTRIBUTE_POLICY] = "attribute_policy",
    [VMAF_DNN_EXTERNAL_DATA] = "external_data",
    [VMAF_DNN_TOO_MANY_LOOPS] = "too_many_loops",
    [VMAF_DNN_LOOP_TRIP_COUNT] = "loop_trip_count",
};

const char *vmaf_dnn_reason_name(int reason)
{
    return reason >= 0 && reason < VMAF_DNN_REASONS ? names[reason] : NULL;
}
